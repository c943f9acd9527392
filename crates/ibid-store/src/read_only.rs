//! A store that nothing is written to.

use crate::store::{CacheStore, Counters, Entry, Snapshot};
use std::borrow::Cow;

/// The store `S`, except that all insertions are declined.
///
/// For a store that others fill: a build that is not trusted to write reads what a trusted one has
/// written. Nothing that is done through it reaches the insertions of `S`, not even an empty batch.
/// So a [`DiskStore`](crate::DiskStore) does not learn from it which entries are in use.
///
/// ```
/// use ibid_store::{CacheStore, MemoryStore, ReadOnly};
/// use std::sync::Arc;
///
/// let shared = Arc::new(MemoryStore::new());
/// let store = ReadOnly::new(shared.clone());
/// assert!(!store.insert(b"key", b"value".to_vec()));
/// shared.insert(b"key", b"value".to_vec());
/// assert_eq!(store.get(b"key").as_deref(), Some(&b"value"[..]));
/// ```
#[derive(Debug, Clone)]
pub struct ReadOnly<S> {
    store: S,
}

impl<S: CacheStore> ReadOnly<S> {
    /// A view of `store` that cannot be written to.
    pub fn new(store: S) -> Self {
        ReadOnly { store }
    }
}

impl<S: CacheStore> CacheStore for ReadOnly<S> {
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        self.store.get(key)
    }

    fn insert(&self, _: &[u8], _: Vec<u8>) -> bool {
        false
    }

    fn get_many(&self, keys: &[&[u8]]) -> Vec<Option<Cow<'_, [u8]>>> {
        self.store.get_many(keys)
    }

    fn insert_many(&self, _: Vec<Entry>) -> usize {
        0
    }

    fn snapshot(&self) -> Box<dyn Snapshot + '_> {
        self.store.snapshot()
    }

    fn is_checked(&self) -> bool {
        self.store.is_checked()
    }

    fn counters(&self) -> Counters {
        self.store.counters()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryStore;

    #[test]
    fn reads_and_does_not_write() {
        let memory = MemoryStore::new();
        memory.insert(b"a", vec![1]);
        let store = ReadOnly::new(&memory);
        assert!(!store.insert(b"a", vec![2]));
        let entry = Entry {
            key: b"b".to_vec(),
            value: vec![3],
        };
        assert_eq!(store.insert_many(vec![entry]), 0);
        assert_eq!(memory.len(), 1);
        assert_eq!(store.get(b"a").as_deref(), Some(&[1][..]));
        assert_eq!(store.get_many(&[b"b", b"a"])[1].as_deref(), Some(&[1][..]));
        let snapshot = store.snapshot();
        assert!(matches!(snapshot.get(b"a"), Some(Cow::Borrowed([1]))));
    }
}
