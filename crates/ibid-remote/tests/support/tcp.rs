//! What gets in the way of protocols of any kind.

use super::listener::{Listener, Streams};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// What goes wrong on the way to a server that does not speak HTTP.
#[derive(Clone, Debug, Default)]
pub(crate) struct TcpFaults {
    /// How long what the client sends waits before it is forwarded.
    pub(crate) latency: Duration,
    /// Connections are closed at once, those that are open too.
    pub(crate) refuse: bool,
    /// Nothing is forwarded in either direction until this is no longer set.
    pub(crate) hang: bool,
}

/// Forwards bytes between clients and a server.
pub(crate) struct TcpProxy {
    shared: Arc<Shared>,
    listener: Listener,
}

impl TcpProxy {
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

    /// Sets what goes wrong from now on. `TcpFaults::default()` lifts all faults.
    pub(crate) fn set(&self, faults: TcpFaults) {
        let closes = faults.refuse;
        self.shared.state.lock().unwrap().faults = faults;
        self.shared.changed.notify_all();
        if closes {
            self.shared.streams.close();
        }
    }
}

impl Drop for TcpProxy {
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
    faults: TcpFaults,
    has_ended: bool,
}

impl Shared {
    fn serve(&self, client: &TcpStream) {
        if self.state.lock().unwrap().faults.refuse {
            return;
        }
        let Ok(server) = TcpStream::connect(self.upstream) else {
            return;
        };
        let _ = self.streams.with(&server, || {
            std::thread::scope(|scope| {
                scope.spawn(|| self.copy(&server, client, |_| Duration::ZERO));
                self.copy(client, &server, |faults| faults.latency);
            });
        });
    }

    /// Copies from one side to the other until either ends or the connection is to be closed.
    fn copy(
        &self,
        mut from: &TcpStream,
        mut to: &TcpStream,
        latency: impl Fn(&TcpFaults) -> Duration,
    ) {
        let mut bytes = vec![0; 64 << 10];
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            let Some(faults) = self.wait_while_hanging() else {
                break;
            };
            std::thread::sleep(latency(&faults));
            if to.write_all(&bytes[..count]).is_err() {
                break;
            }
        }
        // What goes the other way ends with this. Neither protocol has half of a connection.
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }

    fn wait_while_hanging(&self) -> Option<TcpFaults> {
        let mut state = self.state.lock().unwrap();
        while state.faults.hang && !state.has_ended {
            state = self.changed.wait(state).unwrap();
        }
        (!state.has_ended && !state.faults.refuse).then(|| state.faults.clone())
    }
}

/// Accepts connections and never answers.
pub(crate) struct Blackhole {
    listener: Listener,
}

impl Blackhole {
    pub(crate) fn start() -> Self {
        let listener = Listener::start(Arc::default(), |mut client| {
            // Reading is needed to notice that the client went.
            let _ = std::io::copy(&mut client, &mut std::io::sink());
        });
        Self { listener }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.listener.address()
    }
}
