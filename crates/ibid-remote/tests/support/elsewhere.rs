//! The same servers and proxies, for tests and chores elsewhere in the workspace: without clients,
//! which take the crate itself.

// Nobody uses all of it.
#![allow(dead_code, unused_imports)]

mod http;
mod listener;
mod proxy;
mod servers;
mod tcp;

pub(crate) use http::{Answer, Body, Connection, Framing, Head, read_body, send};
pub(crate) use listener::{Listener, Streams};
pub(crate) use proxy::{Faults, Proxy, Recorded};
pub(crate) use servers::{BUCKET, Memcached, Redis, S3, WebDav};
pub(crate) use tcp::{Blackhole, TcpFaults, TcpProxy};
