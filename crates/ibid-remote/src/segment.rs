//! Segments of the index: descriptors of some packs, written once under the name of their content.
//!
//! ```text
//! offset  size  field
//!      0     8  "IBIDIX1\n"
//!      8     8  length of what follows, unpacked (little-endian)
//!     16     -  a zstd frame: descriptors, each with its length (4) before it
//! ```
//!
//! A segment is not signed: the descriptors in it are. So anybody who may write to the remote can
//! join segments into one, without a word that clients would have to believe.

use crate::bytes::{Malformed, Reader};

const MAGIC: [u8; 8] = *b"IBIDIX1\n";

/// No segment is larger, unpacked, in bytes: about twenty million entries.
pub(crate) const MAX_BYTES: usize = 256 << 20;

/// Fingerprints do not compress; the numbers of blocks do, at any level.
const LEVEL: i32 = 3;

/// The segment of `descriptors`: the same bytes in whatever order they are.
pub(crate) fn write(mut descriptors: Vec<&[u8]>) -> Vec<u8> {
    descriptors.sort_unstable();
    descriptors.dedup();
    let mut raw = Vec::new();
    for descriptor in descriptors {
        raw.extend_from_slice(&(descriptor.len() as u32).to_le_bytes());
        raw.extend_from_slice(descriptor);
    }
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(&(raw.len() as u64).to_le_bytes());
    let compressed = zstd::bulk::compress(&raw, LEVEL)
        .expect("memory is compressed into memory, at a level that there is");
    out.extend_from_slice(&compressed);
    out
}

/// The descriptors of a segment, unpacked; not one of them is read.
pub(crate) struct Segment(Vec<u8>);

impl Segment {
    pub(crate) fn read(bytes: &[u8]) -> Result<Segment, Malformed> {
        let mut input = Reader(bytes);
        if input.array()? != MAGIC {
            return Err(Malformed);
        }
        let length = usize::try_from(input.u64()?).map_err(|_| Malformed)?;
        if length > MAX_BYTES {
            return Err(Malformed);
        }
        let raw = zstd::bulk::decompress(input.0, length).map_err(|_| Malformed)?;
        if raw.len() != length {
            return Err(Malformed);
        }
        let segment = Segment(raw);
        let mut rest = Reader(&segment.0);
        while !rest.0.is_empty() {
            let length = rest.u32()? as usize;
            rest.bytes(length)?;
        }
        Ok(segment)
    }

    pub(crate) fn descriptors(&self) -> Vec<&[u8]> {
        let mut rest = Reader(&self.0);
        let mut descriptors = Vec::new();
        while let Ok(length) = rest.u32() {
            let descriptor = rest.bytes(length as usize);
            descriptors.push(descriptor.expect("looked at when the segment was read"));
        }
        descriptors
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_go_there_and_back_in_one_order() {
        let all: [&[u8]; 3] = [b"one", b"another", b""];
        let segment = write(all.to_vec());
        let read = Segment::read(&segment).unwrap();
        assert_eq!(read.descriptors(), [&b""[..], b"another", b"one"]);
        let backwards = write(all.iter().rev().chain(&all).copied().collect());
        assert_eq!(backwards, segment);
    }

    #[test]
    fn garbage_is_no_segment() {
        let segment = write(vec![b"one", b"another"]);
        for end in 0..segment.len() {
            assert!(Segment::read(&segment[..end]).is_err());
        }
        let mut large = segment.clone();
        large[8..16].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(Segment::read(&large).is_err());
        let raw = zstd::bulk::compress(&[9, 0, 0, 0, 1], LEVEL).unwrap();
        let short = [&MAGIC[..], &5u64.to_le_bytes(), &raw].concat();
        assert!(Segment::read(&short).is_err());
    }
}
