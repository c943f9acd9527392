//! Descriptors: what a pack has, signed by who wrote it.
//!
//! Numbers are little-endian, times in seconds since 1970 (UTC).
//!
//! ```text
//! offset  size  field
//!      0     8  "IBIDDS1\n"
//!      8    32  public key of the signer; zeros if there is none
//!     40     1  number of further writers w
//!     41  32·w  public keys of those whose entries the signer took over
//!      -     8  when it was written
//!      -     8  until when it holds
//!      -    32  name of the pack: BLAKE3 of its bytes
//!      -     8  length of the pack
//!      -     4  number of blocks b
//!      -  40·b  each: length in the pack (4), length unpacked (4), BLAKE3 of it as packed (32)
//!      -     4  number of entries n
//!      -  10·n  each, sorted: fingerprint of the key (6), number of its block (4)
//!      -    64  signature of all before; zeros if there is none
//! ```
//!
//! What is signed is a digest: BLAKE3 in its mode to derive keys, of context
//! `ibid remote 1: signed`, over the length of `descriptor` (8), that word, and the bytes.

use crate::bytes::{Malformed, Reader};
use crate::pack::{self, Fingerprint, MAX_BLOCK_BYTES, Pack};
use crate::trust::{KEY_BYTES, PublicKey, SIGNATURE_BYTES, SecretKey, Trust};
use std::ops::Range;

const MAGIC: [u8; 8] = *b"IBIDDS1\n";

/// What a descriptor is signed as.
const WHAT: &str = "descriptor";

/// How far in the future a descriptor may be written, in seconds: clocks differ.
const CLOCKS_DIFFER: u64 = 60 * 60;

/// The name of an object: BLAKE3 of its bytes.
pub(crate) type Name = [u8; 32];

/// A block of a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) length: u32,
    pub(crate) raw_length: u32,
    pub(crate) digest: [u8; 32],
}

/// What a pack has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Descriptor {
    /// The signer first.
    pub(crate) writers: Vec<PublicKey>,
    pub(crate) written: u64,
    pub(crate) expires: u64,
    pub(crate) pack: Name,
    pub(crate) pack_length: u64,
    pub(crate) blocks: Vec<Block>,
    pub(crate) entries: Vec<(Fingerprint, u32)>,
}

/// Why a descriptor is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("malformed")]
    Malformed,
    #[error("by a writer who is not trusted")]
    Untrusted,
    #[error("with a signature that does not fit")]
    Forged,
    #[error("out of date")]
    Expired,
}

impl From<Malformed> for Refusal {
    fn from(_: Malformed) -> Refusal {
        Refusal::Malformed
    }
}

impl Descriptor {
    /// Describes `pack`, which has entries of `origins` besides the signer's own.
    pub(crate) fn of(
        pack: &Pack,
        key: Option<&SecretKey>,
        origins: &[PublicKey],
        written: u64,
        lifetime: u64,
    ) -> Descriptor {
        let signer = key.map_or(PublicKey::NOBODY, SecretKey::public);
        let mut writers = vec![signer];
        writers.extend(origins.iter().filter(|origin| **origin != signer));
        Descriptor {
            writers,
            written,
            expires: written.saturating_add(lifetime),
            pack: blake3::hash(&pack.bytes).into(),
            pack_length: pack.bytes.len() as u64,
            blocks: pack.blocks.clone(),
            entries: pack.entries.clone(),
        }
    }

    /// The bytes, signed with `key`, which is the signer's.
    pub(crate) fn write(&self, key: Option<&SecretKey>) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        let (signer, others) = self.writers.split_first().expect("there is a signer");
        out.extend_from_slice(signer.as_bytes());
        out.push(others.len() as u8);
        for writer in others {
            out.extend_from_slice(writer.as_bytes());
        }
        out.extend_from_slice(&self.written.to_le_bytes());
        out.extend_from_slice(&self.expires.to_le_bytes());
        out.extend_from_slice(&self.pack);
        out.extend_from_slice(&self.pack_length.to_le_bytes());
        out.extend_from_slice(&(self.blocks.len() as u32).to_le_bytes());
        for block in &self.blocks {
            out.extend_from_slice(&block.length.to_le_bytes());
            out.extend_from_slice(&block.raw_length.to_le_bytes());
            out.extend_from_slice(&block.digest);
        }
        out.extend_from_slice(&(self.entries.len() as u32).to_le_bytes());
        for (fingerprint, block) in &self.entries {
            out.extend_from_slice(&fingerprint.0);
            out.extend_from_slice(&block.to_le_bytes());
        }
        let signature = key.map_or([0; SIGNATURE_BYTES], |key| key.sign(WHAT, &out));
        out.extend_from_slice(&signature);
        out
    }

    /// Reads a descriptor, if it is of somebody whom `trust` trusts, and holds at the time `now`.
    pub(crate) fn read(bytes: &[u8], trust: &Trust, now: u64) -> Result<Descriptor, Refusal> {
        let (descriptor, signature) = Self::parse(bytes)?;
        let Descriptor {
            writers, written, ..
        } = &descriptor;
        if !trust.accepts(writers) {
            return Err(Refusal::Untrusted);
        }
        if now >= descriptor.expires || *written > now.saturating_add(CLOCKS_DIFFER) {
            return Err(Refusal::Expired);
        }
        let signed = &bytes[..bytes.len() - SIGNATURE_BYTES];
        if trust.is_strict() && !writers[0].has_signed(WHAT, signed, &signature) {
            return Err(Refusal::Forged);
        }
        Ok(descriptor)
    }

    /// Reads a descriptor of whomever.
    pub(crate) fn parse(bytes: &[u8]) -> Result<(Descriptor, [u8; SIGNATURE_BYTES]), Malformed> {
        let mut input = Reader(bytes);
        if input.array()? != MAGIC {
            return Err(Malformed);
        }
        let mut writers = vec![PublicKey::from_bytes(input.array()?)];
        for _ in 0..input.u8()? {
            writers.push(PublicKey::from_bytes(input.array::<KEY_BYTES>()?));
        }
        let (written, expires) = (input.u64()?, input.u64()?);
        let (pack, pack_length) = (input.array()?, input.u64()?);
        let mut end = pack::MAGIC.len() as u64;
        let mut blocks = Vec::new();
        for _ in 0..input.count(40)? {
            let block = Block {
                length: input.u32()?,
                raw_length: input.u32()?,
                digest: input.array()?,
            };
            if block.raw_length as usize > MAX_BLOCK_BYTES {
                return Err(Malformed);
            }
            end += u64::from(block.length);
            blocks.push(block);
        }
        let mut entries = Vec::new();
        for _ in 0..input.count(Fingerprint::BYTES + 4)? {
            let entry = (Fingerprint(input.array()?), input.u32()?);
            if entry.1 as usize >= blocks.len() {
                return Err(Malformed);
            }
            entries.push(entry);
        }
        let signature = input.array()?;
        input.finish()?;
        if end != pack_length {
            return Err(Malformed);
        }
        let descriptor = Descriptor {
            writers,
            written,
            expires,
            pack,
            pack_length,
            blocks,
            entries,
        };
        Ok((descriptor, signature))
    }

    /// Where in the pack the blocks lie.
    pub(crate) fn ranges(&self) -> Vec<Range<u64>> {
        let mut start = pack::MAGIC.len() as u64;
        let range = |block: &Block| {
            let range = start..start + u64::from(block.length);
            start = range.end;
            range
        };
        self.blocks.iter().map(range).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ibid_store::Entry;

    fn sample() -> Pack {
        let entry = |number: u8| Entry {
            key: vec![number, 1],
            value: vec![number; 2000],
        };
        let entries: Vec<Entry> = (0..200).map(entry).collect();
        crate::pack::pack(&entries).unwrap()
    }

    const NOW: u64 = 1_800_000_000;

    #[test]
    fn a_descriptor_is_read_by_those_who_trust_its_writers() {
        let [mine, other] = [(); 2].map(|()| SecretKey::generate().unwrap());
        let pack = sample();
        let trust = |keys: &[&SecretKey]| Trust::Keys(keys.iter().map(|k| k.public()).collect());
        let read = |bytes: &[u8], trust: &Trust| Descriptor::read(bytes, trust, NOW);

        let descriptor = Descriptor::of(&pack, Some(&mine), &[], NOW, 100);
        let bytes = descriptor.write(Some(&mine));
        assert_eq!(read(&bytes, &trust(&[&mine])), Ok(descriptor.clone()));
        assert_eq!(read(&bytes, &Trust::Anyone), Ok(descriptor.clone()));
        assert_eq!(read(&bytes, &trust(&[&other])), Err(Refusal::Untrusted));
        let forged = descriptor.write(Some(&other));
        assert_eq!(read(&forged, &trust(&[&mine])), Err(Refusal::Forged));

        let taken_over = Descriptor::of(&pack, Some(&mine), &[other.public()], NOW, 100);
        let bytes = taken_over.write(Some(&mine));
        assert_eq!(read(&bytes, &trust(&[&mine])), Err(Refusal::Untrusted));
        assert!(read(&bytes, &trust(&[&mine, &other])).is_ok());

        let unsigned = Descriptor::of(&pack, None, &[], NOW, 100).write(None);
        assert_eq!(read(&unsigned, &trust(&[&mine])), Err(Refusal::Untrusted));
        assert!(read(&unsigned, &Trust::Anyone).is_ok());
    }

    #[test]
    fn it_holds_for_its_time() {
        let key = SecretKey::generate().unwrap();
        let bytes = Descriptor::of(&sample(), Some(&key), &[], NOW, 100).write(Some(&key));
        let at = |now| Descriptor::read(&bytes, &Trust::Keys(vec![key.public()]), now);
        assert!(at(NOW).is_ok() && at(NOW + 99).is_ok() && at(NOW - 60).is_ok());
        assert_eq!(at(NOW + 100), Err(Refusal::Expired));
        assert_eq!(at(NOW - 2 * CLOCKS_DIFFER), Err(Refusal::Expired));
    }

    #[test]
    fn no_other_bytes_are_believed() {
        let key = SecretKey::generate().unwrap();
        let bytes = Descriptor::of(&sample(), Some(&key), &[], NOW, 100).write(Some(&key));
        let trust = Trust::Keys(vec![key.public()]);
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(Descriptor::read(&changed, &trust, NOW).is_err());
            assert!(Descriptor::parse(&bytes[..at]).is_err());
        }
    }

    #[test]
    fn ranges_are_where_the_blocks_are() {
        let pack = sample();
        let descriptor = Descriptor::of(&pack, None, &[], NOW, 1);
        for (block, range) in descriptor.blocks.iter().zip(descriptor.ranges()) {
            let bytes = &pack.bytes[range.start as usize..range.end as usize];
            assert!(pack::unpack(block, bytes).is_ok());
        }
    }
}
