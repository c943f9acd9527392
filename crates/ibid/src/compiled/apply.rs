//! Fix-ups: what a function's parameters put into the holes of its stencil.

use super::layout::{Layout, RelocationKind, RelocationRecord, Target};
use crate::stencil::FunctionParameters;

/// The parameters are not those of a function with this stencil.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the code refers to a slot that the parameters do not have, or cannot hold an address")]
pub struct ApplyError;

/// A reference from a function's code to another function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relocation {
    /// Offset of the hole in the code, in bytes.
    pub offset: u32,
    /// How the hole is filled.
    pub kind: cranelift_codegen::binemit::Reloc,
    /// The function that is referred to.
    pub target: RelocationTarget,
    /// Added to the target's address.
    pub addend: i64,
}

/// The function that a relocation refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelocationTarget {
    /// A function of the module, by its index (imports included).
    Function(u32),
    /// The module's startup function.
    Startup,
    /// The trampoline of one of Wasmtime's builtin functions, by the builtin's number.
    Builtin(u32),
}

/// Whether every slot of the stencil has a value in `parameters`.
pub(super) fn check(
    layout: &Layout<'_>,
    parameters: &FunctionParameters,
) -> Result<(), ApplyError> {
    let slots = parameters.callees.len() as u32;
    let calls_fit = layout.calls.records().all(|[_, slot]| slot < slots);
    if calls_fit && layout.fits(|hole| parameters.value(hole)) {
        Ok(())
    } else {
        Err(ApplyError)
    }
}

pub(super) fn relocation(
    kind: RelocationKind,
    record: RelocationRecord,
    parameters: &FunctionParameters,
) -> Result<Relocation, ApplyError> {
    Ok(Relocation {
        offset: record.offset,
        kind: kind.reloc(),
        target: match record.target {
            Target::Slot(slot) => match *parameters.callees.get(slot as usize).ok_or(ApplyError)? {
                FunctionParameters::WASM_CALL => RelocationTarget::Startup,
                index => RelocationTarget::Function(index),
            },
            Target::Builtin(builtin) => RelocationTarget::Builtin(builtin),
        },
        addend: kind.addend(),
    })
}
