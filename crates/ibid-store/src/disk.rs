//! A store on disk, shared between processes.

mod authentication;
mod batch;
mod data_file;
mod entry;
mod environment;
mod error;
mod eviction;
mod families;
mod free_pages;
mod generations;
mod hits;
mod large;
mod layout;
mod maintenance;
mod options;
mod private;
mod registry;
mod room;
mod snapshot;
mod state;
mod statistics;
mod transport;
mod trouble;

use crate::store::{CacheStore, Counters, Entry, Snapshot, family};
use batch::{Batch, Stored};
use entry::Seal;
use families::{Family, Use};
use hits::Hits;
use options::Bounds;
use registry::SharedEnvironment;
use snapshot::DiskSnapshot;
use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use trouble::Trouble;

pub use authentication::AuthenticationKey;
pub use error::{DatabaseError, OpenError, StoreError};
pub use layout::remove;
pub use maintenance::{Collected, Verified};
pub use options::DiskOptions;
pub use statistics::Statistics;
pub use transport::Imported;

/// A store in a directory, for any number of threads and processes at once.
///
/// # What it guarantees
///
/// - **A lookup never lies.** Every entry carries its key and a checksum. One that does not match
///   is a miss, is counted in [`Counters::damaged`], and is replaced by the next insertion.
/// - **A batch is one transaction.** What is stored of it is there at once, for all processes. That
///   is all of it, unless it is larger than a generation, which has 13/64 of the space, or more is
///   stored than can be removed meanwhile (see below).
/// - **A process can be killed at any point.** What it committed is there; what it was about to
///   commit is not. If the machine crashes, the last commit may be undone as well.
/// - **The file stays within [`DiskOptions::max_bytes`]**, and the store is never full for good.
///   There are generations of entries: when the current one is full, an empty one becomes current,
///   and what is found in the older one is copied to the current one. What is neither is cleared, a
///   slice with each insertion, which takes no longer than [`DiskOptions::eviction_time`] of it. A
///   value of 1 MiB or more is a large one. Large values share a quarter of the space and evict
///   each other only. The entries of [families](crate::family) that nobody uses any more go before
///   all others.
/// - **No operation fails a build.** A lookup that fails is a miss and an insertion that fails
///   stores nothing. Both are counted in [`Counters::failures`], and the first of a handle is
///   logged as a warning.
///
/// # What it does not
///
/// The checksums are there against accidents. Whoever can write to the directory can put any code
/// into any program that is built with the store, unless the store has a key for
/// [authentication](DiskOptions::authentication). The directory is made for its owner only, and one
/// that belongs to somebody else, or that others may write to, is not opened.
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
    seal: Seal,
    used: Use,
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
            seal: options.authentication.map_or(Seal::Checksum, Seal::Code),
            used: Use::default(),
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

    /// Looks at every entry, and says how many are not what was stored; with `repair`, removes
    /// these.
    ///
    /// That reads all of the store. Space that is freed meanwhile, in whichever process, is not
    /// reused until it is done.
    ///
    /// # Errors
    ///
    /// If the database refuses to be read or written.
    pub fn verify(&self, repair: bool) -> Result<Verified, StoreError> {
        maintenance::verify(&self.environment, &self.seal, repair)
            .map_err(|error| self.error(error))
    }

    /// Writes all entries that are intact to `file`, for [`import`](Self::import). Says how many.
    ///
    /// They keep their checksums, or the codes that authenticate them. `file` gets many small
    /// writes, so it should be buffered.
    ///
    /// # Errors
    ///
    /// If the database refuses to be read, or `file` to be written. Then `file` is not whole.
    pub fn export(&self, file: &mut dyn io::Write) -> io::Result<u64> {
        transport::export(&self.environment, &self.seal, file)
    }

    /// Stores the entries that were [exported](Self::export) to `file`.
    ///
    /// Without [authentication](DiskOptions::authentication), whoever made the file decides what
    /// code runs in the programs that are built with this store. With it, entries that were not
    /// exported under the same key are refused.
    ///
    /// # Errors
    ///
    /// If the file cannot be read; [`io::ErrorKind::InvalidData`] if it is no exported store, or was
    /// cut short: what came before that is stored.
    pub fn import(&self, file: &mut dyn io::Read) -> io::Result<Imported> {
        transport::import(&self.seal, file, |entries| self.insert_many(entries))
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

    /// The families that are in use, as far as that is worth noting now: those of `entries`, and
    /// once a day the one that was asked for.
    fn families(&self, entries: &[Entry]) -> Vec<Family> {
        let of_entries = entries.iter().filter_map(|entry| family(&entry.key));
        let mut families: HashSet<Family> = of_entries.collect();
        if let Some(asked) = self.used.overdue() {
            let txn = self.environment.read();
            let tables = &self.environment.tables;
            match txn.and_then(|txn| families::is_recorded(tables, &txn, asked)) {
                Ok(true) => self.used.record(asked),
                Ok(false) => drop(families.insert(asked)),
                Err(error) => self.failed("read", &error),
            }
        }
        families.into_iter().collect()
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

/// Makes the store in `directory` smaller: removes what is evicted already, families of entries
/// that nobody uses any more, the files of earlier formats, and what is more than `options` allow.
/// Then, if the data file is longer than they allow, or more than half of it is free, writes it
/// anew.
///
/// Other processes that have the store open while the file is written anew go on with what they
/// have, and what they store from then on is lost, as with [`remove`]. It needs as much space on
/// disk as the new file.
///
/// # Errors
///
/// If the store cannot be opened or the database refuses an operation; and
/// [`io::ErrorKind::ResourceBusy`] if the file is to be written anew while the store is open in
/// this process. The source is the [`OpenError`] or [`StoreError`], if there is one.
pub fn gc(directory: impl AsRef<Path>, options: DiskOptions) -> io::Result<Collected> {
    /// Shorter files are not worth it.
    const LEAST_BYTES: u64 = 64 << 20;

    let directory = directory.as_ref();
    let store = DiskStore::open_with(directory, options).map_err(io::Error::other)?;
    let failed = |error| io::Error::other(store.error(error));
    let bytes_before = store.environment.bytes_on_disk().map_err(failed)?;
    let evicted = maintenance::collect(&store.environment, &store.bounds).map_err(failed)?;
    layout::discard_older(&directory.canonicalize()?, std::time::Duration::ZERO)?;
    let statistics = store.statistics().map_err(io::Error::other)?;
    let max_bytes = store.bounds.max_bytes;
    drop(store);
    let is_sparse = bytes_before > LEAST_BYTES && statistics.value_bytes < bytes_before / 2;
    let compacted = bytes_before > max_bytes || is_sparse;
    if compacted {
        registry::compact(directory, max_bytes)?;
    }
    let data_file = layout::data_file(&layout::database_directory(directory));
    Ok(Collected {
        evicted,
        compacted,
        bytes_before,
        bytes_after: std::fs::metadata(data_file)?.len(),
    })
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
        let families = self.families(&entries);
        if entries.is_empty() && hits.is_empty() && families.is_empty() {
            return 0;
        }
        let batch = Batch {
            environment: &self.environment,
            bounds: &self.bounds,
            seal: &self.seal,
            entries: &entries,
            hits: &hits,
            families: &families,
        };
        let Stored { stored, evicted } = batch.store().unwrap_or_else(|error| {
            self.failed("write", &error);
            Stored::default()
        });
        self.trouble.evicted(evicted);
        families.iter().for_each(|family| self.used.record(*family));
        stored
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
