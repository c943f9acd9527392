//! Values that can be told from their keys, and stores that are small.

use ibid_store::{CacheStore, Counters, DiskOptions, DiskStore, Entry};
use std::path::Path;

/// The smallest store that there is.
pub(crate) const SMALL_STORE: DiskOptions = DiskOptions {
    max_bytes: 8 << 20,
    authentication: None,
    eviction_time: DiskOptions::DEFAULT_EVICTION_TIME,
};

/// A store in which a few large values fit.
pub(crate) const MIDDLING_STORE: DiskOptions = DiskOptions {
    max_bytes: 32 << 20,
    authentication: None,
    eviction_time: DiskOptions::DEFAULT_EVICTION_TIME,
};

pub(crate) fn open(directory: &Path, options: &DiskOptions) -> DiskStore {
    DiskStore::open_with(directory, options.clone()).unwrap()
}

/// A key as long as most are, a digest.
pub(crate) fn key(number: u32) -> Vec<u8> {
    let mut key = vec![0; 32];
    key[..4].copy_from_slice(&number.wrapping_mul(0x9E37_79B1).to_le_bytes());
    key[28..].copy_from_slice(&number.to_le_bytes());
    key
}

/// The value of `number`: of 300 to 3,000 bytes, and like no other's.
pub(crate) fn value(number: u32) -> Vec<u8> {
    let len = 300 + number.wrapping_mul(2_654_435_761) as usize % 2701;
    number.to_le_bytes().into_iter().cycle().take(len).collect()
}

pub(crate) fn entries(numbers: impl IntoIterator<Item = u32>) -> Vec<Entry> {
    let entry = |number| Entry {
        key: key(number),
        value: value(number),
    };
    numbers.into_iter().map(entry).collect()
}

/// How many of `numbers` are found. What is found has to be intact.
pub(crate) fn found(store: &dyn CacheStore, numbers: impl IntoIterator<Item = u32>) -> usize {
    let snapshot = store.snapshot();
    let intact = |number: &u32| match snapshot.get(&key(*number)) {
        Some(found) => {
            assert!(*found == value(*number), "a wrong value for {number}");
            true
        }
        None => false,
    };
    numbers.into_iter().filter(intact).count()
}

/// What went wrong. That something was evicted is not wrong.
pub(crate) fn trouble(store: &dyn CacheStore) -> Counters {
    Counters {
        evicted: 0,
        ..store.counters()
    }
}
