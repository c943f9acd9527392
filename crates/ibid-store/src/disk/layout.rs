//! The files of a store, and their removal.
//!
//! ```text
//! <directory>/
//!     store.lock      empty; locked while a store is opened or removed
//!     v1/             version 1 of the format
//!         data.mdb    LMDB's data
//!         lock.mdb    LMDB's locks and its table of readers, made whole (as lock.mdb.new)
//!     v1.removed-1    what `v1` is renamed to while process 1 removes it
//! ```
//!
//! The version in the name keeps a later format from tripping over an earlier one: each finds
//! only its own files.
//!
//! LMDB opens `lock.mdb` and then `data.mdb`. If both are removed in between, and made anew by
//! another process, then the two processes write to one data file under two locks. `store.lock`
//! prevents that. It is never removed, for the same reason.

use super::environment::MAX_READERS;
use super::error::OpenError;
use super::registry;
use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::process;

const VERSION_DIRECTORY: &str = "v1";
const DOOMED_PREFIX: &str = "v1.removed-";
const LOCK_FILE: &str = "store.lock";
const DATA_FILE: &str = "data.mdb";
const DATABASE_LOCK_FILE: &str = "lock.mdb";
const DATABASE_LOCK_FILE_ASIDE: &str = "lock.mdb.new";

/// The directory of the database in a store's directory.
pub(super) fn database_directory(directory: &Path) -> PathBuf {
    directory.join(VERSION_DIRECTORY)
}

/// The data file in the directory of a database.
pub(super) fn data_file(database_directory: &Path) -> PathBuf {
    database_directory.join(DATA_FILE)
}

/// Makes `directory` if it is not there, and returns its canonical path.
pub(super) fn prepare(directory: &Path) -> Result<PathBuf, OpenError> {
    make(directory)
        .and_then(|()| directory.canonicalize())
        .map_err(|source| OpenError::Directory {
            path: directory.to_owned(),
            source,
        })
}

fn make(directory: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    // Who can write to the store decides what code runs.
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}

/// The length at which LMDB's lock file holds [`MAX_READERS`], in bytes: a slot of one cache line
/// (64 bytes) for each reader, and what LMDB keeps before them, in whole pages.
const DATABASE_LOCK_BYTES: usize = (MAX_READERS as usize * 64 + 1024).next_multiple_of(4096);

/// Makes LMDB's lock file, if it is not there, with all its blocks.
///
/// LMDB itself would make it by setting its length, and then write to it through a mapping; on a
/// full disk there is no block behind the mapping then, and the process ends with `SIGBUS`. LMDB
/// takes a file that is long enough as it is, and whoever opens it first initializes it.
pub(super) fn prepare_database_lock(database_directory: &Path) -> Result<(), OpenError> {
    let path = database_directory.join(DATABASE_LOCK_FILE);
    let aside = database_directory.join(DATABASE_LOCK_FILE_ASIDE);
    let make = || -> io::Result<()> {
        if path.try_exists()? {
            return Ok(());
        }
        let written = fs::write(&aside, [0; DATABASE_LOCK_BYTES])
            .and_then(|()| File::open(&aside)?.sync_all())
            .and_then(|()| fs::rename(&aside, &path));
        if written.is_err() {
            // What is left of it would only take up space.
            let _ = fs::remove_file(&aside);
        }
        written
    };
    make().map_err(|source| OpenError::File {
        path: path.clone(),
        source,
    })
}

/// Waits until nobody else opens or removes the store in `directory`. The lock is held until the
/// file is dropped, or the process ends.
pub(super) fn lock(directory: &Path) -> Result<File, OpenError> {
    let path = directory.join(LOCK_FILE);
    locked(&path).map_err(|source| OpenError::File { path, source })
}

fn locked(path: &Path) -> io::Result<File> {
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)?;
    file.lock()?;
    Ok(file)
}

/// Removes the files of the store in `directory`, also if they are damaged.
///
/// Other processes that have the store open go on with what they have, and what they store from
/// now on is lost. The directory itself remains, with an empty lock file. If there is no store,
/// nothing is done.
///
/// # Errors
///
/// [`ErrorKind::ResourceBusy`] if the store is open in this process, and [`ErrorKind::InvalidData`]
/// if there are files that are not the store's where only its own should be; nothing is removed
/// then. Otherwise what the operating system says.
pub fn remove(directory: impl AsRef<Path>) -> io::Result<()> {
    let directory = match directory.as_ref().canonicalize() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        result => result?,
    };
    let database_directory = database_directory(&directory);
    registry::while_closed(&database_directory, || {
        if database_directory.try_exists()? {
            check_only_ours(&database_directory)?;
            let _lock = locked(&directory.join(LOCK_FILE))?;
            // The directory goes as a whole. If only one of its files went, then a process that
            // has the other one open and one that makes both anew would get into each other's
            // way.
            let doomed = format!("{DOOMED_PREFIX}{}", process::id());
            fs::rename(&database_directory, directory.join(doomed))?;
        }
        discard_doomed(&directory)
    })
}

/// Removes what this or an earlier removal, which may have been interrupted, has set aside.
fn discard_doomed(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if !entry
            .file_name()
            .to_string_lossy()
            .starts_with(DOOMED_PREFIX)
        {
            continue;
        }
        for file in [DATA_FILE, DATABASE_LOCK_FILE, DATABASE_LOCK_FILE_ASIDE] {
            match fs::remove_file(entry.path().join(file)) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs::remove_dir(entry.path())?;
    }
    Ok(())
}

/// Whoever mistakes another directory for a store shall not lose its contents.
fn check_only_ours(database_directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(database_directory)? {
        let name = entry?.file_name();
        if name != DATA_FILE && name != DATABASE_LOCK_FILE && name != DATABASE_LOCK_FILE_ASIDE {
            let message = format!(
                "{} is not the cache's, so {} is not removed",
                Path::new(&name).display(),
                database_directory.display()
            );
            return Err(io::Error::new(ErrorKind::InvalidData, message));
        }
    }
    Ok(())
}
