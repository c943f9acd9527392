//! Programs that the chores run, and where things are.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

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

/// The program `name`: as `.ci/run` installs it, among the project's own tools, or else whichever
/// there is.
pub(crate) fn tool(name: &str) -> PathBuf {
    let ours = root().join("target/tools/bin").join(name);
    if ours.is_file() { ours } else { name.into() }
}

/// What cargo says of the workspace at `folder`.
pub(crate) fn metadata(folder: &Path, arguments: &[&str]) -> Result<Value> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["metadata", "--locked", "--quiet", "--format-version", "1"])
        .args(arguments)
        .current_dir(folder);
    Ok(serde_json::from_str(&output(&mut cargo)?)?)
}

/// The crates that `package` of the workspace at `folder` depends on by `edges`, a line for each as
/// `format` says. Where one is there again, a line ends in ` (*)`.
pub(crate) fn tree(folder: &Path, package: &str, edges: &str, format: &str) -> Result<String> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["tree", "--locked", "--prefix", "none"])
        .args(["--package", package, "--edges", edges, "--format", format])
        .current_dir(folder);
    output(&mut cargo)
}

/// The file at `path`, as text.
pub(crate) fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Crates that a package is built from, each with its features.
    fn built_from(package: &str) -> Result<BTreeSet<String>> {
        let tree = tree(&root(), package, "normal,build", "{p} {f}")?;
        let lines = tree.lines().map(|line| line.trim_end_matches(" (*)"));
        Ok(lines.map(str::to_string).collect())
    }

    /// Otherwise whoever runs a chore that needs the command waits for Wasmtime to be built twice.
    #[test]
    fn the_chores_and_the_command_share_what_they_are_built_from() -> Result<()> {
        let (chores, command) = (built_from("xtask")?, built_from("ibid-cli")?);
        let twice: Vec<_> = command.difference(&chores).collect();
        assert!(twice.is_empty(), "built once for each: {twice:#?}");
        Ok(())
    }
}
