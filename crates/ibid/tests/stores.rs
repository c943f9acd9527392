//! Stores that forget, lie or fail cost time, never correctness; and many threads at
//! once get the same answers.

mod common;

use common::{Oracle, RICH, compiled, difference};
use ibid::{CacheStore, Compiler, MemoryStore, Options};
use ibid_store::{Entry, FAMILY_BYTES, FAMILY_MARK};
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use wasmtime::{Config, Engine};

/// Hands out what was stored, changed by `change`.
struct Lying<F> {
    inner: MemoryStore,
    change: F,
    asked: AtomicU64,
}

impl<F> std::fmt::Debug for Lying<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lying")
    }
}

impl<F> CacheStore for Lying<F>
where
    F: Fn(u64, &[u8], Option<Vec<u8>>) -> Option<Vec<u8>> + Send + Sync,
{
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        let honest = self.inner.get(key).map(Cow::into_owned);
        (self.change)(asked, key, honest).map(Cow::Owned)
    }

    fn insert(&self, key: &[u8], value: Vec<u8>) -> bool {
        self.inner.insert(key, value)
    }
}

/// Compiles a few times over a store that changes what it hands out.
fn lied_to(
    change: impl Fn(u64, &[u8], Option<Vec<u8>>) -> Option<Vec<u8>> + Send + Sync + 'static,
) {
    let engine = Engine::new(Config::new().wasm_exceptions(true)).unwrap();
    let wasm = wat::parse_str(RICH).unwrap();
    let plain = engine.precompile_module(&wasm).unwrap();
    let store = Lying {
        inner: MemoryStore::new(),
        change,
        asked: AtomicU64::new(0),
    };
    let compiler = Compiler::with_options(&engine, Arc::new(store), Options::default());
    for _ in 0..4 {
        let compilation = compiler.compile(&wasm).unwrap();
        assert_eq!(difference(compilation.artifact(), &plain), None);
        compilation.store();
    }
}

#[test]
fn a_store_that_forgets() {
    lied_to(|_, _, _| None);
    lied_to(|asked, _, honest| honest.filter(|_| asked % 2 == 0));
    lied_to(|asked, _, honest| honest.filter(|_| asked % 7 != 0));
}

#[test]
fn a_store_that_cuts_entries_short() {
    for keep in [0, 1, 3, 4, 16, 17, 31, 32, 33, 40, 43, 44, 60] {
        lied_to(move |_, _, honest| {
            honest.map(|mut value| {
                value.truncate(keep);
                value
            })
        });
    }
}

#[test]
fn a_store_that_flips_bits() {
    lied_to(|asked, _, honest| {
        honest.map(|mut value| {
            let bit = (asked * 7919) as usize % (value.len() * 8);
            value[bit / 8] ^= 1 << (bit % 8);
            value
        })
    });
}

#[test]
fn a_store_that_hands_out_garbage() {
    for kind in *b"srbmanpt" {
        for byte in [0x00, 0x01, 0x7f, 0xff] {
            lied_to(move |_, key, honest| {
                // Behind the mark and the name of the release's family.
                if key[FAMILY_MARK.len() + FAMILY_BYTES] == kind {
                    honest.map(|value| vec![byte; value.len()])
                } else {
                    honest
                }
            });
        }
    }
}

/// Hands out what was stored, but for one byte of one entry.
#[derive(Debug)]
struct Flipping {
    entries: Vec<Entry>,
    /// Of which entry, and which byte.
    flipped: (usize, usize),
    /// It says that entries are intact.
    vouches: bool,
}

impl CacheStore for Flipping {
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        let found = self.entries.iter().position(|entry| entry.key == key)?;
        let mut value = self.entries[found].value.clone();
        if found == self.flipped.0 {
            value[self.flipped.1] ^= 0x11;
        }
        Some(value.into())
    }

    fn insert(&self, _: &[u8], _: Vec<u8>) -> bool {
        false
    }

    fn is_checked(&self) -> bool {
        self.vouches
    }
}

/// Keeps what is inserted, in order.
#[derive(Debug, Default)]
struct Keeping(std::sync::Mutex<Vec<Entry>>);

impl CacheStore for Keeping {
    fn get(&self, _: &[u8]) -> Option<Cow<'_, [u8]>> {
        None
    }

    fn insert(&self, key: &[u8], value: Vec<u8>) -> bool {
        let key = key.to_vec();
        self.0.lock().unwrap().push(Entry { key, value });
        true
    }
}

/// Every byte of every entry in turn: the artifact is right; and if the store vouches for what it
/// hands out, so that nobody looks, nothing panics.
#[test]
fn a_store_that_flips_each_byte_in_turn() {
    let engine = Engine::default();
    let wasm = wat::parse_str(
        r#"(module (import "a" "f" (func $f (param i32))) (memory 2) (table 2 funcref)
            (data (i32.const 70000) "here") (global $g (mut i32) (i32.const 0))
            (func (export "e") (param i32 i64)
              (call $f (i32.load (i32.const 70000))) (global.set $g (local.get 0))
              (call_indirect (param i32) (i32.const 70004) (local.get 0))
              (i64.store offset=70016 (local.get 0) (i64.div_u (local.get 1) (i64.const 3)))))"#,
    )
    .unwrap();
    let plain = engine.precompile_module(&wasm).unwrap();
    let kept = Arc::new(Keeping::default());
    let compiler = Compiler::with_options(&engine, kept.clone(), Options::default());
    compiler.compile(&wasm).unwrap().store();
    let entries = std::mem::take(&mut *kept.0.lock().unwrap());
    // The bundle would be found before the entries that it is made of.
    let is_bundle = |entry: &Entry| entry.key[FAMILY_MARK.len() + FAMILY_BYTES] == b'b';
    let others: Vec<Entry> = entries.iter().filter(|e| !is_bundle(e)).cloned().collect();
    assert!(others.len() + 1 == entries.len());
    let mut options = Options::default();
    options.whole_artifacts = false;
    for entries in [entries, others] {
        for entry in 0..entries.len() {
            for byte in 0..entries[entry].value.len() {
                for vouches in [false, true] {
                    let store = Arc::new(Flipping {
                        entries: entries.clone(),
                        flipped: (entry, byte),
                        vouches,
                    });
                    let compiler = Compiler::with_options(&engine, store, options.clone());
                    let compiled = compiler.compile(&wasm);
                    if !vouches {
                        assert!(compiled.unwrap().artifact() == plain, "{entry} {byte}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_store_that_mixes_up_entries() {
    // Every answer is that to the question before.
    let last = std::sync::Mutex::new(None::<Vec<u8>>);
    lied_to(move |_, _, honest| std::mem::replace(&mut *last.lock().unwrap(), honest));
}

/// Refuses everything and panics at nothing.
#[derive(Debug)]
struct Refusing;

impl CacheStore for Refusing {
    fn get(&self, _: &[u8]) -> Option<Cow<'_, [u8]>> {
        None
    }

    fn insert(&self, _: &[u8], _: Vec<u8>) -> bool {
        false
    }
}

#[test]
fn a_store_that_refuses() {
    let engine = Engine::new(Config::new().wasm_exceptions(true)).unwrap();
    let compiler = Compiler::new(&engine, Refusing);
    let wasm = wat::parse_str(RICH).unwrap();
    for _ in 0..2 {
        let compilation = compiler.compile(&wasm).unwrap();
        assert_eq!(
            compilation.artifact(),
            engine.precompile_module(&wasm).unwrap()
        );
        let report = compilation.store();
        assert_eq!(report.store.written, 0);
        assert_eq!(report.functions.compiled, report.functions.total);
    }
}

#[test]
fn many_threads_at_once() {
    let engine = Engine::new(Config::new().wasm_exceptions(true)).unwrap();
    let compiler = Compiler::new(&engine, MemoryStore::new());
    let modules: Vec<Vec<u8>> = (0..4)
        .map(|i| {
            let extra = "(func (result i32) (i32.const 123))".repeat(i);
            let text = RICH.replacen("(func $main", &format!("{extra} (func $main"), 1);
            wat::parse_str(text).unwrap()
        })
        .collect();
    let plain: Vec<Vec<u8>> = modules
        .iter()
        .map(|wasm| engine.precompile_module(wasm).unwrap())
        .collect();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (compiler, modules, plain) = (&compiler, &modules, &plain);
            scope.spawn(move || {
                for round in 0..6 {
                    let i = (thread + round) % modules.len();
                    assert_eq!(compiler.precompile_module(&modules[i]).unwrap(), plain[i]);
                }
            });
        }
    });
}

#[test]
fn a_compile_on_a_pool_of_one_and_of_many() {
    for threads in [1, 4] {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            let oracle = Oracle::with(Config::new().wasm_exceptions(true));
            oracle.valid(RICH);
            assert_eq!(compiled(&oracle.valid(RICH)), (0, 0));
        });
    }
}

#[test]
fn what_a_compile_found_out_is_there_for_the_next_one() {
    let engine = Engine::new(Config::new().wasm_exceptions(true)).unwrap();
    let compiler = Compiler::new(&engine, MemoryStore::new());
    compiler.precompile_module(RICH.as_bytes()).unwrap();
    // Written behind, and waited for.
    let report = compiler.compile(RICH.as_bytes()).unwrap().store();
    assert_eq!(compiled(&report), (0, 0));
}

#[test]
fn the_self_check_is_done_once_for_a_store() {
    let engine = Engine::default();
    let store = Arc::new(MemoryStore::new());
    let shared: Arc<dyn CacheStore> = store.clone();
    drop(Compiler::with_options(
        &engine,
        shared.clone(),
        Options::default(),
    ));
    assert_eq!(store.len(), 1);
    drop(Compiler::with_options(&engine, shared, Options::default()));
    assert_eq!(store.len(), 1);
}
