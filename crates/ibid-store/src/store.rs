//! What a store is: [`CacheStore`], and a consistent view of one, [`Snapshot`].

use std::borrow::Cow;
use std::fmt::Debug;

/// The longest key that a store takes, in bytes. The empty key is refused as well.
pub const MAX_KEY_BYTES: usize = 64;

/// What a key starts with that names its family, see [`family`].
pub const FAMILY_MARK: [u8; 4] = *b"fam:";

/// The length of a family's name, in bytes.
pub const FAMILY_BYTES: usize = 8;

/// The family of the entry under `key`, if the key names one.
///
/// Entries of one family become useless together: those that one release of a compiler made, say.
/// A store that has to evict something takes families first that nobody uses any more. A key
/// that names its family starts with [`FAMILY_MARK`] and the name:
///
/// ```text
/// offset  size  field
///      0     4  FAMILY_MARK
///      4     8  the family's name
///     12     -  the rest of the key
/// ```
pub fn family(key: &[u8]) -> Option<[u8; FAMILY_BYTES]> {
    let name = key.strip_prefix(&FAMILY_MARK)?;
    name.first_chunk().copied()
}

/// A map from short keys to values that may forget, but never lies.
///
/// A lookup answers with the value last inserted under that key or with a miss. An insertion may
/// decline: a store can be full, read-only, or out of order. Neither reports an error to the
/// caller, for no error of a store may fail a build; [`CacheStore::counters`] tells what went
/// wrong.
///
/// # Thread safety
///
/// Stores are shared: every method takes `&self` and may be called from any number of threads at
/// once. An `Arc<dyn CacheStore>` is a store, and so are `&T`, `Arc<T>` and `Box<T>`.
///
/// # Panics
///
/// No method panics.
pub trait CacheStore: Send + Sync + Debug {
    /// The value stored under `key`, or `None` if there is none that is intact.
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>>;

    /// Stores `value` under `key` in place of what is there, and tells whether it did.
    ///
    /// Keys that are empty or longer than [`MAX_KEY_BYTES`] are refused.
    fn insert(&self, key: &[u8], value: Vec<u8>) -> bool;

    /// The values stored under `keys`, in the order of `keys`.
    ///
    /// The default looks the keys up one by one.
    fn get_many(&self, keys: &[&[u8]]) -> Vec<Option<Cow<'_, [u8]>>> {
        keys.iter().map(|key| self.get(key)).collect()
    }

    /// Stores `entries` and returns how many of them were stored.
    ///
    /// Of two entries with one key the later one stays. The default inserts them one by one.
    fn insert_many(&self, entries: Vec<Entry>) -> usize {
        entries
            .into_iter()
            .filter_map(|entry| self.insert(&entry.key, entry.value).then_some(()))
            .count()
    }

    /// A view of the store, which can lend values instead of copying them.
    ///
    /// The default reads straight through to the store, so it is as consistent as the store
    /// itself: it sees what is inserted while it lives.
    fn snapshot(&self) -> Box<dyn Snapshot + '_> {
        Box::new(ReadThrough(self))
    }

    /// Whether every lookup compares a checksum of key and value, so that nobody else need do
    /// so again.
    ///
    /// The default says no.
    fn is_checked(&self) -> bool {
        false
    }

    /// What was evicted and what went wrong so far, as seen through this handle.
    ///
    /// The default says that nothing was and nothing did.
    fn counters(&self) -> Counters {
        Counters::default()
    }
}

/// A key and its value, for [`CacheStore::insert_many`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key, of 1 to [`MAX_KEY_BYTES`] bytes.
    pub key: Vec<u8>,
    /// The value.
    pub value: Vec<u8>,
}

/// A consistent view of a store.
///
/// The bytes that it hands out may be borrowed from the store itself (a memory mapping, say) and
/// live as long as the snapshot. A store on disk cannot reuse the space of what a snapshot might
/// still read, so a snapshot should not be kept for longer than a build.
pub trait Snapshot {
    /// The value stored under `key`, or `None` if there is none that is intact.
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>>;

    /// The values stored under `keys`, in the order of `keys`.
    ///
    /// The default looks the keys up one by one.
    fn get_many(&self, keys: &[&[u8]]) -> Vec<Option<Cow<'_, [u8]>>> {
        keys.iter().map(|key| self.get(key)).collect()
    }
}

/// What a store has noticed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    /// Entries that were removed to make room for others.
    pub evicted: u64,
    /// Lookups that met an entry with a bad checksum, another key or another format. Each of them
    /// was answered with a miss.
    pub damaged: u64,
    /// Operations that the database or the operating system refused. Each was answered with a
    /// miss, or with "not stored".
    pub failures: u64,
    /// The message of the latest of the failures.
    pub last_failure: Option<String>,
}

/// Whether stores take a key of this length.
pub(crate) fn is_valid_key(key: &[u8]) -> bool {
    (1..=MAX_KEY_BYTES).contains(&key.len())
}

/// The snapshot of a store that has none of its own.
struct ReadThrough<'s, S: ?Sized>(&'s S);

impl<S: CacheStore + ?Sized> Snapshot for ReadThrough<'_, S> {
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        self.0.get(key)
    }

    fn get_many(&self, keys: &[&[u8]]) -> Vec<Option<Cow<'_, [u8]>>> {
        self.0.get_many(keys)
    }
}
