//! Rules of lookups and insertions.

use super::{Subject, key, value};
use crate::store::{Entry, FAMILY_MARK, MAX_KEY_BYTES};
use std::collections::HashMap;

fn entry(key: &[u8], value: Vec<u8>) -> Entry {
    let key = key.to_vec();
    Entry { key, value }
}

pub(super) fn an_empty_store_has_nothing(subject: &Subject<'_>) {
    subject.expect_found(b"absent", None);
    subject.expect_found(&key(0), None);
    subject.expect_count("a lookup of no keys", subject.store.get_many(&[]).len(), 0);
    subject.expect_stored(subject.store.insert_many(vec![]), 0);
    let counters = subject.store.counters();
    assert_eq!(
        (counters.damaged, counters.failures, counters.last_failure),
        (0, 0, None),
        "a store that was not used yet has no damage and no failures to report"
    );
}

pub(super) fn a_lookup_finds_what_was_inserted_last(subject: &Subject<'_>) {
    let mut last = None;
    for len in [10, 10, 2000, 0, 5] {
        let value = value(len, len as usize);
        if subject.insert(&key(0), &value) {
            last = Some(value);
            subject.expect_found(&key(0), last.as_deref());
        }
    }
    subject.insert(&key(1), b"another");
    subject.expect_found(&key(0), last.as_deref());
    subject.expect_found(&key(2), None);
}

/// Also those that begin with each other, and those that name a family or nearly do.
pub(super) fn keys_of_all_lengths_are_told_apart(subject: &Subject<'_>) {
    let mut keys: Vec<Vec<u8>> = Vec::new();
    for len in 1..=MAX_KEY_BYTES {
        keys.push(vec![0; len]);
        keys.push(vec![0xff; len]);
        if len >= FAMILY_MARK.len() {
            let mut key = FAMILY_MARK.to_vec();
            key.resize(len, b'x');
            keys.push(key);
        }
    }
    let value = |number: usize| value(number as u32, 20);
    let entries = keys.iter().enumerate();
    let entries: Vec<_> = entries
        .map(|(number, key)| entry(key, value(number)))
        .collect();
    subject.expect_stored(subject.store.insert_many(entries), keys.len());
    for (number, key) in keys.iter().enumerate() {
        subject.expect_found(key, Some(&value(number)));
    }
}

pub(super) fn keys_of_no_or_too_many_bytes_are_refused(subject: &Subject<'_>) {
    let too_long = [7; MAX_KEY_BYTES + 1];
    let far_too_long = [7; 1000];
    let refused: [&[u8]; 3] = [b"", &too_long, &far_too_long];
    for key in refused {
        assert!(
            !subject.store.insert(key, b"refused".to_vec()),
            "a key of {} bytes has to be refused",
            key.len()
        );
        subject.expect_found(key, None);
    }

    // In a batch they do not keep others from being stored and found.
    let (first, last) = (key(1), key(2));
    let mut entries = vec![entry(&first, b"first".to_vec())];
    entries.extend(refused.map(|key| entry(key, b"refused".to_vec())));
    entries.push(entry(&last, b"last".to_vec()));
    subject.expect_stored(subject.store.insert_many(entries), 2);
    let keys = [&last, refused[0], refused[1], &first, refused[2]];
    let expected: [Option<&[u8]>; 5] = [Some(b"last"), None, None, Some(b"first"), None];
    let found = subject.store.get_many(&keys);
    subject.expect_count("a lookup of several keys", found.len(), keys.len());
    for ((key, found), expected) in keys.iter().zip(&found).zip(expected) {
        subject.expect("a batch", key, found.as_deref(), expected);
    }
    // The longest key that is taken is no other's beginning.
    subject.expect_found(&too_long[..MAX_KEY_BYTES], None);
}

pub(super) fn values_of_all_sizes_come_back(subject: &Subject<'_>) {
    const MIB: usize = 1 << 20;
    let sizes = [
        0,
        1,
        100,
        4095,
        4096,
        4097,
        65_536,
        MIB - 1,
        MIB,
        MIB + 1,
        5 * MIB + 3,
    ];
    let mut entries = Vec::new();
    for (number, len) in sizes.into_iter().enumerate() {
        let (one, batched) = (number as u32, 100 + number as u32);
        let one_value = value(one, len);
        if subject.insert(&key(one), &one_value) {
            subject.expect_found(&key(one), Some(&one_value));
        }
        entries.push(entry(&key(batched), value(batched, len)));
    }
    let stored = subject.store.insert_many(entries);
    subject.expect_stored(stored, sizes.len());
    for (number, len) in sizes.into_iter().enumerate() {
        for number in [number as u32, 100 + number as u32] {
            subject.expect_found(&key(number), Some(&value(number, len)));
        }
    }
}

pub(super) fn batches_keep_their_order(subject: &Subject<'_>) {
    const ENTRIES: u32 = 2000;
    let len = |number: u32| number.wrapping_mul(2_654_435_761) as usize % 3000;
    let numbers = 0..ENTRIES;
    let entries: Vec<_> = numbers
        .map(|number| entry(&key(number), value(number, len(number))))
        .collect();
    let stored = subject.store.insert_many(entries);
    subject.expect_stored(stored, ENTRIES as usize);

    // In another order, with keys that are not there, and some of them twice.
    let asked: Vec<u32> = (0..2 * ENTRIES)
        .map(|place| place * 7919 % (ENTRIES + 500))
        .collect();
    let keys: Vec<_> = asked.iter().map(|&number| key(number)).collect();
    let keys: Vec<_> = keys.iter().map(|key| &key[..]).collect();
    let snapshot = subject.store.snapshot();
    for (how, found) in [
        ("a batch", subject.store.get_many(&keys)),
        ("a batch in a snapshot", snapshot.get_many(&keys)),
    ] {
        subject.expect_count(how, found.len(), keys.len());
        for ((&number, key), found) in asked.iter().zip(&keys).zip(&found) {
            let expected = (number < ENTRIES).then(|| value(number, len(number)));
            subject.expect(how, key, found.as_deref(), expected.as_deref());
        }
    }
}

pub(super) fn of_two_entries_with_one_key_the_later_stays(subject: &Subject<'_>) {
    subject.insert(&key(0), b"from before");
    let mut last = HashMap::new();
    let mut entries = Vec::new();
    for number in 0..300 {
        let key = key(number * 7 % 50);
        let value = value(number, number as usize);
        last.insert(key, value.clone());
        entries.push(entry(&key, value));
    }
    let given = entries.len();
    let stored = subject.store.insert_many(entries);
    assert!(
        stored <= given,
        "of a batch of {given} entries {stored} cannot have been stored"
    );
    for (key, value) in &last {
        // What was declined leaves what was there before, and nothing tells which were.
        if stored > 0 && stored == given {
            subject.expect_found(key, Some(value));
        }
    }
}
