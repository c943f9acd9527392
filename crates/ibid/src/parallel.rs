//! Running over many items at once, where the engine would.

use rayon::prelude::*;
use std::cmp::Ordering;

/// `f` of every item, in their order; in parallel on rayon's current pool if
/// `parallel`, as `Engine::run_maybe_parallel` of Wasmtime does.
///
/// `state` makes the working memory that consecutive calls on one thread share.
pub(crate) fn map<T: Send, S: Send, R: Send>(
    parallel: bool,
    items: Vec<T>,
    state: impl Fn() -> S + Send + Sync,
    f: impl Fn(&mut S, T) -> R + Send + Sync,
) -> Vec<R> {
    if parallel && items.len() > 1 {
        items.into_par_iter().map_init(state, f).collect()
    } else {
        let mut state = state();
        items.into_iter().map(|item| f(&mut state, item)).collect()
    }
}

/// The same where one item may take as long as many others: whoever is free takes the next one,
/// so that the first are begun first, and nobody waits long at the end if those were the longest.
/// The results are in the order in which they were ready.
pub(crate) fn map_each<T: Send, R: Send>(
    parallel: bool,
    items: Vec<T>,
    f: impl Fn(T) -> R + Send + Sync,
) -> Vec<R> {
    if parallel && items.len() > 1 {
        items.into_iter().par_bridge().map(f).collect()
    } else {
        items.into_iter().map(f).collect()
    }
}

/// Both results; at once if `parallel`.
pub(crate) fn join<A: Send, B: Send>(
    parallel: bool,
    a: impl FnOnce() -> A + Send,
    b: impl FnOnce() -> B + Send,
) -> (A, B) {
    if parallel {
        rayon::join(a, b)
    } else {
        (a(), b())
    }
}

/// Both results: `elsewhere` on another thread if `parallel`, and `here` on this one in the
/// meantime.
pub(crate) fn beside<A: Send, B>(
    parallel: bool,
    elsewhere: impl FnOnce() -> A + Send,
    here: impl FnOnce() -> B,
) -> (A, B) {
    if !parallel {
        return (elsewhere(), here());
    }
    let mut there = None;
    let here = rayon::in_place_scope(|scope| {
        scope.spawn(|_| there = Some(elsewhere()));
        here()
    });
    (there.expect("the scope has waited for it"), here)
}

/// Bytes that one task copies.
const COPIED_AT_ONCE: usize = 1 << 20;

/// A copy of `bytes`. Most of what that costs is the new memory, which each thread gets its
/// share of if `parallel`.
pub(crate) fn copy(parallel: bool, bytes: &[u8]) -> Vec<u8> {
    let mut copy = vec![0; bytes.len()];
    let pieces = copy.chunks_mut(COPIED_AT_ONCE);
    let pieces = pieces.zip(bytes.chunks(COPIED_AT_ONCE)).collect();
    map(
        parallel,
        pieces,
        || (),
        |(), (to, from): (&mut [u8], &[u8])| to.copy_from_slice(from),
    );
    copy
}

/// Takes `bytes` into `hasher`.
pub(crate) fn hash(parallel: bool, hasher: &mut blake3::Hasher, bytes: &[u8]) {
    if parallel {
        hasher.update_rayon(bytes);
    } else {
        hasher.update(bytes);
    }
}

/// Sorts `items`, of which no two are equal.
pub(crate) fn sort<T: Send>(
    parallel: bool,
    items: &mut [T],
    compare: impl Fn(&T, &T) -> Ordering + Sync,
) {
    if parallel {
        items.par_sort_unstable_by(compare);
    } else {
        items.sort_unstable_by(compare);
    }
}
