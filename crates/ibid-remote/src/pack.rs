//! Packs: entries of one or more compiles, in compressed blocks.
//!
//! A pack is written once, under the name of its content, and read in ranges. What is in it says
//! its [descriptor](crate::descriptor).
//!
//! ```text
//! offset  size  field
//!      0     8  "IBIDPK1\n"
//!      8     -  blocks, one behind the other, each a zstd frame
//! ```
//!
//! A block, unpacked (numbers are little-endian):
//!
//! ```text
//! offset  size  field
//!      0     4  number of entries n
//!      4   5·n  each: length of the key (1), length of the value (4)
//!      -     -  each: key, value
//! ```

use crate::bytes::{Malformed, Reader};
use crate::descriptor::Block;
use ibid_store::{Entry, MAX_KEY_BYTES};

/// What a pack begins with.
pub(crate) const MAGIC: [u8; 8] = *b"IBIDPK1\n";

/// A block is full with so many bytes of entries; a larger entry is a block of its own.
pub(crate) const BLOCK_BYTES: usize = 256 << 10;

/// No block is larger, unpacked, in bytes: nor is an entry that goes into a pack.
pub(crate) const MAX_BLOCK_BYTES: usize = 256 << 20;

/// Of zstd. A higher one takes several times as long for a tenth less.
const LEVEL: i32 = 3;

/// What comes before an entry's key and value in its block, all together.
const ENTRY_BYTES: usize = 5;

/// The first bytes of the digest of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Fingerprint(pub(crate) [u8; 6]);

impl Fingerprint {
    pub(crate) const BYTES: usize = 6;

    pub(crate) fn of(key: &[u8]) -> Fingerprint {
        let digest = blake3::derive_key("ibid remote 1: key", key);
        let (first, _) = digest.split_first_chunk().expect("32 bytes have 6");
        Fingerprint(*first)
    }
}

/// A pack that is complete.
pub(crate) struct Pack {
    pub(crate) bytes: Vec<u8>,
    pub(crate) blocks: Vec<Block>,
    /// Where each entry is: the number of its block. Sorted.
    pub(crate) entries: Vec<(Fingerprint, u32)>,
}

/// Makes a pack of `entries`. Those too large for one are left out; `None` if none is left.
pub(crate) fn pack<'e>(entries: impl IntoIterator<Item = &'e Entry>) -> Option<Pack> {
    let mut pack = Pack {
        bytes: MAGIC.to_vec(),
        blocks: Vec::new(),
        entries: Vec::new(),
    };
    let mut block: Vec<&Entry> = Vec::new();
    let mut bytes = 0;
    for entry in entries {
        let size = entry.key.len() + entry.value.len();
        if size > MAX_BLOCK_BYTES / 2 || entry.key.is_empty() || entry.key.len() > MAX_KEY_BYTES {
            continue;
        }
        if bytes + size > BLOCK_BYTES && !block.is_empty() {
            pack.add(&std::mem::take(&mut block));
            bytes = 0;
        }
        bytes += size;
        block.push(entry);
    }
    if !block.is_empty() {
        pack.add(&block);
    }
    pack.entries.sort_unstable();
    (!pack.entries.is_empty()).then_some(pack)
}

impl Pack {
    fn add(&mut self, entries: &[&Entry]) {
        let number = self.blocks.len() as u32;
        let raw = write(entries);
        let compressed = zstd::bulk::compress(&raw, LEVEL)
            .expect("memory is compressed into memory, at a level that there is");
        self.blocks.push(Block {
            length: compressed.len() as u32,
            raw_length: raw.len() as u32,
            digest: blake3::hash(&compressed).into(),
        });
        self.bytes.extend_from_slice(&compressed);
        let fingerprints = entries.iter().map(|entry| Fingerprint::of(&entry.key));
        self.entries.extend(fingerprints.map(|key| (key, number)));
    }
}

fn write(entries: &[&Entry]) -> Vec<u8> {
    let mut out = (entries.len() as u32).to_le_bytes().to_vec();
    for entry in entries {
        out.push(entry.key.len() as u8);
        out.extend_from_slice(&(entry.value.len() as u32).to_le_bytes());
    }
    for entry in entries {
        out.extend_from_slice(&entry.key);
        out.extend_from_slice(&entry.value);
    }
    out
}

/// Unpacks a block, if it is the one that was signed.
pub(crate) fn unpack(block: &Block, compressed: &[u8]) -> Result<Vec<u8>, Malformed> {
    let raw_length = block.raw_length as usize;
    if blake3::hash(compressed) != block.digest || raw_length > MAX_BLOCK_BYTES {
        return Err(Malformed);
    }
    let raw = zstd::bulk::decompress(compressed, raw_length).map_err(|_| Malformed)?;
    if raw.len() != raw_length {
        return Err(Malformed);
    }
    Ok(raw)
}

/// A key and its value.
pub(crate) type Pair<'b> = (&'b [u8], &'b [u8]);

/// The entries of an unpacked block.
pub(crate) fn entries(block: &[u8]) -> Result<Vec<Pair<'_>>, Malformed> {
    let mut input = Reader(block);
    let count = input.count(ENTRY_BYTES)?;
    let mut lengths = Reader(input.bytes(count * ENTRY_BYTES)?);
    let mut entries = Vec::with_capacity(count);
    for _ in 0..count {
        let (key, value) = (lengths.u8()? as usize, lengths.u32()? as usize);
        entries.push((input.bytes(key)?, input.bytes(value)?));
    }
    input.finish()?;
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(number: u32, size: usize) -> Entry {
        Entry {
            key: number.to_le_bytes().to_vec(),
            value: number.to_le_bytes().repeat(size / 4),
        }
    }

    #[test]
    fn what_is_packed_is_unpacked() {
        let sizes = [0, 4, 1000, BLOCK_BYTES, 3 * BLOCK_BYTES, 8, 100_000];
        let all: Vec<Entry> = (0..).zip(sizes).map(|(n, size)| entry(n, size)).collect();
        let pack = pack(&all).unwrap();
        assert_eq!(pack.entries.len(), all.len());
        let mut offset = MAGIC.len();
        let mut found = Vec::new();
        for block in &pack.blocks {
            let compressed = &pack.bytes[offset..][..block.length as usize];
            offset += block.length as usize;
            let raw = unpack(block, compressed).unwrap();
            found.extend(
                entries(&raw)
                    .unwrap()
                    .into_iter()
                    .map(|(key, value)| Entry {
                        key: key.to_vec(),
                        value: value.to_vec(),
                    }),
            );
        }
        assert_eq!(offset, pack.bytes.len());
        assert_eq!(found, all);
        for (fingerprint, block) in &pack.entries {
            assert!((*block as usize) < pack.blocks.len());
            assert!(all.iter().any(|e| Fingerprint::of(&e.key) == *fingerprint));
        }
    }

    #[test]
    fn any_other_byte_is_refused() {
        let all: Vec<Entry> = (0..20).map(|n| entry(n, 400)).collect();
        let pack = pack(&all).unwrap();
        let block = pack.blocks[0];
        let compressed = &pack.bytes[MAGIC.len()..];
        assert!(unpack(&block, compressed).is_ok());
        for at in 0..compressed.len() {
            let mut changed = compressed.to_vec();
            changed[at] ^= 4;
            assert!(unpack(&block, &changed).is_err());
            assert!(unpack(&block, &compressed[..at]).is_err());
        }
    }

    #[test]
    fn a_block_says_how_large_it_is_and_is_not_believed() {
        let raw = vec![0; 10 << 20];
        let bomb = zstd::bulk::compress(&raw, LEVEL).unwrap();
        let digest = blake3::hash(&bomb).into();
        for raw_length in [0, 1 << 20, u32::MAX] {
            let block = Block {
                length: bomb.len() as u32,
                raw_length,
                digest,
            };
            assert!(unpack(&block, &bomb).is_err());
        }
    }

    #[test]
    fn garbage_is_no_block() {
        for garbage in [
            &[][..],
            &[1, 0, 0, 0],
            &[255; 64],
            &[1, 0, 0, 0, 9, 0, 0, 0, 0],
        ] {
            assert!(entries(garbage).is_err());
        }
        assert_eq!(entries(&[0; 4]), Ok(vec![]));
        assert!(entries(&[0; 5]).is_err());
    }

    #[test]
    fn nothing_and_what_is_too_large_make_no_pack() {
        assert!(pack(&[]).is_none());
        let no_key = Entry {
            key: vec![],
            value: vec![1],
        };
        assert!(pack(&[no_key]).is_none());
    }
}
