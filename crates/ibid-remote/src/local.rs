//! What a client keeps of a remote, in a directory of its own: segments of the index, the highest
//! floor that it has seen, when it last asked, and until when it does not ask because the remote
//! was down.
//!
//! ```text
//! <directory>/segments/<name in hexadecimal>   a segment, as it is on the remote
//! <directory>/state                            numbers, little-endian, of 8 bytes each:
//!                                              1, the floor's number, its time, the time of the
//!                                              last refresh, the time until which the remote is
//!                                              left alone, and for how long that was (seconds)
//! ```
//!
//! All of it can be removed at any time. It is a client's own, like its cache; but segments are
//! looked at like new ones.

use crate::bytes::{Malformed, Reader};
use crate::descriptor::Name;
use crate::floor::Floor;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// What is remembered of a remote besides its index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) floor: Floor,
    /// When the index was last refreshed, in seconds since 1970.
    pub(crate) refreshed: u64,
    /// Until when the remote is left alone, and how long that was, in seconds.
    pub(crate) closed_until: u64,
    pub(crate) closed_for: u64,
}

const VERSION: u64 = 1;

/// The directory; without one nothing is kept.
#[derive(Clone, Debug, Default)]
pub(crate) struct Local(Option<PathBuf>);

impl Local {
    /// What is kept in `directory`, which is made if need be.
    pub(crate) fn open(directory: Option<&Path>) -> Local {
        let Some(directory) = directory else {
            return Local(None);
        };
        match make(directory) {
            Ok(()) => Local(Some(directory.to_owned())),
            Err(error) => {
                tracing::warn!(
                    "nothing of the remote can be kept in `{}`: {error}",
                    directory.display()
                );
                Local(None)
            }
        }
    }

    pub(crate) fn state(&self) -> State {
        let read = || {
            let bytes = fs::read(self.0.as_ref()?.join("state")).ok()?;
            State::read(&bytes).ok()
        };
        read().unwrap_or_default()
    }

    /// Keeps `state`. The floor never sinks, whoever else writes.
    pub(crate) fn set_state(&self, mut state: State) {
        let Some(directory) = &self.0 else { return };
        let before = self.state();
        if before.floor.number > state.floor.number {
            state.floor = before.floor;
        }
        if let Err(error) = replace(directory, "state", &state.write()) {
            tracing::warn!("the state of the remote cannot be kept: {error}");
        }
    }

    /// The names of the segments that are kept.
    pub(crate) fn segments(&self) -> Vec<Name> {
        let Some(directory) = &self.0 else {
            return Vec::new();
        };
        let listed = fs::read_dir(directory.join("segments"));
        let entries = listed.into_iter().flatten().flatten();
        let name = |entry: fs::DirEntry| name(entry.file_name().to_str()?);
        entries.filter_map(name).collect()
    }

    pub(crate) fn segment(&self, name: &Name) -> Option<Vec<u8>> {
        let path = self.0.as_ref()?.join("segments").join(hex(name));
        let bytes = fs::read(path).ok()?;
        (blake3::hash(&bytes) == *name).then_some(bytes)
    }

    pub(crate) fn keep(&self, name: &Name, bytes: &[u8]) {
        let Some(directory) = &self.0 else { return };
        if let Err(error) = replace(&directory.join("segments"), &hex(name), bytes) {
            tracing::warn!("a segment of the remote's index cannot be kept: {error}");
        }
    }

    pub(crate) fn forget(&self, name: &Name) {
        if let Some(directory) = &self.0 {
            // Somebody else may have been faster; and what is left is a copy too many.
            let _ = fs::remove_file(directory.join("segments").join(hex(name)));
        }
    }
}

/// Makes the directory, for nobody else to write to.
fn make(directory: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory.join("segments"))
}

/// Writes aside, then renames.
fn replace(directory: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let aside = directory.join(format!(".{name}.{:016x}", u64::from_le_bytes(random)));
    let written = fs::File::create(&aside).and_then(|mut file| file.write_all(bytes));
    let renamed = written.and_then(|()| fs::rename(&aside, directory.join(name)));
    if renamed.is_err() {
        let _ = fs::remove_file(&aside);
    }
    renamed
}

impl State {
    fn write(self) -> Vec<u8> {
        let numbers = [
            VERSION,
            self.floor.number,
            self.floor.not_before,
            self.refreshed,
            self.closed_until,
            self.closed_for,
        ];
        numbers.iter().flat_map(|n| n.to_le_bytes()).collect()
    }

    fn read(bytes: &[u8]) -> Result<State, Malformed> {
        let mut input = Reader(bytes);
        if input.u64()? != VERSION {
            return Err(Malformed);
        }
        let state = State {
            floor: Floor {
                number: input.u64()?,
                not_before: input.u64()?,
            },
            refreshed: input.u64()?,
            closed_until: input.u64()?,
            closed_for: input.u64()?,
        };
        input.finish()?;
        Ok(state)
    }
}

/// A name in hexadecimal.
pub(crate) fn hex(name: &Name) -> String {
    blake3::Hash::from_bytes(*name).to_hex().to_string()
}

/// The name that `text` is in hexadecimal.
pub(crate) fn name(text: &str) -> Option<Name> {
    blake3::Hash::from_hex(text).ok().map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_there_and_the_floor_never_sinks() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/b");
        let local = Local::open(Some(&path));
        assert_eq!(local.state(), State::default());
        let state = State {
            floor: Floor {
                number: 5,
                not_before: 9,
            },
            refreshed: 77,
            closed_until: 3,
            closed_for: 30,
        };
        local.set_state(state);
        assert_eq!(Local::open(Some(&path)).state(), state);
        local.set_state(State::default());
        assert_eq!(local.state().floor, state.floor);
        assert_eq!(local.state().refreshed, 0);

        let bytes = b"a segment";
        let name = blake3::hash(bytes).into();
        local.keep(&name, bytes);
        assert_eq!(local.segments(), [name]);
        assert_eq!(local.segment(&name).as_deref(), Some(&bytes[..]));
        let file = path.join("segments").join(hex(&name));
        fs::write(&file, b"another").unwrap();
        assert_eq!(local.segment(&name), None, "not what its name says");
        local.forget(&name);
        assert!(local.segments().is_empty());
    }

    #[test]
    fn without_a_directory_nothing_is_kept() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for local in [Local::open(None), Local::open(Some(file.path()))] {
            local.keep(&[1; 32], b"");
            local.set_state(State::default());
            assert!(local.segments().is_empty() && local.segment(&[1; 32]).is_none());
        }
    }
}
