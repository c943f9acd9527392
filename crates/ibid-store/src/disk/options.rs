//! How large a store may grow, and how its space is shared out.

use super::authentication::AuthenticationKey;
use std::time::Duration;

/// How to open a [`DiskStore`](crate::DiskStore).
///
/// ```
/// use ibid_store::DiskOptions;
///
/// let options = DiskOptions { max_bytes: 1 << 30, ..DiskOptions::default() };
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskOptions {
    /// How large the data file may grow, in bytes. 5 GiB by default; the file starts small.
    ///
    /// Less than 8 MiB counts as 8 MiB, and the number is rounded up to a multiple of 64 KiB.
    ///
    /// This is also how much address space the store takes up. Processes that share a store
    /// should agree on it. If they do not, each evicts by its own number, and a process that
    /// opened the store with a smaller number than the file has since grown to misses on every
    /// lookup (counted as failures) until it opens the store anew.
    pub max_bytes: u64,
    /// The key with which every entry is authenticated, before a byte of it is used. None by
    /// default.
    ///
    /// Then whoever can write to the files, but has not the key, can make the store lose entries,
    /// and no more. Entries that were stored without a key, or with another one, are misses, and
    /// are replaced.
    pub authentication: Option<AuthenticationKey>,
    /// How long an insertion may take to remove what was evicted. 10 milliseconds by default.
    ///
    /// A thousand entries are removed however long it takes. What is left then is removed with the
    /// next insertions; if a batch needs its room at once, some of the batch is not stored.
    pub eviction_time: Duration,
}

impl DiskOptions {
    /// The default of [`max_bytes`](Self::max_bytes): 5 GiB.
    pub const DEFAULT_BYTES: u64 = 5 << 30;

    /// The default of [`eviction_time`](Self::eviction_time): 10 milliseconds.
    pub const DEFAULT_EVICTION_TIME: Duration = Duration::from_millis(10);
}

impl Default for DiskOptions {
    fn default() -> Self {
        DiskOptions {
            max_bytes: Self::DEFAULT_BYTES,
            authentication: None,
            eviction_time: Self::DEFAULT_EVICTION_TIME,
        }
    }
}

/// The size from which on a value is a large one, in bytes.
pub(super) const LARGE_VALUE_BYTES: usize = 1 << 20;

/// How the space is shared out. In parts of the whole:
///
/// ```text
/// 13/64   the current generation of small values
/// 13/64   the older generation
/// 13/64   the one that is being cleared
/// 39/512  what is promoted into generations beyond their bounds, when they change
/// 16/64   large values
/// ------
/// 1 - 33/512
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
    /// How long an insertion may remove entries.
    pub(super) eviction_time: Duration,
}

impl Bounds {
    const LEAST_BYTES: u64 = 8 << 20;
    /// The map has to end at a page boundary. Pages are of 64 KiB at most.
    const GRANULE_BYTES: u64 = 64 << 10;
    /// So that rounding up cannot overflow, and a pointer can reach all of it.
    const MOST_BYTES: u64 = 1 << 46;

    pub(super) fn new(options: &DiskOptions) -> Self {
        let max_bytes = options
            .max_bytes
            .clamp(Self::LEAST_BYTES, Self::MOST_BYTES)
            .next_multiple_of(Self::GRANULE_BYTES);
        let generation_bytes = max_bytes / 64 * 13;
        Bounds {
            max_bytes,
            generation_bytes,
            promotion_bytes: generation_bytes / 8,
            large_bytes: max_bytes / 4,
            eviction_time: options.eviction_time,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_shares_fit_and_leave_some_room() {
        for max_bytes in [0, 1, 5_000_000, 1 << 30, 16 << 30, u64::MAX] {
            let bounds = Bounds::new(&DiskOptions {
                max_bytes,
                ..DiskOptions::default()
            });
            assert_eq!(bounds.max_bytes % (64 << 10), 0);
            let shares =
                3 * (bounds.generation_bytes + bounds.promotion_bytes) + bounds.large_bytes;
            assert!(shares <= bounds.max_bytes / 64 * 60, "{bounds:?}");
        }
    }
}
