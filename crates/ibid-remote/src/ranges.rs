//! Which ranges of which packs are read for a lookup: few requests, and little that is not wanted.

use std::ops::Range;

/// A range of a pack, with the blocks in it that are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Read {
    pub(crate) pack: u32,
    pub(crate) range: Range<u64>,
    pub(crate) blocks: Vec<u32>,
}

/// A request costs about as much time as so many bytes, at first: it is worth reading what lies
/// between two blocks rather than asking twice.
const WORTH_A_REQUEST: u64 = 512 << 10;

/// A request for more is split, in bytes: several connections are faster than one.
const LARGEST: u64 = 16 << 20;

/// The reads for `wanted`, sorted: packs, the numbers of blocks in them, and where these lie. If
/// more than `most` requests would be needed, those come first that bring most blocks.
pub(crate) fn plan(wanted: &[(u32, u32, Range<u64>)], most: usize) -> Vec<Read> {
    let mut reads: Vec<Read> = Vec::new();
    for (pack, block, range) in wanted {
        if let Some(last) = reads.last_mut()
            && last.pack == *pack
            && range.start.saturating_sub(last.range.end) <= WORTH_A_REQUEST
            && range.end - last.range.start <= LARGEST
        {
            last.range.end = range.end;
            last.blocks.push(*block);
        } else {
            reads.push(Read {
                pack: *pack,
                range: range.clone(),
                blocks: vec![*block],
            });
        }
    }
    // What is left of the packs that have little is compiled.
    reads.sort_by_key(|read| std::cmp::Reverse(read.blocks.len()));
    reads.truncate(most);
    reads
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_read_together() {
        let mebibyte = 1 << 20;
        let wanted = [
            (0, 0, 8..1000),
            (0, 1, 1000..2000),
            (0, 5, 300_000..300_100),
            (0, 9, 2 * mebibyte..2 * mebibyte + 10),
            (1, 0, 8..20 * mebibyte),
            (1, 1, 20 * mebibyte..20 * mebibyte + 1),
        ];
        let reads = plan(&wanted, 16);
        let read = |pack, range, blocks: &[u32]| Read {
            pack,
            range,
            blocks: blocks.to_vec(),
        };
        assert_eq!(
            reads,
            [
                read(0, 8..300_100, &[0, 1, 5]),
                read(0, 2 * mebibyte..2 * mebibyte + 10, &[9]),
                read(1, 8..20 * mebibyte, &[0]),
                read(1, 20 * mebibyte..20 * mebibyte + 1, &[1]),
            ]
        );
        assert_eq!(plan(&wanted, 1), reads[..1]);
        assert!(plan(&[], 4).is_empty());
    }
}
