//! Looking entries up.

use super::DiskStore;
use super::environment::{ReadTransaction, Table};
use super::large;
use super::state::State;
use crate::store::{Snapshot, family, is_valid_key};
use std::borrow::Cow;

/// The state of the store at one moment.
pub(super) struct DiskSnapshot<'s> {
    store: &'s DiskStore,
    /// `None` if the transaction could not be begun. Then every lookup misses.
    view: Option<View<'s>>,
}

struct View<'s> {
    txn: ReadTransaction<'s>,
    state: State,
}

impl<'s> DiskSnapshot<'s> {
    pub(super) fn new(store: &'s DiskStore) -> Self {
        let view = View::new(store)
            .inspect_err(|error| store.failed("begin to read", error))
            .ok();
        DiskSnapshot { store, view }
    }

    /// The value of `key`, borrowed from the map.
    pub(super) fn find(&self, key: &[u8]) -> Option<&[u8]> {
        let view = self.view.as_ref().filter(|_| is_valid_key(key))?;
        if let Some(family) = family(key) {
            self.store.used.ask(family);
        }
        let tables = &self.store.environment.tables;
        let (current, older) = (view.state.current(tables), view.state.older(tables));
        if let Some(stored) = self.intact(view, current, key, whole_record) {
            return Some(stored);
        }
        if let Some(stored) = self.intact(view, older, key, whole_record) {
            self.store.hits.remember(key);
            return Some(stored);
        }
        self.intact(view, tables.large, key, large::entry)
    }

    /// The value of `key` in `table`, if it is there and intact. `entry_of` takes the entry out
    /// of the record.
    fn intact<'v>(
        &self,
        view: &'v View<'_>,
        table: Table,
        key: &[u8],
        entry_of: fn(&[u8]) -> &[u8],
    ) -> Option<&'v [u8]> {
        let stored = match table.get(&view.txn, key) {
            Ok(stored) => stored?,
            Err(error) => {
                self.store.failed("read", &error);
                return None;
            }
        };
        let value = self.store.seal.value(key, entry_of(stored));
        if value.is_none() {
            self.store.trouble.damaged();
        }
        value
    }
}

impl<'s> View<'s> {
    fn new(store: &'s DiskStore) -> heed::Result<Self> {
        let txn = store.environment.read()?;
        let state = State::read(&store.environment.tables, &txn)?;
        Ok(View { txn, state })
    }
}

fn whole_record(stored: &[u8]) -> &[u8] {
    stored
}

impl Snapshot for DiskSnapshot<'_> {
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        self.find(key).map(Cow::Borrowed)
    }
}
