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
use super::generations::Added;
use heed::{RoTxn, RwTxn};

const SEQUENCE_BYTES: usize = 8;

/// LMDB stores the length of a record in 32 bits.
const LONGEST_RECORD: usize = u32::MAX as usize;

/// The entry in the record `stored`.
pub(super) fn entry(stored: &[u8]) -> &[u8] {
    stored.get(SEQUENCE_BYTES..).unwrap_or_default()
}

/// Adds `record`, for which others may have to go: all together may take up `bound` bytes.
pub(super) fn add(
    tables: &Tables,
    txn: &mut RwTxn<'_>,
    key: &[u8],
    record: &Record<'_>,
    bound: u64,
) -> heed::Result<Added> {
    if let Some(stored) = tables.large.get(txn, key)?
        && record.is_stored_as(entry(stored))
    {
        return Ok(Added::Yes);
    }
    let len = SEQUENCE_BYTES + record.len();
    let needed = record_bytes(tables.large, txn, len)?;
    if needed > bound || len > LONGEST_RECORD {
        return Ok(Added::Never);
    }
    remove(tables, txn, key)?;
    evict(tables, txn, bound - needed)?;
    let sequence = next_sequence(tables, txn)?;
    tables.large_order.put(txn, &sequence, key)?;
    tables.large.put_reserved(txn, key, len, |space| {
        std::io::Write::write_all(space, &sequence)?;
        record.write(space)
    })?;
    Ok(Added::Yes)
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

/// Removes the oldest values until the others take up no more than `bound` bytes.
pub(super) fn evict(tables: &Tables, txn: &mut RwTxn<'_>, bound: u64) -> heed::Result<()> {
    while table_bytes(tables.large, txn)? > bound {
        let Some((sequence, key)) = owned(tables.large_order.first(txn)?) else {
            // Values that nothing tells the age of, after damage.
            return tables.large.clear(txn);
        };
        tables.large_order.delete(txn, &sequence)?;
        tables.large.delete(txn, &key)?;
    }
    Ok(())
}

fn next_sequence(tables: &Tables, txn: &RoTxn<'_>) -> heed::Result<[u8; SEQUENCE_BYTES]> {
    let last = tables.large_order.last(txn)?;
    let last = last.and_then(|(sequence, _)| sequence.try_into().ok());
    // 2^64 insertions do not happen.
    let next = last.map_or(0, |last| u64::from_be_bytes(last).wrapping_add(1));
    Ok(next.to_be_bytes())
}

fn owned(record: Option<(&[u8], &[u8])>) -> Option<(Vec<u8>, Vec<u8>)> {
    record.map(|(key, value)| (key.to_vec(), value.to_vec()))
}
