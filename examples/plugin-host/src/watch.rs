//! Noticing which plugins changed.
//!
//! The operating system tells that something happened in the directory. Then it is waited until
//! nothing happens any more, since files are written in pieces, and all plugins are read: one whose
//! bytes are others than before has changed. That way neither what kind of event it was matters,
//! nor how an editor or a compiler writes: into the file, or beside it and renamed.
//!
//! A file that is half written for longer than that is read half written. It does not compile, the
//! version before stays in service, and the rest of it is another change.

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

/// How long nothing must happen before files are read.
const QUIET: Duration = Duration::from_millis(20);

/// How long something may go on happening until files are read all the same.
const RESTLESS: Duration = Duration::from_millis(500);

/// A plugin that is new, or that is not what it was.
#[derive(Debug)]
pub struct Change {
    /// The plugin's name: that of its file, without `.wat` or `.wasm`.
    pub name: String,
    /// What is in the file, or why that cannot be read.
    pub contents: io::Result<Vec<u8>>,
}

/// The changes in a directory of plugins.
pub struct Watch {
    directory: PathBuf,
    signals: Receiver<Signal>,
    sender: Sender<Signal>,
    /// Tells of changes for as long as it is there.
    _watcher: RecommendedWatcher,
    /// What was in each file when it was last read.
    seen: BTreeMap<PathBuf, Vec<u8>>,
}

/// Ends a [`Watch`], from any thread.
#[derive(Clone, Debug)]
pub struct Stop(Sender<Signal>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signal {
    /// Something happened in the directory.
    Happened,
    Stop,
}

impl Watch {
    /// Watches `directory`. The plugins in it are the first changes.
    ///
    /// # Errors
    ///
    /// If it cannot be watched.
    pub fn new(directory: &Path) -> notify::Result<Watch> {
        let (sender, signals) = channel();
        // Whatever is in it now.
        let _ = sender.send(Signal::Happened);
        let to = sender.clone();
        let mut watcher = notify::recommended_watcher(move |event| {
            if may_be_change(&event) {
                // Nobody is there to be told when the program is about to end.
                let _ = to.send(Signal::Happened);
            }
        })?;
        watcher.watch(directory, RecursiveMode::NonRecursive)?;
        Ok(Watch {
            directory: directory.to_path_buf(),
            signals,
            sender,
            _watcher: watcher,
            seen: BTreeMap::new(),
        })
    }

    /// What ends it.
    pub fn stop(&self) -> Stop {
        Stop(self.sender.clone())
    }

    /// Waits until plugins changed, and says which. `None` if it was stopped.
    pub fn wait(&mut self) -> Option<Vec<Change>> {
        loop {
            if self.signals.recv() != Ok(Signal::Happened) || !self.settle() {
                return None;
            }
            let changes = self.changes();
            if !changes.is_empty() {
                return Some(changes);
            }
        }
    }

    /// Waits until nothing happened for a moment. `false` if it was stopped.
    fn settle(&self) -> bool {
        let start = Instant::now();
        while start.elapsed() < RESTLESS {
            match self.signals.recv_timeout(QUIET) {
                Ok(Signal::Happened) => {}
                Ok(Signal::Stop) => return false,
                Err(_) => break,
            }
        }
        true
    }

    /// The plugins that are not what they were. One that was removed stays in service.
    fn changes(&mut self) -> Vec<Change> {
        let mut changes = Vec::new();
        for (name, path) in plugins(&self.directory) {
            let contents = match std::fs::read(&path) {
                // It is removed, or about to be replaced.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                contents => contents,
            };
            if let Ok(contents) = &contents {
                if self.seen.get(&path) == Some(contents) {
                    continue;
                }
                self.seen.insert(path, contents.clone());
            }
            changes.push(Change { name, contents });
        }
        changes
    }
}

impl Stop {
    /// Lets [`Watch::wait`] return.
    pub fn stop(&self) {
        // If it is gone, it has stopped.
        let _ = self.0.send(Signal::Stop);
    }
}

/// Whether a file may have changed. An error says that something was missed; reading changes
/// nothing, and is not to be followed by more reading.
fn may_be_change(event: &notify::Result<notify::Event>) -> bool {
    use notify::event::{AccessKind, AccessMode};
    match event {
        Ok(event) => match event.kind {
            EventKind::Access(kind) => kind == AccessKind::Close(AccessMode::Write),
            _ => true,
        },
        Err(_) => true,
    }
}

/// The plugins in `directory`, with their names, in the order of these.
fn plugins(directory: &Path) -> Vec<(String, PathBuf)> {
    let Ok(entries) = std::fs::read_dir(directory) else {
        // It is gone, and with it no plugin that is in service.
        return Vec::new();
    };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let named = paths.filter_map(|path| {
        let extension = path.extension()?;
        let name = path.file_stem()?.to_str()?.to_string();
        (extension == "wat" || extension == "wasm").then_some((name, path))
    });
    let mut plugins: Vec<_> = named.collect();
    plugins.sort();
    plugins
}
