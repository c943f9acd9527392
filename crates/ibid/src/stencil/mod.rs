//! The split of a function into what decides its machine code and what does not.

mod addresses;
mod body;
mod facts;
mod key;
mod named;
mod operators;
mod parameters;
mod places;

pub(crate) use addresses::{AddressFacts, Class, Slots};
pub(crate) use body::{Addresses, Scratch, SplitBody, Substitute, split, substitutions};
pub(crate) use facts::{ModuleFacts, TypeFacts};
pub(crate) use key::Digest;
pub use key::StencilKey;
#[cfg(not(feature = "drop-facts"))]
pub(crate) use named::KeyFact;
pub(crate) use named::is_kept;
#[cfg(feature = "drop-facts")]
pub use named::{KeyFact, drop_fact};
pub(crate) use parameters::StoredParameters;
pub use parameters::{FunctionParameters, RelSourceLoc};
#[cfg(test)]
pub(crate) use places::Entity;
pub(crate) use places::{Place, SMALLEST_PLACE};

use crate::bytes::Writer;
use crate::fingerprint::Fingerprint;

/// All that a function's machine code depends on, and nothing else. Equal stencils
/// compile to equal code.
///
/// For a WebAssembly function it is the *stencil's body* — the function's bytes,
/// with every direct call's callee, every block's type index and every address that the use
/// analysis allows replaced by a slot, numbered by first appearance — and the *facts*: for
/// everything that the body refers to outside itself, what the translation reads about it, but
/// for where in the instance it lies if that is a slot too. Offsets in the stencil's body are the
/// coordinates of [`RelSourceLoc`].
///
/// For a trampoline the body is empty and the facts say which kind it is and the
/// signature that it adapts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FunctionStencil {
    pub(crate) kind: StencilKind,
    pub(crate) body: Vec<u8>,
    pub(crate) facts: Vec<u8>,
}

/// What a stencil compiles to; part of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum StencilKind {
    Function = 1,
    ArrayToWasm = 2,
    WasmToArray = 3,
    Startup = 4,
    StartupArrayCall = 5,
    Builtin = 6,
    ComponentTrampoline = 7,
    ComponentArrayCall = 8,
    Intrinsic = 9,
    ResourceDrop = 10,
}

impl FunctionStencil {
    pub(crate) fn trampoline(kind: StencilKind, facts: Writer) -> FunctionStencil {
        FunctionStencil {
            kind,
            body: Vec::new(),
            facts: facts.into_bytes(),
        }
    }

    /// The function's bytes with slots in place of callees and of blocks' types.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// What the translation reads about all that the body refers to, encoded.
    pub fn facts(&self) -> &[u8] {
        &self.facts
    }

    /// The key of this stencil for the compiler that `fingerprint` stands for.
    pub(crate) fn key(&self, fingerprint: &Fingerprint) -> StencilKey {
        key_of(fingerprint, self.kind, &self.body, &self.facts)
    }
}

/// The key of the stencil with these parts.
pub(crate) fn key_of(
    fingerprint: &Fingerprint,
    kind: StencilKind,
    body: &[u8],
    facts: &[u8],
) -> StencilKey {
    let mut hasher = fingerprint.hasher("stencil");
    hasher.update(&[kind as u8]);
    hasher.update(&(body.len() as u64).to_le_bytes());
    hasher.update(body);
    hasher.update(facts);
    StencilKey(*hasher.finalize().as_bytes())
}
