//! How large a store may grow, and how its space is shared out.

/// How to open a [`DiskStore`](crate::DiskStore).
///
/// ```
/// use ibid_store::DiskOptions;
///
/// let options = DiskOptions { max_bytes: 1 << 30, ..DiskOptions::default() };
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskOptions {
    /// How large the data file may grow, in bytes. 16 GiB by default; the file starts small.
    ///
    /// Less than 4 MiB counts as 4 MiB, and the number is rounded up to a multiple of 64 KiB.
    ///
    /// This is also how much address space the store takes up. Processes that share a store
    /// should agree on it. If they do not, each evicts by its own number, and a process that
    /// opened the store with a smaller number than the file has since grown to misses on every
    /// lookup (counted as failures) until it opens the store anew.
    pub max_bytes: u64,
}

impl Default for DiskOptions {
    fn default() -> Self {
        DiskOptions {
            max_bytes: 16 << 30,
        }
    }
}

/// The size from which on a value is a large one, in bytes.
pub(super) const LARGE_VALUE_BYTES: usize = 1 << 20;

/// How the space is shared out. In parts of the whole:
///
/// ```text
/// 10/32  the current generation of small values
/// 10/32  the older generation
/// 2·10/256  what is promoted into a generation beyond its bound, when generations change
///  8/32  large values
/// ------
/// 1 - 3/64
/// ```
///
/// What remains is for LMDB: its own tables, the list of free pages, and the copies that it makes
/// of the pages that a transaction changes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// The size of the map, and with it of the file, in bytes.
    pub(super) max_bytes: u64,
    /// The bytes of pages that a generation of small values may take up.
    pub(super) generation_bytes: u64,
    /// The bytes of pages that promoted entries may add to that.
    pub(super) promotion_bytes: u64,
    /// The bytes of pages that large values may take up.
    pub(super) large_bytes: u64,
}

impl Bounds {
    const LEAST_BYTES: u64 = 4 << 20;
    /// The map has to end at a page boundary. Pages are of 64 KiB at most.
    const GRANULE_BYTES: u64 = 64 << 10;
    /// So that rounding up cannot overflow, and a pointer can reach all of it.
    const MOST_BYTES: u64 = 1 << 46;

    pub(super) fn new(options: &DiskOptions) -> Self {
        let max_bytes = options
            .max_bytes
            .clamp(Self::LEAST_BYTES, Self::MOST_BYTES)
            .next_multiple_of(Self::GRANULE_BYTES);
        let generation_bytes = max_bytes / 32 * 10;
        Bounds {
            max_bytes,
            generation_bytes,
            promotion_bytes: generation_bytes / 8,
            large_bytes: max_bytes / 4,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_shares_fit_and_leave_some_room() {
        for max_bytes in [0, 1, 5_000_000, 1 << 30, 16 << 30, u64::MAX] {
            let bounds = Bounds::new(&DiskOptions { max_bytes });
            assert_eq!(bounds.max_bytes % (64 << 10), 0);
            let shares =
                2 * (bounds.generation_bytes + bounds.promotion_bytes) + bounds.large_bytes;
            assert!(shares <= bounds.max_bytes / 64 * 61, "{bounds:?}");
        }
    }
}
