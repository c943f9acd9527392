//! How far a compile is, for whoever shows it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How far a compile is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Functions that were compiled so far.
    pub compiled: u64,
    /// Functions that have to be compiled.
    pub total: u64,
}

/// Called after every function that was compiled, from whichever thread compiled it.
#[derive(Clone)]
pub struct ProgressCallback(Arc<dyn Fn(Progress) + Send + Sync>);

impl ProgressCallback {
    /// Wraps `callback`, which should return soon.
    pub fn new(callback: impl Fn(Progress) + Send + Sync + 'static) -> ProgressCallback {
        ProgressCallback(Arc::new(callback))
    }
}

impl fmt::Debug for ProgressCallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProgressCallback")
    }
}

/// Counts what one compile has compiled.
pub(crate) struct Counter<'c> {
    callback: Option<&'c ProgressCallback>,
    compiled: AtomicU64,
    total: u64,
}

impl<'c> Counter<'c> {
    pub(crate) fn new(callback: Option<&'c ProgressCallback>, total: usize) -> Counter<'c> {
        Counter {
            callback,
            compiled: AtomicU64::new(0),
            total: total as u64,
        }
    }

    /// One more function was compiled.
    pub(crate) fn step(&self) {
        let compiled = self.compiled.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(ProgressCallback(callback)) = self.callback {
            callback(Progress {
                compiled,
                total: self.total,
            });
        }
    }
}
