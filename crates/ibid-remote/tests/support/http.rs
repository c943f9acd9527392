//! As much of HTTP/1.1 as the proxy and the tests need: heads, bodies, and a client.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long the client waits for more of an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// The first line of a message and its header fields.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) start_line: String,
    pub(crate) fields: Vec<(String, String)>,
}

impl Head {
    /// Reads a head, or finds that the connection ended before one began.
    pub(crate) fn read(reader: &mut impl BufRead) -> io::Result<Option<Self>> {
        let Some(start_line) = read_line(reader)? else {
            return Ok(None);
        };
        let mut fields = Vec::new();
        loop {
            let line = read_line(reader)?.ok_or(io::ErrorKind::UnexpectedEof)?;
            if line.is_empty() {
                return Ok(Some(Self { start_line, fields }));
            }
            let (name, value) = line
                .split_once(':')
                .ok_or_else(|| malformed("a header field without a colon"))?;
            fields.push((name.into(), value.trim().into()));
        }
    }

    /// The value of the first field called `name`.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.fields.iter();
        fields
            .find(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Whether `token` is in the list that is the value of the field called `name`.
    pub(crate) fn lists(&self, name: &str, token: &str) -> bool {
        self.field(name).is_some_and(|value| {
            value
                .split(',')
                .any(|listed| listed.trim().eq_ignore_ascii_case(token))
        })
    }

    /// Takes out all fields with one of these names.
    pub(crate) fn remove(&mut self, names: &[&str]) {
        self.fields
            .retain(|(field, _)| !names.iter().any(|name| field.eq_ignore_ascii_case(name)));
    }

    pub(crate) fn add(&mut self, name: &str, value: impl ToString) {
        self.fields.push((name.into(), value.to_string()));
    }

    /// The word at `place` of the first line, which is empty if there are not as many.
    pub(crate) fn word(&self, place: usize) -> &str {
        self.start_line.split(' ').nth(place).unwrap_or_default()
    }

    /// The status, of the head of an answer.
    pub(crate) fn status(&self) -> io::Result<u16> {
        self.word(1)
            .parse()
            .map_err(|_| malformed("a status that is no number"))
    }

    /// How the body of a request with this head ends.
    pub(crate) fn request_framing(&self) -> io::Result<Framing> {
        Ok(match self.stated_framing()? {
            Framing::UntilClose => Framing::Length(0),
            stated => stated,
        })
    }

    /// How the body of an answer with this head ends, where the request was a `method`.
    pub(crate) fn answer_framing(&self, method: &str) -> io::Result<Framing> {
        if method == "HEAD" || matches!(self.status()?, 100..200 | 204 | 304) {
            return Ok(Framing::Length(0));
        }
        self.stated_framing()
    }

    fn stated_framing(&self) -> io::Result<Framing> {
        if self.lists("Transfer-Encoding", "chunked") {
            return Ok(Framing::Chunked);
        }
        match self.field("Content-Length") {
            None => Ok(Framing::UntilClose),
            Some(length) => length
                .parse()
                .map(Framing::Length)
                .map_err(|_| malformed("a length that is no number")),
        }
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut text = format!("{}\r\n", self.start_line);
        for (name, value) in &self.fields {
            text += &format!("{name}: {value}\r\n");
        }
        text += "\r\n";
        text.into_bytes()
    }
}

/// How the end of a body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Length(usize),
    Chunked,
    UntilClose,
}

/// A body without its framing, or its beginning.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) bytes: Vec<u8>,
    pub(crate) is_whole: bool,
}

/// Reads a body, of which at most `limit` bytes. What is beyond, or did not come because the
/// connection ended, leaves the body incomplete.
pub(crate) fn read_body(
    reader: &mut impl BufRead,
    framing: Framing,
    limit: usize,
) -> io::Result<Body> {
    let mut bytes = Vec::new();
    let is_whole = match framing {
        Framing::Length(length) => append(reader, &mut bytes, length, limit)?,
        Framing::Chunked => append_chunks(reader, &mut bytes, limit)?,
        Framing::UntilClose => {
            reader.read_to_end(&mut bytes)?;
            true
        }
    };
    Ok(Body { bytes, is_whole })
}

/// Appends the next `length` bytes, or those up to the limit. Returns whether it was all of them.
fn append(
    reader: &mut impl BufRead,
    bytes: &mut Vec<u8>,
    length: usize,
    limit: usize,
) -> io::Result<bool> {
    let wanted = length.min(limit - bytes.len());
    let before = bytes.len();
    match reader.take(wanted as u64).read_to_end(bytes) {
        Err(error) if error.kind() != io::ErrorKind::ConnectionReset => Err(error),
        _ => Ok(bytes.len() - before == length),
    }
}

fn append_chunks(reader: &mut impl BufRead, bytes: &mut Vec<u8>, limit: usize) -> io::Result<bool> {
    loop {
        let Some(line) = read_line(reader)? else {
            return Ok(false);
        };
        let digits = line.split(';').next().unwrap_or_default().trim();
        let length = usize::from_str_radix(digits, 16)
            .map_err(|_| malformed("a chunk's length that is no number"))?;
        if length == 0 {
            break;
        }
        if !append(reader, bytes, length, limit)? || read_line(reader)?.is_none() {
            return Ok(false);
        }
    }
    // Trailers are of no use to anyone here.
    while !read_line(reader)?.unwrap_or_default().is_empty() {}
    Ok(true)
}

/// Reads a line without its end, or finds that there is none.
fn read_line(reader: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    if reader.read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    while matches!(line.last(), Some(b'\r' | b'\n')) {
        line.pop();
    }
    Ok(Some(String::from_utf8_lossy(&line).into_owned()))
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
    /// Whether as much of the body came as the head says.
    pub(crate) is_whole: bool,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A client's connection, over which requests go one after another.
pub(crate) struct Connection {
    address: SocketAddr,
    reader: BufReader<TcpStream>,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self {
            address,
            reader: BufReader::new(stream),
        })
    }

    /// How long to wait for more of an answer, in place of the usual 30 seconds.
    pub(crate) fn set_patience(&self, patience: Duration) -> io::Result<()> {
        self.reader.get_ref().set_read_timeout(Some(patience))
    }

    /// Sends a request and reads the answer. The body is sent as `fields` say: in one chunk where
    /// they have `Transfer-Encoding: chunked`, once the server asks for it where they have
    /// `Expect: 100-continue`, and else with its length.
    pub(crate) fn send(
        &mut self,
        method: &str,
        target: &str,
        fields: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Answer> {
        let mut head = Head {
            start_line: format!("{method} {target} HTTP/1.1"),
            fields: Vec::new(),
        };
        head.add("Host", self.address);
        for (name, value) in fields {
            head.add(name, value);
        }
        let is_chunked = head.lists("Transfer-Encoding", "chunked");
        if !is_chunked {
            head.add("Content-Length", body.len());
        }
        self.reader.get_ref().write_all(&head.to_bytes())?;
        if head.lists("Expect", "100-continue") {
            let interim = self.read_head()?;
            if interim.status()? != 100 {
                return self.read_answer(method, interim);
            }
        }
        // A server may answer before it has all of a body, and close.
        let _ = self.write_body(body, is_chunked);
        let head = self.read_last_head()?;
        self.read_answer(method, head)
    }

    fn write_body(&self, body: &[u8], is_chunked: bool) -> io::Result<()> {
        let mut stream = self.reader.get_ref();
        if !is_chunked {
            return stream.write_all(body);
        }
        if !body.is_empty() {
            write!(stream, "{:x}\r\n", body.len())?;
            stream.write_all(body)?;
            stream.write_all(b"\r\n")?;
        }
        stream.write_all(b"0\r\n\r\n")
    }

    fn read_head(&mut self) -> io::Result<Head> {
        Ok(Head::read(&mut self.reader)?.ok_or(io::ErrorKind::UnexpectedEof)?)
    }

    /// Reads the head of an answer that is no interim one. Some servers send more of these than
    /// they are asked for.
    fn read_last_head(&mut self) -> io::Result<Head> {
        loop {
            let head = self.read_head()?;
            if !matches!(head.status()?, 100..200) {
                return Ok(head);
            }
        }
    }

    fn read_answer(&mut self, method: &str, head: Head) -> io::Result<Answer> {
        let framing = head.answer_framing(method)?;
        let body = read_body(&mut self.reader, framing, usize::MAX)?;
        Ok(Answer {
            status: head.status()?,
            head,
            body: body.bytes,
            is_whole: body.is_whole,
        })
    }
}

/// Sends one request over a connection of its own, and reads the answer.
pub(crate) fn send(
    address: SocketAddr,
    method: &str,
    target: &str,
    fields: &[(&str, &str)],
    body: &[u8],
) -> io::Result<Answer> {
    Connection::open(address)?.send(method, target, fields, body)
}
