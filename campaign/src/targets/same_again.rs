//! A module, compiled, and compiled again: nothing is compiled the second time.

use super::Case;
use crate::configuration::Configuration;
use crate::oracle::compiled;
use crate::tally::Tally;

/// Runs the case that `data` stands for.
///
/// # Panics
///
/// Panics if anything was compiled again, or the oracle disagrees.
pub fn target(data: &[u8]) {
    run(data);
}

pub(super) fn run(data: &[u8]) -> Tally {
    let (mut case, module) = Case::of(data);
    let Some(wasm) = module else {
        return case.tally;
    };
    let configuration = Configuration::common(&mut case.random);

    // Functions are looked at, the second time by their exact bodies; and the third time by
    // their stencils.
    let oracle = configuration.oracle(false);
    if case.check(&oracle, &wasm).is_none() {
        return case.tally;
    }
    for forgotten in [b'-', b'b'] {
        oracle.store.forget_kind(forgotten);
        let again = case.check(&oracle, &wasm).expect("it was compiled before");
        assert_eq!(compiled(&again), (0, 0), "compiled again: {again:?}");
    }
    // By Cranelift's own keys, which are not the same every time.
    for forgotten in [b'b', b's'] {
        oracle.store.forget_kind(forgotten);
    }
    case.check(&oracle, &wasm);

    // The whole artifact is kept from the second sight on, and found from the third.
    let oracle = configuration.oracle(true);
    for sight in 1..=4 {
        let report = case.check(&oracle, &wasm).expect("it was compiled before");
        assert_eq!(report.whole_artifact, sight > 2, "sight {sight}");
    }
    case.tally
}
