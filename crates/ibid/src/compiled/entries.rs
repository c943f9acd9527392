//! The two long lists of a compiled stencil, traps and the address map, in LEB128: an
//! entry takes two bytes as a rule.
//!
//! ```text
//! a trap:     offset in the code, less that of the entry before (unsigned)
//!             trap code (1 byte)
//! of the map: offset in the code, less that of the entry before,
//!               times 2, plus 1 if there is no source location (unsigned)
//!             source location, less the one before (signed), if there is one
//! ```
//!
//! Differences start from zero. An entry of the address map whose location is that of
//! the entry before is left out, as `AddressMapSection::push` of `wasmtime-environ`
//! 48.0.8 leaves it out: equal relative locations are equal absolute ones.

use crate::bytes::{Malformed, read_sleb, read_uleb, write_sleb, write_uleb};
use crate::stencil::RelSourceLoc;

/// A list, encoded.
pub(super) struct Encoded {
    pub(super) count: usize,
    pub(super) bytes: Vec<u8>,
}

pub(super) fn write_traps(traps: &[(u32, u8)]) -> Encoded {
    let mut bytes = Vec::with_capacity(2 * traps.len());
    let mut last = 0;
    for (offset, code) in traps {
        write_uleb(&mut bytes, u64::from(offset - last));
        bytes.push(*code);
        last = *offset;
    }
    Encoded {
        count: traps.len(),
        bytes,
    }
}

pub(super) fn write_address_map(entries: &[(u32, RelSourceLoc)]) -> Encoded {
    let mut bytes = Vec::with_capacity(2 * entries.len());
    let (mut last_offset, mut last_location) = (0, 0);
    let mut count = 0;
    let mut before = None;
    for (offset, location) in entries {
        if before == Some(*location) {
            continue;
        }
        before = Some(*location);
        count += 1;
        let delta = u64::from(offset - last_offset);
        last_offset = *offset;
        match location.offset() {
            None => write_uleb(&mut bytes, delta << 1 | 1),
            Some(location) => {
                write_uleb(&mut bytes, delta << 1);
                write_sleb(&mut bytes, i64::from(location) - i64::from(last_location));
                last_location = location;
            }
        }
    }
    Encoded { count, bytes }
}

/// The traps of a function.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Traps<'a> {
    pub(crate) count: usize,
    pub(crate) bytes: &'a [u8],
}

/// The address map of a function.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct AddressMap<'a> {
    pub(crate) count: usize,
    pub(crate) bytes: &'a [u8],
}

impl<'a> Traps<'a> {
    /// Offset in the code and trap code of each; an error ends it.
    pub(crate) fn iter(self) -> TrapsIter<'a> {
        TrapsIter {
            rest: Rest {
                count: self.count,
                bytes: self.bytes,
            },
            offset: 0,
        }
    }
}

impl<'a> AddressMap<'a> {
    /// Offset in the code and relative source location of each; an error ends it.
    pub(crate) fn iter(self) -> AddressMapIter<'a> {
        AddressMapIter {
            rest: Rest {
                count: self.count,
                bytes: self.bytes,
            },
            offset: 0,
            location: 0,
        }
    }
}

/// What is left of a list.
struct Rest<'a> {
    count: usize,
    bytes: &'a [u8],
}

impl Rest<'_> {
    /// Takes an entry with `read`. Bytes that are left over behind the last one are an
    /// error, and nothing comes behind an error.
    #[inline]
    fn next<T>(
        &mut self,
        read: impl FnOnce(&mut &[u8]) -> Result<T, Malformed>,
    ) -> Option<Result<T, Malformed>> {
        let entry = match self.count.checked_sub(1) {
            Some(count) => {
                self.count = count;
                read(&mut self.bytes)
            }
            None if self.bytes.is_empty() => return None,
            None => Err(Malformed),
        };
        if entry.is_err() {
            (self.count, self.bytes) = (0, &[]);
        }
        Some(entry)
    }
}

pub(crate) struct TrapsIter<'a> {
    rest: Rest<'a>,
    offset: u32,
}

impl Iterator for TrapsIter<'_> {
    type Item = Result<(u32, u8), Malformed>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let last = &mut self.offset;
        self.rest.next(|bytes| {
            let delta = u32::try_from(read_uleb(bytes)?).map_err(|_| Malformed)?;
            *last = last.checked_add(delta).ok_or(Malformed)?;
            let (code, rest) = bytes.split_first().ok_or(Malformed)?;
            *bytes = rest;
            Ok((*last, *code))
        })
    }
}

pub(crate) struct AddressMapIter<'a> {
    rest: Rest<'a>,
    offset: u32,
    location: u32,
}

impl Iterator for AddressMapIter<'_> {
    type Item = Result<(u32, RelSourceLoc), Malformed>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (last, last_location) = (&mut self.offset, &mut self.location);
        self.rest.next(|bytes| {
            let token = read_uleb(bytes)?;
            let delta = u32::try_from(token >> 1).map_err(|_| Malformed)?;
            *last = last.checked_add(delta).ok_or(Malformed)?;
            if token & 1 == 1 {
                return Ok((*last, RelSourceLoc::NONE));
            }
            let delta = read_sleb(bytes)?;
            let location = i64::from(*last_location).checked_add(delta);
            *last_location = location
                .and_then(|location| u32::try_from(location).ok())
                .filter(|location| *location != u32::MAX)
                .ok_or(Malformed)?;
            Ok((*last, RelSourceLoc::new(*last_location)))
        })
    }
}

impl<'a> AddressMapIter<'a> {
    /// From the entry `index` of `map` on, which begins at `position`, behind one at
    /// `offset` and a last source location `location`.
    pub(super) fn at(
        map: AddressMap<'a>,
        index: usize,
        position: usize,
        offset: u32,
        location: u32,
    ) -> Result<Self, Malformed> {
        Ok(AddressMapIter {
            rest: Rest {
                count: map.count.checked_sub(index).ok_or(Malformed)?,
                bytes: map.bytes.get(position..).ok_or(Malformed)?,
            },
            offset,
            location,
        })
    }

    /// Where in `map`, which it iterates over, the next entry begins.
    pub(super) fn position(&self, map: AddressMap<'a>) -> usize {
        map.bytes.len() - self.rest.bytes.len()
    }

    /// Offset in the code of the entry before.
    pub(super) fn offset(&self) -> u32 {
        self.offset
    }

    /// The last source location before.
    pub(super) fn location(&self) -> u32 {
        self.location
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traps_go_there_and_back() {
        let traps = [(0, 3), (0, 4), (127, 5), (128, 6), (100_000, 255)];
        let Encoded { count, bytes } = write_traps(&traps);
        let read = Traps {
            count,
            bytes: &bytes,
        };
        assert_eq!(read.iter().collect::<Result<Vec<_>, _>>(), Ok(traps.into()));
        for cut in 0..bytes.len() {
            let cut = Traps {
                count,
                bytes: &bytes[..cut],
            };
            assert!(cut.iter().any(|trap| trap.is_err()));
        }
    }

    #[test]
    fn address_maps_go_there_and_back_without_repetitions() {
        let at = RelSourceLoc::new;
        let entries = [
            (0, RelSourceLoc::NONE),
            (4, at(300)),
            (9, at(300)),
            (200, at(2)),
            (201, RelSourceLoc::NONE),
            (205, at(2)),
            (9000, at(70_000)),
        ];
        let Encoded { count, bytes } = write_address_map(&entries);
        let read = AddressMap {
            count,
            bytes: &bytes,
        };
        let mut expected = entries.to_vec();
        expected.remove(2);
        assert_eq!(read.iter().collect::<Result<Vec<_>, _>>(), Ok(expected));
        for cut in 0..bytes.len() {
            let cut = AddressMap {
                count,
                bytes: &bytes[..cut],
            };
            assert!(cut.iter().any(|entry| entry.is_err()));
        }
    }

    #[test]
    fn any_bytes_end() {
        for first in 0..=255 {
            let bytes = [
                first, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f,
            ];
            let (count, bytes) = (usize::MAX, &bytes[..]);
            assert!(AddressMap { count, bytes }.iter().count() <= bytes.len() + 1);
            assert!(Traps { count, bytes }.iter().count() <= bytes.len() + 1);
        }
    }
}
