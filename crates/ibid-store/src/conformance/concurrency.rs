//! Rules of stores that several threads use at once.

use super::{Memory, Subject, key, value};
use crate::store::Entry;
use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;

/// Each thread inserts entries of its own, in batches and one by one, and looks up those of all.
pub(super) fn threads_find_each_others_entries(subject: &Subject<'_>) {
    const THREADS: u32 = 4;
    const BATCHES: u32 = 8;
    const BATCH: u32 = 60;
    const OF_EACH: u32 = BATCHES * BATCH;
    let entry = |number| Entry {
        key: key(number).to_vec(),
        value: value(number, 700),
    };
    let expect_if_found = |number: u32| {
        if let Some(found) = subject.store.get(&key(number)) {
            let expected = value(number, 700);
            subject.expect("a lookup", &key(number), Some(&found), Some(&expected));
        }
    };
    thread::scope(|scope| {
        for own in (0..THREADS).map(|thread| thread * OF_EACH) {
            scope.spawn(move || {
                for first in (0..BATCHES).map(|batch| own + batch * BATCH) {
                    let last = first + BATCH - 1;
                    let stored = subject
                        .store
                        .insert_many((first..last).map(entry).collect());
                    subject.expect_stored(stored, BATCH as usize - 1);
                    subject.insert(&key(last), &entry(last).value);
                    // One's own are there at once.
                    for number in first..=last {
                        let expected = value(number, 700);
                        let found = subject.store.get(&key(number));
                        subject.expect("a lookup", &key(number), found.as_deref(), Some(&expected));
                    }
                    for place in 0..BATCH {
                        expect_if_found((first + place * 37) % (THREADS * OF_EACH));
                    }
                }
            });
        }
    });
    let snapshot = subject.store.snapshot();
    for number in 0..THREADS * OF_EACH {
        let expected = value(number, 700);
        let found = snapshot.get(&key(number));
        subject.expect(
            "a snapshot",
            &key(number),
            found.as_deref(),
            Some(&expected),
        );
    }
}

/// While one thread replaces values by later versions, others never find an earlier version than the
/// one whose insertion was complete when they began to look.
///
/// Two lookups that overlap with an insertion may find the later version and then the earlier one:
/// a store of several tiers cannot change all of them at once.
pub(super) fn what_was_replaced_does_not_come_back(subject: &Subject<'_>) {
    const VERSIONS: u32 = 60;
    const KEYS: u32 = 5;
    let completed = AtomicU32::new(0);
    let keys: Vec<_> = (0..KEYS).map(key).collect();
    let keys: Vec<_> = keys.iter().map(|key| &key[..]).collect();
    let check = |look_up: &dyn Fn() -> Vec<Option<Vec<u8>>>| {
        let earliest = completed.load(Ordering::Acquire);
        for (number, found) in (0..KEYS).zip(look_up()) {
            let version = found.map(|found| {
                let version = version_of(number, &found);
                version.expect("a lookup found a value that was never inserted")
            });
            let is_allowed = match version {
                Some(version) => version >= earliest,
                None => earliest == 0 || subject.memory == Memory::Forgets,
            };
            assert!(
                is_allowed,
                "a lookup that began when version {earliest} of a value was stored found {version:?}"
            );
        }
    };
    let owned = |found: Option<Cow<'_, [u8]>>| found.map(Cow::into_owned);
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !is_done.load(Ordering::Acquire) {
                    check(&|| {
                        let one_by_one = keys.iter().map(|key| subject.store.get(key));
                        one_by_one.map(owned).collect()
                    });
                    check(&|| {
                        let batch = subject.store.get_many(&keys);
                        batch.into_iter().map(owned).collect()
                    });
                    check(&|| {
                        let snapshot = subject.store.snapshot();
                        let batch = snapshot.get_many(&keys);
                        batch.into_iter().map(owned).collect()
                    });
                }
            });
        }
        let _done = Done(&is_done);
        for version in 1..=VERSIONS {
            let entry = |number| Entry {
                key: key(number).to_vec(),
                value: versioned(number, version),
            };
            let stored = subject.store.insert_many((0..KEYS).map(entry).collect());
            subject.expect_stored(stored, KEYS as usize);
            // What was declined leaves what was there before.
            if stored == KEYS as usize {
                completed.store(version, Ordering::Release);
            }
        }
    });
}

/// The version that `found` is of the value of `key`, if it is one.
fn version_of(key: u32, found: &[u8]) -> Option<u32> {
    let version = u32::from_le_bytes(*found.first_chunk()?);
    (found == versioned(key, version)).then_some(version)
}

/// The version, and bytes that belong to it and to the key.
fn versioned(key: u32, version: u32) -> Vec<u8> {
    let mut bytes = version.to_le_bytes().to_vec();
    bytes.extend(value(key << 16 | version, 2000));
    bytes
}

/// Says that it is over, also when a check has failed.
struct Done<'d>(&'d AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}
