//! `ibid compile`: from a module or component to an artifact.

use crate::building::BuildOptions;
use crate::input::{self, is_dash};
use crate::output::{self, Output};
use crate::remote::Remote;
use crate::{Failure, human};
use clap::{Args, ValueEnum};
use ibid::{Options, Report};
use std::path::{Path, PathBuf};

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    build: BuildOptions,

    /// Where the artifact goes; `-` is standard output [default: the input's name with
    /// the extension `cwasm`, in the current directory]
    #[arg(short, long, value_name = "OUT.cwasm")]
    output: Option<PathBuf>,

    /// Say what was found, compiled and spent: for people on standard error, as JSON
    /// on standard output
    #[arg(long, value_name = "FORMAT", num_args = 0..=1, require_equals = true, default_missing_value = "human")]
    stats: Option<Stats>,

    /// Compile every reused function again and compare all its bytes
    #[arg(long)]
    verify: bool,

    /// Also ask and keep Wasmtime's own incremental cache, for functions not found otherwise
    #[arg(long)]
    clif: bool,

    /// The module or component, in the binary or the text format; `-` is standard input
    #[arg(value_name = "IN.wasm|IN.wat")]
    input: PathBuf,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Stats {
    Human,
    Json,
}

pub(crate) fn run(mut arguments: Arguments) -> Result<(), Failure> {
    let output = destination(&arguments)?;
    let engine = input::engine(&mut arguments.build.wasmtime)?;
    let input = input::read_wasm(&arguments.input)?;
    let mut options = Options::default();
    options.clif = arguments.clif;
    options.verify = arguments.verify;
    let builder = arguments.build.builder(&engine, options)?;
    let compilation = builder.build(&arguments.input, &input)?;
    output.write(compilation.artifact())?;
    let report = builder.store(compilation);
    builder.finish();
    print(&report, builder.remote(), arguments.stats, &output)
}

fn destination(arguments: &Arguments) -> Result<Output, Failure> {
    let output = match (&arguments.output, is_dash(&arguments.input)) {
        (Some(path), _) if is_dash(path) => Output::Standard,
        (Some(path), _) => Output::File(path.clone()),
        (None, true) => Output::Standard,
        (None, false) => Output::File(named_after(&arguments.input)?),
    };
    if matches!(output, Output::Standard) {
        if arguments.stats == Some(Stats::Json) {
            return Err(Failure::Usage(
                "the artifact and `--stats=json` cannot both go to standard output; write the artifact to a file with `-o`".into(),
            ));
        }
        if output::standard_output_is_terminal() {
            return Err(Failure::Usage(
                "the artifact is binary and standard output is a terminal; write it to a file with `-o`".into(),
            ));
        }
    }
    Ok(output)
}

/// The artifact's name when none is said: the input's, in the current directory.
pub(crate) fn named_after(input: &Path) -> Result<PathBuf, Failure> {
    let stem = input.file_stem().ok_or_else(|| {
        Failure::Usage(format!(
            "`{}` has no file name to derive the output's from; say it with `-o`",
            input.display()
        ))
    })?;
    Ok(Path::new(stem).with_extension("cwasm"))
}

fn print(
    report: &Report,
    remote: &Remote,
    stats: Option<Stats>,
    output: &Output,
) -> Result<(), Failure> {
    match stats {
        None => {}
        Some(Stats::Human) => {
            eprint!("{}{}", human::report(report, output), remote.lines());
        }
        Some(Stats::Json) => {
            let mut json = serde_json::to_value(report)
                .map_err(|error| Failure::Input(format!("cannot write the report: {error}")))?;
            if let Some(remote) = remote.json() {
                json["remote"] = remote;
            }
            output::print_line(&json.to_string())?;
        }
    }
    Ok(())
}
