//! A component that changes: its modules, how they are linked, what its trampolines do; and now
//! and then the component that a random world asks for, as the reference tools make it.

use super::Case;
use crate::configuration::Configuration;
use crate::linked::{self, Linked};
use crate::oracle::Oracle;
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
    let oracle = Oracle::with(&config);
    if case.random.one_in(8) {
        worlds(&mut case, &oracle);
    }
    let mut linked = Linked::random(&mut case.random, module);
    let original = linked.wasm();
    let valid = case.check(&oracle, &original).is_some();
    for _ in 0..EDITS {
        linked.edit(&mut case.random);
        let edited = linked.wasm();
        case.check(&oracle, &edited);
    }
    seen_before(&mut case, &oracle, &original, valid);
    case.tally
}

/// Components of a random world, and of the same with another function.
fn worlds(case: &mut Case, oracle: &Oracle) {
    let mut functions: Vec<String> = Vec::new();
    for _ in 0..3 {
        for _ in 0..1 + case.random.below(3) {
            let direction = *case.random.pick(&["import", "export"]);
            let function = linked::wit_function(&mut case.random);
            functions.push(format!("{direction} f{}: {function};", functions.len()));
        }
        let wit = format!("package a:b; world w {{ {} }}", functions.join(" "));
        let component = ibid_components::of_dummy(&wit, "w").expect("the world is one");
        let valid = case.check(oracle, &component).is_some();
        seen_before(case, oracle, &component, valid);
    }
}

/// Nothing of a component that was seen, and is `valid`, is compiled again.
fn seen_before(case: &mut Case, oracle: &Oracle, component: &[u8], valid: bool) {
    if valid {
        let report = case.check(oracle, component);
        let report = report.expect("what was compiled before is compiled again");
        let compiled = report.functions.compiled + report.trampolines.compiled;
        assert_eq!(compiled, 0, "what was seen before: {report:?}");
    }
}
