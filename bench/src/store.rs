//! The store by itself: how it behaves with many entries, what authentication costs, and what it
//! gains for Wasmtime's own incremental cache.

use crate::Subject;
use crate::edits::change_constant;
use crate::figures::{Figure, timed};
use crate::known::compile;
use anyhow::{Context as _, Result, ensure};
use ibid::{Compiler, Options};
use ibid_store::{AuthenticationKey, CacheStore, DiskOptions, DiskStore, Entry, WriteBehind, gc};
use serde::Serialize;
use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use wasmtime::{Config, Engine};

/// What was found about the store by itself.
#[derive(Debug, Serialize)]
pub struct Stores {
    /// A store of many entries.
    pub entries: ManyEntries,
    /// What authentication costs a rebuild, by module.
    pub authentication: Vec<Authentication>,
    /// What a store on disk gains for Wasmtime's incremental cache, by module.
    pub for_wasmtime: Vec<ForWasmtime>,
}

/// What was measured of a store of many entries.
#[derive(Debug, Serialize)]
pub struct ManyEntries {
    /// How many entries there are.
    pub entries: u64,
    /// The size of the data file, in bytes.
    pub bytes_on_disk: u64,
    /// How many seconds it took to store them.
    pub fill_seconds: f64,
    /// Milliseconds to open the store.
    pub open_ms: Figure,
    /// Microseconds to look up an entry that is there, of [`LOOKUPS`] in one snapshot.
    pub hit_us: Figure,
    /// Microseconds to look up one that is not.
    pub miss_us: Figure,
    /// Milliseconds to store [`BATCH`] entries when nothing is to be removed.
    pub insert_ms: Figure,
    /// Milliseconds to store as many while a generation of all these entries is being cleared.
    pub evicting_ms: Figure,
    /// How many entries were removed by each of these insertions, at the median.
    pub evicted: f64,
    /// Seconds that `gc` takes to remove what is left of that generation.
    pub gc_seconds: f64,
    /// How many entries that removed.
    pub collected: u64,
}

/// How many entries are looked up at once: as many as a module of 10 MB has functions.
pub const LOOKUPS: u64 = 13_000;

/// How many entries are stored at once, about those of a compile after an upgrade.
pub const BATCH: u64 = 1_000;

/// Builds a store of `entries` entries in a directory in `at`, and measures it.
///
/// # Errors
///
/// If the store fails, or does not hold what was stored.
pub fn many_entries(
    entries: u64,
    at: &Path,
    progress: &mut dyn FnMut(&str),
) -> Result<ManyEntries> {
    const ROUNDS: usize = 9;
    let directory = tempfile::tempdir_in(at)?;
    // About 250 bytes each, all in one generation.
    let options = |entries: u64| DiskOptions {
        max_bytes: (entries * 250 / 13 * 64).max(64 << 20),
        ..DiskOptions::default()
    };
    let large = options(entries);
    let open = |options: &DiskOptions| DiskStore::open_with(directory.path(), options.clone());

    progress(&format!("storing {entries} entries"));
    let store = open(&large)?;
    let (filled, fill_ms) = timed(|| fill(&store, 0, entries));
    filled?;
    let statistics = store.statistics()?;
    ensure!(
        statistics.entries == entries,
        "the store holds {statistics:?}"
    );
    drop(store);

    progress("looking up");
    let mut open_ms = Vec::new();
    let (mut hit_us, mut miss_us) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS as u64 {
        let (store, ms) = timed(|| open(&large));
        open_ms.push(ms);
        let store = store?;
        // Spread over all of the store, and others each time.
        let step = entries / LOOKUPS.min(entries);
        let there: Vec<_> = (0..LOOKUPS.min(entries))
            .map(|i| key(i * step + round % step))
            .collect();
        let absent: Vec<_> = (0..LOOKUPS)
            .map(|i| key(u64::MAX - i - round * LOOKUPS))
            .collect();
        for (keys, expected, times) in [
            (&there, there.len(), &mut hit_us),
            (&absent, 0, &mut miss_us),
        ] {
            let snapshot = store.snapshot();
            let (found, ms) = timed(|| {
                keys.iter()
                    .filter(|key| snapshot.get(&key[..]).is_some())
                    .count()
            });
            ensure!(
                found == expected,
                "{found} of {expected} entries were found"
            );
            times.push(ms * 1e3 / keys.len() as f64);
        }
    }

    progress("storing more");
    let store = open(&large)?;
    let mut next = entries;
    let mut insert = |store: &DiskStore| -> Result<f64> {
        let batch = batch(next, BATCH);
        next += BATCH;
        let (stored, ms) = timed(|| store.insert_many(batch));
        ensure!(
            stored as u64 == BATCH,
            "{stored} entries were stored: {:?}",
            store.counters()
        );
        Ok(ms)
    };
    let runs = (0..ROUNDS * 3).map(|_| insert(&store));
    let insert_ms = runs.collect::<Result<_>>()?;
    drop(store);

    progress("evicting");
    // A limit that makes the first generation too large, and the second one full soon.
    let small = options(entries / 20);
    let store = open(&small)?;
    while store.statistics()?.dying_entries == 0 {
        insert(&store)?;
    }
    let before = store.counters().evicted;
    let runs = (0..ROUNDS * 3).map(|_| insert(&store));
    let evicting_ms: Vec<f64> = runs.collect::<Result<_>>()?;
    let evicted = (store.counters().evicted - before) as f64 / evicting_ms.len() as f64;
    drop(store);

    progress("collecting garbage");
    let (collected, gc_ms) = timed(|| gc(directory.path(), small));
    let figure = |runs| Figure::of(runs).expect("there is a round");
    Ok(ManyEntries {
        entries,
        bytes_on_disk: statistics.bytes_on_disk,
        fill_seconds: fill_ms / 1e3,
        open_ms: figure(open_ms),
        hit_us: figure(hit_us),
        miss_us: figure(miss_us),
        insert_ms: figure(insert_ms),
        evicting_ms: figure(evicting_ms),
        evicted,
        gc_seconds: gc_ms / 1e3,
        collected: collected?.evicted,
    })
}

/// Stores the entries from `from` to `to`.
fn fill(store: &DiskStore, from: u64, to: u64) -> Result<()> {
    const AT_ONCE: u64 = 200_000;
    for start in (from..to).step_by(AT_ONCE as usize) {
        let count = AT_ONCE.min(to - start);
        let mut entries = batch(start, count);
        entries.sort_by(|a, b| a.key.cmp(&b.key));
        let stored = store.insert_many(entries) as u64;
        ensure!(
            stored == count,
            "the store took {stored} of {count} entries: {:?}",
            store.counters()
        );
    }
    Ok(())
}

fn batch(start: u64, count: u64) -> Vec<Entry> {
    let entry = |number: u64| Entry {
        key: key(number).to_vec(),
        // As long as the stencil of a small function.
        value: vec![number as u8; 64 + (number % 73) as usize],
    };
    (start..start + count).map(entry).collect()
}

/// A key like a digest.
fn key(number: u64) -> [u8; 32] {
    *blake3::hash(&number.to_le_bytes()).as_bytes()
}

/// What authentication costs a rebuild after one body was edited.
#[derive(Debug, Serialize)]
pub struct Authentication {
    /// The module.
    pub name: String,
    /// Milliseconds of a rebuild over a store with checksums.
    pub checksums_ms: Figure,
    /// Milliseconds over a store whose entries are authenticated.
    pub authenticated_ms: Figure,
}

/// Measures rebuilds of `subject` over two stores in `at`, in turns.
///
/// # Errors
///
/// If a store fails, the module cannot be edited, or an artifact is not Wasmtime's.
pub fn authentication(subject: &Subject, rounds: usize, at: &Path) -> Result<Authentication> {
    let engine = Engine::default();
    let edited = change_constant(&subject.wasm, 0)?;
    let plain = engine.precompile_module(&edited)?;
    let key = AuthenticationKey::new(&[0x5a; 32]).context("the key is too short")?;
    let mut times = [Vec::new(), Vec::new()];
    let mut compilers = Vec::new();
    for authentication in [None, Some(key)] {
        let directory = tempfile::tempdir_in(at)?;
        let options = DiskOptions {
            authentication,
            ..DiskOptions::default()
        };
        let store = Arc::new(DiskStore::open_with(directory.path(), options)?);
        let compiler = Compiler::with_options(&engine, store, Options::default());
        compiler.compile(&subject.wasm)?.store();
        compilers.push((compiler, directory));
    }
    // The first round warms up. Nothing is stored.
    for round in 0..=rounds {
        for ((compiler, _), times) in compilers.iter().zip(&mut times) {
            let (compilation, ms) = compile(compiler, &edited, &plain)?;
            ensure!(
                compilation.report().functions.compiled == 1,
                "more was compiled"
            );
            if round > 0 {
                times.push(ms);
            }
        }
    }
    let [checksums_ms, authenticated_ms] =
        times.map(|runs| Figure::of(runs).expect("there is a round"));
    Ok(Authentication {
        name: subject.name.clone(),
        checksums_ms,
        authenticated_ms,
    })
}

/// What a store on disk gains for Wasmtime's own incremental cache.
#[derive(Debug, Serialize)]
pub struct ForWasmtime {
    /// The module.
    pub name: String,
    /// Milliseconds of a plain compile.
    pub plain_ms: Figure,
    /// Milliseconds with Wasmtime's incremental cache over a map, in the first compile of a process.
    pub map_first_ms: Figure,
    /// Milliseconds over that map again, in the same process.
    pub map_again_ms: Figure,
    /// Milliseconds over a store on disk that another process has filled, in the first compile of a
    /// process: opening and closing the store included.
    pub disk_first_ms: Figure,
}

/// Compiles `subject` with Wasmtime's own incremental cache, over a map and over a store in `at`.
///
/// # Errors
///
/// If a store fails, or an artifact is not what Wasmtime makes without a cache.
pub fn for_wasmtime(subject: &Subject, rounds: usize, at: &Path) -> Result<ForWasmtime> {
    let engine_over = |store: Arc<dyn wasmtime::CacheStore>| -> wasmtime::Result<Engine> {
        let mut config = Config::new();
        config.enable_incremental_compilation(store)?;
        Engine::new(&config)
    };
    let directory = tempfile::tempdir_in(at)?;
    let over_disk = || -> Result<(Vec<u8>, u64)> {
        let store = Arc::new(WriteBehind::new(DiskStore::open(directory.path())?));
        let artifact = engine_over(store.clone())?.precompile_module(&subject.wasm)?;
        store.flush();
        Ok((artifact, store.counters().failures))
    };
    let mut times: [Vec<f64>; 4] = Default::default();
    over_disk()?;
    for _ in 0..rounds.max(1) {
        let (plain, ms) = timed(|| Engine::default().precompile_module(&subject.wasm));
        let plain = plain?;
        times[0].push(ms);
        let map = Arc::new(Map::default());
        for again in [1, 2] {
            let (artifact, ms) =
                timed(|| engine_over(map.clone())?.precompile_module(&subject.wasm));
            ensure!(artifact? == plain, "the artifact is another one");
            times[again].push(ms);
        }
        let (result, ms) = timed(over_disk);
        let (artifact, failures) = result?;
        ensure!(
            artifact == plain && failures == 0,
            "the artifact is another one"
        );
        times[3].push(ms);
    }
    let [plain_ms, map_first_ms, map_again_ms, disk_first_ms] =
        times.map(|runs| Figure::of(runs).expect("there is a round"));
    Ok(ForWasmtime {
        name: subject.name.clone(),
        plain_ms,
        map_first_ms,
        map_again_ms,
        disk_first_ms,
    })
}

/// A map in memory, as users of Wasmtime's incremental cache write it.
#[derive(Debug, Default)]
struct Map(Mutex<HashMap<Vec<u8>, Vec<u8>>>);

impl wasmtime::CacheStore for Map {
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        let map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        map.get(key).map(|value| Cow::Owned(value.clone()))
    }

    fn insert(&self, key: &[u8], value: Vec<u8>) -> bool {
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        map.insert(key.to_vec(), value);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_of_some_entries_is_measured() {
        let directory = tempfile::tempdir().unwrap();
        let measured = many_entries(200_000, directory.path(), &mut |_| {}).unwrap();
        assert_eq!(measured.entries, 200_000);
        // How many went with which depends on the machine's speed.
        let insertions = measured.evicting_ms.runs.len() as f64;
        assert!(measured.evicted > 0.0);
        assert!(measured.evicted * insertions + measured.collected as f64 > 100_000.0);
    }
}
