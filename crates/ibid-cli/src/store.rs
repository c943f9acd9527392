//! The cache that the command line and the environment ask for.

use crate::{Failure, warn};
use clap::Args;
use ibid_store::{AuthenticationKey, CacheStore, DiskOptions, DiskStore, MemoryStore};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Which cache, and how it is kept.
#[derive(Args)]
pub(crate) struct CacheOptions {
    /// The cache in this directory [default: `ibid` in the user's cache directory]
    #[arg(long, value_name = "DIR", global = true)]
    pub(crate) cache: Option<PathBuf>,

    /// How large the cache may grow: bytes, or with a unit, as in 800MB or 5GiB [default: 5GiB]
    #[arg(long, value_name = "SIZE", env = "IBID_CACHE_SIZE", hide_env_values = true, value_parser = size, global = true)]
    cache_size: Option<u64>,

    /// Authenticate every entry with the secret in this file, of 32 bytes or more
    #[arg(
        long,
        value_name = "FILE",
        env = "IBID_CACHE_KEY_FILE",
        hide_env_values = true,
        global = true
    )]
    cache_key_file: Option<PathBuf>,
}

impl CacheOptions {
    /// The directory that was asked for, or else the user's.
    pub(crate) fn directory(&self) -> Result<PathBuf, String> {
        match &self.cache {
            Some(directory) => Ok(directory.clone()),
            None => ibid_store::default_directory().ok_or_else(|| {
                "there is no cache directory: neither XDG_CACHE_HOME nor HOME is set; say one with `--cache`".into()
            }),
        }
    }

    /// How to open it.
    ///
    /// A key that cannot be read is not a cache that cannot be used: whoever asked for
    /// authentication shall not go without.
    pub(crate) fn options(&self) -> Result<DiskOptions, Failure> {
        let key = |path: &Path| {
            AuthenticationKey::from_file(path).map_err(|error| {
                Failure::Input(format!(
                    "cannot use `{}` as the cache's key: {error}",
                    path.display()
                ))
            })
        };
        let mut options = DiskOptions::default();
        options.max_bytes = self.cache_size.unwrap_or(options.max_bytes);
        options.authentication = self.cache_key_file.as_deref().map(key).transpose()?;
        Ok(options)
    }

    /// The store for a compile, and whether it outlives the command. A cache that cannot be opened
    /// is a warning and a compile without one.
    pub(crate) fn store(&self, none: bool) -> Result<(Arc<dyn CacheStore>, bool), Failure> {
        let memory = || (Arc::new(MemoryStore::new()) as Arc<dyn CacheStore>, false);
        if none {
            return Ok(memory());
        }
        let options = self.options()?;
        let opened = self
            .directory()
            .and_then(|path| DiskStore::open_with(path, options).map_err(|error| causes(&error)));
        match opened {
            Ok(store) => Ok((Arc::new(store), true)),
            Err(message) => {
                warn(format!(
                    "{message}; compiling without a cache (`--cache DIR` names another place for one)"
                ));
                Ok(memory())
            }
        }
    }

    /// The directory and the store in it, for commands that are about the cache.
    pub(crate) fn open(&self) -> Result<(PathBuf, DiskStore), Failure> {
        let directory = self.directory().map_err(Failure::Input)?;
        let store = DiskStore::open_with(&directory, self.options()?).map_err(failed)?;
        Ok((directory, store))
    }
}

/// An error with all its causes, in a line.
pub(crate) fn failed(error: impl std::error::Error) -> Failure {
    Failure::Input(causes(&error))
}

/// An error with all its causes, in a line.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        message.push_str(&format!(": {error}"));
        source = error.source();
    }
    message
}

/// A number of bytes, of which a cache has at least a few.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let bytes = text
        .parse::<bytesize::ByteSize>()
        .map_err(|_| "a size is a number of bytes, or a number and a unit, as in 800MB or 5GiB")?
        .as_u64();
    match bytes {
        0 => Err("a cache of no size keeps nothing; `--no-cache` does without one".into()),
        _ => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units_or_none() {
        assert_eq!(size("1000000"), Ok(1_000_000));
        assert_eq!(size("5GiB"), Ok(5 << 30));
        assert_eq!(size("5 gib"), Ok(5 << 30));
        assert_eq!(size("1.5MB"), Ok(1_500_000));
        for text in ["", "much", "-1", "5 apples", "0", "0GB"] {
            assert!(size(text).is_err(), "{text}");
        }
    }
}
