//! Every store of this crate conforms, and so does whatever they are put together to.

use ibid_store::conformance::{check, check_forgetful};
use ibid_store::{
    CacheStore, DiskOptions, DiskStore, MemoryStore, Namespaced, ReadOnly, Tiered, WriteBehind,
    WriteBehindOptions,
};
use std::cell::RefCell;
use std::panic;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// Where stores on disk are, for as long as a test runs.
#[derive(Default)]
struct Directories(RefCell<Vec<TempDir>>);

impl Directories {
    fn disk(&self) -> DiskStore {
        self.small_disk(DiskOptions::DEFAULT_BYTES)
    }

    fn small_disk(&self, max_bytes: u64) -> DiskStore {
        let directory = tempfile::tempdir().unwrap();
        let options = DiskOptions {
            max_bytes,
            ..DiskOptions::default()
        };
        let store = DiskStore::open_with(directory.path(), options).unwrap();
        self.0.borrow_mut().push(directory);
        store
    }
}

fn memory() -> MemoryStore {
    MemoryStore::new()
}

fn namespaced<S: CacheStore>(store: S) -> Namespaced<S> {
    Namespaced::new(store, &[7; 32]).unwrap()
}

fn tiered(tiers: Vec<Arc<dyn CacheStore>>) -> Tiered {
    Tiered::new(tiers)
}

/// Batches so small that several are written during every test.
fn small_batches() -> WriteBehindOptions {
    let mut options = WriteBehindOptions::default();
    options.batch_entries = 7;
    options.batch_bytes = 10_000;
    options.delay = Duration::from_millis(1);
    options
}

#[test]
fn in_memory() {
    check(|| Box::new(memory()));
    check(|| Box::new(MemoryStore::with_capacity_bytes(1 << 30)));
    check(|| Box::new(Arc::new(memory())));
}

#[test]
fn in_bounded_memory() {
    for max_bytes in [0, 100, 1000, 100_000, 10_000_000] {
        check_forgetful(|| Box::new(MemoryStore::with_capacity_bytes(max_bytes)));
    }
}

#[test]
fn on_disk() {
    let directories = Directories::default();
    check(|| Box::new(directories.disk()));
}

#[test]
fn on_a_small_disk() {
    let directories = Directories::default();
    check_forgetful(|| Box::new(directories.small_disk(0)));
    check_forgetful(|| Box::new(directories.small_disk(32 << 20)));
}

#[test]
fn read_only() {
    check_forgetful(|| Box::new(ReadOnly::new(memory())));
}

#[test]
fn in_a_namespace() {
    let directories = Directories::default();
    check(|| Box::new(namespaced(memory())));
    check(|| Box::new(namespaced(namespaced(memory()))));
    check(|| Box::new(namespaced(directories.disk())));
}

#[test]
fn in_the_background() {
    let directories = Directories::default();
    check(|| Box::new(WriteBehind::new(memory())));
    check(|| Box::new(WriteBehind::with_options(memory(), small_batches())));
    check(|| Box::new(WriteBehind::new(directories.disk())));
}

#[test]
fn in_tiers() {
    let directories = Directories::default();
    check_forgetful(|| Box::new(tiered(vec![])));
    check(|| Box::new(tiered(vec![Arc::new(memory())])));
    check(|| Box::new(tiered(vec![Arc::new(memory()), Arc::new(memory())])));
    check(|| {
        Box::new(tiered(vec![
            Arc::new(memory()),
            Arc::new(directories.disk()),
        ]))
    });
    check(|| {
        let forgetful = MemoryStore::with_capacity_bytes(100_000);
        Box::new(tiered(vec![
            Arc::new(forgetful),
            Arc::new(directories.disk()),
            Arc::new(memory()),
        ]))
    });
}

#[test]
fn put_together() {
    let directories = Directories::default();
    let forgetful = || Arc::new(MemoryStore::with_capacity_bytes(100_000));
    check(|| {
        let far = WriteBehind::with_options(directories.disk(), small_batches());
        Box::new(namespaced(tiered(vec![forgetful(), Arc::new(far)])))
    });
    check(|| {
        let tiers = tiered(vec![forgetful(), Arc::new(namespaced(directories.disk()))]);
        Box::new(WriteBehind::with_options(tiers, small_batches()))
    });
    check(|| {
        let inner = tiered(vec![forgetful(), Arc::new(memory())]);
        let empty = Arc::new(ReadOnly::new(memory()));
        Box::new(tiered(vec![empty, Arc::new(inner)]))
    });
}

/// Breaks one rule.
#[derive(Debug)]
struct Broken {
    memory: MemoryStore,
    how: How,
}

#[derive(Debug, Clone, Copy)]
enum How {
    CutsKeys,
    MovesAnswers,
    KeepsTheFirst,
    TakesEverything,
    ChangesLargeValues,
    Forgets,
}

impl CacheStore for Broken {
    fn get(&self, key: &[u8]) -> Option<std::borrow::Cow<'_, [u8]>> {
        let key = match self.how {
            How::CutsKeys => &key[..key.len().min(31)],
            How::TakesEverything if key.is_empty() => b"empty",
            _ => key,
        };
        let mut value = self.memory.get(key)?;
        match self.how {
            How::ChangesLargeValues if value.len() > 1 << 20 => value.to_mut()[1 << 20] ^= 1,
            How::Forgets if key[0] == 7 => return None,
            _ => {}
        }
        Some(value)
    }

    fn insert(&self, key: &[u8], value: Vec<u8>) -> bool {
        match self.how {
            How::CutsKeys => self.memory.insert(&key[..key.len().min(31)], value),
            How::KeepsTheFirst if self.memory.get(key).is_some() => true,
            How::TakesEverything if key.is_empty() => self.memory.insert(b"empty", value),
            _ => self.memory.insert(key, value),
        }
    }

    fn get_many(&self, keys: &[&[u8]]) -> Vec<Option<std::borrow::Cow<'_, [u8]>>> {
        let mut values: Vec<_> = keys.iter().map(|key| self.get(key)).collect();
        if matches!(self.how, How::MovesAnswers) && values.len() > 100 {
            values.swap(3, 57);
        }
        values
    }
}

#[test]
fn broken_stores_do_not_pass() {
    let make = |how| -> Box<dyn CacheStore> {
        let memory = memory();
        Box::new(Broken { memory, how })
    };
    let passes = |how| panic::catch_unwind(|| check(|| make(how))).is_ok();
    let passes_forgetful = |how| panic::catch_unwind(|| check_forgetful(|| make(how))).is_ok();
    for how in [
        How::CutsKeys,
        How::MovesAnswers,
        How::KeepsTheFirst,
        How::TakesEverything,
        How::ChangesLargeValues,
    ] {
        assert!(!passes(how), "{how:?}");
        assert!(!passes_forgetful(how), "{how:?}");
    }
    assert!(!passes(How::Forgets));
    assert!(passes_forgetful(How::Forgets));
}
