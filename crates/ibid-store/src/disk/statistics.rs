//! How full a store is.

use super::environment::{Environment, table_bytes};
use super::families;
use super::options::Bounds;
use super::state::State;

/// How full a [`DiskStore`](crate::DiskStore) is.
///
/// Sizes are those of the pages that are in use for something, so keys, checksums and what is
/// left empty in a page count as well.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// Entries with a small value (of less than 1 MiB), in both generations that are looked into.
    /// One that was promoted from the older generation to the current one counts twice until the
    /// older one is cleared.
    pub entries: u64,
    /// How many of [`entries`](Self::entries) are in the older generation.
    pub older_entries: u64,
    /// Entries with a small value that are evicted already and not yet removed.
    pub dying_entries: u64,
    /// Entries with a large value.
    pub large_entries: u64,
    /// What all entries take up, small and large, those that are dying too, in bytes.
    pub value_bytes: u64,
    /// What the entries in the older generation take up, in bytes.
    pub older_bytes: u64,
    /// What the entries with a large value take up, in bytes.
    pub large_bytes: u64,
    /// Families of entries, see [`family`](crate::family): releases of a compiler, as a rule.
    pub families: u64,
    /// How many of [`families`](Self::families) nobody uses any more. They are evicted first.
    pub families_out_of_use: u64,
    /// The length of the data file, in bytes. Pages that are no longer in use are
    /// used again; only [`gc`](crate::gc) makes it shorter.
    pub bytes_on_disk: u64,
    /// How large the data file may grow by this handle's options, in bytes.
    pub max_bytes: u64,
    /// How often a generation was cleared to make room for the next one, since the store was
    /// made.
    pub rotations: u64,
}

pub(super) fn collect(environment: &Environment, bounds: &Bounds) -> heed::Result<Statistics> {
    let txn = environment.read()?;
    let tables = &environment.tables;
    let state = State::read(tables, &txn)?;
    let (current, older) = (state.current(tables), state.older(tables));
    let dying = state.dying(tables);
    let older_entries = older.len(&txn)?;
    let older_bytes = table_bytes(older, &txn)?;
    let large_bytes = table_bytes(tables.large, &txn)? + table_bytes(tables.large_order, &txn)?;
    Ok(Statistics {
        entries: current.len(&txn)? + older_entries,
        older_entries,
        dying_entries: dying.len(&txn)?,
        large_entries: tables.large.len(&txn)?,
        value_bytes: table_bytes(current, &txn)?
            + older_bytes
            + table_bytes(dying, &txn)?
            + large_bytes,
        families: tables.families.len(&txn)?,
        families_out_of_use: families::out_of_use(tables, &txn)?.len() as u64,
        older_bytes,
        large_bytes,
        bytes_on_disk: environment.bytes_on_disk()?,
        max_bytes: bounds.max_bytes,
        rotations: state.rotations,
    })
}
