//! What clients find of what others uploaded, on every kind of remote.

mod support;

use ibid_remote::SecretKey;
use ibid_store::{CacheStore, Entry, MemoryStore, Tiered};
use std::sync::Arc;
use std::time::Duration;
use support::{
    Proxy, S3, every_kind, every_kind_of_objects, file_url, find, found, inserted, keys, open,
    reading, s3_url, upload, writing,
};

#[test]
fn what_one_client_uploads_another_finds() {
    let key = SecretKey::generate().unwrap();
    every_kind(|kind, url| {
        let directories = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let [mut writes, mut reads] = [writing(&key), reading(&key)];
        writes.directory = Some(directories[0].path().into());
        reads.directory = Some(directories[1].path().into());
        let (writer, reader) = (open(url, writes), open(url, reads));
        assert_eq!(found(&reader, 0..3), 0, "{kind}");
        upload(&writer, 0..100);
        assert_eq!(writer.statistics().uploaded, 100, "{kind}");
        let beyond = find(&reader, 0..120);
        assert_eq!(
            beyond,
            [vec![true; 100], vec![false; 20]].concat(),
            "{kind}"
        );
        upload(&writer, 100..120);
        assert_eq!(found(&reader, 0..120), 120, "{kind}");
        let statistics = reader.statistics();
        assert_eq!((statistics.hits, statistics.misses), (220, 23), "{kind}");
        assert_eq!((statistics.failures, statistics.refused), (0, 0), "{kind}");
        assert_eq!((statistics.damaged, statistics.late), (0, 0), "{kind}");
    });
}

#[test]
fn single_insertions_are_found_after_a_flush() {
    let key = SecretKey::generate().unwrap();
    every_kind(|kind, url| {
        let (writer, reader) = (open(url, writing(&key)), open(url, reading(&key)));
        for Entry { key, value } in inserted(0..10) {
            assert!(writer.insert(&key, value), "{kind}");
        }
        assert_eq!(found(&reader, 0..10), 0, "{kind}");
        assert!(writer.flush(None), "{kind}");
        assert_eq!(found(&reader, 0..10), 10, "{kind}");
        assert!(!reader.insert(b"key", vec![1]), "a reader of {kind} writes");
        assert_eq!(reader.insert_many(inserted(0..3)), 0, "{kind}");
    });
}

#[test]
fn a_flush_waits_for_all_that_was_inserted_before() {
    let key = SecretKey::generate().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let writer = open(&file_url(directory.path()), writing(&key));
    for number in 0..100 {
        upload(&writer, number..number + 1);
        assert_eq!(writer.statistics().uploaded, u64::from(number) + 1);
    }
}

#[test]
fn a_value_that_is_inserted_again_replaces_the_first_one() {
    let key = SecretKey::generate().unwrap();
    every_kind_of_objects(|kind, url| {
        let writer = open(url, writing(&key));
        let reader = open(url, reading(&key));
        for version in 0..2u8 {
            let entry = Entry {
                key: b"key".to_vec(),
                value: vec![version; 100],
            };
            writer.insert_many(vec![entry]);
            assert!(writer.flush(None));
            assert_eq!(
                reader.get(b"key").as_deref(),
                Some(&[version; 100][..]),
                "{kind}"
            );
            // Of two in one second either may count.
            std::thread::sleep(Duration::from_millis(1100));
        }
    });
}

#[test]
fn a_large_cache_on_s3_is_looked_up_with_few_requests() {
    const COUNT: u32 = 13_000;
    let Some(s3) = S3::start() else {
        return;
    };
    let proxy = Proxy::start(s3.address());
    let url = s3_url(proxy.address(), "large");
    let key = SecretKey::generate().unwrap();
    upload(&open(&url, writing(&key)), 0..COUNT);
    let uploaded = proxy.requests().len();
    proxy.clear();

    let directory = tempfile::tempdir().unwrap();
    let mut options = reading(&key);
    options.directory = Some(directory.path().into());
    options.refresh_after = Duration::from_secs(600);
    let reader = open(&url, options.clone());
    assert_eq!(found(&reader, 0..COUNT), COUNT as usize);
    let asked = proxy.requests().len();
    println!("{COUNT} entries: {uploaded} requests to upload, {asked} to look up");
    assert!(asked <= 10, "{:#?}", proxy.requests());
    assert_eq!(reader.statistics().requests, asked as u64);

    proxy.clear();
    assert_eq!(found(&reader, COUNT..2 * COUNT), 0);
    // What is known is kept for the next process, too.
    let next = open(&url, options);
    assert_eq!(found(&next, COUNT..2 * COUNT), 0);
    assert_eq!(proxy.requests().len(), 0, "for absent keys");
    assert_eq!(found(&next, 5..6), 1);
    assert_eq!(proxy.requests().len(), 1, "for one key");
}

#[test]
fn lookups_work_where_asynchronous_tasks_run() {
    let key = SecretKey::generate().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let url = file_url(directory.path());
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(async {
        let (writer, reader) = (open(&url, writing(&key)), open(&url, reading(&key)));
        upload(&writer, 0..10);
        assert_eq!(found(&reader, 0..10), 10);
        assert_eq!(found(&reader, 0..20), 10);
        assert!(reader.contents().is_ok());
    });
}

#[test]
fn only_keys_that_are_shared_are_looked_up_and_uploaded() {
    let key = SecretKey::generate().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let url = file_url(directory.path());
    let mut options = writing(&key);
    options.shares = |key| key[0].is_multiple_of(2);
    let writer = open(&url, options.clone());
    let shared = keys(0..100)
        .iter()
        .filter(|key| (options.shares)(key))
        .count();
    assert_eq!(writer.insert_many(inserted(0..100)), shared);
    assert!(writer.flush(None));
    assert_eq!(found(&open(&url, reading(&key)), 0..100), shared);
    let reader = open(&url, options);
    let expected: Vec<bool> = keys(0..100)
        .iter()
        .map(|key| key[0].is_multiple_of(2))
        .collect();
    assert_eq!(find(&reader, 0..100), expected);
    assert_eq!(reader.statistics().misses, 0, "of those that are not");
}

/// A remote alone does not do what is asked of a store: what is inserted is only found once it is
/// uploaded. Behind a nearer tier, which is how it is used, nobody notices.
#[test]
fn a_remote_behind_another_store_does_what_a_store_has_to() {
    let key = SecretKey::generate().unwrap();
    let mut directories = Vec::new();
    ibid_store::conformance::check(|| {
        let directory = tempfile::tempdir().unwrap();
        let remote = open(&file_url(directory.path()), writing(&key));
        directories.push(directory);
        let tiers: Vec<Arc<dyn CacheStore>> = vec![Arc::new(MemoryStore::new()), Arc::new(remote)];
        Box::new(Tiered::new(tiers))
    });
}

#[test]
fn a_remote_that_only_reads_does_what_a_forgetful_store_has_to() {
    let key = SecretKey::generate().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let url = file_url(directory.path());
    ibid_store::conformance::check_forgetful(|| Box::new(open(&url, reading(&key))));
}
