//! A proxy for HTTP that keeps a record of the requests and gets in their way.

use super::http::{Body, Framing, Head, read_body};
use super::listener::{Listener, Streams};
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// The fields that are about a connection and not about what goes over it, and those that say how
/// a body ends, which the proxy says anew.
const OF_THE_CONNECTION: [&str; 6] = [
    "Connection",
    "Keep-Alive",
    "Proxy-Connection",
    "Transfer-Encoding",
    "Content-Length",
    "Expect",
];

/// What goes wrong.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    /// How long each request waits before it is forwarded.
    pub(crate) latency: Duration,
    /// Every so manieth request is answered with this status and not forwarded. Requests are
    /// counted from when the faults are set.
    pub(crate) status_every: Option<(u16, usize)>,
    /// The answer to a GET ends after half of the body that its head announces.
    pub(crate) truncate: bool,
    /// One bit in the middle of an object differs when it is got.
    pub(crate) corrupt: bool,
    /// Requests are read and not answered, until this is no longer set. Those whose client has
    /// not given up are then forwarded.
    pub(crate) hang: bool,
    /// Connections are closed at once, those that are open too.
    pub(crate) refuse: bool,
    /// Of the body of a PUT no more bytes than this are read and forwarded. If there are more,
    /// the connections on both sides are then closed.
    pub(crate) break_upload_after: Option<usize>,
    /// Where this is set, everything but the latency only happens to requests with this in their
    /// path. The query is not part of the path.
    pub(crate) only: Option<String>,
}

impl Faults {
    /// What of this happens to a request for `path`.
    fn of(&self, path: &str) -> Self {
        match &self.only {
            Some(part) if !path.contains(part.as_str()) => Self {
                latency: self.latency,
                ..Self::default()
            },
            _ => self.clone(),
        }
    }
}

/// A request as the proxy saw it.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    pub(crate) method: String,
    pub(crate) path_and_query: String,
    /// The status of the answer, or 0 as long as there is none.
    pub(crate) status: u16,
    /// How many bytes of a body came.
    pub(crate) request_bytes: usize,
    /// How many bytes of a body were sent back.
    pub(crate) response_bytes: usize,
    /// When its head had come.
    pub(crate) at: Instant,
}

/// Forwards requests to a server, each over a connection of its own.
///
/// Bodies are held in memory as a whole. If the server cannot be reached, or does not answer in
/// full, the client's connection is closed.
pub(crate) struct Proxy {
    shared: Arc<Shared>,
    listener: Listener,
}

impl Proxy {
    pub(crate) fn start(upstream: SocketAddr) -> Self {
        let streams = Arc::new(Streams::default());
        let shared = Arc::new(Shared {
            upstream,
            state: Mutex::default(),
            changed: Condvar::new(),
            streams: Arc::clone(&streams),
        });
        let served = Arc::clone(&shared);
        let listener = Listener::start(streams, move |client| served.serve(client));
        Self { shared, listener }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// Sets what goes wrong from now on. `Faults::default()` lifts all faults.
    pub(crate) fn set(&self, faults: Faults) {
        let closes = faults.refuse && faults.only.is_none();
        let mut state = self.shared.state.lock().unwrap();
        state.faults = faults;
        state.counted = 0;
        drop(state);
        self.shared.changed.notify_all();
        if closes {
            self.shared.streams.close();
        }
    }

    /// All requests since the start or the last [`clear`](Self::clear), in the order in which they
    /// came. Those that were answered are in it before the client has the answer.
    pub(crate) fn requests(&self) -> Vec<Recorded> {
        let state = self.shared.state.lock().unwrap();
        let requests = state.requests.iter();
        requests.map(|(_, recorded)| recorded.clone()).collect()
    }

    /// Forgets the requests so far.
    pub(crate) fn clear(&self) {
        self.shared.state.lock().unwrap().requests.clear();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.state.lock().unwrap().has_ended = true;
        self.shared.changed.notify_all();
    }
}

struct Shared {
    upstream: SocketAddr,
    state: Mutex<State>,
    changed: Condvar,
    streams: Arc<Streams>,
}

#[derive(Default)]
struct State {
    faults: Faults,
    /// How many requests there were that the faults are about.
    counted: usize,
    requests: Vec<(u64, Recorded)>,
    next: u64,
    has_ended: bool,
}

impl Shared {
    fn serve(&self, client: &TcpStream) {
        let faults = self.state.lock().unwrap().faults.clone();
        if faults.refuse && faults.only.is_none() {
            return;
        }
        let mut reader = BufReader::new(client);
        while matches!(self.pass(&mut reader, client), Ok(Then::GoOn)) {}
    }

    /// Passes one request on, and its answer back.
    fn pass(&self, reader: &mut impl BufRead, client: &TcpStream) -> io::Result<Then> {
        let Some(head) = Head::read(reader)? else {
            return Ok(Then::Close);
        };
        let request = Request { head };
        let number = self.record(&request);
        let faults = self.faults_of(&request);
        if faults.refuse {
            return Ok(Then::Close);
        }
        let framing = request.head.request_framing()?;
        if request.head.lists("Expect", "100-continue") {
            (&*client).write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let limit = match faults.break_upload_after {
            Some(limit) if request.method() == "PUT" => limit,
            _ => usize::MAX,
        };
        let body = read_body(reader, framing, limit)?;
        self.amend(number, |recorded| recorded.request_bytes = body.bytes.len());

        let Some(faults) = self.wait_while_hanging(&request, client) else {
            return Ok(Then::Close);
        };
        std::thread::sleep(faults.latency);
        let made_up = self.status_instead(&faults);
        let mut answer = match made_up {
            Some(status) if body.is_whole => Answer::made_up(status),
            _ => match self.forward(&request, framing, &body)? {
                Some(answer) => answer,
                None => return Ok(Then::Close),
            },
        };
        let announced = answer.body.len();
        if made_up.is_none() {
            answer.damage(&request, &faults)?;
        }
        let status = answer.head.status()?;
        self.amend(number, |recorded| {
            recorded.status = status;
            recorded.response_bytes = answer.body.len();
        });
        answer.write(&request, announced, client)?;
        let is_last = answer.body.len() < announced || request.head.lists("Connection", "close");
        Ok(if is_last { Then::Close } else { Then::GoOn })
    }

    fn record(&self, request: &Request) -> u64 {
        let mut state = self.state.lock().unwrap();
        let number = state.next;
        state.next += 1;
        let recorded = Recorded {
            method: request.method().into(),
            path_and_query: request.target().into(),
            status: 0,
            request_bytes: 0,
            response_bytes: 0,
            at: Instant::now(),
        };
        state.requests.push((number, recorded));
        number
    }

    /// Changes what is recorded of a request, unless that has been cleared.
    fn amend(&self, number: u64, change: impl FnOnce(&mut Recorded)) {
        let mut state = self.state.lock().unwrap();
        let mut requests = state.requests.iter_mut();
        if let Some((_, recorded)) = requests.find(|(other, _)| *other == number) {
            change(recorded);
        }
    }

    fn faults_of(&self, request: &Request) -> Faults {
        self.state.lock().unwrap().faults.of(request.path())
    }

    /// Waits until requests like this one do not hang, and returns what happens to them then.
    /// Returns `None` if the proxy ends or the client has gone meanwhile.
    fn wait_while_hanging(&self, request: &Request, client: &TcpStream) -> Option<Faults> {
        let mut state = self.state.lock().unwrap();
        let mut has_hung = false;
        loop {
            let faults = state.faults.of(request.path());
            if state.has_ended || (has_hung && faults.refuse) {
                return None;
            }
            if !faults.hang {
                drop(state);
                return (!has_hung || is_there(client)).then_some(faults);
            }
            has_hung = true;
            state = self.changed.wait(state).unwrap();
        }
    }

    /// The status with which a request is answered in place of being forwarded.
    fn status_instead(&self, faults: &Faults) -> Option<u16> {
        let (status, every) = faults.status_every?;
        let mut state = self.state.lock().unwrap();
        state.counted += 1;
        state.counted.is_multiple_of(every).then_some(status)
    }

    /// Sends a request to the server. Returns the answer, or `None` if the request was not whole,
    /// in which case there is none.
    fn forward(
        &self,
        request: &Request,
        framing: Framing,
        body: &Body,
    ) -> io::Result<Option<Answer>> {
        let server = TcpStream::connect(self.upstream)?;
        self.streams.with(&server, || {
            // A server may answer before it has all of a body, and close.
            let _ = request.write(framing, body, &server);
            if !body.is_whole {
                return Ok(None);
            }
            Answer::read(request.method(), &server).map(Some)
        })?
    }
}

/// What becomes of a client's connection after a request.
enum Then {
    GoOn,
    Close,
}

struct Request {
    head: Head,
}

impl Request {
    fn method(&self) -> &str {
        self.head.word(0)
    }

    fn target(&self) -> &str {
        self.head.word(1)
    }

    fn path(&self) -> &str {
        self.target().split('?').next().unwrap_or_default()
    }

    fn query(&self) -> &str {
        self.target().split_once('?').map_or("", |(_, query)| query)
    }

    /// Writes the request with the framing that it came with. A body that is not whole stays so.
    fn write(&self, framing: Framing, body: &Body, mut server: &TcpStream) -> io::Result<()> {
        let mut head = self.head.clone();
        head.remove(&OF_THE_CONNECTION);
        head.add("Connection", "close");
        if framing == Framing::Chunked {
            head.add("Transfer-Encoding", "chunked");
        } else if let Some(length) = self.head.field("Content-Length") {
            head.add("Content-Length", length);
        }
        server.write_all(&head.to_bytes())?;
        if framing != Framing::Chunked {
            return server.write_all(&body.bytes);
        }
        if !body.bytes.is_empty() {
            write!(server, "{:x}\r\n", body.bytes.len())?;
            server.write_all(&body.bytes)?;
            server.write_all(b"\r\n")?;
        }
        if body.is_whole {
            server.write_all(b"0\r\n\r\n")?;
        }
        Ok(())
    }
}

struct Answer {
    head: Head,
    body: Vec<u8>,
}

impl Answer {
    fn read(method: &str, server: &TcpStream) -> io::Result<Self> {
        let mut reader = BufReader::new(server);
        loop {
            let head = Head::read(&mut reader)?.ok_or(io::ErrorKind::UnexpectedEof)?;
            if matches!(head.status()?, 100..200) {
                continue;
            }
            let body = read_body(&mut reader, head.answer_framing(method)?, usize::MAX)?;
            if !body.is_whole {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            return Ok(Self {
                head,
                body: body.bytes,
            });
        }
    }

    /// An answer in the words that S3 has for it.
    fn made_up(status: u16) -> Self {
        let code = match status {
            429 | 503 => "SlowDown",
            403 => "AccessDenied",
            404 => "NoSuchKey",
            412 => "PreconditionFailed",
            _ => "InternalError",
        };
        let mut head = Head {
            start_line: format!("HTTP/1.1 {status} {code}"),
            fields: Vec::new(),
        };
        head.add("Content-Type", "application/xml");
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <Error><Code>{code}</Code><Message>Made up by a test's proxy.</Message></Error>"
        );
        Self {
            head,
            body: body.into_bytes(),
        }
    }

    fn damage(&mut self, request: &Request, faults: &Faults) -> io::Result<()> {
        if request.method() != "GET" {
            return Ok(());
        }
        let is_object =
            matches!(self.head.status()?, 200 | 206) && !request.query().contains("list-type");
        let middle = self.body.len() / 2;
        if faults.corrupt
            && is_object
            && let Some(byte) = self.body.get_mut(middle)
        {
            *byte ^= 1;
        }
        if faults.truncate {
            self.body.truncate(middle);
        }
        Ok(())
    }

    /// Writes the answer, with a head for a body of `announced` bytes.
    fn write(&self, request: &Request, announced: usize, mut client: &TcpStream) -> io::Result<()> {
        let status = self.head.status()?;
        let mut head = self.head.clone();
        let stated = head.field("Content-Length").map(str::to_owned);
        head.remove(&OF_THE_CONNECTION);
        if let Some((_, rest)) = self.head.start_line.split_once(' ') {
            head.start_line = format!("HTTP/1.1 {rest}");
        }
        // These have a length only if the server says what the body would have had.
        let is_bodiless = request.method() == "HEAD" || matches!(status, 204 | 304);
        match stated {
            Some(length) if is_bodiless && status != 204 => head.add("Content-Length", length),
            _ if is_bodiless => {}
            _ => head.add("Content-Length", announced),
        }
        client.write_all(&head.to_bytes())?;
        if is_bodiless {
            return Ok(());
        }
        client.write_all(&self.body)
    }
}

/// Whether the other side of a connection on which nothing is awaited has not closed it.
fn is_there(client: &TcpStream) -> bool {
    if client.set_nonblocking(true).is_err() {
        return false;
    }
    let peeked = client.peek(&mut [0]);
    let is_open = match peeked {
        Ok(count) => count > 0,
        Err(error) => error.kind() == io::ErrorKind::WouldBlock,
    };
    client.set_nonblocking(false).is_ok() && is_open
}
