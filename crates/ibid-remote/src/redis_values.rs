//! Redis, Valkey, and what else speaks their protocol: values under keys, in batches.
//!
//! The key of an entry is the prefix, a colon, and 32 bytes of digest in hexadecimal. The
//! server forgets a value when its time is over (`SET … EX`).

use crate::local::hex;
use crate::objects::Failed;
use crate::remote::{
    Batch, LATER, LONGEST_REQUEST, Remote, SOON, Shared, Wanted, now, persistently,
};
use crate::statistics::count;
use crate::values::{self, take_in};
use futures::future::{BoxFuture, try_join_all};
use redis::AsyncConnectionConfig;
use redis::aio::MultiplexedConnection;
use std::sync::Arc;
use tokio::sync::Mutex;

/// Keys of one `MGET`: an answer of a few hundred kibibytes, while others are on their way.
const ASKED_AT_ONCE: usize = 256;

/// Bytes of one pipeline of `SET`s.
const STORED_AT_ONCE: usize = 4 << 20;

/// The server takes no larger values, in bytes.
const LARGEST_VALUE: usize = 500 << 20;

/// A Redis server.
pub(crate) struct RedisValues {
    client: redis::Client,
    prefix: String,
    shared: Arc<Shared>,
    connection: Mutex<Option<MultiplexedConnection>>,
}

impl Remote for RedisValues {
    fn look_up(self: Arc<Self>, wanted: Arc<Wanted>) -> BoxFuture<'static, Result<(), Failed>> {
        Box::pin(async move {
            let numbers: Vec<usize> = (0..wanted.keys.len()).collect();
            let batches = numbers.chunks(ASKED_AT_ONCE);
            try_join_all(batches.map(|some| self.get(some, &wanted))).await?;
            Ok(())
        })
    }

    fn upload(self: Arc<Self>, batch: Batch) -> BoxFuture<'static, Result<(), Failed>> {
        Box::pin(async move { self.set(batch).await })
    }
}

impl RedisValues {
    pub(crate) fn new(client: redis::Client, prefix: String, shared: Arc<Shared>) -> RedisValues {
        RedisValues {
            client,
            prefix,
            shared,
            connection: Mutex::default(),
        }
    }

    /// The connection, which all share.
    pub(crate) async fn connection(&self) -> Result<MultiplexedConnection, Failed> {
        let mut kept = self.connection.lock().await;
        if let Some(connection) = &*kept {
            return Ok(connection.clone());
        }
        // Its own limit, of half a second, is less than much takes over a slow line.
        let patient = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(LONGEST_REQUEST))
            .set_response_timeout(Some(LONGEST_REQUEST));
        let connection = self
            .client
            .get_multiplexed_async_connection_with_config(&patient)
            .await;
        let connection = connection.map_err(|error| failed("connecting", &error))?;
        *kept = Some(connection.clone());
        Ok(connection)
    }

    /// The answer to `command`; after a failure the next one gets a new connection.
    async fn ask<T: redis::FromRedisValue>(&self, command: &redis::Cmd) -> Result<T, Failed> {
        let mut connection = self.connection().await?;
        let answer = command.query_async(&mut connection).await;
        self.looked_at("asking", answer).await
    }

    async fn looked_at<T>(&self, doing: &str, answer: redis::RedisResult<T>) -> Result<T, Failed> {
        match answer {
            Ok(answer) => Ok(answer),
            Err(error) => {
                *self.connection.lock().await = None;
                Err(failed(doing, &error))
            }
        }
    }

    pub(crate) fn name(&self, key: &[u8]) -> String {
        let digest = blake3::derive_key("ibid remote 1: key", key);
        format!("{}:{}", self.prefix, hex(&digest))
    }

    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Runs a command once.
    pub(crate) async fn run<T: redis::FromRedisValue>(
        &self,
        command: &redis::Cmd,
    ) -> Result<T, Failed> {
        self.ask(command).await
    }

    async fn get(&self, numbers: &[usize], wanted: &Arc<Wanted>) -> Result<(), Failed> {
        let counting = &self.shared.counting;
        let mut command = redis::cmd("MGET");
        for number in numbers {
            command.arg(self.name(&wanted.keys[*number]));
        }
        let ask = || {
            count(&counting.requests, 1);
            self.ask::<Vec<Option<Vec<u8>>>>(&command)
        };
        let answers = persistently(&SOON, ask).await?;
        let (shared, wanted, numbers) = (self.shared.clone(), wanted.clone(), numbers.to_vec());
        let opening = tokio::task::spawn_blocking(move || {
            let pairs = numbers.into_iter().zip(answers);
            let found = pairs.filter_map(|(number, value)| Some((number, value?)));
            take_in(&shared, &wanted, found);
        });
        opening
            .await
            .map_err(|error| Failed::refused(error.to_string()))
    }

    async fn set(&self, batch: Batch) -> Result<(), Failed> {
        let (shared, counting) = (self.shared.clone(), self.shared.counting.clone());
        let lifetime = shared.lifetime.as_secs().max(1);
        let sealing = tokio::task::spawn_blocking(move || {
            let sealed = values::seal(&batch.entries, shared.key.as_ref(), now(), lifetime);
            (batch.entries, sealed)
        });
        let sealed = sealing.await;
        let (entries, sealed) = sealed.map_err(|error| Failed::refused(error.to_string()))?;
        let mut pairs = entries.iter().zip(sealed).peekable();
        while pairs.peek().is_some() {
            let (mut pipeline, mut bytes, mut stored) = (redis::pipe(), 0, 0);
            while bytes < STORED_AT_ONCE
                && let Some((entry, value)) = pairs.next()
            {
                if value.len() > LARGEST_VALUE {
                    count(&counting.not_uploaded, 1);
                    continue;
                }
                (bytes, stored) = (bytes + value.len(), stored + 1);
                let name = self.name(&entry.key);
                pipeline
                    .cmd("SET")
                    .arg(name)
                    .arg(value)
                    .arg("EX")
                    .arg(lifetime)
                    .ignore();
            }
            let write = || async {
                count(&counting.upload_requests, 1);
                let mut connection = self.connection().await?;
                let answer = pipeline.query_async::<()>(&mut connection).await;
                self.looked_at("storing", answer).await
            };
            persistently(&LATER, write).await?;
            count(&counting.uploaded, stored);
            count(&counting.bytes_written, bytes as u64);
        }
        Ok(())
    }
}

/// What went wrong, without addresses and passwords.
fn failed(doing: &str, error: &redis::RedisError) -> Failed {
    let detail = error.detail().unwrap_or_default();
    Failed::of_server(doing, format!("{} {detail}", error.category()))
}
