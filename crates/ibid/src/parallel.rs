//! Running over many items at once, where the engine would.

use rayon::prelude::*;

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
    if parallel {
        items.into_par_iter().map_init(state, f).collect()
    } else {
        let mut state = state();
        items.into_iter().map(|item| f(&mut state, item)).collect()
    }
}
