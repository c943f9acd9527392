//! A store on disk, shared between processes.

mod batch;
mod data_file;
mod entry;
mod environment;
mod error;
mod free_pages;
mod generations;
mod hits;
mod large;
mod layout;
mod options;
mod registry;
mod room;
mod snapshot;
mod state;
mod statistics;
mod trouble;

use crate::store::{CacheStore, Counters, Entry, Snapshot};
use batch::Batch;
use hits::Hits;
use options::Bounds;
use registry::SharedEnvironment;
use snapshot::DiskSnapshot;
use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};
use trouble::Trouble;

pub use error::{DatabaseError, OpenError, StoreError};
pub use layout::remove;
pub use options::DiskOptions;
pub use statistics::Statistics;

/// A store in a directory, for any number of threads and processes at once.
///
/// # What it guarantees
///
/// - **A lookup never lies.** Every entry carries its key and a checksum. One that does not match
///   is a miss, is counted in [`Counters::damaged`], and is replaced by the next insertion.
/// - **A batch is one transaction.** What is stored of it is there at once, for all processes. That
///   is all of it, unless it is larger than a generation, which has 5/16 of the space.
/// - **A process can be killed at any point.** What it committed is there; what it was about to
///   commit is not. If the machine crashes, the last commit may be undone as well.
/// - **The file stays within [`DiskOptions::max_bytes`]**, and the store is never full for good.
///   There are two generations of entries: when the current one is full, the older one is cleared
///   and becomes current. What is found in the older one is copied to the current one. A value of 1 MiB or
///   more is a large one. Large values share a quarter of the space and evict each other only.
/// - **No operation fails a build.** A lookup that fails is a miss and an insertion that fails
///   stores nothing. Both are counted in [`Counters::failures`], and the first of a handle is
///   logged as a warning.
///
/// # What it does not
///
/// The checksums are there against accidents. Whoever can write to the directory can put any code
/// into any program that is built with the store. The directory is made for its owner only.
///
/// What is damaged outside of the entries is only noticed in part. A data file that was cut short
/// or replaced is not opened. But LMDB trusts its own pages, and one that was overwritten can end
/// the process.
///
/// LMDB, which this is built on, needs a local file system. It tells processes apart by their
/// numbers: if two containers share a store but not their process numbers, lookups of a process
/// fail while another one of the same number is reading. The store cannot be used by a child that
/// was forked while it was open and did not `exec`. And a process that is stopped in the middle of
/// an insertion makes the insertions of all others wait.
///
/// # Cost
///
/// Looking an entry up costs a search in two or three B+ trees and its checksum; nothing is
/// copied if it is done through [`CacheStore::snapshot`], for which one transaction is begun
/// instead of one for each lookup. An insertion waits for the disk, once for a batch.
///
/// While there is a snapshot, in whichever process, no space is reused that was freed since it
/// was taken.
pub struct DiskStore {
    directory: PathBuf,
    environment: SharedEnvironment,
    bounds: Bounds,
    hits: Hits,
    trouble: Trouble,
}

impl DiskStore {
    /// Opens the store in `directory` with default options. Makes both if they are not there.
    ///
    /// # Errors
    ///
    /// See [`DiskStore::open_with`].
    pub fn open(directory: impl AsRef<Path>) -> Result<DiskStore, OpenError> {
        Self::open_with(directory, DiskOptions::default())
    }

    /// Opens the store in `directory`. Makes both if they are not there.
    ///
    /// A store may be open several times in one process. The handles share one mapping, which is
    /// as large as the first of them asked for, but count failures each for itself.
    ///
    /// # Errors
    ///
    /// If the directory cannot be made or written to, if the database is damaged as far as that
    /// can be told without reading all of it, or if it belongs to something else. A store that
    /// cannot be opened can be removed with [`remove`].
    pub fn open_with(
        directory: impl AsRef<Path>,
        options: DiskOptions,
    ) -> Result<DiskStore, OpenError> {
        let directory = directory.as_ref();
        let bounds = Bounds::new(&options);
        Ok(DiskStore {
            directory: directory.to_owned(),
            environment: registry::open(directory, bounds.max_bytes)?,
            bounds,
            hits: Hits::default(),
            trouble: Trouble::default(),
        })
    }

    /// The directory that the store was opened in, as it was given.
    pub fn path(&self) -> &Path {
        &self.directory
    }

    /// How full the store is. Costs no more than a lookup.
    ///
    /// # Errors
    ///
    /// If the database refuses to be read.
    pub fn statistics(&self) -> Result<Statistics, StoreError> {
        statistics::collect(&self.environment, &self.bounds).map_err(|error| self.error(error))
    }

    /// Forgets all entries, for all processes. The data file keeps its length; to get rid of it
    /// there is [`remove`].
    ///
    /// # Errors
    ///
    /// If the database refuses to be written. Then nothing is forgotten.
    pub fn clear(&self) -> Result<(), StoreError> {
        self.hits.take();
        self.environment.clear().map_err(|error| self.error(error))
    }

    fn error(&self, source: heed::Error) -> StoreError {
        StoreError {
            path: self.environment.database_directory().to_owned(),
            source: source.into(),
        }
    }

    fn failed(&self, operation: &str, error: &heed::Error) {
        self.trouble.failed(&self.directory, operation, error);
    }
}

impl CacheStore for DiskStore {
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        let snapshot = DiskSnapshot::new(self);
        let value = snapshot.find(key)?.to_vec();
        Some(Cow::Owned(value))
    }

    fn insert(&self, key: &[u8], value: Vec<u8>) -> bool {
        let key = key.to_vec();
        self.insert_many(vec![Entry { key, value }]) == 1
    }

    fn get_many(&self, keys: &[&[u8]]) -> Vec<Option<Cow<'_, [u8]>>> {
        let snapshot = DiskSnapshot::new(self);
        let owned = |value: &[u8]| Cow::Owned(value.to_vec());
        keys.iter()
            .map(|key| snapshot.find(key).map(owned))
            .collect()
    }

    /// Stores `entries` in one transaction.
    ///
    /// This is also when entries that were found in the older generation are promoted. So a build
    /// that found all that it needed keeps it from being evicted with an empty batch.
    fn insert_many(&self, entries: Vec<Entry>) -> usize {
        let hits = self.hits.take();
        if entries.is_empty() && hits.is_empty() {
            return 0;
        }
        let batch = Batch {
            environment: &self.environment,
            bounds: &self.bounds,
            entries: &entries,
            hits: &hits,
        };
        batch.store().unwrap_or_else(|error| {
            self.failed("write", &error);
            0
        })
    }

    fn snapshot(&self) -> Box<dyn Snapshot + '_> {
        Box::new(DiskSnapshot::new(self))
    }

    fn is_checked(&self) -> bool {
        true
    }

    fn counters(&self) -> Counters {
        self.trouble.counters()
    }
}

impl fmt::Debug for DiskStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiskStore")
            .field("directory", &self.directory)
            .field("max_bytes", &self.bounds.max_bytes)
            .finish_non_exhaustive()
    }
}
