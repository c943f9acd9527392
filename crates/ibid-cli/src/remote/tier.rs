//! A remote behind the local cache.

use crate::{human, warn};
use ibid_remote::{RemoteStatistics, RemoteStore};
use ibid_store::{CacheStore, Tiered};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

/// A remote, or none.
#[derive(Default)]
pub(crate) struct Remote(Option<(Arc<RemoteStore>, Duration)>);

impl Remote {
    pub(crate) fn new(store: Arc<RemoteStore>, deadline: Duration) -> Remote {
        Remote(Some((store, deadline)))
    }

    fn store(&self) -> Option<&RemoteStore> {
        self.0.as_ref().map(|(store, _)| &**store)
    }

    /// `near` with the remote behind it, and whether what is stored outlives the command.
    pub(crate) fn behind(
        &self,
        near: Arc<dyn CacheStore>,
        outlives: bool,
    ) -> (Arc<dyn CacheStore>, bool) {
        match &self.0 {
            None => (near, outlives),
            Some((far, _)) => (Arc::new(Tiered::new(vec![near, far.clone()])), true),
        }
    }

    /// Uploads what was compiled, now that the artifact is written: to the end, or for no longer
    /// than the deadline.
    pub(crate) fn finish(&self, wait: bool) {
        let Some((store, deadline)) = &self.0 else {
            return;
        };
        let done = store.flush((!wait).then_some(*deadline));
        let statistics = store.statistics();
        if !done {
            warn(
                "not all that was compiled could be uploaded in time; `--wait-upload` waits for it",
            );
        } else if statistics.not_uploaded > 0 {
            let reason = statistics.last_failure.as_deref();
            warn(format!(
                "{} entries were not uploaded: {}",
                statistics.not_uploaded,
                reason.unwrap_or("they were too many or too large")
            ));
        }
    }

    /// What came of it, for people.
    pub(crate) fn lines(&self) -> String {
        let Some(store) = self.store() else {
            return String::new();
        };
        let statistics = store.statistics();
        let mut out = String::new();
        // Writing to a string does not fail.
        let _ = writeln!(
            out,
            "  remote       {} of {} entries found with {} requests, {} in {:.0} ms",
            human::number(statistics.hits),
            human::number(statistics.hits + statistics.misses),
            statistics.requests,
            human::bytes(statistics.bytes_read),
            statistics.waited.as_secs_f64() * 1e3,
        );
        if statistics.uploaded > 0 {
            let _ = writeln!(
                out,
                "  upload       {} entries, {}",
                human::number(statistics.uploaded),
                human::bytes(statistics.bytes_written),
            );
        }
        for (count, what) in [
            (statistics.refused, "refused: not signed by who is trusted"),
            (statistics.replayed, "refused: an older state of the remote"),
            (statistics.damaged, "damaged or missing"),
            (statistics.late, "lookups ran into the deadline"),
            (
                statistics.left_out,
                "lookups not made: the remote was down or slow",
            ),
        ] {
            if count > 0 {
                let _ = writeln!(out, "  remote       {} {what}", human::number(count));
            }
        }
        out
    }

    /// What came of it, for machines.
    pub(crate) fn json(&self) -> Option<serde_json::Value> {
        let statistics = self.store()?.statistics();
        Some(json(&statistics))
    }
}

fn json(statistics: &RemoteStatistics) -> serde_json::Value {
    serde_json::json!({
        "requests": statistics.requests,
        "bytes_read": statistics.bytes_read,
        "hits": statistics.hits,
        "misses": statistics.misses,
        "waited_ms": statistics.waited.as_secs_f64() * 1e3,
        "uploaded": statistics.uploaded,
        "bytes_written": statistics.bytes_written,
        "upload_requests": statistics.upload_requests,
        "not_uploaded": statistics.not_uploaded,
        "refused": statistics.refused,
        "replayed": statistics.replayed,
        "expired": statistics.expired,
        "damaged": statistics.damaged,
        "failures": statistics.failures,
        "late": statistics.late,
        "left_out": statistics.left_out,
        "last_failure": statistics.last_failure,
    })
}
