//! A store whose entries can be seen, and damaged.

use crate::random::Random;
use ibid_store::{CacheStore, FAMILY_BYTES, FAMILY_MARK};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use xxhash_rust::xxh3::Xxh3;

/// A store in memory that shows its entries and lets them be damaged.
#[derive(Debug, Default)]
pub struct OpenStore(Mutex<Entries>);

type Entries = BTreeMap<Vec<u8>, Vec<u8>>;

/// Where the kind stands in a key.
const KIND: usize = FAMILY_MARK.len() + FAMILY_BYTES;

/// The length of the checksum behind a value (`crates/ibid/src/entries.rs`).
const CHECKSUM: usize = 16;

/// The kind of the entry that remembers the self-check.
const PROBE: u8 = b'p';

/// The kind of the entries of Cranelift's own cache.
const CLIF: u8 = b'c';

impl OpenStore {
    /// The entries, by key; see [`kind`].
    pub fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets everything but that the self-check passed.
    pub fn forget(&self) {
        self.entries().retain(|key, _| kind(key) == PROBE);
    }

    /// Forgets all entries of this kind.
    pub fn forget_kind(&self, forgotten: u8) {
        self.entries().retain(|key, _| kind(key) != forgotten);
    }

    /// Puts an entry there that ibid takes for its own.
    pub fn plant(&self, key: &[u8], mut value: Vec<u8>) {
        seal(key, &mut value);
        self.entries().insert(key.to_vec(), value);
    }

    /// Damages about one of `one_in` entries. Says how many have another value than before.
    pub fn damage(&self, random: &mut Random, one_in: usize) -> u64 {
        let mut entries = self.entries();
        let values: Vec<Vec<u8>> = entries.values().cloned().collect();
        let mut damaged = 0;
        for value in entries.values_mut() {
            if random.one_in(one_in) {
                let before = value.clone();
                garble(random, value, &values);
                damaged += u64::from(*value != before);
            }
        }
        damaged
    }

    /// As [`damage`](Self::damage), and gives the damaged entries checksums that are right, which
    /// no accident does. Leaves out the entries of Cranelift's own cache: Cranelift reads them as
    /// they are, and panics if they are not what it wrote.
    pub fn forge(&self, random: &mut Random, one_in: usize) -> u64 {
        let mut entries = self.entries();
        let payload = |value: &[u8]| value[..value.len().saturating_sub(CHECKSUM)].to_vec();
        let values: Vec<Vec<u8>> = entries.values().map(|value| payload(value)).collect();
        let mut forged = 0;
        for (key, value) in entries.iter_mut() {
            if ![PROBE, CLIF].contains(&kind(key)) && random.one_in(one_in) {
                let before = value.clone();
                *value = payload(value);
                garble(random, value, &values);
                seal(key, value);
                forged += u64::from(*value != before);
            }
        }
        forged
    }
}

/// The kind of the entry under `key`: the byte behind the name of the release's family
/// (`crates/ibid/src/entries.rs`).
pub fn kind(key: &[u8]) -> u8 {
    key[KIND]
}

/// Appends the checksum that ibid expects of an entry.
fn seal(key: &[u8], value: &mut Vec<u8>) {
    let mut hasher = Xxh3::new();
    hasher.update(key);
    hasher.update(value);
    value.extend_from_slice(&hasher.digest128().to_le_bytes());
}

/// One of many ways to lose a value.
fn garble(random: &mut Random, value: &mut Vec<u8>, others: &[Vec<u8>]) {
    match random.below(9) {
        0 => value.clear(),
        1 => value.truncate(random.below(value.len())),
        2 => {
            let length = 1 + random.below(64);
            value.extend(random.bytes(length));
        }
        3 => {
            let length = random.below(200);
            *value = random.bytes(length);
        }
        4 => value.fill(*random.pick(&[0, 0x7f, 0x80, 0xff])),
        5 => value.clone_from(random.pick(others)),
        6 if value.len() >= 4 => {
            // A length or an offset, where there is one.
            let at = random.below(value.len() / 4) * 4;
            let word = *random.pick(&[0, 1, 4, 0xff, 0x7fff_ffff, 0x8000_0000, u32::MAX]);
            value[at..at + 4].copy_from_slice(&word.to_le_bytes());
        }
        7 if value.len() >= 2 => {
            let middle = 1 + random.below(value.len() - 1);
            value.rotate_left(middle);
        }
        _ if value.is_empty() => value.push(0),
        _ => {
            for _ in 0..=random.below(3) {
                let at = random.below(value.len());
                value[at] ^= 1 << random.below(8);
            }
        }
    }
}

impl CacheStore for OpenStore {
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        Some(Cow::Owned(self.entries().get(key)?.clone()))
    }

    fn insert(&self, key: &[u8], value: Vec<u8>) -> bool {
        self.entries().insert(key.to_vec(), value);
        true
    }
}
