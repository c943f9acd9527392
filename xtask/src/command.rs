//! Programs that the chores run, and where things are.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

/// The workspace's root.
pub(crate) fn root() -> PathBuf {
    let chores = Path::new(env!("CARGO_MANIFEST_DIR"));
    chores.parent().unwrap_or(chores).to_path_buf()
}

/// The folder that cargo builds into: this program is in a folder of it.
pub(crate) fn target() -> Result<PathBuf> {
    let this = std::env::current_exe()?;
    let target = this.ancestors().nth(2);
    Ok(target
        .context("this program is in no folder")?
        .to_path_buf())
}

/// Runs `command`, which must succeed. What it says is seen.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot run {}", name(command)))?;
    ensure!(status.success(), "{} failed ({status})", name(command));
    Ok(())
}

/// Runs `command`, which must succeed, and gives what it prints.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let finished = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {}", name(command)))?;
    if !finished.status.success() {
        let said = String::from_utf8_lossy(&finished.stderr);
        bail!(
            "{} failed ({}): {}",
            name(command),
            finished.status,
            said.trim()
        );
    }
    String::from_utf8(finished.stdout).with_context(|| format!("{} printed no text", name(command)))
}

/// What is run, for messages.
fn name(command: &Command) -> String {
    let words = [command.get_program()]
        .into_iter()
        .chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    format!("`{}`", words.join(" "))
}

/// Builds the command `ibid` for release; says where it is.
pub(crate) fn build() -> Result<PathBuf> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--release", "--quiet", "--package", "ibid-cli"]);
    run(&mut cargo).context("the command `ibid` does not build")?;
    let name = format!("ibid{}", std::env::consts::EXE_SUFFIX);
    Ok(target()?.join("release").join(name))
}
