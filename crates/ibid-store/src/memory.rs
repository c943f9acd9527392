//! A store in memory.

use crate::store::{CacheStore, is_valid_key};
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

type Map = HashMap<Box<[u8]>, Box<[u8]>>;

/// A store that lives and dies with the process. It has no bound and never forgets.
///
/// ```
/// use ibid_store::{CacheStore, MemoryStore};
///
/// let store = MemoryStore::new();
/// assert!(store.insert(b"key", b"value".to_vec()));
/// assert_eq!(store.get(b"key").as_deref(), Some(&b"value"[..]));
/// assert_eq!(store.len(), 1);
/// ```
#[derive(Default)]
pub struct MemoryStore {
    map: RwLock<Map>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.read().len()
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.read().is_empty()
    }

    /// The sizes of all values together, in bytes. Looks at every entry.
    pub fn value_bytes(&self) -> u64 {
        self.read().values().map(|value| value.len() as u64).sum()
    }

    // Nothing that holds the lock can leave the map half changed, so a poisoned one is as good.
    fn read(&self) -> RwLockReadGuard<'_, Map> {
        self.map.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Map> {
        self.map.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CacheStore for MemoryStore {
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        let value = self.read().get(key)?.to_vec();
        Some(Cow::Owned(value))
    }

    fn insert(&self, key: &[u8], value: Vec<u8>) -> bool {
        if !is_valid_key(key) {
            return false;
        }
        self.write().insert(key.into(), value.into_boxed_slice());
        true
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Counters, Entry, MAX_KEY_BYTES};

    #[test]
    fn returns_what_was_inserted_last() {
        let store = MemoryStore::new();
        assert!(store.is_empty());
        assert_eq!(store.get(b"a"), None);
        assert!(store.insert(b"a", vec![1]));
        assert!(store.insert(b"a", vec![2, 3]));
        assert_eq!(store.get(b"a").as_deref(), Some(&[2, 3][..]));
        assert_eq!((store.len(), store.value_bytes()), (1, 2));
        assert_eq!(store.counters(), Counters::default());
    }

    #[test]
    fn refuses_keys_of_no_or_too_many_bytes() {
        let store = MemoryStore::new();
        assert!(!store.insert(b"", vec![1]));
        assert!(!store.insert(&[0; MAX_KEY_BYTES + 1], vec![1]));
        assert!(store.insert(&[0; MAX_KEY_BYTES], vec![1]));
        assert_eq!(store.len(), 1);
    }

    #[test]
    fn batches_and_snapshots_have_defaults() {
        let store = MemoryStore::new();
        let entry = |key: &[u8], value: &[u8]| Entry {
            key: key.to_vec(),
            value: value.to_vec(),
        };
        let entries = vec![entry(b"a", b"1"), entry(b"", b"2"), entry(b"b", b"3")];
        assert_eq!(store.insert_many(entries), 2);

        let expected = [Some(&b"3"[..]), None, Some(b"1")];
        let found = store.get_many(&[b"b", b"c", b"a"]);
        assert!(found.iter().map(Option::as_deref).eq(expected));

        let snapshot = store.snapshot();
        assert!(store.insert(b"c", vec![]));
        let found = snapshot.get_many(&[b"b", b"c"]);
        assert_eq!(found[1].as_deref(), Some(&[][..]));
    }
}
