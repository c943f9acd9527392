//! `ibid report`: a page that shows what became of every function.

mod page;

use crate::input::{self, is_dash};
use crate::output::Output;
use crate::progress::Progress;
use crate::remote::{Remote, RemoteOptions};
use crate::store::CacheOptions;
use crate::{Failure, warn};
use clap::Args;
use ibid::{Compiler, Options};
use page::Entry;
use std::path::{Path, PathBuf};
use wasmtime_cli_flags::CommonOptions;

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    wasmtime: CommonOptions,

    /// Where the page goes; `-` is standard output
    #[arg(short, long, value_name = "REPORT.html", default_value = "report.html")]
    output: PathBuf,

    #[command(flatten)]
    cache: CacheOptions,

    /// Use no cache: what earlier inputs of this command had is all that is known
    #[arg(long, conflicts_with_all = ["cache", "remote"])]
    no_cache: bool,

    #[command(flatten)]
    remote: RemoteOptions,

    /// Also ask and keep Wasmtime's own incremental cache, for functions not found otherwise
    #[arg(long)]
    clif: bool,

    /// Keep addresses in the keys, as `ibid compile --no-address-slots` does
    #[arg(long)]
    no_address_slots: bool,

    /// The modules or components, in the binary or the text format, in the order in which they
    /// are compiled; `-` is standard input
    #[arg(value_name = "IN.wasm|IN.wat", required = true)]
    inputs: Vec<PathBuf>,
}

pub(crate) fn run(mut arguments: Arguments) -> Result<(), Failure> {
    let engine = input::engine(&mut arguments.wasmtime)?;
    let remote = match arguments.no_cache {
        true => Remote::default(),
        false => arguments.remote.open(&arguments.cache)?,
    };
    let (store, caching) = arguments.cache.store(arguments.no_cache)?;
    let (store, _) = remote.behind(store, caching);

    let progress = Progress::new();
    let mut options = Options::default();
    options.clif = arguments.clif;
    options.address_slots = !arguments.no_address_slots;
    options.details = true;
    options.progress = Some(progress.callback());
    let compiler = Compiler::with_options(&engine, store, options);
    let entries = arguments
        .inputs
        .iter()
        .map(|input| entry(&compiler, input, &progress));
    let entries = entries.collect::<Result<Vec<_>, _>>()?;

    let output = match is_dash(&arguments.output) {
        true => Output::Standard,
        false => Output::File(arguments.output),
    };
    output.write(page::page(&entries)?.as_bytes())?;
    remote.finish(arguments.remote.wait_upload);
    Ok(())
}

/// Compiles one input, and stores what was found out, so that the next one finds it.
fn entry(compiler: &Compiler, input: &Path, progress: &Progress) -> Result<Entry, Failure> {
    let wasm = input::read(input)?;
    progress.begin();
    let compilation = compiler.compile(&wasm);
    progress.finish();
    let compilation = compilation.map_err(|error| input::refused(input, &error))?;
    let details = compilation.details().cloned();
    let artifact_bytes = compilation.artifact().len();
    let report = compilation.store();
    if let Some(reason) = &report.store.last_failure {
        warn(format!("the cache could not be used in full: {reason}"));
    }
    Ok(Entry {
        input: match is_dash(input) {
            true => "standard input".into(),
            false => input.display().to_string(),
        },
        input_bytes: wasm.len(),
        artifact_bytes,
        report,
        details,
    })
}
