//! A module as a list of sections, each of them bytes.

use anyhow::{Context, Result};
use std::borrow::Cow;
use wasm_encoder::{Encode as _, Module, RawSection, Section, SectionId};
use wasmparser::{BinaryReader, CodeSectionReader, FunctionBody, Parser, Payload, TypeRef};

/// The sections of a module, in order, without their headers.
pub(super) struct Sections<'w>(Vec<(u8, Cow<'w, [u8]>)>);

impl<'w> Sections<'w> {
    pub(super) fn read(wasm: &'w [u8]) -> Result<Self> {
        let mut sections = Vec::new();
        for payload in Parser::new(0).parse_all(wasm) {
            if let Some((id, range)) = payload?.as_section() {
                sections.push((id, Cow::Borrowed(&wasm[range])));
            }
        }
        Ok(Sections(sections))
    }

    /// The content of a section; of the first one if there are several.
    pub(super) fn get(&self, id: SectionId) -> Option<&[u8]> {
        let (_, content) = self.0.iter().find(|(other, _)| *other == id as u8)?;
        Some(content)
    }

    /// The section's number of items and the bytes of these.
    pub(super) fn items(&self, id: SectionId) -> Result<(u32, &[u8])> {
        let content = self
            .get(id)
            .with_context(|| format!("the module has no {id:?} section"))?;
        let mut reader = BinaryReader::new(content, 0);
        let count = reader.read_var_u32()?;
        Ok((count, &content[reader.original_position()..]))
    }

    /// The bodies of the functions that the module defines.
    pub(super) fn bodies(&self) -> Result<Vec<FunctionBody<'_>>> {
        let content = self
            .get(SectionId::Code)
            .context("the module defines no functions")?;
        let reader = CodeSectionReader::new(BinaryReader::new(content, 0))?;
        Ok(reader.into_iter().collect::<Result<_, _>>()?)
    }

    /// Puts `items` in the place of the section's items.
    pub(super) fn set_items(&mut self, id: SectionId, count: u32, items: &[u8]) {
        let mut content = Vec::with_capacity(items.len() + 5);
        count.encode(&mut content);
        content.extend_from_slice(items);
        self.set(id as u8, content);
    }

    /// Puts `section` in the place of the one of its kind.
    pub(super) fn set_section(&mut self, section: &impl Section) {
        let mut bytes = Vec::new();
        section.encode(&mut bytes);
        let start = {
            let mut length = BinaryReader::new(&bytes, 0);
            length.read_var_u32().expect("a section has a length");
            length.original_position()
        };
        self.set(section.id(), bytes.split_off(start));
    }

    fn set(&mut self, id: u8, content: Vec<u8>) {
        let section = self.0.iter_mut().find(|(other, _)| *other == id);
        section.expect("the section was read").1 = Cow::Owned(content);
    }

    /// The module.
    pub(super) fn finish(&self) -> Vec<u8> {
        let mut module = Module::new();
        for (id, data) in &self.0 {
            module.section(&RawSection { id: *id, data });
        }
        module.finish()
    }
}

/// How many functions the module imports; these come first.
pub(super) fn imported_functions(wasm: &[u8]) -> Result<u32> {
    let mut functions = 0;
    for payload in Parser::new(0).parse_all(wasm) {
        if let Payload::ImportSection(imports) = payload? {
            for import in imports.into_imports() {
                let ty = import?.ty;
                functions += u32::from(matches!(ty, TypeRef::Func(_) | TypeRef::FuncExact(_)));
            }
        }
    }
    Ok(functions)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_module::{FUNCTIONS, test_module};

    #[test]
    fn what_is_not_changed_stays() {
        let wasm = test_module();
        assert_eq!(Sections::read(&wasm).unwrap().finish(), wasm);
    }

    #[test]
    fn items_are_counted_and_replaced() {
        let wasm = test_module();
        let mut sections = Sections::read(&wasm).unwrap();
        let (count, items) = sections.items(SectionId::Function).unwrap();
        let items = items.to_vec();
        assert_eq!(u64::from(count), FUNCTIONS);
        assert_eq!(sections.bodies().unwrap().len(), count as usize);
        sections.set_items(SectionId::Function, count, &items);
        assert_eq!(sections.finish(), wasm);
    }
}
