//! `ibid remote`: a cache that machines share, looked after.

use super::numbers::age;
use super::options::RemoteOptions;
use crate::store::{CacheOptions, causes, size};
use crate::{Failure, human, output};
use clap::{Args, Subcommand};
use ibid_remote::{GcOptions, MaintenanceError, SecretKey};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Duration;

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,

    #[command(flatten)]
    remote: RemoteOptions,

    #[command(flatten)]
    cache: CacheOptions,
}

#[derive(Subcommand)]
enum Command {
    /// Make a writer's key: write the secret one to a file, and print the public one
    Keygen {
        /// The new file
        file: PathBuf,
    },
    /// Print the public key that goes with a secret one
    PublicKey {
        /// The file of the secret key
        file: PathBuf,
    },
    /// See whether the remote works and is of trusted writers; the exit code is 1 if not
    Check {
        /// Read every pack, and compare it with what was signed
        #[arg(long)]
        packs: bool,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Print what the remote has
    Stats {
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Remove what is out of date and what nobody needs, and merge what is small
    Gc {
        /// Also remove what was uploaded longer ago than this, as in 30d
        #[arg(long, value_name = "AGE", value_parser = age)]
        max_age: Option<Duration>,
        /// Also remove the oldest until no more than this is left, as in 50GB
        #[arg(long, value_name = "SIZE", value_parser = size)]
        max_size: Option<u64>,
        /// Only say what would be removed
        #[arg(long)]
        dry_run: bool,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    match &arguments.command {
        Command::Keygen { file } => keygen(file),
        Command::PublicKey { file } => {
            let key = SecretKey::from_file(file).map_err(|error| unusable(file, &error))?;
            output::print_line(&key.public().to_string())
        }
        Command::Check { packs, json } => check(arguments, *packs, *json),
        Command::Stats { json } => stats(arguments, *json),
        Command::Gc {
            max_age,
            max_size,
            dry_run,
            json,
        } => {
            let mut options = GcOptions::default();
            options.max_age = *max_age;
            options.max_bytes = *max_size;
            options.dry_run = *dry_run;
            gc(arguments, &options, *json)
        }
    }
}

fn keygen(file: &Path) -> Result<(), Failure> {
    let key = SecretKey::generate().and_then(|key| key.write_to(file).map(|()| key));
    let key = key.map_err(|error| unusable(file, &error))?;
    output::print_line(&key.public().to_string())
}

fn unusable(file: &Path, error: &ibid_remote::KeyError) -> Failure {
    Failure::Input(format!(
        "cannot use `{}` for a key: {}",
        file.display(),
        causes(error)
    ))
}

fn failed(error: MaintenanceError) -> Failure {
    match error {
        MaintenanceError::NoKey => {
            Failure::Usage(format!("{error}: name its file with `--remote-key`"))
        }
        error => Failure::Input(causes(&error)),
    }
}

fn check(arguments: &Arguments, packs: bool, json: bool) -> Result<(), Failure> {
    let store = arguments.remote.required(&arguments.cache)?;
    let findings = store.check(packs).map_err(failed)?;
    let wrong = findings
        .iter()
        .filter(|finding| finding.result.is_err())
        .count();
    if json {
        let findings: Vec<_> = findings
            .iter()
            .map(|finding| {
                let (Ok(said) | Err(said)) = &finding.result;
                json!({ "what": finding.what, "ok": finding.result.is_ok(), "result": said })
            })
            .collect();
        output::print_line(&json!({ "url": store.url(), "findings": findings }).to_string())?;
    } else {
        for finding in &findings {
            let (mark, said) = match &finding.result {
                Ok(said) => ("ok", said),
                Err(said) => ("WRONG", said),
            };
            output::print_line(&format!("{mark:<6} {}: {said}", finding.what))?;
        }
    }
    match wrong {
        0 => Ok(()),
        _ => Err(Failure::Input(format!(
            "{} does not work as it should",
            store.url()
        ))),
    }
}

fn stats(arguments: &Arguments, json: bool) -> Result<(), Failure> {
    let store = arguments.remote.required(&arguments.cache)?;
    let contents = store.contents().map_err(failed)?;
    if json {
        let writers: Vec<_> = contents
            .writers
            .iter()
            .map(|writer| {
                json!({
                    "key": writer.key.map(|key| key.to_string()),
                    "trusted": writer.trusted,
                    "packs": writer.packs,
                    "bytes": writer.bytes,
                })
            })
            .collect();
        return output::print_line(
            &json!({
                "url": store.url(),
                "entries": contents.entries,
                "segments": contents.segments,
                "index_bytes": contents.index_bytes,
                "packs": contents.packs,
                "bytes": contents.bytes,
                "orphans": contents.orphans,
                "missing": contents.missing,
                "refused": contents.refused,
                "expired": contents.expired,
                "damaged": contents.damaged,
                "floor": contents.floor,
                "written": contents.written.map(|(first, last)| json!({ "first": first, "last": last })),
                "writers": writers,
            })
            .to_string(),
        );
    }
    let (number, bytes) = (human::number, human::bytes);
    let mut lines = vec![
        format!("remote     {}", store.url()),
        format!("entries    {}", number(contents.entries)),
        format!(
            "packs      {}, {}",
            number(contents.packs),
            bytes(contents.bytes)
        ),
        format!(
            "index      {} segments, {}",
            number(contents.segments),
            bytes(contents.index_bytes)
        ),
        format!("garbage    collected {} times", number(contents.floor)),
    ];
    for (count, what) in [
        (contents.orphans, "packs that nothing leads to (yet)"),
        (contents.missing, "packs that are gone"),
        (contents.refused, "packs of writers that are not trusted"),
        (contents.expired, "packs out of date"),
        (contents.damaged, "segments damaged"),
    ] {
        if count > 0 {
            lines.push(format!("           {} {what}", number(count)));
        }
    }
    for writer in &contents.writers {
        let name = writer
            .key
            .map_or("nobody (unsigned)".into(), |key| key.to_string());
        let trusted = if writer.trusted { "" } else { ", not trusted" };
        let (packs, size) = (number(writer.packs), bytes(writer.bytes));
        lines.push(format!("writer     {name}: {packs} packs, {size}{trusted}"));
    }
    lines.iter().try_for_each(|line| output::print_line(line))
}

fn gc(arguments: &Arguments, options: &GcOptions, json: bool) -> Result<(), Failure> {
    let store = arguments.remote.required(&arguments.cache)?;
    let gc = store.gc(options).map_err(failed)?;
    if json {
        return output::print_line(
            &json!({
                "url": store.url(),
                "dry_run": options.dry_run,
                "packs_removed": gc.packs_removed,
                "bytes_removed": gc.bytes_removed,
                "orphans_removed": gc.orphans_removed,
                "packs_merged": gc.packs_merged,
                "packs_left": gc.packs_left,
                "bytes_left": gc.bytes_left,
                "segments_before": gc.segments_before,
                "segments_left": gc.segments_left,
                "floor": gc.floor,
            })
            .to_string(),
        );
    }
    let would = if options.dry_run { "would be " } else { "" };
    output::print_line(&format!(
        "{} packs {would}removed ({}), {} small ones {would}merged; {} are left ({}), with {} segments of the index for {}",
        human::number(gc.packs_removed),
        human::bytes(gc.bytes_removed),
        human::number(gc.packs_merged),
        human::number(gc.packs_left),
        human::bytes(gc.bytes_left),
        human::number(gc.segments_left),
        human::number(gc.segments_before),
    ))
}
