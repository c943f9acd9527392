//! Wasmtime's bindings for Python, as a wheel from PyPI, in an environment of their own.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, ensure};

use super::{Examples, Outcome, lacks};
use crate::{command, python};

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
    let requirements = examples.source("python").join("requirements.txt");
    python::environment(&place, &requirements)?;
    Ok(place.join("bin/python"))
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
