//! The scenario of another process: this program, started again over the same store.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use ibid_store::DiskStore;
use wasmtime::Engine;

use super::cell::{Cell, Kind};
use super::subject::{Subject, compiler, read};

/// The name of the subcommand that the other process is started with.
const SUBCOMMAND: &str = "corpus-check-process";

/// What the other process is told.
#[derive(Debug, clap::Args)]
pub struct ProcessOptions {
    /// The module.
    wasm: PathBuf,
    /// The store's directory.
    store: PathBuf,
    /// Where the artifact goes.
    artifact: PathBuf,
}

/// Compiles one module over a store, writes the artifact, and prints how many functions and
/// trampolines were compiled: the other process's part of the check.
///
/// # Errors
///
/// If the module, the store or the artifact's place cannot be used.
pub fn run(options: &ProcessOptions) -> Result<()> {
    let wasm = read(&options.wasm)?;
    let store = Arc::new(DiskStore::open(&options.store)?);
    let compiler = compiler(&Engine::default(), store);
    let compilation = compiler.compile(&wasm).map_err(anyhow::Error::from)?;
    let report = compilation.report();
    ensure!(
        report.plain.is_none(),
        "compiled the plain way: {:?}",
        report.plain
    );
    println!(
        "{} {}",
        report.functions.compiled, report.trampolines.compiled
    );
    std::fs::write(&options.artifact, compilation.into_artifact())?;
    Ok(())
}

/// Starts the other process over the subject's store, which must know all of the module.
pub(super) fn check(subject: &Subject<'_>) -> Cell {
    Cell::of(|cell| {
        let artifact = tempfile::NamedTempFile::new()?;
        let output = Command::new(std::env::current_exe()?)
            .arg(SUBCOMMAND)
            .args([&subject.path, subject.directory.path(), artifact.path()])
            .stderr(Stdio::inherit())
            .output()?;
        cell.claim(output.status.success(), Kind::Error, || {
            output.status.to_string()
        });
        if output.status.success() {
            let counts = String::from_utf8(output.stdout)?;
            let (functions, trampolines) = counts
                .trim()
                .split_once(' ')
                .context("two numbers are expected")?;
            cell.all_found(functions.parse()?, trampolines.parse()?);
            cell.same(&read(artifact.path())?, &subject.plain);
        }
        Ok(())
    })
}
