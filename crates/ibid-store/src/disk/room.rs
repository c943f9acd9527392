//! Making room for a batch.

use super::batch::{Batch, is_full, is_large};
use super::entry::OVERHEAD_BYTES;
use super::environment::table_bytes;
use super::generations;
use super::large;
use super::state::State;
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
    ///
    /// Small values only make room for small ones, and large ones for large ones.
    pub(super) fn make_room(&self, full: Full, seen: &State) -> heed::Result<()> {
        self.environment.clear_stale_readers()?;
        match self.evict(full, seen, self.hits) {
            // Not even room for promoting something.
            Err(error) if is_full(&error) => self.evict(full, seen, &[])?,
            result => result?,
        }
        self.release_freed_pages()
    }

    fn evict(&self, full: Full, seen: &State, hits: &[Box<[u8]>]) -> heed::Result<()> {
        let tables = &self.environment.tables;
        let (mut txn, state) = self.begin()?;
        let has_small = self.entries.iter().any(|entry| !is_large(entry));
        if has_small && self.is_rotation_due(full, seen, &state, &txn)? {
            // The current generation is full as it is, but it is about to become the older one.
            let bound = self.bounds.generation_bytes + self.bounds.promotion_bytes;
            generations::promote(tables, &mut txn, &state, hits, bound)?;
            generations::rotate(tables, &mut txn, &state)?;
        }
        let large_bytes = self.large_bytes();
        if large_bytes > 0 {
            let bound = self.bounds.large_bytes.saturating_sub(large_bytes);
            large::evict(tables, &mut txn, bound)?;
        }
        txn.commit()
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
        large
            .map(|entry| (OVERHEAD_BYTES + entry.key.len() + entry.value.len()) as u64)
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::options::Bounds;
    use crate::disk::{DiskOptions, registry};
    use crate::store::Entry;

    #[test]
    fn those_who_find_the_store_full_at_once_make_room_once() {
        let directory = tempfile::tempdir().unwrap();
        let bounds = Bounds::new(&DiskOptions { max_bytes: 4 << 20 });
        let environment = registry::open(directory.path(), bounds.max_bytes).unwrap();
        let entries = [Entry {
            key: b"key".to_vec(),
            value: b"value".to_vec(),
        }];
        let batch = Batch {
            environment: &environment,
            bounds: &bounds,
            entries: &entries,
            hits: &[],
        };
        assert_eq!(batch.store().unwrap(), 1);
        let seen = batch.begin().unwrap().1;
        for _ in 0..3 {
            batch.make_room(Full::Generation, &seen).unwrap();
        }
        let (txn, state) = batch.begin().unwrap();
        assert_eq!(state.rotations, 1);
        let older = state.older(&environment.tables);
        assert!(older.get(&txn, b"key").unwrap().is_some());
    }
}
