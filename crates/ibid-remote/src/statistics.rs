//! What was asked of a remote and what came of it.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What was asked of a remote, and what came of it, since it was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RemoteStatistics {
    /// Requests for lookups: listings and reads; to Redis, batches.
    pub requests: u64,
    /// Bytes that these brought.
    pub bytes_read: u64,
    /// Entries that were found.
    pub hits: u64,
    /// Entries that were not.
    pub misses: u64,
    /// How long lookups waited.
    pub waited: Duration,
    /// Entries that were uploaded, in how many bytes and with how many requests.
    pub uploaded: u64,
    /// Bytes that were uploaded.
    pub bytes_written: u64,
    /// Requests for uploads.
    pub upload_requests: u64,
    /// Entries that were not uploaded: for want of room in the queue, or after a failure.
    pub not_uploaded: u64,
    /// What was refused because of who signed it, or how: descriptors, blocks, values, floors.
    pub refused: u64,
    /// Floors that were older than one seen before, or missing.
    pub replayed: u64,
    /// What was left out because its time is over.
    pub expired: u64,
    /// Objects or values that were damaged or missing.
    pub damaged: u64,
    /// Requests that failed.
    pub failures: u64,
    /// Lookups that ran into the deadline.
    pub late: u64,
    /// Lookups that were not made, because the remote was down or slow just before.
    pub left_out: u64,
    /// The message of the latest failure.
    pub last_failure: Option<String>,
}

/// Counts.
#[derive(Debug, Default)]
pub(crate) struct Counting {
    pub(crate) requests: AtomicU64,
    pub(crate) bytes_read: AtomicU64,
    pub(crate) hits: AtomicU64,
    pub(crate) misses: AtomicU64,
    pub(crate) waited_nanoseconds: AtomicU64,
    pub(crate) uploaded: AtomicU64,
    pub(crate) bytes_written: AtomicU64,
    pub(crate) upload_requests: AtomicU64,
    pub(crate) not_uploaded: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) replayed: AtomicU64,
    pub(crate) expired: AtomicU64,
    pub(crate) damaged: AtomicU64,
    pub(crate) failures: AtomicU64,
    pub(crate) late: AtomicU64,
    pub(crate) left_out: AtomicU64,
    last_failure: Mutex<Option<String>>,
}

/// Counts `more`.
pub(crate) fn count(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

impl Counting {
    /// Counts a failure, and remembers what it was.
    pub(crate) fn fail(&self, what: String) {
        count(&self.failures, 1);
        tracing::warn!("the remote failed: {what}");
        let mut last = self.last_failure.lock();
        let last = last.as_deref_mut().map(|last| *last = Some(what));
        drop(last);
    }

    pub(crate) fn read(&self) -> RemoteStatistics {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let last_failure = self.last_failure.lock();
        RemoteStatistics {
            requests: of(&self.requests),
            bytes_read: of(&self.bytes_read),
            hits: of(&self.hits),
            misses: of(&self.misses),
            waited: Duration::from_nanos(of(&self.waited_nanoseconds)),
            uploaded: of(&self.uploaded),
            bytes_written: of(&self.bytes_written),
            upload_requests: of(&self.upload_requests),
            not_uploaded: of(&self.not_uploaded),
            refused: of(&self.refused),
            replayed: of(&self.replayed),
            expired: of(&self.expired),
            damaged: of(&self.damaged),
            failures: of(&self.failures),
            late: of(&self.late),
            left_out: of(&self.left_out),
            last_failure: last_failure.unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}
