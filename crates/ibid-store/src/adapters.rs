//! The stores as those of others: of Wasmtime and of Cranelift.

use crate::store::CacheStore;
use crate::{DiskStore, MemoryStore, Namespaced, ReadOnly, Tiered, WriteBehind};
use std::borrow::Cow;

/// Any store as one of Wasmtime's or Cranelift's, for what does not implement their traits itself:
/// an `Arc<dyn CacheStore>`, or a store of another crate.
///
/// ```
/// # #[cfg(feature = "cranelift")] {
/// use cranelift_codegen::incremental_cache::CacheKvStore;
/// use ibid_store::{Adapter, CacheStore, MemoryStore};
/// use std::sync::Arc;
///
/// let store: Arc<dyn CacheStore> = Arc::new(MemoryStore::new());
/// let mut adapted = Adapter(store.clone());
/// CacheKvStore::insert(&mut adapted, b"key", b"value".to_vec());
/// assert!(store.get(b"key").is_some());
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Adapter<S>(
    /// The store.
    pub S,
);

/// Implements a trait of somebody else's for all stores of this crate, with the given macro.
macro_rules! for_all_stores {
    ($implement:ident) => {
        $implement!([] MemoryStore, |store| store);
        $implement!([] DiskStore, |store| store);
        $implement!([] Tiered, |store| store);
        $implement!([S: CacheStore] ReadOnly<S>, |store| store);
        $implement!([S: CacheStore] Namespaced<S>, |store| store);
        $implement!([S: CacheStore + 'static] WriteBehind<S>, |store| store);
        $implement!([S: CacheStore] Adapter<S>, |store| &store.0);
    };
}

/// Wasmtime asks for `get` and `insert` with the signatures that they have here.
#[cfg(feature = "wasmtime")]
macro_rules! for_wasmtime {
    ([$($bound:tt)*] $type:ty, |$store:ident| $inner:expr) => {
        impl<$($bound)*> wasmtime_environ::CacheStore for $type {
            fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
                let $store = self;
                CacheStore::get($inner, key)
            }

            fn insert(&self, key: &[u8], value: Vec<u8>) -> bool {
                let $store = self;
                CacheStore::insert($inner, key, value)
            }
        }
    };
}

/// Cranelift inserts into a store that it has for itself, and does not ask whether that was
/// stored. A reference to a store can be shared, so that is one of Cranelift's too.
#[cfg(feature = "cranelift")]
macro_rules! for_cranelift {
    ([$($bound:tt)*] $type:ty, |$store:ident| $inner:expr) => {
        impl<$($bound)*> cranelift_codegen::incremental_cache::CacheKvStore for $type {
            fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
                let $store = self;
                CacheStore::get($inner, key)
            }

            fn insert(&mut self, key: &[u8], value: Vec<u8>) {
                let $store = &*self;
                CacheStore::insert($inner, key, value);
            }
        }

        impl<$($bound)*> cranelift_codegen::incremental_cache::CacheKvStore for &$type {
            fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
                let $store = *self;
                CacheStore::get($inner, key)
            }

            fn insert(&mut self, key: &[u8], value: Vec<u8>) {
                let $store = &**self;
                CacheStore::insert($inner, key, value);
            }
        }
    };
}

#[cfg(feature = "wasmtime")]
for_all_stores!(for_wasmtime);
#[cfg(feature = "cranelift")]
for_all_stores!(for_cranelift);
