//! What clients do when a remote is down, slow, or breaks what it sends.

mod support;

use ibid_remote::{GcOptions, RemoteOptions, RemoteStatistics, SecretKey};
use ibid_store::CacheStore;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::{Duration, Instant};
use support::{
    Blackhole, Faults, Memcached, Proxy, Redis, S3, TcpFaults, TcpProxy, WebDav, found, inserted,
    memcached_url, open, reading, redis_url, s3_url, upload, wait_until, webdav_url, writing,
};

const DEADLINE: Duration = Duration::from_millis(800);

/// How much later than the deadline an answer may come.
const SLACK: Duration = Duration::from_millis(500);

/// What is between clients and a server.
enum Line<'p> {
    Http(&'p Proxy),
    Tcp(TcpProxy),
}

impl Line<'_> {
    fn address(&self) -> SocketAddr {
        match self {
            Line::Http(proxy) => proxy.address(),
            Line::Tcp(proxy) => proxy.address(),
        }
    }

    fn refuse(&self) {
        self.set(Duration::ZERO, true, false);
    }

    fn hang(&self) {
        self.set(Duration::ZERO, false, true);
    }

    fn delay(&self, latency: Duration) {
        self.set(latency, false, false);
    }

    fn heal(&self) {
        self.set(Duration::ZERO, false, false);
    }

    fn set(&self, latency: Duration, refuse: bool, hang: bool) {
        match self {
            Line::Http(proxy) => proxy.set(Faults {
                latency,
                refuse,
                hang,
                ..Faults::default()
            }),
            Line::Tcp(proxy) => proxy.set(TcpFaults {
                latency,
                refuse,
                hang,
            }),
        }
    }
}

/// Runs `check` with the name, the URL and the line of a fresh remote of each kind that is asked
/// over a network, all at once.
fn every_line(check: impl Fn(&str, &str, &Line<'_>) + Sync) {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            if let Some(redis) = Redis::start() {
                let line = Line::Tcp(TcpProxy::start(redis.address()));
                check("redis", &redis_url(line.address()), &line);
            }
        });
        scope.spawn(|| {
            if let Some(memcached) = Memcached::start() {
                let line = Line::Tcp(TcpProxy::start(memcached.address()));
                check("memcached", &memcached_url(line.address()), &line);
            }
        });
        every_proxy(|url, proxy| {
            let kind = url.split(':').next().unwrap_or_default();
            check(kind, url, &Line::Http(proxy));
        });
    });
}

/// Runs `check` with the URL and the proxy of a fresh remote of each kind that is asked by HTTP.
fn every_proxy(check: impl Fn(&str, &Proxy) + Sync) {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            if let Some(s3) = S3::start() {
                let proxy = Proxy::start(s3.address());
                check(&s3_url(proxy.address(), "team"), &proxy);
            }
        });
        if let Some(webdav) = WebDav::start() {
            let proxy = Proxy::start(webdav.address());
            check(&webdav_url(proxy.address()), &proxy);
        }
    });
}

/// URLs of all kinds that lead to `address`.
fn urls(address: SocketAddr) -> [String; 4] {
    [
        s3_url(address, "team"),
        webdav_url(address),
        redis_url(address),
        memcached_url(address),
    ]
}

/// Checks that a lookup of what `options` cannot get ends in time and that the ones after it are
/// not made, by this process or the next.
fn check_unavailable(url: &str, mut options: RemoteOptions) {
    let directory = tempfile::tempdir().unwrap();
    options.directory = Some(directory.path().into());
    options.deadline = DEADLINE;
    let store = open(url, options.clone());
    let start = Instant::now();
    assert_eq!(found(&store, 0..20), 0);
    let took = start.elapsed();
    assert!(took < DEADLINE + SLACK, "{url}: {took:?}");
    let statistics = store.statistics();
    assert_eq!((statistics.failures, statistics.misses), (1, 20), "{url}");
    assert!(statistics.last_failure.is_some(), "{url}");

    let next = open(url, options);
    for store in [store, next] {
        let before = store.statistics();
        let start = Instant::now();
        assert_eq!(found(&store, 0..20), 0);
        let took = start.elapsed();
        assert!(took < DEADLINE / 4, "{url}: {took:?}");
        let statistics = store.statistics();
        assert_eq!(statistics.left_out, 1, "{url}");
        assert_eq!(statistics.requests, before.requests, "{url}");
    }
}

#[test]
fn a_server_that_is_down_is_left_alone() {
    let key = SecretKey::generate().unwrap();
    // Nobody listens where somebody did just now.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    for url in urls(address) {
        check_unavailable(&url, reading(&key));
    }
}

#[test]
fn a_server_that_never_answers_is_left_alone() {
    let key = SecretKey::generate().unwrap();
    let hole = Blackhole::start();
    for url in urls(hole.address()) {
        check_unavailable(&url, reading(&key));
    }
}

#[test]
fn a_server_that_hangs_or_goes_away_is_left_alone() {
    let key = SecretKey::generate().unwrap();
    every_line(|_, url, line| {
        upload(&open(url, writing(&key)), 0..20);
        line.hang();
        check_unavailable(url, reading(&key));
        line.refuse();
        check_unavailable(url, reading(&key));
        line.heal();
        assert_eq!(found(&open(url, reading(&key)), 0..20), 20, "{url}");
    });
}

#[test]
fn over_a_slow_line_something_is_found_or_the_deadline_holds() {
    let key = SecretKey::generate().unwrap();
    every_line(|kind, url, line| {
        upload(&open(url, writing(&key)), 0..20);
        line.delay(Duration::from_millis(20));
        let store = open(url, reading(&key));
        assert_eq!(found(&store, 0..20), 20, "{kind}");

        line.delay(Duration::from_millis(300));
        let mut options = reading(&key);
        options.deadline = DEADLINE;
        let store = open(url, options);
        let start = Instant::now();
        let some = found(&store, 0..20);
        let took = start.elapsed();
        assert!(took < DEADLINE + SLACK, "{kind}: {took:?}");
        let late = store.statistics().late;
        assert!(some == 20 || late == 1, "{kind}: {some} found, {late} late");
    });
}

#[test]
fn no_insertion_waits_for_the_server() {
    let key = SecretKey::generate().unwrap();
    every_line(|kind, url, line| {
        line.hang();
        let store = open(url, writing(&key));
        for first in [0, 100] {
            let entries = inserted(first..first + 100);
            let start = Instant::now();
            assert_eq!(store.insert_many(entries), 100, "{kind}");
            let took = start.elapsed();
            assert!(took < Duration::from_millis(200), "{kind}: {took:?}");
        }
        let start = Instant::now();
        let a_while = Duration::from_millis(300);
        assert!(!store.flush(Some(a_while)), "{kind}");
        assert!(start.elapsed() < a_while + SLACK, "{kind}");
        line.heal();
        assert!(store.flush(None), "{kind}");
        assert_eq!(found(&open(url, reading(&key)), 0..200), 200, "{kind}");
    });
}

#[test]
fn what_finds_no_room_in_the_queue_is_not_uploaded() {
    let key = SecretKey::generate().unwrap();
    let hole = Blackhole::start();
    let mut options = writing(&key);
    options.max_queued_bytes = 10_000;
    let store = open(&redis_url(hole.address()), options);
    let taken = store.insert_many(inserted(0..10));
    assert!((1..10).contains(&taken), "{taken}");
    assert_eq!(store.statistics().not_uploaded, 10 - taken as u64);
    assert!(!store.insert(b"key", vec![0; 5000]));
}

#[test]
fn requests_that_fail_are_made_again() {
    let key = SecretKey::generate().unwrap();
    every_proxy(|url, proxy| {
        // Each attempt of an upload to WebDAV takes three requests, of which the same one would
        // always fail.
        let every = if url.starts_with("s3") { 3 } else { 4 };
        for (first, status) in [(0, 503), (20, 500), (40, 429)] {
            proxy.set(Faults {
                status_every: Some((status, every)),
                ..Faults::default()
            });
            upload(&open(url, writing(&key)), first..first + 20);
            let reader = open(url, reading(&key));
            assert_eq!(found(&reader, first..first + 20), 20, "{url}");
            let requests = proxy.requests().into_iter();
            let failed = requests.filter(|request| request.status == status);
            assert!(failed.count() > 1, "{url}");
        }
        let gc = open(url, writing(&key)).gc(&GcOptions::default());
        assert!(gc.is_ok(), "{gc:?}");
    });
}

#[test]
fn a_server_that_only_says_that_it_is_ill_is_left_alone() {
    let key = SecretKey::generate().unwrap();
    every_proxy(|url, proxy| {
        upload(&open(url, writing(&key)), 0..20);
        for status in [403, 429, 500, 503] {
            proxy.set(Faults {
                status_every: Some((status, 1)),
                ..Faults::default()
            });
            let mut options = reading(&key);
            // Longer than all repetitions take.
            options.deadline = Duration::from_secs(10);
            let store = open(url, options);
            assert_eq!(found(&store, 0..20), 0, "{url}");
            assert_eq!(found(&store, 0..20), 0, "{url}");
            let statistics = store.statistics();
            assert_eq!((statistics.failures, statistics.left_out), (1, 1), "{url}");
        }
    });
}

/// What a client counts that finds nothing of 20 entries, because of `faults`.
fn of_nothing_found(url: &str, proxy: &Proxy, faults: Faults) -> RemoteStatistics {
    let key = SecretKey::generate().unwrap();
    upload(&open(url, writing(&key)), 0..20);
    proxy.set(faults);
    let store = open(url, reading(&key));
    assert_eq!(found(&store, 0..20), 0, "{url}");
    let statistics = store.statistics();
    assert_eq!((statistics.hits, statistics.misses), (0, 20), "{url}");
    proxy.set(Faults::default());
    assert_eq!(found(&open(url, reading(&key)), 0..20), 20, "{url}");
    statistics
}

#[test]
fn answers_that_break_off_are_misses() {
    every_proxy(|url, proxy| {
        for part in ["/packs/", "/index/"] {
            let faults = Faults {
                truncate: true,
                only: Some(part.into()),
                ..Faults::default()
            };
            let statistics = of_nothing_found(url, proxy, faults);
            assert_eq!(statistics.failures, 1, "{part} of {url}");
        }
    });
}

#[test]
fn objects_with_other_bytes_are_misses_and_counted() {
    every_proxy(|url, proxy| {
        for part in ["/packs/", "/index/"] {
            let faults = Faults {
                corrupt: true,
                only: Some(part.into()),
                ..Faults::default()
            };
            let statistics = of_nothing_found(url, proxy, faults);
            assert!(statistics.damaged >= 1, "{part} of {url}");
            assert_eq!(statistics.failures, 0, "{part} of {url}");
        }
    });
}

/// How many uploads began to objects with `part` in their path.
fn uploads(proxy: &Proxy, part: &str) -> usize {
    let requests = proxy.requests().into_iter();
    let puts = requests.filter(|request| request.method == "PUT");
    puts.filter(|put| put.path_and_query.contains(part)).count()
}

#[test]
fn an_upload_that_breaks_leaves_nothing_and_can_be_made_again() {
    let key = SecretKey::generate().unwrap();
    every_proxy(|url, proxy| {
        let broken = |part: &str| Faults {
            break_upload_after: Some(100),
            only: Some(part.into()),
            ..Faults::default()
        };
        let reader = open(url, reading(&key));
        for part in ["/packs/", "/index/"] {
            proxy.clear();
            proxy.set(broken(part));
            let killed = open(url, writing(&key));
            killed.insert_many(inserted(0..20));
            wait_until("the upload breaks twice", || uploads(proxy, part) == 2);
            drop(killed);
            assert_eq!(found(&reader, 0..20), 0, "{part} of {url}");
            let contents = reader.contents().unwrap();
            let orphans = u64::from(part == "/index/");
            assert_eq!(contents.segments, 0, "{url}");
            assert_eq!(
                (contents.packs, contents.orphans),
                (orphans, orphans),
                "{url}"
            );
        }
        proxy.clear();
        let writer = open(url, writing(&key));
        writer.insert_many(inserted(0..20));
        wait_until("the upload breaks", || uploads(proxy, "/index/") == 1);
        proxy.set(Faults::default());
        assert!(writer.flush(None));
        assert_eq!(writer.statistics().not_uploaded, 0, "{url}");
        assert_eq!(found(&reader, 0..20), 20, "{url}");
        assert_eq!(reader.contents().unwrap().orphans, 0, "{url}");
    });
}
