//! Clients of a remote, and what they store.

use super::servers::{BUCKET, Memcached, Redis, S3, WebDav};
use ibid_remote::{RemoteOptions, RemoteStore, SecretKey, Trust};
use ibid_store::{CacheStore, Entry};
use std::net::SocketAddr;
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

/// What is behind the `?` of an S3's URL, so that nothing is taken from the environment.
const S3_OPTIONS: &str = "region=us-east-1&access_key_id=x&secret_access_key=y\
                          &disable_ec2_metadata=true&disable_config_load=true";

pub(crate) fn s3_url(address: SocketAddr, prefix: &str) -> String {
    format!("s3://{BUCKET}/{prefix}?endpoint=http://{address}&{S3_OPTIONS}")
}

pub(crate) fn webdav_url(address: SocketAddr) -> String {
    format!("webdav+http://{address}/team")
}

pub(crate) fn redis_url(address: SocketAddr) -> String {
    format!("redis://{address}/0/team")
}

pub(crate) fn memcached_url(address: SocketAddr) -> String {
    format!("memcached://{address}/team")
}

pub(crate) fn file_url(directory: &Path) -> String {
    format!("file://{}", directory.display())
}

/// Runs `check` with the name and the URL of a fresh remote of each kind of which there is a
/// server here, all at once: they mostly wait.
pub(crate) fn every_kind(check: impl Fn(&str, &str) + Sync) {
    std::thread::scope(|scope| {
        scope.spawn(|| every_kind_of_objects(&check));
        scope.spawn(|| {
            if let Some(redis) = Redis::start() {
                check("redis", &redis_url(redis.address()));
            }
        });
        if let Some(memcached) = Memcached::start() {
            check("memcached", &memcached_url(memcached.address()));
        }
    });
}

/// The same of those that store packs.
pub(crate) fn every_kind_of_objects(check: impl Fn(&str, &str) + Sync) {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            if let Some(s3) = S3::start() {
                check("s3", &s3_url(s3.address(), "team"));
            }
        });
        scope.spawn(|| {
            if let Some(webdav) = WebDav::start() {
                check("webdav", &webdav_url(webdav.address()));
            }
        });
        let directory = tempfile::tempdir().unwrap();
        check("file", &file_url(directory.path()));
    });
}

/// Options of a client that trusts `key`, always asks what is new, and waits for as long as a busy
/// machine may take.
pub(crate) fn reading(key: &SecretKey) -> RemoteOptions {
    let mut options = RemoteOptions::new(Trust::Keys(vec![key.public()]));
    options.refresh_after = Duration::ZERO;
    options.deadline = Duration::from_secs(30);
    options
}

/// The same of one that signs with `key`.
pub(crate) fn writing(key: &SecretKey) -> RemoteOptions {
    let mut options = reading(key);
    options.key = Some(key.clone());
    options
}

pub(crate) fn open(url: &str, options: RemoteOptions) -> RemoteStore {
    RemoteStore::open(url, options).unwrap()
}

pub(crate) fn keys(numbers: Range<u32>) -> Vec<Vec<u8>> {
    let key = |number: u32| blake3::hash(&number.to_le_bytes()).as_bytes().to_vec();
    numbers.map(key).collect()
}

/// What belongs under the key of this number: about 1.5 kB, half of which compresses.
fn value(number: u32) -> Vec<u8> {
    let mut random = vec![0; 750];
    let mut hasher = blake3::Hasher::new_derive_key("a value of the tests");
    hasher.update(&number.to_le_bytes());
    hasher.finalize_xof().fill(&mut random);
    let text = b"the same in all ".repeat(number as usize % 5 + 45);
    [random, text].concat()
}

pub(crate) fn inserted(numbers: Range<u32>) -> Vec<Entry> {
    let values = numbers.clone().map(value);
    let pairs = keys(numbers).into_iter().zip(values);
    pairs.map(|(key, value)| Entry { key, value }).collect()
}

/// Inserts the entries of these numbers and waits until they are uploaded.
#[track_caller]
pub(crate) fn upload(store: &RemoteStore, numbers: Range<u32>) {
    let count = numbers.len();
    assert_eq!(store.insert_many(inserted(numbers)), count);
    assert!(store.flush(None));
    let statistics = store.statistics();
    assert_eq!(statistics.not_uploaded, 0, "{statistics:?}");
}

/// Looks the entries of these numbers up at once, and says of each whether it was found. A wrong
/// value is never allowed.
#[track_caller]
pub(crate) fn find(store: &dyn CacheStore, numbers: Range<u32>) -> Vec<bool> {
    let keys = keys(numbers.clone());
    let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
    let values = store.get_many(&keys);
    assert_eq!(values.len(), keys.len());
    let is_found = |(number, found): (u32, Option<_>)| {
        if let Some(found) = &found {
            assert!(*found == value(number), "a wrong value of {number}");
        }
        found.is_some()
    };
    numbers.zip(values).map(is_found).collect()
}

/// How many of them are found.
#[track_caller]
pub(crate) fn found(store: &dyn CacheStore, numbers: Range<u32>) -> usize {
    let found = find(store, numbers).into_iter();
    found.filter(|is_found| *is_found).count()
}

/// Waits for something that comes soon.
#[track_caller]
pub(crate) fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(20), "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
