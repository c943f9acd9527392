//! What the tests of the remote cache run against: servers as people have them, and proxies that
//! get in the way.
//!
//! Everything listens on loopback, on ports of its own, and ends when it is dropped. What is kept
//! in a `static` is never dropped, so servers belong into variables.

// No test uses all of it.
#![allow(dead_code, unused_imports)]

mod client;
mod http;
mod listener;
mod proxy;
mod servers;
mod tcp;

pub(crate) use client::{
    every_kind, every_kind_of_objects, file_url, find, found, inserted, keys, memcached_url, open,
    reading, redis_url, s3_url, upload, wait_until, webdav_url, writing,
};
pub(crate) use http::{Answer, Body, Connection, Framing, Head, read_body, send};
pub(crate) use listener::{Listener, Streams};
pub(crate) use proxy::{Faults, Proxy, Recorded};
pub(crate) use servers::{BUCKET, Memcached, Redis, S3, WebDav};
pub(crate) use tcp::{Blackhole, TcpFaults, TcpProxy};
