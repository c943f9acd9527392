//! Wasmtime's bindings for Python, as a wheel from PyPI, in an environment of their own.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::{Examples, Outcome, lacks, read};
use crate::command;

/// Says what is missing for an environment, if anything is.
pub(super) fn missing() -> Option<Outcome> {
    let python = lacks(
        "python3",
        &["--version"],
        "`python3`: install Python 3.9 or later",
    );
    python.or_else(|| {
        let what = "module `venv` with `pip` in Python: install python3-venv";
        lacks("python3", &["-c", "import venv, ensurepip"], what)
    })
}

/// Makes sure that a Python with Wasmtime's bindings is there. Says where.
pub(super) fn install(examples: &Examples) -> Result<PathBuf> {
    let place = examples.made.join("python");
    let python = place.join("bin/python");
    // What it was made from, once it is made.
    let mark = place.join("requirements.txt");
    let requirements = examples.source("python").join("requirements.txt");
    if read(&mark).is_ok_and(|made| read(&requirements).is_ok_and(|wanted| wanted == made)) {
        return Ok(python);
    }
    let mut environment = Command::new("python3");
    environment.args(["-m", "venv", "--clear"]).arg(&place);
    command::output(&mut environment).context("Python makes no environment")?;
    let mut install = Command::new(&python);
    install.args(["-m", "pip", "install", "--quiet", "--require-hashes"]);
    install
        .args(["--only-binary", ":all:", "-r"])
        .arg(&requirements);
    command::output(&mut install)
        .context("Wasmtime's bindings for Python cannot be had: is PyPI reachable?")?;
    fs::copy(&requirements, &mark).context("cannot note what is installed")?;
    Ok(python)
}

/// The shared library in the wheel.
pub(super) fn library(examples: &Examples) -> Result<PathBuf> {
    const FIND: &str = "import pathlib, wasmtime; \
         print(*pathlib.Path(wasmtime.__file__).parent.glob('*/_libwasmtime.so'))";
    let python = install(examples)?;
    let found = command::output(Command::new(python).args(["-c", FIND]))?;
    let path = PathBuf::from(found.trim());
    ensure!(path.is_file(), "the wheel has no shared library `{found}`");
    Ok(path)
}
