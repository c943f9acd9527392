//! What happened in a compile, for people and for machines.

use crate::details::{Details, Gathered, Noted, Phase};
use serde::Serialize;
use std::time::Instant;

/// What one compile found, compiled and cost.
///
/// Serializes to one object; the field names are part of the interface.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The module's own functions.
    pub functions: Counts,
    /// Trampolines: array-to-wasm, wasm-to-array, builtins, module startup.
    pub trampolines: Counts,
    /// Machine code of functions and trampolines.
    pub code_bytes: CodeBytes,
    /// What was found although addresses might have changed.
    pub address_slots: SlotCounts,
    /// What was found although places in the instance might have changed.
    pub place_slots: SlotCounts,
    /// Wall-clock times, in milliseconds.
    pub time_ms: Times,
    /// The whole artifact was found: this input was seen before.
    pub whole_artifact: bool,
    /// Why Wasmtime compiled the module the plain way, if it did.
    pub plain: Option<String>,
    /// What went wrong with the store; the artifact is not affected.
    pub store: StoreReport,
    /// Functions that were compiled again and compared, when that was asked for.
    pub verified: Option<u64>,
}

/// Functions by how they were found. All but `total` add up to `total`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Counts {
    /// All.
    pub total: u64,
    /// Found by the exact bytes of the body, in the same module environment; all of
    /// them when the whole artifact was found.
    pub exact_body: u64,
    /// Found by stencil.
    pub stencil: u64,
    /// Found by Cranelift's own key, after translation.
    pub clif: u64,
    /// The same stencil as another function of this module that was compiled or found
    /// by CLIF in this compile.
    pub duplicates: u64,
    /// Compiled.
    pub compiled: u64,
}

/// Machine code, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CodeBytes {
    /// Of all functions and trampolines.
    pub total: u64,
    /// Of those that were not compiled.
    pub reused: u64,
}

/// Functions that were found and whose code has slots: their addresses, or the places in the
/// instance of what they name, may be others than when they were compiled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SlotCounts {
    /// How many there are.
    pub functions: u64,
    /// Their machine code, in bytes.
    pub code_bytes: u64,
}

impl SlotCounts {
    pub(crate) fn add(&mut self, code_bytes: u64) {
        self.functions += 1;
        self.code_bytes += code_bytes;
    }
}

/// Wall-clock times, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Times {
    /// Reading and validating all but the function bodies.
    pub parse: f64,
    /// Digests of bodies, stencils, and their keys.
    pub keys: f64,
    /// Reading the store.
    pub lookup: f64,
    /// Compiling what was not found.
    pub compile: f64,
    /// Matching parameters with compiled stencils.
    pub apply: f64,
    /// Making the artifact.
    pub link: f64,
    /// Writing the store, after the artifact was handed over.
    pub store: f64,
    /// From the input to the artifact; without `store`.
    pub total: f64,
}

/// What went wrong with the store in the course of a compile.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StoreReport {
    /// Entries that were rejected, and replaced.
    pub damaged: u64,
    /// Entries written.
    pub written: u64,
    /// Entries that went to make room for them.
    pub evicted: u64,
    /// Operations that the store refused.
    pub failures: u64,
    /// The last refusal, in the store's words.
    pub last_failure: Option<String>,
}

/// How a function was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Found {
    /// By the exact bytes of the body, in the same module environment.
    ExactBody,
    /// By stencil.
    Stencil,
    /// By Cranelift's own key, after translation.
    Clif,
    /// With the stencil of another function that was compiled or found by CLIF in the same
    /// compile.
    Duplicate,
    /// Not at all: it was compiled.
    Compiled,
}

impl Counts {
    pub(crate) fn add(&mut self, found: Found) {
        self.total += 1;
        *match found {
            Found::ExactBody => &mut self.exact_body,
            Found::Stencil => &mut self.stencil,
            Found::Clif => &mut self.clif,
            Found::Duplicate => &mut self.duplicates,
            Found::Compiled => &mut self.compiled,
        } += 1;
    }
}

impl Times {
    fn of(&mut self, phase: Phase) -> &mut f64 {
        match phase {
            Phase::Parse => &mut self.parse,
            Phase::Keys => &mut self.keys,
            Phase::Lookup => &mut self.lookup,
            Phase::Compile => &mut self.compile,
            Phase::Apply => &mut self.apply,
            Phase::Link => &mut self.link,
        }
    }
}

/// Measures consecutive stages.
pub(crate) struct Stopwatch {
    start: Instant,
    lap: Instant,
    /// Each stage so far, if that is wanted.
    stages: Option<Vec<Noted<Phase>>>,
}

impl Stopwatch {
    pub(crate) fn start() -> Stopwatch {
        let now = Instant::now();
        Stopwatch {
            start: now,
            lap: now,
            stages: None,
        }
    }

    /// The same, and keeps when each stage was if that is `wanted`.
    pub(crate) fn noting(wanted: bool) -> Stopwatch {
        Stopwatch {
            stages: wanted.then(Vec::new),
            ..Stopwatch::start()
        }
    }

    /// Adds the milliseconds since the last lap to `stage`.
    pub(crate) fn lap(&mut self, stage: &mut f64) {
        let now = Instant::now();
        *stage += (now - self.lap).as_secs_f64() * 1e3;
        self.lap = now;
    }

    /// What happened since the last lap was `phase`.
    pub(crate) fn phase(&mut self, phase: Phase, report: &mut Report) {
        let start = self.lap;
        self.lap(report.time_ms.of(phase));
        if let Some(stages) = &mut self.stages {
            stages.push(Noted::here(phase, start, self.lap));
        }
    }

    /// What was `gathered`, and when each stage was.
    pub(crate) fn details(&self, gathered: Gathered) -> Details {
        gathered.finish(self.start, self.stages.as_deref().unwrap_or_default())
    }

    /// Milliseconds since the start.
    pub(crate) fn total(&self) -> f64 {
        self.start.elapsed().as_secs_f64() * 1e3
    }
}
