//! Where an artifact goes: whole, or not at all.

use crate::Failure;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

pub(crate) enum Output {
    Standard,
    File(PathBuf),
}

impl Output {
    /// Writes `artifact`.
    ///
    /// A file is written beside its place and renamed into it, so that nobody sees a
    /// part of it. What is there and is no file (a device, a pipe) is written to.
    pub(crate) fn write(&self, artifact: &[u8]) -> Result<(), Failure> {
        self.write_with(|out| out.write_all(artifact))
    }

    /// Writes what `f` does, in the same way.
    pub(crate) fn write_with<T>(
        &self,
        f: impl FnOnce(&mut dyn io::Write) -> io::Result<T>,
    ) -> Result<T, Failure> {
        match self {
            Output::Standard => write_standard(f),
            Output::File(path) => write_file(path, f).map_err(|error| {
                Failure::Input(format!(
                    "cannot write `{}`: {error}{}",
                    path.display(),
                    advice(path)
                ))
            }),
        }
    }
}

pub(crate) fn standard_output_is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Writes a line to standard output.
pub(crate) fn print_line(line: &str) -> Result<(), Failure> {
    write_standard(|out| writeln!(out, "{line}"))
}

fn write_standard<T>(f: impl FnOnce(&mut dyn io::Write) -> io::Result<T>) -> Result<T, Failure> {
    let mut out = io::stdout().lock();
    f(&mut out)
        .and_then(|written| out.flush().map(|()| written))
        .map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::Exited(UNREAD),
            _ => Failure::Input(format!("cannot write to standard output: {error}")),
        })
}

/// The exit code if whoever reads standard output goes away, as `head` does when it has enough: what
/// a shell says of programs that the signal SIGPIPE ends.
const UNREAD: u8 = 141;

/// Wasmtime's options print their own help, and panic if nobody reads it to its end. From now on
/// that is as quiet as elsewhere.
pub(crate) fn leave_with_the_reader() {
    let others = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let message = panic.payload_as_str().unwrap_or_default();
        if message.starts_with("failed printing to stdout: Broken pipe") {
            std::process::exit(UNREAD.into());
        }
        others(panic);
    }));
}

/// What to do about a file that could not be written.
fn advice(path: &Path) -> String {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() && !parent.exists() => {
            format!("; make the directory `{}` first", parent.display())
        }
        _ => String::new(),
    }
}

fn write_file<T>(
    path: &Path,
    f: impl FnOnce(&mut dyn io::Write) -> io::Result<T>,
) -> io::Result<T> {
    // A link keeps pointing where it does.
    let target = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    if std::fs::metadata(&target).is_ok_and(|metadata| !metadata.is_file()) {
        let mut file = std::fs::OpenOptions::new().write(true).open(&target)?;
        return f(&mut file);
    }
    let directory = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut aside = aside(directory)?;
    let written = f(&mut aside)?;
    aside.persist(&target).map_err(|error| error.error)?;
    Ok(written)
}

/// A temporary file with the permissions of an ordinary one.
fn aside(directory: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".ibid-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_nothing_is_left_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out.cwasm");
        std::fs::write(&path, b"old and longer").unwrap();
        write_file(&path, |out| out.write_all(b"new")).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_missing_directory_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("no/out.cwasm");
        assert!(write_file(&path, |out| out.write_all(b"new")).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_a_link() {
        let directory = tempfile::tempdir().unwrap();
        let (file, link) = (directory.path().join("file"), directory.path().join("link"));
        std::fs::write(&file, b"old").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        write_file(&link, |out| out.write_all(b"new")).unwrap();
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(std::fs::read(&file).unwrap(), b"new");
    }

    #[cfg(unix)]
    #[test]
    fn a_device_is_written_to_and_stays_one() {
        write_file(Path::new("/dev/null"), |out| out.write_all(b"gone")).unwrap();
        assert!(!std::fs::metadata("/dev/null").unwrap().is_file());
    }
}
