//! What every store has to do, as a test.
//!
//! A store of one's own is held to the rules of [`CacheStore`] with one line in a test:
//!
//! ```
//! # use ibid_store::MemoryStore as MyStore;
//! ibid_store::conformance::check(|| Box::new(MyStore::new()));
//! ```
//!
//! A store that is bounded, or declines insertions, is held to what remains by
//! [`check_forgetful`].
//!
//! What cannot be tested through the trait is not: that entries outlive the process, that damage is
//! noticed, that a bound is kept.

mod concurrency;
mod entries;
mod snapshots;

use crate::store::{CacheStore, MAX_KEY_BYTES};
use std::fmt::Write as _;

/// Checks that the stores that `make` returns conform and never forget.
///
/// `make` is called some ten times and has to return an empty store each time. The store has to
/// have room for 64 MiB. Takes up to about 10,000 insertions, many of them in batches.
///
/// # Panics
///
/// If a rule is broken. The message says which, and what the store did.
pub fn check(make: impl FnMut() -> Box<dyn CacheStore>) {
    check_all(make, Memory::Keeps);
}

/// Checks that the stores that `make` returns conform, and lets them forget anything at any time
/// and decline any insertion.
///
/// `make` is called some ten times and has to return an empty store each time.
///
/// # Panics
///
/// If a rule is broken. The message says which, and what the store did.
pub fn check_forgetful(make: impl FnMut() -> Box<dyn CacheStore>) {
    check_all(make, Memory::Forgets);
}

fn check_all(mut make: impl FnMut() -> Box<dyn CacheStore>, memory: Memory) {
    let rules: [fn(&Subject); 11] = [
        entries::an_empty_store_has_nothing,
        entries::a_lookup_finds_what_was_inserted_last,
        entries::keys_of_all_lengths_are_told_apart,
        entries::keys_of_no_or_too_many_bytes_are_refused,
        entries::values_of_all_sizes_come_back,
        entries::batches_keep_their_order,
        entries::of_two_entries_with_one_key_the_later_stays,
        snapshots::a_snapshot_has_what_was_inserted_before,
        snapshots::what_is_lent_does_not_change,
        concurrency::threads_find_each_others_entries,
        concurrency::what_was_replaced_does_not_come_back,
    ];
    for rule in rules {
        let store = make();
        rule(&Subject {
            store: &*store,
            memory,
        });
        assert!(
            !format!("{store:?}").is_empty(),
            "a store has to say what it is when it is printed for debugging"
        );
    }
}

/// What a store promises about what was inserted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Memory {
    Keeps,
    Forgets,
}

/// The store that is checked.
struct Subject<'s> {
    store: &'s dyn CacheStore,
    memory: Memory,
}

impl Subject<'_> {
    /// Checks what was found under `key`: the value that was inserted last, or `None` if none was.
    #[track_caller]
    fn expect(&self, how: &str, key: &[u8], found: Option<&[u8]>, expected: Option<&[u8]>) {
        let is_allowed = match found {
            Some(_) => found == expected,
            None => expected.is_none() || self.memory == Memory::Forgets,
        };
        assert!(
            is_allowed,
            "{how} of the key {} found {}, and was to find {}",
            shown(key),
            found.map_or("nothing".into(), shown),
            expected.map_or("nothing".into(), shown),
        );
    }

    /// Looks `key` up in all ways that there are, and checks what is found.
    #[track_caller]
    fn expect_found(&self, key: &[u8], expected: Option<&[u8]>) {
        let found = self.store.get(key);
        self.expect("a lookup", key, found.as_deref(), expected);
        let found = self.store.get_many(&[key]);
        self.expect_count("a lookup of one key", found.len(), 1);
        self.expect("a batch", key, found[0].as_deref(), expected);
        let snapshot = self.store.snapshot();
        let found = snapshot.get(key);
        self.expect("a lookup in a snapshot", key, found.as_deref(), expected);
        let found = snapshot.get_many(&[key]);
        self.expect_count("a lookup of one key in a snapshot", found.len(), 1);
        self.expect("a batch in a snapshot", key, found[0].as_deref(), expected);
    }

    #[track_caller]
    fn expect_count(&self, what: &str, count: usize, expected: usize) {
        assert_eq!(count, expected, "{what} has to give as many answers");
    }

    /// Inserts, and checks that it was stored. A value that was declined may not be found, so
    /// this returns whether it was.
    #[track_caller]
    fn insert(&self, key: &[u8], value: &[u8]) -> bool {
        let stored = self.store.insert(key, value.to_vec());
        assert!(
            stored || self.memory == Memory::Forgets,
            "the insertion of {} under the key {} was declined",
            shown(value),
            shown(key)
        );
        stored
    }

    /// Checks how many entries of a batch were stored.
    #[track_caller]
    fn expect_stored(&self, stored: usize, expected: usize) {
        let is_allowed = match self.memory {
            Memory::Keeps => stored == expected,
            Memory::Forgets => stored <= expected,
        };
        assert!(
            is_allowed,
            "of a batch {stored} entries were stored, and {expected} were to be"
        );
    }
}

/// A key as long as most are, a digest.
fn key(number: u32) -> [u8; 32] {
    *blake3::hash(&number.to_le_bytes()).as_bytes()
}

/// A value of `len` bytes like no other's.
fn value(number: u32, len: usize) -> Vec<u8> {
    let mut value = vec![0; len];
    let mut hasher = blake3::Hasher::new();
    hasher.update(&number.to_le_bytes());
    hasher.finalize_xof().fill(&mut value);
    value
}

/// The beginning of `bytes`, and how many there are.
fn shown(bytes: &[u8]) -> String {
    let mut text = format!("{} bytes", bytes.len());
    for (place, byte) in bytes.iter().take(MAX_KEY_BYTES).enumerate() {
        let separator = if place == 0 { ": " } else { "" };
        // Writing to a string does not fail.
        let _ = write!(text, "{separator}{byte:02x}");
    }
    if bytes.len() > MAX_KEY_BYTES {
        text.push_str("..");
    }
    text
}
