//! `ibid cache`: where the cache is, how full it is, and how it is kept.

use crate::output::Output;
use crate::store::{CacheOptions, causes, failed};
use crate::{Failure, human, input, output};
use clap::{Args, Subcommand};
use ibid::{Compiler, Options};
use ibid_store::DiskStore;
use std::fs::File;
use std::io::{BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use wasmtime_cli_flags::CommonOptions;

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,

    #[command(flatten)]
    cache: CacheOptions,
}

#[derive(Subcommand)]
enum Command {
    /// Print the cache's directory
    Path,
    /// Print how full the cache is
    Stats {
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Remove what nobody uses any more and what is above the size limit, and give the space back
    Gc {
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Check every entry; the exit code is 1 if one is damaged
    Verify(Box<Verify>),
    /// Remove the cache
    Clear,
    /// Write all entries to a file, for `ibid cache import`
    Export {
        /// The file; `-` is standard output
        file: PathBuf,
    },
    /// Take in the entries of a file that `ibid cache export` wrote: only of one that you trust,
    /// unless its entries are authenticated
    Import {
        /// The file; `-` is standard input
        file: PathBuf,
    },
}

#[derive(Args)]
struct Verify {
    /// Remove the entries that are damaged
    #[arg(long)]
    repair: bool,

    /// Also compile what the cache has of this module or component again, and compare it
    #[arg(long, value_name = "IN.wasm")]
    recompile: Vec<PathBuf>,

    /// Compile only so many functions of each again [default: all]
    #[arg(long, value_name = "N", requires = "recompile")]
    sample: Option<u64>,

    /// Print one JSON object
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    wasmtime: CommonOptions,
}

pub(crate) fn run(arguments: Arguments) -> Result<(), Failure> {
    let cache = &arguments.cache;
    match arguments.command {
        Command::Path => {
            let directory = cache.directory().map_err(Failure::Input)?;
            output::print_line(&directory.display().to_string())
        }
        Command::Stats { json } => stats(cache, json),
        Command::Gc { json } => gc(cache, json),
        Command::Verify(verify) => verify.run(cache),
        Command::Clear => clear(cache),
        Command::Export { file } => export(cache, &file),
        Command::Import { file } => import(cache, &file),
    }
}

fn clear(cache: &CacheOptions) -> Result<(), Failure> {
    let directory = cache.directory().map_err(Failure::Input)?;
    ibid_store::remove(&directory).map_err(|error| {
        Failure::Input(format!(
            "cannot remove the cache in `{}`: {error}",
            directory.display()
        ))
    })
}

fn stats(cache: &CacheOptions, json: bool) -> Result<(), Failure> {
    let (directory, store) = cache.open()?;
    let statistics = store.statistics().map_err(failed)?;
    if json {
        return output::print_line(
            &serde_json::json!({
                "path": directory,
                "entries": statistics.entries,
                "older_entries": statistics.older_entries,
                "dying_entries": statistics.dying_entries,
                "large_entries": statistics.large_entries,
                "value_bytes": statistics.value_bytes,
                "older_bytes": statistics.older_bytes,
                "large_bytes": statistics.large_bytes,
                "releases": statistics.families,
                "releases_out_of_use": statistics.families_out_of_use,
                "bytes_on_disk": statistics.bytes_on_disk,
                "max_bytes": statistics.max_bytes,
                "rotations": statistics.rotations,
            })
            .to_string(),
        );
    }
    let number = human::number;
    let bytes = human::bytes;
    output::print_line(&format!(
        "{}\n  entries      {} in {}, of which {} in {} are of the older generation; {} are on their way out\n  artifacts    {} in {}\n  releases     {}, of which {} are out of use\n  on disk      {} of at most {}",
        directory.display(),
        number(statistics.entries),
        bytes(statistics.value_bytes - statistics.large_bytes),
        number(statistics.older_entries),
        bytes(statistics.older_bytes),
        number(statistics.dying_entries),
        number(statistics.large_entries),
        bytes(statistics.large_bytes),
        number(statistics.families),
        number(statistics.families_out_of_use),
        bytes(statistics.bytes_on_disk),
        bytes(statistics.max_bytes),
    ))
}

fn gc(cache: &CacheOptions, json: bool) -> Result<(), Failure> {
    let directory = cache.directory().map_err(Failure::Input)?;
    let collected = ibid_store::gc(&directory, cache.options()?).map_err(|error| {
        Failure::Input(format!(
            "cannot collect garbage in `{}`: {}",
            directory.display(),
            causes(&error)
        ))
    })?;
    if json {
        return output::print_line(
            &serde_json::json!({
                "evicted": collected.evicted,
                "compacted": collected.compacted,
                "bytes_before": collected.bytes_before,
                "bytes_after": collected.bytes_after,
            })
            .to_string(),
        );
    }
    output::print_line(&format!(
        "{} entries removed; {} on disk, {} before",
        human::number(collected.evicted),
        human::bytes(collected.bytes_after),
        human::bytes(collected.bytes_before),
    ))
}

impl Verify {
    fn run(mut self, cache: &CacheOptions) -> Result<(), Failure> {
        let (_, store) = cache.open()?;
        let verified = store.verify(self.repair).map_err(failed)?;
        let recompiled = self.recompile(store)?;
        if self.json {
            output::print_line(
                &serde_json::json!({
                    "entries": verified.entries,
                    "bytes": verified.bytes,
                    "damaged": verified.damaged,
                    "removed": verified.removed,
                    "functions_recompiled": recompiled,
                })
                .to_string(),
            )?;
        } else {
            let again = match self.recompile.is_empty() {
                true => String::new(),
                false => format!(
                    "; {} functions compiled again, all the same",
                    human::number(recompiled)
                ),
            };
            output::print_line(&format!(
                "{} entries in {} checked: {} damaged, {} removed{again}",
                human::number(verified.entries),
                human::bytes(verified.bytes),
                human::number(verified.damaged),
                human::number(verified.removed),
            ))?;
        }
        match verified.damaged - verified.removed {
            0 => Ok(()),
            damaged => Err(Failure::Input(format!(
                "{} entries are damaged, or were made with another key (`--repair` removes them)",
                human::number(damaged)
            ))),
        }
    }

    /// Compiles what the cache has of the modules again. Says how many functions.
    fn recompile(&mut self, store: DiskStore) -> Result<u64, Failure> {
        if self.recompile.is_empty() {
            return Ok(0);
        }
        let engine = input::engine(&mut self.wasmtime)?;
        let mut options = Options::default();
        options.verify = true;
        options.verify_at_most = self.sample.unwrap_or(u64::MAX);
        let compiler = Compiler::with_options(&engine, Arc::new(store), options);
        let mut functions = 0;
        for path in &self.recompile {
            let compilation = compiler.compile(&input::read(path)?);
            let compilation = compilation.map_err(|error| input::refused(path, &error))?;
            functions += compilation.report().verified.unwrap_or(0);
        }
        Ok(functions)
    }
}

fn export(cache: &CacheOptions, file: &Path) -> Result<(), Failure> {
    let (_, store) = cache.open()?;
    if input::is_dash(file) {
        if output::standard_output_is_terminal() {
            return Err(Failure::Usage(
                "the exported cache is binary and standard output is a terminal; name a file"
                    .into(),
            ));
        }
        let mut out = BufWriter::new(std::io::stdout().lock());
        return store
            .export(&mut out)
            .and_then(|_| out.flush())
            .map_err(|error| Failure::Input(format!("cannot export the cache: {error}")));
    }
    let exported = Output::File(file.to_path_buf()).write_with(|file| {
        let mut file = BufWriter::new(file);
        let exported = store.export(&mut file)?;
        file.flush()?;
        Ok(exported)
    })?;
    output::print_line(&format!("{} entries exported", human::number(exported)))
}

fn import(cache: &CacheOptions, file: &Path) -> Result<(), Failure> {
    let (_, store) = cache.open()?;
    let imported = if input::is_dash(file) {
        store.import(&mut std::io::stdin().lock())
    } else {
        File::open(file).and_then(|file| store.import(&mut BufReader::new(file)))
    };
    let imported = imported
        .map_err(|error| Failure::Input(format!("cannot import {}: {error}", human::name(file))))?;
    let number = human::number;
    let mut line = format!("{} entries imported", number(imported.stored));
    if imported.refused > 0 {
        line += &format!(
            "; {} refused: damaged, or made with another key",
            number(imported.refused)
        );
    }
    if imported.declined > 0 {
        line += &format!("; for {} there was no room", number(imported.declined));
    }
    output::print_line(&line)
}
