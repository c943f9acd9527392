//! What takes the place of a remote in a build that has none.

use crate::Failure;
use crate::store::CacheOptions;
use clap::Args;
use ibid_store::CacheStore;
use std::sync::Arc;

/// No options.
#[derive(Args)]
pub(crate) struct RemoteOptions {
    /// Never set.
    #[arg(skip)]
    pub(crate) wait_upload: bool,
}

impl RemoteOptions {
    pub(crate) fn open(&self, _: &CacheOptions) -> Result<Remote, Failure> {
        Ok(Remote)
    }
}

/// No remote.
#[derive(Default)]
pub(crate) struct Remote;

impl Remote {
    pub(crate) fn behind(
        &self,
        store: Arc<dyn CacheStore>,
        outlives: bool,
    ) -> (Arc<dyn CacheStore>, bool) {
        (store, outlives)
    }

    pub(crate) fn finish(&self, _: bool) {}

    pub(crate) fn lines(&self) -> &'static str {
        ""
    }

    pub(crate) fn json(&self) -> Option<serde_json::Value> {
        None
    }
}
