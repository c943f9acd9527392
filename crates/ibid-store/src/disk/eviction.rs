//! Removing entries, a slice at a time.
//!
//! No insertion removes for longer than [`DiskOptions::eviction_time`](crate::DiskOptions): a
//! generation of gigabytes takes seconds to clear, and a compile may be waiting. What is left is
//! removed with the next insertions.

use super::environment::Table;
use heed::RwTxn;
use std::ops::Bound;
use std::time::{Duration, Instant};

/// How much may be removed yet.
#[derive(Debug)]
pub(super) struct Budget {
    /// `None` if there is no end that a clock could show.
    end: Option<Instant>,
    /// What may be removed however long it takes.
    least: u64,
    /// How many entries were removed.
    pub(super) removed: u64,
}

impl Budget {
    /// How many entries an insertion removes even if that takes longer. It takes a millisecond
    /// or two; but a machine that hangs at the wrong time shall not keep the store full.
    const LEAST: u64 = 1024;

    /// How many entries are removed between two looks at the clock.
    const STEP: u64 = 64;

    /// As much as one insertion may remove, in `time`.
    pub(super) fn of_an_insertion(time: Duration) -> Budget {
        Budget {
            end: Instant::now().checked_add(time),
            least: Self::LEAST,
            removed: 0,
        }
    }

    /// `entries`, or a few more.
    pub(super) fn of(entries: u64) -> Budget {
        Budget {
            end: Some(Instant::now()),
            least: entries,
            removed: 0,
        }
    }

    fn is_spent(&self) -> bool {
        let at_a_step = self.removed >= self.least && self.removed.is_multiple_of(Self::STEP);
        at_a_step && self.end.is_some_and(|end| Instant::now() >= end)
    }
}

/// Removes entries from `table` whose keys start with `prefix`, until there is none or the budget
/// is spent. Says whether there is none left.
pub(super) fn remove(
    table: Table,
    txn: &mut RwTxn<'_>,
    prefix: &[u8],
    budget: &mut Budget,
) -> heed::Result<bool> {
    // LMDB looks for no empty key, and there is none.
    let first = if prefix.is_empty() { &[0] } else { prefix };
    let range: (Bound<&[u8]>, Bound<&[u8]>) = (Bound::Included(first), Bound::Unbounded);
    let mut entries = table.range_mut(txn, &range)?;
    loop {
        let is_there = match entries.next().transpose()? {
            Some((key, _)) => key.starts_with(prefix),
            None => false,
        };
        if !is_there || budget.is_spent() {
            return Ok(!is_there);
        }
        // SAFETY: nothing that was borrowed from the table is kept: the entry that `next` gave
        // was dropped.
        unsafe { entries.del_current()? };
        budget.removed += 1;
    }
}

/// Removes a few entries from `table`, if the budget allows.
pub(super) fn remove_some(
    table: Table,
    txn: &mut RwTxn<'_>,
    budget: &mut Budget,
) -> heed::Result<()> {
    if budget.is_spent() {
        return Ok(());
    }
    let mut few = Budget::of(Budget::STEP);
    remove(table, txn, &[], &mut few)?;
    budget.removed += few.removed;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::registry;

    #[test]
    fn removes_what_has_the_prefix_within_the_budget() {
        let directory = tempfile::tempdir().unwrap();
        let environment = registry::open(directory.path(), 4 << 20).unwrap();
        let table = environment.tables.small[0];
        let mut txn = environment.write().unwrap();
        for number in 0..3000u32 {
            let family = [b"a", b"b"][number as usize % 2];
            let key = [&family[..], &number.to_be_bytes()].concat();
            table.put(&mut txn, &key, &[7; 200]).unwrap();
        }
        let mut budget = Budget::of(100);
        assert!(!remove(table, &mut txn, b"a", &mut budget).unwrap());
        // The clock is looked at every so often.
        assert_eq!(budget.removed, 128);
        assert_eq!(table.len(&txn).unwrap(), 3000 - 128);

        let mut budget = Budget::of(u64::MAX);
        assert!(remove(table, &mut txn, b"a", &mut budget).unwrap());
        assert_eq!(budget.removed, 1500 - 128);
        assert!(remove(table, &mut txn, b"a", &mut budget).unwrap());
        assert_eq!(table.len(&txn).unwrap(), 1500);
        assert!(remove(table, &mut txn, b"", &mut budget).unwrap());
        assert_eq!(table.len(&txn).unwrap(), 0);
    }
}
