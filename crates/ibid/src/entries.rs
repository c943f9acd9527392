//! What lies in a store: the kinds of entries, their keys and values.
//!
//! A key is 45 bytes: the mark and the name of the release's family ([`ibid_store::family`], 12
//! bytes), one byte for the kind, then a BLAKE3 digest keyed by the compiler's fingerprint.
//!
//! | kind | digest of | value |
//! |---|---|---|
//! | `s` | a stencil | a compiled stencil ([`crate::compiled`]), or nothing (0 bytes): it has address slots, and its code cannot be patched |
//! | `r` | a function's shape, and its module's memories | which of its addresses are slots ([`crate::stencil`]) |
//! | `b` | a module's surroundings | all functions of a module ([`crate::bundle`]) |
//! | `m` | a module's surroundings | nothing (0 bytes): it was seen |
//! | `c` | Cranelift's own key | Cranelift's own bytes |
//! | `a` | an input | a whole artifact |
//! | `n` | an input | nothing (0 bytes): it was seen |
//! | `p` | nothing | the self-check's answer (1 byte) |
//! | `t` | nothing | how long functions took to compile ([`crate::rate`]) |
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
use crate::fingerprint::{Fingerprint, family};
use crate::parallel;
use crate::report::Report;
use crate::stencil::StencilKey;
use ibid_store::{Entry, FAMILY_BYTES, FAMILY_MARK};
use std::borrow::Cow;
use xxhash_rust::xxh3::Xxh3;

/// A key in the store.
pub(crate) type EntryKey = [u8; KIND + 1 + 32];

/// Where the kind stands in a key.
const KIND: usize = FAMILY_MARK.len() + FAMILY_BYTES;

/// Makes keys for one compiler fingerprint.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entries {
    pub(crate) fingerprint: Fingerprint,
    /// The store has checksums of its own, of keys and values.
    pub(crate) checked: bool,
}

impl Entries {
    pub(crate) fn stencil(key: &StencilKey) -> EntryKey {
        entry(b's', key.as_bytes())
    }

    pub(crate) fn record(digest: &[u8; 32]) -> EntryKey {
        entry(b'r', digest)
    }

    /// The keys of the bundle of a module with these surroundings, and of the note that
    /// they were seen.
    pub(crate) fn bundle(surroundings: &[u8; 32]) -> (EntryKey, EntryKey) {
        (entry(b'b', surroundings), entry(b'm', surroundings))
    }

    pub(crate) fn clif(&self, key: &[u8]) -> EntryKey {
        entry(b'c', &self.fingerprint.key("clif", key))
    }

    /// The keys of the artifact of `wasm` and of the note that it was seen; on all threads
    /// if `parallel`.
    pub(crate) fn artifact(&self, wasm: &[u8], parallel: bool) -> (EntryKey, EntryKey) {
        let mut hasher = self.fingerprint.hasher("input");
        parallel::hash(parallel, &mut hasher, wasm);
        let digest = hasher.finalize().into();
        (entry(b'a', &digest), entry(b'n', &digest))
    }

    /// What was sealed under `key`; `None` if it is not that any more.
    ///
    /// The checksum is not looked at for a store that has looked at its own.
    pub(crate) fn open<'v>(&self, key: &EntryKey, stored: Cow<'v, [u8]>) -> Option<Cow<'v, [u8]>> {
        let length = stored.len().checked_sub(CHECKSUM)?;
        if !self.checked && stored[length..] != checksum(key, &stored[..length]) {
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

    pub(crate) fn probe(&self) -> EntryKey {
        entry(b'p', &self.fingerprint.key("probe", &[]))
    }

    pub(crate) fn rate(&self) -> EntryKey {
        entry(b't', &self.fingerprint.key("rate", &[]))
    }
}

/// Whether the entry under `key` is worth sharing with other machines: stencils, records, bundles
/// and Cranelift's own entries are. Whole artifacts are large, and little slower to make of a
/// bundle; notes of what was seen, how fast this machine is, and the self-check's answer are a
/// machine's own.
pub fn is_worth_sharing(key: &[u8]) -> bool {
    matches!(key.get(KIND), Some(b's' | b'r' | b'b' | b'c'))
}

fn entry(kind: u8, digest: &[u8; 32]) -> EntryKey {
    let mut key = [kind; KIND + 1 + 32];
    key[..FAMILY_MARK.len()].copy_from_slice(&FAMILY_MARK);
    key[FAMILY_MARK.len()..KIND].copy_from_slice(&family());
    key[KIND + 1..].copy_from_slice(digest);
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

fn checksum(key: &EntryKey, value: &[u8]) -> [u8; CHECKSUM] {
    let mut hasher = Xxh3::new();
    hasher.update(key);
    hasher.update(value);
    hasher.digest128().to_le_bytes()
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

    /// What finding it is, without the time that it took.
    pub(crate) fn report(&self) -> Report {
        let mut report = Report {
            whole_artifact: true,
            ..Report::default()
        };
        report.functions.total = self.functions.into();
        report.functions.exact_body = self.functions.into();
        report.trampolines.total = self.trampolines.into();
        report.trampolines.exact_body = self.trampolines.into();
        report.code_bytes.total = self.code_bytes;
        report.code_bytes.reused = self.code_bytes;
        report
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
    fn what_other_machines_can_use_is_shared() {
        for (kind, shared) in [(b's', true), (b'b', true), (b'a', false), (b'p', false)] {
            assert_eq!(is_worth_sharing(&entry(kind, &[0; 32])), shared);
        }
        assert!(!is_worth_sharing(b"short"));
    }

    #[test]
    fn what_was_sealed_is_opened_and_nothing_else_is() {
        let entries = Entries {
            fingerprint: Fingerprint::of(b"a test"),
            checked: false,
        };
        let open = |key: &EntryKey, value: &[u8]| {
            let opened = entries.open(key, Cow::Borrowed(value))?;
            Some(opened.into_owned())
        };
        let key = entry(b's', &[3; 32]);
        let sealed = seal(key, b"value".to_vec());
        assert_eq!(open(&key, &sealed.value).as_deref(), Some(&b"value"[..]));
        assert_eq!(open(&entry(b'b', &[3; 32]), &sealed.value), None);
        for at in 0..sealed.value.len() {
            let mut changed = sealed.value.clone();
            changed[at] ^= 1;
            assert_eq!(open(&key, &changed), None);
            assert_eq!(open(&key, &changed[..at]), None);
        }
    }
}
