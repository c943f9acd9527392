//! The check of a module that Wasmtime refuses: ibid refuses it in the same words, and remembers
//! nothing.

use std::sync::Arc;

use anyhow::Result;
use ibid::{MemoryStore, Options};
use wasmtime::Engine;

use super::super::{Module, path};
use super::cell::{Cell, Kind};
use super::settings::SETTINGS;
use super::subject::read;
use super::table::Row;

/// Checks a module that is not accepted, with the default settings and all others.
///
/// # Errors
///
/// If the module cannot be read or an engine cannot be had.
pub(super) fn check(module: &Module, engine: &Engine) -> Result<Row> {
    let wasm = read(&path(module))?;
    let mut cell = Cell::default();
    cell.stage("default");
    refused_alike(&mut cell, engine, &wasm);
    for setting in &SETTINGS {
        cell.stage(setting.name);
        refused_alike(&mut cell, &setting.engine()?, &wasm);
    }
    Ok(Row::refused(module, cell))
}

fn refused_alike(cell: &mut Cell, engine: &Engine, wasm: &[u8]) {
    let wasmtime = engine
        .precompile_module(wasm)
        .map_err(|error| format!("{error:?}"))
        .err();
    cell.claim(wasmtime.is_some(), Kind::Unexpected, || {
        "Wasmtime accepts it".into()
    });

    for whole_artifacts in [false, true] {
        let store = Arc::new(MemoryStore::new());
        let mut options = Options::default();
        options.whole_artifacts = whole_artifacts;
        let compiler = ibid::Compiler::with_options(engine, store.clone(), options);
        cell.claim(compiler.plain_reason().is_none(), Kind::Plain, || {
            format!("compiled the plain way: {:?}", compiler.plain_reason())
        });
        // The self-check has left its answer.
        let before = store.len();
        let ibid = compiler
            .precompile_module(wasm)
            .map_err(|error| format!("{error:?}"))
            .err();
        compiler.flush();
        cell.claim(ibid == wasmtime, Kind::Differs, || {
            format!("{ibid:?} instead of {wasmtime:?}")
        });
        let stored = store.len() - before;
        cell.claim(stored == 0, Kind::Store, || {
            format!("{stored} entries were stored")
        });
    }
}
