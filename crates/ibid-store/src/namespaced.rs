//! Several tenants in one store.

use crate::store::{
    CacheStore, Counters, Entry, FAMILY_BYTES, FAMILY_MARK, MAX_KEY_BYTES, Snapshot, family,
    is_valid_key,
};
use std::borrow::Cow;
use std::fmt;

/// What the key of the hash is derived for, in the words of BLAKE3's `derive_key`.
const CONTEXT: &str = "ibid-store 2026-11 keys of a namespace";

const HASH_BYTES: usize = blake3::OUT_LEN;
const FAMILY_PREFIX_BYTES: usize = FAMILY_MARK.len() + FAMILY_BYTES;

// What an entry is stored under has to be a key itself.
const _: () = assert!(FAMILY_PREFIX_BYTES + HASH_BYTES <= MAX_KEY_BYTES);

/// The entries in the store `S` that were made with one secret.
///
/// A service that compiles for several tenants gives each of them a `Namespaced` of its own over
/// one store. They share its space, but neither its entries nor the knowledge of them.
///
/// An entry is stored under the BLAKE3 hash of its key, keyed with what is derived from the secret.
/// A key that names its [`family`] keeps that in front:
///
/// ```text
/// offset  size  field
///      0     4  FAMILY_MARK         } only if the
///      4     8  the family's name   } key names one
///      -    32  keyed BLAKE3 hash of the whole key
/// ```
///
/// # What it protects from
///
/// Whoever looks up and inserts through a `Namespaced` with another secret, or with none,
///
/// - cannot read an entry, not even with its key;
/// - cannot tell whether there is one under a key, and so not what a tenant has compiled;
/// - cannot put an entry where this one would find it. To replace an entry, or to store one in
///   advance, one needs its stored key, and that cannot be computed without the secret.
///
/// # What it does not
///
/// - **Values are not encrypted.** Whoever has access to the files or the memory of `S` can read
///   and change them, and sees the stored keys, the families and the sizes. Against changes there
///   is [`DiskOptions::authentication`](crate::DiskOptions::authentication).
/// - Tenants share the space: one can evict what another has stored, and can tell from its own
///   evictions and from the time that things take that others are busy.
/// - [`CacheStore::counters`] are those of the whole store.
///
/// What is equal in two namespaces is compiled and stored twice; that is the price.
///
/// ```
/// use ibid_store::{CacheStore, MemoryStore, Namespaced};
/// use std::sync::Arc;
///
/// let shared = Arc::new(MemoryStore::new());
/// let tenant = |secret: [u8; 32]| Namespaced::new(shared.clone(), &secret).unwrap();
/// let (one, other) = (tenant([1; 32]), tenant([2; 32]));
/// one.insert(b"key", b"value".to_vec());
/// assert!(one.get(b"key").is_some());
/// assert!(other.get(b"key").is_none());
/// assert!(shared.get(b"key").is_none());
/// ```
#[derive(Clone)]
pub struct Namespaced<S> {
    store: S,
    secret: Secret,
}

/// The key that is derived from a secret.
#[derive(Clone)]
struct Secret([u8; 32]);

impl<S: CacheStore> Namespaced<S> {
    /// The fewest bytes that a secret has to have.
    pub const LEAST_SECRET_BYTES: usize = 32;

    /// The entries of `store` that are made with `secret`; `None` if that is shorter than
    /// [`LEAST_SECRET_BYTES`](Self::LEAST_SECRET_BYTES).
    ///
    /// The secret should be random, or derived from something that is. Entries that were made with
    /// a secret that is lost are never found again, and go when they are evicted.
    pub fn new(store: S, secret: &[u8]) -> Option<Self> {
        let is_long_enough = secret.len() >= Self::LEAST_SECRET_BYTES;
        is_long_enough.then(|| Namespaced {
            store,
            secret: Secret(blake3::derive_key(CONTEXT, secret)),
        })
    }
}

impl Secret {
    /// What the entry of `key` is stored under; `None` if no store takes the key.
    ///
    /// Keys that differ are stored under keys that differ. Two of one family, or of none, have
    /// different hashes; and a stored key names the family that its key does, if any, for with a
    /// family it is longer.
    fn stored_key(&self, key: &[u8]) -> Option<StoredKey> {
        if !is_valid_key(key) {
            return None;
        }
        let mut stored = StoredKey {
            bytes: [0; FAMILY_PREFIX_BYTES + HASH_BYTES],
            start: FAMILY_PREFIX_BYTES,
        };
        let (prefix, hash) = stored.bytes.split_at_mut(FAMILY_PREFIX_BYTES);
        hash.copy_from_slice(blake3::keyed_hash(&self.0, key).as_bytes());
        if let Some(name) = family(key) {
            prefix[..FAMILY_MARK.len()].copy_from_slice(&FAMILY_MARK);
            prefix[FAMILY_MARK.len()..].copy_from_slice(&name);
            stored.start = 0;
        }
        Some(stored)
    }

    /// Has `look_up` find the values of all `keys` that a store would take.
    fn get_many<V>(
        &self,
        keys: &[&[u8]],
        look_up: impl FnOnce(&[&[u8]]) -> Vec<Option<V>>,
    ) -> Vec<Option<V>> {
        let stored: Vec<_> = keys.iter().map(|key| self.stored_key(key)).collect();
        let valid: Vec<_> = stored.iter().flatten().map(StoredKey::as_bytes).collect();
        let mut found = look_up(&valid).into_iter();
        stored
            .iter()
            .map(|key| key.as_ref().and_then(|_| found.next().flatten()))
            .collect()
    }
}

/// What an entry is stored under: the bytes from `start` on.
struct StoredKey {
    bytes: [u8; FAMILY_PREFIX_BYTES + HASH_BYTES],
    start: usize,
}

impl StoredKey {
    fn as_bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}

impl<S: CacheStore> CacheStore for Namespaced<S> {
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        let stored = self.secret.stored_key(key)?;
        self.store.get(stored.as_bytes())
    }

    fn insert(&self, key: &[u8], value: Vec<u8>) -> bool {
        let stored = self.secret.stored_key(key);
        stored.is_some_and(|stored| self.store.insert(stored.as_bytes(), value))
    }

    fn get_many(&self, keys: &[&[u8]]) -> Vec<Option<Cow<'_, [u8]>>> {
        self.secret
            .get_many(keys, |stored| self.store.get_many(stored))
    }

    fn insert_many(&self, entries: Vec<Entry>) -> usize {
        let stored = entries.into_iter().filter_map(|entry| {
            let key = self.secret.stored_key(&entry.key)?.as_bytes().to_vec();
            let value = entry.value;
            Some(Entry { key, value })
        });
        self.store.insert_many(stored.collect())
    }

    fn snapshot(&self) -> Box<dyn Snapshot + '_> {
        Box::new(NamespacedSnapshot {
            snapshot: self.store.snapshot(),
            secret: &self.secret,
        })
    }

    fn is_checked(&self) -> bool {
        self.store.is_checked()
    }

    fn counters(&self) -> Counters {
        self.store.counters()
    }
}

impl<S: fmt::Debug> fmt::Debug for Namespaced<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Namespaced")
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

struct NamespacedSnapshot<'s> {
    snapshot: Box<dyn Snapshot + 's>,
    secret: &'s Secret,
}

impl Snapshot for NamespacedSnapshot<'_> {
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        let stored = self.secret.stored_key(key)?;
        self.snapshot.get(stored.as_bytes())
    }

    fn get_many(&self, keys: &[&[u8]]) -> Vec<Option<Cow<'_, [u8]>>> {
        self.secret
            .get_many(keys, |stored| self.snapshot.get_many(stored))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryStore;
    use std::collections::HashSet;

    fn tenant(store: &MemoryStore, secret: u8) -> Namespaced<&MemoryStore> {
        Namespaced::new(store, &[secret; 32]).unwrap()
    }

    fn stored_key(secret: u8, key: &[u8]) -> Vec<u8> {
        let store = MemoryStore::new();
        let stored = tenant(&store, secret).secret.stored_key(key).unwrap();
        stored.as_bytes().to_vec()
    }

    #[test]
    fn stored_keys_are_as_drawn() {
        let hash_of = |key: &[u8]| {
            let derived = blake3::derive_key(CONTEXT, &[1; 32]);
            *blake3::keyed_hash(&derived, key).as_bytes()
        };
        assert_eq!(stored_key(1, b"key"), hash_of(b"key"));
        let key = b"fam:releasedkey";
        assert_eq!(
            stored_key(1, key),
            [&b"fam:released"[..], &hash_of(key)].concat()
        );
        // Too short to name a family.
        assert_eq!(stored_key(1, b"fam:release"), hash_of(b"fam:release"));
    }

    #[test]
    fn the_family_stays_visible() {
        let key = b"fam:releasedkey";
        assert_eq!(family(&stored_key(1, key)), family(key));
        assert_eq!(family(&stored_key(1, b"key")), None);
    }

    #[test]
    fn distinct_keys_and_secrets_stay_distinct() {
        let mut stored = HashSet::new();
        for len in 1..=MAX_KEY_BYTES {
            for secret in [1, 2] {
                assert!(stored.insert(stored_key(secret, &vec![0; len])));
                let mut named = b"fam:".to_vec();
                named.resize(len.max(5), 0);
                if len >= 5 {
                    assert!(stored.insert(stored_key(secret, &named)));
                }
            }
        }
        assert!(stored.iter().all(|key| is_valid_key(key)));
    }

    #[test]
    fn refuses_short_secrets() {
        assert!(Namespaced::new(MemoryStore::new(), &[1; 31]).is_none());
        assert!(Namespaced::new(MemoryStore::new(), &[1; 33]).is_some());
    }

    #[test]
    fn the_secret_is_not_shown() {
        let store = MemoryStore::new();
        let tenant = Namespaced::new(&store, &[0x2a; 32]).unwrap();
        let shown = format!("{tenant:?} {tenant:#?}");
        assert!(!shown.contains("42") && !shown.to_lowercase().contains("2a"));
        assert!(shown.contains("MemoryStore"));
    }

    #[test]
    fn refused_keys_do_not_shift_a_batch() {
        let store = MemoryStore::new();
        let tenant = tenant(&store, 1);
        let long = [0; MAX_KEY_BYTES + 1];
        let entry = |key: &[u8], value| Entry {
            key: key.to_vec(),
            value: vec![value],
        };
        let entries = vec![
            entry(b"", 1),
            entry(b"a", 2),
            entry(&long, 3),
            entry(b"b", 4),
        ];
        assert_eq!(tenant.insert_many(entries), 2);
        let keys: [&[u8]; 5] = [b"b", b"", b"c", &long, b"a"];
        let expected = [Some(&[4][..]), None, None, None, Some(&[2])];
        for found in [tenant.get_many(&keys), tenant.snapshot().get_many(&keys)] {
            assert!(found.iter().map(Option::as_deref).eq(expected));
        }
    }
}
