//! What the tests of the command share.
#![allow(dead_code, reason = "each test uses some of it")]

use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, Output};

/// A directory of its own, whose subfolder `cache` is the user's cache directory.
pub(crate) struct Sandbox {
    pub(crate) directory: tempfile::TempDir,
    /// What the command finds in its environment besides.
    pub(crate) environment: Vec<(&'static str, &'static str)>,
}

impl Sandbox {
    pub(crate) fn new() -> Sandbox {
        Sandbox {
            directory: tempfile::tempdir().unwrap(),
            environment: Vec::new(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, contents).unwrap();
        path
    }

    /// The command, in the sandbox.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ibid"));
        command
            .args(arguments)
            .current_dir(self.directory.path())
            .env("XDG_CACHE_HOME", self.path("cache"))
            .env_remove("RUST_BACKTRACE")
            .envs(self.environment.iter().copied());
        command
    }

    /// Runs the command.
    pub(crate) fn ibid(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs the command, which succeeds and says something on standard output.
    #[track_caller]
    pub(crate) fn says(&self, arguments: &[&str]) -> String {
        stdout(succeeds(&self.ibid(arguments)))
    }

    #[track_caller]
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.says(arguments)).expect("one JSON object")
    }
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[track_caller]
pub(crate) fn succeeds(output: &Output) -> &Output {
    assert!(output.status.success(), "{}", stderr(output));
    output
}

/// The command ended with `code`, and said why.
#[track_caller]
pub(crate) fn fails(output: &Output, code: i32, message: &str) {
    let said = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(message), "{said}");
    assert!(!said.contains("panicked"), "{said}");
}

/// The artifact that Wasmtime makes.
pub(crate) fn plain(text: &str) -> Vec<u8> {
    wasmtime::Engine::default()
        .precompile_module(text.as_bytes())
        .unwrap()
}
