//! Wasmtime's C API, put together from what registries have: the headers of the package that it is
//! made from, and the shared library in the wheel for Python.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::{Examples, wheel};
use crate::command;

/// What has the headers; `examples/c/headers` says which release.
const PACKAGE: &str = "wasmtime-c-api-impl";

/// Puts it together the way its releases have it. Says where.
pub(super) fn assemble(examples: &Examples) -> Result<PathBuf> {
    let place = examples.empty("wasmtime-c-api")?;
    let (include, lib) = (place.join("include"), place.join("lib"));
    copy(&headers(examples)?, &include)?;
    configure(&include.join("wasmtime"))?;
    fs::create_dir(&lib)?;
    let library = wheel::library(examples)?;
    fs::copy(&library, lib.join("libwasmtime.so"))
        .with_context(|| format!("cannot copy `{}`", library.display()))?;
    Ok(place)
}

/// The headers, in Cargo's registry. They are fetched if they are not there.
fn headers(examples: &Examples) -> Result<PathBuf> {
    // Of all targets it would fetch the packages.
    let one = ["--filter-platform", "x86_64-unknown-linux-gnu"];
    let metadata = command::metadata(&examples.source("c/headers"), &one)
        .context("the headers cannot be had: is the registry reachable?")?;
    let packages = metadata["packages"].as_array();
    let package = packages
        .and_then(|packages| packages.iter().find(|package| package["name"] == PACKAGE))
        .and_then(|package| Path::new(package["manifest_path"].as_str()?).parent());
    let package = package.with_context(|| format!("Cargo knows no package `{PACKAGE}`"))?;
    Ok(package.join("include"))
}

/// Makes `conf.h` out of its template, as CMake does. It says which features the library was built
/// with; the example needs none.
fn configure(include: &Path) -> Result<()> {
    let template = command::read(&include.join("conf.h.in"))?;
    let line = |line: &str| match line.strip_prefix("#cmakedefine ") {
        Some(feature) => format!("/* #undef {feature} */\n"),
        None => format!("{line}\n"),
    };
    let header: String = template.lines().map(line).collect();
    fs::write(include.join("conf.h"), header).context("cannot write `conf.h`")
}

/// Copies a folder with all that is in it.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("cannot make `{}`", to.display()))?;
    let entries = fs::read_dir(from);
    for entry in entries.with_context(|| format!("cannot read `{}`", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => copy(&entry.path(), &target)?,
            false => fs::copy(entry.path(), &target).map(drop)?,
        }
    }
    Ok(())
}
