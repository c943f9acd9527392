//! Who can make a store say something.

use crate::common::{SMALL_STORE, entries, found, key, open, trouble};
use ibid_store::{AuthenticationKey, CacheStore, Counters, DiskOptions, DiskStore};

fn with_key(secret: u8) -> DiskOptions {
    DiskOptions {
        authentication: AuthenticationKey::new(&[secret; 32]),
        ..SMALL_STORE
    }
}

#[test]
fn entries_are_only_for_those_who_have_the_key() {
    let directory = tempfile::tempdir().unwrap();
    let all = [with_key(1), with_key(2), SMALL_STORE];
    for options in &all {
        let store = open(directory.path(), options);
        assert_eq!(store.insert_many(entries(0..20)), 20);
        assert_eq!(found(&store, 0..20), 20);
        assert_eq!(trouble(&store), Counters::default());
        for other in all.iter().filter(|other| *other != options) {
            let store = open(directory.path(), other);
            assert_eq!(found(&store, 0..20), 0);
            assert_eq!(store.counters().damaged, 20);
        }
    }
}

#[test]
fn whoever_has_no_key_cannot_forge_an_entry() {
    let directory = tempfile::tempdir().unwrap();
    open(directory.path(), &with_key(1)).insert_many(entries(0..1));
    let mut stored = Vec::new();
    crate::damage::tamper(directory.path(), "small-0", |txn, table| {
        stored = table.get(txn, &key(0)).unwrap().unwrap().to_vec();
    });
    for at in 0..stored.len() {
        let mut forged = stored.clone();
        forged[at] ^= 1 << (at % 8);
        crate::damage::tamper(directory.path(), "small-0", |txn, table| {
            table.put(txn, &key(0), &forged).unwrap();
        });
        let store = open(directory.path(), &with_key(1));
        assert_eq!(store.get(&key(0)), None, "byte {at}");
        assert_eq!(store.counters().damaged, 1);
    }
    // Nor serve one entry for another.
    crate::damage::tamper(directory.path(), "small-0", |txn, table| {
        table.put(txn, &key(1), &stored).unwrap();
    });
    assert_eq!(open(directory.path(), &with_key(1)).get(&key(1)), None);
}

#[test]
fn an_exported_store_is_only_for_those_who_have_the_key() {
    let [from, to] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let store = open(from.path(), &with_key(1));
    store.insert_many(entries(0..20));
    let mut file = Vec::new();
    assert_eq!(store.export(&mut file).unwrap(), 20);
    for (options, stored, refused) in [
        (with_key(2), 0, 20),
        (SMALL_STORE, 0, 20),
        (with_key(1), 20, 0),
    ] {
        let store = open(to.path(), &options);
        let imported = store.import(&mut &file[..]).unwrap();
        assert_eq!((imported.stored, imported.refused), (stored, refused));
    }
}

#[test]
#[cfg(unix)]
fn a_store_that_others_could_have_changed_is_not_opened() {
    use ibid_store::OpenError;
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::PermissionsExt as _;

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cache");
    open(&path, &SMALL_STORE).insert_many(entries(0..5));
    let mode =
        |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let inside = path.join("v2");
    let files = [
        path.join("store.lock"),
        inside.join("data.mdb"),
        inside.join("lock.mdb"),
    ];
    assert_eq!([mode(&path), mode(&inside)], [0o700; 2]);
    for file in &files {
        assert_eq!(mode(file), 0o600, "{}", file.display());
    }
    let opened = || DiskStore::open_with(&path, SMALL_STORE);
    // Somebody's own directory may be readable, what the store makes in it not.
    for (path, wrong, right) in [
        (&path, 0o720, 0o755),
        (&inside, 0o750, 0o700),
        (&files[0], 0o620, 0o644),
        (&files[1], 0o604, 0o600),
        (&files[2], 0o660, 0o600),
    ] {
        set_permissions(path, Permissions::from_mode(wrong)).unwrap();
        let error = opened().unwrap_err();
        assert!(matches!(error, OpenError::Untrusted { .. }), "{error:?}");
        assert!(
            error
                .to_string()
                .contains(&*path.file_name().unwrap().to_string_lossy())
        );
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains("chmod"), "{source}");
        set_permissions(path, Permissions::from_mode(right)).unwrap();
        assert_eq!(found(&opened().unwrap(), 0..5), 5);
    }
}
