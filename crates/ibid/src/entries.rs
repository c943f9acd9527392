//! What lies in a store: the kinds of entries, their keys and values.
//!
//! A key is 33 bytes: one for the kind, then a BLAKE3 digest keyed by the compiler's
//! fingerprint.
//!
//! | kind | digest of | value |
//! |---|---|---|
//! | `s` | a stencil | a compiled stencil ([`crate::compiled`]) |
//! | `e` | an exact body in its environment | stencil key (32 bytes), parameters |
//! | `c` | Cranelift's own key | Cranelift's own bytes |
//! | `a` | an input | a whole artifact |
//! | `n` | an input | nothing (0 bytes): it was seen |
//! | `p` | nothing | the self-check's answer (1 byte) |
//!
//! Behind every value are 16 bytes of checksum: XXH3 (128 bits, seed 0,
//! little-endian) of key and value. A store may be anybody's, with or without
//! checksums of its own; an entry that was changed is a miss.
//!
//! An artifact's value:
//!
//! ```text
//! offset  field (little-endian)
//!  0      number of functions
//!  4      number of trampolines
//!  8      bytes of code (64 bits)
//! 16      the artifact
//! ```

use crate::bytes::{Malformed, Reader, Writer};
use crate::fingerprint::Fingerprint;
use crate::stencil::{Digest, FunctionParameters, StencilKey};
use ibid_store::Entry;
use std::borrow::Cow;
use xxhash_rust::xxh3::Xxh3;

/// A key in the store.
pub(crate) type EntryKey = [u8; 33];

/// Makes keys for one compiler fingerprint.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entries {
    pub(crate) fingerprint: Fingerprint,
}

impl Entries {
    pub(crate) fn stencil(key: &StencilKey) -> EntryKey {
        entry(b's', key.as_bytes())
    }

    pub(crate) fn exact(digest: &Digest) -> EntryKey {
        entry(b'e', &digest.0)
    }

    pub(crate) fn clif(&self, key: &[u8]) -> EntryKey {
        entry(b'c', &self.fingerprint.key("clif", key))
    }

    /// The keys of the artifact of `wasm` and of the note that it was seen.
    pub(crate) fn artifact(&self, wasm: &[u8]) -> (EntryKey, EntryKey) {
        let digest = self.fingerprint.key("input", wasm);
        (entry(b'a', &digest), entry(b'n', &digest))
    }

    pub(crate) fn probe(&self) -> EntryKey {
        entry(b'p', &self.fingerprint.key("probe", &[]))
    }
}

fn entry(kind: u8, digest: &[u8; 32]) -> EntryKey {
    let mut key = [kind; 33];
    key[1..].copy_from_slice(digest);
    key
}

/// The length of the checksum behind a value.
const CHECKSUM: usize = 16;

/// An entry as it is stored: `value` with its checksum behind it.
pub(crate) fn seal(key: EntryKey, mut value: Vec<u8>) -> Entry {
    let checksum = checksum(&key, &value);
    value.extend_from_slice(&checksum);
    Entry {
        key: key.to_vec(),
        value,
    }
}

/// What was sealed under `key`; `None` if it is not that any more.
pub(crate) fn open<'v>(key: &EntryKey, stored: Cow<'v, [u8]>) -> Option<Cow<'v, [u8]>> {
    let length = stored.len().checked_sub(CHECKSUM)?;
    if stored[length..] != checksum(key, &stored[..length]) {
        return None;
    }
    Some(match stored {
        Cow::Borrowed(bytes) => Cow::Borrowed(&bytes[..length]),
        Cow::Owned(mut bytes) => {
            bytes.truncate(length);
            Cow::Owned(bytes)
        }
    })
}

fn checksum(key: &EntryKey, value: &[u8]) -> [u8; CHECKSUM] {
    let mut hasher = Xxh3::new();
    hasher.update(key);
    hasher.update(value);
    hasher.digest128().to_le_bytes()
}

/// The value of an exact body's entry.
pub(crate) fn write_exact(stencil: &StencilKey, parameters: &FunctionParameters) -> Vec<u8> {
    let mut out = Writer::default();
    out.raw(stencil.as_bytes());
    parameters.write(&mut out);
    out.into_bytes()
}

/// Reads the value of an exact body's entry, for a body at `base` in the input.
pub(crate) fn read_exact(
    bytes: &[u8],
    base: u32,
) -> Result<(StencilKey, FunctionParameters), Malformed> {
    let mut input = Reader::new(bytes);
    let stencil = StencilKey(input.array()?);
    let parameters = FunctionParameters::read(&mut input, base)?;
    if input.is_empty() {
        Ok((stencil, parameters))
    } else {
        Err(Malformed)
    }
}

/// A whole artifact as it is stored.
pub(crate) struct WholeArtifact<'a> {
    pub(crate) functions: u32,
    pub(crate) trampolines: u32,
    pub(crate) code_bytes: u64,
    pub(crate) artifact: &'a [u8],
}

impl<'a> WholeArtifact<'a> {
    pub(crate) fn write(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(16 + self.artifact.len());
        out.word(self.functions);
        out.word(self.trampolines);
        out.raw(&self.code_bytes.to_le_bytes());
        out.raw(self.artifact);
        out.into_bytes()
    }

    pub(crate) fn read(bytes: &'a [u8]) -> Result<WholeArtifact<'a>, Malformed> {
        let mut input = Reader::new(bytes);
        Ok(WholeArtifact {
            functions: input.word()?,
            trampolines: input.word()?,
            code_bytes: u64::from_le_bytes(input.array()?),
            artifact: bytes
                .get(16..)
                .filter(|rest| !rest.is_empty())
                .ok_or(Malformed)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_is_opened_and_nothing_else_is() {
        let key = entry(b's', &[3; 32]);
        let sealed = seal(key, b"value".to_vec());
        assert_eq!(
            open(&key, Cow::Borrowed(&sealed.value)).as_deref(),
            Some(&b"value"[..])
        );
        assert_eq!(
            open(&entry(b'e', &[3; 32]), Cow::Borrowed(&sealed.value)),
            None
        );
        for at in 0..sealed.value.len() {
            let mut changed = sealed.value.clone();
            changed[at] ^= 1;
            assert_eq!(open(&key, Cow::Owned(changed)), None);
            assert_eq!(open(&key, Cow::Borrowed(&sealed.value[..at])), None);
        }
    }
}
