//! Memcached: values under keys, one by one.
//!
//! The key of an entry is 32 bytes of digest in hexadecimal, behind the prefix. The server has its
//! own mind about what it keeps; a value that is too large for it is not stored.

use crate::local::hex;
use crate::objects::Failed;
use crate::remote::{Batch, Remote, Shared, Wanted, now};
use crate::statistics::count;
use crate::values;
use crate::values::take_in;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use opendal::{ErrorKind, Operator};
use std::sync::Arc;

/// So many requests are on their way at once.
const ASKED_AT_ONCE: usize = 64;

/// Servers take no larger values unless told so, in bytes.
const LARGEST_VALUE: usize = 1_000_000;

/// A Memcached server.
pub(crate) struct SingleValues {
    pub(crate) operator: Operator,
    pub(crate) shared: Arc<Shared>,
}

impl Remote for SingleValues {
    fn look_up(self: Arc<Self>, wanted: Arc<Wanted>) -> BoxFuture<'static, Result<(), Failed>> {
        Box::pin(async move {
            let ask = |number: usize| {
                let name = name(&wanted.keys[number]);
                let remote = self.clone();
                async move {
                    count(&remote.shared.counting.requests, 1);
                    match remote.operator.read(&name).await {
                        Ok(value) => Ok(Some((number, value.to_vec()))),
                        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
                        Err(error) => Err(Failed::of("reading", &name)(error)),
                    }
                }
            };
            let numbers = futures::stream::iter(0..wanted.keys.len());
            let mut answers = numbers.map(ask).buffer_unordered(ASKED_AT_ONCE);
            while let Some(answer) = answers.next().await {
                if let Some(found) = answer? {
                    take_in(&self.shared, &wanted, std::iter::once(found));
                }
            }
            Ok(())
        })
    }

    fn upload(self: Arc<Self>, batch: Batch) -> BoxFuture<'static, Result<(), Failed>> {
        Box::pin(async move {
            let shared = &self.shared;
            let (key, lifetime) = (shared.key.as_ref(), shared.lifetime.as_secs());
            let sealed = values::seal(&batch.entries, key, now(), lifetime);
            let names = batch.entries.iter().map(|entry| name(&entry.key));
            let pairs: Vec<(String, Vec<u8>)> = names.zip(sealed).collect();
            let store = |(name, value)| self.clone().store(name, value);
            let pairs = futures::stream::iter(pairs);
            let mut stored = pairs.map(store).buffer_unordered(ASKED_AT_ONCE);
            while let Some(result) = stored.next().await {
                result?;
            }
            Ok(())
        })
    }
}

impl SingleValues {
    async fn store(self: Arc<Self>, name: String, value: Vec<u8>) -> Result<(), Failed> {
        let counting = &self.shared.counting;
        if value.len() > LARGEST_VALUE {
            count(&counting.not_uploaded, 1);
            return Ok(());
        }
        let length = value.len() as u64;
        count(&counting.upload_requests, 1);
        let written = self.operator.write(&name, value).await;
        written.map_err(Failed::of("writing", &name))?;
        count(&counting.uploaded, 1);
        count(&counting.bytes_written, length);
        Ok(())
    }
}

fn name(key: &[u8]) -> String {
    hex(&blake3::derive_key("ibid remote 1: key", key))
}
