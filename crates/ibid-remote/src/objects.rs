//! What is done with objects, and how it is counted.
//!
//! | path | what | written |
//! |---|---|---|
//! | `index/<name>` | a [segment](crate::segment) | once |
//! | `packs/<name>` | a [pack](crate::pack) | once |
//! | `floor` | the [floor](crate::floor) | by `ibid remote gc` |
//!
//! A name is the BLAKE3 digest of the object's bytes in hexadecimal.

use crate::descriptor::Name;
use crate::local::{hex, name};
use crate::statistics::{Counting, count};
use futures::TryStreamExt as _;
use opendal::{ErrorKind, Operator};
use std::error::Error as _;
use std::ops::Range;
use std::sync::Arc;

/// The folder of the index.
pub(crate) const INDEX: &str = "index/";
/// The folder of the packs.
pub(crate) const PACKS: &str = "packs/";
/// The floor.
pub(crate) const FLOOR: &str = "floor";

/// Object stores list at most so many objects in one answer.
pub(crate) const LISTED_AT_ONCE: u64 = 1000;

/// An object store.
#[derive(Clone, Debug)]
pub(crate) struct Objects {
    operator: Operator,
    counting: Arc<Counting>,
}

/// An object in a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) name: Name,
    pub(crate) length: u64,
    /// In seconds since 1970, if the store says so.
    pub(crate) modified: Option<u64>,
}

/// Why nothing came of a request.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {message}")]
pub(crate) struct Failed {
    what: String,
    message: String,
    /// There is no such object; the store is well.
    pub(crate) is_absent: bool,
}

impl Failed {
    /// It was not even asked for, or the answer was not believed.
    pub(crate) fn refused(message: String) -> Failed {
        Failed {
            what: "the remote is not used".into(),
            message,
            is_absent: false,
        }
    }

    /// A server said so.
    #[cfg(feature = "redis")]
    pub(crate) fn of_server(doing: &str, message: String) -> Failed {
        Failed {
            what: doing.to_owned(),
            message,
            is_absent: false,
        }
    }

    pub(crate) fn of(what: &str, path: &str) -> impl FnOnce(opendal::Error) -> Failed {
        let what = format!("{what} `{path}`");
        move |error| Failed {
            is_absent: error.kind() == ErrorKind::NotFound,
            message: message(&error),
            what,
        }
    }
}

/// What went wrong, in a line, without the context, in which there are addresses and headers.
fn message(error: &opendal::Error) -> String {
    let mut message = error.kind().to_string();
    let said = error.message().lines().next().unwrap_or_default();
    if !said.is_empty() {
        message.push_str(": ");
        message.extend(said.chars().take(200));
    }
    if let Some(error) = of_the_system(error) {
        message.push_str(&format!(": {error}"));
    }
    message
}

/// What the operating system said, if it is at the bottom of this: that a connection was refused,
/// or a host is not known.
fn of_the_system(error: &opendal::Error) -> Option<&std::io::Error> {
    let mut cause = error.source()?;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.downcast_ref()
}

impl Objects {
    pub(crate) fn new(operator: Operator, counting: Arc<Counting>) -> Objects {
        Objects { operator, counting }
    }

    /// The objects in `folder`; a folder that is not there has none.
    pub(crate) async fn list(&self, folder: &str) -> Result<Vec<Listed>, Failed> {
        let failed = Failed::of("listing", folder);
        let listed = async {
            let lister = self.operator.lister(folder).await?;
            lister.try_collect::<Vec<_>>().await
        };
        let entries = match listed.await {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            Err(error) => {
                count(&self.counting.requests, 1);
                return Err(failed(error));
            }
        };
        let requests = (entries.len() as u64).div_ceil(LISTED_AT_ONCE).max(1);
        count(&self.counting.requests, requests);
        let object = |entry: opendal::Entry| {
            let metadata = entry.metadata();
            let modified = metadata.last_modified();
            Some(Listed {
                name: name(entry.name())?,
                length: metadata.content_length(),
                modified: modified
                    .and_then(|time| u64::try_from(time.into_inner().as_second()).ok()),
            })
        };
        Ok(entries.into_iter().filter_map(object).collect())
    }

    /// The bytes of an object, or of a range of it, which has at most `most`.
    pub(crate) async fn read(
        &self,
        path: &str,
        range: Option<Range<u64>>,
        most: u64,
    ) -> Result<Vec<u8>, Failed> {
        count(&self.counting.requests, 1);
        let expected = range.as_ref().map(|range| range.end - range.start);
        let mut options = opendal::options::ReadOptions::default();
        if let Some(range) = range {
            options.range = range.into();
        }
        let read = self.operator.read_options(path, options).await;
        let bytes = read.map_err(Failed::of("reading", path))?.to_vec();
        count(&self.counting.bytes_read, bytes.len() as u64);
        let length = bytes.len() as u64;
        if expected.is_some_and(|expected| expected != length) || length > most {
            return Err(Failed {
                what: format!("reading `{path}`"),
                message: format!("it gave {length} bytes"),
                is_absent: false,
            });
        }
        Ok(bytes)
    }

    /// Writes an object; it is there as a whole or not at all.
    pub(crate) async fn write(&self, path: &str, bytes: Vec<u8>) -> Result<(), Failed> {
        count(&self.counting.upload_requests, 1);
        let length = bytes.len() as u64;
        let written = self.operator.write(path, bytes).await;
        written.map_err(Failed::of("writing", path))?;
        count(&self.counting.bytes_written, length);
        Ok(())
    }

    /// Removes an object, if it is there.
    pub(crate) async fn delete(&self, path: &str) -> Result<(), Failed> {
        count(&self.counting.upload_requests, 1);
        match self.operator.delete(path).await {
            // Somebody else was faster.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            deleted => deleted.map_err(Failed::of("removing", path)),
        }
    }
}

/// Where the segment of this name is.
pub(crate) fn segment_path(name: &Name) -> String {
    format!("{INDEX}{}", hex(name))
}

/// Where the pack of this name is.
pub(crate) fn pack_path(name: &Name) -> String {
    format!("{PACKS}{}", hex(name))
}
