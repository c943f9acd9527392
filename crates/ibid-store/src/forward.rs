//! A pointer to a store is a store.

use crate::store::{CacheStore, Counters, Entry, Snapshot};
use std::borrow::Cow;
use std::sync::Arc;

/// Every method is forwarded, also those with a default: the default batch form would undo what
/// the store behind the pointer does better.
macro_rules! forward {
    ($($pointer:ty),*) => {$(
        impl<T: CacheStore + ?Sized> CacheStore for $pointer {
            fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
                (**self).get(key)
            }

            fn insert(&self, key: &[u8], value: Vec<u8>) -> bool {
                (**self).insert(key, value)
            }

            fn get_many(&self, keys: &[&[u8]]) -> Vec<Option<Cow<'_, [u8]>>> {
                (**self).get_many(keys)
            }

            fn insert_many(&self, entries: Vec<Entry>) -> usize {
                (**self).insert_many(entries)
            }

            fn snapshot(&self) -> Box<dyn Snapshot + '_> {
                (**self).snapshot()
            }

            fn is_checked(&self) -> bool {
                (**self).is_checked()
            }

            fn counters(&self) -> Counters {
                (**self).counters()
            }
        }
    )*};
}

forward!(&T, Box<T>, Arc<T>);

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers each method with something that its default would not.
    #[derive(Debug)]
    struct Peculiar;

    impl CacheStore for Peculiar {
        fn get(&self, _: &[u8]) -> Option<Cow<'_, [u8]>> {
            Some(Cow::Borrowed(b"one"))
        }

        fn insert(&self, _: &[u8], _: Vec<u8>) -> bool {
            true
        }

        fn get_many(&self, _: &[&[u8]]) -> Vec<Option<Cow<'_, [u8]>>> {
            vec![Some(Cow::Borrowed(b"many"))]
        }

        fn insert_many(&self, _: Vec<Entry>) -> usize {
            42
        }

        fn snapshot(&self) -> Box<dyn Snapshot + '_> {
            struct Empty;
            impl Snapshot for Empty {
                fn get(&self, _: &[u8]) -> Option<Cow<'_, [u8]>> {
                    None
                }
            }
            Box::new(Empty)
        }

        fn is_checked(&self) -> bool {
            true
        }

        fn counters(&self) -> Counters {
            Counters {
                damaged: 7,
                ..Counters::default()
            }
        }
    }

    fn every_method_is_forwarded(store: impl CacheStore) {
        assert_eq!(store.get(b"k").as_deref(), Some(&b"one"[..]));
        assert!(store.insert(b"k", vec![]));
        assert_eq!(store.get_many(&[])[0].as_deref(), Some(&b"many"[..]));
        assert_eq!(store.insert_many(vec![]), 42);
        assert_eq!(store.snapshot().get(b"k"), None);
        assert!(store.is_checked());
        assert_eq!(store.counters().damaged, 7);
    }

    #[test]
    fn pointers_to_stores_are_stores() {
        every_method_is_forwarded(&Peculiar);
        every_method_is_forwarded(Box::new(Peculiar));
        every_method_is_forwarded(Arc::new(Peculiar));
        every_method_is_forwarded(Arc::new(Peculiar) as Arc<dyn CacheStore>);
        every_method_is_forwarded(Box::new(Peculiar) as Box<dyn CacheStore>);
    }
}
