//! Writing behind: what a compile found out goes to the store after the artifact has
//! been handed over, on a thread of its own.

use ibid_store::{CacheStore, Entry};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

/// Writes batches to a store, one transaction a batch, in the background.
#[derive(Debug)]
pub(crate) struct Writer {
    store: Arc<dyn CacheStore>,
    pending: Arc<Pending>,
    thread: Mutex<Option<Background>>,
}

/// The thread that writes, and the way to it.
type Background = (Sender<Vec<Entry>>, JoinHandle<()>);

/// How many batches are not written yet.
#[derive(Debug, Default)]
struct Pending {
    batches: Mutex<usize>,
    done: Condvar,
}

impl Writer {
    pub(crate) fn new(store: Arc<dyn CacheStore>) -> Writer {
        Writer {
            store,
            pending: Arc::default(),
            thread: Mutex::default(),
        }
    }

    /// Writes `batch` now. Says how many entries the store took.
    ///
    /// An empty batch is written too: a store may take the occasion to note which of
    /// its entries were in use.
    pub(crate) fn write(&self, batch: Vec<Entry>) -> usize {
        self.store.insert_many(batch)
    }

    /// Writes `batch` soon. When no thread can be had, it is written now.
    pub(crate) fn write_behind(&self, batch: Vec<Entry>) {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if thread.is_none() {
            *thread = self.spawn();
        }
        match &*thread {
            Some((sender, _)) => {
                self.pending.add();
                if let Err(mpsc::SendError(batch)) = sender.send(batch) {
                    self.pending.finish();
                    self.write(batch);
                }
            }
            None => drop(self.write(batch)),
        }
    }

    fn spawn(&self) -> Option<Background> {
        let (sender, receiver) = mpsc::channel::<Vec<Entry>>();
        let (store, pending) = (self.store.clone(), self.pending.clone());
        let thread = std::thread::Builder::new()
            .name("ibid-writer".into())
            .spawn(move || {
                for batch in receiver {
                    let _finish = Finish(&pending);
                    store.insert_many(batch);
                }
            });
        Some((sender, thread.ok()?))
    }

    /// Waits until every batch is written.
    pub(crate) fn flush(&self) {
        let mut batches = self.pending.lock();
        while *batches > 0 {
            batches = self
                .pending
                .done
                .wait(batches)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let thread = self
            .thread
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some((sender, thread)) = thread {
            drop(sender);
            // A store that panicked has been reported by the panic; there is nobody
            // left to tell.
            drop(thread.join());
        }
    }
}

/// Counts a batch as finished, also when the store panics.
struct Finish<'p>(&'p Pending);

impl Drop for Finish<'_> {
    fn drop(&mut self) {
        self.0.finish();
    }
}

impl Pending {
    fn lock(&self) -> std::sync::MutexGuard<'_, usize> {
        self.batches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self) {
        *self.lock() += 1;
    }

    fn finish(&self) {
        *self.lock() -= 1;
        self.done.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ibid_store::MemoryStore;

    #[test]
    fn what_was_written_behind_is_there_after_a_flush() {
        let store = Arc::new(MemoryStore::default());
        let writer = Writer::new(store.clone());
        for i in 0..100u8 {
            writer.write_behind(vec![Entry {
                key: vec![i],
                value: vec![i; 3],
            }]);
        }
        writer.flush();
        assert!((0..100u8).all(|i| store.get(&[i]).as_deref() == Some(&[i; 3][..])));
    }

    #[test]
    fn dropping_the_writer_writes_first() {
        let store = Arc::new(MemoryStore::default());
        let writer = Writer::new(store.clone());
        writer.write_behind(vec![Entry {
            key: vec![1],
            value: vec![2],
        }]);
        drop(writer);
        assert_eq!(store.get(&[1]).as_deref(), Some(&[2][..]));
    }
}
