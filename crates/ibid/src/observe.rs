//! What monitoring sees: counters of the [`metrics`] facade.
//!
//! | name | labels | what it counts |
//! |---|---|---|
//! | `ibid_compile_requests_total` | | compiles that ended well |
//! | `ibid_compile_plain_total` | | those that Wasmtime did the plain way |
//! | `ibid_cache_hits_total` | `way`: `artifact`, `exact_body`, `stencil`, `clif`, `duplicate` | functions and trampolines that were found; an artifact counts all of its |
//! | `ibid_cache_misses_total` | | functions and trampolines that were compiled |
//! | `ibid_cache_errors_total` | `kind`: `damaged`, `failed` | entries that were rejected, and operations that the store refused |
//! | `ibid_cache_evictions_total` | | entries that went to make room |
//! | `ibid_cache_reused_bytes_total` | | machine code that was found, in bytes |
//! | `ibid_cache_written_bytes_total` | | what was handed to the store, in bytes |
//! | `ibid_compile_seconds` (histogram) | | from the input to the artifact |
//!
//! Where no recorder is installed, each costs a load and a branch.

use crate::report::{Counts, Report};
use ibid_store::{Counters, Entry};
use std::sync::{Mutex, PoisonError};

/// What was counted of a store so far.
#[derive(Debug, Default)]
pub(crate) struct Observer {
    seen: Mutex<Counters>,
}

impl Observer {
    /// Counts a compile.
    pub(crate) fn compile(&self, report: &Report, writes: &[Entry], store: &Counters) {
        metrics::counter!("ibid_compile_requests_total").increment(1);
        if report.plain.is_some() {
            metrics::counter!("ibid_compile_plain_total").increment(1);
        }
        for counts in [&report.functions, &report.trampolines] {
            count(counts, report.whole_artifact);
        }
        metrics::counter!("ibid_cache_reused_bytes_total").increment(report.code_bytes.reused);
        let written = writes.iter().map(|entry| entry.value.len() as u64).sum();
        metrics::counter!("ibid_cache_written_bytes_total").increment(written);
        metrics::histogram!("ibid_compile_seconds").record(report.time_ms.total / 1e3);
        self.store(store);
    }

    /// Counts what a store has noticed since the last time.
    pub(crate) fn store(&self, now: &Counters) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let since = |now: u64, before: u64| now.saturating_sub(before);
        let damaged = since(now.damaged, seen.damaged);
        metrics::counter!("ibid_cache_errors_total", "kind" => "damaged").increment(damaged);
        let failed = since(now.failures, seen.failures);
        metrics::counter!("ibid_cache_errors_total", "kind" => "failed").increment(failed);
        let evicted = since(now.evicted, seen.evicted);
        metrics::counter!("ibid_cache_evictions_total").increment(evicted);
        seen.clone_from(now);
    }
}

fn count(counts: &Counts, whole_artifact: bool) {
    let exact = if whole_artifact {
        "artifact"
    } else {
        "exact_body"
    };
    for (way, hits) in [
        (exact, counts.exact_body),
        ("stencil", counts.stencil),
        ("clif", counts.clif),
        ("duplicate", counts.duplicates),
    ] {
        metrics::counter!("ibid_cache_hits_total", "way" => way).increment(hits);
    }
    metrics::counter!("ibid_cache_misses_total").increment(counts.compiled);
}
