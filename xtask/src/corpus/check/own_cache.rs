//! An independent witness: what Wasmtime's own incremental cache finds after an upgrade.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use anyhow::Result;
use wasmtime::{CacheStore, Config, Engine};

/// What Wasmtime's own cache found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OwnCache {
    /// Functions and trampolines that were looked up.
    pub(super) total: u64,
    /// Those that were found.
    pub(super) found: u64,
    /// Those of them that were found because the older release has them; the others have a twin
    /// in the same module.
    pub(super) found_in_older: u64,
}

/// Compiles `older` and then `newer` with Wasmtime's own cache, and says what it found for
/// `newer`.
///
/// Each gets an engine of its own, as if in another process. The cache finds most that way: its
/// keys depend a little on what the engine compiled before.
pub(super) fn measure(older: &[u8], newer: &[u8]) -> Result<OwnCache> {
    let store = Arc::new(Recorder::default());
    engine(store.clone())?.precompile_module(older)?;
    store.begin_newer();
    engine(store.clone())?.precompile_module(newer)?;
    Ok(store.found())
}

fn engine(store: Arc<Recorder>) -> Result<Engine> {
    let mut config = Config::new();
    config.enable_incremental_compilation(store)?;
    Ok(Engine::new(&config)?)
}

/// A value, and while compiling which release it was stored.
type Stored = (Release, Vec<u8>);

/// A store that knows which release its entries are of.
#[derive(Debug, Default)]
struct Recorder {
    entries: RwLock<HashMap<Vec<u8>, Stored>>,
    newer: AtomicBool,
    total: AtomicU64,
    found_in_older: AtomicU64,
    found_in_newer: AtomicU64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Release {
    Older,
    Newer,
}

impl Recorder {
    fn begin_newer(&self) {
        self.newer.store(true, Ordering::SeqCst);
        for counter in [&self.total, &self.found_in_older, &self.found_in_newer] {
            counter.store(0, Ordering::SeqCst);
        }
    }

    fn found(&self) -> OwnCache {
        let found_in_older = self.found_in_older.load(Ordering::SeqCst);
        OwnCache {
            total: self.total.load(Ordering::SeqCst),
            found: found_in_older + self.found_in_newer.load(Ordering::SeqCst),
            found_in_older,
        }
    }
}

impl CacheStore for Recorder {
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        self.total.fetch_add(1, Ordering::Relaxed);
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        let (release, value) = entries.get(key)?;
        match release {
            Release::Older => &self.found_in_older,
            Release::Newer => &self.found_in_newer,
        }
        .fetch_add(1, Ordering::Relaxed);
        Some(Cow::Owned(value.clone()))
    }

    fn insert(&self, key: &[u8], value: Vec<u8>) -> bool {
        let newer = self.newer.load(Ordering::SeqCst);
        let release = if newer {
            Release::Newer
        } else {
            Release::Older
        };
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        entries.insert(key.to_vec(), (release, value));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_the_older_release_has() {
        let older = "(module (func (export \"a\") (result i32) i32.const 1))";
        let newer = "(module (func (export \"a\") (result i32) i32.const 1)
                             (func (export \"b\") (result i64) i64.const 2))";
        let same = measure(older.as_bytes(), older.as_bytes()).unwrap();
        assert_eq!((same.found, same.found_in_older), (same.total, same.total));
        let upgraded = measure(older.as_bytes(), newer.as_bytes()).unwrap();
        assert!(
            upgraded.found_in_older > 0 && upgraded.found < upgraded.total,
            "{upgraded:?}"
        );
    }
}
