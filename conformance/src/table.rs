//! What came of it: counted, compared, and printed.

use crate::driver::Outcome;
use crate::script::Script;
use crate::unsteady::is_one_of_several;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use wasmtime::Result;

/// Directives by how they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// As the suite says.
    pub passed: usize,
    /// Otherwise.
    pub failed: usize,
    /// Of a kind that `wasmtime-wast` has no code for; or a whole script that it cannot read,
    /// counted as one.
    pub skipped: usize,
}

impl Counts {
    fn count(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Passed => self.passed += 1,
            Outcome::Failed(_) => self.failed += 1,
            Outcome::Skipped => self.skipped += 1,
        }
    }

    fn add(&mut self, other: Counts) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// What came of a script, or of several.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    script: String,
    scripts: usize,
    /// Modules that are valid.
    pub valid: usize,
    /// Modules that are not.
    pub refused: usize,
    /// With modules that Wasmtime compiled.
    pub plain: Counts,
    /// With modules that ibid compiled.
    pub first: Counts,
    /// With modules that ibid made again from its store.
    pub second: Counts,
    differences: Vec<String>,
    /// Modules of which Wasmtime makes another artifact each time.
    unsteady: BTreeSet<String>,
    failures: Vec<String>,
}

impl Tally {
    pub(crate) fn of(script: &str) -> Tally {
        Tally {
            script: script.to_owned(),
            scripts: 1,
            ..Tally::default()
        }
    }

    /// Of a script that `wasmtime-wast` cannot read.
    pub(crate) fn unreadable(script: &str, reason: &str) -> Tally {
        let mut tally = Tally::of(script);
        for counts in [&mut tally.plain, &mut tally.first, &mut tally.second] {
            counts.skipped += 1;
        }
        tally.failures.push(format!("{script}: not read: {reason}"));
        tally
    }

    pub(crate) fn differs(&mut self, what: String) {
        let what = format!("{}: {what}", self.script);
        self.differences.push(what);
    }

    pub(crate) fn module(&mut self, valid: bool) {
        self.valid += usize::from(valid);
        self.refused += usize::from(!valid);
    }

    /// Compares what ibid made of a module with what Wasmtime did, and would do again.
    pub(crate) fn check(
        &mut self,
        name: &str,
        when: &str,
        ours: &Result<Vec<u8>, String>,
        plain: &Result<Vec<u8>, String>,
        plainly: impl FnMut() -> Result<Vec<u8>>,
    ) {
        match (ours, plain) {
            _ if ours == plain => {}
            (Ok(ours), Ok(plain)) if is_one_of_several(ours, plain, plainly) => {
                self.unsteady.insert(name.to_owned());
            }
            (Ok(_), Ok(_)) => self.differs(format!("{name}: another artifact {when}")),
            (Ok(_), Err(plain)) => self.differs(format!("{name}: accepted {when}, not: {plain}")),
            (Err(ours), Ok(_)) => self.differs(format!("{name}: refused {when}: {ours}")),
            (Err(ours), Err(plain)) => {
                self.differs(format!("{name}: {when} `{ours}`, and plainly `{plain}`"));
            }
        }
    }

    /// Counts and compares what came of each directive.
    pub(crate) fn count(
        &mut self,
        script: &Script,
        plain: Vec<Outcome>,
        first: Vec<Outcome>,
        second: Vec<Outcome>,
    ) {
        let runs = plain.into_iter().zip(first).zip(second);
        for (step, ((plain, first), second)) in script.steps.iter().zip(runs) {
            self.plain.count(&plain);
            self.first.count(&first);
            self.second.count(&second);
            for (ours, when) in [(&first, "the first time"), (&second, "the second time")] {
                if *ours != plain {
                    self.differs(format!(
                        "{}: {when} {ours:?}, and plainly {plain:?}",
                        step.line
                    ));
                }
            }
            if let Outcome::Failed(reason) = plain {
                self.failures
                    .push(format!("{}:{}: {reason}", self.script, step.line));
            }
        }
    }

    /// Compares with a run in which `wasmtime-wast` was left to itself.
    pub(crate) fn calibrate(&mut self, whole: Result<()>) {
        let passed = self.plain.failed == 0 && self.plain.skipped == 0;
        match whole {
            Err(error) if passed => self.differs(format!(
                "all directives passed, but not the script: {error:#}"
            )),
            Ok(()) if !passed => {
                self.differs("the script passed, but not all directives".to_owned());
            }
            _ => {}
        }
    }

    fn add(&mut self, other: &Tally) {
        self.scripts += other.scripts;
        self.valid += other.valid;
        self.refused += other.refused;
        self.plain.add(other.plain);
        self.first.add(other.first);
        self.second.add(other.second);
    }
}

/// What came of the suite.
#[derive(Clone, Debug, Default)]
pub struct Results {
    /// By version of the specification or proposal.
    pub groups: BTreeMap<String, Tally>,
    /// Where ibid did not do as Wasmtime does. There must be none.
    pub differences: Vec<String>,
    /// Of which modules Wasmtime itself makes another artifact each time.
    pub unsteady: Vec<String>,
    /// Which directives fail with plain Wasmtime, and why.
    pub failures: Vec<String>,
}

impl Results {
    pub(crate) fn add(&mut self, groups: &[String], tally: &Tally) {
        let marked = |lines: &[String]| {
            let groups = groups.join(", ");
            let lines = lines.iter().map(|line| format!("{line} ({groups})"));
            lines.collect::<Vec<_>>()
        };
        self.differences.extend(marked(&tally.differences));
        let unsteady = tally.unsteady.iter();
        let unsteady = unsteady.map(|name| format!("{}: {name}", tally.script));
        self.unsteady.extend(marked(&unsteady.collect::<Vec<_>>()));
        self.failures.extend(marked(&tally.failures));
        for group in groups {
            self.groups.entry(group.clone()).or_default().add(tally);
        }
    }

    /// A suite of which nothing passes was not run.
    pub(crate) fn check(&mut self) {
        for (group, tally) in &self.groups {
            if tally.plain.passed == 0 {
                self.differences.push(format!("{group}: nothing passed"));
            }
        }
    }

    /// All groups in one.
    pub fn total(&self) -> Tally {
        let mut total = Tally::default();
        for tally in self.groups.values() {
            total.add(tally);
        }
        total
    }
}

impl fmt::Display for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:38} {:>7} {:>13}  {:^22}  {:^22}  {:^22}",
            "", "", "modules", "plain Wasmtime", "ibid", "ibid, from the store"
        )?;
        let counts = "passed  failed skipped";
        writeln!(
            f,
            "{:38} {:>7} {:>6} {:>6}  {counts}  {counts}  {counts}",
            "directives", "scripts", "valid", "not"
        )?;
        let total = self.total();
        let rows = self.groups.iter().map(|(name, tally)| (&name[..], tally));
        for (name, tally) in rows.chain([("all", &total)]) {
            write!(
                f,
                "{name:38} {:>7} {:>6} {:>6}",
                tally.scripts, tally.valid, tally.refused
            )?;
            for counts in [tally.plain, tally.first, tally.second] {
                write!(
                    f,
                    "  {:>6}  {:>6} {:>7}",
                    counts.passed, counts.failed, counts.skipped
                )?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
