//! Noticing that a file changed: it was written to, replaced, removed, or put back.
//!
//! The directories that the file is in are watched, so that a file that is renamed over it is
//! noticed, which is how most tools write. Beside that the file is looked at twice a second, for
//! file systems that tell nobody, and for directories that are removed and made again, as build
//! tools do to theirs.

use crate::warn;
use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant, SystemTime};

/// How often the file is looked at.
const PERIOD: Duration = Duration::from_millis(500);

/// How long there must be no change before a change is worth looking at: a file is written in
/// pieces.
const QUIET: Duration = Duration::from_millis(25);

/// How long a file may go on changing until it is looked at all the same.
const RESTLESS: Duration = Duration::from_millis(500);

/// What there is to react to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// The file may have changed.
    Changed,
    /// Time passed, or something else happened, and the file did not change.
    Unchanged,
    /// The user wants to stop.
    Stop,
}

/// The changes of one file.
pub(crate) struct Changes {
    path: PathBuf,
    events: Receiver<Event>,
    sender: Sender<Event>,
    watcher: Option<RecommendedWatcher>,
    /// The directories that are watched, and which ones they were when that began.
    directories: BTreeMap<PathBuf, Identity>,
    /// What the file was when it was last looked at.
    seen: Option<Identity>,
}

/// What tells a file or a directory from another one in its place.
#[derive(Clone, PartialEq, Eq)]
struct Identity {
    /// Where links lead to.
    resolved: PathBuf,
    length: u64,
    modified: Option<SystemTime>,
    inode: (u64, u64),
}

impl Identity {
    fn of_file(path: &Path) -> Option<Identity> {
        let resolved = std::fs::canonicalize(path).ok()?;
        let metadata = std::fs::metadata(&resolved).ok()?;
        Some(Identity {
            resolved,
            length: metadata.len(),
            modified: metadata.modified().ok(),
            inode: inode(&metadata),
        })
    }

    /// A directory is the same one whatever comes and goes in it.
    fn of_directory(path: &Path) -> Option<Identity> {
        Some(Identity {
            length: 0,
            modified: None,
            ..Identity::of_file(path)?
        })
    }
}

#[cfg(unix)]
fn inode(metadata: &Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt as _;
    (metadata.dev(), metadata.ino())
}

#[cfg(not(unix))]
fn inode(_: &Metadata) -> (u64, u64) {
    (0, 0)
}

impl Changes {
    /// Begins to watch `path`.
    pub(crate) fn of(path: &Path) -> Changes {
        let (sender, events) = channel();
        let to = sender.clone();
        let name = path.file_name().map(OsString::from);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // An error says that something was missed.
            let told = event.map_or(Some(Event::Unchanged), |event| told(&event, &name));
            if let Some(event) = told {
                // Nobody is there to be told when the command is about to end.
                let _ = to.send(event);
            }
        });
        let watcher = watcher.inspect_err(|error| {
            warn(format!(
                "the operating system does not tell of changes ({error}); looking twice a second"
            ));
        });
        let mut changes = Changes {
            path: path.to_path_buf(),
            events,
            sender,
            watcher: watcher.ok(),
            directories: BTreeMap::new(),
            seen: Identity::of_file(path),
        };
        changes.watch_directories();
        changes
    }

    /// Where to say that the user wants to stop.
    pub(crate) fn sender(&self) -> Sender<Event> {
        self.sender.clone()
    }

    /// Waits until the file changed and has come to rest, for as long as `patience` if there is
    /// one, and calls `meanwhile` now and then.
    pub(crate) fn wait(
        &mut self,
        patience: Option<Duration>,
        meanwhile: &mut dyn FnMut(),
    ) -> Event {
        let start = Instant::now();
        loop {
            let mut told = false;
            let left = patience.map(|patience| patience.saturating_sub(start.elapsed()));
            let event = match left {
                Some(Duration::ZERO) => return Event::Unchanged,
                left => self.events.recv_timeout(left.unwrap_or(PERIOD).min(PERIOD)),
            };
            match event {
                Ok(first) => match self.settle(first) {
                    Event::Stop => return Event::Stop,
                    event => told = event == Event::Changed,
                },
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => unreachable!("one sender is kept here"),
            }
            self.watch_directories();
            if self.look() || told {
                return Event::Changed;
            }
            meanwhile();
        }
    }

    /// Waits until nothing happened for a moment after `event`. Says what happened on the whole.
    fn settle(&self, mut event: Event) -> Event {
        let start = Instant::now();
        while event != Event::Stop && start.elapsed() < RESTLESS {
            match self.events.recv_timeout(QUIET) {
                Ok(Event::Unchanged) => {}
                Ok(next) => event = next,
                Err(_) => break,
            }
        }
        event
    }

    /// Whether the file is not what it was when it was last looked at.
    ///
    /// Two writes of one length within a tick of the file system's clock look alike, but the
    /// operating system tells of both.
    fn look(&mut self) -> bool {
        let now = Identity::of_file(&self.path);
        let changed = now != self.seen;
        self.seen = now;
        changed
    }

    /// Watches the directories that the file's name and the file itself are in now.
    fn watch_directories(&mut self) {
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        let wanted: BTreeMap<PathBuf, Identity> = self
            .path
            .canonicalize()
            .iter()
            .chain([&self.path])
            .filter_map(|path| {
                let directory = match path.parent()? {
                    parent if parent.as_os_str().is_empty() => Path::new("."),
                    parent => parent,
                };
                let identity = Identity::of_directory(directory)?;
                Some((identity.resolved.clone(), identity))
            })
            .collect();
        if wanted == self.directories {
            return;
        }
        for (path, identity) in &self.directories {
            if wanted.get(path) != Some(identity) {
                // It is most likely gone, and the watch with it.
                let _ = watcher.unwatch(path);
            }
        }
        for (path, identity) in &wanted {
            if self.directories.get(path) != Some(identity) {
                // What cannot be watched is looked at, as everything is.
                let _ = watcher.watch(path, RecursiveMode::NonRecursive);
            }
        }
        self.directories = wanted;
    }
}

/// What `event` in a directory means for the file called `name` in it, if anything happened.
///
/// What happens to others may be to one that the name leads to. Nothing is made of looking: reading
/// the file is not to be followed by reading it again.
fn told(event: &notify::Event, name: &Option<OsString>) -> Option<Event> {
    if let EventKind::Access(kind) = event.kind
        && kind != AccessKind::Close(AccessMode::Write)
    {
        return None;
    }
    let named = |path: &PathBuf| path.file_name() == name.as_deref();
    Some(match event.paths.iter().any(named) {
        true => Event::Changed,
        false => Event::Unchanged,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Long enough for the busiest machine.
    const LONG: Option<Duration> = Some(Duration::from_secs(60));
    const SHORT: Option<Duration> = Some(Duration::from_millis(1200));

    fn wait(changes: &mut Changes, patience: Option<Duration>) -> Event {
        changes.wait(patience, &mut || ())
    }

    #[test]
    fn a_file_is_written_replaced_removed_and_put_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let mut changes = Changes::of(&path);
        std::fs::write(&path, "one").unwrap();
        assert_eq!(wait(&mut changes, LONG), Event::Changed);
        std::fs::write(directory.path().join("other"), "three").unwrap();
        assert_eq!(wait(&mut changes, SHORT), Event::Unchanged);
        std::fs::rename(directory.path().join("other"), &path).unwrap();
        assert_eq!(wait(&mut changes, LONG), Event::Changed);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(wait(&mut changes, LONG), Event::Changed);
        std::fs::write(&path, "four").unwrap();
        assert_eq!(wait(&mut changes, LONG), Event::Changed);
    }

    #[test]
    fn reading_is_no_change() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, "one").unwrap();
        let mut changes = Changes::of(&path);
        std::fs::read(&path).unwrap();
        assert_eq!(wait(&mut changes, SHORT), Event::Unchanged);
    }

    #[test]
    fn a_directory_is_removed_and_made_again() {
        let directory = tempfile::tempdir().unwrap();
        let below = directory.path().join("below");
        let path = below.join("file");
        std::fs::create_dir(&below).unwrap();
        std::fs::write(&path, "one").unwrap();
        let mut changes = Changes::of(&path);
        std::fs::remove_dir_all(&below).unwrap();
        assert_eq!(wait(&mut changes, LONG), Event::Changed);
        std::fs::create_dir(&below).unwrap();
        std::fs::write(&path, "two").unwrap();
        assert_eq!(wait(&mut changes, LONG), Event::Changed);
        std::fs::write(&path, "three").unwrap();
        assert_eq!(wait(&mut changes, LONG), Event::Changed);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_followed_and_may_lead_elsewhere() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        for name in ["a", "b"] {
            std::fs::create_dir(at(name)).unwrap();
            std::fs::write(at(name).join("file"), name).unwrap();
        }
        std::os::unix::fs::symlink(at("a").join("file"), at("link")).unwrap();
        let mut changes = Changes::of(&at("link"));
        std::fs::write(at("a").join("file"), "changed").unwrap();
        assert_eq!(wait(&mut changes, LONG), Event::Changed);
        std::os::unix::fs::symlink(at("b").join("file"), at("new")).unwrap();
        std::fs::rename(at("new"), at("link")).unwrap();
        assert_eq!(wait(&mut changes, LONG), Event::Changed);
        std::fs::write(at("b").join("file"), "changed, too").unwrap();
        assert_eq!(wait(&mut changes, LONG), Event::Changed);
    }

    #[test]
    fn stopping_goes_before_all_else() {
        let directory = tempfile::tempdir().unwrap();
        let mut changes = Changes::of(&directory.path().join("file"));
        changes.sender().send(Event::Stop).unwrap();
        assert_eq!(wait(&mut changes, None), Event::Stop);
    }
}
