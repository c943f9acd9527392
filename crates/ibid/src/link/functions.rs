//! The table of functions in the artifact's metadata.

use super::{Linkable, Place};
use wasmtime_environ::{CompiledFunctionsTable, CompiledFunctionsTableBuilder};

pub(super) fn table(functions: &[Linkable<'_>], places: &[Place]) -> CompiledFunctionsTable {
    let mut table = CompiledFunctionsTableBuilder::new();
    for (function, place) in functions.iter().zip(places) {
        table.push_func(function.key, place.location(), function.source());
    }
    table.finish()
}
