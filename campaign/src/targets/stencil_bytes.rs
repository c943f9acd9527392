//! Damaged entries: misses, never a panic, never a wrong artifact.

use super::{Case, from_store};
use crate::configuration::Configuration;
use crate::oracle::Oracle;
use crate::random::Random;
use crate::store::OpenStore;
use crate::tally::Tally;
use ibid::{CompiledFunction, FunctionParameters};

/// Runs the case that `data` stands for.
///
/// # Panics
///
/// Panics if damage was not missed, or the oracle disagrees.
pub fn target(data: &[u8]) {
    run(data);
}

pub(super) fn run(data: &[u8]) -> Tally {
    let (mut case, module) = Case::of(data);
    bytes(data);
    let wasm = match module {
        Some(wasm) if !case.random.one_in(8) => wasm,
        _ => wat::parse_str(crate::RICH).expect("it is well-formed"),
    };
    let whole_artifacts = case.random.one_in(2);
    let oracle = Configuration::common(&mut case.random).oracle(whole_artifacts);
    // Until the store has every kind of entry.
    for _ in 0..3 {
        if case.check(&oracle, &wasm).is_none() {
            return case.tally;
        }
    }
    let intact = oracle.store.entries().clone();

    // Some.
    for one_in in [2, 8] {
        case.tally.tampered += oracle.store.damage(&mut case.random, one_in);
        case.check(&oracle, &wasm);
        oracle.store.entries().clone_from(&intact);
    }
    // All, and then nothing is found; but what was damaged has been replaced.
    case.tally.tampered += damage_all(&mut case.random, &oracle.store);
    let report = case.check(&oracle, &wasm).expect("it was compiled before");
    assert_eq!(from_store(&report), 0, "damaged entries found: {report:?}");
    assert!(!report.whole_artifact, "a damaged artifact found");
    let report = case.check(&oracle, &wasm).expect("it was compiled before");
    assert_eq!(report.functions.compiled, 0, "not replaced: {report:?}");

    // Entries that are no accident, but made by somebody. Such a one can plant what artifact they
    // like (SECURITY.md); that there is no panic is all that there is to ask.
    oracle.store.entries().clone_from(&intact);
    for one_in in [1, 4] {
        case.tally.tampered += oracle.store.forge(&mut case.random, one_in);
        drop(oracle.compiler.compile(&wasm));
        oracle.store.entries().clone_from(&intact);
    }
    stencils(&mut case.random, &oracle, &wasm);
    case.tally
}

/// Damages every entry.
fn damage_all(random: &mut Random, store: &OpenStore) -> u64 {
    let intact = store.entries().clone();
    store.damage(random, 1);
    let mut entries = store.entries();
    for (key, value) in entries.iter_mut() {
        // Some ways to lose a value leave some values as they are.
        if *value == intact[key] {
            value.push(0);
        }
    }
    entries.len() as u64
}

/// Arbitrary bytes as a compiled stencil.
fn bytes(data: &[u8]) {
    let parameters = FunctionParameters::default();
    for bytes in [data.to_vec(), [b"ibF2", data].concat()] {
        use_up(bytes, &parameters);
    }
}

/// Compiled stencils of the module, damaged, with parameters that fit or do not.
fn stencils(random: &mut Random, oracle: &Oracle<OpenStore>, wasm: &[u8]) {
    let functions = oracle.compiler.functions(wasm).expect("it is valid");
    let mut all = Vec::new();
    for index in functions.indices() {
        let (_, parameters) = functions.split(index).expect("a valid body can be split");
        all.push((index, parameters));
    }
    for (index, parameters) in &all {
        let Ok(code) = functions.compile(*index, parameters) else {
            continue;
        };
        let (_, others) = random.pick(&all);
        use_up(code.as_bytes().to_vec(), others);
        for _ in 0..8 {
            let mut bytes = code.as_bytes().to_vec();
            for _ in 0..=random.below(3) {
                let at = random.below(bytes.len());
                bytes[at] = *random.pick(&[0, 1, 0x7f, 0x80, 0xff, bytes[at] ^ 0x10]);
            }
            if random.one_in(4) {
                bytes.truncate(random.below(bytes.len()));
            }
            use_up(bytes, parameters);
        }
    }
}

/// Reads all that there is to read of what may be a compiled stencil.
fn use_up(bytes: Vec<u8>, parameters: &FunctionParameters) {
    let Ok(stencil) = CompiledFunction::from_bytes(bytes) else {
        return;
    };
    let _ = stencil.code().len();
    if let Ok(done) = stencil.apply(parameters) {
        let relocations = done.relocations().count();
        let locations = done.address_map().count();
        assert!(relocations + locations <= stencil.as_bytes().len());
    }
}
