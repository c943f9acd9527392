//! Wasmtime's own incremental compilation, over a store on disk.
//!
//! ```text
//! cargo run --release -p ibid-store --features wasmtime --example wasmtime_incremental \
//!     [module] [directory]
//! ```
//!
//! Compiles `module`, binary or text, or a small one that is built in, and prints how long that
//! took and how many functions the store in `directory` had. The second time it has them all. By
//! default it is a directory for this example where temporary files go.

use ibid_store::{DiskStore, WriteBehind};
use std::borrow::Cow;
use std::env;
use std::error::Error;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use wasmtime::{CacheStore, Config, Engine};

const BUILT_IN: &[u8] = br#"
    (module
        (func $even (export "even") (param i32) (result i32)
            (if (result i32) (i32.eqz (local.get 0))
                (then (i32.const 1))
                (else (call $odd (i32.sub (local.get 0) (i32.const 1))))))
        (func $odd (export "odd") (param i32) (result i32)
            (if (result i32) (i32.eqz (local.get 0))
                (then (i32.const 0))
                (else (call $even (i32.sub (local.get 0) (i32.const 1)))))))
"#;

/// A store of Wasmtime's that counts its lookups. The one behind it would do without.
#[derive(Debug)]
struct Counting {
    store: WriteBehind<DiskStore>,
    lookups: AtomicU64,
    hits: AtomicU64,
}

impl CacheStore for Counting {
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        let found = CacheStore::get(&self.store, key);
        self.lookups.fetch_add(1, Ordering::Relaxed);
        self.hits
            .fetch_add(u64::from(found.is_some()), Ordering::Relaxed);
        found
    }

    fn insert(&self, key: &[u8], value: Vec<u8>) -> bool {
        CacheStore::insert(&self.store, key, value)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args_os().skip(1);
    let module = match arguments.next() {
        Some(path) => fs::read(path)?,
        None => BUILT_IN.to_vec(),
    };
    let directory = match arguments.next() {
        Some(path) => path.into(),
        None => env::temp_dir().join("ibid-example-wasmtime-incremental"),
    };

    let store = Arc::new(Counting {
        store: WriteBehind::new(DiskStore::open(&directory)?),
        lookups: AtomicU64::new(0),
        hits: AtomicU64::new(0),
    });
    let mut config = Config::new();
    config.enable_incremental_compilation(store.clone())?;
    let engine = Engine::new(&config)?;

    let begun = Instant::now();
    let artifact = engine.precompile_module(&module)?;
    let time = begun.elapsed();
    store.store.flush();
    println!(
        "{} bytes of artifact in {time:.2?}: {} of {} functions and trampolines were in {}",
        artifact.len(),
        store.hits.load(Ordering::Relaxed),
        store.lookups.load(Ordering::Relaxed),
        directory.display(),
    );
    Ok(())
}
