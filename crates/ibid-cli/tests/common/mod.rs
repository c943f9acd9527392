//! What the tests of the command share.

use std::path::PathBuf;
use std::process::Command;

/// A directory of its own, whose subfolder `cache` is the user's cache directory.
pub(crate) struct Sandbox {
    pub(crate) directory: tempfile::TempDir,
}

impl Sandbox {
    pub(crate) fn new() -> Sandbox {
        Sandbox {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The command, in the sandbox.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ibid"));
        command
            .args(arguments)
            .current_dir(self.directory.path())
            .env("XDG_CACHE_HOME", self.path("cache"))
            .env_remove("RUST_BACKTRACE");
        command
    }
}
