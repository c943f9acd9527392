//! That the servers and proxies that the other tests run against do what they are said to.

mod support;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use support::{
    Answer, BUCKET, Blackhole, Connection, Faults, Head, Listener, Memcached, Proxy, Redis, S3,
    Streams, TcpFaults, TcpProxy, WebDav, read_body, send,
};

/// How long to look whether something does not come.
const A_WHILE: Duration = Duration::from_millis(300);

/// What moto wants to see, and does not check.
const SIGNED: (&str, &str) = (
    "Authorization",
    "AWS4-HMAC-SHA256 Credential=any/20260101/us-east-1/s3/aws4_request, \
     SignedHeaders=host, Signature=0",
);

#[test]
fn redis_keeps_values_until_it_is_killed() {
    let Some(mut redis) = Redis::start() else {
        return;
    };
    assert_eq!(redis.url(), format!("redis://{}", redis.address()));
    check_redis(redis.address());
    let proxy = TcpProxy::start(redis.address());
    check_redis(proxy.address());
    redis.kill();
    assert!(TcpStream::connect(redis.address()).is_err());
    assert!(ask(proxy.address(), "PING\r\n", 1).is_err());
}

fn check_redis(address: SocketAddr) {
    assert_eq!(ask(address, "PING\r\n", 1).unwrap(), "+PONG\r\n");
    assert_eq!(ask(address, "SET a 0123456789\r\n", 1).unwrap(), "+OK\r\n");
    let found = ask(address, "GET a\r\n", 2).unwrap();
    assert_eq!(found, "$10\r\n0123456789\r\n");
    let found = ask(address, "GETRANGE a 2 4\r\n", 2).unwrap();
    assert_eq!(found, "$3\r\n234\r\n");
    assert_eq!(ask(address, "DEL a\r\n", 1).unwrap(), ":1\r\n");
    assert_eq!(ask(address, "GET a\r\n", 1).unwrap(), "$-1\r\n");
}

#[test]
fn memcached_keeps_values_until_it_is_killed() {
    let Some(mut memcached) = Memcached::start() else {
        return;
    };
    let proxy = TcpProxy::start(memcached.address());
    for address in [memcached.address(), proxy.address()] {
        let stored = ask(address, "set a 0 0 3\r\nabc\r\n", 1).unwrap();
        assert_eq!(stored, "STORED\r\n");
        let found = ask(address, "get a\r\n", 3).unwrap();
        assert_eq!(found, "VALUE a 0 3\r\nabc\r\nEND\r\n");
        assert_eq!(ask(address, "delete a\r\n", 1).unwrap(), "DELETED\r\n");
        assert_eq!(ask(address, "get a\r\n", 1).unwrap(), "END\r\n");
    }
    memcached.kill();
    assert!(ask(memcached.address(), "get a\r\n", 1).is_err());
}

#[test]
fn nginx_serves_webdav() {
    let Some(webdav) = WebDav::start() else {
        return;
    };
    let proxy = Proxy::start(webdav.address());
    for address in [webdav.address(), proxy.address()] {
        let answer = send(address, "PUT", "/deep/er/a", &[], b"0123456789").unwrap();
        assert_eq!(answer.status, 201);
        let kept = std::fs::read(webdav.files().join("deep/er/a")).unwrap();
        assert_eq!(kept, b"0123456789");
        check_objects(address, "/deep/er/", &[]);
        let answer = send(address, "PROPFIND", "/deep/er/", &[("Depth", "1")], b"").unwrap();
        assert_eq!(answer.status, 207);
        assert!(answer.text().contains("<D:href>/deep/er/a</D:href>"));
        let answer = send(address, "PROPFIND", "/none/", &[("Depth", "1")], b"").unwrap();
        assert_eq!(answer.status, 404);
        let answer = send(address, "MKCOL", "/made/", &[], b"").unwrap();
        assert_eq!(answer.status, 201);
        let answer = send(address, "DELETE", "/made/", &[], b"").unwrap();
        assert_eq!(answer.status, 204);
        let answer = send(address, "DELETE", "/deep/er/a", &[], b"").unwrap();
        assert_eq!(answer.status, 204);
        let answer = send(address, "GET", "/deep/er/a", &[], b"").unwrap();
        assert_eq!(answer.status, 404);
    }
}

#[test]
fn nginx_keeps_nothing_of_an_upload_that_broke() {
    let Some(webdav) = WebDav::start() else {
        return;
    };
    let proxy = Proxy::start(webdav.address());
    check_broken_upload(&proxy, "/broken", &[]);
    assert!(!webdav.files().join("broken").exists());
}

#[test]
fn moto_serves_s3() {
    let Some(mut s3) = S3::start() else {
        return;
    };
    let proxy = Proxy::start(s3.address());
    let bucket = format!("/{BUCKET}");
    let list = format!("{bucket}?list-type=2&prefix=deep%2F");
    let object = format!("{bucket}/deep/a");
    for address in [s3.address(), proxy.address()] {
        let answer = send(address, "PUT", &object, &[SIGNED], b"0123456789").unwrap();
        assert_eq!(answer.status, 200);
        check_objects(address, &format!("{bucket}/deep/"), &[SIGNED]);
        let answer = send(address, "GET", &list, &[SIGNED], b"").unwrap();
        assert_eq!(answer.status, 200);
        assert!(answer.text().contains("<Key>deep/a</Key>"));
        let answer = send(address, "DELETE", &object, &[SIGNED], b"").unwrap();
        assert_eq!(answer.status, 204);
        let answer = send(address, "GET", &object, &[SIGNED], b"").unwrap();
        assert_eq!(answer.status, 404);
        assert!(answer.text().contains("<Code>NoSuchKey</Code>"));
    }
    s3.kill();
    assert!(send(proxy.address(), "GET", &list, &[SIGNED], b"").is_err());
    assert_eq!(proxy.requests().last().unwrap().status, 0);
}

#[test]
fn moto_keeps_nothing_of_an_upload_that_broke() {
    let Some(s3) = S3::start() else {
        return;
    };
    let proxy = Proxy::start(s3.address());
    check_broken_upload(&proxy, &format!("/{BUCKET}/broken"), &[SIGNED]);
}

/// Checks what is the same for all that serve objects, of which `<folder>a` is `0123456789`.
fn check_objects(address: SocketAddr, folder: &str, fields: &[(&str, &str)]) {
    let object = format!("{folder}a");
    let with = |more: &[(&'static str, &'static str)]| [fields, more].concat();

    let answer = send(address, "GET", &object, fields, b"").unwrap();
    assert_eq!((answer.status, answer.text()), (200, "0123456789".into()));
    let ranged = with(&[("Range", "bytes=2-4")]);
    let answer = send(address, "GET", &object, &ranged, b"").unwrap();
    assert_eq!((answer.status, answer.text()), (206, "234".into()));
    let answer = send(address, "HEAD", &object, fields, b"").unwrap();
    assert_eq!((answer.status, answer.text()), (200, "".into()));
    assert_eq!(answer.head.field("Content-Length"), Some("10"));
    let missing = format!("{folder}none");
    let answer = send(address, "HEAD", &missing, fields, b"").unwrap();
    assert_eq!(answer.status, 404);

    let large: Vec<u8> = (0..3_000_000_u32).map(|at| (at >> 3) as u8).collect();
    let other = format!("{folder}b");
    for way in [
        ("Transfer-Encoding", "chunked"),
        ("Expect", "100-continue"),
        ("X-Nothing", "in particular"),
    ] {
        let answer = send(address, "PUT", &other, &with(&[way]), &large).unwrap();
        assert!(matches!(answer.status, 200..300), "{way:?}: {answer:?}");
        let answer = send(address, "GET", &other, fields, b"").unwrap();
        assert!(answer.body == large, "{way:?}");
        let answer = send(address, "DELETE", &other, fields, b"").unwrap();
        assert_eq!(answer.status, 204);
    }
}

/// Checks that what breaks on the way to a server is not there afterwards.
fn check_broken_upload(proxy: &Proxy, object: &str, fields: &[(&str, &str)]) {
    proxy.set(Faults {
        break_upload_after: Some(1000),
        ..Faults::default()
    });
    let body = vec![7; 100_000];
    assert!(send(proxy.address(), "PUT", object, fields, &body).is_err());
    // The server may take a moment to notice.
    std::thread::sleep(A_WHILE);
    let answer = send(proxy.address(), "GET", object, fields, b"").unwrap();
    assert_eq!(answer.status, 404);
}

#[test]
fn a_proxy_passes_on_what_it_gets() {
    let shelf = Shelf::start();
    let proxy = Proxy::start(shelf.address());
    let mut connection = Connection::open(proxy.address()).unwrap();
    let mut ask = |method: &str, target: &str, fields: &[(&str, &str)], body: &[u8]| {
        connection.send(method, target, fields, body).unwrap()
    };

    // One connection, whatever the framing on the way there and back.
    assert_eq!(ask("PUT", "/a", &[], b"first").status, 204);
    let answer = ask("GET", "/a", &[], b"");
    assert_eq!((answer.status, answer.text()), (200, "first".into()));
    let chunked = [("Transfer-Encoding", "chunked")];
    assert_eq!(ask("PUT", "/a", &chunked, b"second").status, 204);
    for framing in ["length", "chunks", "close"] {
        let answer = ask("GET", &format!("/a?{framing}"), &[], b"");
        assert_eq!((answer.status, answer.text()), (200, "second".into()));
        assert_eq!(answer.head.field("Content-Length"), Some("6"));
        assert_eq!(answer.head.field("Transfer-Encoding"), None);
    }
    let answer = ask("HEAD", "/a", &[], b"");
    assert_eq!(answer.head.field("Content-Length"), Some("6"));
    let aws = b"3;chunk-signature=0\r\nabc\r\n0;chunk-signature=0\r\n\r\n";
    let fields = [
        ("Content-Encoding", "aws-chunked"),
        ("Expect", "100-continue"),
    ];
    assert_eq!(ask("PUT", "/aws", &fields, aws).status, 204);
    assert_eq!(ask("GET", "/aws", &[], b"").body, aws);
    assert_eq!(ask("GET", "/none", &[], b"").status, 404);
    assert_eq!(ask("GET", "/unchanged", &[], b"").status, 304);
    let answer = ask("GET", "/host", &[], b"");
    assert_eq!(answer.text(), proxy.address().to_string());

    let recorded: Vec<_> = proxy
        .requests()
        .into_iter()
        .take(4)
        .map(|it| {
            (
                it.method,
                it.path_and_query,
                it.status,
                it.request_bytes,
                it.response_bytes,
            )
        })
        .collect();
    let expected = [
        ("PUT".into(), "/a".into(), 204, 5, 0),
        ("GET".into(), "/a".into(), 200, 0, 5),
        ("PUT".into(), "/a".into(), 204, 6, 0),
        ("GET".into(), "/a?length".into(), 200, 0, 6),
    ];
    assert_eq!(recorded, expected);
    assert!(proxy.requests().is_sorted_by_key(|it| it.at));
    proxy.clear();
    assert!(proxy.requests().is_empty());

    // Without keep-alive the connection ends.
    let mut connection = Connection::open(proxy.address()).unwrap();
    let fields = [("Connection", "close")];
    assert_eq!(
        connection.send("GET", "/a", &fields, b"").unwrap().status,
        200
    );
    assert!(connection.send("GET", "/a", &[], b"").is_err());
}

#[test]
fn a_proxy_makes_requests_late() {
    let (_shelf, proxy) = shelf_and_proxy();
    let latency = Duration::from_millis(200);
    proxy.set(Faults {
        latency,
        only: Some("elsewhere".into()),
        ..Faults::default()
    });
    let start = Instant::now();
    assert_eq!(get(&proxy, "/a").text(), "0123456789");
    assert!(start.elapsed() >= latency);
}

#[test]
fn a_proxy_answers_every_nth_request_itself() {
    let (shelf, proxy) = shelf_and_proxy();
    let mut connection = Connection::open(proxy.address()).unwrap();
    for status in [429, 500, 503] {
        proxy.set(Faults {
            status_every: Some((status, 3)),
            only: Some("/a".into()),
            ..Faults::default()
        });
        let mut statuses = Vec::new();
        for _ in 0..6 {
            statuses.push(connection.send("GET", "/a", &[], b"").unwrap().status);
            let other = connection.send("GET", "/b?/a", &[], b"").unwrap();
            assert_eq!(other.status, 404);
        }
        assert_eq!(statuses, [200, 200, status, 200, 200, status]);
    }

    proxy.set(Faults {
        status_every: Some((503, 1)),
        ..Faults::default()
    });
    assert!(get(&proxy, "/a").text().contains("<Code>SlowDown</Code>"));
    let answer = connection.send("HEAD", "/a", &[], b"").unwrap();
    assert_eq!((answer.status, answer.body.len()), (503, 0));
    let answer = connection.send("PUT", "/a", &[], b"other").unwrap();
    assert_eq!(answer.status, 503);
    proxy.set(Faults::default());
    let answer = connection.send("GET", "/a", &[], b"").unwrap();
    assert_eq!(answer.text(), "0123456789");
    assert_eq!(shelf.get("/a").unwrap(), b"0123456789");
}

#[test]
fn a_proxy_truncates_answers() {
    let (_shelf, proxy) = shelf_and_proxy();
    proxy.set(Faults {
        truncate: true,
        ..Faults::default()
    });
    let answer = get(&proxy, "/a");
    assert_eq!(answer.head.field("Content-Length"), Some("10"));
    assert_eq!((answer.text(), answer.is_whole), ("01234".into(), false));
    assert_eq!(proxy.requests().last().unwrap().response_bytes, 5);
    let answer = send(proxy.address(), "HEAD", "/a", &[], b"").unwrap();
    assert_eq!(answer.head.field("Content-Length"), Some("10"));
}

#[test]
fn a_proxy_corrupts_objects_and_not_lists() {
    let (_shelf, proxy) = shelf_and_proxy();
    proxy.set(Faults {
        corrupt: true,
        ..Faults::default()
    });
    assert_eq!(get(&proxy, "/a").text(), "0123446789");
    assert_eq!(get(&proxy, "/a?list-type=2").text(), "0123456789");
}

#[test]
fn a_proxy_hangs_until_it_no_longer_does() {
    let (_shelf, proxy) = shelf_and_proxy();
    let hang = |proxy: &Proxy| {
        proxy.set(Faults {
            hang: true,
            only: Some("/a".into()),
            ..Faults::default()
        });
    };
    hang(&proxy);
    assert_eq!(get(&proxy, "/b").status, 404);
    proxy.clear();

    // One client gives up, and what it wanted never happens.
    let mut impatient = Connection::open(proxy.address()).unwrap();
    impatient.set_patience(A_WHILE).unwrap();
    let error = impatient.send("PUT", "/a", &[], b"late").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    drop(impatient);

    // Another one waits.
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| get(&proxy, "/a"));
        wait_until(|| proxy.requests().len() == 2);
        std::thread::sleep(A_WHILE);
        assert!(!waiting.is_finished());
        proxy.set(Faults::default());
        assert_eq!(waiting.join().unwrap().text(), "0123456789");
    });
    assert_eq!(get(&proxy, "/a").text(), "0123456789");
    assert_eq!(proxy.requests()[0].status, 0);

    // The end of the proxy is an end, too.
    hang(&proxy);
    let mut connection = Connection::open(proxy.address()).unwrap();
    let waiting = std::thread::spawn(move || connection.send("GET", "/a", &[], b""));
    wait_until(|| proxy.requests().len() == 4);
    drop(proxy);
    let error = waiting.join().unwrap().unwrap_err();
    assert_ne!(error.kind(), ErrorKind::WouldBlock);
}

#[test]
fn a_proxy_refuses_connections() {
    let (_shelf, proxy) = shelf_and_proxy();
    let mut open = Connection::open(proxy.address()).unwrap();
    assert_eq!(open.send("GET", "/a", &[], b"").unwrap().status, 200);
    proxy.set(Faults {
        refuse: true,
        ..Faults::default()
    });
    assert!(open.send("GET", "/a", &[], b"").is_err());
    assert!(send(proxy.address(), "GET", "/a", &[], b"").is_err());
    proxy.set(Faults {
        refuse: true,
        only: Some("/a".into()),
        ..Faults::default()
    });
    assert!(send(proxy.address(), "GET", "/a", &[], b"").is_err());
    assert_eq!(get(&proxy, "/b").status, 404);
    proxy.set(Faults::default());
    assert_eq!(get(&proxy, "/a").status, 200);
}

#[test]
fn a_proxy_breaks_uploads() {
    let (shelf, proxy) = shelf_and_proxy();
    proxy.set(Faults {
        break_upload_after: Some(4),
        ..Faults::default()
    });
    let put =
        |fields: &[(&str, &str)], body: &[u8]| send(proxy.address(), "PUT", "/b", fields, body);
    assert!(put(&[], b"12345").is_err());
    wait_until(|| shelf.broken() == [b"1234"]);
    assert!(put(&[("Transfer-Encoding", "chunked")], b"123456").is_err());
    wait_until(|| shelf.broken() == [b"1234", b"1234"]);
    let recorded = proxy.requests();
    let last = recorded.last().unwrap();
    assert_eq!((last.status, last.request_bytes), (0, 4));
    assert_eq!(shelf.get("/b"), None);
    assert_eq!(put(&[], b"1234").unwrap().status, 204);
    assert_eq!(shelf.get("/b").unwrap(), b"1234");
}

#[test]
fn a_proxy_for_anything_does_what_it_is_told() {
    let shelf = Shelf::start();
    let proxy = TcpProxy::start(shelf.address());
    shelf.put("/a", b"0123456789");
    let get = || send(proxy.address(), "GET", "/a", &[], b"");
    assert_eq!(get().unwrap().text(), "0123456789");

    let latency = Duration::from_millis(200);
    proxy.set(TcpFaults {
        latency,
        ..TcpFaults::default()
    });
    let start = Instant::now();
    assert_eq!(get().unwrap().text(), "0123456789");
    assert!(start.elapsed() >= latency);

    let mut open = Connection::open(proxy.address()).unwrap();
    proxy.set(TcpFaults {
        refuse: true,
        ..TcpFaults::default()
    });
    assert!(open.send("GET", "/a", &[], b"").is_err());
    assert!(get().is_err());

    proxy.set(TcpFaults {
        hang: true,
        ..TcpFaults::default()
    });
    std::thread::scope(|scope| {
        let waiting = scope.spawn(get);
        std::thread::sleep(A_WHILE);
        assert!(!waiting.is_finished());
        proxy.set(TcpFaults::default());
        assert_eq!(waiting.join().unwrap().unwrap().text(), "0123456789");
    });
}

#[test]
fn a_black_hole_never_answers() {
    let hole = Blackhole::start();
    let mut connection = Connection::open(hole.address()).unwrap();
    connection.set_patience(A_WHILE).unwrap();
    let error = connection.send("GET", "/", &[], b"").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    drop(hole);
    let error = connection.send("GET", "/", &[], b"").unwrap_err();
    assert_ne!(error.kind(), ErrorKind::WouldBlock);
}

fn get(proxy: &Proxy, target: &str) -> Answer {
    send(proxy.address(), "GET", target, &[], b"").unwrap()
}

/// Sends `text` over a connection of its own, and returns the first lines that come back.
fn ask(address: SocketAddr, text: &str, lines: usize) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(text.as_bytes())?;
    let mut reader = BufReader::new(stream);
    let mut answer = String::new();
    for _ in 0..lines {
        if reader.read_line(&mut answer)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(answer)
}

#[track_caller]
fn wait_until(is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(10), "it never comes");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A shelf on which `/a` is `0123456789`, and a proxy before it.
fn shelf_and_proxy() -> (Shelf, Proxy) {
    let shelf = Shelf::start();
    shelf.put("/a", b"0123456789");
    let proxy = Proxy::start(shelf.address());
    (shelf, proxy)
}

/// A server that keeps what is put there in memory, and answers with the framing that the query
/// asks for. It takes one request for each connection.
struct Shelf {
    objects: Arc<Objects>,
    listener: Listener,
}

#[derive(Default)]
struct Objects {
    whole: Mutex<BTreeMap<String, Vec<u8>>>,
    broken: Mutex<Vec<Vec<u8>>>,
}

impl Shelf {
    fn start() -> Self {
        let objects = Arc::<Objects>::default();
        let served = Arc::clone(&objects);
        let listener = Listener::start(Arc::<Streams>::default(), move |client| {
            let _ = served.serve(client);
        });
        Self { objects, listener }
    }

    fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    fn put(&self, path: &str, value: &[u8]) {
        let mut objects = self.objects.whole.lock().unwrap();
        objects.insert(path.into(), value.into());
    }

    fn get(&self, path: &str) -> Option<Vec<u8>> {
        self.objects.whole.lock().unwrap().get(path).cloned()
    }

    /// What came of uploads that broke.
    fn broken(&self) -> Vec<Vec<u8>> {
        self.objects.broken.lock().unwrap().clone()
    }
}

impl Objects {
    fn serve(&self, mut client: &TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(client);
        let head = Head::read(&mut reader)?.ok_or(ErrorKind::UnexpectedEof)?;
        let body = read_body(&mut reader, head.request_framing()?, usize::MAX)?;
        if !body.is_whole {
            self.broken.lock().unwrap().push(body.bytes);
            return Ok(());
        }
        let target = head.word(1);
        let (path, query) = target.split_once('?').unwrap_or((target, "length"));
        let mut objects = self.whole.lock().unwrap();
        if head.word(0) == "PUT" {
            objects.insert(path.into(), body.bytes);
            return client.write_all(b"HTTP/1.1 204 No Content\r\n\r\n");
        }
        let object = match path {
            "/host" => head.field("Host").map(|host| host.as_bytes().to_vec()),
            _ => objects.get(path).cloned(),
        };
        let Some(object) = object else {
            let status = if path == "/unchanged" { 304 } else { 404 };
            return write!(client, "HTTP/1.1 {status} None\r\n\r\n");
        };
        let framing = match query {
            "chunks" => "Transfer-Encoding: chunked".into(),
            "close" => "Connection: close".into(),
            _ => format!("Content-Length: {}", object.len()),
        };
        write!(client, "HTTP/1.1 200 OK\r\n{framing}\r\n\r\n")?;
        match (head.word(0), query) {
            ("HEAD", _) => Ok(()),
            (_, "chunks") => {
                for byte in object {
                    write!(client, "1;extension\r\n")?;
                    client.write_all(&[byte])?;
                    write!(client, "\r\n")?;
                }
                client.write_all(b"0\r\nTrailer: any\r\n\r\n")
            }
            _ => client.write_all(&object),
        }
    }
}
