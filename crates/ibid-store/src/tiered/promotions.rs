//! What is to be promoted, until it is.

use crate::store::Entry;
use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is gathered at most.
const MOST_BYTES: usize = 64 << 20;
const MOST_ENTRIES: usize = 1 << 16;

/// What makes a batch that is worth to be written.
const DUE_BYTES: usize = 1 << 20;
const DUE_ENTRIES: usize = 256;

/// How many clocks there are for the keys. Two keys that share one cost each other promotions.
const CLOCKS: usize = 1 << 12;

/// When a lookup began: how many insertions had been completed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(u64);

/// Entries to be promoted.
///
/// A lookup can find a value while another one is inserted under the same key, and gather the one
/// that it found when the insertion is long complete. So everything is gathered with the moment
/// at which its lookup began, and dropped if an insertion was completed since that.
pub(super) struct Promotions {
    gathered: Mutex<Gathered>,
    /// How many insertions were completed.
    clock: AtomicU64,
    /// What the clock said after the latest insertion of a key with that hash.
    inserted: Box<[AtomicU64]>,
    hasher: RandomState,
}

#[derive(Default)]
struct Gathered {
    by_key: HashMap<Box<[u8]>, Found>,
    bytes: usize,
}

struct Found {
    at: usize,
    value: Vec<u8>,
    since: Moment,
}

/// An entry, and the depth of the nearest tier that has it.
pub(super) struct Promotion {
    pub(super) found_at: usize,
    pub(super) entry: Entry,
}

impl Default for Promotions {
    fn default() -> Self {
        Promotions {
            gathered: Mutex::default(),
            clock: AtomicU64::new(0),
            inserted: (0..CLOCKS).map(|_| AtomicU64::new(0)).collect(),
            hasher: RandomState::new(),
        }
    }
}

impl Promotions {
    /// To be taken before a lookup begins.
    pub(super) fn now(&self) -> Moment {
        Moment(self.clock.load(Ordering::SeqCst))
    }

    /// Notes that `value` was found under `key` at `depth` by a lookup that began at `since`.
    /// Leaves it if it need not be promoted or there is no room.
    pub(super) fn gather(&self, depth: usize, key: &[u8], value: &[u8], since: Moment) {
        if depth == 0 {
            return;
        }
        let mut gathered = self.lock();
        let (replaced, entries) = match gathered.by_key.get(key) {
            Some(found) if found.since >= since => return,
            // What is there may be out of date already.
            Some(found) => (found.value.len(), gathered.by_key.len()),
            None => (0, gathered.by_key.len() + 1),
        };
        let bytes = gathered.bytes - replaced + value.len();
        if bytes > MOST_BYTES || entries > MOST_ENTRIES {
            return;
        }
        let found = Found {
            at: depth,
            value: value.to_vec(),
            since,
        };
        gathered.by_key.insert(key.into(), found);
        gathered.bytes = bytes;
    }

    /// Notes that an insertion under `keys` is complete.
    pub(super) fn inserted(&self, keys: &[Vec<u8>]) {
        if keys.is_empty() {
            return;
        }
        let now = self.clock.fetch_add(1, Ordering::SeqCst) + 1;
        for key in keys {
            self.clock_of(key).fetch_max(now, Ordering::SeqCst);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().by_key.is_empty()
    }

    /// Whether enough is gathered for a batch.
    pub(super) fn is_due(&self) -> bool {
        let gathered = self.lock();
        gathered.bytes >= DUE_BYTES || gathered.by_key.len() >= DUE_ENTRIES
    }

    /// All that was gathered and is not out of date. There must be no insertion under way.
    pub(super) fn take(&self) -> Vec<Promotion> {
        let gathered = std::mem::take(&mut *self.lock());
        let mut promotions = Vec::with_capacity(gathered.by_key.len());
        for (key, found) in gathered.by_key {
            if self.clock_of(&key).load(Ordering::SeqCst) <= found.since.0 {
                promotions.push(Promotion {
                    found_at: found.at,
                    entry: Entry {
                        key: key.into(),
                        value: found.value,
                    },
                });
            }
        }
        promotions
    }

    fn clock_of(&self, key: &[u8]) -> &AtomicU64 {
        &self.inserted[self.hasher.hash_one(key) as usize % CLOCKS]
    }

    fn lock(&self) -> MutexGuard<'_, Gathered> {
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(promotions: &Promotions) -> Vec<(usize, Vec<u8>, Vec<u8>)> {
        let taken = promotions.take().into_iter();
        taken
            .map(|promotion| {
                let entry = promotion.entry;
                (promotion.found_at, entry.key, entry.value)
            })
            .collect()
    }

    #[test]
    fn gathers_each_key_once_and_not_what_is_nearest() {
        let promotions = Promotions::default();
        let now = promotions.now();
        promotions.gather(0, b"near", b"1", now);
        assert!(promotions.is_empty());
        promotions.gather(1, b"far", b"2", now);
        promotions.gather(1, b"far", b"2", now);
        assert_eq!(taken(&promotions), [(1, b"far".to_vec(), b"2".to_vec())]);
        assert!(promotions.is_empty());
    }

    #[test]
    fn drops_what_an_insertion_has_overtaken() {
        let promotions = Promotions::default();
        let before = promotions.now();
        promotions.gather(1, b"a", b"old", before);
        promotions.inserted(&[b"a".to_vec()]);
        assert!(taken(&promotions).is_empty());
        promotions.gather(1, b"a", b"old", before);
        promotions.gather(1, b"a", b"new", promotions.now());
        promotions.gather(1, b"a", b"old", before);
        assert_eq!(taken(&promotions), [(1, b"a".to_vec(), b"new".to_vec())]);
    }

    #[test]
    fn is_bounded() {
        let promotions = Promotions::default();
        let now = promotions.now();
        let value = vec![0; 1 << 20];
        for number in 0..100u32 {
            promotions.gather(1, &number.to_le_bytes(), &value, now);
        }
        assert!(promotions.is_due());
        assert_eq!(promotions.take().len(), 64);
        assert!(!promotions.is_due());
        for number in 0..MOST_ENTRIES as u32 + 10 {
            promotions.gather(1, &number.to_le_bytes(), b"", now);
        }
        assert_eq!(promotions.take().len(), MOST_ENTRIES);
    }
}
