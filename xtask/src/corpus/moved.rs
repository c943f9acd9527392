//! The check of upgrades: of each pair of releases, both ways, every function that is reused or
//! was compiled with address slots is compiled again and compared, and both artifacts are
//! Wasmtime's own.

use std::io::{self, Write};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail, ensure};
use ibid::{Compiler, MemoryStore, Options, Report};
use wasmtime::Engine;

use super::{Module, fetch, pairs, path, upgrades};

/// What the command line says about the check.
#[derive(Debug, Default, clap::Args)]
pub struct MovedOptions {
    /// Check the pairs of this name only. Can be given several times.
    #[arg(long = "pair", value_name = "NAME", requires = "upgrades")]
    pairs: Vec<String>,
}

/// Checks every pair, after fetching what is missing, and prints a row for each.
///
/// # Errors
///
/// If any function or artifact differs, after all pairs are done; if a module cannot be had; or if
/// `out` fails.
pub fn check(options: &MovedOptions, out: &mut impl Write) -> Result<()> {
    let chosen: Vec<(&Module, &Module)> = pairs()
        .into_iter()
        .chain(upgrades())
        .filter(|(older, _)| {
            options.pairs.is_empty() || options.pairs.iter().any(|name| name == older.name)
        })
        .collect();
    ensure!(!chosen.is_empty(), "no pair is chosen");
    let modules: Vec<Module> = chosen
        .iter()
        .flat_map(|(older, newer)| [(*older).clone(), (*newer).clone()])
        .collect();
    fetch(&modules, &mut io::sink())?;
    writeln!(
        out,
        "{:<12} {:<26} {:>9} {:>9} {:>9} {:>10} {:>10}",
        "name", "upgrade", "reused", "slots", "compiled", "verified", ""
    )?;
    let mut tally = Tally::default();
    let engine = Engine::default();
    for (older, newer) in chosen {
        let [older, newer] = [older, newer].map(|module| Subject::of(&engine, module));
        let (older, newer) = (older?, newer?);
        for (from, to) in [(&older, &newer), (&newer, &older)] {
            let row = upgrade(&engine, from, to);
            tally.add(&row);
            let name = from.module.name;
            let versions = format!("{} -> {}", from.module.version, to.module.version);
            match row {
                Ok(report) => writeln!(
                    out,
                    "{name:<12} {versions:<26} {:>7.1} % {:>7.1} % {:>9} {:>10} {:>10}",
                    share(report.code_bytes.reused, &report),
                    share(report.address_slots.code_bytes, &report),
                    report.functions.compiled,
                    report.verified.unwrap_or(0),
                    "identical",
                )?,
                Err(error) => writeln!(out, "{name:<12} {versions:<26} FAILED: {error:#}")?,
            }
            out.flush()?;
        }
    }
    writeln!(
        out,
        "{} upgrades, {} functions compared, {} of them found through address slots, {} failed",
        tally.upgrades, tally.verified, tally.slotted, tally.failed
    )?;
    if tally.failed > 0 {
        bail!("{} upgrades failed", tally.failed);
    }
    Ok(())
}

/// A module, and what Wasmtime makes of it.
struct Subject<'m> {
    module: &'m Module,
    wasm: Vec<u8>,
    plain: Vec<u8>,
}

impl<'m> Subject<'m> {
    fn of(engine: &Engine, module: &'m Module) -> Result<Subject<'m>> {
        let path = path(module);
        let wasm = std::fs::read(&path).with_context(|| path.display().to_string())?;
        let plain = engine.precompile_module(&wasm);
        let plain = plain.map_err(|error| anyhow!("{}: {error:#}", path.display()))?;
        Ok(Subject {
            module,
            wasm,
            plain,
        })
    }

    /// Compiles the module, and compares the artifact. `verify`: every function too.
    fn compile(&self, engine: &Engine, store: &Arc<MemoryStore>, verify: bool) -> Result<Report> {
        let mut options = Options::default();
        options.whole_artifacts = false;
        options.verify = verify;
        let compiler = Compiler::with_options(engine, store.clone(), options);
        let compilation = compiler.compile(&self.wasm);
        let compilation = compilation.map_err(|error| anyhow!("{error:#}"))?;
        ensure!(
            compilation.artifact() == self.plain,
            "the artifact of {} is not Wasmtime's",
            self.module.version
        );
        Ok(compilation.store())
    }
}

/// Compiles `from`, then `to` over the same store.
fn upgrade(engine: &Engine, from: &Subject<'_>, to: &Subject<'_>) -> Result<Report> {
    let store = Arc::new(MemoryStore::new());
    from.compile(engine, &store, false)?;
    to.compile(engine, &store, true)
}

fn share(bytes: u64, report: &Report) -> f64 {
    100.0 * bytes as f64 / report.code_bytes.total.max(1) as f64
}

#[derive(Default)]
struct Tally {
    upgrades: u64,
    verified: u64,
    slotted: u64,
    failed: u64,
}

impl Tally {
    fn add(&mut self, row: &Result<Report>) {
        self.upgrades += 1;
        match row {
            Ok(report) => {
                self.verified += report.verified.unwrap_or(0);
                self.slotted += report.address_slots.functions;
            }
            Err(_) => self.failed += 1,
        }
    }
}
