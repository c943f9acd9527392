//! Who else could change what a store holds.
//!
//! Whoever can write to a store decides what code runs in the programs that use it. So what it
//! is made of has to be the user's own, and not open to others: the directory must not be
//! writable by them, and what the store makes in it is for its owner only (0700 and 0600). That
//! is looked at whenever a store is opened. Directories further up are not looked at.
//!
//! Only Unix has these modes; elsewhere nothing is checked.

use std::fs::{File, Metadata, OpenOptions};
use std::io;

/// How to make a file for its owner only.
pub(super) fn new_file() -> OpenOptions {
    let mut options = File::options();
    options.write(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// What others may not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closed {
    /// Write.
    ToWriting,
    /// Anything.
    ToAll,
}

/// Whether only the user can change what `metadata` is of.
#[cfg(unix)]
pub(super) fn check(metadata: &Metadata, closed: Closed) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    let user = rustix::process::geteuid().as_raw();
    let refused = |message| Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
    if metadata.uid() != user {
        return refused(format!(
            "it belongs to user {}, and this is user {user}, so its contents are not trusted",
            metadata.uid()
        ));
    }
    let (mask, may, mode) = match closed {
        Closed::ToWriting => (0o022, "write to", "go-w"),
        Closed::ToAll => (0o077, "open", "go-rwx"),
    };
    if metadata.mode() & mask != 0 {
        return refused(format!(
            "others may {may} it (mode {:03o}), so its contents are not trusted (`chmod {mode}` helps)",
            metadata.mode() & 0o777
        ));
    }
    Ok(())
}

#[cfg(not(unix))]
pub(super) fn check(_: &Metadata, _: Closed) -> io::Result<()> {
    Ok(())
}

/// Whether a file with `metadata` can hold a secret: it is the user's own or root's, and closed to
/// all others.
#[cfg(unix)]
pub(super) fn check_secret(metadata: &Metadata) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    let user = rustix::process::geteuid().as_raw();
    let message = if metadata.uid() != user && metadata.uid() != 0 {
        format!("it belongs to user {}", metadata.uid())
    } else if metadata.mode() & 0o077 != 0 {
        format!(
            "others may open it (mode {:03o}), so it is no secret (`chmod go-rwx` helps)",
            metadata.mode() & 0o777
        )
    } else {
        return Ok(());
    };
    Err(io::Error::new(io::ErrorKind::PermissionDenied, message))
}

#[cfg(not(unix))]
pub(super) fn check_secret(_: &Metadata) -> io::Result<()> {
    Ok(())
}
