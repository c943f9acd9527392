//! A module under measurement.

use crate::figures::timed;
use crate::references::precompile;
use wasmtime::{Engine, Result};

/// A module or component, and what Wasmtime makes of it.
#[derive(Debug)]
pub struct Subject {
    /// What the module is called in the report.
    pub name: String,
    /// The module or component, in the binary format.
    pub wasm: Vec<u8>,
    /// What Wasmtime makes of it.
    pub artifact: Vec<u8>,
    /// How long that took, in milliseconds. It is the first compile of its kind, so it counts for
    /// no more than a hint.
    pub warm_up_ms: f64,
}

impl Subject {
    /// Compiles `module`, a module or component in the binary or the text format, with `engine` alone.
    ///
    /// # Errors
    ///
    /// Wasmtime's own, if it refuses the module.
    pub fn new(name: impl Into<String>, module: &[u8], engine: &Engine) -> Result<Subject> {
        let wasm = wat::parse_bytes(module)?.into_owned();
        let (artifact, warm_up_ms) = timed(|| precompile(engine, &wasm));
        Ok(Subject {
            name: name.into(),
            wasm,
            artifact: artifact?,
            warm_up_ms,
        })
    }
}
