//! The scenario of another release: the store knows one, and the next is compiled.

use std::sync::Arc;

use ibid::{Compiler, MemoryStore, Options, Report};
use ibid_bench::references::{Found, OwnCache};
use wasmtime::Engine;

use super::cell::{Cell, Kind};
use super::scenarios::compile;
use super::subject::Subject;

/// What was found of one release in another.
#[derive(Debug)]
pub(super) struct Upgrade {
    /// Which releases.
    pub(super) name: String,
    /// What ibid found and compiled of the release.
    pub(super) report: Report,
    /// What Wasmtime's own cache found, if it was asked.
    pub(super) own: Option<Found>,
}

/// Compiles `to` over the store of `from`, which stays as it is. If `ask_own_cache`, Wasmtime's
/// own cache is asked as well, and ibid, when it asks that cache too for what it does not find
/// by itself, has to find as much at least.
pub(super) fn check(
    from: &Subject<'_>,
    to: &Subject<'_>,
    engine: &Engine,
    ask_own_cache: bool,
) -> (Option<Upgrade>, Cell) {
    let mut upgrade = None;
    let cell = Cell::of(|cell| {
        let compiler = from.compiler(engine);
        let compilation = compile(cell, &compiler, &to.wasm, &to.plain)?;
        let report = compilation.report();
        let own = if ask_own_cache {
            let own = OwnCache::knowing(&from.wasm)?.compile(&to.wasm)?.2;
            let mut options = Options::default();
            options.whole_artifacts = false;
            options.clif = true;
            let store = Arc::new(MemoryStore::new());
            let compiler = Compiler::with_options(engine, store, options);
            compile(cell, &compiler, &from.wasm, &from.plain)?.store();
            let compilation = compile(cell, &compiler, &to.wasm, &to.plain)?;
            let report = compilation.report();
            let total = report.functions.total + report.trampolines.total;
            let found = total - report.functions.compiled - report.trampolines.compiled;
            cell.claim(own.found <= found, Kind::Unexpected, || {
                format!("Wasmtime's own cache finds {}, ibid {found}", own.found)
            });
            cell.claim(own.total == total, Kind::Unexpected, || {
                format!("Wasmtime's own cache is asked for {} of {total}", own.total)
            });
            Some(own)
        } else {
            None
        };
        upgrade = Some(Upgrade {
            name: format!(
                "{} {} -> {}",
                to.module.name, from.module.version, to.module.version
            ),
            report: report.clone(),
            own,
        });
        Ok(())
    });
    (upgrade, cell)
}
