//! String tables, as `StringTable` of `object` 0.39.1 writes them: sorted by their
//! reversed bytes, the greatest first, so that a string that is the end of another one
//! comes right behind it and needs no room of its own.

use crate::parallel;
use std::cmp::Ordering;

/// A string table, written.
pub(super) struct Table {
    pub(super) bytes: Vec<u8>,
    /// Where each string is.
    pub(super) offsets: Vec<u32>,
}

/// The table of `strings`.
pub(super) fn table(strings: &[&[u8]], parallel: bool) -> Table {
    let mut order: Vec<u32> = (0..strings.len() as u32).collect();
    let of = |index: u32| strings[index as usize];
    parallel::sort(parallel, &mut order, |a, b| from_the_end(of(*b), of(*a)));
    let mut bytes = vec![0];
    let mut offsets = vec![0; strings.len()];
    let mut last: &[u8] = &[];
    for index in order {
        let string = of(index);
        if last.ends_with(string) {
            offsets[index as usize] = (bytes.len() - string.len() - 1) as u32;
        } else {
            offsets[index as usize] = bytes.len() as u32;
            bytes.extend_from_slice(string);
            bytes.push(0);
            last = string;
        }
    }
    Table { bytes, offsets }
}

/// The order of the reversed strings. Eight bytes are looked at in one go.
fn from_the_end(mut a: &[u8], mut b: &[u8]) -> Ordering {
    while let (Some((a_rest, a_last)), Some((b_rest, b_last))) =
        (a.split_last_chunk::<8>(), b.split_last_chunk::<8>())
    {
        let (a_last, b_last) = (u64::from_le_bytes(*a_last), u64::from_le_bytes(*b_last));
        if a_last != b_last {
            return a_last.cmp(&b_last);
        }
        (a, b) = (a_rest, b_rest);
    }
    a.iter().rev().cmp(b.iter().rev())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_share_their_place() {
        let strings: [&[u8]; 4] = [b"bar", b"foobar", b"foo", b""];
        let Table { bytes, offsets } = table(&strings, false);
        assert_eq!(bytes, b"\0foobar\0foo\0");
        assert_eq!(offsets[..3], [4, 1, 8]);
    }

    #[test]
    fn the_order_is_that_of_reversed_strings() {
        let strings = [
            "",
            "a",
            "ba",
            "abcdefgh",
            "xabcdefgh",
            "yabcdefgh",
            "abcdefgi",
            "h",
        ];
        for a in strings {
            for b in strings {
                assert_eq!(
                    from_the_end(a.as_bytes(), b.as_bytes()),
                    a.bytes().rev().cmp(b.bytes().rev()),
                    "{a} {b}"
                );
            }
        }
    }
}
