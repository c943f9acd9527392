//! The scenario of another release: the store knows one, and the next is compiled.

use wasmtime::Engine;

use super::cell::{Cell, Kind};
use super::own_cache::{self, OwnCache};
use super::scenarios::compile;
use super::subject::Subject;

/// What was found of one release in another.
#[derive(Debug)]
pub(super) struct Upgrade {
    /// Which releases.
    pub(super) name: String,
    /// Functions and trampolines of the release that was compiled.
    pub(super) total: u64,
    /// Those that were compiled.
    pub(super) compiled: u64,
    /// Bytes of machine code, of all and of those that were not compiled.
    pub(super) code_bytes: (u64, u64),
    /// What Wasmtime's own cache found, if it was asked.
    pub(super) own: Option<OwnCache>,
}

/// Compiles `to` over the store of `from`, which stays as it is. If `ask_own_cache`, Wasmtime's
/// own cache is asked as well, and ibid has to find as much as it at least.
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
            Some(own_cache::measure(&from.wasm, &to.wasm)?)
        } else {
            None
        };
        let total = report.functions.total + report.trampolines.total;
        let compiled = report.functions.compiled + report.trampolines.compiled;
        let found = total - compiled;
        if let Some(own) = own {
            cell.claim(own.found <= found, Kind::Unexpected, || {
                format!("Wasmtime's own cache finds {}, ibid {found}", own.found)
            });
            cell.claim(own.total == total, Kind::Unexpected, || {
                format!("Wasmtime's own cache is asked for {} of {total}", own.total)
            });
        }
        upgrade = Some(Upgrade {
            name: format!(
                "{} {} -> {}",
                to.module.name, from.module.version, to.module.version
            ),
            total,
            compiled,
            code_bytes: (report.code_bytes.total, report.code_bytes.reused),
            own,
        });
        Ok(())
    });
    (upgrade, cell)
}
