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
//! | [`MemoryStore`] | a store that lives and dies with the process |
//! | [`DiskStore`] | a store in a directory, bounded in size, shared between processes |
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
//! - This crate knows bytes, not WebAssembly: it depends on nothing of the compiler.
//! - No method of [`CacheStore`] or [`Snapshot`] panics, whatever the state of the store.
//! - What a lookup returns is what an insertion under the same key was given, in full.

mod directory;
mod disk;
mod forward;
mod memory;
mod store;

pub use directory::default_directory;
pub use disk::{DatabaseError, DiskOptions, DiskStore, OpenError, Statistics, StoreError, remove};
pub use memory::MemoryStore;
pub use store::{CacheStore, Counters, Entry, MAX_KEY_BYTES, Snapshot};
