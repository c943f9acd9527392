//! What is damaged costs time, never correctness.

use crate::common::{MIDDLING_STORE, SMALL_STORE, entries, found, key, open, value};
use heed::types::Bytes;
use heed::{CommitOrAbort, Database, EnvOpenOptions, RwTxn};
use ibid_store::{CacheStore, DiskStore, OpenError, remove};
use std::fs::{self, File};
use std::path::Path;

/// Sets the mode of what is at `path`, where there are modes.
fn close(path: &Path, mode: u32) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    #[cfg(not(unix))]
    let _ = (path, mode);
}

type Table = Database<'static, Bytes, Bytes>;

/// Changes a table behind the store's back.
pub(crate) fn tamper(directory: &Path, table: &str, change: impl FnOnce(&mut RwTxn<'_>, Table)) {
    let mut options = EnvOpenOptions::new().read_txn_without_tls();
    options.max_dbs(7).map_size(32 << 20);
    // SAFETY: the store is not open meanwhile.
    let env = unsafe { options.open(directory.join("v2")) }.unwrap();
    let table: Table = env
        .open_databases_and_commit(env.read_txn().unwrap(), |opener, txn| {
            let table = opener.open_database(txn, Some(table))?;
            heed::Result::Ok(CommitOrAbort::<_, ()>::Commit(table))
        })
        .unwrap()
        .unwrap_commit()
        .unwrap();
    let mut txn = env.write_txn().unwrap();
    change(&mut txn, table);
    txn.commit().unwrap();
}

/// Changes one byte of the record of `key`.
pub(crate) fn flip(directory: &Path, table: &str, key: &[u8], offset: usize) {
    tamper(directory, table, |txn, table| {
        let mut record = table.get(txn, key).unwrap().unwrap().to_vec();
        record[offset] ^= 0x10;
        table.put(txn, key, &record).unwrap();
    });
}

#[test]
fn a_damaged_entry_is_a_miss_and_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    open(directory.path(), &SMALL_STORE).insert_many(entries(0..10));
    // The version, the key's length, the checksum, the key, the value.
    for (damages, offset) in (1..).zip([0, 1, 5, 20, 60]) {
        flip(directory.path(), "small-0", &key(3), offset);
        let store = open(directory.path(), &SMALL_STORE);
        assert_eq!(found(&store, 0..10), 9);
        assert_eq!(store.get(&key(3)), None);
        assert_eq!(store.counters().damaged, 2);
        assert_eq!(store.counters().failures, 0);

        assert_eq!(store.insert_many(entries(3..4)), 1);
        assert_eq!(found(&store, 0..10), 10, "damage {damages}");
        assert_eq!(store.counters().damaged, 2);
    }
}

#[test]
fn an_entry_under_the_wrong_key_is_a_miss() {
    let directory = tempfile::tempdir().unwrap();
    open(directory.path(), &SMALL_STORE).insert_many(entries(0..2));
    tamper(directory.path(), "small-0", |txn, table| {
        let record = table.get(txn, &key(0)).unwrap().unwrap().to_vec();
        table.put(txn, &key(1), &record).unwrap();
        table.put(txn, &key(2), b"").unwrap();
    });
    let store = open(directory.path(), &SMALL_STORE);
    assert_eq!(found(&store, 0..3), 1);
    assert_eq!(store.counters().damaged, 2);
}

#[test]
fn a_damaged_large_entry_is_a_miss_and_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let large = vec![5; 2_000_000];
    assert!(open(directory.path(), &MIDDLING_STORE).insert(b"k", large.clone()));
    // The sequence number does not matter to a lookup, all else does.
    for (offset, is_damage) in [(7, false), (8, true), (1_000_000, true)] {
        flip(directory.path(), "large", b"k", offset);
        let store = open(directory.path(), &MIDDLING_STORE);
        assert_eq!(store.get(b"k").is_none(), is_damage);
        assert_eq!(store.counters().damaged, u64::from(is_damage));
        assert!(store.insert(b"k", large.clone()));
        assert!(store.get(b"k").is_some());
        assert_eq!(store.statistics().unwrap().large_entries, 1);
    }
    // Nor does a list that has lost its order keep values from being evicted.
    tamper(directory.path(), "large-order", |txn, table| {
        table.clear(txn).unwrap()
    });
    let store = open(directory.path(), &MIDDLING_STORE);
    for number in 0..10 {
        assert!(store.insert(&key(number), large.clone()));
    }
    assert!(store.statistics().unwrap().large_bytes <= 8 << 20);
    assert!(store.get(&key(9)).is_some());
}

#[test]
fn an_older_entry_is_found_behind_a_damaged_one() {
    let directory = tempfile::tempdir().unwrap();
    open(directory.path(), &SMALL_STORE).insert_many(entries(0..1));
    let mut intact = vec![];
    tamper(directory.path(), "small-0", |txn, table| {
        intact = table.get(txn, &key(0)).unwrap().unwrap().to_vec();
        table.put(txn, &key(0), b"damaged").unwrap();
    });
    tamper(directory.path(), "small-2", |txn, table| {
        table.put(txn, &key(0), &intact).unwrap();
    });
    let store = open(directory.path(), &SMALL_STORE);
    assert_eq!(found(&store, 0..1), 1);
    assert_eq!(store.counters().damaged, 1);
}

#[test]
fn a_nonsensical_state_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    open(directory.path(), &SMALL_STORE).insert_many(entries(0..10));
    for state in [&b""[..], b"nonsense", &[2, 1, 0, 0, 0, 0, 0, 0, 0, 0]] {
        tamper(directory.path(), "state", |txn, table| {
            table.put(txn, b"state", state).unwrap();
        });
        let store = open(directory.path(), &SMALL_STORE);
        assert_eq!(found(&store, 0..10), 10);
        assert_eq!(store.insert_many(entries(0..10)), 10);
        assert_eq!(found(&store, 0..10), 10);
    }
}

#[test]
fn a_truncated_file_is_not_opened() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path(), &SMALL_STORE);
    store.insert_many(entries(0..500));
    drop(store);
    let data = directory.path().join("v2").join("data.mdb");
    let length = fs::metadata(&data).unwrap().len();
    File::options()
        .write(true)
        .open(&data)
        .unwrap()
        .set_len(length / 2)
        .unwrap();

    let error = DiskStore::open(directory.path()).unwrap_err();
    assert!(matches!(error, OpenError::Truncated { .. }), "{error:?}");
    let message = error.to_string();
    assert!(
        message.contains(&*data.canonicalize().unwrap().to_string_lossy()),
        "{message}"
    );
    assert!(message.contains("ibid cache clear"), "{message}");

    // It is still there afterwards, and can be removed.
    assert_eq!(fs::metadata(&data).unwrap().len(), length / 2);
    remove(directory.path()).unwrap();
    let store = DiskStore::open(directory.path()).unwrap();
    assert_eq!(store.insert_many(entries(0..10)), 10);
}

#[test]
fn a_foreign_file_is_not_opened() {
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("v2");
    fs::create_dir(&database).unwrap();
    fs::write(database.join("data.mdb"), "something else altogether").unwrap();
    close(&database, 0o700);
    close(&database.join("data.mdb"), 0o600);
    let error = DiskStore::open(directory.path()).unwrap_err();
    assert!(matches!(error, OpenError::Foreign { .. }), "{error:?}");
    assert!(error.to_string().contains("data.mdb"));
    remove(directory.path()).unwrap();
    DiskStore::open(directory.path()).unwrap();
}

#[test]
fn a_lock_file_with_anything_in_it_is_made_anew() {
    let directory = tempfile::tempdir().unwrap();
    open(directory.path(), &SMALL_STORE).insert_many(entries(0..10));
    for rubbish in [&b""[..], b"rubbish", &[0xaa; 200_000]] {
        fs::write(directory.path().join("v2").join("lock.mdb"), rubbish).unwrap();
        let store = open(directory.path(), &SMALL_STORE);
        assert_eq!(found(&store, 0..10), 10);
        assert_eq!(store.insert_many(entries(0..10)), 10);
    }
}

#[test]
fn an_unusable_directory_is_an_error_that_names_it() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    // Nobody can make a directory of a file or in one, not even the superuser.
    for path in [file.clone(), file.join("cache")] {
        let error = DiskStore::open(&path).unwrap_err();
        assert!(matches!(error, OpenError::Directory { .. }), "{error:?}");
        assert!(error.to_string().contains(&*path.to_string_lossy()));
    }
    // The same for the files of the store.
    for name in ["store.lock", "v2/data.mdb", "v2/lock.mdb"] {
        let cache = directory.path().join(name.replace('/', "-"));
        fs::create_dir_all(cache.join(name)).unwrap();
        if name.contains('/') {
            close(&cache.join("v2"), 0o700);
            close(&cache.join(name), 0o700);
        }
        let error = DiskStore::open(&cache).unwrap_err();
        let is_expected = matches!(error, OpenError::File { .. } | OpenError::Database { .. });
        assert!(is_expected, "{error:?}");
        assert!(
            error
                .to_string()
                .contains(&*cache.canonicalize().unwrap().to_string_lossy())
        );
    }
}

#[test]
#[cfg(unix)]
fn a_read_only_directory_is_an_error() {
    use std::os::unix::fs::PermissionsExt;

    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o500)).unwrap();
    if File::create(directory.path().join("probe")).is_ok() {
        eprintln!("skipped: permissions do not bind this user (root?)");
        return;
    }
    let error = DiskStore::open(directory.path()).unwrap_err();
    assert!(matches!(error, OpenError::File { .. }), "{error:?}");
    let error = DiskStore::open(directory.path().join("cache")).unwrap_err();
    assert!(matches!(error, OpenError::Directory { .. }), "{error:?}");
}

#[test]
fn damage_anywhere_in_the_values_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    open(directory.path(), &SMALL_STORE).insert_many(entries(0..200));
    let data = directory.path().join("v2").join("data.mdb");
    let mut bytes = fs::read(&data).unwrap();
    // All that looks like the inside of some value.
    let mut damaged = 0;
    for number in (0..200).step_by(3) {
        let value = value(number);
        let position = bytes
            .windows(200)
            .position(|window| window == &value[..200]);
        if let Some(position) = position {
            bytes[position + 100] ^= 1;
            damaged += 1;
        }
    }
    assert!(damaged > 30, "{damaged}");
    fs::write(&data, bytes).unwrap();
    let store = open(directory.path(), &SMALL_STORE);
    let found = found(&store, 0..200);
    assert!(found < 200);
    assert_eq!(store.counters().damaged, 200 - found as u64);
}
