//! Modules of any size: the functions of one, several times over.

use super::patch::{Patch, patched};
use super::sections::{Sections, imported_functions};
use anyhow::{Result, ensure};
use std::convert::Infallible;
use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_encoder::{Encode as _, Instruction, SectionId};
use wasmparser::{BinaryReader, FunctionSectionReader, Operator};

/// Repeats functions of the module until it has `bytes` bytes at least. A module that is as large
/// already stays what it is.
///
/// # Errors
///
/// Those of [`repeat_functions`].
pub fn grow(wasm: &[u8], bytes: usize) -> Result<Vec<u8>> {
    let sections = Sections::read(wasm)?;
    let bodies = sections.bodies()?;
    ensure!(!bodies.is_empty(), "the module defines no functions");
    let mut size = wasm.len();
    let mut copies = 0;
    for body in bodies.iter().cycle() {
        if size >= bytes {
            break;
        }
        // The body, its length, and its type.
        size += body.as_bytes().len() + 2;
        copies += 1;
    }
    repeat_functions(wasm, copies)
}

/// Adds `copies` functions: copies of those that the module defines, in their order, over and
/// over, that call one another as the originals do.
///
/// A copy begins with a constant that is dropped, another one in every turn. So no two have the
/// same stencil, though their machine code is nearly the same.
///
/// # Errors
///
/// If the module cannot be read or defines no functions.
pub fn repeat_functions(wasm: &[u8], copies: u32) -> Result<Vec<u8>> {
    let first = imported_functions(wasm)?;
    let mut sections = Sections::read(wasm)?;
    let originals = sections.bodies()?;
    ensure!(!originals.is_empty(), "the module defines no functions");
    let defined = originals.len() as u32;
    let (_, types) = sections.items(SectionId::Function)?;
    let (_, code) = sections.items(SectionId::Code)?;
    let mut functions = types.to_vec();
    let mut bodies = code.to_vec();

    let types = FunctionSectionReader::new(BinaryReader::new(
        sections.get(SectionId::Function).unwrap_or_default(),
        0,
    ))?;
    let types: Vec<u32> = types.into_iter().collect::<Result<_, _>>()?;
    let originals_with_types = originals.iter().zip(&types).cycle();
    for (copy, (body, ty)) in (0..copies).zip(originals_with_types) {
        let turn = 1 + copy / defined;
        let mut calls = Calls {
            first,
            distance: turn * defined,
            end: first + defined + copies,
            changed: false,
        };
        let mut prefix = Vec::new();
        Instruction::I32Const(turn as i32).encode(&mut prefix);
        Instruction::Drop.encode(&mut prefix);
        patched(&mut calls, body, &prefix)?.encode(&mut bodies);
        ty.encode(&mut functions);
    }
    let count = defined + copies;
    sections.set_items(SectionId::Function, count, &functions);
    sections.set_items(SectionId::Code, count, &bodies);
    Ok(sections.finish())
}

/// Has a copy's calls go to copies.
struct Calls {
    /// The index of the first function that is not imported.
    first: u32,
    /// How far the copies of this turn are from the originals.
    distance: u32,
    /// The index behind the last copy.
    end: u32,
    changed: bool,
}

impl Reencode for Calls {
    type Error = Infallible;

    fn function_index(&mut self, index: u32) -> Result<u32, Error> {
        let copy = index + self.distance;
        // The last turn may be a part of one.
        if index < self.first || copy >= self.end {
            return Ok(index);
        }
        self.changed = true;
        Ok(copy)
    }

    fn instruction<'a>(&mut self, operator: Operator<'a>) -> Result<Instruction<'a>, Error> {
        match operator {
            // Only the originals are declared as ones that references are taken of.
            Operator::RefFunc { function_index } => Ok(Instruction::RefFunc(function_index)),
            operator => utils::instruction(self, operator),
        }
    }
}

impl Patch for Calls {
    fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_module::test_module;
    use ibid::{Compiler, MemoryStore};
    use wasmtime::{Engine, Module};

    #[test]
    fn copies_are_valid_and_have_stencils_of_their_own() {
        let engine = Engine::default();
        let wasm = test_module();
        let compiler = Compiler::new(&engine, MemoryStore::new());
        let compiled = |wasm: &[u8]| {
            let compilation = compiler.compile(wasm).unwrap();
            compilation.store().functions
        };
        let once = compiled(&wasm);
        // Two turns and a part of a third.
        let copies = 2 * once.total + 7;
        let repeated = repeat_functions(&wasm, copies as u32).unwrap();
        Module::validate(&engine, &repeated).unwrap();
        let all = compiled(&repeated);
        assert_eq!(all.total, once.total + copies);
        assert_eq!(all.compiled, copies);
    }

    #[test]
    fn a_module_grows_to_a_size() {
        let wasm = test_module();
        assert_eq!(grow(&wasm, 0).unwrap(), wasm);
        let grown = grow(&wasm, 10 * wasm.len()).unwrap();
        assert!((10 * wasm.len()..11 * wasm.len()).contains(&grown.len()));
    }
}
