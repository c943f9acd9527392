//! Which families of entries are in use.
//!
//! A family is what one release of a compiler made, see [`family`](crate::family). When there is
//! a new release, nobody asks for the old one's entries any more, and they go first.
//!
//! One record for each family in the table `families`, under the family's name (8 bytes):
//!
//! ```text
//! offset  size  field
//!      0     8  when it was used last, in seconds since 1970, little-endian
//! ```
//!
//! A family is out of use if another one was used a day later or more. That compares what was
//! recorded with what was recorded, and not with the clock: a store that rests for a year loses
//! nothing by it. Times are only written if they have changed by an hour, or by a day where
//! nothing else would be written, so that a rebuild that finds everything writes nothing.

use super::environment::Tables;
use crate::store::{FAMILY_BYTES, FAMILY_MARK};
use heed::{RoTxn, RwTxn};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// A family's name.
pub(super) type Family = [u8; FAMILY_BYTES];

/// Seconds since 1970.
type Seconds = u64;

const HOUR: Seconds = 60 * 60;
const DAY: Seconds = 24 * HOUR;

/// What the keys of a family's entries start with.
pub(super) fn prefix(family: Family) -> [u8; FAMILY_MARK.len() + FAMILY_BYTES] {
    let mut prefix = [0; FAMILY_MARK.len() + FAMILY_BYTES];
    prefix[..FAMILY_MARK.len()].copy_from_slice(&FAMILY_MARK);
    prefix[FAMILY_MARK.len()..].copy_from_slice(&family);
    prefix
}

/// What one handle knows of the use of families.
#[derive(Debug, Default)]
pub(super) struct Use {
    /// The family that was asked for last; 0 if there was none.
    asked: AtomicU64,
    /// When what this handle uses was recorded to be in use.
    recorded: Mutex<HashMap<Family, Seconds>>,
}

impl Use {
    /// Remembers that an entry of `family` was asked for.
    pub(super) fn ask(&self, family: Family) {
        let family = u64::from_le_bytes(family);
        // A store that would be written by every lookup would be passed between caches.
        if self.asked.load(Ordering::Relaxed) != family {
            self.asked.store(family, Ordering::Relaxed);
        }
    }

    /// The family that was asked for, if its use has not been recorded for a day.
    pub(super) fn overdue(&self) -> Option<Family> {
        let asked = self.asked.load(Ordering::Relaxed).to_le_bytes();
        let is_family = asked != Family::default();
        let recorded = self.lock().get(&asked).copied();
        let is_overdue = recorded.is_none_or(|recorded| recorded.abs_diff(now()) >= DAY);
        (is_family && is_overdue).then_some(asked)
    }

    /// Notes that the use of `family` was recorded.
    pub(super) fn record(&self, family: Family) {
        self.lock().insert(family, now());
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Family, Seconds>> {
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the use of `family` was recorded in the last day.
pub(super) fn is_recorded(tables: &Tables, txn: &RoTxn<'_>, family: Family) -> heed::Result<bool> {
    let used = tables.families.get(txn, &family)?.and_then(seconds);
    Ok(used.is_some_and(|used| used.abs_diff(now()) < DAY))
}

/// Records that `family` is in use.
pub(super) fn touch(tables: &Tables, txn: &mut RwTxn<'_>, family: Family) -> heed::Result<()> {
    let now = now();
    let used = tables.families.get(txn, &family)?.and_then(seconds);
    if used.is_none_or(|used| used.abs_diff(now) >= HOUR) {
        tables.families.put(txn, &family, &now.to_le_bytes())?;
    }
    Ok(())
}

/// The families that are out of use, the oldest first.
pub(super) fn out_of_use(tables: &Tables, txn: &RoTxn<'_>) -> heed::Result<Vec<Family>> {
    let mut used = Vec::new();
    for record in tables.families.iter(txn)? {
        let (family, at) = record?;
        if let (Ok(family), Some(at)) = (Family::try_from(family), seconds(at)) {
            used.push((at, family));
        }
    }
    used.sort_unstable();
    let last = used.last().map_or(0, |(at, _)| *at);
    let old = used.into_iter().filter(|(at, _)| at + DAY <= last);
    Ok(old.map(|(_, family)| family).collect())
}

/// Forgets `family`, of which there are no entries any more.
pub(super) fn forget(tables: &Tables, txn: &mut RwTxn<'_>, family: Family) -> heed::Result<()> {
    tables.families.delete(txn, &family).map(drop)
}

fn seconds(bytes: &[u8]) -> Option<Seconds> {
    // One that makes no sense shall not make all others old.
    let seconds = Seconds::from_le_bytes(bytes.try_into().ok()?);
    (seconds <= now() + DAY).then_some(seconds)
}

fn now() -> Seconds {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::registry;

    #[test]
    fn a_family_is_old_when_another_was_used_a_day_later() {
        let directory = tempfile::tempdir().unwrap();
        let environment = registry::open(directory.path(), 4 << 20).unwrap();
        let tables = &environment.tables;
        let mut txn = environment.write().unwrap();
        let record = |txn: &mut RwTxn<'_>, family: u8, at: Seconds| {
            let (family, at) = ([family; 8], at.to_le_bytes());
            tables.families.put(txn, &family, &at).unwrap();
        };
        let now = now();
        record(&mut txn, 1, now - 2 * DAY);
        record(&mut txn, 2, now - 3 * DAY);
        record(&mut txn, 3, now - DAY);
        assert_eq!(out_of_use(tables, &txn).unwrap(), [[2; 8], [1; 8]]);
        record(&mut txn, 4, now - HOUR);
        assert_eq!(out_of_use(tables, &txn).unwrap(), [[2; 8], [1; 8]]);
        // Not by one whose clock was wrong.
        record(&mut txn, 5, now + 400 * DAY);
        assert_eq!(out_of_use(tables, &txn).unwrap(), [[2; 8], [1; 8]]);
        touch(tables, &mut txn, [2; 8]).unwrap();
        assert_eq!(out_of_use(tables, &txn).unwrap(), [[1; 8], [3; 8]]);
        forget(tables, &mut txn, [1; 8]).unwrap();
        assert_eq!(out_of_use(tables, &txn).unwrap(), [[3; 8]]);
    }

    #[test]
    fn use_is_overdue_once_a_day() {
        let used = Use::default();
        assert_eq!(used.overdue(), None);
        used.ask([5; 8]);
        assert_eq!(used.overdue(), Some([5; 8]));
        used.record([5; 8]);
        assert_eq!(used.overdue(), None);
        used.lock().insert([5; 8], now() - DAY);
        assert_eq!(used.overdue(), Some([5; 8]));
    }
}
