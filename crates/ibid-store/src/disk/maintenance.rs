//! What is done to a store as a whole: making it smaller, and looking at every entry.

use super::entry::Seal;
use super::environment::{Environment, Table, Tables, table_bytes};
use super::eviction::{self, Budget};
use super::families;
use super::large;
use super::options::Bounds;
use super::room;
use super::state::State;
use heed::{RoTxn, RwTxn};

/// What [`gc`](crate::gc) did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Collected {
    /// Entries that were removed.
    pub evicted: u64,
    /// Whether the data file was written anew, without the pages that were free.
    pub compacted: bool,
    /// The length of the data file before, in bytes.
    pub bytes_before: u64,
    /// The length of the data file after, in bytes.
    pub bytes_after: u64,
}

/// What [`DiskStore::verify`](crate::DiskStore::verify) found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// Entries that were looked at, without those that are evicted already.
    pub entries: u64,
    /// Their lengths with keys and checksums, in bytes.
    pub bytes: u64,
    /// Entries that are damaged, or were stored under another key of authentication.
    pub damaged: u64,
    /// Damaged entries that were removed.
    pub removed: u64,
}

/// How long a transaction of [`collect`] may take, as far as it has a choice: others wait for it.
const ENTRIES_AT_ONCE: u64 = 1 << 14;

/// Removes all that is evicted already, families that are out of use, and what is above the
/// bounds. Says how many entries.
pub(super) fn collect(environment: &Environment, bounds: &Bounds) -> heed::Result<u64> {
    let mut evicted = 0;
    loop {
        let mut txn = environment.write()?;
        let mut budget = Budget::of(ENTRIES_AT_ONCE);
        let done = collect_some(&environment.tables, &mut txn, bounds, &mut budget)?;
        txn.commit()?;
        evicted += budget.removed;
        if done {
            return Ok(evicted);
        }
    }
}

fn collect_some(
    tables: &Tables,
    txn: &mut RwTxn<'_>,
    bounds: &Bounds,
    budget: &mut Budget,
) -> heed::Result<bool> {
    let state = State::read(tables, txn)?;
    if !eviction::remove(state.dying(tables), txn, &[], budget)? {
        return Ok(false);
    }
    for family in families::out_of_use(tables, txn)? {
        budget.removed += large::remove_family(tables, txn, family, 0)?;
        if !room::remove_family(tables, txn, family, budget)? {
            return Ok(false);
        }
    }
    // Only a store that was larger once has more than that. Which of its entries go is as good as
    // chance: keys are digests.
    for generation in [state.older(tables), state.current(tables)] {
        while table_bytes(generation, txn)? > bounds.generation_bytes + bounds.promotion_bytes {
            let before = budget.removed;
            eviction::remove_some(generation, txn, budget)?;
            if budget.removed == before {
                return Ok(false);
            }
        }
    }
    budget.removed += large::evict(tables, txn, bounds.large_bytes)?;
    Ok(true)
}

/// Looks at every entry; see [`DiskStore::verify`](crate::DiskStore::verify).
pub(super) fn verify(
    environment: &Environment,
    seal: &Seal,
    repair: bool,
) -> heed::Result<Verified> {
    let mut verified = Verified::default();
    let mut damaged = Vec::new();
    for_each(environment, |table, key, stored| -> heed::Result<()> {
        verified.entries += 1;
        verified.bytes += stored.len() as u64;
        if seal.value(key, stored).is_none() {
            damaged.push((table, key.to_vec()));
        }
        Ok(())
    })?;
    verified.damaged = damaged.len() as u64;
    if repair && !damaged.is_empty() {
        let tables = &environment.tables;
        let mut txn = environment.write()?;
        for (table, key) in damaged {
            // It may have been replaced by an intact one meanwhile, which is no loss.
            match table {
                Kind::Large => large::remove(tables, &mut txn, &key)?,
                Kind::Small(table) => drop(table.delete(&mut txn, &key)?),
            }
            verified.removed += 1;
        }
        txn.commit()?;
    }
    Ok(verified)
}

/// Where an entry is.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Small(Table),
    Large,
}

/// Calls `f` with the key and the record of every entry that lookups can find. The older ones
/// come first.
pub(super) fn for_each<E: From<heed::Error>>(
    environment: &Environment,
    mut f: impl FnMut(Kind, &[u8], &[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let tables = &environment.tables;
    let txn = environment.read()?;
    let state = State::read(tables, &txn)?;
    for table in [state.older(tables), state.current(tables)] {
        each_of(table, &txn, |key, stored| {
            f(Kind::Small(table), key, stored)
        })?;
    }
    each_of(tables.large, &txn, |key, stored| {
        f(Kind::Large, key, large::entry(stored))
    })
}

fn each_of<E: From<heed::Error>>(
    table: Table,
    txn: &RoTxn<'_>,
    mut f: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
) -> Result<(), E> {
    for entry in table.iter(txn)? {
        let (key, stored) = entry?;
        f(key, stored)?;
    }
    Ok(())
}
