//! `ibid report`: a page that shows what became of every function.

mod page;

use crate::Failure;
use crate::building::{BuildOptions, Builder};
use crate::input::{self, is_dash};
use crate::output::Output;
use clap::Args;
use ibid::Options;
use page::Entry;
use std::path::{Path, PathBuf};

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    build: BuildOptions,

    /// Where the page goes; `-` is standard output
    #[arg(short, long, value_name = "REPORT.html", default_value = "report.html")]
    output: PathBuf,

    /// Also ask and keep Wasmtime's own incremental cache, for functions not found otherwise
    #[arg(long)]
    clif: bool,

    /// The modules or components, in the binary or the text format, in the order in which they
    /// are compiled; `-` is standard input
    #[arg(value_name = "IN.wasm|IN.wat", required = true)]
    inputs: Vec<PathBuf>,
}

pub(crate) fn run(mut arguments: Arguments) -> Result<(), Failure> {
    let engine = input::engine(&mut arguments.build.wasmtime)?;
    let mut options = Options::default();
    options.clif = arguments.clif;
    options.details = true;
    let builder = arguments.build.builder(&engine, options)?;
    let entries = arguments.inputs.iter().map(|input| entry(&builder, input));
    let entries = entries.collect::<Result<Vec<_>, _>>()?;

    let output = match is_dash(&arguments.output) {
        true => Output::Standard,
        false => Output::File(arguments.output),
    };
    output.write(page::page(&entries)?.as_bytes())?;
    builder.finish();
    Ok(())
}

/// Compiles one input, and stores what was found out, so that the next one finds it.
fn entry(builder: &Builder, input: &Path) -> Result<Entry, Failure> {
    let wasm = input::read(input)?;
    let compilation = builder.build(input, &wasm)?;
    let details = compilation.details().cloned();
    let artifact_bytes = compilation.artifact().len();
    let report = builder.store(compilation);
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
