//! A module whose things move: every function that stays is found.

use super::Case;
use crate::configuration::Configuration;
use crate::edits::moves::{Moved, moved};
use crate::oracle::Oracle;
use crate::store::OpenStore;
use crate::tally::Tally;
use ibid::FunctionStencil;
use std::collections::BTreeMap;
use wasmtime::Engine;

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
    let before = stencils(oracle, &moved.before);
    let after = stencils(oracle, &moved.after);
    for (old, new) in &moved.functions {
        let Some(new) = new.filter(|_| !exempt.contains(old)) else {
            continue;
        };
        let (before, after) = (&before[old], &after[&new]);
        assert_eq!(
            before.body(),
            after.body(),
            "the stencil's body of function {old}, now {new}"
        );
        assert_eq!(
            before.facts(),
            after.facts(),
            "the facts of function {old}, now {new}, whose stencil's body is {:02x?}",
            before.body()
        );
    }
    let most = (moved.inserted + exempt.len()) as u64;
    assert!(
        report.functions.compiled <= most,
        "more than {most} functions compiled: {report:?}"
    );
}

fn stencils(oracle: &Oracle<OpenStore>, wasm: &[u8]) -> BTreeMap<u32, FunctionStencil> {
    let functions = oracle.compiler.functions(wasm).expect("it is valid");
    let stencils = functions.indices().map(|index| {
        let (stencil, _) = functions.split(index).expect("a valid body can be split");
        (index, stencil)
    });
    stencils.collect()
}

/// Read off the symbols, which the engine itself may be set to leave out.
fn has_startup(oracle: &Oracle<OpenStore>, wasm: &[u8]) -> bool {
    let mut config = oracle.engine.config().clone();
    config.debug_symbols(true);
    let engine = Engine::new(&config).expect("the configuration is sound");
    let artifact = engine.precompile_module(wasm).expect("it is valid");
    let name = b"module_start[0]";
    artifact.windows(name.len()).any(|bytes| bytes == name)
}
