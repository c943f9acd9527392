//! Memory stays flat over a thousand compiles.
//!
//! One test, so that nothing else runs in this process.
#![cfg(target_os = "linux")]

mod common;

use common::RICH;
use ibid::{CacheStore, Compiler, MemoryStore, Options};
use std::borrow::Cow;
use std::sync::Arc;
use wasmtime::Engine;

const COMPILES: usize = 1000;
const WARM_UP: usize = 200;

/// The most by which the memory in use may grow from the warm-up to the end.
///
/// It would be nothing but for the allocator, which fills the gaps of its arenas over time; that
/// was less than 100 KiB. The bound is 2.6 KiB for each of the 800 compiles: whoever forgot to free
/// an artifact, which has tens of KiB, or the buffers of one function, would be over it.
const BOUND: usize = 2 << 20;

/// Knows nothing, so that all is compiled.
#[derive(Debug)]
struct Forgetful;

impl CacheStore for Forgetful {
    fn get(&self, _: &[u8]) -> Option<Cow<'_, [u8]>> {
        None
    }

    fn insert(&self, _: &[u8], _: Vec<u8>) -> bool {
        true
    }
}

/// Memory in use, in bytes.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

/// Edits of one module. They are few, because a store in memory grows with what is new.
fn edits() -> Vec<Vec<u8>> {
    (0..8)
        .map(|edit| {
            let edited = RICH.replace("i32.const 20", &format!("i32.const {}", 1000 + edit));
            assert_ne!(edited, RICH);
            wat::parse_str(edited).unwrap()
        })
        .collect()
}

/// Compiles, loads and drops the edits in turn.
fn stays_flat(what: &str, store: Arc<dyn CacheStore>, whole_artifacts: bool) {
    let mut options = Options::default();
    options.whole_artifacts = whole_artifacts;
    let compiler = Compiler::with_options(&Engine::default(), store, options);
    let edits = edits();
    let mut early = 0;
    for compile in 0..COMPILES {
        if compile == WARM_UP {
            early = resident();
        }
        let edit = &edits[compile % edits.len()];
        drop(compiler.compile_module(edit).unwrap());
        // So that refusals are in it, too.
        compiler
            .compile_module(&edit[..edit.len() - 1])
            .unwrap_err();
    }
    compiler.flush();
    let late = resident();
    let growth = late.saturating_sub(early);
    eprintln!(
        "{what}: {} KiB after {WARM_UP} compiles, {} KiB after {COMPILES}",
        early / 1024,
        late / 1024
    );
    assert!(growth < BOUND, "{what}: grew by {growth} bytes");
}

#[test]
fn memory_stays_flat() {
    stays_flat("all known", Arc::new(MemoryStore::new()), false);
    stays_flat("whole artifacts", Arc::new(MemoryStore::new()), true);
    stays_flat("nothing known", Arc::new(Forgetful), false);
}
