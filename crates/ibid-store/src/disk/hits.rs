//! The keys that were found in the older generation, until they are promoted.

use std::collections::HashSet;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many keys are remembered at most. Those beyond are promoted when they are found again.
const MOST_KEYS: usize = 1 << 16;

/// A bounded set of keys.
#[derive(Debug, Default)]
pub(super) struct Hits {
    keys: Mutex<HashSet<Box<[u8]>>>,
}

impl Hits {
    /// Remembers `key`, if there is room.
    pub(super) fn remember(&self, key: &[u8]) {
        let mut keys = self.lock();
        if keys.len() < MOST_KEYS && !keys.contains(key) {
            keys.insert(key.into());
        }
    }

    /// All keys remembered, which are forgotten by that.
    pub(super) fn take(&self) -> Vec<Box<[u8]>> {
        mem::take(&mut *self.lock()).into_iter().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<Box<[u8]>>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_each_key_once_and_not_too_many() {
        let hits = Hits::default();
        for _ in 0..2 {
            hits.remember(b"a");
        }
        assert_eq!(hits.take(), [Box::from(*b"a")]);
        for number in 0..MOST_KEYS + 10 {
            hits.remember(&number.to_le_bytes());
        }
        assert_eq!(hits.take().len(), MOST_KEYS);
        assert!(hits.take().is_empty());
    }
}
