//! An allocator that tells whether a table of Cranelift's grew.
//!
//! Cranelift's e-graph keeps the instructions that it has seen in a hash table. When that table
//! grows on behalf of an instruction that may trap, every entry is moved by another hash than it
//! is looked up by, and most are not found any more (`CtxHashMap::entry` in
//! `cranelift-codegen/src/ctxhash.rs`, called with a `NullCtx` from `optimize_skeleton_inst` in
//! `src/egraph/mod.rs`; all else asks with a `GVNContext`). Which are still found depends on
//! their hashes, so on every number in the function: also on those that have slots. As long as
//! the table does not grow, what it finds depends on equality alone.
//!
//! Cranelift does not say whether the table grew. The allocator can: it knows the sizes that the
//! table may have when it has grown. What it takes for one may be none, and the function then
//! goes without slots for nothing; a grown table that it overlooks there cannot be.

use cranelift_codegen::ir::{InstructionData, Type, Value};
use hashbrown::HashTable;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::OnceLock;

/// A global allocator that ibid can ask whether Cranelift made code that depends on more than
/// it should: address slots need it, see [`Options::address_slots`](crate::Options).
///
/// It hands everything on to the allocator inside, and compares two numbers first. To be
/// declared once, in the program:
///
/// ```
/// #[global_allocator]
/// static ALLOCATOR: ibid::Watched = ibid::Watched::system();
///
/// fn main() {}
/// ```
///
/// Thread-safe if the allocator inside is; it never panics and never allocates.
#[derive(Clone, Copy, Debug, Default)]
pub struct Watched<A = System>(A);

impl Watched {
    /// Watches the system's allocator.
    pub const fn system() -> Watched {
        Watched(System)
    }
}

impl<A> Watched<A> {
    /// Watches `allocator`.
    pub const fn new(allocator: A) -> Watched<A> {
        Watched(allocator)
    }
}

// SAFETY: all is done by the allocator inside, with the arguments as they are.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Watched<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        see(layout);
        // SAFETY: as the caller promises.
        unsafe { self.0.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { self.0.dealloc(pointer, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        see(layout);
        // SAFETY: as the caller promises.
        unsafe { self.0.alloc_zeroed(layout) }
    }

    /// Not watched: a hash table that grows is made anew.
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as the caller promises.
        unsafe { self.0.realloc(pointer, layout, size) }
    }
}

thread_local! {
    /// Buckets from which on a table is looked for; no table has so many when none is.
    static LEAST_BUCKETS: Cell<usize> = const { Cell::new(usize::MAX) };
    static SEEN: Cell<bool> = const { Cell::new(false) };
}

#[inline]
fn see(layout: Layout) {
    // Nearly nothing gets further than the first of these.
    if layout.align() >= TABLE_ALIGN
        && layout.size() / LEAST_BUCKET >= LEAST_BUCKETS.get()
        && may_be_table(layout.size(), LEAST_BUCKETS.get())
    {
        SEEN.set(true);
    }
}

/// Whether a table with `least` buckets, or twice that, and so on, may have `size` bytes: those
/// of its buckets, aligned, a byte for each, and a group's bytes (`TableLayout` in hashbrown's
/// `raw.rs`).
fn may_be_table(size: usize, least: usize) -> bool {
    let larger = |buckets: &usize| buckets.checked_mul(2);
    std::iter::successors(Some(least), larger)
        .take_while(|buckets| *buckets <= size / LEAST_BUCKET)
        .any(|buckets| {
            (LEAST_BUCKET..=MOST_BUCKET).any(|bucket| {
                let of_buckets = bucket.saturating_mul(buckets);
                let aligned = of_buckets.checked_next_multiple_of(TABLE_ALIGN);
                aligned.and_then(|bytes| bytes.checked_add(buckets + TABLE_ALIGN)) == Some(size)
            })
        })
}

/// Bytes that every table's memory is aligned to at least, `Group::WIDTH` of hashbrown: 16 with
/// SSE2, which every x86-64 processor has; 8 elsewhere, of what has 64 bits.
const TABLE_ALIGN: usize = if cfg!(all(target_arch = "x86_64", not(miri))) {
    16
} else if cfg!(target_pointer_width = "64") {
    8
} else {
    4
};

/// Whether the program's allocator is a [`Watched`] one.
pub(crate) fn is_installed() -> bool {
    static INSTALLED: OnceLock<bool> = OnceLock::new();
    *INSTALLED.get_or_init(|| {
        // Or else the optimizer leaves the table out.
        let make = || std::hint::black_box(HashTable::<Bucket>::with_capacity(64));
        watch(make().num_buckets(), || drop(make())).1
    })
}

/// Runs `work`, and says whether the table that Cranelift makes for a function of at least
/// `values` values may have grown meanwhile, on this thread.
///
/// `remove_pure_and_optimize` in `cranelift-codegen/src/egraph/mod.rs` makes the table with room
/// for as many entries as the function then has values, which only become more. Nothing is ever
/// taken out of it, so it grows when it is full and not before; and then it has at least twice
/// as many buckets, in new memory (`reserve_rehash` in hashbrown's `raw.rs`).
pub(crate) fn table_growth<T>(values: usize, work: impl FnOnce() -> T) -> (T, bool) {
    let buckets = HashTable::<Bucket>::with_capacity(values).num_buckets();
    watch(2 * buckets, work)
}

/// Runs `work`, and says whether a table with `least` buckets or more may have been made.
fn watch<T>(least: usize, work: impl FnOnce() -> T) -> (T, bool) {
    /// The thread watches no more, also after a panic.
    struct Watching;
    impl Drop for Watching {
        fn drop(&mut self) {
            LEAST_BUCKETS.set(usize::MAX);
        }
    }
    SEEN.set(false);
    LEAST_BUCKETS.set(least);
    let watching = Watching;
    let done = work();
    drop(watching);
    (done, SEEN.get())
}

/// What Cranelift's table has for an entry: `BucketData` in `ctxhash.rs`, with `Val` of
/// `scoped_hash_map.rs`.
struct Bucket {
    _hash: u32,
    _key: (Type, InstructionData),
    _value: Option<Value>,
    _level: u32,
    _generation: u32,
}

/// However its fields are arranged, a bucket has not fewer bytes than all of them.
const LEAST_BUCKET: usize =
    3 * size_of::<u32>() + size_of::<(Type, InstructionData)>() + size_of::<Option<Value>>();

/// And not more padding than this, an alignment for each of the structures in one another.
const MOST_BUCKET: usize = LEAST_BUCKET + 3 * align_of::<u64>();

#[cfg(test)]
mod tests {
    use super::*;

    /// A table of hashbrown's is seen to grow, and not to be made, whatever its size.
    #[test]
    fn growth_is_seen() {
        assert!(is_installed());
        for values in (1..300).chain([1000, 5000, 100_000]) {
            let make = || HashTable::<Bucket>::with_capacity(values);
            let (mut table, seen) = table_growth(values, make);
            assert!(!seen, "{values}");
            let bucket = || Bucket {
                _hash: 0,
                _key: (
                    cranelift_codegen::ir::types::I32,
                    InstructionData::NullAry {
                        opcode: cranelift_codegen::ir::Opcode::Nop,
                    },
                ),
                _value: None,
                _level: 0,
                _generation: 0,
            };
            let mut fill = |count: usize| {
                for number in 0..count {
                    table.insert_unique(number as u64, bucket(), |_| 0);
                }
            };
            let room = make().capacity();
            assert!(!table_growth(values, || fill(room)).1, "{values}");
            assert!(table_growth(values, || fill(1)).1, "{values}");
        }
    }

    #[test]
    fn nothing_is_watched_after_a_panic() {
        let panicked = std::panic::catch_unwind(|| watch(1, || panic!()));
        assert!(panicked.is_err());
        assert_eq!(LEAST_BUCKETS.get(), usize::MAX);
    }
}
