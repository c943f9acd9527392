//! Tenants of one store have nothing of each other.

use ibid_store::{CacheStore, DiskStore, Entry, MemoryStore, Namespaced, Tiered, family};
use std::sync::Arc;

const FAMILY: &[u8] = b"fam:release1";

fn keys() -> Vec<Vec<u8>> {
    let mut keys = vec![vec![1], b"key".to_vec(), FAMILY.to_vec(), vec![7; 64]];
    keys.extend((0..200u8).map(|number| vec![number; 32]));
    keys.extend((0..200u8).map(|number| [FAMILY, &[number; 32]].concat()));
    keys
}

fn entries(keys: &[Vec<u8>], owner: u8) -> Vec<Entry> {
    let entry = |key: &Vec<u8>| Entry {
        key: key.clone(),
        value: [&[owner][..], key].concat(),
    };
    keys.iter().map(entry).collect()
}

/// How many of `keys` are found, in whichever way. What is found has to be of `owner`.
fn found(store: &dyn CacheStore, keys: &[Vec<u8>], owner: u8) -> usize {
    let asked: Vec<_> = keys.iter().map(|key| &key[..]).collect();
    let snapshot = store.snapshot();
    let mut count = 0;
    for (key, batched) in keys.iter().zip(store.get_many(&asked)) {
        let ways = [batched, store.get(key), snapshot.get(key)];
        for value in ways.iter().flatten() {
            assert_eq!(value[..], [&[owner][..], key].concat());
        }
        assert!(ways.iter().all(|way| way.is_some() == ways[0].is_some()));
        count += usize::from(ways[0].is_some());
    }
    count
}

fn tenants_are_apart(shared: Arc<dyn CacheStore>) {
    let keys = keys();
    let tenant = |secret: u8| Namespaced::new(shared.clone(), &[secret; 32]).unwrap();
    let (one, other) = (tenant(1), tenant(2));

    // What one has stored, nobody else finds, not even with the same keys.
    assert_eq!(one.insert_many(entries(&keys, 1)), keys.len());
    assert_eq!(found(&one, &keys, 1), keys.len());
    assert_eq!(found(&other, &keys, 2), 0);
    assert_eq!(found(&shared, &keys, 0), 0);

    // What others store under the same keys, it does not find.
    assert_eq!(other.insert_many(entries(&keys, 2)), keys.len());
    assert_eq!(shared.insert_many(entries(&keys, 0)), keys.len());
    assert_eq!(found(&one, &keys, 1), keys.len());
    assert_eq!(found(&other, &keys, 2), keys.len());
    assert_eq!(found(&shared, &keys, 0), keys.len());

    // Whoever has the secret has the entries.
    assert_eq!(found(&tenant(1), &keys, 1), keys.len());
}

#[test]
fn in_memory() {
    tenants_are_apart(Arc::new(MemoryStore::new()));
}

#[test]
fn on_disk() {
    let directory = tempfile::tempdir().unwrap();
    tenants_are_apart(Arc::new(DiskStore::open(directory.path()).unwrap()));
}

#[test]
fn in_tiers() {
    let tiers: [Arc<dyn CacheStore>; 2] = [(); 2].map(|()| Arc::new(MemoryStore::new()) as _);
    tenants_are_apart(Arc::new(Tiered::new(tiers.into())));
}

/// Records the keys that it is asked for.
#[derive(Debug, Default)]
struct Recording(std::sync::Mutex<Vec<Vec<u8>>>);

impl CacheStore for Recording {
    fn get(&self, key: &[u8]) -> Option<std::borrow::Cow<'_, [u8]>> {
        self.0.lock().unwrap().push(key.to_vec());
        None
    }

    fn insert(&self, key: &[u8], _: Vec<u8>) -> bool {
        self.0.lock().unwrap().push(key.to_vec());
        true
    }
}

/// To probe for an entry is to ask the store for what that is stored under. Nobody who has another
/// secret does, whichever key he chooses; and what he does ask for tells nothing of the key.
#[test]
fn a_tenant_cannot_ask_for_anothers_entries() {
    let asked_by = |secret: u8| {
        let store = Recording::default();
        let tenant = Namespaced::new(&store, &[secret; 32]).unwrap();
        for key in keys() {
            tenant.get(&key);
            tenant.insert(&key, vec![]);
        }
        tenant.get_many(&[&[9; 31]]);
        tenant.snapshot().get(&[9; 31]);
        store.0.into_inner().unwrap()
    };
    let (one, other) = (asked_by(1), asked_by(2));
    assert!(one.iter().all(|key| !other.contains(key)));
    assert!(one.iter().all(|key| !keys().contains(key)));

    // A stored key cannot be used as a key to get at the entry either.
    let store = Recording::default();
    let tenant = Namespaced::new(&store, &[2; 32]).unwrap();
    for key in &one {
        tenant.get(key);
    }
    let asked = store.0.into_inner().unwrap();
    assert!(one.iter().all(|key| !asked.contains(key)));

    // Only the family shows.
    let keys = keys();
    for (key, stored) in keys.iter().zip(one.chunks(2)) {
        assert_eq!(stored[0], stored[1]);
        assert_eq!(family(&stored[0]), family(key));
    }
}
