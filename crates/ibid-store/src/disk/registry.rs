//! The environments that are open in this process.
//!
//! LMDB must not open a data file twice in one process: closing one of the two would release the
//! locks of both (`mdb_env_open` in `lmdb.h`). heed refuses to. So all handles to one store share
//! an environment, which is closed when the last of them is dropped.
//!
//! Handles are made and dropped under one lock. So there is no moment at which an environment is
//! given up already but not closed yet, in which opening it anew would fail.

use super::data_file;
use super::environment::Environment;
use super::error::OpenError;
use super::layout;
use super::private::Closed;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The open environments, by the canonical paths of their directories.
static OPEN: Mutex<BTreeMap<PathBuf, Arc<Environment>>> = Mutex::new(BTreeMap::new());

/// A handle to an environment that others in this process may have handles to as well.
#[derive(Debug)]
pub(super) struct SharedEnvironment {
    database_directory: PathBuf,
    /// `Some` until this is dropped.
    environment: Option<Arc<Environment>>,
}

/// Opens the store in `directory`, which is made if it is not there, or shares the environment if
/// it is open. A map that is new is of at least `map_bytes` bytes.
pub(super) fn open(directory: &Path, map_bytes: u64) -> Result<SharedEnvironment, OpenError> {
    let mut open = lock();
    let directory = layout::prepare(directory, Closed::ToWriting)?;
    let _lock = layout::lock(&directory)?;
    let database_directory =
        layout::prepare(&layout::database_directory(&directory), Closed::ToAll)?;
    layout::check_private_files(&database_directory)?;
    let environment = match open.get(&database_directory) {
        Some(environment) => environment.clone(),
        None => {
            // If that cannot be done now, it can be the next time.
            let _ = layout::discard_older(&directory, layout::RESTS);
            let environment = Arc::new(open_new(&database_directory, map_bytes)?);
            open.insert(database_directory.clone(), environment.clone());
            environment
        }
    };
    Ok(SharedEnvironment {
        database_directory,
        environment: Some(environment),
    })
}

fn open_new(database_directory: &Path, map_bytes: u64) -> Result<Environment, OpenError> {
    layout::prepare_database_lock(database_directory)?;
    let largest_map = data_file::check(&layout::data_file(database_directory))?;
    // With a map smaller than another process has, nothing could be read any more once that
    // process has made the file larger than the map.
    Environment::open(database_directory, map_bytes.max(largest_map)).map_err(|source| {
        OpenError::Database {
            path: database_directory.to_owned(),
            source: source.into(),
        }
    })
}

/// Does something while the environment in `database_directory` is not open in this process.
///
/// # Errors
///
/// [`ErrorKind::ResourceBusy`] if it is open; nothing is done then.
pub(super) fn while_closed<T>(
    database_directory: &Path,
    action: impl FnOnce() -> io::Result<T>,
) -> io::Result<T> {
    let open = lock();
    if open.contains_key(database_directory) {
        let message = format!("{} is open in this process", database_directory.display());
        return Err(io::Error::new(ErrorKind::ResourceBusy, message));
    }
    action()
}

/// Writes the database of the store in `directory` anew, without its free pages.
pub(super) fn compact(directory: &Path, map_bytes: u64) -> io::Result<()> {
    let environment = open(directory, map_bytes).map_err(io::Error::other)?;
    let open = lock();
    let directory = directory.canonicalize()?;
    let _lock = layout::lock(&directory).map_err(io::Error::other)?;
    let shared = open.get(&environment.database_directory);
    // One is this function's, and one the map's.
    if shared.is_none_or(|shared| Arc::strong_count(shared) > 2) {
        let message = format!("{} is open in this process", directory.display());
        return Err(io::Error::new(ErrorKind::ResourceBusy, message));
    }
    let copy = |file: &mut File| environment.copy_to(file).map_err(io::Error::other);
    let replaced = layout::replace(&directory, copy);
    drop(open);
    replaced
}

fn lock() -> MutexGuard<'static, BTreeMap<PathBuf, Arc<Environment>>> {
    // The map is changed in single steps only, so it is whole even if somebody panicked.
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SharedEnvironment {
    /// The directory of the database.
    pub(super) fn database_directory(&self) -> &Path {
        &self.database_directory
    }
}

impl Deref for SharedEnvironment {
    type Target = Environment;

    fn deref(&self) -> &Environment {
        self.environment.as_ref().expect("there until dropped")
    }
}

impl Drop for SharedEnvironment {
    fn drop(&mut self) {
        let mut open = lock();
        self.environment = None;
        if let Some(environment) = open.get(&self.database_directory)
            && Arc::strong_count(environment) == 1
        {
            open.remove(&self.database_directory);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    const MAP_BYTES: u64 = 4 << 20;

    #[test]
    fn handles_to_one_directory_share_an_environment() {
        let directory = tempfile::tempdir().unwrap();
        let first = open(directory.path(), MAP_BYTES).unwrap();
        let roundabout = directory.path().join(".").join("v2").join("..");
        let second = open(&roundabout, MAP_BYTES).unwrap();
        assert!(std::ptr::eq::<Environment>(&*first, &*second));

        let closed = || while_closed(first.database_directory(), || Ok(())).is_ok();
        assert!(!closed());
        drop(second);
        assert!(!closed());
        let database_directory = first.database_directory().to_owned();
        drop(first);
        while_closed(&database_directory, || Ok(())).unwrap();
    }

    #[test]
    fn opening_while_closing_never_fails() {
        let directory = tempfile::tempdir().unwrap();
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        drop(open(directory.path(), MAP_BYTES).unwrap());
                    }
                });
            }
        });
    }
}
