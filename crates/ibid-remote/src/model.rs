//! What a simulation of a fleet shares with this crate, so that it decides as the crate does. It is
//! for the benchmark, and no part of the interface.

use crate::descriptor::{Block, Descriptor};
use crate::maintenance::gc::{self, Living};
use crate::objects::{self, Listed};
use crate::pack::{self, Fingerprint};
use crate::packed;
use crate::ranges;
use crate::rollup;
use crate::segment;
use crate::trust::{PublicKey, SIGNATURE_BYTES};
use std::ops::Range;
use std::time::Duration;

/// The name of a segment or pack.
pub type Name = [u8; 32];

/// A segment is due to be joined with others when there are so many of about its size.
pub const FANOUT: usize = rollup::FANOUT;
/// A lookup makes at most so many reads of packs.
pub const MOST_READS: usize = packed::MOST_READS;
/// The segments of an index are fetched at most so many at a time.
pub const FETCHED_AT_ONCE: usize = packed::FETCHED_AT_ONCE;
/// Object stores list at most so many objects in one answer.
pub const LISTED_AT_ONCE: u64 = objects::LISTED_AT_ONCE;
/// A block is full with so many bytes of entries, unpacked.
pub const BLOCK_BYTES: usize = pack::BLOCK_BYTES;
/// No segment is larger, unpacked, in bytes.
pub const MAX_SEGMENT_BYTES: usize = segment::MAX_BYTES;
/// `gc` merges packs of less than this, in bytes.
pub const MERGED_BELOW: u64 = gc::SMALL;
/// `gc` makes segments of so many bytes of descriptors.
pub const GC_SEGMENT_BYTES: usize = gc::SEGMENT_BYTES;
/// The pauses after which a lookup asks again.
pub const PAUSES: [Duration; 3] = crate::remote::SOON;

/// The segments to be joined, of all with their lengths in bytes.
pub fn due(segments: &[(Name, u64)]) -> Option<Vec<Name>> {
    rollup::due(segments)
}

/// The segments that a client takes in, of all with their lengths and when they were written.
pub fn affordable(segments: &[(Name, u64, u64)], max_index_bytes: u64) -> Vec<Name> {
    let listed: Vec<Listed> = segments
        .iter()
        .map(|(name, length, modified)| Listed {
            name: *name,
            length: *length,
            modified: Some(*modified),
        })
        .collect();
    let fitting = packed::affordable(&listed, max_index_bytes);
    fitting.into_iter().map(|segment| segment.name).collect()
}

/// The reads for the blocks `wanted`, sorted: pack, number of the block, where it lies. Gives of
/// each read the pack, the range, and the blocks.
pub fn reads(wanted: &[(u32, u32, Range<u64>)]) -> Vec<(u32, Range<u64>, Vec<u32>)> {
    let reads = ranges::plan(wanted, MOST_READS);
    let parts = |read: ranges::Read| (read.pack, read.range, read.blocks);
    reads.into_iter().map(parts).collect()
}

/// The groups of small packs that `gc` makes one pack of each, by their numbers. Of each pack, the
/// latest first, it is said when it was written and how long it is.
pub fn merged(small: &[(u64, u64)]) -> Vec<Vec<usize>> {
    let living = |(number, (written, length)): (usize, &(u64, u64))| {
        let mut descriptor = descriptor(0, 0, *written);
        descriptor.pack[..8].copy_from_slice(&(number as u64).to_le_bytes());
        descriptor.pack_length = *length;
        Living {
            bytes: Vec::new(),
            descriptor,
        }
    };
    let groups = gc::groups(small.iter().enumerate().map(living).collect());
    let number = |living: &Living| {
        let (number, _) = living
            .descriptor
            .pack
            .split_first_chunk()
            .expect("32 bytes");
        u64::from_le_bytes(*number) as usize
    };
    let numbers = |group: &Vec<Living>| group.iter().map(number).collect();
    groups.iter().map(numbers).collect()
}

/// The bytes that descriptors of packs of so many entries and blocks each have, and those of a
/// segment of them.
pub fn segment_bytes(packs: &[(u32, u32)]) -> (u64, u64) {
    let signed = |((entries, blocks), number): (&(u32, u32), u64)| {
        let mut bytes = descriptor(*entries, *blocks, number).write(None);
        // A signature does not compress, and the signer is mostly the same one.
        let (_, signature) = bytes
            .split_last_chunk_mut::<SIGNATURE_BYTES>()
            .expect("64 bytes");
        let (first, second) = signature.split_at_mut(32);
        first.copy_from_slice(&blake3::derive_key(
            "ibid remote 1: model",
            &number.to_le_bytes(),
        ));
        second.copy_from_slice(blake3::hash(first).as_bytes());
        bytes
    };
    let written: Vec<Vec<u8>> = packs.iter().zip(0..).map(signed).collect();
    let raw = written.iter().map(|bytes| bytes.len() as u64).sum();
    let segment = segment::write(written.iter().map(Vec::as_slice).collect());
    (raw, segment.len() as u64)
}

/// A descriptor of digests that are as random as real ones.
fn descriptor(entries: u32, blocks: u32, written: u64) -> Descriptor {
    let digest = |what: &str, number: u32| {
        blake3::derive_key(
            "ibid remote 1: model",
            format!("{what} {number} {written}").as_bytes(),
        )
    };
    let entry = |number: u32| {
        let digest = digest("entry", number);
        let (first, _) = digest.split_first_chunk().expect("32 bytes have 6");
        let block = u64::from(number) * u64::from(blocks) / u64::from(entries);
        (Fingerprint(*first), block as u32)
    };
    let mut fingerprints: Vec<(Fingerprint, u32)> = (0..entries).map(entry).collect();
    fingerprints.sort_unstable();
    let block = |number: u32| {
        let digest = digest("block", number);
        Block {
            length: u32::from_le_bytes([digest[0], digest[1], 1, 0]),
            raw_length: u32::from_le_bytes([digest[2], digest[3], 3, 0]),
            digest,
        }
    };
    Descriptor {
        writers: vec![PublicKey::NOBODY],
        written,
        expires: written + 30 * 24 * 60 * 60,
        pack: digest("pack", 0),
        pack_length: 0,
        blocks: (0..blocks).map(block).collect(),
        entries: fingerprints,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_real_modules_segment_is_as_long_as_one_of_the_model() {
        // esbuild: 8,049 entries, a pack of 20.1 MB of which a bundle is half, a segment of 65 kB.
        let (raw, segment) = segment_bytes(&[(8049, 100)]);
        assert!((84_000..86_000).contains(&raw), "{raw}");
        assert!((60_000..70_000).contains(&segment), "{segment}");
    }

    #[test]
    fn packs_are_merged_by_time_and_size() {
        let week = 7 * 24 * 60 * 60;
        let packs = [(3 * week, 1000), (3 * week - 5, 1000), (week, 1000)];
        assert_eq!(merged(&packs), [vec![0, 1], vec![2]]);
    }
}
