//! Edits: one function type more.

use super::patch::{Patch, patched};
use super::sections::Sections;
use anyhow::{Context, Result};
use std::convert::Infallible;
use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_encoder::{CodeSection, Encode as _, SectionId, TypeSection, ValType};
use wasmparser::{
    BinaryReader, CompositeInnerType, FuncType, FunctionBody, Parser, TypeSectionReader,
};

/// Adds a function type that the module does not have at the end of its types. No index changes.
///
/// # Errors
///
/// If the module cannot be read or has no types.
pub fn append_type(wasm: &[u8], variant: u32) -> Result<Vec<u8>> {
    let mut sections = Sections::read(wasm)?;
    let (count, items) = sections.items(SectionId::Type)?;
    let mut items = items.to_vec();
    let parameters = new_parameters(&sections, variant)?;
    items.push(0x60);
    for types in [&parameters[..], &[ValType::F32]] {
        types.len().encode(&mut items);
        types.iter().for_each(|ty| ty.encode(&mut items));
    }
    sections.set_items(SectionId::Type, count + 1, &items);
    Ok(sections.finish())
}

/// Adds a function type that the module does not have in front of all its types, and renumbers
/// all that names a type.
///
/// # Errors
///
/// If the module cannot be read or has no types.
pub fn prepend_type(wasm: &[u8], variant: u32) -> Result<Vec<u8>> {
    let parameters = new_parameters(&Sections::read(wasm)?, variant)?;
    let mut module = wasm_encoder::Module::new();
    Prepend {
        parameters,
        changed: false,
    }
    .parse_core_module(&mut module, Parser::new(0), wasm)?;
    Ok(module.finish())
}

/// The parameters of a function type with the result `f32` that the module does not have.
fn new_parameters(sections: &Sections<'_>, variant: u32) -> Result<Vec<ValType>> {
    let content = sections
        .get(SectionId::Type)
        .context("the module has no types")?;
    let mut known = Vec::new();
    for group in TypeSectionReader::new(BinaryReader::new(content, 0))? {
        for ty in group?.types() {
            if let CompositeInnerType::Func(function) = &ty.composite_type.inner {
                known.push(function.clone());
            }
        }
    }
    let new = (0..)
        .map(pattern)
        .filter(|parameters| !known.contains(&function_type(parameters)))
        .nth(variant as usize);
    Ok(new.expect("there is no end of patterns"))
}

/// The binary digits of a number, as types.
fn pattern(number: u64) -> Vec<ValType> {
    let digits = (u64::BITS - number.leading_zeros()).max(12);
    (0..digits)
        .map(|digit| match number >> digit & 1 {
            0 => ValType::I64,
            _ => ValType::F64,
        })
        .collect()
}

fn function_type(parameters: &[ValType]) -> FuncType {
    let parameters = parameters.iter().map(|ty| match ty {
        ValType::F64 => wasmparser::ValType::F64,
        _ => wasmparser::ValType::I64,
    });
    FuncType::new(parameters, [wasmparser::ValType::F32])
}

struct Prepend {
    parameters: Vec<ValType>,
    changed: bool,
}

impl Reencode for Prepend {
    type Error = Infallible;

    fn type_index(&mut self, index: u32) -> Result<u32, Error> {
        self.changed = true;
        Ok(index + 1)
    }

    fn parse_type_section(
        &mut self,
        types: &mut TypeSection,
        section: TypeSectionReader<'_>,
    ) -> Result<(), Error> {
        types
            .ty()
            .function(self.parameters.iter().copied(), [ValType::F32]);
        utils::parse_type_section(self, types, section)
    }

    fn parse_function_body(
        &mut self,
        code: &mut CodeSection,
        body: FunctionBody<'_>,
    ) -> Result<(), Error> {
        code.raw(&patched(self, &body, &[])?);
        Ok(())
    }
}

impl Patch for Prepend {
    fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_module::{binary, test_module};
    use wasmtime::{Engine, Instance, Module, Store};

    #[test]
    fn every_pattern_is_another_type() {
        let mut patterns: Vec<_> = (0..10_000).map(pattern).collect();
        patterns.sort_by_key(|types| format!("{types:?}"));
        let all = patterns.len();
        patterns.dedup();
        assert_eq!(patterns.len(), all);
    }

    #[test]
    fn a_type_that_is_there_is_not_added_again() {
        let once = append_type(&test_module(), 0).unwrap();
        let twice = append_type(&once, 0).unwrap();
        assert_ne!(once, twice);
        let last = |wasm: &[u8]| {
            let sections = Sections::read(wasm).unwrap();
            let (_, items) = sections.items(SectionId::Type).unwrap();
            items[items.len() - 16..].to_vec()
        };
        assert_ne!(last(&once), last(&twice));
        assert_eq!(last(&twice), last(&append_type(&test_module(), 1).unwrap()));
    }

    /// Names types in every way that functions can: block types, indirect calls, references,
    /// locals, and allocations.
    #[test]
    fn every_index_of_a_type_moves() {
        let wasm = binary(
            r#"(module
                (type $pair (struct (field i32) (field i32)))
                (type $binary (func (param i32 i32) (result i32)))
                (type $list (array (mut i32)))
                (table funcref (elem $add))
                (func $add (type $binary) (i32.add (local.get 0) (local.get 1)))
                (func (export "f") (result i32)
                    (local $p (ref null $pair)) (local $l (ref null $list))
                    (local.set $p (struct.new $pair (i32.const 3) (i32.const 4)))
                    (local.set $l (array.new $list (i32.const 5) (i32.const 6)))
                    (struct.get $pair 0 (local.get $p))
                    (array.get $list (local.get $l) (i32.const 1))
                    (block (type $binary) (i32.mul))
                    (i32.const 7)
                    (call_indirect (type $binary) (i32.const 0))))"#,
        );
        let edited = prepend_type(&wasm, 0).unwrap();
        let engine = Engine::default();
        for wasm in [&wasm, &edited] {
            let module = Module::new(&engine, wasm).unwrap();
            let mut store = Store::new(&engine, ());
            let instance = Instance::new(&mut store, &module, &[]).unwrap();
            let f = instance.get_typed_func::<(), i32>(&mut store, "f").unwrap();
            assert_eq!(f.call(&mut store, ()).unwrap(), 22);
        }
    }
}
