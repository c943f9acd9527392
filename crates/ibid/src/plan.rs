//! What a compile would have to do, found out without compiling.

use crate::report::Counts;
use serde::Serialize;

/// What [`Compiler::compile`](crate::Compiler::compile) would do with an input now.
///
/// Serializes to one object; the field names are part of the interface.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Plan {
    /// The module's own functions. `compiled` are those that would be compiled.
    pub functions: Counts,
    /// Trampolines. Those of builtins that only functions to be compiled call are not known yet.
    pub trampolines: Counts,
    /// The bodies of the functions that would be compiled, in bytes.
    pub body_bytes: u64,
    /// The whole artifact is there: this input was seen before.
    pub whole_artifact: bool,
    /// Why Wasmtime would compile the input the plain way, if it would. Then nothing else is known.
    pub plain: Option<String>,
    /// How long the compile would take, in milliseconds: what functions took to compile so far, by
    /// their lengths, and what it took to make this plan. `None` if the store knows of no compile
    /// yet, and there is something to compile.
    pub estimated_ms: Option<f64>,
    /// How long it took to make this plan, in milliseconds.
    pub planning_ms: f64,
}

impl Plan {
    /// Whether there is nothing to compile.
    pub fn is_ready(&self) -> bool {
        self.plain.is_none() && self.functions.compiled == 0 && self.trampolines.compiled == 0
    }
}
