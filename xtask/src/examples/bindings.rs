//! `examples/python` and `examples/c`: what the command compiled is loaded through other bindings of
//! Wasmtime.
//!
//! Those of Python come from PyPI, as a wheel. Its shared library is Wasmtime's C API, so C has it
//! too, with the headers of the package that the API is made from.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::{Examples, Outcome, c_api, ensure_prints, ensure_refuses, lacks, wheel};
use crate::command;

/// The plugin, in the folder of the examples.
const PLUGIN: &str = "plugins/greet.wat";

/// What an engine says of an artifact of other settings.
const REFUSAL: &str = "the host is configured to use the deferred reference-counting collector";

pub(super) fn python(examples: &Examples) -> Result<Outcome> {
    if let Some(missing) = wheel::missing() {
        return Ok(missing);
    }
    let python = wheel::install(examples)?;
    let made = examples.empty("python-artifacts")?;
    let (artifact, other) = (made.join("greet.cwasm"), made.join("other.cwasm"));
    compile(examples, &["-C", "collector=drc"], &artifact)?;
    compile(examples, &[], &other)?;
    let greet = |artifact: &Path| {
        let mut command = Command::new(&python);
        command.arg(examples.source("python").join("greet.py"));
        command.arg(artifact);
        command
    };
    ensure_prints(greet(&artifact).arg("Ada"), "Hello, Ada!")?;
    ensure_prints(&mut greet(&artifact), "Hello, world!")?;
    ensure_refuses(&mut greet(&other), REFUSAL)?;
    Ok(Outcome::Passed)
}

pub(super) fn c(examples: &Examples) -> Result<Outcome> {
    if !cfg!(target_os = "linux") {
        return Ok(Outcome::Skipped(
            "its library is only looked for on Linux".into(),
        ));
    }
    let tools = lacks(
        "cc",
        &["--version"],
        "C compiler `cc`: install gcc or clang",
    );
    let tools = tools.or_else(|| lacks("make", &["--version"], "`make`: install it"));
    if let Some(missing) = tools.or_else(wheel::missing) {
        return Ok(missing);
    }
    let c_api = c_api::assemble(examples)?;
    let made = examples.empty("c")?;
    let mut make = examples.command("make");
    make.args(["--silent", "--directory"])
        .arg(examples.source("c"))
        .arg(format!("WASMTIME={}", c_api.display()))
        .arg(format!("OUT={}", made.display()))
        .arg(format!("IBID={}", examples.ibid.display()));
    command::run(&mut make)?;
    let greet = |artifact: &str| {
        let mut command = Command::new(made.join("greet"));
        command.arg(made.join(artifact));
        command
    };
    ensure_prints(greet("greet.cwasm").arg("Ada"), "Hello, Ada!")?;
    ensure_prints(&mut greet("greet.cwasm"), "Hello, world!")?;
    compile(examples, &[], &made.join("other.cwasm"))?;
    ensure_refuses(&mut greet("other.cwasm"), REFUSAL)?;
    Ok(Outcome::Passed)
}

/// Compiles the plugin with the command.
fn compile(examples: &Examples, options: &[&str], artifact: &Path) -> Result<()> {
    let mut ibid = examples.command(&examples.ibid);
    ibid.arg("compile")
        .args(options)
        .arg(examples.source(PLUGIN));
    command::run(ibid.arg("-o").arg(artifact))
}
