//! `ibid cache`: where the cache is, how full it is, and a way to be rid of it.

use crate::{Failure, human, output};
use clap::{Args, Subcommand};
use ibid_store::DiskStore;
use std::path::{Path, PathBuf};

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,

    /// The cache in this directory [default: `ibid` in the user's cache directory]
    #[arg(long, value_name = "DIR", global = true)]
    cache: Option<PathBuf>,
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
    /// Remove the cache
    Clear,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let directory = directory(arguments.cache.as_deref()).map_err(Failure::Input)?;
    match arguments.command {
        Command::Path => output::print_line(&directory.display().to_string()),
        Command::Stats { json } => stats(&directory, json),
        Command::Clear => ibid_store::remove(&directory).map_err(|error| {
            Failure::Input(format!(
                "cannot remove the cache in `{}`: {error}",
                directory.display()
            ))
        }),
    }
}

/// The directory that was asked for, or else the user's.
pub(crate) fn directory(asked: Option<&Path>) -> Result<PathBuf, String> {
    match asked {
        Some(directory) => Ok(directory.to_path_buf()),
        None => ibid_store::default_directory().ok_or_else(|| {
            "there is no cache directory: neither XDG_CACHE_HOME nor HOME is set; say one with `--cache`".into()
        }),
    }
}

fn stats(directory: &Path, json: bool) -> Result<(), Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::Input(error.to_string());
    let store = DiskStore::open(directory).map_err(|error| failed(&error))?;
    let statistics = store.statistics().map_err(|error| failed(&error))?;
    if json {
        return output::print_line(
            &serde_json::json!({
                "path": directory,
                "entries": statistics.entries,
                "older_entries": statistics.older_entries,
                "large_entries": statistics.large_entries,
                "value_bytes": statistics.value_bytes,
                "older_bytes": statistics.older_bytes,
                "large_bytes": statistics.large_bytes,
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
        "{}\n  entries      {} in {}, of which {} in {} are of the older generation\n  artifacts    {} in {}\n  on disk      {} of at most {}",
        directory.display(),
        number(statistics.entries),
        bytes(statistics.value_bytes - statistics.large_bytes),
        number(statistics.older_entries),
        bytes(statistics.older_bytes),
        number(statistics.large_entries),
        bytes(statistics.large_bytes),
        bytes(statistics.bytes_on_disk),
        bytes(statistics.max_bytes),
    ))
}
