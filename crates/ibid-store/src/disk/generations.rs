//! Generations of small values.
//!
//! Entries are added to the current generation. When that is full, an empty one becomes current,
//! what was current becomes the older one, and what was the older one is looked into no more and
//! cleared, a slice with each insertion. So at any time the store remembers between one and two
//! generations' worth of what was stored or used last, and nothing has to be noted down when an
//! entry is read: an entry that is found in the older generation is promoted, that is copied to the
//! current one, with the next insertion.

use super::entry::{Record, Seal};
use super::environment::{Tables, record_bytes, table_bytes};
use super::state::State;
use heed::RwTxn;

/// What came of an attempt to add something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Added {
    /// It is there.
    Yes,
    /// There is no room for it now, but there would be.
    NoRoom,
    /// There will never be room for it.
    Never,
}

/// Adds `record` to the current generation, which may take up `bound` bytes.
pub(super) fn add(
    tables: &Tables,
    txn: &mut RwTxn<'_>,
    state: &State,
    key: &[u8],
    record: &Record<'_>,
    bound: u64,
) -> heed::Result<Added> {
    let current = state.current(tables);
    // Processes that build the same thing at the same time store the same entries.
    if let Some(stored) = current.get(txn, key)?
        && record.is_stored_as(stored)
    {
        return Ok(Added::Yes);
    }
    let needed = record_bytes(current, txn, record.len())?;
    if table_bytes(current, txn)? + needed > bound {
        return Ok(match needed > bound {
            true => Added::Never,
            false => Added::NoRoom,
        });
    }
    current.put_reserved(txn, key, record.len(), |space| record.write(space))?;
    Ok(Added::Yes)
}

/// Copies the entries of `keys` from the older generation to the current one, as far as that may
/// grow: to `bound` bytes.
pub(super) fn promote(
    tables: &Tables,
    txn: &mut RwTxn<'_>,
    state: &State,
    keys: &[Box<[u8]>],
    seal: &Seal,
    bound: u64,
) -> heed::Result<()> {
    let (current, older) = (state.current(tables), state.older(tables));
    for key in keys {
        // Another process may have promoted it, and may have cleared the older generation.
        if current.get(txn, key)?.is_some() {
            continue;
        }
        let Some(stored) = older.get(txn, key)? else {
            continue;
        };
        if seal.value(key, stored).is_none() {
            continue;
        }
        let stored = stored.to_vec();
        let needed = record_bytes(current, txn, stored.len())?;
        if table_bytes(current, txn)? + needed > bound {
            return Ok(());
        }
        current.put(txn, key, &stored)?;
    }
    Ok(())
}

/// Makes the generation that is being cleared the current one. It has to be empty.
pub(super) fn rotate(tables: &Tables, txn: &mut RwTxn<'_>, state: &State) -> heed::Result<()> {
    state.rotated().write(tables, txn)
}
