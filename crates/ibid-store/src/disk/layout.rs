//! The files of a store, and their removal.
//!
//! ```text
//! <directory>/
//!     store.lock      empty; locked while a store is opened or removed
//!     v2/             version 2 of the format
//!         data.mdb    LMDB's data
//!         lock.mdb    LMDB's locks and its table of readers, made whole (as lock.mdb.new)
//!     v2.removed-1    what `v2` is renamed to while process 1 removes it
//!     v2.compact-1    what process 1 makes in the place of `v2`, without free pages
//!     v1/             version 1, of earlier releases
//! ```
//!
//! The version in the name keeps a later format from tripping over an earlier one: each finds
//! only its own files. Those of an earlier version are removed when they have not been written to
//! for a week, or by [`gc`](crate::gc).
//!
//! LMDB opens `lock.mdb` and then `data.mdb`. If both are removed in between, and made anew by
//! another process, then the two processes write to one data file under two locks. `store.lock`
//! prevents that. It is never removed, for the same reason.

use super::environment::MAX_READERS;
use super::error::OpenError;
use super::private::{self, Closed};
use super::registry;
use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process;
use std::time::Duration;

const VERSION_DIRECTORY: &str = "v2";
const OLDER_VERSIONS: [&str; 1] = ["v1"];
const DOOMED: &str = ".removed-";
const COMPACT: &str = ".compact-";
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
pub(super) fn prepare(directory: &Path, closed: Closed) -> Result<PathBuf, OpenError> {
    let directory = make(directory)
        .and_then(|()| directory.canonicalize())
        .map_err(|source| OpenError::Directory {
            path: directory.to_owned(),
            source,
        })?;
    check_private(&directory, closed)?;
    Ok(directory)
}

/// Whether only the user can change the file or directory `path`, if there is one.
pub(super) fn check_private(path: &Path, closed: Closed) -> Result<(), OpenError> {
    let path = path.to_owned();
    match fs::metadata(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(source) => Err(OpenError::File { path, source }),
        Ok(metadata) => private::check(&metadata, closed)
            .map_err(|source| OpenError::Untrusted { path, source }),
    }
}

/// Whether only the user can change the files of the database in `database_directory`.
pub(super) fn check_private_files(database_directory: &Path) -> Result<(), OpenError> {
    [DATA_FILE, DATABASE_LOCK_FILE]
        .iter()
        .try_for_each(|file| check_private(&database_directory.join(file), Closed::ToAll))
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
        let written = private::new_file()
            .truncate(true)
            .open(&aside)
            .and_then(|mut file| {
                file.write_all(&[0; DATABASE_LOCK_BYTES])?;
                file.sync_all()
            })
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
    check_private(&path, Closed::ToWriting)?;
    locked(&path).map_err(|source| OpenError::File { path, source })
}

fn locked(path: &Path) -> io::Result<File> {
    let file = private::new_file().truncate(false).open(path)?;
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
            doom(&database_directory)?;
        }
        discard_older(&directory, Duration::ZERO)?;
        discard_doomed(&directory)
    })
}

/// Sets the directory of a database aside, to be discarded. It goes as a whole: if only one of its
/// files went, then a process that has the other one open and one that makes both anew would get
/// into each other's way.
fn doom(database_directory: &Path) -> io::Result<()> {
    fs::rename(database_directory, aside(database_directory, DOOMED))
}

fn aside(database_directory: &Path, what: &str) -> PathBuf {
    let mut name = database_directory.as_os_str().to_owned();
    name.push(format!("{what}{}", process::id()));
    name.into()
}

/// How long the files of an earlier version have to rest before they are removed unasked.
pub(super) const RESTS: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Removes the files of earlier versions that nobody has written to for as long as `rest`.
pub(super) fn discard_older(directory: &Path, rest: Duration) -> io::Result<()> {
    for version in OLDER_VERSIONS {
        let older = directory.join(version);
        let written = fs::metadata(data_file(&older)).and_then(|file| file.modified());
        let written = match written {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            result => result?,
        };
        let is_resting = written.elapsed().is_ok_and(|elapsed| elapsed >= rest);
        if rest.is_zero() || is_resting {
            check_only_ours(&older)?;
            doom(&older)?;
        }
    }
    discard_doomed(directory)
}

/// Puts what `copy` makes of a database in its place: it gets a new data file.
///
/// Other processes that have the store open go on with what they have, as with [`remove`].
pub(super) fn replace(
    directory: &Path,
    copy: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    let database_directory = database_directory(directory);
    let compact = aside(&database_directory, COMPACT);
    make(&compact)?;
    let file = private::new_file().truncate(true).open(data_file(&compact));
    let replaced = file.and_then(|mut file| {
        copy(&mut file)?;
        file.sync_all()?;
        // A process that ends between the two leaves no store, which is as good as an empty one.
        doom(&database_directory)?;
        fs::rename(&compact, &database_directory)
    });
    if replaced.is_err() {
        // What is left of it would only take up space.
        let _ = discard(&compact);
    }
    discard_doomed(directory)?;
    replaced
}

/// Removes what this or an earlier removal, which may have been interrupted, has set aside.
fn discard_doomed(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let is_ours = |version: &&str| {
            let rest = name.strip_prefix(version);
            rest.is_some_and(|rest| rest.starts_with(DOOMED) || rest.starts_with(COMPACT))
        };
        if [VERSION_DIRECTORY]
            .iter()
            .chain(&OLDER_VERSIONS)
            .any(is_ours)
        {
            discard(&entry.path())?;
        }
    }
    Ok(())
}

/// Removes the files of a database, and their directory. Somebody else may be at it as well.
fn discard(database_directory: &Path) -> io::Result<()> {
    let gone = |result: io::Result<()>| match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        result => result,
    };
    for file in [DATA_FILE, DATABASE_LOCK_FILE, DATABASE_LOCK_FILE_ASIDE] {
        gone(fs::remove_file(database_directory.join(file)))?;
    }
    gone(fs::remove_dir(database_directory))
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
