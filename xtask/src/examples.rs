//! `cargo xtask examples`: those examples that `cargo test` does not reach, from end to end: the
//! program with a plugin in it, which is a workspace of its own, and those in Python and C.

mod bindings;
mod build_script;
mod c_api;
mod wheel;

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use crate::command;

/// If this is `required`, nothing may be skipped.
const VARIABLE: &str = "IBID_TEST_EXAMPLES";

/// Runs an example, and fails if it does not do what it should.
type Check = fn(&Examples) -> Result<Outcome>;

/// What to run.
#[derive(Debug, Args)]
pub struct ExamplesOptions {
    /// The examples [default: all].
    #[arg(value_name = "NAME", value_parser = ["build-script", "python", "c"])]
    names: Vec<String>,
}

/// What became of an example.
enum Outcome {
    Passed,
    /// Something is missing on this machine.
    Skipped(String),
}

/// Runs the examples, and compares what they say with what they should.
///
/// # Errors
///
/// Fails if an example does, or says something else; and if something is missing that it needs, and
/// the variable `IBID_TEST_EXAMPLES` is `required`.
pub fn run(options: &ExamplesOptions, out: &mut impl Write) -> Result<()> {
    let examples = Examples::new()?;
    let is_required = std::env::var(VARIABLE).is_ok_and(|value| value == "required");
    let all: [(&str, Check); 3] = [
        ("build-script", build_script::check),
        ("python", bindings::python),
        ("c", bindings::c),
    ];
    let wanted = |name: &str| options.names.is_empty() || options.names.iter().any(|n| n == name);
    for (name, check) in all.into_iter().filter(|(name, _)| wanted(name)) {
        let start = Instant::now();
        match check(&examples).with_context(|| format!("examples/{name}"))? {
            Outcome::Passed => {
                let seconds = start.elapsed().as_secs_f64();
                writeln!(out, "examples/{name}: passed, {seconds:.1} s")?;
            }
            Outcome::Skipped(why) if is_required => {
                bail!("examples/{name} cannot run, and must ({VARIABLE}=required): {why}");
            }
            Outcome::Skipped(why) => writeln!(out, "examples/{name}: SKIPPED: {why}")?,
        }
        out.flush()?;
    }
    Ok(())
}

/// What the examples have in common.
struct Examples {
    /// The folder `examples` of the checkout.
    sources: PathBuf,
    /// Where everything goes that is made of them.
    made: PathBuf,
    /// The command, for release.
    ibid: PathBuf,
}

impl Examples {
    fn new() -> Result<Examples> {
        Ok(Examples {
            sources: command::root().join("examples"),
            made: command::target()?.join("examples"),
            ibid: command::build()?,
        })
    }

    /// The folder of an example.
    fn source(&self, name: &str) -> PathBuf {
        self.sources.join(name)
    }

    /// A folder of what is made, empty.
    fn empty(&self, name: &str) -> Result<PathBuf> {
        let folder = self.made.join(name);
        if folder.exists() {
            std::fs::remove_dir_all(&folder)
                .with_context(|| format!("cannot remove `{}`", folder.display()))?;
        }
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("cannot make `{}`", folder.display()))?;
        Ok(folder)
    }

    /// `program`, which has nothing to do with the user's own cache.
    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env("XDG_CACHE_HOME", self.made.join("cache"));
        command
    }
}

/// Says what is missing, if `program` does not run with these arguments.
fn lacks(program: &str, arguments: &[&str], what: &str) -> Option<Outcome> {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    match command.status().is_ok_and(|status| status.success()) {
        true => None,
        false => Some(Outcome::Skipped(format!("there is no {what}"))),
    }
}

/// Fails unless `command` succeeds and prints the line `expected`.
fn ensure_prints(command: &mut Command, expected: &str) -> Result<()> {
    let printed = command::output(command)?;
    ensure!(
        printed.trim_end() == expected,
        "`{}` is printed, and not `{expected}`",
        printed.trim_end()
    );
    Ok(())
}

/// Fails unless `command` fails and says something with `expected` in it on standard error.
fn ensure_refuses(command: &mut Command, expected: &str) -> Result<()> {
    let finished = command.output().context("it does not start")?;
    let said = String::from_utf8_lossy(&finished.stderr);
    ensure!(
        finished.status.code() == Some(1) && said.contains(expected),
        "it was to fail and to say `{expected}`; it ended with {} and said: {said}",
        finished.status
    );
    Ok(())
}
