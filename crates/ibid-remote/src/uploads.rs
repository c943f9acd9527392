//! The queue of what is to be uploaded.

use crate::objects::Failed;
use crate::remote::{Batch, Remote};
use crate::statistics::{Counting, count};
use ibid_store::Entry;
use std::mem::size_of;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// Single insertions make a batch when there are so many.
const GATHERED: usize = 1024;

/// No upload of a batch takes longer than this: one that does has failed.
const LONGEST_UPLOAD: Duration = Duration::from_secs(5 * 60);

/// What is to be uploaded: one batch after the other, in the background.
pub(crate) struct Uploads {
    remote: Arc<dyn Remote>,
    counting: Arc<Counting>,
    runtime: Handle,
    most_bytes: u64,
    state: Mutex<State>,
    progress: Condvar,
}

#[derive(Default)]
struct State {
    gathered: Vec<Entry>,
    /// Batches that wait, and what is uploaded right now.
    waiting: std::collections::VecDeque<Batch>,
    queued_bytes: u64,
    is_running: bool,
}

impl Uploads {
    pub(crate) fn new(
        remote: Arc<dyn Remote>,
        counting: Arc<Counting>,
        runtime: Handle,
        most_bytes: u64,
    ) -> Uploads {
        Uploads {
            remote,
            counting,
            runtime,
            most_bytes,
            state: Mutex::default(),
            progress: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes one entry, to go with the next ones. Says whether there was room.
    pub(crate) fn gather(self: &Arc<Self>, entry: Entry) -> bool {
        let mut state = self.lock();
        if !self.has_room(&mut state, bytes(&entry)) {
            return false;
        }
        state.gathered.push(entry);
        if state.gathered.len() >= GATHERED {
            self.enqueue(state);
        }
        true
    }

    /// Takes `entries`, and begins to upload them and what is gathered. Says how many there was
    /// room for.
    pub(crate) fn add(self: &Arc<Self>, entries: Vec<Entry>) -> usize {
        let mut state = self.lock();
        let mut taken = 0;
        for entry in entries {
            if self.has_room(&mut state, bytes(&entry)) {
                state.gathered.push(entry);
                taken += 1;
            }
        }
        self.enqueue(state);
        taken
    }

    fn has_room(&self, state: &mut State, bytes: u64) -> bool {
        let has_room = state.queued_bytes + bytes <= self.most_bytes;
        match has_room {
            true => state.queued_bytes += bytes,
            false => count(&self.counting.not_uploaded, 1),
        }
        has_room
    }

    /// Makes a batch of what is gathered.
    fn enqueue(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        if state.gathered.is_empty() {
            return;
        }
        let entries = std::mem::take(&mut state.gathered);
        let known = self.remote.known();
        state.waiting.push_back(Batch { entries, known });
        if !state.is_running {
            state.is_running = true;
            let uploads = self.clone();
            self.runtime.spawn(async move { uploads.run().await });
        }
    }

    async fn run(self: Arc<Self>) {
        // Also when a remote panics, nobody waits for ever.
        let stopped = Stopped(&self);
        loop {
            let batch = {
                let mut state = self.lock();
                let Some(batch) = state.waiting.pop_front() else {
                    state.is_running = false;
                    self.progress.notify_all();
                    // It has been said. From here on another may run.
                    std::mem::forget(stopped);
                    return;
                };
                batch
            };
            let entries = batch.entries.len() as u64;
            let size: u64 = batch.entries.iter().map(bytes).sum();
            let upload = self.remote.clone().upload(batch);
            let result = tokio::time::timeout(LONGEST_UPLOAD, upload).await;
            let result = result.unwrap_or_else(|_| {
                let seconds = LONGEST_UPLOAD.as_secs();
                Err(Failed::refused(format!("an upload took over {seconds} s")))
            });
            if let Err(failed) = result {
                count(&self.counting.not_uploaded, entries);
                self.counting.fail(failed.to_string());
            }
            self.lock().queued_bytes -= size;
        }
    }

    /// Uploads what is gathered, and waits until nothing is left, or for so long. Says whether
    /// nothing is left.
    pub(crate) fn flush(self: &Arc<Self>, most: Option<Duration>) -> bool {
        self.enqueue(self.lock());
        let end = most.map(|most| Instant::now() + most);
        let mut state = self.lock();
        while state.is_running {
            let Some(end) = end else {
                let waited = self.progress.wait(state);
                state = waited.unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.progress.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

/// Says that nothing is uploaded any more.
struct Stopped<'u>(&'u Uploads);

impl Drop for Stopped<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.is_running = false;
        self.0.progress.notify_all();
    }
}

/// About what an entry takes in memory.
fn bytes(entry: &Entry) -> u64 {
    (entry.key.len() + entry.value.len() + size_of::<Entry>()) as u64
}
