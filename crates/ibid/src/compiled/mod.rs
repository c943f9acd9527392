//! Compiled functions: as they are stored, and with parameters applied.
//!
//! # The bytes of a compiled stencil
//!
//! Flat arrays of little-endian 32-bit words, read in place:
//!
//! ```text
//! offset  field
//!  0      magic "ibF4"
//!  4      length of the code in bytes
//!  8      flags: bits 0-7 alignment of the code, as a power of two; bit 8 needs a GC
//!         heap; bit 9 has unwind information; bits 16-31 kind of the relocations
//! 12      number of calls
//! 16      number of calls of builtins
//! 20      number of traps, their length in bytes
//! 28      number of address map entries, their length in bytes
//! 36      words of stack maps
//! 40      number of call sites with exception handlers
//! 44      number of exception handlers
//! 48      length of the unwind entry in bytes
//! 52      number of holes
//! 56      number of other numbers
//! 60      code, padded to 4
//!         calls: offset in the code │ callee slot, each
//!         calls of builtins: offset in the code │ number of the builtin, each
//!         stack maps: offset in the code │ frame size │ n │ n frame offsets, each
//!         call sites: return address │ frame offset │ number of handlers, each
//!         handlers: tag │ context │ offset in the code, each
//!         holes: offset in the code │ four times the slot, and the kind │ addend, each
//!         other numbers that the code holds
//!         unwind entry, padded to 4
//!         traps, address map; both together padded to 4
//! ```
//!
//! A hole is four bytes of the code that hold the sum of a slot's value and the addend, which
//! is signed. Its kind is 0 for an address slot, 1 for one of which the code holds 2^32 less the
//! sum, and 2 for a place slot. Addresses must not make two numbers of the code equal that are
//! not: neither two holes of different slots or addends, nor a hole and one of the other
//! numbers, which are the magnitudes of 1,024 and more of immediates and displacements, sorted.
//! Places are displacements, which the compiler does not share.
//!
//! `u32::MAX` stands for "none" in frame offsets, tags and contexts. Traps and address
//! map are drawn in `compiled/entries.rs`. The kind of the relocations is 1 for `X86CallPCRel4`
//! (addend -4), 2 for `Arm64Call`, 3 for `RiscvCallPlt`, 4 for `S390xPLTRel32Dbl`
//! (addend 2), and 0 if there are none. The unwind entry is one frame description entry
//! of `.eh_frame` with its pointer to the common entry and its address left zero.

mod apply;
mod body_map;
mod entries;
mod harvest;
mod holes;
mod instance;
mod layout;

pub use apply::{ApplyError, Relocation, RelocationTarget};
pub(crate) use body_map::{BodyMap, write_body_map};
pub(crate) use entries::AddressMap;
pub(crate) use harvest::{Unstorable, harvest};
pub(crate) use holes::{Hole, HoleKind};
pub(crate) use layout::{Columns, Header, Layout, RelocationKind, Target};
#[cfg(test)]
pub(crate) use layout::{Parts, RelocationRecord};

use crate::bytes::Malformed;
use crate::stencil::FunctionParameters;
use layout::CODE;

/// A compiled function without its parameters: machine code with holes, relocations
/// against slots, relative source locations, traps, stack maps, unwind and exception
/// data. This is what is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stencil {
    bytes: Vec<u8>,
}

/// A compiled function with its parameters applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Final {
    bytes: Vec<u8>,
    parameters: FunctionParameters,
}

/// A compiled function, [with](Final) or [without](Stencil) its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompiledFunction<State> {
    state: State,
}

impl CompiledFunction<Stencil> {
    /// Reads a compiled stencil back from bytes that
    /// [`as_bytes`](CompiledFunction::as_bytes) gave.
    ///
    /// # Errors
    ///
    /// [`Malformed`] when the bytes are not a compiled stencil of this release's
    /// format. Bytes that were changed may still read as one: a store keeps a
    /// checksum.
    pub fn from_bytes(bytes: impl Into<Vec<u8>>) -> Result<Self, Malformed> {
        let bytes = bytes.into();
        Layout::read(&bytes)?.check()?;
        Ok(CompiledFunction {
            state: Stencil { bytes },
        })
    }

    /// The stored form, as [the module's documentation](self) draws it.
    pub fn as_bytes(&self) -> &[u8] {
        &self.state.bytes
    }

    /// Applies `parameters`.
    ///
    /// # Errors
    ///
    /// [`ApplyError`] when the code refers to a slot that `parameters` does not have: these
    /// are not the parameters of a function with this stencil. Also when the addresses do
    /// not go into this code: two of them have become equal, or one is what the code holds
    /// for another reason. Such a function has to be split [without address
    /// slots](crate::Functions::split).
    pub fn apply(
        &self,
        parameters: &FunctionParameters,
    ) -> Result<CompiledFunction<Final>, ApplyError> {
        let layout = self.layout();
        apply::check(&layout, parameters)?;
        let mut bytes = self.state.bytes.clone();
        let code = &mut bytes[CODE..CODE + layout.code.len()];
        let value = |hole| parameters.value(hole);
        layout.fill(code, value).map_err(|_| ApplyError)?;
        Ok(CompiledFunction {
            state: Final {
                bytes,
                parameters: parameters.clone(),
            },
        })
    }

    /// The machine code, with holes where relocations apply.
    pub fn code(&self) -> &[u8] {
        self.layout().code
    }

    fn layout(&self) -> Layout<'_> {
        Layout::read(&self.state.bytes).expect("checked when it was made")
    }
}

impl CompiledFunction<Final> {
    /// The machine code; calls are holes that [`relocations`](Self::relocations) fill
    /// when the function is placed.
    pub fn code(&self) -> &[u8] {
        self.layout().code
    }

    /// Where the code refers to other functions, in order of their place.
    pub fn relocations(&self) -> impl Iterator<Item = Relocation> {
        let parameters = &self.state.parameters;
        let layout = self.layout();
        let kind = layout.kind;
        layout.relocations().map(move |record| {
            let kind = kind.expect("code with relocations has a kind");
            apply::relocation(kind, record, parameters).expect("checked when it was made")
        })
    }

    /// The address map: offsets in the code, in bytes, and the offset in the input,
    /// in bytes, of the operator that the code from there on belongs to (`None`: to
    /// none).
    pub fn address_map(&self) -> impl Iterator<Item = (u32, Option<u32>)> {
        let parameters = &self.state.parameters;
        self.layout().address_map.iter().map(|entry| {
            let (offset, location) = entry.expect("checked when it was made");
            (offset, parameters.source_offset(location))
        })
    }

    fn layout(&self) -> Layout<'_> {
        Layout::read(&self.state.bytes).expect("checked when it was made")
    }
}
