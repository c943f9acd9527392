//! The bytes of one entry.
//!
//! ```text
//! offset  size  field
//!      0     1  format version, 1
//!      1     1  key length k, 1 to 64
//!      2    16  checksum
//!     18     k  key
//!   18+k     n  value, up to the end of the record
//! ```
//!
//! The checksum is the XXH3 hash (128 bits, seed 0, little-endian) of the version, the key
//! length, the key and the value, in this order and as they are stored: of everything but
//! itself. A cryptographic digest would cost more than all the rest of a lookup, and would guard
//! against nothing more: see below.
//!
//! The key is stored although the database has it too, so that a record that ended up under
//! another key (a damaged tree page, a bug) is not taken for an answer. The key's length is part
//! of what is hashed, so no byte can move from the key to the value unnoticed. The checksum is
//! there against accidents. It is no protection from somebody who can write to the store.

use crate::store::MAX_KEY_BYTES;
use std::io;
use xxhash_rust::xxh3::Xxh3;

const FORMAT_VERSION: u8 = 1;
const CHECKSUM: std::ops::Range<usize> = 2..18;
const HEADER_BYTES: usize = 18;

// A key's length has to fit the one byte that the layout gives it.
const _: () = assert!(MAX_KEY_BYTES <= u8::MAX as usize);

/// What an entry adds to its key and value, in bytes.
pub(super) const OVERHEAD_BYTES: usize = HEADER_BYTES;

/// An entry about to be stored.
pub(super) struct Record<'a> {
    header: [u8; HEADER_BYTES],
    key: &'a [u8],
    value: &'a [u8],
}

impl<'a> Record<'a> {
    /// The entry of `value` under `key`, which is of 1 to [`MAX_KEY_BYTES`] bytes.
    pub(super) fn new(key: &'a [u8], value: &'a [u8]) -> Self {
        let mut header = [0; HEADER_BYTES];
        header[0] = FORMAT_VERSION;
        header[1] = key.len() as u8;
        let checksum = checksum(&header, key, value);
        header[CHECKSUM].copy_from_slice(&checksum);
        Record { header, key, value }
    }

    /// How many bytes [`Record::write`] writes.
    pub(super) fn len(&self) -> usize {
        HEADER_BYTES + self.key.len() + self.value.len()
    }

    /// Whether `stored` is this very entry.
    ///
    /// This is for not writing again what is there already, so it compares the checksums but
    /// does not compute that of `stored`: the bytes that it covers are compared themselves.
    pub(super) fn is_stored_as(&self, stored: &[u8]) -> bool {
        stored.len() == self.len()
            && stored.starts_with(&self.header)
            && stored[HEADER_BYTES..].starts_with(self.key)
            && stored.ends_with(self.value)
    }

    /// Writes the entry's bytes.
    pub(super) fn write(&self, to: &mut impl io::Write) -> io::Result<()> {
        to.write_all(&self.header)?;
        to.write_all(self.key)?;
        to.write_all(self.value)
    }
}

/// The value in the entry `stored`, or `None` if that is not an intact entry of `key`.
pub(super) fn value<'t>(key: &[u8], stored: &'t [u8]) -> Option<&'t [u8]> {
    let (header, rest) = stored.split_first_chunk::<HEADER_BYTES>()?;
    let is_of_key =
        header[0] == FORMAT_VERSION && usize::from(header[1]) == key.len() && rest.starts_with(key);
    if !is_of_key {
        return None;
    }
    let value = &rest[key.len()..];
    (header[CHECKSUM] == checksum(header, key, value)).then_some(value)
}

fn checksum(header: &[u8; HEADER_BYTES], key: &[u8], value: &[u8]) -> [u8; 16] {
    let mut hasher = Xxh3::new();
    hasher.update(&header[..CHECKSUM.start]);
    hasher.update(key);
    hasher.update(value);
    hasher.digest128().to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(key: &[u8], value: &[u8]) -> Vec<u8> {
        let record = Record::new(key, value);
        let mut bytes = Vec::new();
        record.write(&mut bytes).unwrap();
        assert_eq!(bytes.len(), record.len());
        assert!(record.is_stored_as(&bytes));
        bytes
    }

    #[test]
    fn the_layout_is_as_drawn() {
        let bytes = stored(b"key", b"value");
        assert_eq!(bytes[..2], [1, 3]);
        assert_eq!(
            bytes[2..18],
            xxhash_rust::xxh3::xxh3_128(b"\x01\x03keyvalue").to_le_bytes()
        );
        assert_eq!(bytes[18..], *b"keyvalue");
    }

    #[test]
    fn values_come_back() {
        for (key, value) in [(&b"k"[..], &b""[..]), (&[7; 64], &[9; 5000])] {
            assert_eq!(super::value(key, &stored(key, value)), Some(value));
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let intact = stored(b"key", b"value");
        for bit in 0..intact.len() * 8 {
            let mut damaged = intact.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(value(b"key", &damaged), None, "bit {bit}");
            assert!(!Record::new(b"key", b"value").is_stored_as(&damaged));
        }
    }

    #[test]
    fn every_other_length_is_noticed() {
        let intact = stored(b"key", b"value");
        for length in 0..intact.len() {
            assert_eq!(value(b"key", &intact[..length]), None, "length {length}");
        }
        assert_eq!(value(b"key", &[&intact[..], b"x"].concat()), None);
    }

    #[test]
    fn another_key_is_noticed() {
        let bytes = stored(b"key", b"value");
        for key in [&b"kez"[..], b"ke", b"keyv", b""] {
            assert_eq!(value(key, &bytes), None);
        }
    }
}
