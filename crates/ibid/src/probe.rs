//! The self-check: a small module compiled both ways.
//!
//! The first time that a store meets a compiler fingerprint, the probe module — calls,
//! traps, trampolines, an indirect call, globals, data, a builtin, a start function —
//! is compiled by Wasmtime and by ibid, cold and then from what the cold compile
//! stored. On any difference the engine's modules are compiled the plain way. The
//! answer is remembered in the store.

use crate::compiler::{Incremental, Options};
use crate::entries::seal;
use crate::program::Kind;
use ibid_store::{CacheStore, Entry, MemoryStore};
use std::sync::Arc;
use wasmtime::Engine;

/// The probe module; `probe.wat` is its text.
const PROBE: &[u8] = include_bytes!("probe.wasm");

/// What the store remembers of a self-check that passed, or did not.
const PASSED: u8 = 1;
const FAILED: u8 = 0;

/// Whether ibid makes what `engine` makes; asks `store` before it finds out.
pub(crate) fn passes(engine: &Engine, incremental: &Incremental, store: &dyn CacheStore) -> bool {
    let key = incremental.entries().probe();
    match store
        .get(&key)
        .and_then(|value| incremental.entries().open(&key, value))
        .as_deref()
    {
        Some([PASSED]) => return true,
        Some([FAILED]) => return false,
        _ => {}
    }
    let passed = check(engine, incremental);
    let Entry { key, value } = seal(key, vec![if passed { PASSED } else { FAILED }]);
    store.insert(&key, value);
    passed
}

fn check(engine: &Engine, incremental: &Incremental) -> bool {
    let options = Options::default();
    let Ok(expected) = engine.precompile_module(PROBE) else {
        // The engine refuses the probe, for example because it leaves out a proposal;
        // then there is nothing to compare, and every error is Wasmtime's.
        return incremental
            .run(&MemoryStore::default(), Kind::Module, PROBE, &options, None)
            .is_err();
    };
    let store: Arc<dyn CacheStore> = Arc::new(MemoryStore::default());
    for _cold_then_warm in 0..2 {
        match incremental.run(&*store, Kind::Module, PROBE, &options, None) {
            Ok(output) if output.artifact == expected => {
                store.insert_many(output.writes);
            }
            _ => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_probe_is_its_text() {
        let text = include_str!("probe.wat");
        assert_eq!(wat::parse_str(text).unwrap(), super::PROBE);
    }
}
