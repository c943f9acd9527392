//! The npm client, run as the user has set it up.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail, ensure};

/// The program's name: on Windows npm is a script, which is not found without its extension.
const NPM: &str = if cfg!(windows) { "npm.cmd" } else { "npm" };

/// Succeeds if npm can be run.
pub(super) fn require() -> Result<()> {
    run(Command::new(NPM).arg("--version")).map(drop)
}

/// Fetches the tarball of a package, `spec` being `package@version`.
pub(super) fn pack(spec: &str) -> Result<Vec<u8>> {
    let directory = tempfile::tempdir().context("cannot make a temporary directory")?;
    // Errors only: they tell what went wrong. `--ignore-scripts` because nothing of a package is
    // ever run here.
    run(Command::new(NPM)
        .args(["pack", spec, "--loglevel=error", "--ignore-scripts"])
        .arg("--pack-destination")
        .arg(directory.path()))?;
    only_file(directory.path()).context("`npm pack` left no tarball")
}

fn run(command: &mut Command) -> Result<()> {
    let Output { status, stderr, .. } = match command.stdin(Stdio::null()).output() {
        Ok(output) => output,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            bail!("npm was not found: the corpus is fetched with it, so it must be on the PATH")
        }
        Err(error) => return Err(error).context("cannot run npm"),
    };
    ensure!(
        status.success(),
        "npm failed ({status}): {}",
        reason(&String::from_utf8_lossy(&stderr))
    );
    Ok(())
}

/// The lines of npm's complaint that say what is wrong, without the pointer to a log.
fn reason(stderr: &str) -> String {
    let lines: Vec<_> = stderr
        .lines()
        .filter_map(|line| line.strip_prefix("npm error "))
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with("A complete log"))
        .take(3)
        .collect();
    if lines.is_empty() {
        "it gave no reason".to_owned()
    } else {
        lines.join("; ")
    }
}

/// Reads the one file of a directory, whatever npm called it.
fn only_file(directory: &Path) -> Result<Vec<u8>> {
    let mut entries = fs::read_dir(directory)?;
    let entry = entries.next().context("the directory is empty")??;
    ensure!(entries.next().is_none(), "there is more than one file");
    Ok(fs::read(entry.path())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_npm_says_is_wrong() {
        let stderr = "npm warn Unknown user config\n\
                      npm error code ETARGET\n\
                      npm error notarget No matching version found for a@9.\n\
                      npm error A complete log of this run can be found in: a.log\n";
        assert_eq!(
            reason(stderr),
            "code ETARGET; notarget No matching version found for a@9."
        );
        assert_eq!(reason(""), "it gave no reason");
    }

    #[test]
    fn takes_the_tarball_by_whatever_name() {
        let directory = tempfile::tempdir().unwrap();
        assert!(only_file(directory.path()).is_err());
        fs::write(directory.path().join("a-1.tgz"), b"one").unwrap();
        assert_eq!(only_file(directory.path()).unwrap(), b"one");
        fs::write(directory.path().join("b-1.tgz"), b"two").unwrap();
        assert!(only_file(directory.path()).is_err());
    }
}
