//! Making room for a batch.

use super::batch::{Batch, is_full, is_large};
use super::entry::MOST_OVERHEAD_BYTES;
use super::environment::{Tables, table_bytes};
use super::eviction::{self, Budget};
use super::families::{self, Family};
use super::generations;
use super::large;
use super::state::State;
use crate::store::Entry;
use heed::RwTxn;

/// What there was no room in.
#[derive(Debug, Clone, Copy)]
pub(super) enum Full {
    /// The current generation has reached its bound.
    Generation,
    /// LMDB found no page to use.
    File,
}

impl Batch<'_> {
    /// Evicts what has to go for this batch, for which there was no room in the state `seen`.
    /// Says how many large values these are; small ones are in the budget.
    ///
    /// Small values only make room for small ones, and large ones for large ones. Families that are
    /// out of use go first.
    pub(super) fn make_room(
        &self,
        full: Full,
        seen: &State,
        budget: &mut Budget,
    ) -> heed::Result<u64> {
        self.environment.clear_stale_readers()?;
        let large = match self.evict(full, seen, self.hits, budget) {
            // Not even room for promoting something.
            Err(error) if is_full(&error) => {
                budget.removed = 0;
                self.evict(full, seen, &[], budget)?
            }
            result => result?,
        };
        self.release_freed_pages()?;
        Ok(large)
    }

    fn evict(
        &self,
        full: Full,
        seen: &State,
        hits: &[Box<[u8]>],
        budget: &mut Budget,
    ) -> heed::Result<u64> {
        let tables = &self.environment.tables;
        let (mut txn, state) = self.begin()?;
        let has_small = self.entries.iter().any(|entry| !is_large(entry));
        if has_small
            && self.is_rotation_due(full, seen, &state, &txn)?
            && !self.drop_families(&mut txn, &state, budget)?
            && eviction::remove(state.dying(tables), &mut txn, &[], budget)?
        {
            // The current generation is full as it is, but it is about to become the older one.
            let bound = self.bounds.generation_bytes + self.bounds.promotion_bytes;
            generations::promote(tables, &mut txn, &state, hits, self.seal, bound)?;
            generations::rotate(tables, &mut txn, &state)?;
        }
        let mut evicted = 0;
        let large_bytes = self.large_bytes();
        if large_bytes > 0 {
            let bound = self.bounds.large_bytes.saturating_sub(large_bytes);
            evicted = large::evict(tables, &mut txn, bound)?;
        }
        txn.commit()?;
        Ok(evicted)
    }

    /// Removes small values of families that are out of use, as many as the budget allows. Says
    /// whether there is room for this batch now.
    fn drop_families(
        &self,
        txn: &mut RwTxn<'_>,
        state: &State,
        budget: &mut Budget,
    ) -> heed::Result<bool> {
        let tables = &self.environment.tables;
        for family in families::out_of_use(tables, txn)? {
            if !remove_family(tables, txn, family, budget)? {
                break;
            }
        }
        let taken = table_bytes(state.current(tables), txn)?;
        Ok(budget.removed > 0 && taken + self.small_bytes() <= self.bounds.generation_bytes)
    }

    /// Whether small values should make room now, in the state `now`.
    fn is_rotation_due(
        &self,
        full: Full,
        seen: &State,
        now: &State,
        txn: &RwTxn<'_>,
    ) -> heed::Result<bool> {
        // If generations have changed since, then somebody else who found the store full has
        // made room. Doing so again would clear the generation that was full just now.
        if now != seen {
            return Ok(false);
        }
        match full {
            Full::Generation => Ok(true),
            // If the file is full while the current generation is not, then a snapshot keeps
            // pages from being reused. Clearing one generation after the other would not help it.
            Full::File => {
                let current = now.current(&self.environment.tables);
                Ok(table_bytes(current, txn)? >= self.bounds.generation_bytes / 2)
            }
        }
    }

    /// Makes LMDB reuse the pages that the last transaction freed.
    ///
    /// It keeps the state before the last commit intact on disk, so pages freed by one
    /// transaction are not reused by the next (`mdb_find_oldest` in `mdb.c`), but by the one
    /// after that. This is the one in between. A commit that changes nothing would not count.
    fn release_freed_pages(&self) -> heed::Result<()> {
        let tables = &self.environment.tables;
        let (mut txn, state) = self.begin()?;
        state.write(tables, &mut txn)?;
        txn.commit()
    }

    /// About how many bytes the large values of this batch take up.
    fn large_bytes(&self) -> u64 {
        let large = self.entries.iter().filter(|entry| is_large(entry));
        large.map(entry_bytes).sum()
    }

    /// About how many bytes the small values of this batch take up.
    fn small_bytes(&self) -> u64 {
        let small = self.entries.iter().filter(|entry| !is_large(entry));
        // Pages are seldom full.
        small.map(|entry| entry_bytes(entry) * 3 / 2).sum()
    }
}

fn entry_bytes(entry: &Entry) -> u64 {
    (MOST_OVERHEAD_BYTES + entry.key.len() + entry.value.len()) as u64
}

/// Removes the small values of `family`, as many as the budget allows, and the family, too, when it
/// has no value left. Says whether it has no small one left.
pub(super) fn remove_family(
    tables: &Tables,
    txn: &mut RwTxn<'_>,
    family: Family,
    budget: &mut Budget,
) -> heed::Result<bool> {
    let prefix = families::prefix(family);
    for small in tables.small {
        if !eviction::remove(small, txn, &prefix, budget)? {
            return Ok(false);
        }
    }
    let large = tables.large.get_greater_than_or_equal_to(txn, &prefix)?;
    if large.is_none_or(|(key, _)| !key.starts_with(&prefix)) {
        families::forget(tables, txn, family)?;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::entry::Seal;
    use crate::disk::options::Bounds;
    use crate::disk::{DiskOptions, registry};

    #[test]
    fn those_who_find_the_store_full_at_once_make_room_once() {
        let directory = tempfile::tempdir().unwrap();
        let bounds = Bounds::new(&DiskOptions {
            max_bytes: 4 << 20,
            ..DiskOptions::default()
        });
        let environment = registry::open(directory.path(), bounds.max_bytes).unwrap();
        let entries = [Entry {
            key: b"key".to_vec(),
            value: b"value".to_vec(),
        }];
        let batch = Batch {
            environment: &environment,
            bounds: &bounds,
            seal: &Seal::Checksum,
            entries: &entries,
            hits: &[],
            families: &[],
        };
        assert_eq!(batch.store().unwrap().stored, 1);
        let seen = batch.begin().unwrap().1;
        for _ in 0..3 {
            let mut budget = Budget::of_an_insertion(bounds.eviction_time);
            batch
                .make_room(Full::Generation, &seen, &mut budget)
                .unwrap();
        }
        let (txn, state) = batch.begin().unwrap();
        assert_eq!(state.rotations, 1);
        let older = state.older(&environment.tables);
        assert!(older.get(&txn, b"key").unwrap().is_some());
    }
}
