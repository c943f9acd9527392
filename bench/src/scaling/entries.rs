//! A rebuild over a store that holds more and more.

use crate::Subject;
use crate::edits::change_constant;
use crate::figures::{Figure, timed};
use crate::known::{compile, over_store};
use anyhow::{Result, ensure};
use ibid::Options;
use ibid_store::{CacheStore, DiskOptions, DiskStore, Entry};
use serde::Serialize;
use std::path::Path;
use std::sync::Arc;
use wasmtime::Engine;

/// Rebuilds of one module over a store that grows.
#[derive(Debug, Serialize)]
pub struct EntriesSeries {
    /// The module that is rebuilt.
    pub name: String,
    /// The module's size.
    pub wasm_bytes: usize,
    /// One number of entries each.
    pub points: Vec<EntriesPoint>,
    /// The last point's time as a multiple of the first one's.
    pub growth: f64,
    /// Whether that is less than the target, 1.5.
    pub met: bool,
}

/// What the rebuild may take over the fullest store, as a multiple of that over the emptiest.
pub const GROWTH_TARGET: f64 = 1.5;

/// A rebuild over a store, after a constant in one body was changed.
#[derive(Debug, Serialize)]
pub struct EntriesPoint {
    /// How many entries the store holds, the module's own included.
    pub entries: u64,
    /// The size of the store's data file.
    pub bytes_on_disk: u64,
    /// The rebuild.
    pub edited_ms: Figure,
    /// Opening the store and making the compiler, before that.
    pub open_ms: Figure,
}

/// The size of the store at most. Far more than ten million entries take.
const MAX_BYTES: u64 = 64 << 30;

/// How many rebuilds come before those that count.
const WARM_UP: usize = 2;

/// How many entries are inserted at once.
const BATCH: u64 = 100_000;

/// Measures a rebuild of `subject`, `rounds` times, over a store in a directory in `at` that is
/// filled up to each of `entries`, which ascend. What fills it is as long as compiled stencils of
/// small functions are, under random keys of the kinds that ibid's own have.
///
/// A store that has more entries than is asked for, by the module's own, is measured as it is.
///
/// # Errors
///
/// If the module cannot be edited, the store does not hold what was inserted, or an artifact is
/// not Wasmtime's.
pub fn over_entries(
    subject: &Subject,
    entries: &[u64],
    rounds: usize,
    engine: &Engine,
    at: &Path,
    progress: &mut dyn FnMut(&str),
) -> Result<EntriesSeries> {
    let directory = tempfile::tempdir_in(at)?;
    let open = || DiskStore::open_with(directory.path(), options());
    over_store(engine, Arc::new(open()?), Options::default())?
        .compile(&subject.wasm)?
        .store();

    let edited = change_constant(&subject.wasm, 0)?;
    let plain = engine.precompile_module(&edited)?;
    let mut random = Random(1);
    let mut points: Vec<EntriesPoint> = Vec::new();
    for &wanted in entries {
        progress(&format!("a store of {wanted} entries"));
        let store = open()?;
        fill(&store, wanted, &mut random)?;
        let statistics = store.statistics()?;
        ensure!(
            statistics.entries >= wanted,
            "the store holds {} entries of {wanted}",
            statistics.entries
        );
        drop(store);

        let (mut opened, mut runs) = (Vec::new(), Vec::new());
        // The first ones warm up. Nothing is stored.
        for round in 0..WARM_UP + rounds.max(1) {
            let (compiler, open_ms) =
                timed(|| over_store(engine, Arc::new(open()?), Options::default()));
            let compiler = compiler?;
            let (compilation, ms) = compile(&compiler, &edited, &plain)?;
            ensure!(
                compilation.report().functions.compiled <= 1,
                "the store has lost functions"
            );
            if round >= WARM_UP {
                opened.push(open_ms);
                runs.push(ms);
            }
        }
        let median = |runs| Figure::of(runs).expect("there is one round at least");
        points.push(EntriesPoint {
            entries: statistics.entries,
            bytes_on_disk: statistics.bytes_on_disk,
            edited_ms: median(runs),
            open_ms: median(opened),
        });
    }
    let growth = match (points.first(), points.last()) {
        (Some(first), Some(last)) => last.edited_ms.median / first.edited_ms.median,
        _ => f64::NAN,
    };
    Ok(EntriesSeries {
        name: subject.name.clone(),
        wasm_bytes: subject.wasm.len(),
        points,
        growth,
        met: growth < GROWTH_TARGET,
    })
}

fn options() -> DiskOptions {
    DiskOptions {
        max_bytes: MAX_BYTES,
        ..DiskOptions::default()
    }
}

/// Inserts entries until there are `wanted`.
fn fill(store: &DiskStore, wanted: u64, random: &mut Random) -> Result<()> {
    let mut missing = wanted.saturating_sub(store.statistics()?.entries);
    while missing > 0 {
        let batch = missing.min(BATCH);
        let mut entries: Vec<Entry> = (0..batch).map(|_| random.entry()).collect();
        entries.sort_by(|a, b| a.key.cmp(&b.key));
        let stored = store.insert_many(entries);
        ensure!(
            stored as u64 == batch,
            "the store took {stored} of {batch} entries: {:?}",
            store.counters().last_failure
        );
        missing -= batch;
    }
    Ok(())
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// An entry as a small function's: a byte for the kind and 32 random ones for the key.
    fn entry(&mut self) -> Entry {
        let mut key = vec![if self.number() & 1 == 0 { b'e' } else { b's' }];
        for _ in 0..4 {
            key.extend_from_slice(&self.number().to_le_bytes());
        }
        let length = 64 + self.number() as usize % 73;
        let value = self.number().to_le_bytes();
        Entry {
            key,
            value: value.into_iter().cycle().take(length).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_filled_up() {
        let directory = tempfile::tempdir().unwrap();
        let store = DiskStore::open(directory.path()).unwrap();
        let mut random = Random(7);
        for wanted in [10, 1000, 1500] {
            fill(&store, wanted, &mut random).unwrap();
            assert_eq!(store.statistics().unwrap().entries, wanted);
        }
    }

    #[test]
    fn entries_are_of_a_hundred_bytes_on_average() {
        let mut random = Random(3);
        let lengths = (0..10_000).map(|_| random.entry().value.len());
        let mean = lengths.sum::<usize>() / 10_000;
        assert!((98..=102).contains(&mean), "{mean}");
    }
}
