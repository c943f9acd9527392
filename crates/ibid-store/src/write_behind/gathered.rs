//! What was inserted and is not stored yet.

use crate::store::Entry;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

type Value = Arc<Vec<u8>>;

/// Two batches: the one that is gathered and the one that is being written.
#[derive(Default, Clone)]
pub(super) struct Gathered {
    pending: Batch,
    writing: Option<Arc<Batch>>,
}

/// Entries that will be written together.
#[derive(Default, Clone)]
pub(super) struct Batch {
    values: HashMap<Arc<[u8]>, Value>,
    bytes: usize,
    since: Option<Instant>,
}

impl Gathered {
    /// The batch that is gathered.
    pub(super) fn pending(&self) -> &Batch {
        &self.pending
    }

    /// The value last inserted under `key`, unless it is stored already.
    pub(super) fn get(&self, key: &[u8]) -> Option<&Value> {
        let writing = || self.writing.as_ref()?.values.get(key);
        self.pending.values.get(key).or_else(writing)
    }

    pub(super) fn insert(&mut self, key: &[u8], value: Vec<u8>) {
        let batch = &mut self.pending;
        batch.since.get_or_insert_with(Instant::now);
        batch.bytes += key.len() + value.len();
        let replaced = batch.values.insert(key.into(), Arc::new(value));
        if let Some(replaced) = replaced {
            batch.bytes -= key.len() + replaced.len();
        }
    }

    pub(super) fn is_writing(&self) -> bool {
        self.writing.is_some()
    }

    /// What was gathered is being written from now on.
    pub(super) fn begin(&mut self) -> Arc<Batch> {
        let batch = Arc::new(std::mem::take(&mut self.pending));
        self.writing = Some(batch.clone());
        batch
    }

    /// What was being written is stored.
    pub(super) fn finish(&mut self) {
        self.writing = None;
    }
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// The sizes of all keys and values.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// When the first entry was inserted.
    pub(super) fn since(&self) -> Option<Instant> {
        self.since
    }

    /// A copy of the entries: lookups go on in the batch while it is written.
    pub(super) fn to_entries(&self) -> Vec<Entry> {
        let entry = |(key, value): (&Arc<[u8]>, &Value)| Entry {
            key: key.to_vec(),
            value: value.to_vec(),
        };
        self.values.iter().map(entry).collect()
    }
}
