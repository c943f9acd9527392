//! What is particular to servers of values: Redis and Memcached.

mod support;

use ibid_remote::SecretKey;
use ibid_store::{CacheStore, Entry};
use std::collections::BTreeSet;
use std::time::Duration;
use support::{
    Memcached, Redis, TcpFaults, TcpProxy, found, inserted, memcached_url, open, reading,
    redis_url, upload, writing,
};

#[test]
fn a_large_cache_on_redis_is_looked_up_in_batches() {
    const COUNT: u32 = 13_000;
    let Some(redis) = Redis::start() else {
        return;
    };
    let (url, key) = (redis_url(redis.address()), SecretKey::generate().unwrap());
    let writer = open(&url, writing(&key));
    upload(&writer, 0..COUNT);
    let reader = open(&url, reading(&key));
    assert_eq!(found(&reader, 0..COUNT), COUNT as usize);
    let statistics = reader.statistics();
    let stored = writer.statistics().upload_requests;
    println!(
        "{COUNT} values: {stored} batches to store, {} to look up",
        statistics.requests
    );
    assert!(statistics.requests <= 60, "{statistics:?}");
    assert!(stored <= 10, "{stored}");
    assert_eq!(reader.contents().unwrap().entries, u64::from(COUNT));
}

/// Runs `check` with the name and the URL of each server of values, and a proxy before it.
fn every_server(check: impl Fn(&str, &str, &TcpProxy)) {
    if let Some(redis) = Redis::start() {
        let proxy = TcpProxy::start(redis.address());
        check("redis", &redis_url(proxy.address()), &proxy);
    }
    if let Some(memcached) = Memcached::start() {
        let proxy = TcpProxy::start(memcached.address());
        check("memcached", &memcached_url(proxy.address()), &proxy);
    }
}

#[test]
fn a_value_that_is_stored_again_is_the_one_that_is_found() {
    let key = SecretKey::generate().unwrap();
    every_server(|kind, url, _| {
        let (writer, reader) = (open(url, writing(&key)), open(url, reading(&key)));
        for version in 0..5u8 {
            let entry = Entry {
                key: b"key".to_vec(),
                value: vec![version; 100],
            };
            writer.insert_many(vec![entry]);
            assert!(writer.flush(None));
            let found = reader.get(b"key");
            assert_eq!(found.as_deref(), Some(&[version; 100][..]), "{kind}");
        }
    });
}

#[test]
fn values_of_any_size_are_found_or_not_stored() {
    let key = SecretKey::generate().unwrap();
    every_server(|kind, url, _| {
        let (writer, reader) = (open(url, writing(&key)), open(url, reading(&key)));
        let mut random = vec![0; 3 << 20];
        blake3::Hasher::new().finalize_xof().fill(&mut random);
        let lengths = [0, 1, 1000, 900_000, random.len()];
        let entry = |length: &usize| Entry {
            key: length.to_le_bytes().to_vec(),
            value: random[..*length].to_vec(),
        };
        writer.insert_many(lengths.iter().map(entry).collect());
        assert!(writer.flush(None));
        let stored = if kind == "redis" { 5 } else { 4 };
        let statistics = writer.statistics();
        assert_eq!(statistics.uploaded, stored, "{kind}");
        assert_eq!(statistics.not_uploaded, 5 - stored, "{kind}");
        for (number, length) in (1..).zip(lengths) {
            let found = reader.get(&length.to_le_bytes());
            let expected = (number <= stored).then_some(&random[..length]);
            assert!(found.as_deref() == expected, "{length} bytes on {kind}");
        }
    });
}

/// A Redis whose keys have names that we can see.
#[test]
fn another_prefix_is_another_cache() {
    let Some(redis) = Redis::start() else {
        return;
    };
    let key = SecretKey::generate().unwrap();
    let url = |prefix: &str| format!("redis://{}/0/{prefix}", redis.address());
    upload(&open(&url("one"), writing(&key)), 0..20);
    let prefixes: BTreeSet<usize> = ["two", "on", "one/two", "o*e"]
        .map(|prefix| {
            let reader = open(&url(prefix), reading(&key));
            assert_eq!(reader.contents().unwrap().entries, 0, "{prefix}");
            found(&reader, 0..20)
        })
        .into();
    assert_eq!(prefixes, BTreeSet::from([0]));
    assert_eq!(found(&open(&url("one"), reading(&key)), 0..20), 20);
}

#[test]
fn a_server_that_lost_a_connection_is_asked_over_another() {
    let key = SecretKey::generate().unwrap();
    every_server(|kind, url, proxy| {
        let (writer, reader) = (open(url, writing(&key)), open(url, reading(&key)));
        upload(&writer, 0..20);
        assert_eq!(found(&reader, 0..20), 20, "{kind}");
        proxy.set(TcpFaults {
            refuse: true,
            ..TcpFaults::default()
        });
        proxy.set(TcpFaults::default());
        upload(&writer, 20..40);
        assert_eq!(found(&reader, 0..40), 40, "{kind}");
    });
}

/// Some seconds for a few mebibytes are nothing unusual.
#[test]
fn a_slow_line_is_no_failure() {
    let Some(redis) = Redis::start() else {
        return;
    };
    let key = SecretKey::generate().unwrap();
    let proxy = TcpProxy::start(redis.address());
    let url = redis_url(proxy.address());
    proxy.set(TcpFaults {
        latency: Duration::from_millis(50),
        ..TcpFaults::default()
    });
    let writer = open(&url, writing(&key));
    writer.insert_many(inserted(0..4000));
    assert!(writer.flush(None));
    let statistics = writer.statistics();
    assert_eq!((statistics.uploaded, statistics.failures), (4000, 0));
    let requests = statistics.upload_requests;
    assert!(requests <= 3, "{requests} attempts");
    proxy.set(TcpFaults::default());
    assert_eq!(found(&open(&url, reading(&key)), 0..4000), 4000);
}
