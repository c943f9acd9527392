//! One cache for many machines, on storage that people already run.
//!
//! A [`RemoteStore`] is a [`CacheStore`](ibid_store::CacheStore) over object stores (S3 and what
//! speaks its protocol, Google Cloud Storage, Azure Blob Storage), WebDAV, a shared file system,
//! Redis, Valkey and Memcached, by way of [OpenDAL](opendal) and [`redis`]. There is no server of
//! its own.
//!
//! ```no_run
//! use ibid_remote::{RemoteOptions, RemoteStore, Trust};
//! use ibid_store::{CacheStore, DiskStore, Tiered};
//! use std::{path::Path, sync::Arc};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let trust = Trust::from_file(Path::new("trusted-keys"))?;
//! let remote = RemoteStore::open("s3://bucket/team?region=eu-central-1", RemoteOptions::new(trust))?;
//! let disk = DiskStore::open("cache")?;
//! let tiers: Vec<Arc<dyn CacheStore>> = vec![Arc::new(disk), Arc::new(remote)];
//! let store = Arc::new(Tiered::new(tiers));
//! # drop(store);
//! # Ok(())
//! # }
//! ```
//!
//! # URLs
#![doc = include_str!("urls.md")]

mod bytes;
mod descriptor;
mod floor;
mod index;
mod local;
mod location;
mod maintenance;
#[doc(hidden)]
pub mod model;
mod objects;
mod options;
mod pack;
mod packed;
mod patience;
mod ranges;
#[cfg(feature = "redis")]
mod redis_values;
mod remote;
mod rollup;
mod segment;
#[cfg(feature = "memcached")]
mod single_values;
mod statistics;
mod store;
mod trust;
mod uploads;
#[cfg(any(feature = "redis", feature = "memcached"))]
mod values;

pub use location::LocationError;
pub use maintenance::{Contents, Finding, Gc, GcOptions, MaintenanceError, Writer};
pub use options::RemoteOptions;
pub use statistics::RemoteStatistics;
pub use store::{OpenError, RemoteStore};
pub use trust::{KeyError, PublicKey, SecretKey, Trust};
