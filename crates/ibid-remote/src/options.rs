//! How a remote is used.

use crate::trust::{SecretKey, Trust};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// How a remote is used.
#[derive(Clone)]
#[non_exhaustive]
pub struct RemoteOptions {
    /// Whom to believe.
    pub trust: Trust,
    /// What to sign uploads with. The default is none.
    pub key: Option<SecretKey>,
    /// Whether to upload. The default is to do so if there is a [`key`](Self::key). Without a key,
    /// what is uploaded is believed by those only who believe [anyone](Trust::Anyone).
    pub uploads: Option<bool>,
    /// How long all lookups of a build may take together. The default is 2 s. A build ends with
    /// an insertion, if only an empty one, or when nothing was looked up for 30 s.
    pub deadline: Duration,
    /// How old what is known of the index may be before it is refreshed. The default is 30 s.
    pub refresh_after: Duration,
    /// For how long uploads hold, and by half of which what is in use is uploaded again. The
    /// default is 30 days.
    pub lifetime: Duration,
    /// How much of the index is fetched, in bytes, the latest first. The default is 64 MiB, which
    /// is about eight million entries.
    pub max_index_bytes: u64,
    /// How much may wait to be uploaded, in bytes; what is beyond is not. The default is 512 MiB.
    pub max_queued_bytes: u64,
    /// Where the index is kept, in a directory that is this user's alone. Without one, which is
    /// the default, every process fetches it anew.
    pub directory: Option<PathBuf>,
    /// Which keys are looked up and uploaded at all. The default is all.
    pub shares: fn(&[u8]) -> bool,
}

impl RemoteOptions {
    /// Read-only, with defaults, believing `trust`.
    pub fn new(trust: Trust) -> RemoteOptions {
        RemoteOptions {
            trust,
            key: None,
            uploads: None,
            deadline: Duration::from_secs(2),
            refresh_after: Duration::from_secs(30),
            lifetime: Duration::from_secs(30 * 24 * 60 * 60),
            max_index_bytes: 64 << 20,
            max_queued_bytes: 512 << 20,
            directory: None,
            shares: |_| true,
        }
    }

    /// Whether to upload.
    pub(crate) fn is_writer(&self) -> bool {
        self.uploads.unwrap_or(self.key.is_some())
    }
}

impl fmt::Debug for RemoteOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteOptions")
            .field("trust", &self.trust)
            .field("key", &self.key)
            .field("uploads", &self.is_writer())
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}
