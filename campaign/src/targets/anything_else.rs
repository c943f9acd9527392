//! A module that changes in any way, over a store that knows what it was: no wrong hit.

use super::Case;
use crate::configuration::Configuration;
use crate::edits::items::Items;
use crate::edits::mutate;
use crate::edits::surroundings::Surroundings;
use crate::oracle::Oracle;
use crate::random::Random;
use crate::store::OpenStore;
use crate::tally::Tally;

/// Runs the case that `data` stands for.
///
/// # Panics
///
/// Panics if the oracle disagrees.
pub fn target(data: &[u8]) {
    run(data);
}

pub(super) fn run(data: &[u8]) -> Tally {
    let (mut case, module) = Case::of(data);
    let oracle = Configuration::common(&mut case.random).oracle(false);
    match (case.random.below(10), module) {
        (0..5, Some(wasm)) => edited(&mut case, &oracle, &wasm),
        (5, _) => {
            let wasm = wat::parse_str(crate::RICH).expect("it is well-formed");
            edited(&mut case, &oracle, &wasm);
        }
        (6, Some(wasm)) => mutated(&mut case, &oracle, wasm),
        _ => surrounded(&mut case, &oracle),
    }
    case.tally
}

/// How many changes of one module are tried.
const CHANGES: usize = 8;

/// How many edits of one module are tried.
const EDITS: usize = 20;

/// Our own edits: mostly of one and the same module, so that the results differ in little.
fn edited(case: &mut Case, oracle: &Oracle<OpenStore>, wasm: &[u8]) {
    case.check(oracle, wasm);
    let Some(original) = Items::read(wasm) else {
        return;
    };
    let mut items = original.clone();
    for _ in 0..EDITS {
        if case.random.one_in(2) {
            items = original.clone();
        }
        let before = items.clone();
        for _ in 0..=case.random.below(2) {
            items.edit(&mut case.random);
        }
        // An edit is invalid more often than not, and from an invalid module on nearly all that
        // follows is.
        let wasm = items.write();
        let valid = wasmtime::Module::validate(&oracle.engine, &wasm).is_ok();
        if valid || case.random.one_in(3) {
            case.check(oracle, &wasm);
        }
        if !valid && !case.random.one_in(8) {
            items = before;
        }
    }
}

/// Mutations upon mutations, as long as they are valid.
fn mutated(case: &mut Case, oracle: &Oracle<OpenStore>, mut wasm: Vec<u8>) {
    if case.check(oracle, &wasm).is_none() {
        return;
    }
    for _ in 0..CHANGES {
        if let Some(mutated) = mutate(&mut case.random, &wasm)
            && case.check(oracle, &mutated).is_some()
        {
            wasm = mutated;
        }
    }
}

/// The same bodies in surroundings that change. Those that are valid share a module; of those
/// that are not, each is tried alone, for it was compiled before if it was valid before.
fn surrounded(case: &mut Case, oracle: &Oracle<OpenStore>) {
    let valid = |wasm: &[u8]| wasmtime::Module::validate(&oracle.engine, wasm).is_ok();
    let mut around = Surroundings::any(&mut case.random, valid);
    // More than there is room for: many are invalid.
    let bodies = Surroundings::bodies(&mut case.random, 40);
    for _ in 0..CHANGES {
        let (good, bad) = sort(&around, &bodies, valid);
        for wasm in take(&mut case.random, &bad, 3) {
            case.check(oracle, wasm);
        }
        if let Ok(wasm) = wat::parse_str(around.text(&good)) {
            case.check(oracle, &wasm);
        }
        around = around.changed(&mut case.random, valid);
    }
}

/// The bodies that are valid in these surroundings, and a module of each one that is not.
fn sort<'b>(
    around: &Surroundings,
    bodies: &[&'b str],
    valid: impl Fn(&[u8]) -> bool,
) -> (Vec<&'b str>, Vec<Vec<u8>>) {
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for body in bodies {
        match wat::parse_str(around.text(&[body])) {
            Ok(wasm) if valid(&wasm) => good.push(*body),
            Ok(wasm) => bad.push(wasm),
            Err(_) => {}
        }
    }
    (good, bad)
}

fn take<'l, T>(random: &mut Random, list: &'l [T], most: usize) -> &'l [T] {
    let start = random.below(list.len());
    &list[start..list.len().min(start + most)]
}
