//! `cargo xtask figures`: the table of the README, measured.
//!
//! Each upgrade pair of the corpus is compiled by Wasmtime and by ibid, over a store on disk, in
//! one run and taking turns. Times are wall-clock, from bytes in memory to the artifact in memory;
//! writing the store comes after that and has a column of its own. Every artifact is compared.

use std::fs;
use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, ensure};
use ibid::{CacheStore, Compiler, Options};
use ibid_store::DiskStore;
use wasmtime::Engine;

use crate::corpus::{self, Module, check};

/// How often each figure is measured; the median counts.
const RUNS: usize = 3;

/// Measures the pairs of the packages `only`, or all of them if there are none.
///
/// # Errors
///
/// Fails if a module cannot be fetched or an artifact is not Wasmtime's.
pub fn run(only: &[String], out: &mut impl Write) -> Result<()> {
    let pairs: Vec<_> = corpus::pairs()
        .into_iter()
        .filter(|(_, new)| only.is_empty() || only.iter().any(|name| name == new.name))
        .collect();
    for (old, new) in &pairs {
        for module in [*old, *new] {
            corpus::fetch(std::slice::from_ref(module), &mut std::io::sink())?;
        }
    }
    writeln!(
        out,
        "| module | wasm | Wasmtime | empty cache | + store | unchanged | known whole | one function more | upgrade | code reused |"
    )?;
    writeln!(out, "|---|---|---|---|---|---|---|---|---|---|")?;
    for (old, new) in pairs {
        writeln!(out, "{}", row(old, new)?)?;
        out.flush()?;
    }
    Ok(())
}

fn row(old: &Module, new: &Module) -> Result<String> {
    let (old_wasm, wasm) = (fs::read(corpus::path(old))?, fs::read(corpus::path(new))?);
    let inserted = check::insert_function_at_front(&wasm)?.wasm;
    let engine = Engine::default();
    let mut runs = Runs::default();
    for _ in 0..RUNS {
        let start = Instant::now();
        let plain = engine.precompile_module(&wasm)?;
        runs.plain.push(start.elapsed().as_secs_f64() * 1e3);
        runs.measure(&engine, &old_wasm, &wasm, &inserted, &plain)?;
    }
    let plain = median(&mut runs.plain);
    let percent = |values: &mut Vec<f64>| format!("{:.1} %", 100.0 * median(values) / plain);
    Ok(format!(
        "| {} {} | {:.1} MB | {:.0} ms | {} | {} | {} | {} | {} | {} | {:.0} % |",
        new.package,
        new.version,
        new.bytes as f64 / 1e6,
        plain,
        percent(&mut runs.cold),
        percent(&mut runs.store),
        percent(&mut runs.unchanged),
        percent(&mut runs.whole),
        percent(&mut runs.inserted),
        percent(&mut runs.upgrade),
        100.0 * median(&mut runs.reused),
    ))
}

/// Milliseconds by scenario, and the share of code that an upgrade found.
#[derive(Default)]
struct Runs {
    plain: Vec<f64>,
    cold: Vec<f64>,
    store: Vec<f64>,
    unchanged: Vec<f64>,
    whole: Vec<f64>,
    inserted: Vec<f64>,
    upgrade: Vec<f64>,
    reused: Vec<f64>,
}

impl Runs {
    fn measure(
        &mut self,
        engine: &Engine,
        old: &[u8],
        new: &[u8],
        inserted: &[u8],
        plain: &[u8],
    ) -> Result<()> {
        let fresh = || -> Result<(tempfile::TempDir, Arc<dyn CacheStore>)> {
            let folder = tempfile::tempdir()?;
            let store = Arc::new(DiskStore::open(folder.path())?);
            Ok((folder, store))
        };
        let functions = |store: &Arc<dyn CacheStore>| {
            let mut options = Options::default();
            options.whole_artifacts = false;
            Compiler::with_options(engine, store.clone(), options)
        };
        let (_folder, store) = fresh()?;
        let compiler = functions(&store);
        let report = compile(&compiler, new, Some(plain))?;
        self.cold.push(report.time_ms.total);
        self.store.push(report.time_ms.store);
        self.unchanged
            .push(compile(&compiler, new, Some(plain))?.time_ms.total);
        self.inserted
            .push(compile(&compiler, inserted, None)?.time_ms.total);
        let whole = Compiler::with_options(engine, store.clone(), Options::default());
        compile(&whole, new, Some(plain))?;
        compile(&whole, new, Some(plain))?;
        let report = compile(&whole, new, Some(plain))?;
        ensure!(report.whole_artifact, "a third sight is known whole");
        self.whole.push(report.time_ms.total);

        let (_folder, store) = fresh()?;
        let compiler = functions(&store);
        compile(&compiler, old, None)?;
        let report = compile(&compiler, new, Some(plain))?;
        self.upgrade.push(report.time_ms.total);
        self.reused
            .push(report.code_bytes.reused as f64 / report.code_bytes.total as f64);
        Ok(())
    }
}

fn compile(compiler: &Compiler, wasm: &[u8], plain: Option<&[u8]>) -> Result<ibid::Report> {
    let compilation = compiler.compile(wasm)?;
    if let Some(plain) = plain {
        ensure!(
            compilation.artifact() == plain,
            "the artifact is not Wasmtime's"
        );
    }
    Ok(compilation.store())
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
