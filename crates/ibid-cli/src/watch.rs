//! `ibid watch`: an artifact that follows its module.

pub(crate) mod changes;
pub(crate) mod follow;
pub(crate) mod program;
pub(crate) mod stop;

use crate::building::{BuildOptions, Builder};
use crate::output::Output;
use crate::{Failure, compile, human, input, messages};
use clap::Args;
use follow::{Build, follow};
use ibid::{Options, Report};
use program::{Kind, Program};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Instant;
use stop::{Stop, lock};
use wasmtime::Engine;

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    build: BuildOptions,

    /// Where the artifact goes [default: the input's name with the extension `cwasm`, in the
    /// current directory]
    #[arg(short, long, value_name = "OUT.cwasm")]
    output: Option<PathBuf>,

    /// Run this command, in a shell, after each success. One that still runs is ended first, with
    /// all that it started. Its standard input is empty
    #[arg(short = 'x', long, value_name = "COMMAND")]
    exec: Option<String>,

    /// The module or component, in the binary or the text format
    #[arg(value_name = "IN.wasm|IN.wat")]
    input: PathBuf,
}

pub(crate) fn run(mut arguments: Arguments) -> Result<(), Failure> {
    let path = arguments.input.clone();
    watchable(&path)?;
    let output = match arguments.output.take() {
        Some(path) if input::is_dash(&path) => {
            return Err(Failure::Usage(
                "an artifact that changes cannot go to standard output; name a file with `-o`"
                    .into(),
            ));
        }
        Some(output) => output,
        None => compile::named_after(&path)?,
    };
    let engine = input::engine(&mut arguments.build.wasmtime)?;
    let program = Arc::new(Mutex::new(Program::new(Kind::Command)));
    let mut build = Artifact {
        builder: builder(&arguments.build, &engine)?,
        input: path.clone(),
        output: output.clone(),
        exec: arguments.exec.take(),
        program: program.clone(),
    };
    messages::tell(
        "watching",
        format_args!(" `{}`; Ctrl-C ends it", path.display()),
    );
    let followed = follow(&path, &mut build, &program);
    lock(&program).stop();
    build.builder.finish();
    followed
}

/// The artifact, and the command that runs with it.
struct Artifact {
    builder: Builder,
    input: PathBuf,
    output: PathBuf,
    exec: Option<String>,
    program: Arc<Mutex<Program>>,
}

impl Build for Artifact {
    fn build(&mut self, wasm: &[u8], stop: &Stop) -> Result<(), Failure> {
        rebuild(&self.builder, &self.input, wasm, &self.output, stop)?;
        match &self.exec {
            Some(command) => lock(&self.program).restart(shell(command)),
            None => Ok(()),
        }
    }

    fn is_there(&self) -> bool {
        self.output.exists()
    }
}

/// Refuses what cannot be watched.
pub(crate) fn watchable(path: &Path) -> Result<(), Failure> {
    match input::is_dash(path) {
        true => Err(Failure::Usage(
            "standard input cannot be watched; name a file".into(),
        )),
        false => Ok(()),
    }
}

/// A builder that remembers what it has built.
pub(crate) fn builder(build: &BuildOptions, engine: &Engine) -> Result<Builder, Failure> {
    let mut options = Options::default();
    options.hot_reload = true;
    build.builder(engine, options)
}

/// Builds `wasm`, which was read from `input`, writes the artifact to `output`, and says in a line
/// what came of it.
pub(crate) fn rebuild(
    builder: &Builder,
    input: &Path,
    wasm: &[u8],
    output: &Path,
    stop: &Stop,
) -> Result<(), Failure> {
    let start = Instant::now();
    let built = stop.interruptible(|| builder.build(input, wasm));
    let compilation = built?;
    Output::File(output.to_path_buf()).write(compilation.artifact())?;
    say(start.elapsed().as_secs_f64() * 1e3, compilation.report());
    // What was found out goes to the cache behind this.
    compilation.into_artifact();
    builder.say_failures();
    Ok(())
}

fn say(milliseconds: f64, report: &Report) {
    let what = what_happened(report);
    messages::tell(human::duration(milliseconds), format_args!(" · {what}"));
}

fn what_happened(report: &Report) -> String {
    match &report.plain {
        Some(reason) => format!("compiled plainly: {reason}"),
        None => format!(
            "{} of {} functions compiled",
            human::number(report.functions.compiled),
            human::number(report.functions.total)
        ),
    }
}

/// `command` in the system's shell.
fn shell(command: &str) -> Command {
    let (shell, flag) = match cfg!(windows) {
        true => ("cmd", "/C"),
        false => ("sh", "-c"),
    };
    let mut shell = Command::new(shell);
    shell.args([flag, command]).stdin(Stdio::null());
    shell
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_is_one_line() {
        let mut report = Report::default();
        report.functions.total = 12_911;
        report.functions.compiled = 3;
        assert_eq!(what_happened(&report), "3 of 12,911 functions compiled");
        report.plain = Some("of a reason".into());
        assert_eq!(what_happened(&report), "compiled plainly: of a reason");
    }
}
