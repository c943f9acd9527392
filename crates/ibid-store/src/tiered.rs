//! A stack of stores.

mod promotions;

use crate::store::{CacheStore, Counters, Entry, Snapshot};
use promotions::{Moment, Promotions};
use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

/// A stack of stores that is one store. The first is the nearest, say in memory or on the local
/// disk; the last is the farthest, say shared with other machines.
///
/// - **Lookups** ask one tier after the other, and of a batch each tier only for what those before
///   it lacked.
/// - **Insertions** go to all tiers, the farthest first. An entry counts as stored if a tier has
///   stored it.
/// - **What only a farther tier had is promoted**: stored in all nearer ones too.
///
/// # Promotion
///
/// A lookup does not wait for a promotion, because a nearer tier may well be a disk, for which a
/// write costs more than all else that a lookup does. The entries to be promoted are gathered and
/// written in batches:
///
/// - with the next insertion, also of an empty batch, so a build that found all it needed gets its
///   entries promoted with one;
/// - at the end of a lookup when 1 MiB or 256 entries are gathered, so that a process that never
///   inserts gets its entries promoted too. Lookups in a snapshot do not do this: their values are
///   borrowed, and a snapshot belongs to a build that is in a hurry;
/// - when the `Tiered` is dropped.
///
/// What is gathered takes 64 MiB of values and 65,536 entries at most. What is beyond is promoted
/// when it is found again.
///
/// # What is not promised
///
/// A tier that declines an insertion may go on to answer with what it had under that key, and if
/// two threads insert different values under one key at once, the tiers may keep different ones.
/// While a value is replaced, a lookup may find the new one and the next lookup the old one again.
/// None of this matters where a key determines its value, as a digest of all that goes into it does.
///
/// A promoted entry is stored as it was found. If the farther tier does not check its entries,
/// then the nearer one seals what is damaged already. This is why [`CacheStore::is_checked`] says
/// yes only if all tiers do.
///
/// ```
/// use ibid_store::{CacheStore, MemoryStore, Tiered};
/// use std::sync::Arc;
///
/// let near = Arc::new(MemoryStore::with_capacity_bytes(1 << 20));
/// let far = Arc::new(MemoryStore::new());
/// let store = Tiered::new(vec![near.clone(), far.clone()]);
///
/// far.insert(b"key", b"value".to_vec());
/// assert_eq!(store.get(b"key").as_deref(), Some(&b"value"[..]));
/// store.insert_many(vec![]);
/// assert!(near.get(b"key").is_some());
/// ```
pub struct Tiered {
    tiers: Vec<Arc<dyn CacheStore>>,
    promotions: Promotions,
    /// Held shared while entries are inserted and exclusively while some are promoted: a promoted
    /// value must not take the place of one that was inserted later.
    order: RwLock<()>,
}

impl Tiered {
    /// The stack of `tiers`, the nearest first. One of no tiers stores nothing.
    pub fn new(tiers: Vec<Arc<dyn CacheStore>>) -> Self {
        Tiered {
            tiers,
            promotions: Promotions::default(),
            order: RwLock::default(),
        }
    }

    /// Writes what is gathered into the tiers that lacked it.
    fn promote(&self) {
        if self.promotions.is_empty() {
            return;
        }
        let _exclusive = self.order.write().unwrap_or_else(PoisonError::into_inner);
        let promoted = self.promotions.take();
        // All of it lacks in the first tier, and in each one less.
        for (depth, tier) in self.tiers.iter().enumerate().rev() {
            let entries: Vec<_> = promoted
                .iter()
                .filter(|promotion| promotion.found_at > depth)
                .map(|promotion| promotion.entry.clone())
                .collect();
            if !entries.is_empty() {
                tier.insert_many(entries);
            }
        }
    }

    fn promote_if_due(&self) {
        if self.promotions.is_due() {
            self.promote();
        }
    }

    /// Has `store` store entries under `keys`.
    fn insert_with<R>(&self, keys: &[Vec<u8>], store: impl FnOnce() -> R) -> R {
        self.promote();
        let _shared = self.order.read().unwrap_or_else(PoisonError::into_inner);
        let stored = store();
        self.promotions.inserted(keys);
        stored
    }
}

impl CacheStore for Tiered {
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        let since = self.promotions.now();
        let mut tiers = self.tiers.iter().enumerate();
        let (depth, value) = tiers.find_map(|(depth, tier)| Some((depth, tier.get(key)?)))?;
        if depth > 0 {
            self.promotions.gather(depth, key, &value, since);
            self.promote_if_due();
        }
        Some(value)
    }

    fn insert(&self, key: &[u8], value: Vec<u8>) -> bool {
        self.insert_with(&[key.to_vec()], || {
            let Some((nearest, farther)) = self.tiers.split_first() else {
                return false;
            };
            let mut stored = false;
            for tier in farther.iter().rev() {
                stored |= tier.insert(key, value.clone());
            }
            nearest.insert(key, value) | stored
        })
    }

    fn get_many(&self, keys: &[&[u8]]) -> Vec<Option<Cow<'_, [u8]>>> {
        let since = self.promotions.now();
        let found = get_many(
            &self.tiers,
            keys,
            |tier, keys| tier.get_many(keys),
            |depth, key, value| self.promotions.gather(depth, key, value, since),
        );
        self.promote_if_due();
        found
    }

    /// Stores `entries` in all tiers, and returns how many the tier stored that took most of them.
    fn insert_many(&self, entries: Vec<Entry>) -> usize {
        let keys: Vec<_> = entries.iter().map(|entry| entry.key.clone()).collect();
        self.insert_with(&keys, || {
            let Some((nearest, farther)) = self.tiers.split_first() else {
                return 0;
            };
            let mut stored = 0;
            for tier in farther.iter().rev() {
                stored = stored.max(tier.insert_many(entries.clone()));
            }
            stored.max(nearest.insert_many(entries))
        })
    }

    fn snapshot(&self) -> Box<dyn Snapshot + '_> {
        Box::new(TieredSnapshot {
            since: self.promotions.now(),
            tiers: self.tiers.iter().map(|tier| tier.snapshot()).collect(),
            promotions: &self.promotions,
        })
    }

    fn is_checked(&self) -> bool {
        self.tiers.iter().all(|tier| tier.is_checked())
    }

    /// The sums of the tiers' counters, and the failure of the nearest tier that had one.
    fn counters(&self) -> Counters {
        let mut sum = Counters::default();
        for counters in self.tiers.iter().map(|tier| tier.counters()) {
            sum.evicted += counters.evicted;
            sum.damaged += counters.damaged;
            sum.failures += counters.failures;
            sum.last_failure = sum.last_failure.or(counters.last_failure);
        }
        sum
    }
}

impl Drop for Tiered {
    fn drop(&mut self) {
        self.promote();
    }
}

impl fmt::Debug for Tiered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tiered")
            .field("tiers", &self.tiers)
            .finish_non_exhaustive()
    }
}

/// The snapshots of all tiers.
struct TieredSnapshot<'s> {
    since: Moment,
    tiers: Vec<Box<dyn Snapshot + 's>>,
    promotions: &'s Promotions,
}

impl Snapshot for TieredSnapshot<'_> {
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        let mut tiers = self.tiers.iter().enumerate();
        let (depth, value) = tiers.find_map(|(depth, tier)| Some((depth, tier.get(key)?)))?;
        self.promotions.gather(depth, key, &value, self.since);
        Some(value)
    }

    fn get_many(&self, keys: &[&[u8]]) -> Vec<Option<Cow<'_, [u8]>>> {
        get_many(
            &self.tiers,
            keys,
            |tier, keys| tier.get_many(keys),
            |depth, key, value| self.promotions.gather(depth, key, value, self.since),
        )
    }
}

/// Looks `keys` up in each of `tiers` with `look_up`, as far as those before lacked them, and
/// shows each that is found to `found_at`.
fn get_many<'t, T>(
    tiers: &'t [T],
    keys: &[&[u8]],
    look_up: impl Fn(&'t T, &[&[u8]]) -> Vec<Option<Cow<'t, [u8]>>>,
    found_at: impl Fn(usize, &[u8], &[u8]),
) -> Vec<Option<Cow<'t, [u8]>>> {
    let mut values = vec![None; keys.len()];
    let mut lacking: Vec<usize> = (0..keys.len()).collect();
    for (depth, tier) in tiers.iter().enumerate() {
        if lacking.is_empty() {
            break;
        }
        let asked: Vec<_> = lacking.iter().map(|&index| keys[index]).collect();
        for (&index, value) in lacking.iter().zip(look_up(tier, &asked)) {
            if let Some(value) = &value {
                found_at(depth, keys[index], value);
            }
            values[index] = value;
        }
        lacking.retain(|&index| values[index].is_none());
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MemoryStore, ReadOnly};

    fn stack<const TIERS: usize>() -> ([Arc<MemoryStore>; TIERS], Tiered) {
        let tiers = [(); TIERS].map(|()| Arc::new(MemoryStore::new()));
        let store = Tiered::new(tiers.iter().map(|tier| tier.clone() as _).collect());
        (tiers, store)
    }

    fn entry(key: &[u8], value: &[u8]) -> Entry {
        Entry {
            key: key.to_vec(),
            value: value.to_vec(),
        }
    }

    #[test]
    fn insertions_go_to_all_tiers() {
        let (tiers, store) = stack::<3>();
        assert!(store.insert(b"a", vec![1]));
        assert_eq!(
            store.insert_many(vec![entry(b"b", b"2"), entry(b"", b"")]),
            1
        );
        for tier in &tiers {
            assert_eq!(tier.get(b"a").as_deref(), Some(&[1][..]));
            assert_eq!(tier.get(b"b").as_deref(), Some(&b"2"[..]));
        }
    }

    #[test]
    fn one_tier_that_stores_is_enough() {
        let near: Arc<dyn CacheStore> = Arc::new(ReadOnly::new(MemoryStore::new()));
        let far: Arc<dyn CacheStore> = Arc::new(MemoryStore::new());
        for tiers in [[near.clone(), far.clone()], [far, near]] {
            let store = Tiered::new(tiers.into());
            assert!(store.insert(b"a", vec![1]));
            assert_eq!(store.insert_many(vec![entry(b"b", b"2")]), 1);
            assert!(store.get(b"a").is_some() && store.get(b"b").is_some());
        }
    }

    #[test]
    fn without_tiers_it_stores_nothing() {
        let store = Tiered::new(vec![]);
        assert!(!store.insert(b"a", vec![1]));
        assert_eq!(store.insert_many(vec![entry(b"b", b"2")]), 0);
        assert_eq!(store.get(b"a"), None);
        assert_eq!(store.get_many(&[b"a"]), [None]);
        assert_eq!(store.snapshot().get(b"a"), None);
    }

    #[test]
    fn what_a_farther_tier_had_is_promoted_with_the_next_batch() {
        let (tiers, store) = stack::<3>();
        tiers[2].insert(b"far", vec![3]);
        tiers[1].insert(b"middle", vec![2]);
        let found = store.get_many(&[b"middle", b"none", b"far"]);
        let expected = [Some(&[2][..]), None, Some(&[3])];
        assert!(found.iter().map(Option::as_deref).eq(expected));
        assert!(tiers[0].is_empty());
        assert_eq!(store.insert_many(vec![]), 0);
        assert_eq!(tiers.each_ref().map(|tier| tier.len()), [2, 2, 1]);
    }

    #[test]
    fn what_a_snapshot_found_is_promoted_too() {
        let (tiers, store) = stack::<2>();
        tiers[1].insert(b"a", vec![1]);
        tiers[1].insert(b"b", vec![2]);
        let snapshot = store.snapshot();
        assert!(matches!(snapshot.get(b"a"), Some(Cow::Borrowed([1]))));
        assert!(matches!(
            snapshot.get_many(&[b"b"])[0],
            Some(Cow::Borrowed([2]))
        ));
        drop(snapshot);
        assert!(tiers[0].is_empty());
        drop(store);
        assert_eq!(tiers[0].len(), 2);
    }

    #[test]
    fn lookups_alone_promote_in_batches() {
        let (tiers, store) = stack::<2>();
        for number in 0..1000u32 {
            tiers[1].insert(&number.to_le_bytes(), vec![7]);
        }
        for number in 0..1000u32 {
            assert!(store.get(&number.to_le_bytes()).is_some());
        }
        assert_eq!(tiers[0].len(), 768);
    }

    #[test]
    fn a_promotion_does_not_undo_an_insertion() {
        let (tiers, store) = stack::<2>();
        tiers[1].insert(b"a", vec![1]);
        let snapshot = store.snapshot();
        assert!(snapshot.get(b"a").is_some());
        store.insert(b"b", vec![]);
        assert_eq!(tiers[0].get(b"a").as_deref(), Some(&[1][..]));

        // Found by a lookup that began before the insertion, and gathered after it.
        store.insert(b"a", vec![2]);
        store.promotions.gather(1, b"a", b"old", Moment::default());
        store.insert_many(vec![]);
        assert_eq!(store.get(b"a").as_deref(), Some(&[2][..]));
    }

    #[test]
    fn counters_are_sums() {
        #[derive(Debug)]
        struct Counting(u64, Option<&'static str>);

        impl CacheStore for Counting {
            fn get(&self, _: &[u8]) -> Option<Cow<'_, [u8]>> {
                None
            }

            fn insert(&self, _: &[u8], _: Vec<u8>) -> bool {
                false
            }

            fn is_checked(&self) -> bool {
                true
            }

            fn counters(&self) -> Counters {
                Counters {
                    evicted: self.0,
                    damaged: 10 * self.0,
                    failures: 100 * self.0,
                    last_failure: self.1.map(str::to_owned),
                }
            }
        }

        let tiers: Vec<Arc<dyn CacheStore>> = vec![
            Arc::new(Counting(1, None)),
            Arc::new(Counting(2, Some("near"))),
            Arc::new(Counting(3, Some("far"))),
        ];
        let store = Tiered::new(tiers.clone());
        let counters = store.counters();
        assert_eq!((counters.evicted, counters.damaged), (6, 60));
        assert_eq!(counters.failures, 600);
        assert_eq!(counters.last_failure.as_deref(), Some("near"));

        assert!(store.is_checked());
        let unchecked = Arc::new(MemoryStore::new());
        assert!(!Tiered::new([tiers, vec![unchecked]].concat()).is_checked());
    }
}
