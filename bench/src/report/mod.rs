//! The report: Markdown for people, JSON for machines, and plots.

mod markdown;
pub mod plot;
mod remote;
mod table;

use crate::Benchmark;
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;

pub use markdown::{markdown, module};

/// The benchmark as one JSON object.
///
/// # Errors
///
/// If it cannot be serialized, which does not happen.
pub fn json(benchmark: &Benchmark) -> Result<String> {
    Ok(serde_json::to_string_pretty(benchmark)?)
}

/// Writes `bench.md`, `bench.json` and the plots to `directory`, which is made if it is not
/// there.
///
/// # Errors
///
/// If a file cannot be written.
pub fn write(benchmark: &Benchmark, directory: &Path) -> Result<()> {
    fs::create_dir_all(directory)
        .with_context(|| format!("cannot make {}", directory.display()))?;
    let mut files = vec![
        ("bench.md", markdown(benchmark)),
        ("bench.json", json(benchmark)?),
    ];
    if !benchmark.modules.is_empty() {
        files.push(("bench.svg", plot::ratios(&benchmark.modules)));
    }
    if let Some(scaling) = &benchmark.scaling {
        files.push(("scaling-size.svg", plot::over_size(&scaling.size)));
        files.push(("scaling-entries.svg", plot::over_entries(&scaling.entries)));
    }
    for (name, content) in files {
        let path = directory.join(name);
        fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
