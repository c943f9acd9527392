//! What a campaign did, in numbers: a campaign that compares nothing would be clean.

use crate::oracle::Outcome;
use std::fmt;
use std::ops::AddAssign;

/// What one case did, or many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tally {
    /// Cases.
    pub cases: u64,
    /// Inputs that were compiled both ways.
    pub inputs: u64,
    /// Of these, the ones that Wasmtime accepts.
    pub valid: u64,
    /// Of the accepted ones, those that ibid left to Wasmtime.
    pub plain: u64,
    /// Whole artifacts that were found.
    pub whole: u64,
    /// Functions in artifacts that were compared, but for plain and whole ones.
    pub functions: u64,
    /// Of these, found by the exact body.
    pub exact: u64,
    /// Found by the stencil.
    pub stencil: u64,
    /// Of those that were found, the ones whose addresses may have been others.
    pub slotted: u64,
    /// Found by Cranelift's key.
    pub clif: u64,
    /// Sharing the stencil of another function of the same module.
    pub duplicates: u64,
    /// Compiled.
    pub compiled: u64,
    /// Functions that a rule let off from being found.
    pub exempt: u64,
    /// Entries of stores that were damaged on purpose.
    pub tampered: u64,
}

impl Tally {
    /// One case.
    pub fn case() -> Tally {
        Tally {
            cases: 1,
            ..Tally::default()
        }
    }

    /// Counts what the oracle saw of one input.
    pub fn count(&mut self, outcome: &Outcome) {
        self.inputs += 1;
        let Outcome::Artifact(report) = outcome else {
            return;
        };
        self.valid += 1;
        if report.plain.is_some() {
            self.plain += 1;
        } else if report.whole_artifact {
            self.whole += 1;
        } else {
            self.functions += report.functions.total;
            self.exact += report.functions.exact_body;
            self.stencil += report.functions.stencil;
            self.slotted += report.address_slots.functions;
            self.clif += report.functions.clif;
            self.duplicates += report.functions.duplicates;
            self.compiled += report.functions.compiled;
        }
    }

    /// Functions that came from a store.
    pub fn hits(&self) -> u64 {
        self.exact + self.stencil + self.clif
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        let Tally {
            cases,
            inputs,
            valid,
            plain,
            whole,
            functions,
            exact,
            stencil,
            slotted,
            clif,
            duplicates,
            compiled,
            exempt,
            tampered,
        } = other;
        self.cases += cases;
        self.inputs += inputs;
        self.valid += valid;
        self.plain += plain;
        self.whole += whole;
        self.functions += functions;
        self.exact += exact;
        self.stencil += stencil;
        self.slotted += slotted;
        self.clif += clif;
        self.duplicates += duplicates;
        self.compiled += compiled;
        self.exempt += exempt;
        self.tampered += tampered;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = |part: u64, of: u64| part * 100 / of.max(1);
        write!(
            f,
            "{} cases, {} inputs ({} % valid, {} plain, {} whole artifacts found); \
             {} functions compared, {} found ({} %: {} exact, {} stencil, {} CLIF), \
             {} duplicates, {} compiled; {} found or shared with address slots",
            self.cases,
            self.inputs,
            share(self.valid, self.inputs),
            self.plain,
            self.whole,
            self.functions,
            self.hits(),
            share(self.hits(), self.functions),
            self.exact,
            self.stencil,
            self.clif,
            self.duplicates,
            self.compiled,
            self.slotted,
        )?;
        if self.exempt > 0 {
            write!(f, ", {} exempt", self.exempt)?;
        }
        if self.tampered > 0 {
            write!(f, "; {} entries damaged", self.tampered)?;
        }
        Ok(())
    }
}
