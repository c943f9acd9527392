//! A store in memory.

use crate::store::{CacheStore, Counters, Snapshot, is_valid_key};
use elsa::FrozenVec;
use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Lifecycle, OptionsBuilder, Weighter};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A key that the cache can hand out without copying it.
type Key = Arc<[u8]>;
/// A value that outlives its eviction for as long as somebody reads it.
type Value = Arc<[u8]>;

/// The least that a part has, in bytes, when the space of a store is divided into parts that can be
/// written to at once.
const LEAST_PART_BYTES: u64 = 64 << 20;

/// The share of a part that an entry may take. The cache keeps the rest for what is new.
const LARGEST_SHARE: f64 = 0.97;

/// A guess at the size of an entry, in bytes. Decides how many evicted keys are remembered, so that
/// those that come back are kept for longer.
const TYPICAL_ENTRY_BYTES: u64 = 2 << 10;

/// A store that lives and dies with the process.
///
/// One made with [`MemoryStore::new`] has no bound and never forgets. One made with
/// [`MemoryStore::with_capacity_bytes`] evicts what has not been asked for when it is full, and
/// counts that in [`Counters::evicted`].
///
/// A snapshot lends its values without copying them, and keeps those that it has lent in memory for
/// as long as it lives, also when they are evicted. It sees what is inserted meanwhile.
///
/// ```
/// use ibid_store::{CacheStore, MemoryStore};
///
/// let store = MemoryStore::with_capacity_bytes(64 << 20);
/// assert!(store.insert(b"key", b"value".to_vec()));
/// assert_eq!(store.get(b"key").as_deref(), Some(&b"value"[..]));
/// assert_eq!(store.len(), 1);
/// ```
pub struct MemoryStore {
    cache: Cache<Key, Value, Weight, DefaultHashBuilder, Evictions>,
    /// Entries that weigh more are declined.
    largest: u64,
    evicted: AtomicU64,
}

impl MemoryStore {
    /// What an entry counts for beside its key and its value, in bytes.
    pub const ENTRY_OVERHEAD_BYTES: u64 = 128;

    /// An empty store without a bound.
    pub fn new() -> Self {
        Self::with_capacity_bytes(u64::MAX)
    }

    /// An empty store of at most `max_bytes`.
    ///
    /// An entry counts for its key, its value and [`MemoryStore::ENTRY_OVERHEAD_BYTES`]. Values
    /// that a snapshot has lent and that were evicted since do not count.
    ///
    /// Large stores are divided into parts of 64 MiB or more, so that several threads can write at
    /// once. What goes into one part is bounded by the size of that, and an entry that does not
    /// fit into 97% of a part is declined.
    pub fn with_capacity_bytes(max_bytes: u64) -> Self {
        let most_parts =
            std::thread::available_parallelism().map_or(1, |threads| threads.get() * 4);
        let parts = usize::try_from(max_bytes / LEAST_PART_BYTES)
            .unwrap_or(usize::MAX)
            .clamp(1, most_parts)
            .next_power_of_two();
        // The cache rounds the parts up, so that together they could have a few bytes more.
        let whole = max_bytes - max_bytes % parts as u64;
        let items = (max_bytes / TYPICAL_ENTRY_BYTES).clamp(32 * parts as u64, 1 << 20);
        let options = OptionsBuilder::new()
            .shards(parts)
            .hot_allocation(LARGEST_SHARE)
            .weight_capacity(whole)
            .estimated_items_capacity(items as usize)
            .build()
            .expect("both of the capacities are given");
        let cache = Cache::with_options(options, Weight, DefaultHashBuilder::default(), Evictions);
        MemoryStore {
            largest: (cache.shard_capacity() as f64 * LARGEST_SHARE) as u64,
            cache,
            evicted: AtomicU64::new(0),
        }
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.cache.len()
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.cache.is_empty()
    }

    /// The sizes of all values together, in bytes. Looks at every entry.
    pub fn value_bytes(&self) -> u64 {
        self.cache.iter().map(|(_, value)| value.len() as u64).sum()
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl CacheStore for MemoryStore {
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        let value = self.cache.get(key)?;
        Some(Cow::Owned(value.to_vec()))
    }

    /// Declines entries that are too large, see [`MemoryStore::with_capacity_bytes`]. What such an
    /// entry would have replaced is forgotten.
    fn insert(&self, key: &[u8], value: Vec<u8>) -> bool {
        if !is_valid_key(key) {
            return false;
        }
        if weight(key, &value) > self.largest {
            self.cache.remove(key);
            return false;
        }
        let mut removed = Removed::default();
        self.cache
            .insert_with_lifecycle(key.into(), value.into(), &mut removed);
        let evicted = removed.0.iter().filter(|other| ***other != *key).count();
        self.evicted.fetch_add(evicted as u64, Ordering::Relaxed);
        true
    }

    fn snapshot(&self) -> Box<dyn Snapshot + '_> {
        Box::new(MemorySnapshot {
            store: self,
            lent: FrozenVec::new(),
        })
    }

    fn counters(&self) -> Counters {
        Counters {
            evicted: self.evicted.load(Ordering::Relaxed),
            ..Counters::default()
        }
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

/// Lends values and keeps what it has lent.
struct MemorySnapshot<'s> {
    store: &'s MemoryStore,
    lent: FrozenVec<Value>,
}

impl Snapshot for MemorySnapshot<'_> {
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        let value = self.store.cache.get(key)?;
        Some(Cow::Borrowed(self.lent.push_get(value)))
    }
}

/// What entries count for.
#[derive(Clone)]
struct Weight;

impl Weighter<Key, Value> for Weight {
    fn weight(&self, key: &Key, value: &Value) -> u64 {
        weight(key, value)
    }
}

fn weight(key: &[u8], value: &[u8]) -> u64 {
    (key.len() as u64)
        .saturating_add(value.len() as u64)
        .saturating_add(MemoryStore::ENTRY_OVERHEAD_BYTES)
}

/// Tells which entries an insertion has removed.
#[derive(Clone)]
struct Evictions;

/// The keys of the entries that one insertion has removed. One of them may be its own, if it has
/// replaced a value.
#[derive(Default)]
struct Removed(Vec<Key>);

impl Lifecycle<Key, Value> for Evictions {
    type RequestState = Removed;

    fn on_evict(&self, removed: &mut Removed, key: Key, _: Value) {
        removed.0.push(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Entry, MAX_KEY_BYTES};

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
    fn batches_have_defaults() {
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
    }

    #[test]
    fn snapshots_lend_values_that_outlive_their_eviction() {
        let store = MemoryStore::new();
        store.insert(b"a", vec![1]);
        let snapshot = store.snapshot();
        let lent = snapshot.get(b"a");
        assert!(matches!(lent, Some(Cow::Borrowed([1]))));
        store.insert(b"a", vec![2]);
        store.insert(b"b", vec![]);
        assert_eq!(lent.as_deref(), Some(&[1][..]));
        let found = snapshot.get_many(&[b"a", b"b"]);
        assert_eq!(found[0].as_deref(), Some(&[2][..]));
        assert_eq!(found[1].as_deref(), Some(&[][..]));
    }

    fn key(number: u32) -> [u8; 32] {
        let mut key = [7; 32];
        key[..4].copy_from_slice(&number.to_le_bytes());
        key
    }

    #[test]
    fn stays_within_its_bound_and_counts_what_it_evicts() {
        for max_bytes in [1 << 16, 130 << 20] {
            let store = MemoryStore::with_capacity_bytes(max_bytes);
            let value = vec![1; max_bytes as usize / 100];
            let each = 32 + value.len() as u64 + MemoryStore::ENTRY_OVERHEAD_BYTES;
            for number in 0..300 {
                assert!(store.insert(&key(number), value.clone()));
                assert!(store.len() as u64 * each <= max_bytes);
            }
            assert_eq!(store.counters().evicted, 300 - store.len() as u64);
            assert!(store.len() >= 80, "{}", store.len());
        }
    }

    #[test]
    fn replacing_a_value_is_no_eviction() {
        let store = MemoryStore::with_capacity_bytes(1 << 16);
        for len in 0..1000 {
            assert!(store.insert(b"a", vec![1; len]));
        }
        assert_eq!((store.len(), store.counters().evicted), (1, 0));
    }

    #[test]
    fn keeps_what_is_asked_for() {
        let store = MemoryStore::with_capacity_bytes(1 << 16);
        store.insert(b"often", vec![1; 100]);
        for number in 0..10_000 {
            assert!(store.get(b"often").is_some());
            store.insert(&key(number), vec![2; 100]);
        }
    }

    #[test]
    fn declines_what_is_too_large() {
        let store = MemoryStore::with_capacity_bytes(10_000);
        assert!(store.insert(b"a", vec![1]));
        assert!(!store.insert(b"a", vec![1; 10_000]));
        assert_eq!(store.get(b"a"), None);
        assert!(store.insert(b"a", vec![1; 9_500]));
        assert_eq!(store.counters(), Counters::default());

        let nothing = MemoryStore::with_capacity_bytes(0);
        assert!(!nothing.insert(b"a", vec![]));
        assert!(nothing.is_empty());
    }
}
