//! The check of components: modules of the corpus, made components with Wasmtime's adapter of WASI
//! preview 1, compiled in the situations that a build meets.
//!
//! Every artifact is compared with Wasmtime's. What is compiled is counted, and one function is
//! all that may be compiled after one was edited.

use super::{Wrapped, components, fetch, path};
use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use ibid::{Compiler, MemoryStore, Options, Report};
use ibid_bench::edits::Edit;
use std::fs;
use std::io::{self, Write};
use std::sync::Arc;
use wasmtime::Engine;

/// Which components are checked.
#[derive(Debug, Clone, Args)]
pub struct ComponentOptions {
    /// Check the component of this name only. Can be given several times.
    #[arg(long, value_name = "NAME")]
    component: Vec<String>,
}

/// Checks the components that are chosen, and prints a row for each.
///
/// # Errors
///
/// If a check fails, the corpus cannot be had, or `out` fails.
pub fn check(options: &ComponentOptions, out: &mut impl Write) -> Result<()> {
    let named = |wrapped: &&Wrapped| {
        let only = &options.component;
        only.is_empty() || only.iter().any(|name| name == wrapped.module.name)
    };
    let chosen: Vec<&Wrapped> = components().iter().filter(named).collect();
    ensure!(!chosen.is_empty(), "no component of the corpus is chosen");
    let modules: Vec<_> = chosen.iter().map(|one| one.module.clone()).collect();
    fetch(&modules, &mut io::sink())?;
    writeln!(
        out,
        "{:<16} {:>6} {:>10} {:>10} {:>8} {:>8} {:>8} {:>8}",
        "component", "MB", "functions", "trampolines", "warm", "edited", "inserted", "alone"
    )?;
    for wrapped in chosen {
        let row = row(wrapped).with_context(|| wrapped.module.file_name())?;
        writeln!(out, "{row}")?;
        out.flush()?;
    }
    writeln!(out, "every artifact is Wasmtime's")?;
    Ok(())
}

fn row(wrapped: &Wrapped) -> Result<String> {
    let module = fs::read(path(&wrapped.module))?;
    let component = wrapped.component(&module)?;
    let engine = Engine::default();

    let checked = Checked::new(&engine, false);
    let cold = checked.compile(&component)?;
    let warm = checked.compile(&component)?;
    ensure!(compiled(&warm) == 0, "compiled again: {warm:?}");
    let edited = Edit::Constant.apply(&component, 1)?;
    let one = checked.compile(&edited)?;
    ensure!(compiled(&one) == 1, "after the edit of one body: {one:?}");
    let inserted = checked.compile(&Edit::FunctionAtFront.apply(&component, 1)?)?;

    let reloading = Checked::new(&engine, true);
    reloading.compile(&component)?;
    let reloaded = reloading.compile(&edited)?;
    ensure!(compiled(&reloaded) == 1, "hot reload: {reloaded:?}");

    // What the component still needs when its module was compiled alone.
    let alone = Checked::new(&engine, false);
    alone.compile(&module)?;
    let shared = alone.compile(&component)?;

    Ok(format!(
        "{:<16} {:>6.1} {:>10} {:>10} {:>8} {:>8} {:>8} {:>8}",
        wrapped.module.name,
        component.len() as f64 / 1e6,
        cold.functions.total,
        cold.trampolines.total,
        compiled(&warm),
        compiled(&one),
        compiled(&inserted),
        shared.functions.compiled,
    ))
}

fn compiled(report: &Report) -> u64 {
    report.functions.compiled + report.trampolines.compiled
}

/// A compiler whose artifacts are compared with Wasmtime's.
struct Checked<'e> {
    engine: &'e Engine,
    compiler: Compiler,
}

impl<'e> Checked<'e> {
    fn new(engine: &'e Engine, hot_reload: bool) -> Self {
        let mut options = Options::default();
        options.whole_artifacts = false;
        options.hot_reload = hot_reload;
        let store = Arc::new(MemoryStore::new());
        Checked {
            engine,
            compiler: Compiler::with_options(engine, store, options),
        }
    }

    fn compile(&self, wasm: &[u8]) -> Result<Report> {
        let compilation = self.compiler.compile(wasm)?;
        let plain = if wasmparser::Parser::is_component(wasm) {
            self.engine.precompile_component(wasm)?
        } else {
            self.engine.precompile_module(wasm)?
        };
        ensure!(
            compilation.artifact() == plain,
            "the artifact is not Wasmtime's"
        );
        let report = compilation.store();
        if let Some(reason) = &report.plain {
            bail!("compiled plainly: {reason}");
        }
        Ok(report)
    }
}
