//! Wasmtime compiles through the stores, finds what it has compiled before, and makes the same
//! artifacts as without.

use ibid_store::{Adapter, DiskStore, MemoryStore, Namespaced, ReadOnly, Tiered, WriteBehind};
use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use wasmtime::{CacheStore, Config, Engine, Instance, Module, Store};

const MODULE: &[u8] = br#"
    (module
        (memory 1)
        (global $calls (mut i32) (i32.const 0))
        (func $even (export "even") (param i32) (result i32)
            (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
            (if (result i32) (i32.eqz (local.get 0))
                (then (i32.const 1))
                (else (call $odd (i32.sub (local.get 0) (i32.const 1))))))
        (func $odd (export "odd") (param i32) (result i32)
            (i32.store (local.get 0) (i32.const 7))
            (if (result i32) (i32.eqz (local.get 0))
                (then (i32.const 0))
                (else (call $even (i32.sub (local.get 0) (i32.const 1)))))))
"#;

/// Counts the lookups of a store.
#[derive(Debug)]
struct Counting<S> {
    store: S,
    lookups: AtomicU64,
    hits: AtomicU64,
}

impl<S: CacheStore> CacheStore for Counting<S> {
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        assert_eq!(key.len(), 32);
        let found = self.store.get(key);
        self.lookups.fetch_add(1, Ordering::Relaxed);
        self.hits
            .fetch_add(u64::from(found.is_some()), Ordering::Relaxed);
        found
    }

    fn insert(&self, key: &[u8], value: Vec<u8>) -> bool {
        let stored = self.store.insert(key, value);
        assert!(stored);
        stored
    }
}

fn engine(store: Option<Arc<dyn CacheStore>>) -> Engine {
    let mut config = Config::new();
    if let Some(store) = store {
        config.enable_incremental_compilation(store).unwrap();
    }
    Engine::new(&config).unwrap()
}

/// Compiles over `store`. Returns the artifact, and how many lookups and hits there were.
fn compile<S: CacheStore + 'static>(store: S) -> (Vec<u8>, u64, u64) {
    let store = Arc::new(Counting {
        store,
        lookups: AtomicU64::new(0),
        hits: AtomicU64::new(0),
    });
    let artifact = engine(Some(store.clone())).precompile_module(MODULE);
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    (artifact.unwrap(), count(&store.lookups), count(&store.hits))
}

fn second_compile_hits<S: CacheStore + 'static>(open: impl Fn() -> S) {
    let plain = engine(None).precompile_module(MODULE).unwrap();
    let (cold, lookups, _) = compile(open());
    assert!(lookups >= 2, "{lookups}");
    let (warm, warm_lookups, hits) = compile(open());
    assert_eq!(warm_lookups, lookups);
    // Cranelift's own keys are not the same in each run for some functions.
    assert!(2 * hits > lookups, "{hits} of {lookups}");
    assert!(
        cold == plain,
        "compiling into the store changed the artifact"
    );
    assert!(
        warm == plain,
        "compiling from the store changed the artifact"
    );
}

fn behind(directory: &Path) -> WriteBehind<DiskStore> {
    WriteBehind::new(DiskStore::open(directory).unwrap())
}

#[test]
fn every_store_is_one_of_wasmtimes() {
    let directory = tempfile::tempdir().unwrap();
    let memory = Arc::new(MemoryStore::new());
    second_compile_hits(|| Adapter(memory.clone()));
    second_compile_hits(|| Adapter(memory.clone() as Arc<dyn ibid_store::CacheStore>));
    second_compile_hits(|| Namespaced::new(memory.clone(), &[1; 32]).unwrap());
    second_compile_hits(|| Tiered::new(vec![Arc::new(MemoryStore::new()), memory.clone()]));
    second_compile_hits(|| DiskStore::open(directory.path().join("disk")).unwrap());
    second_compile_hits(|| behind(&directory.path().join("behind")));

    let (_, lookups, hits) = compile(ReadOnly::new(memory));
    assert_eq!(hits, lookups);
    // Of functions that are equal but for their names, such as trampolines, the second one hits.
    let (_, _, hits) = compile(MemoryStore::new());
    assert!(hits < lookups);
}

#[test]
fn code_from_the_store_runs() {
    let directory = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let engine = engine(Some(Arc::new(behind(directory.path()))));
        let module = Module::new(&engine, MODULE).unwrap();
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &module, &[]).unwrap();
        let even = instance.get_typed_func::<i32, i32>(&mut store, "even");
        let even = even.unwrap();
        assert_eq!(even.call(&mut store, 10).unwrap(), 1);
        assert_eq!(even.call(&mut store, 11).unwrap(), 0);
    }
}

/// A function that was not changed is found, although others were.
#[test]
fn a_changed_function_is_compiled_alone() {
    let directory = tempfile::tempdir().unwrap();
    let (_, lookups, _) = compile(behind(directory.path()));
    let text = String::from_utf8(MODULE.to_vec()).unwrap();
    let changed = text.replace("(i32.const 7)", "(i32.const 8)");
    let store = Arc::new(Counting {
        store: behind(directory.path()),
        lookups: AtomicU64::new(0),
        hits: AtomicU64::new(0),
    });
    let artifact = engine(Some(store.clone())).precompile_module(changed.as_bytes());
    let plain = engine(None).precompile_module(changed.as_bytes());
    assert!(artifact.unwrap() == plain.unwrap());
    assert_eq!(store.lookups.load(Ordering::Relaxed), lookups);
    let hits = store.hits.load(Ordering::Relaxed);
    assert!(2 * hits > lookups && hits < lookups, "{hits} of {lookups}");
}
