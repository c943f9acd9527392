//! Building a file whenever it changes.

use crate::watch::changes::{Changes, Event};
use crate::watch::program::Program;
use crate::watch::stop::{Stop, lock};
use crate::{Failure, input, messages};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How long a file may be missing or malformed before that is worth saying: it may be about to be
/// written.
const PATIENCE: Duration = Duration::from_secs(1);

/// What is done with the file each time.
pub(crate) trait Build {
    /// Does it with the file's contents.
    fn build(&mut self, wasm: &[u8], stop: &Stop) -> Result<(), Failure>;

    /// Whether what was made of the file is still there, so that the same contents need not be
    /// built again.
    fn is_there(&self) -> bool;
}

/// Builds the file at `path` now and whenever it changed, until the user stops it. `program` is
/// what the builds run.
pub(crate) fn follow(
    path: &Path,
    build: &mut dyn Build,
    program: &Arc<Mutex<Program>>,
) -> Result<(), Failure> {
    let mut changes = Changes::of(path);
    let stop = Stop::new(changes.sender(), program.clone())?;
    let mut wait = |patience| changes.wait(patience, &mut || lock(program).look());
    let mut latest = Latest::default();
    loop {
        let mut event = Event::Unchanged;
        if let Err(failure) = latest.attempt(path, build, &stop) {
            event = wait(Some(PATIENCE));
            if event == Event::Unchanged {
                messages::error(format_args!("{failure}; waiting for a change"));
            }
        }
        if event == Event::Unchanged {
            event = wait(None);
        }
        if event == Event::Stop {
            return Ok(());
        }
    }
}

/// The contents that were built last, if they could be.
#[derive(Default)]
struct Latest(Option<blake3::Hash>);

impl Latest {
    /// Builds what the file has now, unless it is what was built last.
    fn attempt(&mut self, path: &Path, build: &mut dyn Build, stop: &Stop) -> Result<(), Failure> {
        let wasm = input::read_wasm(path)?;
        let hash = blake3::hash(&wasm);
        if self.0 == Some(hash) && build.is_there() {
            return Ok(());
        }
        self.0 = None;
        if wasm.is_empty() {
            return Err(Failure::Input(format!("`{}` is empty", path.display())));
        }
        build.build(&wasm, stop)?;
        self.0 = Some(hash);
        Ok(())
    }
}
