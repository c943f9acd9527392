//! Why a store could not be opened, and what else can be told about failures.

use std::io;
use std::path::PathBuf;

/// Why a store could not be opened. Every message names the path in question.
///
/// A build goes on without a store; nothing is lost but time.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The directory could not be made, or is not a directory.
    #[error("cannot use {path} as a cache directory")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file of the store could not be opened, locked or read.
    #[error("cannot access {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Somebody else could have changed what is there: it belongs to another user, or others may
    /// write to it.
    #[error("cannot use {path} as a cache")]
    Untrusted {
        /// The file or directory.
        path: PathBuf,
        /// What is wrong with it, and what helps.
        source: io::Error,
    },
    /// The file is there, but is no LMDB database, or one of another version of LMDB.
    #[error("{path} is not a cache database (`ibid cache clear` removes it)")]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The data file lacks pages that are in use. It is not mapped into memory, for reading a
    /// page that is not there ends the process.
    #[error(
        "{path} is cut short: it is {length} bytes long, but pages up to byte {expected} are \
         in use (`ibid cache clear` removes it)"
    )]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Its length, in bytes.
        length: u64,
        /// Where its last page should end, in bytes.
        expected: u64,
    },
    /// LMDB refused to open the database.
    #[error("cannot open the cache at {path}")]
    Database {
        /// The directory of the database.
        path: PathBuf,
        /// What LMDB said.
        source: DatabaseError,
    },
}

/// The database refused an operation on an open store.
#[derive(Debug, thiserror::Error)]
#[error("the cache at {path} failed")]
pub struct StoreError {
    /// The directory of the database.
    pub(super) path: PathBuf,
    /// What LMDB said.
    pub(super) source: DatabaseError,
}

/// An error of the database, the source of an [`OpenError`] or a [`StoreError`].
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct DatabaseError(#[from] heed::Error);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_can_be_sent_and_shared() {
        fn assert<T: Send + Sync + 'static>() {}
        assert::<OpenError>();
        assert::<StoreError>();
    }
}
