//! A store as one file, to take it elsewhere.
//!
//! ```text
//! offset  size  field
//!      0     8  "ibidexp1"
//!      8     -  the entries, one after the other:
//!                 0  8  length n of the entry, little-endian, not 0
//!                 8  n  the entry as it is stored, see `entry`
//!      -     8  0
//!      -     8  how many entries there are, little-endian
//! ```
//!
//! Entries keep their checksums or codes, and are taken in only if these are right. A file that
//! was cut short lacks its end, which is an error; what came before that is taken in.

use super::entry::{MOST_OVERHEAD_BYTES, Seal};
use super::environment::Environment;
use super::maintenance;
use crate::store::{Entry, MAX_KEY_BYTES};
use std::io::{self, ErrorKind, Read, Write};

const MAGIC: &[u8; 8] = b"ibidexp1";

/// The most bytes of one entry: LMDB stores lengths in 32 bits.
const MOST_ENTRY_BYTES: u64 = u32::MAX as u64 + (MOST_OVERHEAD_BYTES + MAX_KEY_BYTES) as u64;

/// How many bytes of values are gathered for one transaction.
const BATCH_BYTES: usize = 16 << 20;

/// What came of an import.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Imported {
    /// Entries that are in the store now.
    pub stored: u64,
    /// Entries of the file that were damaged, or not authenticated by the store's key.
    pub refused: u64,
    /// Intact entries that the store declined: it has no room for them.
    pub declined: u64,
}

/// Writes all entries that are intact. Says how many.
pub(super) fn export(
    environment: &Environment,
    seal: &Seal,
    to: &mut dyn Write,
) -> io::Result<u64> {
    to.write_all(MAGIC)?;
    let mut count = 0u64;
    maintenance::for_each(environment, |_, key, stored| -> Result<(), Trouble> {
        if seal.value(key, stored).is_none() {
            return Ok(());
        }
        to.write_all(&(stored.len() as u64).to_le_bytes())?;
        to.write_all(stored)?;
        count += 1;
        Ok(())
    })
    .map_err(|Trouble(error)| error)?;
    to.write_all(&0u64.to_le_bytes())?;
    to.write_all(&count.to_le_bytes())?;
    Ok(count)
}

/// Of the database or of the file that is written.
struct Trouble(io::Error);

impl From<heed::Error> for Trouble {
    fn from(error: heed::Error) -> Self {
        Trouble(io::Error::other(error))
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Trouble(error)
    }
}

/// Reads entries, and has them stored by `insert`, which says how many it has.
pub(super) fn import(
    seal: &Seal,
    from: &mut dyn Read,
    mut insert: impl FnMut(Vec<Entry>) -> usize,
) -> io::Result<Imported> {
    let malformed = |what: &str| io::Error::new(ErrorKind::InvalidData, what);
    let mut magic = [0; 8];
    from.read_exact(&mut magic)
        .ok()
        .filter(|()| magic == *MAGIC)
        .ok_or_else(|| malformed("this is no exported cache"))?;
    let mut imported = Imported::default();
    let (mut batch, mut batch_bytes, mut count) = (Vec::new(), 0, 0u64);
    let mut flush = |batch: &mut Vec<Entry>, imported: &mut Imported| {
        let asked = batch.len();
        let stored = insert(std::mem::take(batch));
        imported.stored += stored as u64;
        imported.declined += (asked - stored) as u64;
    };
    let complete = loop {
        let Some(len) = number(from)? else {
            break false;
        };
        if len == 0 {
            break number(from)? == Some(count);
        }
        if len > MOST_ENTRY_BYTES {
            flush(&mut batch, &mut imported);
            return Err(malformed("the exported cache is damaged"));
        }
        let mut stored = Vec::new();
        from.take(len).read_to_end(&mut stored)?;
        if stored.len() as u64 != len {
            break false;
        }
        count += 1;
        let entry = seal.key(&stored).and_then(|key| {
            let value = seal.value(key, &stored)?;
            Some(Entry {
                key: key.to_vec(),
                value: value.to_vec(),
            })
        });
        match entry {
            Some(entry) => {
                batch_bytes += entry.value.len();
                batch.push(entry);
            }
            None => imported.refused += 1,
        }
        if batch_bytes >= BATCH_BYTES {
            flush(&mut batch, &mut imported);
            batch_bytes = 0;
        }
    };
    flush(&mut batch, &mut imported);
    match complete {
        true => Ok(imported),
        false => Err(malformed(&format!(
            "the exported cache is cut short: {} of its entries were imported",
            imported.stored
        ))),
    }
}

/// The next number; `None` at the end of the file.
fn number(from: &mut dyn Read) -> io::Result<Option<u64>> {
    let mut bytes = [0; 8];
    match from.read_exact(&mut bytes) {
        Ok(()) => Ok(Some(u64::from_le_bytes(bytes))),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}
