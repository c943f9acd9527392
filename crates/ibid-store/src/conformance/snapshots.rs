//! Rules of snapshots.

use super::{Subject, key, value};
use crate::store::Entry;

fn entries(numbers: std::ops::Range<u32>, version: u32) -> Vec<Entry> {
    let entry = |number| Entry {
        key: key(number).to_vec(),
        value: value(number + version, 500),
    };
    numbers.map(entry).collect()
}

pub(super) fn a_snapshot_has_what_was_inserted_before(subject: &Subject<'_>) {
    subject.store.insert_many(entries(0..100, 0));
    let first = subject.store.snapshot();
    subject.store.insert_many(entries(100..200, 0));
    let second = subject.store.snapshot();
    for number in 0..200 {
        let key = key(number);
        let expected = value(number, 500);
        let found = second.get(&key);
        subject.expect("a snapshot", &key, found.as_deref(), Some(&expected));
        // What was inserted later may be seen.
        let found = first.get(&key);
        if number < 100 || found.is_some() {
            subject.expect("a snapshot", &key, found.as_deref(), Some(&expected));
        }
    }
    // Not in the order in which they were taken.
    drop(first);
    let found = second.get(&key(199));
    let expected = value(199, 500);
    subject.expect("a snapshot", &key(199), found.as_deref(), Some(&expected));
}

/// Neither what a snapshot has lent nor whatever it lends later is half of one value and half of
/// another, however often the entries are replaced.
pub(super) fn what_is_lent_does_not_change(subject: &Subject<'_>) {
    const ENTRIES: u32 = 50;
    const VERSIONS: u32 = 20;
    const STEP: u32 = 1000;
    let is_some_version = |number: u32, found: &[u8]| {
        (0..=VERSIONS).any(|version| found == value(number + version * STEP, 500))
    };

    subject.store.insert_many(entries(0..ENTRIES, 0));
    let snapshot = subject.store.snapshot();
    let lent: Vec<_> = (0..ENTRIES)
        .map(|number| snapshot.get(&key(number)))
        .collect();
    for version in 1..=VERSIONS {
        let replacing = entries(0..ENTRIES, version * STEP);
        let all = replacing.len();
        if subject.store.insert_many(replacing) == all {
            for number in (0..ENTRIES).step_by(7) {
                let expected = value(number + version * STEP, 500);
                subject.expect_found(&key(number), Some(&expected));
            }
        }
        for number in 0..ENTRIES {
            if let Some(found) = snapshot.get(&key(number)) {
                assert!(
                    is_some_version(number, &found),
                    "a snapshot lent a value that was never inserted"
                );
            }
        }
    }
    for (number, lent) in (0..ENTRIES).zip(&lent) {
        let expected = value(number, 500);
        subject.expect("a snapshot", &key(number), lent.as_deref(), Some(&expected));
    }
}
