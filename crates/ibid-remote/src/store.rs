//! [`RemoteStore`]: a remote as a store.

use crate::location::{self, LocationError, Place};
use crate::objects::{Failed, Objects};
use crate::options::RemoteOptions;
use crate::packed::Packed;
use crate::patience::{self, Patience};
use crate::remote::{LONGEST_REQUEST, Remote, Shared, Wanted, now};
use crate::statistics::{Counting, RemoteStatistics, count};
use crate::uploads::Uploads;
use ibid_store::{CacheStore, Counters, Entry, MAX_KEY_BYTES};
use opendal::Operator;
use opendal::layers::TimeoutLayer;
use std::borrow::Cow;
use std::fmt;
use std::io;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// Why a remote cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The URL leads nowhere.
    #[error(transparent)]
    Location(#[from] LocationError),
    /// No thread can be had.
    #[error("no threads for the remote")]
    Threads(#[from] io::Error),
}

/// A remote, shared by many machines, as a store: the farthest of [tiers](ibid_store::Tiered).
///
/// - **Lookups** of a build take no longer than its [deadline](RemoteOptions::deadline), all
///   together; what is not found by then is a miss. After a failure the remote is left alone: for
///   30 s, then twice as long each time, up to 10 minutes. A failure is a request that was not
///   answered, or a lookup that ran into the deadline.
/// - **Insertions** are queued, and uploaded in the background. They count as stored when they
///   are queued. A single one waits for others, and goes with the next batch or at
///   [`flush`](Self::flush).
/// - **What is found is authenticated** ([`Trust`](crate::Trust)) and compared with its digest.
///
/// Dropping it waits for nothing: what is not uploaded is lost, unless `flush` was called.
///
/// # Threads
///
/// It has two threads of its own, and can be used from any thread, also from one that runs
/// asynchronous tasks; lookups block.
pub struct RemoteStore {
    url: String,
    /// Always there until it is dropped.
    runtime: Option<Runtime>,
    pub(crate) remote: Arc<dyn Remote>,
    pub(crate) backend: Backend,
    shared: Arc<Shared>,
    uploads: Arc<Uploads>,
    patience: Mutex<Patience>,
    shares: fn(&[u8]) -> bool,
}

/// What kind of remote it is.
#[derive(Clone)]
pub(crate) enum Backend {
    Packed(Arc<Packed>),
    #[cfg(feature = "redis")]
    Redis(Arc<crate::redis_values::RedisValues>),
    #[cfg(feature = "memcached")]
    Single(Arc<crate::single_values::SingleValues>),
}

impl RemoteStore {
    /// The remote at `url` ([what URLs there are](crate#urls)). Nothing is asked yet.
    ///
    /// # Errors
    ///
    /// If the URL leads nowhere, or no threads can be had. A remote that does not answer is no
    /// error; it is slow at first, and then not asked.
    pub fn open(url: &str, options: RemoteOptions) -> Result<RemoteStore, OpenError> {
        let place = location::place(url)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("ibid-remote")
            .enable_all()
            .build()?;
        let counting = Arc::new(Counting::default());
        let shared = Arc::new(Shared::new(&options, counting.clone()));
        let timed = |operator: Operator| {
            let layer = TimeoutLayer::new();
            let layer = layer.with_timeout(LONGEST_REQUEST);
            operator.layer(layer.with_io_timeout(LONGEST_REQUEST))
        };
        let backend = match place {
            Place::Objects(operator) => {
                let objects = Objects::new(timed(operator), counting.clone());
                Backend::Packed(Arc::new(Packed::new(objects, shared.clone())))
            }
            #[cfg(feature = "redis")]
            Place::Redis { client, prefix } => {
                let values = crate::redis_values::RedisValues::new(client, prefix, shared.clone());
                Backend::Redis(Arc::new(values))
            }
            #[cfg(feature = "memcached")]
            Place::Values(operator) => {
                Backend::Single(Arc::new(crate::single_values::SingleValues {
                    operator: timed(operator),
                    shared: shared.clone(),
                }))
            }
        };
        let remote = backend.remote();
        let most = options.max_queued_bytes;
        let handle = runtime.handle().clone();
        let uploads = Uploads::new(remote.clone(), counting, handle, most);
        Ok(RemoteStore {
            url: location::without_secrets(url),
            uploads: Arc::new(uploads),
            runtime: Some(runtime),
            remote,
            backend,
            shared,
            patience: Mutex::new(Patience::new(options.deadline)),
            shares: options.shares,
        })
    }

    /// Uploads what was inserted, and waits until that is done, or for as long as `most`. Says
    /// whether nothing is left to be uploaded; what could not be is not left, but
    /// [counted](RemoteStatistics::not_uploaded).
    pub fn flush(&self, most: Option<Duration>) -> bool {
        self.uploads.flush(most)
    }

    /// What was asked of the remote so far, and what came of it.
    pub fn statistics(&self) -> RemoteStatistics {
        self.shared.counting.read()
    }

    /// The URL, without what may be secret.
    pub fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Runs `task` to its end, on the store's own threads.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        task: impl Future<Output = Result<T, Failed>> + Send + 'static,
    ) -> Result<T, Failed> {
        self.run_for(task, Duration::from_secs(60 * 60 * 24))
            .unwrap_or_else(|| Err(Failed::refused("it took a day".into())))
    }

    /// Runs `task` for as long as `most`; `None` if that does not do.
    fn run_for<T: Send + 'static>(
        &self,
        task: impl Future<Output = Result<T, Failed>> + Send + 'static,
        most: Duration,
    ) -> Option<Result<T, Failed>> {
        let runtime = self
            .runtime
            .as_ref()
            .expect("there until the store is gone");
        let (sender, receiver) = mpsc::sync_channel(1);
        let task = runtime.spawn(async move {
            // Who waited may be gone.
            let _ = sender.send(task.await);
        });
        match receiver.recv_timeout(most) {
            Ok(result) => Some(result),
            Err(RecvTimeoutError::Timeout) => {
                task.abort();
                None
            }
            Err(RecvTimeoutError::Disconnected) => {
                Some(Err(Failed::refused("its task has ended".into())))
            }
        }
    }

    fn patience(&self) -> MutexGuard<'_, Patience> {
        self.patience.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks up keys that are shared.
    fn look_up(&self, keys: &[&[u8]]) -> Vec<Option<Vec<u8>>> {
        let counting = &self.shared.counting;
        let left = self.patience().left(Instant::now());
        let closed = patience::is_closed(&self.shared.state(), now());
        let (Some(left), false) = (left, closed) else {
            count(&counting.left_out, 1);
            return vec![None; keys.len()];
        };
        let start = Instant::now();
        let wanted = Arc::new(Wanted::new(keys));
        let result = self.run_for(self.remote.clone().look_up(wanted.clone()), left);
        let took = start.elapsed();
        self.patience().spend(took, Instant::now());
        let mut state = self.shared.state();
        match result {
            Some(Ok(())) => patience::open(&self.shared.local, &mut state),
            Some(Err(failed)) => {
                counting.fail(failed.to_string());
                patience::close(&self.shared.local, &mut state, now());
            }
            None => {
                count(&counting.late, 1);
                let limit = left.as_secs_f64();
                counting.fail(format!("no answer within {limit:.1} s"));
                patience::close(&self.shared.local, &mut state, now());
            }
        }
        drop(state);
        let values = wanted.take();
        let hits = values.iter().flatten().count() as u64;
        count(&counting.hits, hits);
        count(&counting.misses, keys.len() as u64 - hits);
        count(&counting.waited_nanoseconds, took.as_nanos() as u64);
        values
    }
}

impl Backend {
    fn remote(&self) -> Arc<dyn Remote> {
        match self {
            Backend::Packed(remote) => remote.clone(),
            #[cfg(feature = "redis")]
            Backend::Redis(remote) => remote.clone(),
            #[cfg(feature = "memcached")]
            Backend::Single(remote) => remote.clone(),
        }
    }
}

impl CacheStore for RemoteStore {
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        self.get_many(&[key]).pop().flatten()
    }

    fn insert(&self, key: &[u8], value: Vec<u8>) -> bool {
        let takes = self.shared.is_writer && is_valid(key) && (self.shares)(key);
        takes
            && self.uploads.gather(Entry {
                key: key.to_vec(),
                value,
            })
    }

    fn get_many(&self, keys: &[&[u8]]) -> Vec<Option<Cow<'_, [u8]>>> {
        let is_shared = |key: &&&[u8]| is_valid(key) && (self.shares)(key);
        let shared: Vec<&[u8]> = keys.iter().filter(is_shared).copied().collect();
        if shared.is_empty() {
            return vec![None; keys.len()];
        }
        let mut found = self.look_up(&shared).into_iter();
        let value = |key: &&[u8]| match is_shared(&key) {
            true => found.next().flatten().map(Cow::Owned),
            false => None,
        };
        keys.iter().map(value).collect()
    }

    fn insert_many(&self, entries: Vec<Entry>) -> usize {
        self.patience().begin_anew();
        if !self.shared.is_writer {
            return 0;
        }
        let renewals = self.shared.take_renewals();
        let inserted = entries
            .into_iter()
            .filter(|entry| is_valid(&entry.key) && (self.shares)(&entry.key));
        // What was inserted comes later, and counts.
        let renewed = renewals.len();
        let all = renewals.into_iter().chain(inserted).collect();
        self.uploads.add(all).saturating_sub(renewed)
    }

    /// Yes: what is read is compared with a signed digest.
    fn is_checked(&self) -> bool {
        true
    }

    fn counters(&self) -> Counters {
        let statistics = self.statistics();
        Counters {
            evicted: 0,
            damaged: statistics.damaged + statistics.refused,
            failures: statistics.failures,
            last_failure: statistics.last_failure,
        }
    }
}

impl Drop for RemoteStore {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Waiting is not allowed where asynchronous tasks run.
            runtime.shutdown_background();
        }
    }
}

impl fmt::Debug for RemoteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteStore")
            .field("url", &self.url)
            .field("writer", &self.shared.is_writer)
            .finish_non_exhaustive()
    }
}

fn is_valid(key: &[u8]) -> bool {
    (1..=MAX_KEY_BYTES).contains(&key.len())
}
