//! A listener with a thread for each connection, and the end of all of them.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// Listens on a free port of loopback until it is dropped.
pub(crate) struct Listener {
    address: SocketAddr,
    streams: Arc<Streams>,
    thread: Option<JoinHandle<()>>,
}

impl Listener {
    /// Starts to listen. `serve` is called for each connection, in a thread of its own; the
    /// connection is closed when it returns.
    pub(crate) fn start(
        streams: Arc<Streams>,
        serve: impl Fn(&TcpStream) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let accepted = Arc::clone(&streams);
        let thread = std::thread::spawn(move || accept(&listener, &accepted, &Arc::new(serve)));
        Self {
            address,
            streams,
            thread: Some(thread),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.streams.end();
        // The thread waits for a connection, and looks up once it has one.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn accept<S>(listener: &TcpListener, streams: &Arc<Streams>, serve: &Arc<S>)
where
    S: Fn(&TcpStream) + Send + Sync + 'static,
{
    for stream in listener.incoming() {
        let Ok(stream) = stream else { continue };
        if streams.have_ended() {
            return;
        }
        let (streams, serve) = (Arc::clone(streams), Arc::clone(serve));
        std::thread::spawn(move || {
            let _ = streams.with(&stream, || serve(&stream));
        });
    }
}

/// The streams that are open, so that others than the threads that wait for them can close them.
#[derive(Default)]
pub(crate) struct Streams(Mutex<Open>);

#[derive(Default)]
struct Open {
    streams: HashMap<u64, TcpStream>,
    next: u64,
    has_ended: bool,
}

impl Streams {
    /// Calls `act` while `stream` is among the open ones, and closes it. Does not call it if all
    /// have ended.
    pub(crate) fn with<T>(&self, stream: &TcpStream, act: impl FnOnce() -> T) -> io::Result<T> {
        let number = self.insert(stream)?;
        let result = act();
        let _ = stream.shutdown(Shutdown::Both);
        self.0.lock().unwrap().streams.remove(&number);
        Ok(result)
    }

    fn insert(&self, stream: &TcpStream) -> io::Result<u64> {
        stream.set_nodelay(true)?;
        let clone = stream.try_clone()?;
        let mut open = self.0.lock().unwrap();
        if open.has_ended {
            return Err(io::ErrorKind::NotConnected.into());
        }
        let number = open.next;
        open.next += 1;
        open.streams.insert(number, clone);
        Ok(number)
    }

    /// Closes all streams that are open now.
    pub(crate) fn close(&self) {
        for stream in self.0.lock().unwrap().streams.values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Closes all streams that are open, and lets no more be opened.
    fn end(&self) {
        self.0.lock().unwrap().has_ended = true;
        self.close();
    }

    fn have_ended(&self) -> bool {
        self.0.lock().unwrap().has_ended
    }
}
