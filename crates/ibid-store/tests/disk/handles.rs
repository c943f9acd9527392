//! Storing and finding, through one handle and through several in one process.

use crate::common::{SMALL_STORE, entries, found, key, open, trouble, value};
use ibid_store::{CacheStore, Counters, DiskStore, Entry, MAX_KEY_BYTES, remove};
use std::borrow::Cow;
use std::fs;
use std::io::ErrorKind;
use std::sync::Arc;
use std::thread;

#[test]
fn what_is_stored_is_found_also_after_reopening() {
    let directory = tempfile::tempdir().unwrap();
    for round in 0..3 {
        let store = open(directory.path(), &SMALL_STORE);
        assert_eq!(found(&store, 0..300), 100 * round as usize);
        let numbers = 100 * round..100 * (round + 1);
        assert_eq!(store.insert_many(entries(numbers)), 100);
        assert_eq!(trouble(&store), Counters::default());
    }
}

#[test]
fn the_latest_value_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path(), &SMALL_STORE);
    let entry = |value: &[u8]| Entry {
        key: b"k".to_vec(),
        value: value.to_vec(),
    };
    assert_eq!(store.insert_many(vec![entry(b"1"), entry(b"2")]), 2);
    assert_eq!(store.get(b"k").as_deref(), Some(&b"2"[..]));
    for value in [&b"3"[..], b"", &[4; 9000], b"5"] {
        assert!(store.insert(b"k", value.to_vec()));
        assert_eq!(store.get(b"k").as_deref(), Some(value));
    }
    assert_eq!(store.statistics().unwrap().entries, 1);
}

#[test]
fn keys_of_no_or_too_many_bytes_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path(), &SMALL_STORE);
    for length in [0, MAX_KEY_BYTES + 1, 600] {
        assert!(!store.insert(&vec![7; length], vec![1]));
        assert_eq!(store.get(&vec![7; length]), None);
    }
    assert!(store.insert(&[7; MAX_KEY_BYTES], vec![1]));
    assert_eq!(trouble(&store), Counters::default());

    // One such key does not spoil the batch.
    let mut batch = entries(0..2);
    batch[0].key = vec![7; MAX_KEY_BYTES + 1];
    assert_eq!(store.insert_many(batch), 1);
    assert_eq!(found(&store, 0..2), 1);
}

#[test]
fn a_snapshot_borrows_and_does_not_change() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path(), &SMALL_STORE);
    store.insert_many(entries(0..10));
    let snapshot = store.snapshot();
    let before = snapshot.get(&key(1)).unwrap();
    assert!(matches!(before, Cow::Borrowed(_)));
    assert!(matches!(store.get(&key(1)), Some(Cow::Owned(_))));

    store.insert(&key(1), vec![1]);
    store.insert_many(entries(10..20));
    assert_eq!(*before, value(1));
    assert_eq!(*snapshot.get(&key(1)).unwrap(), value(1));
    assert_eq!(snapshot.get(&key(15)), None);
    assert_eq!(store.snapshot().get(&key(1)).as_deref(), Some(&[1][..]));
    assert_eq!(found(&store, 10..20), 10);
}

#[test]
fn many_keys_are_looked_up_in_their_order() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path(), &SMALL_STORE);
    store.insert_many(entries(0..10));
    let keys = [key(3), key(99), key(0)];
    let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
    let expected = [Some(value(3)), None, Some(value(0))];
    let owned = |found: Vec<Option<Cow<'_, [u8]>>>| -> Vec<_> {
        found
            .into_iter()
            .map(|value| value.map(Cow::into_owned))
            .collect()
    };
    assert_eq!(owned(store.get_many(&keys)), expected);
    assert_eq!(owned(store.snapshot().get_many(&keys)), expected);
}

#[test]
fn handles_in_one_process_share_the_store() {
    let directory = tempfile::tempdir().unwrap();
    let first = open(directory.path(), &SMALL_STORE);
    let second: Arc<dyn CacheStore> = Arc::new(open(directory.path(), &SMALL_STORE));
    first.insert_many(entries(0..10));
    assert_eq!(found(&second, 0..10), 10);
    drop(first);
    second.insert_many(entries(10..20));
    let third = open(directory.path(), &SMALL_STORE);
    assert_eq!(found(&third, 0..20), 20);
}

#[test]
fn threads_share_a_handle() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path(), &SMALL_STORE);
    thread::scope(|scope| {
        for start in 0..4 {
            let store = &store;
            scope.spawn(move || {
                for step in 0..10 {
                    let numbers = (start + step) * 10..(start + step + 1) * 10;
                    assert_eq!(store.insert_many(entries(numbers.clone())), 10);
                    assert_eq!(found(store, numbers), 10);
                }
            });
        }
    });
    assert_eq!(found(&store, 0..130), 130);
    assert_eq!(trouble(&store), Counters::default());
}

#[test]
fn clearing_forgets_everything() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path(), &SMALL_STORE);
    store.insert_many(entries(0..100));
    store.clear().unwrap();
    assert_eq!(found(&store, 0..100), 0);
    let statistics = store.statistics().unwrap();
    assert_eq!((statistics.entries, statistics.value_bytes), (0, 0));
    assert_eq!(store.insert_many(entries(0..100)), 100);
    assert_eq!(found(&store, 0..100), 100);
}

#[test]
fn statistics_tell_how_full_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path(), &SMALL_STORE);
    assert_eq!(store.path(), directory.path());
    store.insert_many(entries(0..100));
    let bytes: usize = (0..100).map(|number| value(number).len()).sum();
    let statistics = store.statistics().unwrap();
    assert_eq!(statistics.entries, 100);
    assert_eq!((statistics.older_entries, statistics.rotations), (0, 0));
    assert_eq!((statistics.large_entries, statistics.large_bytes), (0, 0));
    assert!(statistics.value_bytes > bytes as u64);
    assert!(statistics.bytes_on_disk > statistics.value_bytes);
    assert_eq!(statistics.max_bytes, 8 << 20);
}

#[test]
fn removing_takes_all_but_what_is_not_the_stores() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cache");
    remove(&path).unwrap();
    assert!(!path.exists());

    let store = DiskStore::open(&path).unwrap();
    store.insert_many(entries(0..10));
    assert_eq!(remove(&path).unwrap_err().kind(), ErrorKind::ResourceBusy);
    drop(store);
    // What another process left behind when it was killed while removing.
    fs::create_dir(path.join("v1.removed-1")).unwrap();
    fs::write(path.join("v1.removed-1").join("data.mdb"), "").unwrap();
    remove(&path).unwrap();
    let left: Vec<_> = path
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["store.lock"]);

    let store = DiskStore::open(&path).unwrap();
    assert_eq!(found(&store, 0..10), 0);
    drop(store);
    let precious = path.join("v2").join("precious");
    fs::write(&precious, "").unwrap();
    assert_eq!(remove(&path).unwrap_err().kind(), ErrorKind::InvalidData);
    assert!(precious.exists() && path.join("v2").join("data.mdb").exists());
}
