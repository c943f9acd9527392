//! Many clients at once.

mod support;

use ibid_remote::{GcOptions, SecretKey};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use support::{
    Proxy, S3, WebDav, every_kind, every_kind_of_objects, file_url, found, open, reading, s3_url,
    upload, webdav_url, writing,
};

/// How many of these entries a new client finds. A lookup reads few packs, so it takes some.
fn found_in_pieces(url: &str, key: &SecretKey, count: u32) -> usize {
    let reader = open(url, reading(key));
    let pieces = (0..count).step_by(10);
    pieces
        .map(|first| found(&reader, first..(first + 10).min(count)))
        .sum()
}

#[test]
fn many_upload_the_same_at_once_while_others_read() {
    const WRITERS: u32 = 8;
    let key = SecretKey::generate().unwrap();
    every_kind(|kind, url| {
        let is_done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let readers = [(); 2].map(|()| {
                scope.spawn(|| {
                    let directory = tempfile::tempdir().unwrap();
                    let mut options = reading(&key);
                    options.directory = Some(directory.path().into());
                    let reader = open(url, options);
                    while !is_done.load(Ordering::Relaxed) {
                        found(&reader, 0..100);
                    }
                    reader.statistics()
                })
            });
            let writers: Vec<_> = (0..WRITERS)
                .map(|number| {
                    let key = &key;
                    scope.spawn(move || {
                        let writer = open(url, writing(key));
                        for first in (0..4).map(|turn| number * 10 + turn * 5) {
                            upload(&writer, first..first + 15);
                        }
                    })
                })
                .collect();
            // However that ends, the readers do.
            let written: Vec<_> = writers.into_iter().map(|writer| writer.join()).collect();
            is_done.store(true, Ordering::Relaxed);
            assert!(written.iter().all(Result::is_ok), "{kind}");
            for reader in readers {
                let statistics = reader.join().unwrap();
                assert!(statistics.hits > 0, "{kind}");
                let wrong = (statistics.refused, statistics.damaged, statistics.failures);
                assert_eq!(wrong, (0, 0, 0), "{kind}: {statistics:?}");
            }
        });
        assert_eq!(found_in_pieces(url, &key, 100), 100, "{kind}");
    });
}

#[test]
fn what_is_uploaded_while_garbage_is_collected_is_found() {
    let key = SecretKey::generate().unwrap();
    every_kind_of_objects(|kind, url| {
        let is_done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let collector = scope.spawn(|| {
                let collector = open(url, writing(&key));
                let mut runs = 0;
                while !is_done.load(Ordering::Relaxed) {
                    collector.gc(&GcOptions::default()).unwrap();
                    runs += 1;
                }
                runs
            });
            let writers = [0, 20, 40].map(|first| {
                let key = &key;
                scope.spawn(move || {
                    let writer = open(url, writing(key));
                    for number in first..first + 20 {
                        upload(&writer, number..number + 1);
                    }
                })
            });
            let written = writers.map(|writer| writer.join());
            is_done.store(true, Ordering::Relaxed);
            assert!(written.iter().all(Result::is_ok), "{kind}");
            assert!(collector.join().unwrap() > 0, "{kind}");
        });
        assert_eq!(found_in_pieces(url, &key, 60), 60, "{kind}");
    });
}

/// What a client that is new asks after 60 uploads of one entry each, at most.
fn check_many_uploads(url: &str, proxy: &Proxy) {
    let key = SecretKey::generate().unwrap();
    let writer = open(url, writing(&key));
    let mut most = 0;
    for number in 0..60 {
        upload(&writer, number..number + 1);
        most = most.max(writer.contents().unwrap().segments);
    }
    proxy.clear();
    let reader = open(url, reading(&key));
    assert_eq!(found(&reader, 0..10), 10);
    let requests = proxy.requests().len();
    println!(
        "60 uploads: at most {most} segments, {requests} requests of a new client for 10 packs"
    );
    assert!(most < 25, "{most} segments");
    assert!(requests < 40, "{requests} requests");
    assert_eq!(found_in_pieces(url, &key, 60), 60);

    // Of so many packs one lookup reads the most useful ones only; merged, all is found.
    let some = found(&open(url, reading(&key)), 0..60);
    assert!((10..60).contains(&some), "{some}");
    let mut options = GcOptions::default();
    options.grace = Duration::ZERO;
    writer.gc(&options).unwrap();
    proxy.clear();
    assert_eq!(found(&open(url, reading(&key)), 0..60), 60);
    let requests = proxy.requests().len();
    println!("after a collection: {requests} requests of a new client");
    assert!(requests <= 6, "{requests} requests");
}

#[test]
fn after_many_uploads_there_are_few_objects_to_ask_for() {
    if let Some(s3) = S3::start() {
        let proxy = Proxy::start(s3.address());
        check_many_uploads(&s3_url(proxy.address(), "many"), &proxy);
    }
    if let Some(webdav) = WebDav::start() {
        let proxy = Proxy::start(webdav.address());
        check_many_uploads(&webdav_url(proxy.address()), &proxy);
    }
}

/// Clients on a shared file system read while others write.
#[test]
fn nothing_is_seen_of_a_file_that_is_being_written() {
    let (remote, key) = (tempfile::tempdir().unwrap(), SecretKey::generate().unwrap());
    let url = file_url(remote.path());
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers = [(); 2].map(|()| {
            scope.spawn(|| {
                let reader = open(&url, reading(&key));
                while !is_done.load(Ordering::Relaxed) {
                    found(&reader, 0..1);
                }
                reader.statistics()
            })
        });
        let writer = open(&url, writing(&key));
        for first in (0..10).map(|turn| turn * 1000) {
            upload(&writer, first..first + 1000);
        }
        is_done.store(true, Ordering::Relaxed);
        for reader in readers {
            let statistics = reader.join().unwrap();
            assert_eq!((statistics.damaged, statistics.failures), (0, 0));
        }
    });
}
