//! `cargo xtask bench`: the benchmark, on the corpus.
//!
//! The newest release of each package is measured, and the upgrade to it from the release before.
//! What is measured and how is the business of `ibid-bench`; this chooses the modules and says
//! where things go.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use ibid_bench::remote_model;
use ibid_bench::scaling::{Scaling, over_entries, over_size};
use ibid_bench::scenarios::{self, Settings};
use ibid_bench::store::{self, Stores};
use ibid_bench::{Benchmark, Machine, Subject, report, targets};
use wasmtime::Engine;

use crate::command;
use crate::corpus::{self, Module, Wrapped};

/// Modules above this size are left out of a quick run, in bytes.
const QUICK_MODULE_BYTES: u64 = 6_000_000;

/// Components above this size are measured when all are wanted, in bytes.
const LARGEST_COMPONENT_BYTES: u64 = 20_000_000;

/// The module whose functions make up modules of all sizes.
const SMALL: &str = "quickjs";

/// The module whose functions make up large modules.
const LARGE: &str = "esbuild";

/// The module that is rebuilt over stores of all sizes: the smallest of 5 MB.
const MIDDLE: &str = "astro";

/// What the command line says about the benchmark.
#[derive(Debug, clap::Args)]
pub struct BenchOptions {
    /// Measure the modules, or components, of this name only. Can be given several times.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,

    /// Measure the modules below 5 MB and the largest components as well.
    #[arg(long, conflicts_with = "only")]
    all: bool,

    /// How often each scenario is measured. Compiles that take more than two seconds are measured
    /// three times at most.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,

    /// One round, without the modules above 6 MB, the largest modules and the fullest store.
    #[arg(long)]
    quick: bool,

    /// Measure as well how a rebuild scales with the module's size and with the store's.
    #[arg(long)]
    scaling: bool,

    /// Measure as well the store by itself: with ten million entries, with authentication, and for
    /// Wasmtime's own incremental cache.
    #[arg(long)]
    store: bool,

    /// Simulate as well what a remote on an object store costs fleets of all sizes.
    #[arg(long)]
    remote_model: bool,

    /// Leave out the scenarios.
    #[arg(long)]
    no_scenarios: bool,

    /// Where the report goes, and the stores while it is made.
    #[arg(long, value_name = "DIR", default_value = "target/bench")]
    out: PathBuf,
}

/// Measures the corpus, after fetching what is missing of it; writes the report and prints its
/// Markdown.
///
/// # Errors
///
/// If the corpus cannot be had, the command does not build, something that is measured fails or
/// makes another artifact than Wasmtime, or the report cannot be written.
pub fn run(options: &BenchOptions, out: &mut impl Write) -> Result<()> {
    let started = Instant::now();
    fs::create_dir_all(&options.out)
        .with_context(|| format!("cannot make {}", options.out.display()))?;
    let engine = Engine::default();
    let mut benchmark = Benchmark {
        machine: Machine::this()?,
        modules: Vec::new(),
        scaling: None,
        stores: None,
        remote: None,
    };
    ensure!(
        !options.no_scenarios || options.scaling || options.store || options.remote_model,
        "without the scenarios there is nothing to measure but with `--scaling`, `--store` or \
         `--remote-model`"
    );
    if !options.no_scenarios {
        let (chosen, components) = (options.modules(), options.components());
        let any = !chosen.is_empty() || !components.is_empty();
        ensure!(any, "no module of the corpus is chosen");
        let settings = Settings {
            rounds: options.rounds(),
            directory: options.out.clone(),
            ibid: Some(command::build()?),
        };
        for (older, newer) in chosen {
            let subject = subject(newer, &engine)?;
            let older = older
                .map(|older| self::subject(older, &engine))
                .transpose()?;
            let mut progress = progress(&subject.name, started);
            let outcome =
                scenarios::run(&subject, older.as_ref(), &engine, &settings, &mut progress)?;
            benchmark.modules.push(outcome);
            // What was measured by now is not lost if a later module fails.
            report::write(&benchmark, &options.out)?;
        }
        for wrapped in components {
            let name = format!("{} {}", wrapped.module.name, wrapped.module.version);
            let component = wrapped.component(&read(&wrapped.module)?)?;
            let subject = Subject::new(name, &component, &engine)?;
            let mut progress = progress(&subject.name, started);
            let outcome = scenarios::run(&subject, None, &engine, &settings, &mut progress)?;
            benchmark.modules.push(outcome);
            report::write(&benchmark, &options.out)?;
        }
    }
    if options.scaling {
        benchmark.scaling = Some(options.scaling(&engine, started)?);
    }
    if options.store {
        benchmark.stores = Some(options.stores(&engine, started)?);
    }
    if options.remote_model {
        let mut progress = progress("the remote", started);
        benchmark.remote = Some(remote_model::run(options.quick, &mut progress));
    }
    report::write(&benchmark, &options.out)?;
    write!(out, "{}", report::markdown(&benchmark))?;
    writeln!(out, "\nwritten to {}", options.out.display())?;
    Ok(())
}

impl BenchOptions {
    fn rounds(&self) -> usize {
        if self.quick { 1 } else { self.rounds.into() }
    }

    /// The newest release of each package that is chosen, and the one before if there is one.
    fn modules(&self) -> Vec<(Option<&'static Module>, &'static Module)> {
        newest()
            .into_iter()
            .filter(|(_, newer)| {
                let large = newer.bytes >= targets::LEAST_BYTES as u64;
                let chosen = match self.only.as_slice() {
                    [] => large || self.all,
                    only => only.iter().any(|name| name == newer.name),
                };
                chosen && (!self.quick || newer.bytes <= QUICK_MODULE_BYTES)
            })
            .collect()
    }

    /// The components that are chosen.
    fn components(&self) -> Vec<&'static Wrapped> {
        let chosen = |wrapped: &&Wrapped| match self.only.as_slice() {
            [] => !self.quick && (self.all || wrapped.module.bytes <= LARGEST_COMPONENT_BYTES),
            only => only.iter().any(|name| name == wrapped.module.name),
        };
        corpus::components().iter().filter(chosen).collect()
    }

    fn stores(&self, engine: &Engine, started: Instant) -> Result<Stores> {
        let entries = if self.quick { 200_000 } else { 10_000_000 };
        let (rounds, at) = (self.rounds(), &self.out);
        let entries = store::many_entries(entries, at, &mut progress("the store", started))?;
        let mut stores = Stores {
            entries,
            authentication: Vec::new(),
            for_wasmtime: Vec::new(),
        };
        let modules = if self.quick {
            &[SMALL][..]
        } else {
            &[SMALL, MIDDLE, LARGE]
        };
        for name in modules {
            let subject = subject(named(name)?, engine)?;
            let mut progress = progress(&subject.name, started);
            progress("authentication");
            // Rebuilds are short and their difference is small.
            let authentication = store::authentication(&subject, 10 * rounds, at)?;
            stores.authentication.push(authentication);
            progress("Wasmtime's incremental cache");
            let for_wasmtime = store::for_wasmtime(&subject, rounds.min(3), at)?;
            stores.for_wasmtime.push(for_wasmtime);
        }
        Ok(stores)
    }

    fn scaling(&self, engine: &Engine, started: Instant) -> Result<Scaling> {
        const MB: usize = 1_000_000;
        let (small, large, entries): (&[usize], &[usize], &[u64]) = if self.quick {
            (&[MB / 2, MB, 2 * MB], &[], &[10_000, 100_000])
        } else {
            (
                &[MB / 2, MB, 2 * MB, 5 * MB, 10 * MB, 20 * MB, 50 * MB],
                &[13 * MB, 27 * MB, 50 * MB],
                &[10_000, 100_000, 1_000_000, 10_000_000],
            )
        };
        let (rounds, at) = (self.rounds(), &self.out);
        let mut scaling = Scaling::default();
        for (name, sizes) in [(SMALL, small), (LARGE, large)] {
            if !sizes.is_empty() {
                let wasm = read(named(name)?)?;
                let mut progress = progress("scaling", started);
                let series = over_size(name, &wasm, sizes, rounds, engine, at, &mut progress)?;
                scaling.size.push(series);
            }
        }
        for name in [SMALL, MIDDLE] {
            let subject = subject(named(name)?, engine)?;
            let mut progress = progress(&subject.name, started);
            let series = over_entries(&subject, entries, rounds, engine, at, &mut progress)?;
            scaling.entries.push(series);
        }
        Ok(scaling)
    }
}

/// The newest accepted release of each package, and the one before if there is one.
fn newest() -> Vec<(Option<&'static Module>, &'static Module)> {
    corpus::modules()
        .chunk_by(|a, b| a.package == b.package)
        .filter_map(|releases| {
            let mut accepted = releases.iter().filter(|module| module.accepted);
            let newest = accepted.next_back()?;
            Some((accepted.next_back(), newest))
        })
        .collect()
}

/// The newest release of the package that is called `name` in the corpus.
fn named(name: &str) -> Result<&'static Module> {
    let found = newest().into_iter().find(|(_, newer)| newer.name == name);
    let (_, module) = found.with_context(|| format!("there is no `{name}` in the corpus"))?;
    Ok(module)
}

fn subject(module: &Module, engine: &Engine) -> Result<Subject> {
    let name = format!("{} {}", module.name, module.version);
    Ok(Subject::new(name, &read(module)?, engine)?)
}

/// The module, which is fetched if it is missing.
fn read(module: &Module) -> Result<Vec<u8>> {
    corpus::fetch(std::slice::from_ref(module), &mut io::sink())?;
    let path = corpus::path(module);
    fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
}

/// Says on standard error what comes next.
fn progress(what: &str, started: Instant) -> impl FnMut(&str) + use<'_> {
    move |next| {
        let seconds = started.elapsed().as_secs();
        let line = format!("[{:3}:{:02}] {what}: {next}", seconds / 60, seconds % 60);
        // Nobody who does not read it misses anything.
        let _ = writeln!(io::stderr(), "{line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_modules_for_scaling_are_there() {
        for name in [SMALL, LARGE, MIDDLE] {
            named(name).unwrap();
        }
        let middle = named(MIDDLE).unwrap();
        assert!(middle.bytes >= targets::LEAST_BYTES as u64);
    }

    #[test]
    fn the_newest_release_is_measured_and_upgraded_to() {
        let names: Vec<_> = newest()
            .into_iter()
            .map(|(older, newer)| (older.map(|older| older.version), newer.version))
            .collect();
        assert!(names.contains(&(Some("0.26.2"), "0.26.3")), "{names:?}");
        assert!(names.contains(&(None, "4.2.3")), "{names:?}");
    }
}
