//! The self-check: a small module and a small component compiled both ways.
//!
//! The first time that a store meets a compiler fingerprint, the probe module — calls,
//! traps, trampolines, an indirect call, globals, data, a builtin, a start function — and
//! the probe component — linked modules, an adapter, trampolines, a resource — are
//! compiled by Wasmtime and by ibid, cold and then from what the cold compile stored. On
//! any difference the engine's modules and components are compiled the plain way. The
//! answer is remembered in the store.

use crate::compiler::{Incremental, Options};
use crate::entries::seal;
use crate::program::Kind;
use ibid_store::{CacheStore, Entry, MemoryStore};
use std::sync::Arc;
use wasmtime::Engine;

/// The probes; `probe.wat` and `probe_component.wat` are their texts.
const PROBES: [(Kind, &[u8]); 2] = [
    (Kind::Module, include_bytes!("probe.wasm")),
    (Kind::Component, include_bytes!("probe_component.wasm")),
];

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
    let passes = |(kind, probe)| check(engine, incremental, kind, probe);
    let passed = PROBES.into_iter().all(passes);
    let Entry { key, value } = seal(key, vec![if passed { PASSED } else { FAILED }]);
    store.insert(&key, value);
    passed
}

fn check(engine: &Engine, incremental: &Incremental, kind: Kind, probe: &[u8]) -> bool {
    let options = Options::default();
    let expected = match kind {
        Kind::Module => engine.precompile_module(probe),
        Kind::Component => engine.precompile_component(probe),
    };
    let Ok(expected) = expected else {
        // The engine refuses the probe, for example because it leaves out a proposal;
        // then there is nothing to compare, and every error is Wasmtime's.
        return incremental
            .run(&MemoryStore::default(), kind, probe, &options, None)
            .is_err();
    };
    let store: Arc<dyn CacheStore> = Arc::new(MemoryStore::default());
    for _cold_then_warm in 0..2 {
        match incremental.run(&*store, kind, probe, &options, None) {
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
    fn the_probes_are_their_texts() {
        let texts = [
            include_str!("probe.wat"),
            include_str!("probe_component.wat"),
        ];
        for (text, (_, probe)) in texts.into_iter().zip(super::PROBES) {
            assert_eq!(wat::parse_str(text).unwrap(), probe);
        }
    }
}
