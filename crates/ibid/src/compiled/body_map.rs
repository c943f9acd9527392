//! Address maps of whole functions, whose parameters are known: source locations count
//! from the body's first byte in the input, and any entry is found at once.
//!
//! ```text
//! entries, as in a compiled stencil (see `entries`), but with those locations
//! checkpoints, one for every 32 entries but the first 32, 12 bytes each: where the
//!   entry begins │ offset in the code of the entry before │ last location before
//! ```
//!
//! Most of the artifact's address map is these very bytes.

use super::entries::{AddressMap, AddressMapIter};
use crate::bytes::{Malformed, Words, Writer, write_sleb, write_uleb};
use crate::stencil::{RelSourceLoc, StoredParameters};

/// Entries from one checkpoint to the next.
const INTERVAL: usize = 32;
const CHECKPOINT_WORDS: usize = 3;

/// The address map of a function, read in place.
#[derive(Clone, Copy)]
pub(crate) struct BodyMap<'a> {
    pub(crate) entries: AddressMap<'a>,
    pub(crate) checkpoints: Words<'a>,
}

impl<'a> BodyMap<'a> {
    /// How many words of checkpoints a map of `count` entries has.
    pub(crate) fn checkpoint_words(count: usize) -> usize {
        count.saturating_sub(1) / INTERVAL * CHECKPOINT_WORDS
    }

    pub(crate) fn cursor(&self) -> Cursor<'a> {
        Cursor {
            map: *self,
            at: 0,
            rest: self.entries.iter(),
        }
    }
}

/// A place in a map.
pub(crate) struct Cursor<'a> {
    map: BodyMap<'a>,
    /// How many entries are behind.
    at: usize,
    rest: AddressMapIter<'a>,
}

impl<'a> Cursor<'a> {
    /// Takes the next entry.
    pub(crate) fn next(&mut self) -> Result<(u32, RelSourceLoc), Malformed> {
        self.at += 1;
        self.rest.next().ok_or(Malformed)?
    }

    /// Takes the next `count` entries as they are. They are differences to the entries
    /// before.
    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let begin = self.rest.position(self.map.entries);
        let target = self.at + count;
        let checkpoint = target / INTERVAL;
        if checkpoint > self.at / INTERVAL {
            let first = (checkpoint - 1) * CHECKPOINT_WORDS;
            let words = self.map.checkpoints;
            if let (Some(position), Some(offset), Some(location)) =
                (words.get(first), words.get(first + 1), words.get(first + 2))
            {
                self.at = checkpoint * INTERVAL;
                self.rest = AddressMapIter::at(
                    self.map.entries,
                    self.at,
                    position as usize,
                    offset,
                    location,
                )?;
            }
        }
        while self.at < target {
            self.next()?;
        }
        let end = self.rest.position(self.map.entries);
        self.map.entries.bytes.get(begin..end).ok_or(Malformed)
    }

    /// Offset in the code of the entry before.
    pub(crate) fn offset(&self) -> u32 {
        self.rest.offset()
    }

    /// The last location before.
    pub(crate) fn location(&self) -> u32 {
        self.rest.location()
    }
}

/// Appends the entries of the map of a function with these `parameters` to `bytes`, and
/// its checkpoints to `checkpoints`. Gives the number of entries and their length.
pub(crate) fn write_body_map(
    map: AddressMap<'_>,
    parameters: StoredParameters<'_>,
    bytes: &mut Vec<u8>,
    checkpoints: &mut Writer,
) -> Result<(usize, usize), Malformed> {
    let begin = bytes.len();
    let mut locations = parameters.locations();
    let base = parameters.base().unwrap_or_default();
    let (mut last_offset, mut last_location) = (0, 0);
    for (at, entry) in map.iter().enumerate() {
        if at > 0 && at.is_multiple_of(INTERVAL) {
            checkpoints.u32(bytes.len() - begin);
            checkpoints.word(last_offset);
            checkpoints.word(last_location);
        }
        let (offset, location) = entry?;
        let delta = u64::from(offset.wrapping_sub(last_offset));
        last_offset = offset;
        match locations.source_offset(location) {
            None => write_uleb(bytes, delta << 1 | 1),
            Some(source) => {
                let location = source.wrapping_sub(base);
                write_uleb(bytes, delta << 1);
                write_sleb(bytes, i64::from(location) - i64::from(last_location));
                last_location = location;
            }
        }
    }
    Ok((map.count, bytes.len() - begin))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::Reader;
    use crate::compiled::entries::write_address_map;
    use crate::stencil::FunctionParameters;

    #[test]
    fn every_stretch_is_found_from_every_place() {
        let stencil: Vec<(u32, RelSourceLoc)> = (0..200)
            .map(|i| {
                let location = if i % 5 == 1 {
                    RelSourceLoc::NONE
                } else {
                    RelSourceLoc::new(i * 7 % 1000)
                };
                (i * 3, location)
            })
            .collect();
        let encoded = write_address_map(&stencil);
        let map = AddressMap {
            count: encoded.count,
            bytes: &encoded.bytes,
        };
        let mut written = Writer::default();
        FunctionParameters::without_source(vec![]).write(&mut written);
        let written = written.into_bytes();
        let parameters = StoredParameters::read(&mut Reader::new(&written), 500).unwrap();
        let (mut bytes, mut checkpoints) = (Vec::new(), Writer::default());
        let (count, length) =
            write_body_map(map, parameters, &mut bytes, &mut checkpoints).unwrap();
        assert_eq!((count, length), (200, bytes.len()));
        let checkpoints = checkpoints.into_bytes();
        let words = BodyMap::checkpoint_words(count);
        let body = BodyMap {
            entries: AddressMap {
                count,
                bytes: &bytes,
            },
            checkpoints: Reader::new(&checkpoints).words(words).unwrap(),
        };
        assert_eq!(checkpoints.len(), 4 * words);

        for begin in [0, 1, 31, 32, 33, 64, 100, 199] {
            for end in [0, 1, 31, 32, 33, 63, 64, 65, 96, 150, 199, 200] {
                if end < begin {
                    continue;
                }
                let mut cursor = body.cursor();
                cursor.take(begin).unwrap();
                let taken = cursor.take(end - begin).unwrap();
                let mut slow = body.cursor();
                let mut bytes = 0;
                for (at, entry) in stencil[..end].iter().enumerate() {
                    if at == begin {
                        bytes = slow.rest.position(body.entries);
                    }
                    assert_eq!(slow.next(), Ok(*entry));
                }
                if begin < end {
                    let end = slow.rest.position(body.entries);
                    assert_eq!(taken, &body.entries.bytes[bytes..end]);
                }
                assert_eq!(cursor.offset(), slow.offset());
                assert_eq!(cursor.location(), slow.location());
            }
        }
    }
}
