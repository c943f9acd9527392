//! Engines that share a store: none finds what another one made, unless they are the same to the
//! compiler.

use super::{Case, from_store};
use crate::configuration::Configuration;
use crate::oracle::Oracle;
use crate::store::OpenStore;
use crate::tally::Tally;
use ibid::Options;
use std::collections::BTreeSet;
use std::sync::Arc;
use wasmtime::Engine;

/// Runs the case that `data` stands for.
///
/// # Panics
///
/// Panics if an engine found another one's code, or the oracle disagrees.
pub fn target(data: &[u8]) {
    run(data);
}

pub(super) fn run(data: &[u8]) -> Tally {
    let (mut case, module) = Case::of(data);
    let wasm = match module {
        Some(wasm) if !case.random.one_in(4) => wasm,
        _ => wat::parse_str(crate::RICH).expect("it is well-formed"),
    };
    let store: Arc<OpenStore> = Arc::default();
    let mut seen = BTreeSet::new();
    let mut configuration = Configuration::any(&mut case.random);
    for _ in 0..4 {
        if let Ok(engine) = Engine::new(&configuration.config()) {
            let mut options = Options::default();
            options.whole_artifacts = case.random.one_in(2);
            let oracle = Oracle::of(&engine, store.clone(), options);
            engine_alone(&mut case, &oracle, &wasm, &mut seen);
        }
        configuration = configuration.neighbour(&mut case.random);
    }
    case.tally
}

/// What an engine says of itself in every artifact, and the one setting that decides something
/// and is not said there.
type Description = (Vec<u8>, u64);

/// Compiles twice with one engine.
fn engine_alone(
    case: &mut Case,
    oracle: &Oracle<OpenStore>,
    wasm: &[u8],
    seen: &mut BTreeSet<Description>,
) {
    let empty = b"\0asm\x01\0\0\0";
    let Ok(empty) = oracle.engine.precompile_module(empty) else {
        return;
    };
    let images = oracle.engine.get_memory_guaranteed_dense_image_size();
    let new = seen.insert((empty, images));
    if let Some(report) = case.check(oracle, wasm)
        && new
    {
        assert_eq!(from_store(&report), 0, "another engine's code: {report:?}");
        assert!(!report.whole_artifact, "another engine's artifact");
    }
    if let Some(report) = case.check(oracle, wasm) {
        assert_eq!(report.functions.compiled, 0, "compiled again: {report:?}");
    }
}
