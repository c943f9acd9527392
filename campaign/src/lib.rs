//! The oracle, and the campaign of random modules against it.
//!
//! ibid promises the artifact that Wasmtime makes, byte for byte, whatever its store
//! holds. [`Oracle`] checks that promise for one input after another, and every test,
//! fuzz target and benchmark asks it. [`targets`] make the inputs: random modules,
//! edits of them, random engines and damaged stores.
//!
//! A target is a function of some bytes, so that a fuzzer, a bounded test and a long
//! run without a fuzzer can all drive it:
//!
//! ```
//! use ibid_campaign::{Random, targets};
//!
//! let target = targets::find("same_again").expect("it is one of the targets");
//! let tally = (target.run)(&Random::new(7).case());
//! assert_eq!(tally.cases, 1);
//! ```
//!
//! Same bytes, same case: a target holds no state that a case can see.

mod addresses;
mod aside;
mod configuration;
pub mod edits;
mod generate;
mod linked;
mod oracle;
mod random;
mod rich;
mod store;
mod tally;
pub mod targets;

pub use aside::{directory, write_aside};
pub use configuration::Configuration;
pub use generate::module;
pub use oracle::{Difference, Disagreement, Oracle, Outcome, agree, compiled, difference, message};
pub use random::Random;
pub use rich::RICH;
pub use store::{OpenStore, kind};
pub use tally::Tally;

#[global_allocator]
static ALLOCATOR: ibid::Watched = ibid::Watched::system();
