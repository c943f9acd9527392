//! Wasmtime's own incremental cache, with the fastest store that it can have.

use super::plain::precompile;
use crate::figures::timed;
use anyhow::Result;
use serde::Serialize;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use wasmtime::{CacheStore, Config, Engine};

/// Wasmtime's own incremental cache ([`Config::enable_incremental_compilation`]) over a map in
/// memory that knows one module.
///
/// Every compile has an engine of its own, as if in another process. The cache finds most that
/// way: its keys depend a little on what the engine compiled before.
#[derive(Debug)]
pub struct OwnCache {
    store: Arc<Map>,
}

/// What the cache found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Found {
    /// Functions and trampolines that were looked up.
    pub total: u64,
    /// Those that were found.
    pub found: u64,
    /// Those of them that the module before had; the others have a twin in the same module.
    pub found_in_older: u64,
}

impl OwnCache {
    /// A cache that knows `wasm`.
    ///
    /// # Errors
    ///
    /// Wasmtime's own.
    pub fn knowing(wasm: &[u8]) -> Result<OwnCache> {
        let store = Arc::new(Map::default());
        precompile(&engine(store.clone())?, wasm)?;
        store.newer.store(true, Ordering::SeqCst);
        Ok(OwnCache { store })
    }

    /// Compiles `wasm`, and says how many milliseconds that took and what was found. Afterwards
    /// the cache knows what it knew before.
    ///
    /// # Errors
    ///
    /// Wasmtime's own.
    pub fn compile(&self, wasm: &[u8]) -> Result<(Vec<u8>, f64, Found)> {
        let engine = engine(self.store.clone())?;
        self.store.forget_newer();
        let (artifact, ms) = timed(|| precompile(&engine, wasm));
        let found = self.store.found();
        self.store.forget_newer();
        Ok((artifact?, ms, found))
    }
}

fn engine(store: Arc<Map>) -> Result<Engine> {
    let mut config = Config::new();
    config.enable_incremental_compilation(store)?;
    Ok(Engine::new(&config)?)
}

/// How many parts a [`Map`] has. Far more than threads, so that these seldom meet.
const SHARDS: usize = 64;

/// A map for several threads that knows which of two modules its entries are of.
#[derive(Debug)]
struct Map {
    shards: [RwLock<Shard>; SHARDS],
    /// Whether what is asked for and stored is the newer module's.
    newer: AtomicBool,
    total: AtomicU64,
    found_in_older: AtomicU64,
    found_in_newer: AtomicU64,
}

type Shard = HashMap<Vec<u8>, Stored>;

#[derive(Debug)]
struct Stored {
    newer: bool,
    value: Vec<u8>,
}

impl Default for Map {
    fn default() -> Self {
        Map {
            shards: std::array::from_fn(|_| RwLock::default()),
            newer: AtomicBool::new(false),
            total: AtomicU64::new(0),
            found_in_older: AtomicU64::new(0),
            found_in_newer: AtomicU64::new(0),
        }
    }
}

impl Map {
    /// Keys are digests, so any byte of them will do.
    fn shard(&self, key: &[u8]) -> &RwLock<Shard> {
        let last = key.last().copied().unwrap_or_default();
        &self.shards[usize::from(last) % SHARDS]
    }

    fn forget_newer(&self) {
        for shard in &self.shards {
            write(shard).retain(|_, stored| !stored.newer);
        }
        for counter in [&self.total, &self.found_in_older, &self.found_in_newer] {
            counter.store(0, Ordering::SeqCst);
        }
    }

    fn found(&self) -> Found {
        let found_in_older = self.found_in_older.load(Ordering::SeqCst);
        Found {
            total: self.total.load(Ordering::SeqCst),
            found: found_in_older + self.found_in_newer.load(Ordering::SeqCst),
            found_in_older,
        }
    }
}

impl CacheStore for Map {
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        self.total.fetch_add(1, Ordering::Relaxed);
        let shard = read(self.shard(key));
        let stored = shard.get(key)?;
        match stored.newer {
            false => &self.found_in_older,
            true => &self.found_in_newer,
        }
        .fetch_add(1, Ordering::Relaxed);
        Some(Cow::Owned(stored.value.clone()))
    }

    fn insert(&self, key: &[u8], value: Vec<u8>) -> bool {
        let newer = self.newer.load(Ordering::SeqCst);
        write(self.shard(key)).insert(key.to_vec(), Stored { newer, value });
        true
    }
}

fn read(shard: &RwLock<Shard>) -> RwLockReadGuard<'_, Shard> {
    shard.read().unwrap_or_else(PoisonError::into_inner)
}

fn write(shard: &RwLock<Shard>) -> RwLockWriteGuard<'_, Shard> {
    shard.write().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLDER: &[u8] = b"(module (func (export \"a\") (result i32) i32.const 1))";
    const NEWER: &[u8] = b"(module (func (export \"a\") (result i32) i32.const 1)
                                   (func (export \"b\") (result i64) i64.const 2))";

    #[test]
    fn finds_what_the_older_module_has() {
        let cache = OwnCache::knowing(OLDER).unwrap();
        let (artifact, _, same) = cache.compile(OLDER).unwrap();
        assert_eq!(
            artifact,
            Engine::default().precompile_module(OLDER).unwrap()
        );
        assert!(same.total > 0);
        assert_eq!((same.found, same.found_in_older), (same.total, same.total));
        let (_, _, upgraded) = cache.compile(NEWER).unwrap();
        assert!(
            upgraded.found_in_older > 0 && upgraded.found < upgraded.total,
            "{upgraded:?}"
        );
    }

    #[test]
    fn forgets_what_it_compiled_since() {
        let cache = OwnCache::knowing(OLDER).unwrap();
        let (_, _, first) = cache.compile(NEWER).unwrap();
        let (_, _, second) = cache.compile(NEWER).unwrap();
        assert_eq!(first, second);
    }
}
