//! The check of a module that Wasmtime refuses: ibid refuses it in the same words, and remembers
//! nothing.

use std::sync::Arc;

use anyhow::Result;
use ibid::{Compiler, MemoryStore, Options};
use wasmtime::Engine;

use super::super::{Module, path};
use super::cell::{Cell, Kind};
use super::subject::{Subject, compiler, read};
use super::table::Row;

/// Checks a module that is not accepted. If there is an accepted release of the package, its
/// store gives ibid something to find before it refuses.
///
/// # Errors
///
/// If the module cannot be read.
pub(super) fn check(module: &Module, engine: &Engine, other: Option<&Subject<'_>>) -> Result<Row> {
    let wasm = read(&path(module))?;
    let mut cell = Cell::default();
    let wasmtime = words(engine.precompile_module(&wasm));
    cell.claim(wasmtime.is_some(), Kind::Unexpected, || {
        "Wasmtime accepts it".into()
    });

    cell.stage("cold");
    let store = Arc::new(MemoryStore::new());
    let over_nothing = Compiler::with_options(engine, store.clone(), Options::default());
    // It begins with a self-check, of which the answer is stored.
    let begun = over_nothing.plain_reason().is_none();
    cell.claim(begun, Kind::Plain, || "ibid compiles the plain way".into());
    let before = store.len();
    refused_alike(&mut cell, &over_nothing, &wasm, wasmtime.as_deref());
    let stored = store.len() - before;
    cell.claim(stored == 0, Kind::Store, || {
        format!("{stored} entries were stored")
    });

    if let Some(other) = other {
        cell.stage("after another release");
        let before = other.store.statistics()?;
        let over_other = compiler(engine, other.store.clone());
        refused_alike(&mut cell, &over_other, &wasm, wasmtime.as_deref());
        let after = other.store.statistics()?;
        cell.claim(before == after, Kind::Store, || {
            format!("the store was {before:?} and is {after:?}")
        });
    }
    Ok(Row::refused(module, cell))
}

fn refused_alike(cell: &mut Cell, compiler: &Compiler, wasm: &[u8], wasmtime: Option<&str>) {
    let ibid = words(compiler.precompile_module(wasm));
    compiler.flush();
    cell.claim(ibid.as_deref() == wasmtime, Kind::Differs, || {
        format!("{ibid:?} instead of {wasmtime:?}")
    });
}

/// All that an error says and its causes say; without the backtrace, which only tells who asked.
fn words(compiled: wasmtime::Result<Vec<u8>>) -> Option<String> {
    let text = format!("{:?}", compiled.err()?);
    let words = text.split("\n\nStack backtrace:").next();
    words.map(str::to_owned)
}
