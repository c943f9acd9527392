//! Storing a batch of entries in one transaction.

use super::entry::Record;
use super::environment::Environment;
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
    pub(super) entries: &'a [Entry],
    /// Keys that were found in the older generation.
    pub(super) hits: &'a [Box<[u8]>],
}

impl Batch<'_> {
    /// Stores the batch in one transaction and returns how many of its entries were stored.
    ///
    /// If there is no room, room is made, once, in transactions before that. What does not fit
    /// then is not stored.
    pub(super) fn store(&self) -> heed::Result<usize> {
        let (txn, state) = self.begin()?;
        let full = match self.write(txn, &state, self.hits) {
            Ok(Written::All(stored)) => return Ok(stored),
            Ok(Written::NotAll(_)) => Full::Generation,
            Err(error) if is_full(&error) => Full::File,
            Err(error) => return Err(error),
        };
        self.make_room(full, &state)?;
        let (txn, state) = self.begin()?;
        // What was found in the older generation has been promoted, or has gone with it.
        match self.write(txn, &state, &[])? {
            Written::All(stored) => Ok(stored),
            Written::NotAll(pending) => pending.commit(),
        }
    }

    /// Begins a write transaction, and tells which generation is current in it.
    pub(super) fn begin(&self) -> heed::Result<(RwTxn<'_>, State)> {
        let txn = self.environment.write()?;
        let state = State::read(&self.environment.tables, &txn)?;
        Ok((txn, state))
    }

    /// Writes all that there is room for, and commits if that is all.
    fn write<'e>(
        &self,
        mut txn: RwTxn<'e>,
        state: &State,
        hits: &[Box<[u8]>],
    ) -> heed::Result<Written<'e>> {
        let tables = &self.environment.tables;
        let bound = self.bounds.generation_bytes;
        generations::promote(tables, &mut txn, state, hits, bound)?;
        let (mut stored, mut lacks_room) = (0, false);
        for entry in self.entries {
            match self.add(&mut txn, state, entry)? {
                Added::Yes => stored += 1,
                Added::NoRoom => lacks_room = true,
                Added::Never => {}
            }
        }
        let pending = Pending { txn, stored };
        match lacks_room {
            true => Ok(Written::NotAll(pending)),
            false => pending.commit().map(Written::All),
        }
    }

    /// Adds one entry where it belongs, and sees to it that its key is in no other place.
    fn add(&self, txn: &mut RwTxn<'_>, state: &State, entry: &Entry) -> heed::Result<Added> {
        let tables = &self.environment.tables;
        let Entry { key, value } = entry;
        if !is_valid_key(key) {
            return Ok(Added::Never);
        }
        let record = Record::new(key, value);
        if is_large(entry) {
            let added = large::add(tables, txn, key, &record, self.bounds.large_bytes)?;
            if added == Added::Yes {
                tables.small[0].delete(txn, key)?;
                tables.small[1].delete(txn, key)?;
            }
            Ok(added)
        } else {
            let bound = self.bounds.generation_bytes;
            let added = generations::add(tables, txn, state, key, &record, bound)?;
            if added == Added::Yes {
                large::remove(tables, txn, key)?;
            }
            Ok(added)
        }
    }
}

/// What a transaction came to.
enum Written<'e> {
    /// All that ever fits is stored, and that many entries it is.
    All(usize),
    /// For some there was no room. Nothing is committed yet.
    NotAll(Pending<'e>),
}

/// A transaction that was not committed yet. It is undone when this is dropped.
struct Pending<'e> {
    txn: RwTxn<'e>,
    stored: usize,
}

impl Pending<'_> {
    fn commit(self) -> heed::Result<usize> {
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
