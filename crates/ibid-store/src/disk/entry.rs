//! The bytes of one entry.
//!
//! With a checksum:
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
//! Authenticated:
//!
//! ```text
//! offset  size  field
//!      0     1  format version, 2
//!      1     1  key length k, 1 to 64
//!      2    32  code
//!     34     k  key
//!   34+k     n  value, up to the end of the record
//! ```
//!
//! The checksum is the XXH3 hash (128 bits, seed 0, little-endian), and the code the keyed BLAKE3
//! hash, of the version, the key length, the key and the value, in this order and as they are
//! stored: of everything but itself. The key of the hash is derived from the one that the store
//! was opened with, see [`AuthenticationKey`].
//!
//! The checksum is there against accidents; it is no protection from somebody who can write to the
//! store. The code is. A store that was opened with a key takes no entry without a code, and one
//! that was opened without takes none with one, for it could not tell whether that is intact.
//!
//! The key is stored although the database has it too, so that a record that ended up under
//! another key (a damaged tree page, a bug) is not taken for an answer. The key's length is part
//! of what is hashed, so no byte can move from the key to the value unnoticed.

use super::authentication::AuthenticationKey;
use crate::store::MAX_KEY_BYTES;
use std::io;
use xxhash_rust::xxh3::Xxh3;

const CHECKED: u8 = 1;
const AUTHENTICATED: u8 = 2;
/// The version and the key's length.
const PREFIX_BYTES: usize = 2;
const CHECKSUM_BYTES: usize = 16;
const CODE_BYTES: usize = 32;

// A key's length has to fit the one byte that the layout gives it.
const _: () = assert!(MAX_KEY_BYTES <= u8::MAX as usize);

/// The most that an entry adds to its key and value, in bytes.
pub(super) const MOST_OVERHEAD_BYTES: usize = PREFIX_BYTES + CODE_BYTES;

/// Values from this length on are hashed by all threads together, in bytes. BLAKE3 is not faster
/// by that for shorter ones.
const HASHED_BY_MANY: usize = 256 << 10;

/// How the entries of a store are told from what was damaged or forged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Seal {
    /// By a checksum.
    #[default]
    Checksum,
    /// By a code that only those can make who have the key.
    Code(AuthenticationKey),
}

/// What stands before an entry's key.
#[derive(Clone, Copy)]
struct Header {
    bytes: [u8; MOST_OVERHEAD_BYTES],
    len: usize,
}

impl Header {
    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl Seal {
    /// The entry of `value` under `key`, which is of 1 to [`MAX_KEY_BYTES`] bytes.
    pub(super) fn record<'a>(&self, key: &'a [u8], value: &'a [u8]) -> Record<'a> {
        let header = self.header(key, value);
        Record { header, key, value }
    }

    /// The value in the entry `stored`, or `None` if that is not an intact entry of `key` under
    /// this seal.
    pub(super) fn value<'t>(&self, key: &[u8], stored: &'t [u8]) -> Option<&'t [u8]> {
        let (&[version, key_len], _) = stored.split_first_chunk::<PREFIX_BYTES>()?;
        let rest = stored.get(self.header_bytes()..)?;
        let value = rest.strip_prefix(key)?;
        if version != self.version() || usize::from(key_len) != key.len() {
            return None;
        }
        let expected = self.header(key, value);
        is_equal(expected.as_bytes(), &stored[..expected.len]).then_some(value)
    }

    /// The key that the entry `stored` says is its own.
    pub(super) fn key<'t>(&self, stored: &'t [u8]) -> Option<&'t [u8]> {
        let key_len = usize::from(*stored.get(1)?);
        stored.get(self.header_bytes()..)?.get(..key_len)
    }

    fn version(&self) -> u8 {
        match self {
            Seal::Checksum => CHECKED,
            Seal::Code(_) => AUTHENTICATED,
        }
    }

    fn header_bytes(&self) -> usize {
        PREFIX_BYTES
            + match self {
                Seal::Checksum => CHECKSUM_BYTES,
                Seal::Code(_) => CODE_BYTES,
            }
    }

    fn header(&self, key: &[u8], value: &[u8]) -> Header {
        let prefix = [self.version(), key.len() as u8];
        let mut header = Header {
            bytes: [0; MOST_OVERHEAD_BYTES],
            len: self.header_bytes(),
        };
        header.bytes[..PREFIX_BYTES].copy_from_slice(&prefix);
        let seal = &mut header.bytes[PREFIX_BYTES..header.len];
        match self {
            Seal::Checksum => {
                let mut hasher = Xxh3::new();
                hasher.update(&prefix);
                hasher.update(key);
                hasher.update(value);
                seal.copy_from_slice(&hasher.digest128().to_le_bytes());
            }
            Seal::Code(authentication) => {
                let mut hasher = authentication.hasher();
                hasher.update(&prefix);
                hasher.update(key);
                if value.len() < HASHED_BY_MANY {
                    hasher.update(value);
                } else {
                    hasher.update_rayon(value);
                }
                seal.copy_from_slice(hasher.finalize().as_bytes());
            }
        }
        header
    }
}

/// Whether two headers of one length are the same. Takes as long wherever they differ, so that
/// nobody finds a code out byte by byte.
fn is_equal(one: &[u8], other: &[u8]) -> bool {
    let mut halves = [[0u8; 32]; 4];
    for (bytes, header) in [one, other].into_iter().enumerate() {
        for (half, chunk) in header.chunks(32).enumerate() {
            halves[2 * half + bytes][..chunk.len()].copy_from_slice(chunk);
        }
    }
    // These are compared in constant time.
    let [a, b, c, d] = halves.map(blake3::Hash::from);
    one.len() == other.len() && (a == b) & (c == d)
}

/// An entry about to be stored.
pub(super) struct Record<'a> {
    header: Header,
    key: &'a [u8],
    value: &'a [u8],
}

impl Record<'_> {
    /// How many bytes [`Record::write`] writes.
    pub(super) fn len(&self) -> usize {
        self.header.len + self.key.len() + self.value.len()
    }

    /// Whether `stored` is this very entry.
    ///
    /// This is for not writing again what is there already, so it compares the seals but
    /// does not compute that of `stored`: the bytes that it covers are compared themselves.
    pub(super) fn is_stored_as(&self, stored: &[u8]) -> bool {
        let header = self.header.as_bytes();
        stored.len() == self.len()
            && stored.starts_with(header)
            && stored[header.len()..].starts_with(self.key)
            && stored.ends_with(self.value)
    }

    /// Writes the entry's bytes.
    pub(super) fn write(&self, to: &mut impl io::Write) -> io::Result<()> {
        to.write_all(self.header.as_bytes())?;
        to.write_all(self.key)?;
        to.write_all(self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seals() -> [Seal; 2] {
        [
            Seal::Checksum,
            Seal::Code(AuthenticationKey::new(&[7; 32]).unwrap()),
        ]
    }

    fn stored(seal: &Seal, key: &[u8], value: &[u8]) -> Vec<u8> {
        let record = seal.record(key, value);
        let mut bytes = Vec::new();
        record.write(&mut bytes).unwrap();
        assert_eq!(bytes.len(), record.len());
        assert!(record.is_stored_as(&bytes));
        assert_eq!(seal.key(&bytes), Some(key));
        bytes
    }

    #[test]
    fn the_layout_is_as_drawn() {
        let [checksum, code] = seals();
        let bytes = stored(&checksum, b"key", b"value");
        assert_eq!(bytes[..2], [1, 3]);
        assert_eq!(
            bytes[2..18],
            xxhash_rust::xxh3::xxh3_128(b"\x01\x03keyvalue").to_le_bytes()
        );
        assert_eq!(bytes[18..], *b"keyvalue");

        let bytes = stored(&code, b"key", b"value");
        assert_eq!(bytes[..2], [2, 3]);
        let key = blake3::derive_key(AuthenticationKey::CONTEXT, &[7; 32]);
        assert_eq!(
            bytes[2..34],
            *blake3::keyed_hash(&key, b"\x02\x03keyvalue").as_bytes()
        );
        assert_eq!(bytes[34..], *b"keyvalue");
    }

    #[test]
    fn values_come_back() {
        for seal in seals() {
            let long = vec![3; HASHED_BY_MANY + 5];
            for (key, value) in [(&b"k"[..], &b""[..]), (&[7; 64], &[9; 5000]), (b"l", &long)] {
                assert_eq!(seal.value(key, &stored(&seal, key, value)), Some(value));
            }
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        for seal in seals() {
            let intact = stored(&seal, b"key", b"value");
            for bit in 0..intact.len() * 8 {
                let mut damaged = intact.clone();
                damaged[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(seal.value(b"key", &damaged), None, "bit {bit}");
                assert!(!seal.record(b"key", b"value").is_stored_as(&damaged));
            }
        }
    }

    #[test]
    fn every_other_length_is_noticed() {
        for seal in seals() {
            let intact = stored(&seal, b"key", b"value");
            for length in 0..intact.len() {
                assert_eq!(seal.value(b"key", &intact[..length]), None, "{length}");
            }
            assert_eq!(seal.value(b"key", &[&intact[..], b"x"].concat()), None);
        }
    }

    #[test]
    fn another_key_is_noticed() {
        for seal in seals() {
            let bytes = stored(&seal, b"key", b"value");
            for key in [&b"kez"[..], b"ke", b"keyv", b""] {
                assert_eq!(seal.value(key, &bytes), None);
            }
        }
    }

    #[test]
    fn another_seal_is_noticed() {
        let [checksum, code] = seals();
        let other = Seal::Code(AuthenticationKey::new(&[8; 32]).unwrap());
        for (one, another) in [(&checksum, &code), (&code, &checksum), (&code, &other)] {
            let bytes = stored(one, b"key", b"value");
            assert_eq!(another.value(b"key", &bytes), None);
        }
    }
}
