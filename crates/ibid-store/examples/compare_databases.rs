//! Compares embedded databases for what a compilation cache does with one.
//!
//! ```text
//! cargo run --release -p ibid-store --example compare_databases [directory]
//! ```
//!
//! Writes 25,000 entries of 1 to 2 KiB in one transaction, opens the result anew, and reads all of
//! it in the order of the keys and in random order, through a fresh handle each time. Every figure
//! is the median of some rounds. The files are made in `directory`, or where temporary files go.
//! The operating system has them in its cache while they are read.
//!
//! The decision that this was written for is in `docs/decisions/0001-embedded-database.md`.

use heed::types::Bytes;
use heed::{CommitOrAbort, EnvFlags, EnvOpenOptions, WithoutTls};
use ibid_store::{CacheStore, DiskStore, Entry};
use redb::{Builder, ConcurrencyMode, ReadableDatabase, TableDefinition};
use std::env;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

const ENTRIES: u32 = 25_000;
const SMALL_COMMITS: usize = 100;
const ENTRIES_OF_SMALL_COMMIT: usize = 10;
const ROUNDS: usize = 15;

fn main() {
    let parent = env::args_os().nth(1).map_or_else(env::temp_dir, Into::into);
    let load = Load::new();
    let contenders: [(&str, &dyn Contender); 4] = [
        ("LMDB", &Lmdb),
        ("redb, one process", &Redb(ConcurrencyMode::ExclusiveWriter)),
        ("redb, many writers", &Redb(ConcurrencyMode::MultiWriter)),
        ("DiskStore", &Store),
    ];
    // In turns, so that whatever else the machine does meanwhile hits all of them alike.
    let mut rounds = contenders.map(|_| Vec::new());
    for _ in 0..ROUNDS {
        for ((_, contender), rounds) in contenders.iter().zip(&mut rounds) {
            rounds.push(one_round(*contender, &load, &parent));
        }
    }
    print(
        &contenders.map(|(name, _)| name),
        &rounds.map(|rounds| medians(&rounds)),
    );
}

/// Entries, in no order of their keys.
struct Load {
    entries: Vec<Entry>,
    /// The same keys, in their order.
    sorted: Vec<Vec<u8>>,
    /// And in another order.
    shuffled: Vec<Vec<u8>>,
    more: Vec<Entry>,
}

impl Load {
    fn new() -> Self {
        let entries: Vec<_> = (0..ENTRIES).map(entry).collect();
        let keys = || entries.iter().map(|entry| entry.key.clone());
        let mut sorted: Vec<_> = keys().collect();
        sorted.sort();
        let mut shuffled: Vec<_> = keys().collect();
        shuffled.sort_by_key(|key| *blake3::hash(key).as_bytes());
        let more = (SMALL_COMMITS * ENTRIES_OF_SMALL_COMMIT) as u32;
        let more = (ENTRIES..ENTRIES + more).map(entry).collect();
        Load {
            entries,
            sorted,
            shuffled,
            more,
        }
    }
}

fn entry(number: u32) -> Entry {
    let key = blake3::hash(&number.to_le_bytes()).as_bytes().to_vec();
    let mut value = vec![0; 1024 + u16::from_le_bytes([key[0], key[1]]) as usize % 1025];
    blake3::Hasher::new()
        .update(&key)
        .finalize_xof()
        .fill(&mut value);
    Entry { key, value }
}

/// A database under test. Each method opens it anew and closes it again.
trait Contender {
    fn open(&self, directory: &Path);
    /// Stores each batch in a transaction.
    fn write(&self, directory: &Path, batches: Vec<Vec<Entry>>);
    /// Reads all keys in one transaction. Returns how long that took, without opening, and what
    /// all the values add up to.
    fn read(&self, directory: &Path, keys: &[Vec<u8>]) -> (Duration, u64);
}

struct Lmdb;

type Table = heed::Database<'static, Bytes, Bytes>;

impl Lmdb {
    fn database(directory: &Path) -> (heed::Env<WithoutTls>, Table) {
        let mut options = EnvOpenOptions::new().read_txn_without_tls();
        options.map_size(16 << 30).max_dbs(1);
        // SAFETY: as in `DiskStore`, whose flags these are.
        unsafe { options.flags(EnvFlags::NO_META_SYNC) };
        // SAFETY: nobody else has these files.
        let env = unsafe { options.open(directory) }.unwrap();
        let txn = env.write_txn().unwrap();
        let table = env
            .create_databases_and_commit(txn, |opener, txn| {
                let table = opener.create_database(txn, Some("table"))?;
                heed::Result::Ok(CommitOrAbort::<_, ()>::Commit(table))
            })
            .unwrap()
            .unwrap_commit();
        (env, table)
    }
}

impl Contender for Lmdb {
    fn open(&self, directory: &Path) {
        Self::database(directory);
    }

    fn write(&self, directory: &Path, batches: Vec<Vec<Entry>>) {
        let (env, table) = Self::database(directory);
        for batch in batches {
            let mut txn = env.write_txn().unwrap();
            for entry in &batch {
                table.put(&mut txn, &entry.key, &entry.value).unwrap();
            }
            txn.commit().unwrap();
        }
    }

    fn read(&self, directory: &Path, keys: &[Vec<u8>]) -> (Duration, u64) {
        let (env, table) = Self::database(directory);
        timed(|| {
            let txn = env.read_txn().unwrap();
            let values = keys
                .iter()
                .map(|key| table.get(&txn, key).unwrap().unwrap());
            values.map(add_up).fold(0, u64::wrapping_add)
        })
    }
}

struct Redb(ConcurrencyMode);

const TABLE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("table");

impl Redb {
    fn database(&self, directory: &Path) -> redb::Database {
        let mut builder = Builder::new();
        builder.set_concurrency_mode(self.0);
        builder.create(directory.join("data.redb")).unwrap()
    }
}

impl Contender for Redb {
    fn open(&self, directory: &Path) {
        self.database(directory);
    }

    fn write(&self, directory: &Path, batches: Vec<Vec<Entry>>) {
        let database = self.database(directory);
        for batch in batches {
            let txn = database.begin_write().unwrap();
            let mut table = txn.open_table(TABLE).unwrap();
            for entry in &batch {
                table.insert(&entry.key[..], &entry.value[..]).unwrap();
            }
            drop(table);
            txn.commit().unwrap();
        }
    }

    fn read(&self, directory: &Path, keys: &[Vec<u8>]) -> (Duration, u64) {
        let database = self.database(directory);
        timed(|| {
            let table = database.begin_read().unwrap().open_table(TABLE).unwrap();
            let values = keys.iter().map(|key| table.get(&key[..]).unwrap().unwrap());
            values
                .map(|value| add_up(value.value()))
                .fold(0, u64::wrapping_add)
        })
    }
}

/// The store itself: LMDB, with checksums and two generations to look into.
struct Store;

impl Contender for Store {
    fn open(&self, directory: &Path) {
        DiskStore::open(directory).unwrap();
    }

    fn write(&self, directory: &Path, batches: Vec<Vec<Entry>>) {
        let store = DiskStore::open(directory).unwrap();
        for batch in batches {
            let len = batch.len();
            assert_eq!(store.insert_many(batch), len);
        }
    }

    fn read(&self, directory: &Path, keys: &[Vec<u8>]) -> (Duration, u64) {
        let store = DiskStore::open(directory).unwrap();
        timed(|| {
            let snapshot = store.snapshot();
            let values = keys.iter().map(|key| add_up(&snapshot.get(key).unwrap()));
            values.fold(0, u64::wrapping_add)
        })
    }
}

/// Looks at every byte, as whoever wants the value would.
fn add_up(value: &[u8]) -> u64 {
    let (words, rest) = value.as_chunks();
    let words = words.iter().copied().map(u64::from_le_bytes);
    let rest = rest.iter().map(|byte| u64::from(*byte));
    words.chain(rest).fold(0, u64::wrapping_add)
}

fn timed<T>(action: impl FnOnce() -> T) -> (Duration, T) {
    let start = Instant::now();
    let result = action();
    (start.elapsed(), result)
}

const FIGURES: [&str; 7] = [
    "write all (ms)",
    "100 small commits (ms)",
    "open (ms)",
    "read in order (ms)",
    "read at random (ms)",
    "file (MB)",
    "file / contents",
];

type Figures = [f64; FIGURES.len()];

fn medians(rounds: &[Figures]) -> Figures {
    std::array::from_fn(|figure| {
        let mut values: Vec<_> = rounds.iter().map(|round| round[figure]).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    })
}

fn one_round(contender: &dyn Contender, load: &Load, parent: &Path) -> Figures {
    let directory = tempfile::tempdir_in(parent).unwrap();
    let path = directory.path();
    let milliseconds = |duration: Duration| duration.as_secs_f64() * 1e3;

    let all = vec![load.entries.clone()];
    let (write, ()) = timed(|| contender.write(path, all));
    let file = bytes_in(path) as f64;
    let (open, ()) = timed(|| contender.open(path));
    let (in_order, sum) = contender.read(path, &load.sorted);
    let (at_random, same_sum) = contender.read(path, &load.shuffled);
    assert_eq!(sum, same_sum);
    let batches = load.more.chunks(ENTRIES_OF_SMALL_COMMIT);
    let batches = batches.map(<[Entry]>::to_vec).collect();
    let (small_commits, ()) = timed(|| contender.write(path, batches));

    let contents = load
        .entries
        .iter()
        .map(|entry| entry.key.len() + entry.value.len());
    [
        milliseconds(write),
        milliseconds(small_commits),
        milliseconds(open),
        milliseconds(in_order),
        milliseconds(at_random),
        file / 1e6,
        file / contents.sum::<usize>() as f64,
    ]
}

fn bytes_in(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap());
    let sizes = entries.map(|entry| match entry.metadata().unwrap() {
        metadata if metadata.is_dir() => bytes_in(&entry.path()),
        metadata => metadata.len(),
    });
    sizes.sum()
}

fn print(names: &[&str], results: &[Figures]) {
    print!("{:24}", "");
    for name in names {
        print!("{name:>28}");
    }
    println!();
    for (index, figure) in FIGURES.iter().enumerate() {
        print!("{figure:24}");
        let base = results[0][index];
        for figures in results {
            print!(
                "{:>18.2} ({:>5.2} x)",
                figures[index],
                figures[index] / base
            );
        }
        println!();
    }
}
