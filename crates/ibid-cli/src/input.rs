//! What is compiled, and for which engine.

use crate::{Failure, human};
use std::io::Read as _;
use std::path::Path;
use wasmtime::{Config, Engine};
use wasmtime_cli_flags::CommonOptions;

/// The engine of Wasmtime's own options: the default engine where they say nothing.
pub(crate) fn engine(options: &mut CommonOptions) -> Result<Engine, Failure> {
    engine_with(options, |_, _| ())
}

/// The engine of Wasmtime's own options, and of what `also` says.
pub(crate) fn engine_with(
    options: &mut CommonOptions,
    also: impl FnOnce(&CommonOptions, &mut Config),
) -> Result<Engine, Failure> {
    // Wasmtime's own cache of whole modules has no part in a compile to a file.
    options.codegen.cache.get_or_insert(false);
    let mut config = options.config(None).map_err(Failure::usage)?;
    also(options, &mut config);
    Engine::new(&config).map_err(Failure::usage)
}

/// The contents of the file `input`.
pub(crate) fn read(input: &Path) -> Result<Vec<u8>, Failure> {
    let read = if is_dash(input) {
        let mut bytes = Vec::new();
        std::io::stdin()
            .lock()
            .read_to_end(&mut bytes)
            .map(|_| bytes)
    } else {
        std::fs::read(input)
    };
    read.map_err(|error| Failure::Input(format!("cannot read {}: {error}", human::name(input))))
}

/// The contents of the file `input`, which is to be compiled.
pub(crate) fn read_wasm(input: &Path) -> Result<Vec<u8>, Failure> {
    let wasm = read(input)?;
    match Engine::detect_precompiled(&wasm) {
        None => Ok(wasm),
        Some(_) => Err(Failure::Input(format!(
            "{} is compiled already; `ibid run --allow-precompiled` runs it",
            human::name(input)
        ))),
    }
}

/// Whether `path` stands for standard input or output.
pub(crate) fn is_dash(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// What Wasmtime, or ibid, has against `input`.
pub(crate) fn refused(input: &Path, error: &wasmtime::Error) -> Failure {
    Failure::Input(format!(
        "{}: {}",
        human::name(input),
        human::chain(error.chain())
    ))
}
