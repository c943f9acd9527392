//! Large values, apart from the small ones.
//!
//! A few values of many megabytes would push out many thousands of small ones. So they have a
//! table and a bound of their own, and the one that was stored first is evicted first.
//!
//! A record in the table `large`, under the entry's key:
//!
//! ```text
//! offset  size  field
//!      0     8  sequence number, big-endian
//!      8     -  the entry, see `entry`
//! ```
//!
//! A record in the table `large-order`, under the sequence number (8 bytes, big-endian, so that
//! the order of the records is that of the numbers): the entry's key.
//!
//! Sequence numbers are not covered by the entry's checksum. A damaged one makes an entry go
//! earlier or later than it should, no more.

use super::entry::Record;
use super::environment::{Tables, record_bytes, table_bytes};
use super::families::{self, Family};
use super::generations::Added;
use crate::store::MAX_KEY_BYTES;
use heed::{RoTxn, RwTxn};

const SEQUENCE_BYTES: usize = 8;

/// LMDB stores the length of a record in 32 bits.
const LONGEST_RECORD: usize = u32::MAX as usize;

/// The entry in the record `stored`.
pub(super) fn entry(stored: &[u8]) -> &[u8] {
    stored.get(SEQUENCE_BYTES..).unwrap_or_default()
}

/// Adds `record`, for which others may have to go: all together may take up `bound` bytes. Says how
/// many have gone.
pub(super) fn add(
    tables: &Tables,
    txn: &mut RwTxn<'_>,
    key: &[u8],
    record: &Record<'_>,
    bound: u64,
) -> heed::Result<(Added, u64)> {
    if let Some(stored) = tables.large.get(txn, key)?
        && record.is_stored_as(entry(stored))
    {
        return Ok((Added::Yes, 0));
    }
    let len = SEQUENCE_BYTES + record.len();
    let needed = record_bytes(tables.large, txn, len)?;
    if needed > bound || len > LONGEST_RECORD {
        return Ok((Added::Never, 0));
    }
    remove(tables, txn, key)?;
    let evicted = evict(tables, txn, bound - needed)?;
    let sequence = next_sequence(tables, txn)?;
    tables.large_order.put(txn, &sequence, key)?;
    tables.large.put_reserved(txn, key, len, |space| {
        std::io::Write::write_all(space, &sequence)?;
        record.write(space)
    })?;
    Ok((Added::Yes, evicted))
}

/// Removes the value of `key`, if there is one.
pub(super) fn remove(tables: &Tables, txn: &mut RwTxn<'_>, key: &[u8]) -> heed::Result<()> {
    let Some(stored) = tables.large.get(txn, key)? else {
        return Ok(());
    };
    if let Some(&sequence) = stored.first_chunk::<SEQUENCE_BYTES>()
        && tables.large_order.get(txn, &sequence)? == Some(key)
    {
        tables.large_order.delete(txn, &sequence)?;
    }
    tables.large.delete(txn, key)?;
    Ok(())
}

/// Removes values until the others take up no more than `bound` bytes: those of families that are
/// out of use first, then the oldest. Says how many.
pub(super) fn evict(tables: &Tables, txn: &mut RwTxn<'_>, bound: u64) -> heed::Result<u64> {
    let mut evicted = 0;
    if table_bytes(tables.large, txn)? > bound {
        for family in families::out_of_use(tables, txn)? {
            evicted += remove_family(tables, txn, family, bound)?;
        }
    }
    while table_bytes(tables.large, txn)? > bound {
        let Some((sequence, key)) = owned(tables.large_order.first(txn)?) else {
            // Values that nothing tells the age of, after damage.
            tables.large.clear(txn)?;
            break;
        };
        tables.large_order.delete(txn, &sequence)?;
        evicted += u64::from(tables.large.delete(txn, &key)?);
    }
    Ok(evicted)
}

/// Removes values of `family` until all that there are take up no more than `bound` bytes. Says how
/// many.
pub(super) fn remove_family(
    tables: &Tables,
    txn: &mut RwTxn<'_>,
    family: Family,
    bound: u64,
) -> heed::Result<u64> {
    let mut removed = 0;
    while table_bytes(tables.large, txn)? > bound {
        let prefix = families::prefix(family);
        let first = tables.large.get_greater_than_or_equal_to(txn, &prefix)?;
        let Some((key, _)) = owned(first).filter(|(key, _)| key.starts_with(&prefix)) else {
            break;
        };
        remove(tables, txn, &key)?;
        removed += 1;
    }
    Ok(removed)
}

fn next_sequence(tables: &Tables, txn: &RoTxn<'_>) -> heed::Result<[u8; SEQUENCE_BYTES]> {
    let last = tables.large_order.last(txn)?;
    let last = last.and_then(|(sequence, _)| sequence.try_into().ok());
    // 2^64 insertions do not happen.
    let next = last.map_or(0, |last| u64::from_be_bytes(last).wrapping_add(1));
    Ok(next.to_be_bytes())
}

fn owned(record: Option<(&[u8], &[u8])>) -> Option<(Vec<u8>, Vec<u8>)> {
    // Of a value, which may be of many megabytes, only what is needed: the key in `large-order`.
    let few = |value: &[u8]| value[..value.len().min(MAX_KEY_BYTES)].to_vec();
    record.map(|(key, value)| (key.to_vec(), few(value)))
}
