//! LMDB's list of free pages, as far as that is needed to tell whether a short file is whole.
//!
//! The list is a B+ tree. Its keys are transaction numbers, and its values the pages that were
//! free as of that transaction: 8 bytes with their count, then 8 bytes for each page number. A
//! page of the tree, as laid out on 64-bit machines by `MDB_page` and `MDB_node` in `mdb.c` of
//! LMDB 0.9.70:
//!
//! ```text
//! offset  size  field
//!     10     2  mp_flags         1 for a branch, 2 for a leaf
//!     12     2  mp_lower         where the offsets of the nodes end
//!     16     2  mp_ptrs[0]       offset of the first node in the page
//!     18     2  mp_ptrs[1]       and so on
//!
//! offset in a node
//!      0     2  mn_lo            lower half of the size of the value, or of the child page
//!      2     2  mn_hi            upper half
//!      4     2  mn_flags         1: the value is elsewhere; in a branch, more of the child page
//!      6     2  mn_ksize         size of the key
//!      8     -  mn_data          the key, then the value or the page from which on it is stored
//! ```
//!
//! A value that is elsewhere starts 16 bytes into its first page and goes on without a break.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};

const PAGE_HEADER_BYTES: u64 = 16;
const BRANCH_FLAG: u16 = 1;
const LEAF_FLAG: u16 = 2;
const ELSEWHERE_FLAG: u16 = 1;

/// The pages that a data file has.
pub(super) struct Pages<'f> {
    file: &'f mut File,
    page_size: u64,
    count: u64,
}

impl<'f> Pages<'f> {
    /// The first `count` pages of `file`, of `page_size` bytes each.
    pub(super) fn new(file: &'f mut File, page_size: u64, count: u64) -> Self {
        Pages {
            file,
            page_size,
            count,
        }
    }

    /// Reads `len` bytes, which start `offset` bytes into `page`. `None` if the file has not as
    /// many.
    fn read(&mut self, page: u64, offset: u64, len: u64) -> io::Result<Option<Vec<u8>>> {
        let Some(start) = page.checked_mul(self.page_size) else {
            return Ok(None);
        };
        let end = start.saturating_add(offset).saturating_add(len);
        if end > self.count * self.page_size {
            return Ok(None);
        }
        let mut bytes = vec![0; len as usize];
        self.file.seek(SeekFrom::Start(start + offset))?;
        match self.file.read_exact(&mut bytes) {
            Ok(()) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Whether the list at `root` has all pages that `pages` lacks of those up to `last`.
pub(super) fn list_the_rest(pages: &mut Pages<'_>, root: u64, last: u64) -> io::Result<bool> {
    let lacking = pages.count..=last;
    let mut found = HashSet::new();
    let mut to_visit = vec![root];
    // A tree has no page twice. This ends the walk of a damaged one that has.
    let mut visits_left = pages.count;
    while let Some(page) = to_visit.pop() {
        if visits_left == 0 {
            return Ok(false);
        }
        visits_left -= 1;
        let Some(bytes) = pages.read(page, 0, pages.page_size)? else {
            return Ok(false);
        };
        let Some(contents) = parse(&bytes) else {
            return Ok(false);
        };
        match contents {
            Contents::Branch(children) => to_visit.extend(children),
            Contents::Leaf(values) => {
                for value in values {
                    let list = match value {
                        Value::Here(list) => Some(list),
                        Value::Elsewhere { page, len } => {
                            pages.read(page, PAGE_HEADER_BYTES, len)?
                        }
                    };
                    let Some(list) = list else {
                        return Ok(false);
                    };
                    found.extend(page_numbers(&list).filter(|page| lacking.contains(page)));
                }
            }
        }
    }
    let lacking = last.checked_sub(pages.count).map_or(0, |rest| rest + 1);
    Ok(found.len() as u64 == lacking)
}

/// What a page of the tree holds.
enum Contents {
    Branch(Vec<u64>),
    Leaf(Vec<Value>),
}

/// A list of page numbers, with its count in front.
enum Value {
    Here(Vec<u8>),
    Elsewhere { page: u64, len: u64 },
}

/// `None` if that is no page of a tree.
fn parse(page: &[u8]) -> Option<Contents> {
    let flags = u16_at(page, 10)?;
    let nodes = (u16_at(page, 12)? / 2).checked_sub(PAGE_HEADER_BYTES as u16 / 2)?;
    let nodes = (0..nodes).map(|index| {
        let offset = u16_at(page, PAGE_HEADER_BYTES as usize + 2 * usize::from(index))?;
        page.get(usize::from(offset)..)
    });
    match flags {
        BRANCH_FLAG => nodes
            .map(|node| child(node?))
            .collect::<Option<_>>()
            .map(Contents::Branch),
        LEAF_FLAG => nodes
            .map(|node| value(node?))
            .collect::<Option<_>>()
            .map(Contents::Leaf),
        _ => None,
    }
}

fn child(node: &[u8]) -> Option<u64> {
    let part = |offset| u16_at(node, offset).map(u64::from);
    Some(part(0)? | part(2)? << 16 | part(4)? << 32)
}

fn value(node: &[u8]) -> Option<Value> {
    let len = u64::from(u16_at(node, 0)?) | u64::from(u16_at(node, 2)?) << 16;
    let flags = u16_at(node, 4)?;
    let start = 8 + usize::from(u16_at(node, 6)?);
    let data = node.get(start..)?;
    match flags {
        ELSEWHERE_FLAG => Some(Value::Elsewhere {
            page: u64::from_ne_bytes(*data.first_chunk()?),
            len,
        }),
        0 => Some(Value::Here(data.get(..len as usize)?.to_vec())),
        _ => None,
    }
}

fn page_numbers(list: &[u8]) -> impl Iterator<Item = u64> {
    let (numbers, _) = list.as_chunks();
    let mut numbers = numbers.iter().copied().map(u64::from_ne_bytes);
    let count = numbers.next().unwrap_or(0);
    numbers.take(usize::try_from(count).unwrap_or(usize::MAX))
}

fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    let bytes = bytes.get(offset..)?.first_chunk()?;
    Some(u16::from_ne_bytes(*bytes))
}
