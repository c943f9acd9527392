//! Stores for compiled functions: in memory, and on disk for several processes at once.
//!
//! A store maps a short key to a value and knows nothing of either: whoever asks makes the keys
//! (digests, as a rule) and reads the values. Everything here is built around one rule: **a store
//! that is damaged, full or absent costs time, never correctness.** So a lookup answers with the
//! bytes that were stored under that key or with a miss, never with an error, and an insertion
//! may decline. What went wrong on the way is counted in [`Counters`].
//!
//! | item | what it is |
//! |---|---|
//! | [`CacheStore`] | the trait: look up and insert, one by one or in batches |
//! | [`Snapshot`] | a consistent view of a store, with values borrowed from it |
//! | [`MemoryStore`] | a store that lives and dies with the process, bounded in size or not |
//! | [`DiskStore`] | a store in a directory, bounded in size, shared between processes |
//! | [`Tiered`] | a stack of stores: read through, written back, promoted from far to near |
//! | [`ReadOnly`] | a store that is not written to |
//! | [`Namespaced`] | a tenant's entries in a store, which other tenants can neither read nor probe |
//! | [`WriteBehind`] | a store that is written to in batches and in the background |
//!
//! # Features
//!
//! None is on by default.
//!
//! | feature | what it adds |
//! |---|---|
//! | `wasmtime` | the stores implement `wasmtime::CacheStore`, for `Config::enable_incremental_compilation` |
//! | `cranelift` | the stores implement `CacheKvStore`, for `Context::compile_with_cache` |
//! | `conformance` | `conformance`, a test that any store can be put to |
//!
//! The adapters insert functions one by one, so a [`DiskStore`] belongs behind a [`WriteBehind`]
//! there. `Adapter` does for other stores, and for an `Arc<dyn CacheStore>`, what the stores of
//! this crate do themselves.
//!
//! # Example
//!
//! ```
//! use ibid_store::{CacheStore, DiskStore, Entry};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! let store = DiskStore::open(directory.path())?;
//!
//! // A batch is one transaction, so it costs one wait for the disk.
//! let stored = store.insert_many(vec![
//!     Entry { key: b"add".to_vec(), value: vec![1; 100] },
//!     Entry { key: b"sub".to_vec(), value: vec![2; 200] },
//! ]);
//! assert_eq!(stored, 2);
//!
//! // A snapshot hands out the stored bytes without copying them.
//! let snapshot = store.snapshot();
//! assert_eq!(snapshot.get(b"add").as_deref(), Some(&[1; 100][..]));
//! assert_eq!(snapshot.get(b"mul"), None);
//! # Ok(())
//! # }
//! ```
//!
//! # Invariants
//!
//! - This crate knows bytes, not WebAssembly: it depends on nothing of the compiler,
//!   except on the traits that the adapters implement.
//! - No method of [`CacheStore`] or [`Snapshot`] panics, whatever the state of the store.
//! - What a lookup returns is what an insertion under the same key was given, in full.

#[cfg(any(feature = "wasmtime", feature = "cranelift"))]
mod adapters;
#[cfg(feature = "conformance")]
pub mod conformance;
mod directory;
mod disk;
mod forward;
mod memory;
mod namespaced;
mod read_only;
mod store;
mod tiered;
mod write_behind;

#[cfg(any(feature = "wasmtime", feature = "cranelift"))]
pub use adapters::Adapter;
pub use directory::default_directory;
pub use disk::{
    AuthenticationKey, Collected, DatabaseError, DiskOptions, DiskStore, Imported, OpenError,
    Statistics, StoreError, Verified, gc, remove,
};
pub use memory::MemoryStore;
pub use namespaced::Namespaced;
pub use read_only::ReadOnly;
pub use store::{
    CacheStore, Counters, Entry, FAMILY_BYTES, FAMILY_MARK, MAX_KEY_BYTES, Snapshot, family,
};
pub use tiered::Tiered;
pub use write_behind::{WriteBehind, WriteBehindOptions};
