//! Writing in the background what was inserted one by one.

mod gathered;

use crate::store::{CacheStore, Counters, Entry, Snapshot, is_valid_key};
use gathered::Gathered;
use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// The store `S`, except that insertions are gathered and written in batches by a thread of its
/// own.
///
/// The incremental compilation of Wasmtime and Cranelift inserts functions one by one, and a
/// [`DiskStore`](crate::DiskStore) waits for the disk at each insertion. Through a `WriteBehind`
/// it waits once for a batch, and nobody waits for it.
///
/// - **What is gathered is found** like what is stored. If the process is killed, it is lost.
/// - **A batch is written** as soon as it is full, when its first entry has waited for
///   [`WriteBehindOptions::delay`], at [`WriteBehind::flush`], and when the `WriteBehind` is
///   dropped, which waits for that.
/// - **Memory is bounded.** There are never more than two batches, the one that is gathered and the
///   one that is written, and a copy of the latter. If both are full, insertions wait.
/// - **An insertion answers "stored" when the entry is gathered.** If `S` declines it later, that
///   is seen only in its [`CacheStore::counters`].
///
/// If no thread can be started, then whoever fills a batch writes it.
///
/// ```
/// use ibid_store::{CacheStore, MemoryStore, WriteBehind};
/// use std::sync::Arc;
///
/// let behind = Arc::new(MemoryStore::new());
/// let store = WriteBehind::new(behind.clone());
/// assert!(store.insert(b"key", b"value".to_vec()));
/// assert!(store.get(b"key").is_some());
/// store.flush();
/// assert_eq!(behind.len(), 1);
/// ```
pub struct WriteBehind<S: CacheStore + 'static> {
    shared: Arc<Shared<S>>,
    /// `None` if it could not be started.
    thread: Option<JoinHandle<()>>,
}

/// When a batch is full, and how long it waits to be.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct WriteBehindOptions {
    /// How many entries make a batch. At least 1. The default is 1,024.
    pub batch_entries: usize,
    /// How many bytes of keys and values make a batch. A larger entry is a batch of its own. The
    /// default is 8 MiB.
    pub batch_bytes: usize,
    /// How long an entry waits for others at most, apart from the time that writing takes. The
    /// default is 200 ms.
    pub delay: Duration,
}

impl Default for WriteBehindOptions {
    fn default() -> Self {
        WriteBehindOptions {
            batch_entries: 1024,
            batch_bytes: 8 << 20,
            delay: Duration::from_millis(200),
        }
    }
}

impl<S: CacheStore + 'static> WriteBehind<S> {
    /// Writes behind to `store`, with default options.
    pub fn new(store: S) -> Self {
        Self::with_options(store, WriteBehindOptions::default())
    }

    /// Writes behind to `store`.
    pub fn with_options(store: S, options: WriteBehindOptions) -> Self {
        let shared = Arc::new(Shared::new(store, options));
        let thread = thread::Builder::new()
            .name("ibid-write-behind".into())
            .spawn({
                let shared = shared.clone();
                move || shared.write_in_background()
            })
            .inspect_err(|error| tracing::warn!("cannot write behind: {error}"));
        shared.lock().has_writer &= thread.is_ok();
        WriteBehind {
            shared,
            thread: thread.ok(),
        }
    }

    /// Writes all that was inserted before, and waits until it is written.
    ///
    /// If there is nothing to be written, `S` is given an empty batch: a store may take the
    /// occasion to note which of its entries were in use.
    pub fn flush(&self) {
        self.shared.flush();
    }

    /// The store that is written to.
    pub fn store(&self) -> &S {
        &self.shared.store
    }
}

impl<S: CacheStore> CacheStore for WriteBehind<S> {
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        // In this order: what is not gathered any more is stored.
        if let Some(value) = self.shared.gathered_value(key) {
            return Some(Cow::Owned(value));
        }
        self.shared.store.get(key)
    }

    /// Gathers `value`. Waits if two batches are full.
    fn insert(&self, key: &[u8], value: Vec<u8>) -> bool {
        is_valid_key(key) && {
            self.shared.insert(key, value);
            true
        }
    }

    fn get_many(&self, keys: &[&[u8]]) -> Vec<Option<Cow<'_, [u8]>>> {
        let gathered: Vec<_> = {
            let state = self.shared.lock();
            let value = |key: &&[u8]| state.gathered.get(key).map(|value| value.to_vec());
            keys.iter().map(value).collect()
        };
        let values = gathered.into_iter().map(|value| value.map(Cow::Owned));
        look_up_lacking(values.collect(), keys, |keys| {
            self.shared.store.get_many(keys)
        })
    }

    /// Gathers `entries`. An empty batch is passed on at once.
    fn insert_many(&self, entries: Vec<Entry>) -> usize {
        if entries.is_empty() {
            return self.shared.store.insert_many(entries);
        }
        entries
            .into_iter()
            .filter_map(|entry| self.insert(&entry.key, entry.value).then_some(()))
            .count()
    }

    fn snapshot(&self) -> Box<dyn Snapshot + '_> {
        // In this order: what is not gathered any more is stored.
        let gathered = self.shared.lock().gathered.clone();
        Box::new(WriteBehindSnapshot {
            gathered,
            snapshot: self.shared.store.snapshot(),
        })
    }

    /// Whether `S` is. What is gathered has not been anywhere but in this process's memory.
    fn is_checked(&self) -> bool {
        self.shared.store.is_checked()
    }

    fn counters(&self) -> Counters {
        self.shared.store.counters()
    }
}

impl<S: CacheStore> Drop for WriteBehind<S> {
    fn drop(&mut self) {
        self.shared.close();
        if let Some(thread) = self.thread.take() {
            // If the thread has panicked, then the store has, and the panic was reported.
            drop(thread.join());
        }
        self.shared.flush();
    }
}

impl<S: CacheStore> fmt::Debug for WriteBehind<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteBehind")
            .field("store", &self.shared.store)
            .field("options", &self.shared.options)
            .finish_non_exhaustive()
    }
}

/// What the thread and those that insert have in common.
struct Shared<S> {
    store: S,
    options: WriteBehindOptions,
    state: Mutex<State>,
    /// Something to do for the thread.
    work: Condvar,
    /// A batch was begun or finished.
    progress: Condvar,
}

struct State {
    gathered: Gathered,
    /// Whether the thread is running. If it is not, those that insert write.
    has_writer: bool,
    /// Whether somebody waits for the room of the batch that is gathered.
    is_room_wanted: bool,
    is_closing: bool,
}

impl<S: CacheStore> Shared<S> {
    fn new(store: S, options: WriteBehindOptions) -> Self {
        Shared {
            store,
            options,
            state: Mutex::new(State {
                gathered: Gathered::default(),
                has_writer: true,
                is_room_wanted: false,
                is_closing: false,
            }),
            work: Condvar::new(),
            progress: Condvar::new(),
        }
    }

    fn gathered_value(&self, key: &[u8]) -> Option<Vec<u8>> {
        let value = self.lock().gathered.get(key)?.clone();
        // Copied without the lock.
        Some(value.to_vec())
    }

    /// Gathers an entry, as soon as there is room for it.
    fn insert(&self, key: &[u8], value: Vec<u8>) {
        let mut state = self.lock();
        while !self.has_room(&state, key.len() + value.len()) {
            state = self.make_room(state);
        }
        let was_empty = state.gathered.pending().is_empty();
        state.gathered.insert(key, value);
        if self.is_full(&state) && !state.has_writer {
            drop(self.write_pending(state));
        } else if was_empty || self.is_full(&state) {
            self.work.notify_one();
        }
    }

    fn make_room<'s>(&'s self, mut state: MutexGuard<'s, State>) -> MutexGuard<'s, State> {
        if state.has_writer {
            state.is_room_wanted = true;
            self.work.notify_one();
            self.wait_for_progress(state)
        } else {
            self.write_pending(state)
        }
    }

    fn has_room(&self, state: &State, bytes: usize) -> bool {
        let pending = state.gathered.pending();
        pending.is_empty()
            || (!self.is_full(state)
                && pending.bytes().saturating_add(bytes) <= self.options.batch_bytes)
    }

    fn is_full(&self, state: &State) -> bool {
        let pending = state.gathered.pending();
        pending.len() >= self.options.batch_entries.max(1)
            || pending.bytes() >= self.options.batch_bytes
    }

    /// Writes batches as they become due, until the `WriteBehind` is dropped.
    fn write_in_background(&self) {
        let _gone = WriterGone(self);
        let mut state = self.lock();
        while !state.is_closing {
            state = match self.time_until_due(&state) {
                None => self.wait(&self.work, state),
                Some(Duration::ZERO) => self.write_pending(state),
                Some(time) => {
                    let waited = self.work.wait_timeout(state, time);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// How long the batch that is gathered may wait still; `None` if there is nothing in it.
    fn time_until_due(&self, state: &State) -> Option<Duration> {
        let since = state.gathered.pending().since()?;
        let is_due = state.is_room_wanted || self.is_full(state);
        Some(match is_due {
            true => Duration::ZERO,
            false => self.options.delay.saturating_sub(since.elapsed()),
        })
    }

    fn flush(&self) {
        let mut state = self.lock();
        while state.gathered.is_writing() {
            state = self.wait_for_progress(state);
        }
        if state.gathered.pending().is_empty() {
            drop(state);
            self.store.insert_many(vec![]);
        } else {
            drop(self.write_pending(state));
        }
    }

    /// Writes the batch that is gathered, after the one that is being written.
    fn write_pending<'s>(&'s self, mut state: MutexGuard<'s, State>) -> MutexGuard<'s, State> {
        while state.gathered.is_writing() {
            state = self.wait_for_progress(state);
        }
        if state.gathered.pending().is_empty() {
            return state;
        }
        let batch = state.gathered.begin();
        state.is_room_wanted = false;
        drop(state);
        self.progress.notify_all();
        {
            let _finish = Finish(self);
            self.store.insert_many(batch.to_entries());
        }
        self.lock()
    }

    fn close(&self) {
        self.lock().is_closing = true;
        self.work.notify_one();
    }
}

impl<S> Shared<S> {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_for_progress<'s>(&self, state: MutexGuard<'s, State>) -> MutexGuard<'s, State> {
        self.wait(&self.progress, state)
    }

    fn wait<'s>(&self, on: &Condvar, state: MutexGuard<'s, State>) -> MutexGuard<'s, State> {
        on.wait(state).unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the writing of a batch, also when the store panics.
struct Finish<'s, S>(&'s Shared<S>);

impl<S> Drop for Finish<'_, S> {
    fn drop(&mut self) {
        self.0.lock().gathered.finish();
        self.0.progress.notify_all();
    }
}

/// Has those that insert write, once the thread is gone.
struct WriterGone<'s, S>(&'s Shared<S>);

impl<S> Drop for WriterGone<'_, S> {
    fn drop(&mut self) {
        self.0.lock().has_writer = false;
        self.0.progress.notify_all();
    }
}

/// What was gathered, over what was stored.
struct WriteBehindSnapshot<'s> {
    gathered: Gathered,
    snapshot: Box<dyn Snapshot + 's>,
}

impl WriteBehindSnapshot<'_> {
    fn gathered_value(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        let value = self.gathered.get(key)?;
        Some(Cow::Borrowed(value.as_slice()))
    }
}

impl Snapshot for WriteBehindSnapshot<'_> {
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        self.gathered_value(key).or_else(|| self.snapshot.get(key))
    }

    fn get_many(&self, keys: &[&[u8]]) -> Vec<Option<Cow<'_, [u8]>>> {
        let gathered = keys.iter().map(|key| self.gathered_value(key)).collect();
        look_up_lacking(gathered, keys, |keys| self.snapshot.get_many(keys))
    }
}

/// Fills in with `look_up` those of the `values` of `keys` that are lacking.
fn look_up_lacking<'v>(
    mut values: Vec<Option<Cow<'v, [u8]>>>,
    keys: &[&[u8]],
    look_up: impl FnOnce(&[&[u8]]) -> Vec<Option<Cow<'v, [u8]>>>,
) -> Vec<Option<Cow<'v, [u8]>>> {
    let is_lacking = |(_, value): &(_, &Option<_>)| value.is_none();
    let of_lacking = keys.iter().zip(&values).filter(is_lacking);
    let asked: Vec<_> = of_lacking.map(|(key, _)| *key).collect();
    if !asked.is_empty() {
        let lacking = values.iter_mut().filter(|value| value.is_none());
        for (value, found) in lacking.zip(look_up(&asked)) {
            *value = found;
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryStore;
    use std::sync::mpsc::{self, Receiver, SyncSender};
    use std::time::Instant;

    const NEVER: Duration = Duration::from_secs(1 << 20);
    const LONG: Duration = Duration::from_secs(60);

    fn options(batch_entries: usize, batch_bytes: usize, delay: Duration) -> WriteBehindOptions {
        WriteBehindOptions {
            batch_entries,
            batch_bytes,
            delay,
        }
    }

    /// Announces each batch, and stores it when it is let to.
    #[derive(Debug)]
    struct Gated {
        memory: MemoryStore,
        announce: SyncSender<usize>,
        gate: Mutex<Receiver<()>>,
    }

    impl CacheStore for Gated {
        fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
            self.memory.get(key)
        }

        fn insert(&self, _: &[u8], _: Vec<u8>) -> bool {
            panic!("entries should come in batches");
        }

        fn insert_many(&self, entries: Vec<Entry>) -> usize {
            self.announce.send(entries.len()).unwrap();
            self.gate.lock().unwrap().recv().unwrap();
            self.memory.insert_many(entries)
        }
    }

    fn gated() -> (Gated, Receiver<usize>, SyncSender<()>) {
        let (announce, announced) = mpsc::sync_channel(100);
        let (open, gate) = mpsc::sync_channel(100);
        let store = Gated {
            memory: MemoryStore::new(),
            announce,
            gate: Mutex::new(gate),
        };
        (store, announced, open)
    }

    fn wait_until(condition: impl Fn() -> bool) {
        let begun = Instant::now();
        while !condition() {
            assert!(begun.elapsed() < LONG);
            thread::yield_now();
        }
    }

    #[test]
    fn a_full_batch_is_written() {
        let memory = Arc::new(MemoryStore::new());
        let store = WriteBehind::with_options(memory.clone(), options(3, 1 << 20, NEVER));
        store.insert(b"a", vec![1]);
        store.insert(b"b", vec![2]);
        thread::sleep(Duration::from_millis(20));
        assert!(memory.is_empty());
        store.insert(b"c", vec![3]);
        wait_until(|| memory.len() == 3);

        let large = WriteBehind::with_options(memory.clone(), options(100, 1000, NEVER));
        large.insert(b"d", vec![0; 2000]);
        wait_until(|| memory.len() == 4);
        // What does not fit any more does not wait for the delay either.
        large.insert(b"e", vec![0; 600]);
        large.insert(b"f", vec![0; 600]);
        wait_until(|| memory.len() == 5);
    }

    #[test]
    fn a_batch_does_not_wait_forever() {
        let memory = Arc::new(MemoryStore::new());
        let delay = Duration::from_millis(10);
        let store = WriteBehind::with_options(memory.clone(), options(100, 1 << 20, delay));
        for len in 1..4 {
            store.insert(&[len as u8], vec![1]);
            wait_until(|| memory.len() == len);
        }
    }

    #[test]
    fn flushing_and_dropping_write() {
        let memory = Arc::new(MemoryStore::new());
        let store = WriteBehind::with_options(memory.clone(), options(100, 1 << 20, NEVER));
        store.insert(b"a", vec![1]);
        store.flush();
        assert_eq!(memory.len(), 1);
        store.insert(b"b", vec![2]);
        drop(store);
        assert_eq!(memory.len(), 2);
    }

    #[test]
    fn what_is_gathered_or_being_written_is_found() {
        let (store, announced, open) = gated();
        let store = WriteBehind::with_options(store, options(2, 1 << 20, NEVER));
        store.insert(b"a", vec![1]);
        store.insert(b"b", vec![2]);
        assert_eq!(announced.recv_timeout(LONG), Ok(2));
        store.insert(b"b", vec![3]);
        assert!(store.store().memory.is_empty());

        let expected = [Some(&[1][..]), None, Some(&[3])];
        let keys: [&[u8]; 3] = [b"a", b"c", b"b"];
        let snapshot = store.snapshot();
        for found in [store.get_many(&keys), snapshot.get_many(&keys)] {
            assert!(found.iter().map(Option::as_deref).eq(expected));
        }
        assert_eq!(store.get(b"b").as_deref(), Some(&[3][..]));
        store.insert(b"a", vec![4]);
        assert!(matches!(snapshot.get(b"a"), Some(Cow::Borrowed([1]))));
        drop(snapshot);

        // The two batches, what the flush finds to do, and what dropping does.
        for _ in 0..4 {
            open.send(()).unwrap();
        }
        store.flush();
        assert_eq!(store.store().memory.get(b"a").as_deref(), Some(&[4][..]));
        assert_eq!(store.store().memory.get(b"b").as_deref(), Some(&[3][..]));
    }

    #[test]
    fn insertions_wait_when_two_batches_are_full() {
        let (store, announced, open) = gated();
        let store = WriteBehind::with_options(store, options(2, 1 << 20, NEVER));
        thread::scope(|scope| {
            let inserting = scope.spawn(|| {
                for number in 0..5 {
                    store.insert(&[number], vec![number]);
                }
            });
            assert_eq!(announced.recv_timeout(LONG), Ok(2));
            thread::sleep(Duration::from_millis(50));
            assert!(!inserting.is_finished());
            assert_eq!(store.shared.lock().gathered.pending().len(), 2);
            open.send(()).unwrap();
            assert_eq!(announced.recv_timeout(LONG), Ok(2));
            wait_until(|| inserting.is_finished());
        });
        // The second batch, and the entry that is left.
        for _ in 0..2 {
            open.send(()).unwrap();
        }
        drop(store);
    }

    #[test]
    fn without_a_thread_those_that_insert_write() {
        let shared = Arc::new(Shared::new(MemoryStore::new(), options(2, 1000, NEVER)));
        shared.lock().has_writer = false;
        let store = WriteBehind {
            shared,
            thread: None,
        };
        for number in 0..3 {
            assert!(store.insert(&[number], vec![number]));
        }
        assert_eq!(store.store().len(), 2);
        store.insert(b"large", vec![0; 999]);
        assert_eq!(store.store().len(), 4);
        store.flush();
        for number in 0..3 {
            assert_eq!(store.get(&[number]).as_deref(), Some(&[number][..]));
        }
    }

    #[test]
    fn a_store_that_panics_holds_nobody_up() {
        #[derive(Debug)]
        struct Panicking;

        impl CacheStore for Panicking {
            fn get(&self, _: &[u8]) -> Option<Cow<'_, [u8]>> {
                None
            }

            fn insert(&self, _: &[u8], _: Vec<u8>) -> bool {
                panic!("to be expected: a test of what happens then");
            }
        }

        let store = WriteBehind::with_options(Panicking, options(1, 1000, NEVER));
        store.insert(b"a", vec![1]);
        wait_until(|| !store.shared.lock().has_writer);
        assert_eq!(store.get(b"a"), None);
        store.flush();
    }

    #[test]
    fn an_empty_batch_is_passed_on() {
        let (store, announced, open) = gated();
        for _ in 0..3 {
            open.send(()).unwrap();
        }
        let store = WriteBehind::new(store);
        assert_eq!(store.insert_many(vec![]), 0);
        store.flush();
        drop(store);
        assert_eq!(announced.iter().collect::<Vec<_>>(), [0, 0, 0]);
    }
}
