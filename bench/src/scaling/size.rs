//! A rebuild of larger and larger modules.

use crate::edits::{change_constant, grow};
use crate::figures::{Figure, timed};
use crate::known::{Fresh, Known};
use anyhow::Result;
use ibid::Options;
use serde::Serialize;
use std::path::Path;
use wasmtime::Engine;

/// One module, at several sizes.
#[derive(Debug, Serialize)]
pub struct SizeSeries {
    /// The module whose functions are repeated.
    pub name: String,
    /// One size each.
    pub points: Vec<SizePoint>,
}

/// A rebuild at one size, after a constant in one body was changed.
#[derive(Debug, Serialize)]
pub struct SizePoint {
    /// The module's size.
    pub wasm_bytes: usize,
    /// The artifact's size.
    pub artifact_bytes: usize,
    /// How many functions the module has.
    pub functions: u64,
    /// A plain compile, measured once.
    pub cold_ms: f64,
    /// The rebuild.
    pub edited_ms: Figure,
    /// The rebuild's time for each MB (10⁶ bytes) of the module.
    pub edited_ms_per_mb: f64,
    /// The rebuild's time, in percent of the plain compile's.
    pub percent_of_cold: f64,
}

/// Measures a rebuild of `wasm` at each of `sizes`, which it is brought to by repeating its
/// functions, `rounds` times. Stores are made in a directory in `at`.
///
/// # Errors
///
/// If the module cannot be grown or edited, or any artifact is not Wasmtime's.
pub fn over_size(
    name: &str,
    wasm: &[u8],
    sizes: &[usize],
    rounds: usize,
    engine: &Engine,
    at: &Path,
    progress: &mut dyn FnMut(&str),
) -> Result<SizeSeries> {
    let mut points = Vec::new();
    for &size in sizes {
        progress(&format!("{name} at {:.1} MB", size as f64 / 1e6));
        points.push(point(&grow(wasm, size)?, rounds.max(1), engine, at)?);
    }
    Ok(SizeSeries {
        name: name.to_owned(),
        points,
    })
}

fn point(wasm: &[u8], rounds: usize, engine: &Engine, at: &Path) -> Result<SizePoint> {
    let directory = tempfile::tempdir_in(at)?;
    let plain = engine.precompile_module(wasm)?;
    let known = Known::functions(engine, wasm, &plain, directory.path())?;
    drop(plain);
    let edited = change_constant(wasm, 0)?;
    let (plain, cold_ms) = timed(|| engine.precompile_module(&edited));
    let plain = plain?;
    let mut runs = Vec::new();
    let mut functions = 0;
    // The first one warms up.
    for round in 0..=rounds {
        let run =
            Fresh::over(engine, known.copy()?, Options::default())?.compile(&edited, &plain)?;
        functions = run.report.functions.total;
        if round > 0 {
            runs.push(run.ms);
        }
    }
    let edited_ms = Figure::of(runs).expect("there is one round at least");
    Ok(SizePoint {
        wasm_bytes: edited.len(),
        artifact_bytes: plain.len(),
        functions,
        cold_ms,
        edited_ms_per_mb: edited_ms.median / (edited.len() as f64 / 1e6),
        percent_of_cold: 100.0 * edited_ms.median / cold_ms,
        edited_ms,
    })
}
