//! Keeping count of what was evicted and what went wrong.

use crate::store::Counters;
use std::fmt::Display;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// What was evicted and went wrong so far in one handle.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    damaged: AtomicU64,
    evicted: AtomicU64,
    failures: AtomicU64,
    last_failure: Mutex<Option<String>>,
}

impl Trouble {
    /// A lookup met a damaged entry.
    pub(super) fn damaged(&self) {
        self.damaged.fetch_add(1, Ordering::Relaxed);
    }

    /// Entries were removed to make room.
    pub(super) fn evicted(&self, entries: u64) {
        self.evicted.fetch_add(entries, Ordering::Relaxed);
    }

    /// An operation on the store at `path` failed. Only the first time it is worth a warning: a
    /// store that is out of order fails thousands of times in a build.
    pub(super) fn failed(&self, path: &Path, operation: &str, error: &dyn Display) {
        let message = format!("cannot {operation}: {error}");
        if self.failures.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::warn!("the cache at {} fails: {message}", path.display());
        }
        *self.lock() = Some(message);
    }

    pub(super) fn counters(&self) -> Counters {
        Counters {
            evicted: self.evicted.load(Ordering::Relaxed),
            damaged: self.damaged.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
            last_failure: self.lock().clone(),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.last_failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_keeps_the_last_message() {
        let trouble = Trouble::default();
        assert_eq!(trouble.counters(), Counters::default());
        trouble.damaged();
        trouble.evicted(3);
        trouble.failed(Path::new("x"), "read", &"first");
        trouble.failed(Path::new("x"), "write", &"second");
        let expected = Counters {
            evicted: 3,
            damaged: 1,
            failures: 2,
            last_failure: Some("cannot write: second".to_owned()),
        };
        assert_eq!(trouble.counters(), expected);
    }
}
