//! A cell of the table: the claims about one module in one scenario, and which of them failed.

use std::fmt;

use anyhow::Result;
use ibid::Report;

use super::difference::first_difference;

/// What was claimed of one module in one scenario, and what of it is wrong.
#[derive(Debug, Default)]
pub(super) struct Cell {
    /// How many claims were tested.
    pub(super) checks: usize,
    /// The claims that do not hold.
    pub(super) failures: Vec<Failure>,
    /// What is worth knowing and not wrong.
    pub(super) note: Option<String>,
    stage: Option<&'static str>,
}

/// A claim that does not hold.
#[derive(Debug)]
pub(super) struct Failure {
    kind: Kind,
    stage: Option<&'static str>,
    what: String,
}

/// How a claim fails, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// The artifact is not Wasmtime's, or the error is not.
    Differs,
    /// Nothing came out to compare.
    Error,
    /// Wasmtime compiled in ibid's place, so the comparison says nothing.
    Plain,
    /// The store met trouble.
    Store,
    /// The artifact was found or compiled in a way that it should not.
    Unexpected,
}

impl Cell {
    /// The cell of what `work` claims. An error of `work` is one more claim that failed.
    pub(super) fn of(work: impl FnOnce(&mut Cell) -> Result<()>) -> Cell {
        let mut cell = Cell::default();
        if let Err(error) = work(&mut cell) {
            cell.claim(false, Kind::Error, || format!("{error:#}"));
        }
        cell
    }

    /// Says of which part of the scenario the next claims are.
    pub(super) fn stage(&mut self, stage: &'static str) {
        self.stage = Some(stage);
    }

    /// Claims that `holds`; `what` says what is wrong if it does not.
    pub(super) fn claim(&mut self, holds: bool, kind: Kind, what: impl FnOnce() -> String) {
        self.checks += 1;
        if !holds {
            let (stage, what) = (self.stage, what());
            self.failures.push(Failure { kind, stage, what });
        }
    }

    /// Claims that ibid's artifact is Wasmtime's.
    pub(super) fn same(&mut self, ibid: &[u8], wasmtime: &[u8]) {
        let difference = first_difference(ibid, wasmtime);
        self.claim(difference.is_none(), Kind::Differs, || {
            difference.unwrap_or_default()
        });
    }

    /// Claims that ibid itself made the artifact, and that its store did what it was asked.
    pub(super) fn by_ibid(&mut self, report: &Report) {
        self.claim(report.plain.is_none(), Kind::Plain, || {
            format!(
                "compiled the plain way: {}",
                report.plain.as_deref().unwrap_or_default()
            )
        });
        let store = &report.store;
        self.claim(
            store.damaged == 0 && store.failures == 0,
            Kind::Store,
            || {
                format!(
                    "{} entries damaged, {} failures",
                    store.damaged, store.failures
                )
            },
        );
    }

    /// Claims that nothing was compiled.
    pub(super) fn all_found(&mut self, functions: u64, trampolines: u64) {
        self.claim(functions == 0, Kind::Unexpected, || {
            format!("{functions} functions compiled")
        });
        self.claim(trampolines == 0, Kind::Unexpected, || {
            format!("{trampolines} trampolines compiled")
        });
    }

    /// Takes in the claims of `other`.
    pub(super) fn merge(&mut self, other: Cell) {
        self.checks += other.checks;
        self.failures.extend(other.failures);
        self.note = self.note.take().or(other.note);
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.failures.iter().map(|failure| failure.kind).min() {
            None => "ok",
            Some(Kind::Differs) => "DIFFERS",
            Some(Kind::Error) => "ERROR",
            Some(Kind::Plain) => "PLAIN",
            Some(Kind::Store) => "STORE",
            Some(Kind::Unexpected) => "COUNTS",
        };
        f.pad(word)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(stage) = self.stage {
            write!(f, "{stage}: ")?;
        }
        f.write_str(&self.what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_the_worst_of_its_failures() {
        let mut cell = Cell::default();
        assert_eq!(cell.to_string(), "ok");
        cell.all_found(2, 0);
        assert_eq!((cell.checks, cell.to_string().as_str()), (2, "COUNTS"));
        cell.stage("warm");
        cell.same(b"one", b"two");
        assert_eq!((cell.checks, cell.to_string().as_str()), (3, "DIFFERS"));
        assert!(cell.failures[1].to_string().starts_with("warm: "));
    }

    #[test]
    fn an_error_is_a_failed_claim() {
        let cell = Cell::of(|_| anyhow::bail!("no such file"));
        assert_eq!((cell.checks, cell.failures.len()), (1, 1));
        assert_eq!(cell.failures[0].to_string(), "no such file");
    }
}
