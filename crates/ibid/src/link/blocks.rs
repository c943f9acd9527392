//! The sections `.wasmtime.addrmap` and `.wasmtime.traps`: long sorted lists in blocks
//! of 128 entries, as `AddressMapSection` and `TrapEncodingBuilder` of `wasmtime-environ`
//! 48.0.8 write them (both draw their format in their documentation):
//!
//! ```text
//! number of entries │ number of blocks
//! offset in the text of its first entry │ where its body is, each block
//! bodies
//! ```
//!
//! A block begins anew, so blocks are written in parallel; where a block begins depends
//! on how many entries all functions before have.

use super::{Linkable, Misfit};
use crate::bytes::{write_sleb, write_uleb};
use crate::compiled::BodyMap;
use crate::parallel;
use std::ops::Range;

/// Entries in a block (`ADDRMAP_BLOCK_SIZE` and `TRAP_BLOCK_SIZE`).
const BLOCK: usize = 128;

/// Blocks that are written in one go.
const BLOCKS_AT_ONCE: usize = 256;

/// The address map of `functions`, which lie at `starts` in the text section.
pub(super) fn address_map(
    parallel: bool,
    functions: &[Linkable<'_>],
    starts: &[u32],
) -> Result<Vec<u8>, Misfit> {
    let counts = functions.iter().map(|function| match function.map {
        Some(map) => map.entries.count,
        None => function.code.address_map.count,
    });
    section(parallel, counts, |piece, blocks| {
        let function = &functions[piece.function];
        let start = starts[piece.function];
        if let Some(map) = function.map {
            let last = blocks.known_map(start, function.parameters.base(), map, piece)?;
            return function.holds(last);
        }
        let mut locations = function.parameters.locations();
        let mut entries = function.code.address_map.iter();
        for _ in 0..piece.skipped {
            entries.next().ok_or(Misfit)??;
        }
        let mut last = 0;
        for entry in entries.by_ref().take(piece.taken) {
            let (offset, location) = entry?;
            last = offset;
            let source = locations.source_offset(location);
            blocks.map_entry(start.wrapping_add(offset), source);
        }
        function.holds(last)
    })
}

/// The traps of `functions`, which lie at `starts` in the text section.
pub(super) fn traps(
    parallel: bool,
    functions: &[Linkable<'_>],
    starts: &[u32],
) -> Result<Vec<u8>, Misfit> {
    let counts = functions.iter().map(|function| function.code.traps.count);
    section(parallel, counts, |piece, blocks| {
        let function = &functions[piece.function];
        let start = starts[piece.function];
        let mut traps = function.code.traps.iter();
        for _ in 0..piece.skipped {
            traps.next().ok_or(Misfit)??;
        }
        let mut last = 0;
        for trap in traps.by_ref().take(piece.taken) {
            let (offset, code) = trap?;
            last = offset;
            blocks.trap(start.wrapping_add(offset), code);
        }
        function.holds(last)
    })
}

impl Linkable<'_> {
    /// Whether an entry may be at `offset`, the last one looked at.
    fn holds(&self, offset: u32) -> Result<(), Misfit> {
        if offset as usize <= self.code.code.len() {
            Ok(())
        } else {
            Err(Misfit)
        }
    }
}

/// The part of one function's entries that lies in the blocks being written.
struct Piece {
    function: usize,
    /// Entries before them.
    skipped: usize,
    taken: usize,
}

/// Writes a section of lists with `counts` entries each; `write` appends the entries of
/// a piece.
fn section(
    parallel: bool,
    counts: impl Iterator<Item = usize>,
    write: impl Fn(Piece, &mut Blocks) -> Result<(), Misfit> + Send + Sync,
) -> Result<Vec<u8>, Misfit> {
    let mut firsts = vec![0usize];
    for count in counts {
        let sum = firsts.last().and_then(|last| last.checked_add(count));
        firsts.push(
            sum.filter(|sum| u32::try_from(*sum).is_ok())
                .ok_or(Misfit)?,
        );
    }
    let total = firsts.last().copied().unwrap_or_default();
    let ranges = (0..total)
        .step_by(BLOCK * BLOCKS_AT_ONCE)
        .map(|first| first..(first + BLOCK * BLOCKS_AT_ONCE).min(total))
        .collect();
    let written = parallel::map(
        parallel,
        ranges,
        || (),
        |(), range| write_range(&firsts, range, &write),
    );
    let written: Vec<Blocks> = written.into_iter().collect::<Result<_, _>>()?;
    join(total, &written)
}

/// Writes the blocks with the entries `range`. The list `i` begins with the entry
/// `firsts[i]`.
fn write_range(
    firsts: &[usize],
    range: Range<usize>,
    write: impl Fn(Piece, &mut Blocks) -> Result<(), Misfit>,
) -> Result<Blocks, Misfit> {
    let mut blocks = Blocks::with_capacity(range.len());
    let mut function = firsts.partition_point(|first| *first <= range.start) - 1;
    while firsts[function] < range.end {
        let (first, end) = (firsts[function], firsts[function + 1].min(range.end));
        let skipped = range.start.saturating_sub(first);
        let piece = Piece {
            function,
            skipped,
            taken: (end - first).saturating_sub(skipped),
        };
        if piece.taken > 0 {
            write(piece, &mut blocks)?;
        }
        function += 1;
        if function + 1 == firsts.len() {
            break;
        }
    }
    blocks.finish();
    if blocks.entries == range.len() {
        Ok(blocks)
    } else {
        Err(Misfit)
    }
}

/// The section of all blocks.
fn join(entries: usize, parts: &[Blocks]) -> Result<Vec<u8>, Misfit> {
    let blocks: usize = parts.iter().map(|part| part.index.len()).sum();
    let bodies: usize = parts.iter().map(|part| part.bodies.len()).sum();
    let word = |value: usize| u32::try_from(value).map_err(|_| Misfit);
    word(bodies)?;
    let mut section = Vec::with_capacity(8 + 8 * blocks + bodies);
    section.extend_from_slice(&word(entries)?.to_le_bytes());
    section.extend_from_slice(&word(blocks)?.to_le_bytes());
    let mut before = 0;
    for part in parts {
        for (offset, position) in &part.index {
            section.extend_from_slice(&offset.to_le_bytes());
            section.extend_from_slice(&(before + position).to_le_bytes());
        }
        before += part.bodies.len() as u32;
    }
    for part in parts {
        section.extend_from_slice(&part.bodies);
    }
    Ok(section)
}

/// Consecutive blocks on their way.
struct Blocks {
    entries: usize,
    /// Of each block: the offset of its first entry, and where its body begins.
    index: Vec<(u32, u32)>,
    bodies: Vec<u8>,
    /// Of the current block: the last entry's offset and source offset.
    offset: u32,
    source: Option<u32>,
    /// Traps of the current block, whose most common code comes first in its body.
    traps: Vec<(u32, u8)>,
}

impl Blocks {
    fn with_capacity(entries: usize) -> Blocks {
        Blocks {
            entries: 0,
            index: Vec::with_capacity(entries / BLOCK + 1),
            bodies: Vec::with_capacity(entries * 5 / 2),
            offset: 0,
            source: None,
            traps: Vec::with_capacity(BLOCK),
        }
    }

    #[inline]
    fn map_entry(&mut self, offset: u32, source: Option<u32>) {
        if self.entries.is_multiple_of(BLOCK) {
            self.begin(offset);
        }
        self.entries += 1;
        let delta = u64::from(offset.wrapping_sub(self.offset));
        self.offset = offset;
        let Some(source) = source else {
            write_uleb(&mut self.bodies, delta << 1 | 1);
            return;
        };
        write_uleb(&mut self.bodies, delta << 1);
        match self.source {
            None => write_uleb(&mut self.bodies, u64::from(source)),
            Some(last) => write_sleb(&mut self.bodies, i64::from(source) - i64::from(last)),
        }
        self.source = Some(source);
    }

    /// Appends entries of the map of a function at `start` whose body is at `base`: the
    /// first ones of the function and of each block one by one, up to one with a location,
    /// and what is behind it as it is. Gives the offset of the last one in the function.
    fn known_map(
        &mut self,
        start: u32,
        base: Option<u32>,
        map: BodyMap<'_>,
        piece: Piece,
    ) -> Result<u32, Misfit> {
        let mut cursor = map.cursor();
        cursor.take(piece.skipped)?;
        let mut left = piece.taken;
        while left > 0 {
            let room = BLOCK - self.entries % BLOCK;
            let mut count = room.min(left);
            left -= count;
            while count > 0 {
                let (offset, location) = cursor.next()?;
                let source = match (base, location.offset()) {
                    (Some(base), Some(location)) => Some(base.wrapping_add(location)),
                    _ => None,
                };
                self.map_entry(start.wrapping_add(offset), source);
                count -= 1;
                if source.is_some() {
                    break;
                }
            }
            if count > 0 {
                let entries = cursor.take(count)?;
                self.bodies.extend_from_slice(entries);
                self.entries += count;
                self.offset = start.wrapping_add(cursor.offset());
                self.source = base.map(|base| base.wrapping_add(cursor.location()));
            }
        }
        Ok(cursor.offset())
    }

    #[inline]
    fn trap(&mut self, offset: u32, code: u8) {
        self.traps.push((offset, code));
        self.entries += 1;
        if self.traps.len() == BLOCK {
            self.end_of_traps();
        }
    }

    fn begin(&mut self, offset: u32) {
        self.index.push((offset, self.bodies.len() as u32));
        self.offset = offset;
        self.source = None;
    }

    fn end_of_traps(&mut self) {
        let Some((first, _)) = self.traps.first() else {
            return;
        };
        self.begin(*first);
        let usual = most_common(&self.traps);
        self.bodies.push(usual);
        for (offset, code) in self.traps.drain(..) {
            let delta = u64::from(offset.wrapping_sub(self.offset));
            self.offset = offset;
            write_uleb(&mut self.bodies, delta << 1 | u64::from(code != usual));
            if code != usual {
                self.bodies.push(code);
            }
        }
    }

    fn finish(&mut self) {
        self.end_of_traps();
    }
}

/// The code that comes first in reaching the greatest count.
fn most_common(traps: &[(u32, u8)]) -> u8 {
    let mut counts = [0u8; 256];
    let mut best = traps[0].1;
    for (_, code) in traps {
        counts[usize::from(*code)] += 1;
        if counts[usize::from(*code)] > counts[usize::from(best)] {
            best = *code;
        }
    }
    best
}
