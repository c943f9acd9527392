//! The LMDB environment of a store and the tables in it.
//!
//! | table | key | value |
//! |---|---|---|
//! | `small-0`, `small-1`, `small-2` | an entry's key | the entry, see [`entry`](super::entry) |
//! | `large` | an entry's key | a sequence number and the entry, see [`large`](super::large) |
//! | `large-order` | a sequence number | an entry's key |
//! | `state` | `state` | which generation is current, see [`state`](super::state) |
//! | `families` | a family's name | when it was used, see [`families`](super::families) |

use heed::types::Bytes;
use heed::{
    CommitOrAbort, CompactionOption, EnvFlags, EnvOpenOptions, MdbError, RoTxn, RwTxn, WithoutTls,
};
use std::fs::File;
use std::path::Path;

/// A table, as LMDB's named databases are called here.
pub(super) type Table = heed::Database<'static, Bytes, Bytes>;

/// A read transaction, which may move between threads.
pub(super) type ReadTransaction<'e> = RoTxn<'e, WithoutTls>;

/// The tables of a store.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tables {
    /// The three generations of small values.
    pub(super) small: [Table; 3],
    pub(super) large: Table,
    pub(super) large_order: Table,
    pub(super) state: Table,
    pub(super) families: Table,
}

const TABLE_NAMES: [&str; 7] = [
    "small-0",
    "small-1",
    "small-2",
    "large",
    "large-order",
    "state",
    "families",
];

/// An open LMDB environment.
#[derive(Debug)]
pub(super) struct Environment {
    inner: heed::Env<WithoutTls>,
    pub(super) tables: Tables,
}

/// How many snapshots there may be at once, in all processes together.
pub(super) const MAX_READERS: u32 = 1024;

impl Environment {
    /// Opens the environment in `directory`, with tables, and maps `map_bytes` of its file.
    ///
    /// The caller sees to it that the environment is not open in this process already, and that
    /// the data file is sound as far as that can be told, see [`data_file`](super::data_file).
    pub(super) fn open(directory: &Path, map_bytes: u64) -> heed::Result<Self> {
        let map_bytes = usize::try_from(map_bytes).unwrap_or(usize::MAX / 2 + 1);
        // Without thread-local storage a thread may have any number of snapshots, and may write
        // while it has one.
        let mut options = EnvOpenOptions::new().read_txn_without_tls();
        options
            .map_size(map_bytes)
            .max_dbs(TABLE_NAMES.len() as u32)
            // Each snapshot takes up one, in whichever process.
            .max_readers(MAX_READERS);
        // SAFETY: of all flags that are unsafe this one is not: a commit waits until its pages
        // are on disk, but not until the meta page is that makes them current. If the machine
        // crashes, the last commit may be undone, which a cache can afford (a function is
        // compiled once more), and the state before it is intact. It saves one of the two waits
        // for the disk in every commit. `NO_SYNC`, which saves both, may leave a meta page that
        // names pages which never made it to the disk, so it is not used. A process that is
        // killed loses nothing that it committed, for the pages are the operating system's then.
        unsafe { options.flags(EnvFlags::NO_META_SYNC) };
        // SAFETY: the map is only sound as long as nobody but LMDB changes the file. The file is
        // in a directory that is ours alone, made for its owner only, and files are removed from
        // it by `remove` only, which takes the directory away as a whole. The file holds all
        // pages in use, as the caller has checked. It is open in this process only once.
        let inner = unsafe { options.open(directory)? };
        // Slots of processes that died while they had a snapshot would pin pages for ever.
        inner.clear_stale_readers()?;
        let tables = match existing_tables(&inner)? {
            Some(tables) => tables,
            None => created_tables(&inner)?,
        };
        Ok(Environment { inner, tables })
    }

    /// Begins a read transaction.
    pub(super) fn read(&self) -> heed::Result<ReadTransaction<'_>> {
        match self.inner.read_txn() {
            Err(heed::Error::Mdb(MdbError::ReadersFull)) => {
                self.inner.clear_stale_readers()?;
                self.inner.read_txn()
            }
            result => result,
        }
    }

    /// Begins a write transaction. Waits for the one under way in whichever process, if any.
    pub(super) fn write(&self) -> heed::Result<RwTxn<'_>> {
        self.inner.write_txn()
    }

    /// Gives back what readers hold that are no more.
    pub(super) fn clear_stale_readers(&self) -> heed::Result<()> {
        self.inner.clear_stale_readers().map(drop)
    }

    /// Removes all records from all tables.
    pub(super) fn clear(&self) -> heed::Result<()> {
        let mut txn = self.write()?;
        let Tables {
            small: [a, b, c],
            large,
            large_order,
            state,
            families,
        } = self.tables;
        for table in [a, b, c, large, large_order, state, families] {
            table.clear(&mut txn)?;
        }
        txn.commit()
    }

    /// Writes a copy to `file`, without the pages that are free.
    pub(super) fn copy_to(&self, file: &mut File) -> heed::Result<()> {
        self.inner.copy_to_file(file, CompactionOption::Enabled)
    }

    /// The length of the data file, in bytes.
    pub(super) fn bytes_on_disk(&self) -> heed::Result<u64> {
        self.inner.real_disk_size()
    }
}

/// The tables if all are there. Opening them so does not wait for a writer.
fn existing_tables(environment: &heed::Env<WithoutTls>) -> heed::Result<Option<Tables>> {
    let outcome =
        environment.open_databases_and_commit(environment.read_txn()?, |opener, txn| {
            let mut tables = Vec::new();
            for name in TABLE_NAMES {
                match opener.open_database::<Bytes, Bytes>(txn, Some(name))? {
                    Some(table) => tables.push(table),
                    None => return Ok(CommitOrAbort::Abort(())),
                }
            }
            let tables: [_; TABLE_NAMES.len()] =
                tables.try_into().expect("as many tables as names");
            heed::Result::Ok(CommitOrAbort::Commit(tables))
        })?;
    Ok(outcome.commit().map(named))
}

fn created_tables(environment: &heed::Env<WithoutTls>) -> heed::Result<Tables> {
    let outcome =
        environment.create_databases_and_commit(environment.write_txn()?, |opener, txn| {
            let mut create = |name| opener.create_database::<Bytes, Bytes>(txn, Some(name));
            let mut tables = Vec::new();
            for name in TABLE_NAMES {
                tables.push(create(name)?);
            }
            let tables: [_; TABLE_NAMES.len()] =
                tables.try_into().expect("as many tables as names");
            heed::Result::Ok(CommitOrAbort::<_, ()>::Commit(tables))
        })?;
    Ok(named(outcome.unwrap_commit()))
}

fn named(tables: [Table; TABLE_NAMES.len()]) -> Tables {
    let [
        small_0,
        small_1,
        small_2,
        large,
        large_order,
        state,
        families,
    ] = tables;
    Tables {
        small: [small_0, small_1, small_2],
        large,
        large_order,
        state,
        families,
    }
}

/// How many bytes the pages of `table` take up. This is known without looking at them.
pub(super) fn table_bytes(table: Table, txn: &RoTxn<'_>) -> heed::Result<u64> {
    let stat = table.stat(txn)?;
    let pages = stat.branch_pages + stat.leaf_pages + stat.overflow_pages;
    Ok(pages as u64 * u64::from(stat.page_size))
}

/// How many bytes a table of this page size may grow by when a record of `len` bytes is added: the
/// pages for a record that does not fit into a leaf, and one that a leaf may be split into.
pub(super) fn record_bytes(table: Table, txn: &RoTxn<'_>, len: usize) -> heed::Result<u64> {
    let page_size = u64::from(table.stat(txn)?.page_size);
    Ok((len as u64).next_multiple_of(page_size) + page_size)
}
