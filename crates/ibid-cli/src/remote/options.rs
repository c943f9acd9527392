//! Which remote, whom to believe, and how long to wait.

use super::numbers::seconds;
use super::tier::Remote;
use crate::store::{CacheOptions, causes};
use crate::{Failure, warn};
use clap::Args;
use ibid_remote::{RemoteStore, SecretKey, Trust};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Under which heading the options are in the help.
const HEADING: &str = "Shared cache";

/// Which remote, and how it is used.
#[derive(Args)]
pub(crate) struct RemoteOptions {
    /// Share the cache with other machines: s3://bucket/prefix?region=…, gs://, azblob://,
    /// webdav://, file://, redis://, memcached://
    #[arg(
        long,
        value_name = "URL",
        env = "IBID_REMOTE",
        hide_env_values = true,
        global = true,
        help_heading = HEADING
    )]
    remote: Option<String>,

    /// Believe the writers whose public keys are in this file, one on each line
    #[arg(long, value_name = "FILE", env = "IBID_REMOTE_TRUST", global = true, help_heading = HEADING)]
    remote_trust: Option<PathBuf>,

    /// Upload what is compiled, signed with the secret key in this file; without one nothing is
    /// uploaded
    #[arg(long, value_name = "FILE", env = "IBID_REMOTE_KEY", global = true, help_heading = HEADING)]
    remote_key: Option<PathBuf>,

    /// Believe whoever can write to the remote, and upload without a signature: whoever can write
    /// there decides what machine code runs here
    #[arg(long, conflicts_with_all = ["remote_trust", "remote_key"], global = true, help_heading = HEADING)]
    insecure_remote: bool,

    /// Wait for the remote no longer than this in all, in seconds, then compile
    #[arg(long, value_name = "SECONDS", env = "IBID_REMOTE_DEADLINE", default_value = "2", value_parser = seconds, global = true, help_heading = HEADING)]
    remote_deadline: Duration,

    /// Wait until what was compiled is uploaded, as CI should; else it is given up soon after the
    /// artifact is written
    #[arg(long, global = true, help_heading = HEADING)]
    pub(crate) wait_upload: bool,
}

impl RemoteOptions {
    /// The remote that was asked for, if one was.
    ///
    /// One whose keys cannot be read, or of which it is not said whom to believe, is an error:
    /// nobody shall believe more than they meant to.
    pub(crate) fn open(&self, cache: &CacheOptions) -> Result<Remote, Failure> {
        match &self.remote {
            None => Ok(Remote::default()),
            Some(url) => Ok(Remote::new(self.store(url, cache)?, self.remote_deadline)),
        }
    }

    /// The remote, for commands that are about it.
    pub(crate) fn required(&self, cache: &CacheOptions) -> Result<Arc<RemoteStore>, Failure> {
        let url = self.remote.as_ref().ok_or_else(|| {
            Failure::Usage("which remote? Say it with `--remote URL` or IBID_REMOTE".into())
        })?;
        self.store(url, cache)
    }

    fn store(&self, url: &str, cache: &CacheOptions) -> Result<Arc<RemoteStore>, Failure> {
        let key = self.remote_key.as_deref().map(secret).transpose()?;
        let mut options = ibid_remote::RemoteOptions::new(self.trust(key.as_ref())?);
        options.uploads = Some(self.insecure_remote || key.is_some());
        options.key = key;
        options.deadline = self.remote_deadline;
        options.shares = ibid::is_worth_sharing;
        options.directory = cache.directory().ok().map(|directory| {
            let name = blake3::hash(url.as_bytes()).to_hex();
            directory.join("remote").join(&name.as_str()[..16])
        });
        let store = RemoteStore::open(url, options);
        let store = store.map_err(|error| Failure::Usage(causes(&error)))?;
        Ok(Arc::new(store))
    }

    /// A writer believes itself.
    fn trust(&self, key: Option<&SecretKey>) -> Result<Trust, Failure> {
        if self.insecure_remote {
            return Ok(Trust::Anyone);
        }
        let file = self.remote_trust.as_deref();
        let trust = file.map(|path| {
            Trust::from_file(path).map_err(|error| unusable(path, "the keys to trust", &error))
        });
        match (trust.transpose()?, key) {
            (Some(Trust::Keys(mut keys)), Some(key)) => {
                if !keys.contains(&key.public()) {
                    warn(format!(
                        "the key to sign with is not among the keys to trust: others with that list refuse what it signs; add {}",
                        key.public()
                    ));
                }
                keys.push(key.public());
                Ok(Trust::Keys(keys))
            }
            (Some(trust), _) => Ok(trust),
            (None, Some(key)) => Ok(Trust::Keys(vec![key.public()])),
            (None, None) => Err(Failure::Usage(
                "whose uploads may this machine run? Name a file of public keys with `--remote-trust` or IBID_REMOTE_TRUST (`ibid remote keygen` makes keys), or believe everyone who can write there with `--insecure-remote`".into(),
            )),
        }
    }
}

fn secret(path: &Path) -> Result<SecretKey, Failure> {
    SecretKey::from_file(path).map_err(|error| unusable(path, "the key to sign with", &error))
}

fn unusable(path: &Path, what: &str, error: &ibid_remote::KeyError) -> Failure {
    let causes = causes(error);
    Failure::Input(format!(
        "cannot use `{}` as {what}: {causes}",
        path.display()
    ))
}
