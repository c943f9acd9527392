//! A component that changes: its modules, how they are linked, what its trampolines do.

use super::Case;
use crate::configuration::Configuration;
use crate::linked::Linked;
use crate::tally::Tally;

/// How often one component changes.
const EDITS: usize = 5;

/// Runs the case that `data` stands for.
///
/// # Panics
///
/// Panics if the oracle disagrees, or a component that was seen before is not found.
pub fn target(data: &[u8]) {
    run(data);
}

pub(super) fn run(data: &[u8]) -> Tally {
    let (mut case, module) = Case::of(data);
    let configuration = if case.random.one_in(4) {
        Configuration::common(&mut case.random)
    } else {
        Configuration::default()
    };
    let mut config = configuration.config();
    config.wasm_component_model_async(true);
    let oracle = crate::Oracle::with(&config);
    let mut linked = Linked::random(&mut case.random, module);
    let original = linked.wasm();
    let valid = case.check(&oracle, &original).is_some();
    for _ in 0..EDITS {
        linked.edit(&mut case.random);
        let edited = linked.wasm();
        case.check(&oracle, &edited);
    }
    if valid {
        let report = case.check(&oracle, &original);
        let report = report.expect("what was compiled before is compiled again");
        let compiled = report.functions.compiled + report.trampolines.compiled;
        assert_eq!(compiled, 0, "what was seen before: {report:?}");
    }
    case.tally
}
