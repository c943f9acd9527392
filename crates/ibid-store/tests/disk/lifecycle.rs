//! What a store forgets first, and what is done to it as a whole.

use crate::common::{SMALL_STORE, entries, found, key, open, trouble, value};
use ibid_store::{
    CacheStore, Counters, DiskOptions, DiskStore, Entry, FAMILY_MARK, family, gc, remove,
};
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

const DAY: u64 = 24 * 60 * 60;

fn in_family(name: u8, numbers: impl IntoIterator<Item = u32>) -> Vec<Entry> {
    let entry = |number| Entry {
        key: [&FAMILY_MARK[..], &[name; 8], &key(number)].concat(),
        value: value(number),
    };
    numbers.into_iter().map(entry).collect()
}

fn found_in_family(store: &dyn CacheStore, name: u8, numbers: std::ops::Range<u32>) -> usize {
    let keys = in_family(name, numbers);
    let keys = keys.iter().filter(|entry| {
        let found = store.get(&entry.key);
        assert!(found.as_ref().is_none_or(|found| **found == entry.value));
        found.is_some()
    });
    keys.count()
}

/// Makes `family` look as if it was used last `days` ago.
fn rest(directory: &Path, name: u8, days: u64) {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let used = now.unwrap().as_secs() - days * DAY;
    crate::damage::tamper(directory, "families", |txn, table| {
        table.put(txn, &[name; 8], &used.to_le_bytes()).unwrap();
    });
}

#[test]
fn families_that_nobody_uses_any_more_go_first() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path(), &SMALL_STORE);
    assert_eq!(family(&in_family(1, 0..1)[0].key), Some([1; 8]));
    store.insert_many(in_family(1, 0..200));
    store.insert_many(in_family(2, 200..400));
    assert_eq!(store.statistics().unwrap().families, 2);
    drop(store);
    rest(directory.path(), 2, 3);

    let store = open(directory.path(), &SMALL_STORE);
    assert_eq!(store.statistics().unwrap().families_out_of_use, 1);
    let mut next = 1000;
    // To look for its entries would be to use it.
    while store.counters().evicted == 0 {
        assert!(next < 100_000, "nothing is evicted");
        assert_eq!(store.insert_many(in_family(1, next..next + 50)), 50);
        next += 50;
    }
    // Nothing of the other family had to go, although its entries were stored before.
    assert_eq!(found_in_family(&store, 2, 200..400), 0);
    assert_eq!(found_in_family(&store, 1, 0..200), 200);
    assert_eq!(found_in_family(&store, 1, 1000..next), next as usize - 1000);
    let statistics = store.statistics().unwrap();
    assert_eq!((statistics.rotations, statistics.families), (0, 1));
    assert_eq!(store.counters().evicted, 200);
}

#[test]
fn a_family_that_is_asked_for_is_in_use() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path(), &SMALL_STORE);
    store.insert_many(in_family(1, 0..10));
    store.insert_many(in_family(2, 0..10));
    drop(store);
    rest(directory.path(), 2, 3);

    let store = open(directory.path(), &SMALL_STORE);
    assert_eq!(found_in_family(&store, 2, 0..10), 10);
    assert_eq!(store.statistics().unwrap().families_out_of_use, 1);
    store.insert_many(vec![]);
    assert_eq!(store.statistics().unwrap().families_out_of_use, 0);
}

#[test]
fn a_rebuild_that_finds_everything_writes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path(), &SMALL_STORE);
    store.insert_many(in_family(1, 0..10));
    drop(store);
    let store = open(directory.path(), &SMALL_STORE);
    let data = directory.path().join("v2").join("data.mdb");
    let before = fs::read(&data).unwrap();
    assert_eq!(found_in_family(&store, 1, 0..10), 10);
    assert_eq!(store.insert_many(vec![]), 0);
    assert!(fs::read(&data).unwrap() == before, "something was written");
}

#[test]
fn large_values_of_families_that_nobody_uses_go_first() {
    let options = DiskOptions {
        max_bytes: 64 << 20,
        ..DiskOptions::default()
    };
    let directory = tempfile::tempdir().unwrap();
    let large = |name: u8, number| Entry {
        value: vec![number as u8; 2_000_000],
        ..in_family(name, [number]).remove(0)
    };
    let store = open(directory.path(), &options);
    for number in 0..4 {
        store.insert_many(vec![large(1, number)]);
        store.insert_many(vec![large(2, number)]);
    }
    drop(store);
    rest(directory.path(), 2, 3);
    let store = open(directory.path(), &options);
    for number in 4..8 {
        assert_eq!(store.insert_many(vec![large(1, number)]), 1);
    }
    let has = |name, number| store.get(&large(name, number).key).is_some();
    assert!((0..8).all(|number| has(1, number)));
    assert!(!(0..4).any(|number| has(2, number)));
}

#[test]
fn what_is_evicted_is_removed_little_by_little() {
    let directory = tempfile::tempdir().unwrap();
    let options = DiskOptions {
        max_bytes: 64 << 20,
        eviction_time: Duration::ZERO,
        ..DiskOptions::default()
    };
    let store = open(directory.path(), &options);
    let mut next = 0;
    // Small values, so that a generation has more of them than one insertion removes for sure.
    let small = |number: u32| Entry {
        key: key(number),
        value: number.to_le_bytes().to_vec(),
    };
    let mut most_evicted = 0;
    while store.statistics().unwrap().rotations < 4 {
        let before = store.counters().evicted;
        let batch = (next..next + 500).map(small).collect();
        assert_eq!(store.insert_many(batch), 500);
        most_evicted = most_evicted.max(store.counters().evicted - before);
        next += 500;
    }
    assert!((1024..2048).contains(&most_evicted), "{most_evicted}");
    let statistics = store.statistics().unwrap();
    assert!(statistics.dying_entries > 0);
    assert!(store.get(&key(next - 1)).is_some());
    assert!(store.get(&key(0)).is_none());
    assert_eq!(trouble(&store), Counters::default());
    drop(store);

    let collected = gc(directory.path(), options.clone()).unwrap();
    assert!(collected.evicted >= statistics.dying_entries);
    let store = open(directory.path(), &options);
    assert_eq!(store.statistics().unwrap().dying_entries, 0);
    assert!(store.get(&key(next - 1)).is_some());
}

#[test]
fn gc_makes_the_file_shorter() {
    let directory = tempfile::tempdir().unwrap();
    let large = DiskOptions {
        max_bytes: 256 << 20,
        ..DiskOptions::default()
    };
    let store = open(directory.path(), &large);
    for start in (0..20_000).step_by(2000) {
        assert_eq!(store.insert_many(entries(start..start + 2000)), 2000);
    }
    drop(store);
    let small = DiskOptions {
        max_bytes: 16 << 20,
        ..DiskOptions::default()
    };
    let collected = gc(directory.path(), small.clone()).unwrap();
    assert!(collected.compacted && collected.evicted > 10_000);
    assert!(collected.bytes_before > 30 << 20);
    assert!(collected.bytes_after <= 16 << 20, "{collected:?}");
    let names = fs::read_dir(directory.path()).unwrap();
    let mut names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["store.lock", "v2"]);

    // Opening it looks at the modes of its files, too.
    let store = open(directory.path(), &small);
    let kept = found(&store, 0..20_000);
    assert!(kept > 1000, "{kept}");
    for start in (30_000..35_000).step_by(500) {
        assert_eq!(store.insert_many(entries(start..start + 500)), 500);
    }
    assert_eq!(trouble(&store), Counters::default());
    assert!(store.statistics().unwrap().bytes_on_disk > 8 << 20);
    // While it is open here it cannot be replaced.
    let tiny = DiskOptions {
        max_bytes: 8 << 20,
        ..DiskOptions::default()
    };
    let error = gc(directory.path(), tiny).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ResourceBusy, "{error}");
    assert!(found(&store, 34_900..35_000) > 0);
}

#[test]
fn gc_of_a_store_that_is_not_there_makes_an_empty_one() {
    let directory = tempfile::tempdir().unwrap();
    let collected = gc(directory.path().join("new"), DiskOptions::default()).unwrap();
    assert_eq!((collected.evicted, collected.compacted), (0, false));
}

#[test]
fn files_of_an_earlier_format_go_with_gc_or_when_they_rest() {
    let directory = tempfile::tempdir().unwrap();
    let older = directory.path().join("v1");
    let make = |days: u64| {
        fs::create_dir(&older).unwrap();
        let data = older.join("data.mdb");
        fs::write(&data, "of another format").unwrap();
        let time = std::time::SystemTime::now() - std::time::Duration::from_secs(days * DAY);
        let file = fs::File::options().write(true).open(&data).unwrap();
        file.set_modified(time).unwrap();
    };
    make(3);
    open(directory.path(), &SMALL_STORE);
    assert!(older.exists());
    gc(directory.path(), SMALL_STORE).unwrap();
    assert!(!older.exists());
    make(8);
    open(directory.path(), &SMALL_STORE);
    assert!(!older.exists());
    make(0);
    remove(directory.path()).unwrap();
    assert!(!older.exists());
    // Nothing that is not a store's is removed.
    make(0);
    fs::write(older.join("letter"), "dear").unwrap();
    assert!(gc(directory.path(), SMALL_STORE).is_err());
    assert!(older.join("letter").exists());
}

#[test]
fn what_is_exported_can_be_imported() {
    let [from, to] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let store = open(from.path(), &DiskOptions::default());
    store.insert_many(entries(0..500));
    assert!(store.insert(b"large", vec![7; 3_000_000]));
    let mut file = Vec::new();
    assert_eq!(store.export(&mut file).unwrap(), 501);

    let other = open(to.path(), &DiskOptions::default());
    let imported = other.import(&mut &file[..]).unwrap();
    assert_eq!(
        (imported.stored, imported.refused, imported.declined),
        (501, 0, 0)
    );
    assert_eq!(found(&other, 0..500), 500);
    assert_eq!(*other.get(b"large").unwrap(), [7; 3_000_000]);

    // The store is too small for it.
    let tiny = tempfile::tempdir().unwrap();
    let tiny = open(tiny.path(), &SMALL_STORE);
    let imported = tiny.import(&mut &file[..]).unwrap();
    assert_eq!((imported.stored, imported.declined), (500, 1));
}

#[test]
fn a_damaged_file_is_imported_as_far_as_it_is_intact() {
    let [from, to] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let store = open(from.path(), &SMALL_STORE);
    store.insert_many(entries(0..3));
    let mut file = Vec::new();
    store.export(&mut file).unwrap();
    let other = open(to.path(), &SMALL_STORE);
    for len in 0..file.len() {
        let error = other.import(&mut &file[..len]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData, "{len}");
    }
    for at in 0..file.len() {
        let mut changed = file.clone();
        changed[at] ^= 0x81;
        // It may be imported in part, but what is found is what was exported.
        let _ = other.import(&mut &changed[..]);
        assert_eq!(
            found(&other, 0..3),
            other.statistics().unwrap().entries as usize
        );
    }
    let error = other.import(&mut &b"no such file"[..]).unwrap_err();
    assert!(error.to_string().contains("no exported cache"), "{error}");
}

#[test]
fn verification_finds_what_is_damaged() {
    let directory = tempfile::tempdir().unwrap();
    let options = DiskOptions::default();
    let store = open(directory.path(), &options);
    store.insert_many(entries(0..100));
    store.insert(b"large", vec![7; 3_000_000]);
    let verified = store.verify(true).unwrap();
    assert_eq!(
        (verified.entries, verified.damaged, verified.removed),
        (101, 0, 0)
    );
    assert!(verified.bytes > 3_100_000);
    drop(store);

    crate::damage::flip(directory.path(), "small-0", &key(5), 60);
    crate::damage::flip(directory.path(), "large", b"large", 2_000_000);
    let store = DiskStore::open_with(directory.path(), options).unwrap();
    let verified = store.verify(false).unwrap();
    assert_eq!(
        (verified.entries, verified.damaged, verified.removed),
        (101, 2, 0)
    );
    let verified = store.verify(true).unwrap();
    assert_eq!((verified.damaged, verified.removed), (2, 2));
    let verified = store.verify(false).unwrap();
    assert_eq!((verified.entries, verified.damaged), (99, 0));
    assert_eq!(found(&store, 0..100), 99);
}
