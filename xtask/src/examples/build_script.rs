//! `examples/build-script`: formatted, without warnings, tested; built again from nothing but the
//! cache; and without a compiler in it.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::{Examples, Outcome};
use crate::command;

const PACKAGE: &str = "example-build-script";

pub(super) fn check(examples: &Examples) -> Result<Outcome> {
    let cargo = Cargo {
        source: &examples.source("build-script"),
        target: &examples.made.join("build-script"),
        cache: &examples.empty("build-script-cache")?,
    };
    command::run(&mut cargo.command(&["fmt", "--check"]))?;
    command::run(&mut cargo.command(&["clean", "--quiet", "--package", PACKAGE]))?;
    let clippy = [
        "clippy",
        "--quiet",
        "--locked",
        "--all-targets",
        "--",
        "-Dwarnings",
    ];
    command::run(&mut cargo.command(&clippy))?;
    command::run(&mut cargo.command(&["test", "--quiet", "--locked"]))?;
    ensure!(
        cargo.said()?.contains("2 of 2 functions compiled"),
        "the build script was to compile everything at first: {}",
        cargo.said()?
    );
    command::run(&mut cargo.command(&["clean", "--quiet", "--package", PACKAGE]))?;
    command::run(&mut cargo.command(&["build", "--quiet", "--locked"]))?;
    ensure!(
        cargo.said()?.contains("0 of 2 functions compiled"),
        "the build script was to find everything in the cache: {}",
        cargo.said()?
    );
    let tree = ["tree", "--locked", "--edges", "normal", "--prefix", "none"];
    let dependencies = command::output(&mut cargo.command(&tree))?;
    ensure!(
        dependencies.contains("wasmtime v") && !dependencies.contains("cranelift-codegen"),
        "there is a compiler in the program: {dependencies}"
    );
    Ok(Outcome::Passed)
}

struct Cargo<'e> {
    source: &'e Path,
    target: &'e Path,
    cache: &'e Path,
}

impl Cargo<'_> {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO"));
        command
            .args(arguments)
            .current_dir(self.source)
            .env("CARGO_TARGET_DIR", self.target)
            .env("GREET_CACHE", self.cache)
            // It is built once, and nobody debugs it.
            .env("CARGO_INCREMENTAL", "0")
            .env("CARGO_PROFILE_DEV_DEBUG", "false");
        command
    }

    /// What the build script said when it ran last.
    fn said(&self) -> Result<String> {
        let builds = self.target.join("debug/build");
        let entries = std::fs::read_dir(&builds).context("nothing was built")?;
        let mut said = String::new();
        for entry in entries {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let output = path.join("output");
            if name.starts_with(PACKAGE) && output.exists() {
                said += &command::read(&output)?;
            }
        }
        Ok(said)
    }
}
