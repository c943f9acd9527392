//! `ibid run --watch`: the program, started again whenever its file changes.
//!
//! The program runs in a process of its own, which can be ended wherever it is. This process
//! compiles, with all that it remembers, and hands the other one the artifact.

use crate::building::Builder;
use crate::run::Arguments;
use crate::watch::follow::{Build, follow};
use crate::watch::program::{Kind, Program};
use crate::watch::stop::{Stop, lock};
use crate::{Failure, watch};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use wasmtime::Engine;

pub(crate) fn run(arguments: &Arguments, engine: &Engine) -> Result<(), Failure> {
    let path = arguments.file();
    watch::watchable(path)?;
    let directory = tempfile::Builder::new().prefix("ibid-run-").tempdir();
    let directory = directory.map_err(|error| {
        Failure::Input(format!("cannot make a directory for the artifact: {error}"))
    })?;
    let this = std::env::current_exe()
        .map_err(|error| Failure::Input(format!("cannot find this command's own file: {error}")))?;
    let program = Arc::new(Mutex::new(Program::new(Kind::Guest)));
    let mut build = Restart {
        builder: watch::builder(&arguments.build, engine)?,
        input: path.to_path_buf(),
        directory,
        this,
        program: program.clone(),
    };
    let followed = follow(path, &mut build, &program);
    lock(&program).stop();
    build.builder.finish();
    followed
}

struct Restart {
    builder: Builder,
    input: PathBuf,
    /// Where the artifact is.
    directory: TempDir,
    this: PathBuf,
    program: Arc<Mutex<Program>>,
}

impl Build for Restart {
    fn build(&mut self, wasm: &[u8], stop: &Stop) -> Result<(), Failure> {
        let artifact = self.directory.path().join("program.cwasm");
        watch::rebuild(&self.builder, &self.input, wasm, &artifact, stop)?;
        let mut command = Command::new(&self.this);
        command.args(with_artifact(std::env::args_os().skip(1), &artifact));
        lock(&self.program).restart(command)
    }

    fn is_there(&self) -> bool {
        true
    }
}

/// This command line, for the process that runs `artifact`.
fn with_artifact(arguments: impl Iterator<Item = OsString>, artifact: &Path) -> Vec<OsString> {
    let mut out = Vec::new();
    let mut before = true;
    let mut is_value = false;
    for argument in arguments {
        // Before the name of the subcommand there are options, and one that takes a value.
        let is_name = before && !is_value && !argument.as_encoded_bytes().starts_with(b"-");
        is_value = argument == "--color";
        out.push(argument);
        if is_name {
            before = false;
            out.extend(["--artifact".into(), artifact.into()]);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_artifact_is_said_behind_the_subcommand() {
        for (line, with) in [
            ("run --watch a b", "run --artifact X --watch a b"),
            (
                "-v --color always run a run",
                "-v --color always run --artifact X a run",
            ),
            ("--color=never run a", "--color=never run --artifact X a"),
        ] {
            let arguments = line.split(' ').map(OsString::from);
            let expected: Vec<OsString> = with.split(' ').map(OsString::from).collect();
            assert_eq!(with_artifact(arguments, Path::new("X")), expected);
        }
    }
}
