//! The check that ibid's artifacts of the corpus are Wasmtime's own, byte for byte.
//!
//! A package in order, each step a file of its name:
//!
//! ```text
//! subject ──► scenarios ──────► upgrade ────────────► settings ─────► table
//!   Wasmtime's  cold, warm,       each release after    other engines,  a row for each module,
//!   artifact    threads, edited   the other             one store       then one for each upgrade
//! ```
//!
//! A module that Wasmtime refuses goes through `refusal` instead. Every claim that is tested
//! counts as one check, and belongs to one `Cell` of the table.

mod cell;
mod difference;
mod process;
mod refusal;
mod scenarios;
mod settings;
mod subject;
mod table;
mod upgrade;

use std::io::{self, Write};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use wasmtime::Engine;

use self::cell::Cell;
use self::subject::Subject;
use self::table::{Row, Tally};
use self::upgrade::Upgrade;
use super::{Module, fetch, modules};

pub use process::{ProcessOptions, run as run_process};

/// Modules above this size are left out of a quick check, in bytes.
const QUICK_MODULE_BYTES: u64 = 6_000_000;

/// Modules from this size on are checked with the default settings only in a quick check, in
/// bytes.
const QUICK_SETTINGS_BYTES: u64 = 2_000_000;

/// What the command line says about the check.
#[derive(Debug, Default, clap::Args)]
pub struct CheckOptions {
    /// Leave out the modules above 6 MB, and all settings but the default ones for those of
    /// 2 MB or more.
    #[arg(long, requires = "check")]
    quick: bool,

    /// Check the modules of this name only. Can be given several times.
    #[arg(long, value_name = "NAME", requires = "check")]
    only: Vec<String>,
}

/// Checks the corpus, after fetching what is missing of it, and prints the outcome.
///
/// # Errors
///
/// If any check fails, after all are done; if the corpus cannot be had; or if `out` fails.
pub fn run(options: &CheckOptions, out: &mut impl Write) -> Result<()> {
    let started = Instant::now();
    let chosen: Vec<Module> = modules()
        .iter()
        .filter(|m| options.chooses(m))
        .cloned()
        .collect();
    if chosen.is_empty() {
        bail!("no module of the corpus is chosen");
    }
    fetch(&chosen, &mut io::sink())?;

    let engine = Engine::default();
    let mut tally = Tally::default();
    let mut upgrades = Vec::new();
    let columns = table::modules(&chosen);
    writeln!(out, "{}", columns.header())?;
    for package in chosen.chunk_by(|a, b| a.package == b.package) {
        let (rows, of_package) = check_package(options, &engine, package)?;
        for row in rows {
            writeln!(out, "{}", columns.row(&row))?;
            tally.add(&row);
        }
        upgrades.extend(of_package);
        out.flush()?;
    }
    if !upgrades.is_empty() {
        write!(out, "\n{}", table::upgrades(&upgrades))?;
    }
    tally.write(out)?;

    let left_out = modules().len() - chosen.len();
    let took = human(started.elapsed());
    writeln!(
        out,
        "{} modules in {took}, {left_out} left out",
        chosen.len()
    )?;
    writeln!(out, "{} checks, {} failed", tally.checks, tally.failed())?;
    if tally.failed() > 0 {
        bail!("ibid differs from Wasmtime");
    }
    Ok(())
}

impl CheckOptions {
    fn chooses(&self, module: &Module) -> bool {
        let named = self.only.is_empty() || self.only.iter().any(|name| name == module.name);
        // A refusal is quick whatever the size.
        let small = module.bytes <= QUICK_MODULE_BYTES || !module.accepted;
        named && (small || !self.quick)
    }

    fn settings(&self, module: &Module) -> bool {
        !self.quick || module.bytes < QUICK_SETTINGS_BYTES
    }
}

/// Checks all releases of one package.
fn check_package(
    options: &CheckOptions,
    engine: &Engine,
    releases: &[Module],
) -> Result<(Vec<Row>, Vec<Upgrade>)> {
    let (accepted, refused): (Vec<_>, Vec<_>) = releases.iter().partition(|m| m.accepted);

    let mut subjects = Vec::new();
    let mut rows = Vec::new();
    for module in accepted {
        let subject = Subject::new(module, engine)?;
        let mut row = Row::new(module);
        row.extend(scenarios::all(&subject, engine)?);
        subjects.push(subject);
        rows.push(row);
    }

    // While each store knows but one release, and one engine.
    let mut after_other: Vec<Option<Cell>> = subjects.iter().map(|_| None).collect();
    let mut upgrades = Vec::new();
    for (i, pair) in subjects.windows(2).enumerate() {
        for (from, to, place) in [(&pair[0], &pair[1], i + 1), (&pair[1], &pair[0], i)] {
            let newer = place > i;
            let (upgrade, cell) = upgrade::check(from, to, engine, newer);
            upgrades.extend(upgrade);
            after_other[place].get_or_insert_default().merge(cell);
        }
    }

    for ((subject, row), cell) in subjects.iter().zip(&mut rows).zip(after_other) {
        row.push(cell);
        if options.settings(subject.module) {
            row.extend(settings::all(subject, engine)?);
        }
    }
    for module in refused {
        rows.push(refusal::check(module, engine, subjects.last())?);
    }
    Ok((rows, upgrades))
}

fn human(time: Duration) -> String {
    let seconds = time.as_secs();
    format!("{} min {:02} s", seconds / 60, seconds % 60)
}
