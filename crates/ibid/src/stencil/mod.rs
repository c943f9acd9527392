//! The split of a function into what decides its machine code and what does not.

mod addresses;
mod body;
mod facts;
mod key;
mod named;
mod operators;
mod parameters;
mod places;
mod records;

pub(crate) use addresses::{AddressFacts, Class, Decision, Slots};
pub(crate) use body::{
    Addresses, Fact, Scratch, Shape, SplitBody, Substitute, shape, substitutions,
};
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
pub(crate) use records::{Record, records};

use crate::bytes::Writer;
use crate::fingerprint::Fingerprint;

/// All that a function's machine code depends on, and nothing else. Equal stencils
/// compile to equal code.
///
/// For a WebAssembly function it is the *stencil's body* — the function's bytes,
/// with every direct call's callee and every block's type index replaced by a slot, numbered by
/// first appearance, and every constant that may be an address by zeros — and the *facts*: for
/// everything that the body refers to outside itself, what the translation reads about it, but
/// for where in the instance it lies if that is a slot too; and for each such constant the slot
/// that the use analysis allows, or its number. Offsets in the stencil's body are the
/// coordinates of [`RelSourceLoc`].
///
/// For a trampoline the body is empty and the facts say which kind it is and the
/// signature that it adapts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FunctionStencil {
    kind: StencilKind,
    body: Vec<u8>,
    facts: Vec<u8>,
    /// Facts from here on say which constants and places are slots.
    decided: usize,
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
    fn new(kind: StencilKind, body: Vec<u8>, mut facts: Vec<u8>, decided: &[u8]) -> Self {
        let shape = facts.len();
        facts.extend_from_slice(decided);
        FunctionStencil {
            kind,
            body,
            facts,
            decided: shape,
        }
    }

    pub(crate) fn trampoline(kind: StencilKind, facts: Writer) -> FunctionStencil {
        FunctionStencil::new(kind, Vec::new(), facts.into_bytes(), &[])
    }

    /// The function's bytes with slots in place of callees and of blocks' types, and zeros where
    /// constants may be addresses.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// What the translation reads about all that the body refers to, and which of the constants
    /// are addresses, encoded.
    pub fn facts(&self) -> &[u8] {
        &self.facts
    }

    /// The key of this stencil for the compiler that `fingerprint` stands for.
    pub(crate) fn key(&self, fingerprint: &Fingerprint) -> StencilKey {
        let (facts, decided) = self.facts.split_at(self.decided);
        let shape = ShapeKey::of(fingerprint, self.kind, &self.body, facts);
        shape.stencil(fingerprint, decided)
    }
}

/// The digest of a stencil but for which constants and places are slots.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ShapeKey([u8; 32]);

impl ShapeKey {
    /// That of a function.
    pub(crate) fn of_function(fingerprint: &Fingerprint, shape: &Shape) -> ShapeKey {
        ShapeKey::of(
            fingerprint,
            StencilKind::Function,
            &shape.body,
            &shape.facts,
        )
    }

    fn of(fingerprint: &Fingerprint, kind: StencilKind, body: &[u8], facts: &[u8]) -> ShapeKey {
        let mut hasher = fingerprint.hasher("shape");
        hasher.update(&[kind as u8]);
        hasher.update(&(body.len() as u64).to_le_bytes());
        hasher.update(body);
        hasher.update(facts);
        ShapeKey(*hasher.finalize().as_bytes())
    }

    /// The key of the stencil with this shape of which `decided` says what is a slot.
    pub(crate) fn stencil(&self, fingerprint: &Fingerprint, decided: &[u8]) -> StencilKey {
        let mut hasher = fingerprint.hasher("stencil");
        hasher.update(&self.0);
        hasher.update(decided);
        StencilKey(*hasher.finalize().as_bytes())
    }

    /// The key of what is on record of how slots were found, where `memories` is what the module
    /// says of its memories.
    pub(crate) fn record(&self, fingerprint: &Fingerprint, memories: &Digest) -> [u8; 32] {
        let mut hasher = fingerprint.hasher("record");
        hasher.update(&self.0);
        hasher.update(&memories.0);
        *hasher.finalize().as_bytes()
    }
}
