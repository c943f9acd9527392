//! What the kinds of remotes have in common.

use crate::local::{Local, State};
use crate::objects::Failed;
use crate::options::RemoteOptions;
use crate::pack::Fingerprint;
use crate::statistics::Counting;
use crate::trust::{SecretKey, Trust};
use futures::future::BoxFuture;
use ibid_store::Entry;
use rustc_hash::{FxHashMap, FxHashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A remote: it finds many entries at once, and takes many at once.
pub(crate) trait Remote: Send + Sync {
    /// Finds what it can of `wanted`, and puts it there as it comes.
    fn look_up(self: Arc<Self>, wanted: Arc<Wanted>) -> BoxFuture<'static, Result<(), Failed>>;

    /// Stores what was inserted.
    fn upload(self: Arc<Self>, batch: Batch) -> BoxFuture<'static, Result<(), Failed>>;

    /// What another writer may have stored by the time that a batch is: whatever this does not
    /// name.
    fn known(&self) -> FxHashSet<[u8; 32]> {
        FxHashSet::default()
    }
}

/// What a remote works with.
pub(crate) struct Shared {
    pub(crate) trust: Trust,
    /// What uploads are signed with.
    pub(crate) key: Option<SecretKey>,
    pub(crate) is_writer: bool,
    pub(crate) lifetime: Duration,
    pub(crate) refresh_after: Duration,
    pub(crate) max_index_bytes: u64,
    pub(crate) local: Local,
    pub(crate) counting: Arc<Counting>,
    state: Mutex<State>,
    renewals: Mutex<Renewals>,
}

/// What was found and will expire before long, and how many bytes its values take.
#[derive(Default)]
struct Renewals {
    entries: Vec<Entry>,
    bytes: usize,
}

/// So many bytes of values are kept to be stored again.
const MOST_RENEWED: usize = 64 << 20;

impl Shared {
    pub(crate) fn new(options: &RemoteOptions, counting: Arc<Counting>) -> Shared {
        let local = Local::open(options.directory.as_deref());
        Shared {
            trust: options.trust.clone(),
            key: options.key.clone(),
            is_writer: options.is_writer(),
            lifetime: options.lifetime,
            refresh_after: options.refresh_after,
            max_index_bytes: options.max_index_bytes,
            state: Mutex::new(local.state()),
            local,
            counting,
            renewals: Mutex::default(),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn renewals(&self) -> MutexGuard<'_, Renewals> {
        self.renewals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes an entry that was found, if it would be stored again: half of its time is over.
    pub(crate) fn found(&self, key: &[u8], value: &[u8], written: u64) {
        let is_old = now().saturating_sub(written) > self.lifetime.as_secs() / 2;
        if !self.is_writer || !is_old {
            return;
        }
        let mut renewals = self.renewals();
        if renewals.bytes + value.len() <= MOST_RENEWED {
            renewals.bytes += value.len();
            renewals.entries.push(Entry {
                key: key.to_vec(),
                value: value.to_vec(),
            });
        }
    }

    /// What is to be stored again.
    pub(crate) fn take_renewals(&self) -> Vec<Entry> {
        std::mem::take(&mut *self.renewals()).entries
    }
}

/// Entries to be stored, and what was known when they were inserted.
pub(crate) struct Batch {
    pub(crate) entries: Vec<Entry>,
    pub(crate) known: FxHashSet<[u8; 32]>,
}

/// What a lookup is for, and what it has found so far.
pub(crate) struct Wanted {
    pub(crate) keys: Vec<Vec<u8>>,
    pub(crate) fingerprints: Vec<Fingerprint>,
    numbers: FxHashMap<Vec<u8>, Vec<u32>>,
    values: Mutex<Vec<Option<Vec<u8>>>>,
}

impl Wanted {
    pub(crate) fn new(keys: &[&[u8]]) -> Wanted {
        let mut numbers: FxHashMap<Vec<u8>, Vec<u32>> = FxHashMap::default();
        for (number, key) in (0..).zip(keys) {
            numbers.entry(key.to_vec()).or_default().push(number);
        }
        Wanted {
            keys: keys.iter().map(|key| key.to_vec()).collect(),
            fingerprints: keys.iter().map(|key| Fingerprint::of(key)).collect(),
            numbers,
            values: Mutex::new(vec![None; keys.len()]),
        }
    }

    pub(crate) fn is_wanted(&self, key: &[u8]) -> bool {
        self.numbers.contains_key(key)
    }

    /// Takes values in.
    pub(crate) fn found<'v>(&self, found: impl IntoIterator<Item = (&'v [u8], &'v [u8])>) {
        let copies: Vec<(u32, Vec<u8>)> = found
            .into_iter()
            .filter_map(|(key, value)| Some((self.numbers.get(key)?, value)))
            .flat_map(|(numbers, value)| numbers.iter().map(|number| (*number, value.to_vec())))
            .collect();
        let mut values = self.lock();
        for (number, value) in copies {
            values[number as usize] = Some(value);
        }
    }

    /// What was found.
    pub(crate) fn take(&self) -> Vec<Option<Vec<u8>>> {
        let none = vec![None; self.keys.len()];
        std::mem::replace(&mut *self.lock(), none)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Option<Vec<u8>>>> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The time in seconds since 1970.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// What `ask` gives, which is asked again after a pause if it fails: the first of `pauses`, then
/// the next. What is not there is no failure.
pub(crate) async fn persistently<T, F>(
    pauses: &[Duration],
    ask: impl Fn() -> F,
) -> Result<T, Failed>
where
    F: Future<Output = Result<T, Failed>>,
{
    for pause in pauses {
        match ask().await {
            Err(failed) if !failed.is_absent => {
                tracing::debug!("asking the remote again: {failed}");
                tokio::time::sleep(*pause).await;
            }
            answer => return answer,
        }
    }
    ask().await
}

/// A request takes no longer than this, whoever waits for it.
pub(crate) const LONGEST_REQUEST: Duration = Duration::from_secs(60);

/// The pauses of a lookup, which is within a deadline.
pub(crate) const SOON: [Duration; 3] = [
    Duration::from_millis(50),
    Duration::from_millis(200),
    Duration::from_millis(500),
];

/// The pauses of an upload, for which nobody waits.
pub(crate) const LATER: [Duration; 4] = [
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::from_secs(10),
];
