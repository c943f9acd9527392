//! The `ibid` command, for the chores that run it.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Builds the command for release; says where it is.
pub(crate) fn build() -> Result<PathBuf> {
    let status = Command::new(env!("CARGO"))
        .args(["build", "--release", "--quiet", "--package", "ibid-cli"])
        .status()
        .context("cannot run cargo")?;
    ensure!(status.success(), "the command `ibid` does not build");
    let mut ibid = std::env::current_exe()?;
    ibid.set_file_name(format!("ibid{}", std::env::consts::EXE_SUFFIX));
    Ok(ibid)
}
