//! Changes of modules.
//!
//! | module | what it changes | the result |
//! |---|---|---|
//! | [`items`] | the items of sections, as bytes | valid or not |
//! | [`moves`] | where things are, and nothing else | as valid as before |
//! | [`surroundings`] | what is around bodies that stay | valid or not |
//! | [`mutate`] | anything, by `wasm-mutate` | valid as a rule |

pub mod items;
pub mod moves;
pub mod surroundings;

use crate::random::Random;
use wasm_mutate::WasmMutate;

/// One of the mutations of `wasm-mutate`, of a module that is valid; `None` if it finds none.
pub fn mutate(random: &mut Random, wasm: &[u8]) -> Option<Vec<u8>> {
    let mut mutate = WasmMutate::default();
    mutate.seed(random.number()).fuel(200);
    mutate.run(wasm).ok()?.next()?.ok()
}
