//! Storing a batch of entries in one transaction.

use super::entry::Seal;
use super::environment::Environment;
use super::eviction::{self, Budget};
use super::families::{self, Family};
use super::generations::{self, Added};
use super::large;
use super::options::{Bounds, LARGE_VALUE_BYTES};
use super::room::Full;
use super::state::State;
use crate::store::{Entry, is_valid_key};
use heed::{MdbError, RwTxn};

/// Entries to store, and entries to promote while at it.
pub(super) struct Batch<'a> {
    pub(super) environment: &'a Environment,
    pub(super) bounds: &'a Bounds,
    pub(super) seal: &'a Seal,
    pub(super) entries: &'a [Entry],
    /// Keys that were found in the older generation.
    pub(super) hits: &'a [Box<[u8]>],
    /// The families that are in use.
    pub(super) families: &'a [Family],
}

/// What came of a batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Stored {
    /// How many of its entries are in the store.
    pub(super) stored: usize,
    /// How many entries were removed for them.
    pub(super) evicted: u64,
}

impl Batch<'_> {
    /// Stores the batch in one transaction.
    ///
    /// If there is no room, room is made, once, in transactions before that. What does not fit
    /// then is not stored.
    pub(super) fn store(&self) -> heed::Result<Stored> {
        let mut budget = Budget::of_an_insertion(self.bounds.eviction_time);
        let (txn, state) = self.begin()?;
        let full = match self.write(txn, &state, self.hits, &mut budget) {
            Ok(Written::All(stored)) => return Ok(stored),
            Ok(Written::NotAll(_)) => Full::Generation,
            Err(error) if is_full(&error) => Full::File,
            Err(error) => return Err(error),
        };
        // What was removed in that transaction is there again.
        budget.removed = 0;
        let large = self.make_room(full, &state, &mut budget)?;
        let (txn, state) = self.begin()?;
        // What was found in the older generation has been promoted, or has gone with it.
        let stored = match self.write(txn, &state, &[], &mut budget)? {
            Written::All(stored) => stored,
            Written::NotAll(pending) => pending.commit()?,
        };
        Ok(Stored {
            evicted: stored.evicted + large,
            ..stored
        })
    }

    /// Begins a write transaction, and tells which generation is current in it.
    pub(super) fn begin(&self) -> heed::Result<(RwTxn<'_>, State)> {
        let txn = self.environment.write()?;
        let state = State::read(&self.environment.tables, &txn)?;
        Ok((txn, state))
    }

    /// Writes all that there is room for, and commits if that is all. Removes a slice of what is to
    /// be cleared.
    fn write<'e>(
        &self,
        mut txn: RwTxn<'e>,
        state: &State,
        hits: &[Box<[u8]>],
        budget: &mut Budget,
    ) -> heed::Result<Written<'e>> {
        let tables = &self.environment.tables;
        let bound = self.bounds.generation_bytes;
        for family in self.families {
            families::touch(tables, &mut txn, *family)?;
        }
        generations::promote(tables, &mut txn, state, hits, self.seal, bound)?;
        let (mut stored, mut lacks_room, mut evicted) = (0, false, 0);
        for entry in self.entries {
            let (added, large) = self.add(&mut txn, state, entry)?;
            evicted += large;
            match added {
                Added::Yes => stored += 1,
                Added::NoRoom => lacks_room = true,
                Added::Never => {}
            }
        }
        eviction::remove(state.dying(tables), &mut txn, &[], budget)?;
        evicted += budget.removed;
        let stored = Stored { stored, evicted };
        let pending = Pending { txn, stored };
        match lacks_room {
            true => Ok(Written::NotAll(pending)),
            false => pending.commit().map(Written::All),
        }
    }

    /// Adds one entry where it belongs, and sees to it that its key is in no other place. Says also
    /// how many large values were evicted for it.
    fn add(&self, txn: &mut RwTxn<'_>, state: &State, entry: &Entry) -> heed::Result<(Added, u64)> {
        let tables = &self.environment.tables;
        let Entry { key, value } = entry;
        if !is_valid_key(key) {
            return Ok((Added::Never, 0));
        }
        let record = self.seal.record(key, value);
        if is_large(entry) {
            let added = large::add(tables, txn, key, &record, self.bounds.large_bytes)?;
            if added.0 == Added::Yes {
                for small in tables.small {
                    small.delete(txn, key)?;
                }
            }
            Ok(added)
        } else {
            let bound = self.bounds.generation_bytes;
            let added = generations::add(tables, txn, state, key, &record, bound)?;
            if added == Added::Yes {
                large::remove(tables, txn, key)?;
            }
            Ok((added, 0))
        }
    }
}

/// What a transaction came to.
enum Written<'e> {
    /// All that ever fits is stored.
    All(Stored),
    /// For some there was no room. Nothing is committed yet.
    NotAll(Pending<'e>),
}

/// A transaction that was not committed yet. It is undone when this is dropped.
struct Pending<'e> {
    txn: RwTxn<'e>,
    stored: Stored,
}

impl Pending<'_> {
    fn commit(self) -> heed::Result<Stored> {
        self.txn.commit()?;
        Ok(self.stored)
    }
}

/// Whether an entry goes with the large ones.
pub(super) fn is_large(entry: &Entry) -> bool {
    entry.value.len() >= LARGE_VALUE_BYTES
}

/// Whether LMDB found no page to use.
pub(super) fn is_full(error: &heed::Error) -> bool {
    matches!(error, heed::Error::Mdb(MdbError::MapFull))
}
