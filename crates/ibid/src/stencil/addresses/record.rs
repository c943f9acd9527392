//! What walks over a body found out, kept so that they need not be made again.
//!
//! What they find out depends on the body with its candidates abstracted, and on the addresses
//! of those candidates that they read ([`Values`](super::flow::Values)). So a record is found by
//! the former, and holds for any body in which the latter are the same.
//!
//! A record's bytes, all numbers in LEB128, those marked ± signed:
//!
//! ```text
//! 0: the walk gave up, or 1
//! from where ±, to where ±: numbers elsewhere were not looked at
//! count │ candidate, smallest address, how much larger it may be; each on which they depend
//! the rest unless it gave up:
//! number of candidates │ candidate of the same fate, and of that one its reach × 2 + is literal
//! three lists (constants, folded, checked): count │ candidate, addend ±
//! others: count │ start ±, length
//! large: count │ number
//! made
//! ```

use super::fates::{Fates, Numbers};
use crate::bytes::{Malformed, read_sleb, read_uleb, write_sleb, write_uleb};
use std::ops::{Range, RangeInclusive};

/// From where to where an address may lie.
pub(super) type Span = RangeInclusive<u32>;

/// Where an address may lie on which nothing depends.
pub(super) const ANYWHERE: Span = 0..=u32::MAX;

/// What walks over a body found out.
pub(super) struct Record {
    /// Literals' numbers that are elsewhere were not looked at.
    pub(super) range: Range<i64>,
    /// By candidate: from where to where its address may lie.
    pub(super) holds: Vec<Span>,
    /// `None`: they gave up.
    pub(super) found: Option<(Fates, Numbers)>,
}

/// From where to where literals' numbers may be of interest for candidates with these addresses.
pub(super) fn range(values: &[u32]) -> Range<i64> {
    let smallest = values.iter().copied().min().unwrap_or(0);
    let largest = values.iter().copied().max().unwrap_or(0);
    let window = i64::from(super::WINDOW);
    i64::from(smallest) - window..i64::from(largest) + window
}

/// The same with room for addresses that move.
pub(super) fn wide_range(values: &[u32]) -> Range<i64> {
    let Range { start, end } = range(values);
    let room = end / 16 + 2 * i64::from(super::WINDOW);
    start - room..end + room
}

impl Record {
    /// Reads a record for candidates with the addresses `values`; `None` if it does not hold for
    /// them.
    pub(super) fn read(mut bytes: &[u8], values: &[u32]) -> Option<Record> {
        Record::take(&mut bytes, values).ok().flatten()
    }

    fn take(input: &mut &[u8], values: &[u32]) -> Result<Option<Record>, Malformed> {
        let gave_up = number(input)? == 0;
        let covered = read_sleb(input)?..read_sleb(input)?;
        let wanted = range(values);
        if wanted.start < covered.start || wanted.end > covered.end {
            return Ok(None);
        }
        let mut holds = vec![ANYWHERE; values.len()];
        for _ in 0..number(input)? {
            let candidate = number(input)? as usize;
            let value = values.get(candidate).ok_or(Malformed)?;
            let (smallest, more) = (number(input)?, number(input)?);
            let span = smallest..=smallest.checked_add(more).ok_or(Malformed)?;
            if !span.contains(value) {
                return Ok(None);
            }
            holds[candidate] = span;
        }
        let found = if gave_up {
            None
        } else {
            let fates = fates(input, values.len())?;
            let [constants, folded, checked] = [
                added(input, values.len())?,
                added(input, values.len())?,
                added(input, values.len())?,
            ];
            let others = list(input, |input| {
                let start = read_sleb(input)?;
                let end = start.checked_add_unsigned(read_uleb(input)?);
                Ok((start, end.ok_or(Malformed)?))
            })?;
            let large = list(input, number)?;
            let made = number(input)?;
            let numbers = Numbers {
                constants,
                folded,
                checked,
                others,
                large,
                made,
            };
            Some((fates, numbers))
        };
        if !input.is_empty() {
            return Err(Malformed);
        }
        Ok(Some(Record {
            range: covered,
            holds,
            found,
        }))
    }

    /// The bytes of the record.
    pub(super) fn write(&self) -> Vec<u8> {
        let out = &mut Vec::new();
        write_uleb(out, u64::from(self.found.is_some()));
        write_sleb(out, self.range.start);
        write_sleb(out, self.range.end);
        let holds = (0..)
            .zip(&self.holds)
            .filter(|(_, span)| **span != ANYWHERE);
        write_uleb(out, holds.clone().count() as u64);
        for (candidate, span) in holds {
            write_uleb(out, candidate);
            write_uleb(out, (*span.start()).into());
            write_uleb(out, (span.end() - span.start()).into());
        }
        let Some((fates, numbers)) = &self.found else {
            return std::mem::take(out);
        };
        write_uleb(out, self.holds.len() as u64);
        for candidate in 0..self.holds.len() as u32 {
            let root = fates.root(candidate);
            write_uleb(out, root.into());
            if root == candidate {
                let literal = u64::from(fates.is_literal(candidate));
                write_uleb(out, u64::from(fates.reach_of(candidate)) << 1 | literal);
            }
        }
        for added in [&numbers.constants, &numbers.folded, &numbers.checked] {
            write_uleb(out, added.len() as u64);
            for (candidate, addend) in added {
                write_uleb(out, (*candidate).into());
                write_sleb(out, (*addend).into());
            }
        }
        write_uleb(out, numbers.others.len() as u64);
        for (start, end) in &numbers.others {
            write_sleb(out, *start);
            write_uleb(out, end.abs_diff(*start));
        }
        write_uleb(out, numbers.large.len() as u64);
        for number in &numbers.large {
            write_uleb(out, (*number).into());
        }
        write_uleb(out, numbers.made.into());
        std::mem::take(out)
    }
}

fn number(input: &mut &[u8]) -> Result<u32, Malformed> {
    u32::try_from(read_uleb(input)?).map_err(|_| Malformed)
}

fn list<T>(
    input: &mut &[u8],
    mut item: impl FnMut(&mut &[u8]) -> Result<T, Malformed>,
) -> Result<Vec<T>, Malformed> {
    let count = number(input)?;
    (0..count).map(|_| item(input)).collect()
}

/// Candidates and what is added to them.
fn added(input: &mut &[u8], candidates: usize) -> Result<Vec<(u32, i32)>, Malformed> {
    list(input, |input| {
        let candidate = number(input)?;
        let addend = i32::try_from(read_sleb(input)?).map_err(|_| Malformed)?;
        if candidate as usize >= candidates {
            return Err(Malformed);
        }
        Ok((candidate, addend))
    })
}

fn fates(input: &mut &[u8], candidates: usize) -> Result<Fates, Malformed> {
    if number(input)? as usize != candidates {
        return Err(Malformed);
    }
    let mut same = Vec::with_capacity(candidates);
    let mut literal = vec![false; candidates];
    let mut reach = vec![0; candidates];
    for candidate in 0..candidates {
        let root = number(input)?;
        if root as usize == candidate {
            let word = read_uleb(input)?;
            literal[candidate] = word & 1 != 0;
            reach[candidate] = u32::try_from(word >> 1).map_err(|_| Malformed)?;
        }
        same.push(root);
    }
    let is_root = |root: &u32| same.get(*root as usize) == Some(root);
    if !same.iter().all(is_root) {
        return Err(Malformed);
    }
    Ok(Fates::found(same, literal, reach))
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUES: [u32; 4] = [5000, 6000, 1 << 20, 7000];

    fn sample() -> Record {
        let mut fates = Fates::new(4, wide_range(&VALUES));
        fates.unite(2, 1);
        fates.literal(3);
        fates.reach(1, 300);
        fates.add(0, 8);
        fates.add(2, -8);
        fates.fold(1, 16);
        fates.check(2, 4);
        fates.number(5600);
        fates.number(1 << 25);
        fates.made(40);
        let numbers = fates.numbers();
        Record {
            range: wide_range(&VALUES),
            holds: vec![ANYWHERE, 5900..=6100, ANYWHERE, 7000..=7000],
            found: Some((fates, numbers)),
        }
    }

    #[test]
    fn a_record_goes_there_and_back() {
        let bytes = sample().write();
        let read = Record::read(&bytes, &VALUES).unwrap();
        assert_eq!(read.write(), bytes);
        let (fates, numbers) = read.found.unwrap();
        assert_eq!(fates.root(1), fates.root(2));
        assert!(fates.is_literal(3) && !fates.is_literal(0));
        assert_eq!(fates.reach_of(2), 300);
        assert_eq!(numbers.constants, [(0, 8), (2, -8)]);
        assert_eq!(numbers.others, [(-5601, -5599), (-40, 40), (5599, 5601)]);
        assert!(numbers.large.contains(&(1 << 25)));
        let gave_up = Record {
            found: None,
            ..sample()
        };
        let bytes = gave_up.write();
        assert!(Record::read(&bytes, &VALUES).unwrap().found.is_none());
    }

    #[test]
    fn a_record_holds_where_what_was_read_is_the_same() {
        let bytes = sample().write();
        let holds = |values: [u32; 4]| Record::read(&bytes, &values).is_some();
        assert!(holds([5008, 6100, (1 << 20) + 50_000, 7000]));
        assert!(
            !holds([5000, 6000, 1 << 20, 7008]),
            "an address that was read"
        );
        assert!(
            !holds([5000, 6101, 1 << 20, 7000]) && !holds([5000, 5899, 1 << 20, 7000]),
            "an address of which it was asked where it lies"
        );
        assert!(
            !holds([5000, 6000, 1 << 22, 7000]),
            "numbers that were not looked at"
        );
    }

    #[test]
    fn what_is_no_record_is_refused() {
        let bytes = sample().write();
        for cut in 0..bytes.len() {
            assert!(Record::read(&bytes[..cut], &VALUES).is_none());
        }
        assert!(Record::read(&bytes, &VALUES[..3]).is_none());
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut changed = bytes.clone();
                changed[at] ^= 1 << bit;
                // Whatever comes of it, it can be used.
                if let Some(Record {
                    found: Some((mut fates, _)),
                    ..
                }) = Record::read(&changed, &VALUES)
                {
                    fates.unite(0, 3);
                    fates.literal(1);
                }
            }
        }
    }
}
