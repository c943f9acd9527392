//! Bodies that keep their bytes but for the instructions that an edit concerns.

use std::convert::Infallible;
use wasm_encoder::Encode as _;
use wasm_encoder::reencode::{Error, Reencode};
use wasmparser::FunctionBody;

/// A [`Reencode`] that knows whether it changed something.
pub(super) trait Patch: Reencode<Error = Infallible> {
    /// Whether anything was changed since this was asked last.
    fn take_changed(&mut self) -> bool;
}

/// The bytes of `body` in which what `patch` changes is encoded anew, with `prefix` in front of
/// the first instruction.
pub(super) fn patched<P: Patch>(
    patch: &mut P,
    body: &FunctionBody<'_>,
    prefix: &[u8],
) -> Result<Vec<u8>, Error> {
    let (bytes, base) = (body.as_bytes(), body.range().start);
    let mut edited = Vec::with_capacity(bytes.len() + bytes.len() / 16 + prefix.len());
    let mut operators = body.get_operators_reader()?;
    let mut copied = operators.original_position() - base;

    patch.take_changed();
    let locals = patch.new_function_with_parsed_locals(body)?;
    if patch.take_changed() {
        edited.append(&mut locals.into_raw_body());
    } else {
        edited.extend_from_slice(&bytes[..copied]);
    }
    edited.extend_from_slice(prefix);
    while !operators.eof() {
        let start = operators.original_position() - base;
        let instruction = patch.instruction(operators.read()?)?;
        if patch.take_changed() {
            edited.extend_from_slice(&bytes[copied..start]);
            instruction.encode(&mut edited);
            copied = operators.original_position() - base;
        }
    }
    edited.extend_from_slice(&bytes[copied..]);
    Ok(edited)
}
