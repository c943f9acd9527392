//! The targets: what must hold, for every case.
//!
//! | target | the case | what must hold |
//! |---|---|---|
//! | [`same_again`] | a module, compiled again and again | nothing is compiled the second time |
//! | [`parameters_only`] | a module whose things move | what stays is found |
//! | [`moved_addresses`] | a program whose static data moves, or its places | no wrong address |
//! | [`components`] | a component that changes in any way | what was seen before is found |
//! | [`anything_else`] | a module that changes in any way | no wrong hit |
//! | [`stencil_bytes`] | a store whose entries are damaged | a miss, never a panic |
//! | [`engine_settings`] | engines that share a store | no hit of another engine's |
//!
//! And in every one, for every input: the artifact is Wasmtime's, or the error is.

pub mod anything_else;
pub mod components;
pub mod engine_settings;
pub mod moved_addresses;
pub mod parameters_only;
pub mod same_again;
pub mod stencil_bytes;

use crate::oracle::{Oracle, Outcome};
use crate::random::{Random, split};
use crate::tally::Tally;
use ibid::{CacheStore, Report};

/// A target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// Runs the case that the bytes stand for, and panics with an explanation if anything does
    /// not hold.
    pub run: fn(&[u8]) -> Tally,
}

/// All targets.
pub const ALL: [Target; 7] = [
    Target {
        name: "same_again",
        run: same_again::run,
    },
    Target {
        name: "parameters_only",
        run: parameters_only::run,
    },
    Target {
        name: "moved_addresses",
        run: moved_addresses::run,
    },
    Target {
        name: "components",
        run: components::run,
    },
    Target {
        name: "anything_else",
        run: anything_else::run,
    },
    Target {
        name: "stencil_bytes",
        run: stencil_bytes::run,
    },
    Target {
        name: "engine_settings",
        run: engine_settings::run,
    },
];

/// The target of this name.
pub fn find(name: &str) -> Option<Target> {
    ALL.into_iter().find(|target| target.name == name)
}

/// A case: random decisions, a module, and what came of it.
struct Case {
    random: Random,
    tally: Tally,
}

impl Case {
    /// The case of these bytes and its module, if they are enough for one.
    fn of(data: &[u8]) -> (Case, Option<Vec<u8>>) {
        let (mut random, dna) = split(data);
        let module = crate::module(&mut random, dna);
        let tally = Tally::case();
        (Case { random, tally }, module)
    }

    /// Asks the oracle; the report, if ibid made an artifact.
    #[track_caller]
    fn check<S: CacheStore + 'static>(
        &mut self,
        oracle: &Oracle<S>,
        wasm: &[u8],
    ) -> Option<Report> {
        match oracle.compare(wasm) {
            Ok(outcome) => {
                self.tally.count(&outcome);
                match outcome {
                    Outcome::Artifact(report) if report.plain.is_none() => Some(*report),
                    _ => None,
                }
            }
            Err(disagreement) => panic!("{disagreement}"),
        }
    }
}

/// How many functions came from the store, trampolines included.
fn from_store(report: &Report) -> u64 {
    [report.functions, report.trampolines]
        .iter()
        .map(|counts| counts.exact_body + counts.stencil + counts.clif)
        .sum()
}
