//! What looks after a remote.

mod support;

use ibid_remote::{Gc, GcOptions, MaintenanceError, RemoteStore, SecretKey};
use ibid_store::CacheStore;
use std::fs;
use std::path::Path;
use std::time::Duration;
use support::{
    Memcached, Redis, every_kind, every_kind_of_objects, file_url, find, found, memcached_url,
    open, reading, redis_url, upload, writing,
};
use tempfile::TempDir;

fn generated() -> SecretKey {
    SecretKey::generate().unwrap()
}

/// Collecting whatever is not needed, however young it is.
fn at_once() -> GcOptions {
    let mut options = GcOptions::default();
    options.grace = Duration::ZERO;
    options
}

/// A remote in a directory, and its only writer.
fn of_one_writer() -> (TempDir, String, SecretKey, RemoteStore) {
    let (remote, key) = (tempfile::tempdir().unwrap(), generated());
    let url = file_url(remote.path());
    let writer = open(&url, writing(&key));
    (remote, url, key, writer)
}

fn files(folder: &Path) -> usize {
    fs::read_dir(folder).unwrap().count()
}

#[test]
fn small_packs_become_one_and_everything_is_still_found() {
    let key = generated();
    every_kind_of_objects(|kind, url| {
        let writer = open(url, writing(&key));
        for number in 0..20 {
            upload(&writer, number..number + 1);
        }
        // It keeps what it knows now.
        let mut options = reading(&key);
        options.refresh_after = Duration::from_secs(600);
        let old = open(url, options);
        assert_eq!(found(&old, 0..1), 1, "{kind}");

        let gc = writer.gc(&at_once()).unwrap();
        assert_eq!((gc.packs_merged, gc.packs_left), (20, 1), "{kind}: {gc:?}");
        assert_eq!((gc.packs_removed, gc.orphans_removed), (20, 0), "{kind}");
        assert_eq!((gc.segments_left, gc.floor), (1, 1), "{kind}: {gc:?}");
        assert!(gc.segments_before > 1, "{kind}: {gc:?}");

        let gone = found(&old, 0..20);
        assert_eq!(gone, 0, "by a client whose packs are gone, of {kind}");
        assert_eq!(old.statistics().failures, 0, "{kind}");
        assert_eq!(found(&open(url, reading(&key)), 0..20), 20, "{kind}");
        let contents = writer.contents().unwrap();
        assert_eq!((contents.packs, contents.segments), (1, 1), "{kind}");
        assert_eq!(
            (contents.entries, contents.bytes),
            (20, gc.bytes_left),
            "{kind}"
        );
    });
}

#[test]
fn packs_that_were_merged_stay_while_somebody_may_read_them() {
    let (_remote, url, key, writer) = of_one_writer();
    for number in 0..5 {
        upload(&writer, number..number + 1);
    }
    let mut options = reading(&key);
    options.refresh_after = Duration::from_secs(600);
    let old = open(&url, options);
    assert_eq!(found(&old, 0..1), 1);
    let gc = writer.gc(&GcOptions::default()).unwrap();
    assert_eq!((gc.packs_merged, gc.packs_removed), (5, 0));
    assert_eq!(found(&old, 0..5), 5);
    assert_eq!(writer.contents().unwrap().orphans, 5);
    let gc = writer.gc(&at_once()).unwrap();
    assert_eq!((gc.packs_removed, gc.orphans_removed), (5, 5));
    assert_eq!(found(&open(&url, reading(&key)), 0..5), 5);
}

#[test]
fn collecting_again_changes_nothing() {
    let (remote, url, key, writer) = of_one_writer();
    for number in 0..5 {
        upload(&writer, number..number + 1);
    }
    let first = writer.gc(&at_once()).unwrap();
    let index = fs::read_dir(remote.path().join("index")).unwrap();
    let index: Vec<_> = index.map(|entry| entry.unwrap().path()).collect();
    let second = writer.gc(&at_once()).unwrap();
    assert_eq!((second.packs_removed, second.packs_merged), (0, 0));
    assert_eq!((second.packs_left, second.segments_before), (1, 1));
    assert_eq!(second.bytes_left, first.bytes_left);
    assert!(index.iter().all(|path| path.exists()));
    assert_eq!(found(&open(&url, reading(&key)), 0..5), 5);
}

#[test]
fn a_dry_run_says_what_would_go_and_removes_nothing() {
    let (remote, _url, _key, writer) = of_one_writer();
    for number in 0..5 {
        upload(&writer, number..number + 1);
    }
    let before = ["packs", "index"].map(|folder| files(&remote.path().join(folder)));
    let mut options = at_once();
    options.dry_run = true;
    let gc = writer.gc(&options).unwrap();
    assert_eq!((gc.packs_merged, gc.floor), (5, 0));
    options.max_age = Some(Duration::ZERO);
    std::thread::sleep(Duration::from_millis(1100));
    let gc = writer.gc(&options).unwrap();
    assert_eq!((gc.packs_removed, gc.packs_left), (5, 0));
    let after = ["packs", "index"].map(|folder| files(&remote.path().join(folder)));
    assert_eq!(before, after);
    assert!(!remote.path().join("floor").exists());
}

/// Checks that `options` make the first of two packs go, which is older by so many seconds and a bit.
/// Neither is small enough to be merged.
fn check_the_first_goes(seconds: u64, options: impl Fn(&Gc) -> GcOptions) {
    let (_remote, url, key, writer) = of_one_writer();
    upload(&writer, 0..1500);
    std::thread::sleep(Duration::from_millis(1000 * seconds + 100));
    upload(&writer, 1500..3000);
    let before = writer.gc(&at_once()).unwrap();
    assert_eq!((before.packs_left, before.packs_merged), (2, 0));
    let gc = writer.gc(&options(&before)).unwrap();
    assert_eq!((gc.packs_removed, gc.packs_left), (1, 1), "{gc:?}");
    let expected = [vec![false; 1500], vec![true; 1500]].concat();
    assert_eq!(find(&open(&url, reading(&key)), 0..3000), expected);
}

#[test]
fn what_is_too_old_goes() {
    check_the_first_goes(3, |_| {
        let mut options = at_once();
        options.max_age = Some(Duration::from_secs(2));
        options
    });
}

#[test]
fn what_is_too_much_goes_the_oldest_first() {
    check_the_first_goes(1, |before| {
        let mut options = at_once();
        options.max_bytes = Some(before.bytes_left - 1);
        options
    });
}

/// A writer that dies between the pack and the segment leaves the pack.
#[test]
fn a_pack_that_nothing_leads_to_goes_after_a_while() {
    let (remote, url, key, writer) = of_one_writer();
    upload(&writer, 0..20);
    fs::remove_dir_all(remote.path().join("index")).unwrap();
    assert_eq!(found(&open(&url, reading(&key)), 0..20), 0);
    let contents = writer.contents().unwrap();
    assert_eq!((contents.packs, contents.orphans), (1, 1));
    let gc = writer.gc(&GcOptions::default()).unwrap();
    assert_eq!((gc.packs_removed, gc.orphans_removed), (0, 0));
    assert_eq!(files(&remote.path().join("packs")), 1);
    let gc = writer.gc(&at_once()).unwrap();
    assert_eq!((gc.packs_removed, gc.orphans_removed), (1, 1));
    assert_eq!(files(&remote.path().join("packs")), 0);
}

#[test]
fn what_is_not_by_trusted_writers_goes() {
    let (_remote, url, key, writer) = of_one_writer();
    let stranger = generated();
    upload(&open(&url, writing(&stranger)), 0..20);
    upload(&writer, 20..40);
    let contents = writer.contents().unwrap();
    assert_eq!((contents.packs, contents.refused), (2, 1));
    let mut writers: Vec<_> = contents
        .writers
        .iter()
        .map(|writer| (writer.key, writer.trusted, writer.packs))
        .collect();
    writers.sort_by_key(|(_, trusted, _)| *trusted);
    let expected = [
        (Some(stranger.public()), false, 1),
        (Some(key.public()), true, 1),
    ];
    assert_eq!(writers, expected);
    let gc = writer.gc(&at_once()).unwrap();
    assert_eq!((gc.packs_removed, gc.packs_left), (1, 1));
    assert_eq!(writer.contents().unwrap().refused, 0);
    assert_eq!(found(&open(&url, reading(&key)), 20..40), 20);
}

#[test]
fn it_takes_a_key_to_collect() {
    let (_remote, url, key, writer) = of_one_writer();
    upload(&writer, 0..20);
    let reader = open(&url, reading(&key));
    let result = reader.gc(&GcOptions::default());
    assert!(matches!(result, Err(MaintenanceError::NoKey)), "{result:?}");
    assert_eq!(found(&reader, 0..20), 20);
}

#[test]
fn servers_of_values_look_after_themselves() {
    let key = generated();
    let check = |url: &str| {
        let result = open(url, writing(&key)).gc(&GcOptions::default());
        assert!(
            matches!(result, Err(MaintenanceError::Itself)),
            "{result:?}"
        );
    };
    if let Some(redis) = Redis::start() {
        check(&redis_url(redis.address()));
    }
    if let Some(memcached) = Memcached::start() {
        check(&memcached_url(memcached.address()));
    }
}

#[test]
fn what_there_is_is_told() {
    let key = generated();
    every_kind(|kind, url| {
        let writer = open(url, writing(&key));
        if kind == "memcached" {
            assert!(writer.contents().is_err());
            return;
        }
        assert_eq!(writer.contents().unwrap().entries, 0, "{kind}");
        upload(&writer, 0..20);
        upload(&writer, 20..30);
        let contents = writer.contents().unwrap();
        assert_eq!(contents.entries, 30, "{kind}");
        let written = writer.statistics().bytes_written;
        assert_eq!(contents.bytes + contents.index_bytes, written, "{kind}");
        if kind != "redis" {
            assert_eq!((contents.packs, contents.segments), (2, 2), "{kind}");
            assert_eq!(contents.writers.len(), 1, "{kind}");
            assert!(contents.written.is_some(), "{kind}");
        }
    });
}

#[test]
fn a_remote_that_works_is_found_to() {
    let key = generated();
    every_kind(|kind, url| {
        upload(&open(url, writing(&key)), 0..20);
        for options in [writing(&key), reading(&key)] {
            let findings = open(url, options).check(true).unwrap();
            assert!(!findings.is_empty(), "{kind}");
            let mut results = findings.iter().map(|finding| &finding.result);
            assert!(results.all(Result::is_ok), "{kind}: {findings:?}");
        }
        // What was written to see whether that works is gone.
        let reader = open(url, reading(&key));
        if let Ok(contents) = reader.contents() {
            assert_eq!((contents.entries, contents.orphans), (20, 0), "{kind}");
        }
    });
}

/// As plugin hosts may have several, or open one again.
#[test]
fn a_store_that_goes_takes_no_connection_of_another_with_it() {
    let key = generated();
    every_kind(|kind, url| {
        for _ in 0..40 {
            let findings = open(url, reading(&key)).check(false).unwrap();
            let mut results = findings.iter().map(|finding| &finding.result);
            assert!(results.all(Result::is_ok), "{kind}: {findings:?}");
        }
    });
}

/// What a check of `url` says is wrong.
fn wrong(url: &str, key: &SecretKey) -> Vec<&'static str> {
    let findings = open(url, reading(key)).check(true).unwrap();
    let wrong = findings.iter().filter(|finding| finding.result.is_err());
    wrong.map(|finding| finding.what).collect()
}

#[test]
fn damage_is_found() {
    for folder in ["packs", "index"] {
        let (remote, url, key, writer) = of_one_writer();
        upload(&writer, 0..20);
        let mut files = fs::read_dir(remote.path().join(folder)).unwrap();
        let file = files.next().unwrap().unwrap().path();
        let mut bytes = fs::read(&file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&file, bytes).unwrap();
        let what = wrong(&url, &key);
        assert_eq!(what.len(), 1, "{what:?}");
        assert!(what[0].contains(folder), "{what:?}");
        fs::remove_file(&file).unwrap();
        let missing = writer.contents().unwrap().missing;
        assert_eq!(missing, u64::from(folder == "packs"));
    }
}

#[test]
fn a_server_that_is_down_is_found_to_be() {
    let key = generated();
    if let Some(mut redis) = Redis::start() {
        let url = redis_url(redis.address());
        redis.kill();
        assert_eq!(wrong(&url, &key), ["asking"]);
        assert!(open(&url, reading(&key)).contents().is_err());
    }
}

#[test]
fn what_was_damaged_is_uploaded_again() {
    let (remote, url, key, writer) = of_one_writer();
    upload(&writer, 0..20);
    let mut packs = fs::read_dir(remote.path().join("packs")).unwrap();
    fs::write(packs.next().unwrap().unwrap().path(), b"damaged").unwrap();
    let other = open(&url, writing(&key));
    assert_eq!(found(&other, 0..20), 0);
    upload(&other, 0..20);
    assert_eq!(found(&open(&url, reading(&key)), 0..20), 20);
    assert!(other.counters().failures > 0 || other.counters().damaged > 0);
}

/// What is used is uploaded again when half of its time is over.
#[test]
fn what_is_in_use_does_not_expire() {
    let key = generated();
    let mut redis = None;
    let (remote, lifetime) = (tempfile::tempdir().unwrap(), 6);
    let mut urls = vec![file_url(remote.path())];
    if let Some(server) = Redis::start() {
        urls.push(redis_url(server.address()));
        redis = Some(server);
    }
    let mut options = writing(&key);
    options.lifetime = Duration::from_secs(lifetime);
    let clients: Vec<_> = urls.iter().map(|url| open(url, options.clone())).collect();
    for client in &clients {
        upload(client, 0..20);
        // Of what is not old, nothing is uploaded again.
        assert_eq!(found(client, 0..20), 20);
        upload(client, 0..0);
        assert_eq!(client.statistics().uploaded, 20);
    }
    std::thread::sleep(Duration::from_secs(lifetime / 2 + 1));
    for client in &clients {
        assert_eq!(found(client, 0..10), 10);
        upload(client, 0..0);
        assert_eq!(client.statistics().uploaded, 30);
        // Nor is it twice.
        assert_eq!(found(client, 0..10), 10);
        upload(client, 0..0);
        assert_eq!(client.statistics().uploaded, 30);
    }
    std::thread::sleep(Duration::from_secs(lifetime / 2));
    for url in &urls {
        let found = find(&open(url, reading(&key)), 0..20);
        assert_eq!(found, [vec![true; 10], vec![false; 10]].concat(), "{url}");
    }
    drop(redis);
}

/// A pack all of which is used is uploaded again as it is, under its name.
#[test]
fn a_pack_that_is_uploaded_again_as_it_is_counts_as_new() {
    let (remote, key) = (tempfile::tempdir().unwrap(), generated());
    let url = file_url(remote.path());
    let mut options = writing(&key);
    options.lifetime = Duration::from_secs(6);
    let client = open(&url, options.clone());
    upload(&client, 0..20);
    std::thread::sleep(Duration::from_secs(4));
    for _ in 0..2 {
        assert_eq!(found(&client, 0..20), 20);
        upload(&client, 0..0);
        assert_eq!(client.statistics().uploaded, 40);
    }
    assert_eq!(files(&remote.path().join("packs")), 1);
    let other = open(&url, options);
    assert_eq!(found(&other, 0..20), 20);
    upload(&other, 0..0);
    assert_eq!(other.statistics().uploaded, 0);
}
