//! A program whose static data moves, and what it names in the instance: what is found has the
//! right addresses and places.

use super::Case;
use crate::addresses::{Program, Surroundings};
use crate::configuration::Configuration;
use crate::tally::Tally;

/// How often the addresses or the places of one program move.
const MOVES: usize = 6;

/// Runs the case that `data` stands for.
///
/// # Panics
///
/// Panics if the oracle disagrees.
pub fn target(data: &[u8]) {
    run(data);
}

pub(super) fn run(data: &[u8]) -> Tally {
    let (mut case, _) = Case::of(data);
    let oracle = if case.random.one_in(4) {
        Configuration::common(&mut case.random).oracle(false)
    } else {
        Configuration::default().oracle(false)
    };
    let count = 1 + case.random.below(6);
    let program = Program::new(&mut case.random, count);
    let mut addresses = program.addresses(&mut case.random, count);
    let mut surroundings = Surroundings::random(&mut case.random);
    for _ in 0..MOVES {
        case.check(&oracle, &program.module(&addresses, surroundings));
        let what = case.random.below(4);
        if what != 0 {
            addresses = program.moved(&mut case.random, &addresses);
        }
        if what <= 1 {
            surroundings = Surroundings::random(&mut case.random);
        }
    }
    case.tally
}
