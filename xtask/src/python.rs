//! Packages from PyPI, in environments of their own.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::command;

/// Makes sure that there is an environment at `place` with what the file `requirements` asks for.
/// That has to give the digests of all of it.
pub(crate) fn environment(place: &Path, requirements: &Path) -> Result<()> {
    let wanted = command::read(requirements)?;
    // What it was made from, once it is made.
    let mark = place.join("requirements.txt");
    if command::read(&mark).is_ok_and(|made| made == wanted) {
        return Ok(());
    }
    let mut make = Command::new("python3");
    make.args(["-m", "venv", "--clear"]).arg(place);
    command::output(&mut make)
        .context("Python makes no environment: it needs its module `venv`")?;
    let mut install = Command::new(place.join("bin/python"));
    install.args(["-m", "pip", "install", "--quiet", "--require-hashes"]);
    install.args(["--only-binary", ":all:", "-r"]);
    command::output(install.arg(requirements)).with_context(|| {
        let file = requirements.display();
        format!("what {file} asks for cannot be had: is PyPI reachable?")
    })?;
    fs::write(&mark, wanted).context("cannot note what is installed")
}
