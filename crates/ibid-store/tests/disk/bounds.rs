//! The store stays within its bounds, and is never full for good.

use crate::common::{MIDDLING_STORE, SMALL_STORE, entries, found, key, open, trouble, value};
use ibid_store::{CacheStore, Counters, DiskOptions, DiskStore, Entry};
use std::path::Path;
use std::time::Duration;

fn bytes_on_disk(store: &DiskStore) -> u64 {
    store.statistics().unwrap().bytes_on_disk
}

fn large(number: u32, bytes: usize) -> Entry {
    Entry {
        key: key(number),
        value: vec![number as u8; bytes],
    }
}

#[test]
fn what_is_new_is_stored_however_much_there_was() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path(), &SMALL_STORE);
    // About 40 MB into a store of 8 MiB.
    for start in (0..24_000).step_by(200) {
        let numbers = start..start + 200;
        assert_eq!(store.insert_many(entries(numbers.clone())), 200);
        assert_eq!(found(&store, numbers), 200);
        // What was stored just before is still there, too.
        assert_eq!(
            found(&store, start.saturating_sub(200)..start),
            200.min(start as usize)
        );
    }
    assert!(store.statistics().unwrap().rotations > 10);
    assert!(bytes_on_disk(&store) <= 8 << 20);
    assert_eq!(found(&store, 0..1000), 0);
    assert_eq!(trouble(&store), Counters::default());
}

#[test]
fn what_is_found_again_and_again_stays() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path(), &SMALL_STORE);
    store.insert_many(entries(0..50));
    for start in (1000..20_000).step_by(100) {
        assert_eq!(found(&store, 0..50), 50, "at {start}");
        assert_eq!(store.insert_many(entries(start..start + 100)), 100);
    }
    assert!(store.statistics().unwrap().rotations > 5);
    assert_eq!(trouble(&store), Counters::default());
}

/// A store with the entries `0..50` in the older generation, and few in the current one.
fn store_with_older_entries(directory: &Path) -> DiskStore {
    let store = open(directory, &SMALL_STORE);
    store.insert_many(entries(0..50));
    let mut next = 1000;
    while store.statistics().unwrap().rotations == 0 {
        store.insert_many(entries(next..next + 100));
        next += 100;
    }
    store
}

#[test]
fn what_was_found_is_promoted_even_if_generations_change_just_then() {
    let directory = tempfile::tempdir().unwrap();
    let store = store_with_older_entries(directory.path());
    assert_eq!(found(&store, 0..20), 20);
    assert_eq!(store.insert_many(entries(5000..5550)), 550);
    assert_eq!(store.statistics().unwrap().rotations, 2);
    assert_eq!(found(&store, 0..50), 20);
}

#[test]
fn a_batch_may_need_the_space_that_was_freed_for_it() {
    let directory = tempfile::tempdir().unwrap();
    let options = DiskOptions {
        eviction_time: Duration::MAX,
        ..MIDDLING_STORE
    };
    let store = open(directory.path(), &options);
    for number in 0..4 {
        assert_eq!(store.insert_many(vec![large(number, 2_000_000)]), 1);
    }
    // Each of these fills most of a generation, and all of the space is taken from the third on.
    for round in 1..8 {
        let numbers = round * 4000..round * 4000 + 2200;
        assert_eq!(store.insert_many(entries(numbers)), 2200);
    }
    assert_eq!(store.statistics().unwrap().rotations, 6);
    assert_eq!(store.statistics().unwrap().large_entries, 4);
    assert_eq!(trouble(&store), Counters::default());
}

#[test]
fn an_empty_batch_promotes() {
    let directory = tempfile::tempdir().unwrap();
    let store = store_with_older_entries(directory.path());
    let before = store.statistics().unwrap();
    assert_eq!(found(&store, 0..50), 50);
    assert_eq!(store.insert_many(vec![]), 0);
    let after = store.statistics().unwrap();
    assert_eq!(after.entries, before.entries + 50);
    assert_eq!(after.older_entries, before.older_entries);
}

#[test]
fn a_batch_larger_than_the_store_is_stored_in_part() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path(), &SMALL_STORE);
    for round in 0..3 {
        let numbers = round * 10_000..(round + 1) * 10_000;
        let stored = store.insert_many(entries(numbers.clone()));
        assert!((200..2000).contains(&stored), "{stored}");
        assert_eq!(found(&store, numbers), stored);
    }
    assert!(bytes_on_disk(&store) <= 8 << 20);
    assert_eq!(trouble(&store), Counters::default());
}

#[test]
fn a_snapshot_may_fill_the_store_up_but_not_for_good() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path(), &SMALL_STORE);
    store.insert_many(entries(0..100));
    let snapshot = store.snapshot();
    let mut next = 1000;
    // No space is reused, so at some point there is none.
    while store.counters().failures == 0 {
        store.insert_many(entries(next..next + 100));
        next += 100;
        assert!(next < 20_000);
    }
    assert!(store.counters().last_failure.unwrap().contains("MAP_FULL"));
    assert_eq!(*snapshot.get(&key(50)).unwrap(), value(50));
    // Nor is everything thrown away in the attempt.
    let rotations = store.statistics().unwrap().rotations;
    for start in (20_000..22_000).step_by(100) {
        store.insert_many(entries(start..start + 100));
    }
    assert!(store.statistics().unwrap().rotations <= rotations + 1);
    assert!(store.statistics().unwrap().entries > 100);
    drop(snapshot);

    let failures = store.counters().failures;
    for start in (20_000..30_000).step_by(100) {
        assert_eq!(store.insert_many(entries(start..start + 100)), 100);
    }
    assert_eq!(store.counters().failures, failures);
    assert!(bytes_on_disk(&store) <= 8 << 20);
}

#[test]
fn large_values_have_a_bound_of_their_own() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path(), &MIDDLING_STORE);
    assert_eq!(store.insert_many(entries(0..1000)), 1000);
    // 60 MB of them, of which 8 MiB may stay.
    for number in 10_000..10_030 {
        let Entry { key, value } = large(number, 2_000_000);
        assert!(store.insert(&key, value));
    }
    let statistics = store.statistics().unwrap();
    assert_eq!(statistics.large_entries, 4);
    assert!(statistics.large_bytes <= 8 << 20);
    assert_eq!(statistics.rotations, 0);
    // The ones stored last, and all the small ones.
    for number in 10_000..10_030 {
        let expected = (number >= 10_026).then(|| large(number, 2_000_000).value);
        assert_eq!(store.get(&key(number)).as_deref(), expected.as_deref());
    }
    assert_eq!(found(&store, 0..1000), 1000);
    assert!(bytes_on_disk(&store) <= 32 << 20);
    assert_eq!(trouble(&store), Counters::default());
}

#[test]
fn large_values_in_one_batch_evict_the_older_ones() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path(), &MIDDLING_STORE);
    for round in 0..5 {
        let batch: Vec<_> = (0..6).map(|n| large(round * 6 + n, 1_300_000)).collect();
        assert_eq!(store.insert_many(batch), 6);
        assert_eq!(store.statistics().unwrap().large_entries, 6);
    }
    assert_eq!(trouble(&store), Counters::default());
}

#[test]
fn a_value_that_never_fits_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path(), &MIDDLING_STORE);
    assert!(store.insert(b"large", vec![1; 2_000_000]));
    assert!(!store.insert(b"too large", vec![1; 9_000_000]));
    assert_eq!(store.get(b"too large"), None);
    assert!(store.get(b"large").is_some());

    // In the smallest store the bound for large values is 2 MiB.
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path(), &SMALL_STORE);
    assert!(!store.insert(b"large", vec![1; 2 << 20]));
    assert!(store.insert(b"not so large", vec![1; (1 << 20) - 1]));
    assert!(store.get(b"not so large").is_some());
    assert_eq!(trouble(&store), Counters::default());
}

#[test]
fn a_key_has_one_value_small_or_large() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path(), &MIDDLING_STORE);
    for bytes in [10, 2_000_000, 20, 3_000_000, 1_500_000, 1_500_000, 30] {
        assert!(store.insert(b"k", vec![bytes as u8; bytes]));
        assert_eq!(*store.get(b"k").unwrap(), vec![bytes as u8; bytes]);
        let statistics = store.statistics().unwrap();
        assert_eq!(statistics.entries + statistics.large_entries, 1);
    }
    assert_eq!(store.statistics().unwrap().large_bytes, 0);
}

#[test]
fn replacing_a_large_value_makes_it_the_newest() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path(), &MIDDLING_STORE);
    for number in 0..4 {
        store.insert_many(vec![large(number, 2_000_000)]);
    }
    store.insert_many(vec![large(0, 1_900_000)]);
    store.insert_many(vec![large(4, 2_000_000)]);
    assert_eq!(store.get(&key(1)), None);
    assert_eq!(store.get(&key(0)).unwrap().len(), 1_900_000);
    assert_eq!(store.statistics().unwrap().large_entries, 4);
}
