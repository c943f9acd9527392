//! Edits of a component: of the largest core module in it.

use anyhow::{Context, Result};
use std::convert::Infallible;
use wasm_encoder::reencode::{Error, Reencode, ReencodeComponent};
use wasm_encoder::{Component, ComponentSectionId, RawSection};
use wasmparser::{Parser, Payload};

/// The component `wasm` with its largest core module as `edit` makes it.
pub(super) fn edited(wasm: &[u8], edit: impl FnOnce(&[u8]) -> Result<Vec<u8>>) -> Result<Vec<u8>> {
    let (number, module) = largest(wasm)?.context("the component has no core module")?;
    let mut replacement = Replacement {
        number,
        module: edit(module)?,
        seen: 0,
    };
    let mut component = Component::new();
    replacement.parse_component(&mut component, Parser::new(0), wasm)?;
    Ok(component.finish())
}

/// The largest core module, and how many begin before it.
fn largest(wasm: &[u8]) -> Result<Option<(usize, &[u8])>> {
    let mut modules = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        if let Payload::ModuleSection {
            unchecked_range, ..
        } = payload?
        {
            modules.push(&wasm[unchecked_range]);
        }
    }
    let modules = modules.into_iter().enumerate();
    Ok(modules.max_by_key(|(_, module)| module.len()))
}

struct Replacement {
    number: usize,
    module: Vec<u8>,
    seen: usize,
}

impl Reencode for Replacement {
    type Error = Infallible;
}

impl ReencodeComponent for Replacement {
    fn parse_component_submodule(
        &mut self,
        component: &mut Component,
        _parser: Parser,
        module: &[u8],
    ) -> Result<(), Error> {
        let replaced = self.seen == self.number;
        self.seen += 1;
        component.section(&RawSection {
            id: ComponentSectionId::CoreModule.into(),
            data: if replaced { &self.module } else { module },
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Edit;
    use wasmtime::Engine;
    use wasmtime::component::Component;

    #[test]
    fn the_largest_module_is_edited() {
        let text = "(component
          (core module (func))
          (component (core module (func (export \"f\") (result i32) (i32.add (i32.const 7) (i32.const 8)))))
          (core module (func)))";
        let original = wat::parse_str(text).unwrap();
        let edited = Edit::Constant.apply(&original, 1).unwrap();
        assert_ne!(edited, original);
        Component::new(&Engine::default(), &edited).unwrap();
        let more = Edit::FunctionAtFront.apply(&original, 1).unwrap();
        Component::new(&Engine::default(), &more).unwrap();
        assert!(Edit::Import.apply(&original, 1).is_err());
    }
}
