//! The padded module: the one at hand with more imported functions before all others, so that
//! nearly everything that its instances hold lies elsewhere.
//!
//! A function that reaches something in the instance is compiled as one of the padded module.
//! Where its code then holds an offset of there, the module's own belongs
//! ([`crate::compiled`]). Function indices in bodies are larger by [`PADDING`]; all else that a
//! body can name is the same, which is checked.

use crate::fingerprint::EngineCompiler;
use crate::module::{OwnedModule, ParsedModule, Source};
use std::convert::Infallible;
use wasm_encoder::reencode::{Error, Reencode};
use wasm_encoder::{
    CodeSection, DataSection, EntityType, Function, ImportSection, Module, SectionId,
};

/// How many functions the padded module imports before those of the module at hand. With 32
/// bytes for each, what lies behind is further away than anything that code reaches in
/// Wasmtime's own structures: of these the array of builtins is the largest. More would do as
/// well, and take longer to parse.
pub(crate) const PADDING: u32 = 67;

/// A padded module, parsed.
pub(crate) struct Padded(OwnedModule);

impl Padded {
    /// Pads `module`. `None` if it has no function, there is no room for so many imports, or
    /// the padded module turns out to differ in more.
    pub(crate) fn of(engine: &EngineCompiler, module: &ParsedModule<'_>) -> Option<Padded> {
        let wasm = encode(engine, module)?;
        let padded = ParsedModule::parse_owned(engine, wasm).ok()?;
        let same = padded
            .borrow_dependent()
            .facts
            .is_behind(PADDING, &module.facts);
        same.then_some(Padded(padded))
    }

    pub(crate) fn source(&self) -> Source<'_> {
        Source::of(self.0.borrow_dependent())
    }
}

/// The padded module's bytes. Its functions have no code and its memories no data: these are not
/// looked at.
fn encode(engine: &EngineCompiler, module: &ParsedModule<'_>) -> Option<Vec<u8>> {
    let mut parser = wasmparser::Parser::new(0);
    parser.set_features(engine.features);
    let mut padding = Padding {
        ty: module.first_function_type()?,
        done: false,
    };
    let mut out = Module::new();
    padding
        .parse_core_module(&mut out, parser, module.translation.wasm)
        .ok()?;
    Some(out.finish())
}

struct Padding {
    /// The type index of the functions that are imported.
    ty: u32,
    /// They are in the module.
    done: bool,
}

impl Padding {
    fn import(&mut self, imports: &mut ImportSection) {
        for _ in 0..PADDING {
            imports.import("", "", EntityType::Function(self.ty));
        }
        self.done = true;
    }
}

type Encoded<T = ()> = Result<T, Error<Infallible>>;

impl Reencode for Padding {
    type Error = Infallible;

    fn function_index(&mut self, index: u32) -> Encoded<u32> {
        Ok(index.saturating_add(PADDING))
    }

    fn parse_import_section(
        &mut self,
        imports: &mut ImportSection,
        section: wasmparser::ImportSectionReader<'_>,
    ) -> Encoded {
        self.import(imports);
        wasm_encoder::reencode::utils::parse_import_section(self, imports, section)
    }

    /// Without a section for imports there has to be one before the first that follows it.
    fn intersperse_section_hook(
        &mut self,
        module: &mut Module,
        _after: Option<SectionId>,
        before: Option<SectionId>,
    ) -> Encoded {
        if !self.done && !matches!(before, Some(SectionId::Type | SectionId::Import)) {
            let mut imports = ImportSection::new();
            self.import(&mut imports);
            module.section(&imports);
        }
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        code: &mut CodeSection,
        section: wasmparser::CodeSectionReader<'_>,
    ) -> Encoded {
        let mut body = Function::new([]);
        body.instructions().unreachable().end();
        for _ in 0..section.count() {
            code.function(&body);
        }
        Ok(())
    }

    fn data_count(&mut self, _: u32) -> Encoded<u32> {
        Ok(0)
    }

    fn parse_data_section(
        &mut self,
        _: &mut DataSection,
        _: wasmparser::DataSectionReader<'_>,
    ) -> Encoded {
        Ok(())
    }

    fn parse_custom_section(
        &mut self,
        _: &mut Module,
        _: wasmparser::CustomSectionReader<'_>,
    ) -> Encoded {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stencil::Entity;

    fn engine() -> EngineCompiler {
        EngineCompiler::of(&wasmtime::Engine::default(), true)
            .unwrap_or_else(|reason| panic!("{}", reason.0))
    }

    #[test]
    fn everything_behind_the_memories_is_further_away() {
        let engine = engine();
        for (text, entity) in [
            ("(import \"\" \"\" (func))", Entity::Function(0)),
            ("(import \"\" \"\" (table 1 funcref))", Entity::Table(0)),
            ("(import \"\" \"\" (global i32))", Entity::Global(0)),
            ("(table 1 funcref)", Entity::Table(0)),
            ("(global (mut i32) (i32.const 0))", Entity::Global(0)),
        ] {
            let wasm = format!(
                "(module (type (func)) {text} (memory 1) (func $f) (func $s (export \"s\"))
                   (start $s) (elem declare func $f) (data (i32.const 0) \"data\"))"
            );
            let wasm = wat::parse_str(wasm).unwrap();
            let module = ParsedModule::parse(&engine, &wasm).unwrap();
            let padded = Padded::of(&engine, &module).unwrap();
            let there = padded.source().facts.place(entity.behind(PADDING));
            let here = module.facts.place(entity);
            assert_eq!(there.offset, here.offset + 32 * PADDING, "{text}");
            assert_eq!(there.size, here.size);
            assert!(padded.source().facts.moved_places().contains(&there.offset));
        }
    }

    #[test]
    fn without_functions_there_is_none() {
        let engine = engine();
        let wasm = wat::parse_str("(module (import \"\" \"\" (func)))").unwrap();
        let module = ParsedModule::parse(&engine, &wasm).unwrap();
        assert!(Padded::of(&engine, &module).is_none());
    }
}
