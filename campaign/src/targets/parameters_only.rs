//! A module whose things move: every function that stays is found.

use super::Case;
use crate::configuration::Configuration;
use crate::edits::moves::{Moved, moved};
use crate::oracle::Oracle;
use crate::store::OpenStore;
use crate::tally::Tally;
use ibid::StencilKey;
use std::collections::BTreeMap;

/// Runs the case that `data` stands for.
///
/// # Panics
///
/// Panics if a function that stays is not found, or the oracle disagrees.
pub fn target(data: &[u8]) {
    run(data);
}

pub(super) fn run(data: &[u8]) -> Tally {
    let (mut case, module) = Case::of(data);
    let Some(wasm) = module else {
        return case.tally;
    };
    let oracle = Configuration::common(&mut case.random).oracle(false);
    if wasmtime::Module::validate(&oracle.engine, &wasm).is_err() {
        return case.tally;
    }
    let mut wasm = wasm;
    for _ in 0..3 {
        let Some(moved) = moved(&mut case.random, &wasm) else {
            return case.tally;
        };
        check(&mut case, &oracle, &moved);
        wasm = moved.after;
    }
    case.tally
}

fn check(case: &mut Case, oracle: &Oracle<OpenStore>, moved: &Moved) {
    oracle.store.forget();
    let Some(_) = case.check(oracle, &moved.before) else {
        return;
    };
    let report = case.check(oracle, &moved.after);
    let report = report.expect("what was compiled before is, after things moved");

    // Whether the module has a startup function is one of the types that all of them are.
    if has_startup(oracle, &moved.before) != has_startup(oracle, &moved.after) {
        case.tally.exempt += moved.functions.len() as u64;
        return;
    }
    let exempt = moved.exempt();
    case.tally.exempt += exempt.len() as u64;
    let (before, after) = (keys(oracle, &moved.before), keys(oracle, &moved.after));
    for (old, new) in &moved.functions {
        let Some(new) = new.filter(|_| !exempt.contains(old)) else {
            continue;
        };
        assert_eq!(
            before[old], after[&new],
            "function {old}, now {new}, has another key"
        );
    }
    let most = (moved.inserted + exempt.len()) as u64;
    assert!(
        report.functions.compiled <= most,
        "more than {most} functions compiled: {report:?}"
    );
}

fn keys(oracle: &Oracle<OpenStore>, wasm: &[u8]) -> BTreeMap<u32, StencilKey> {
    let functions = oracle.compiler.functions(wasm).expect("it is valid");
    let keys = functions.indices().map(|index| {
        let (stencil, _) = functions.split(index).expect("a valid body can be split");
        (index, functions.key(&stencil))
    });
    keys.collect()
}

fn has_startup(oracle: &Oracle<OpenStore>, wasm: &[u8]) -> bool {
    let artifact = oracle.engine.precompile_module(wasm).expect("it is valid");
    let name = b"module_start[0]";
    artifact.windows(name.len()).any(|bytes| bytes == name)
}
