//! The padded module: the one at hand with more imported functions before all others, so that
//! nearly everything that its instances hold lies elsewhere.
//!
//! A function that reaches something in the instance is compiled as one of the padded module.
//! Where its code then holds an offset of there, the module's own belongs
//! ([`crate::compiled`]). Function indices in bodies are larger by [`PADDING`]; all else that a
//! body can name is the same, which is checked.

use crate::fingerprint::EngineCompiler;
use crate::module::{ParsedModule, Source};
use crate::program::Program;
use std::convert::Infallible;
use wasm_encoder::reencode::{Error, Reencode};
use wasm_encoder::{
    CodeSection, CompositeInnerType, CompositeType, DataSection, EntityType, FuncType, Function,
    ImportSection, Module, RefType, SectionId, SubType, TypeSection, ValType,
};
use wasmtime_environ::{FuncIndex, ModuleTranslation, WasmHeapType, WasmRefType, WasmValType};

/// How many functions the padded module imports before those of the module at hand. With 32
/// bytes for each, what lies behind is further away than anything that code reaches in
/// Wasmtime's own structures: of these the array of builtins is the largest. More would do as
/// well, and take longer to parse.
pub(crate) const PADDING: u32 = 67;

/// A padded module, parsed.
pub(crate) struct Padded(OwnedProgram);

self_cell::self_cell!(
    struct OwnedProgram {
        owner: Vec<u8>,
        #[covariant]
        dependent: Program,
    }
);

impl Padded {
    /// Pads `module`. `None` if it has no function, there is no room for so many imports, or
    /// the padded module turns out to differ in more.
    pub(crate) fn of(engine: &EngineCompiler, source: &Source<'_>) -> Option<Padded> {
        let module = source.module();
        let wasm = encode(engine, module)?;
        let parse = |before: &[u8]| {
            let program = OwnedProgram::try_new(wasm.clone(), |wasm| {
                let number = module.number();
                let padded = |translation: &mut _| import_as(translation, module);
                Program::module_behind(engine, before, wasm, number, padded)
            });
            let padded = Padded(program.ok()?);
            let same = padded.source().facts.is_behind(PADDING, &module.facts);
            same.then_some(padded)
        };
        // Where other modules have types too, some may come before its own.
        parse(&[]).or_else(|| parse(&types_alone(source)?))
    }

    pub(crate) fn source(&self) -> Source<'_> {
        let program = self.0.borrow_dependent();
        Source::of(program.first(), program.types())
    }
}

/// What a component knows of the functions that `module` imports, of those of the padded
/// module.
fn import_as(padded: &mut ModuleTranslation<'_>, module: &ParsedModule<'_>) {
    for (index, known) in module.translation.known_imported_functions.iter() {
        let index = FuncIndex::from_u32(index.as_u32() + PADDING);
        padded.known_imported_functions[index].clone_from(known);
    }
}

/// A module that has all types around `source`, in their order, and nothing else. `None` if one
/// of them is no plain function type.
fn types_alone(source: &Source<'_>) -> Option<Vec<u8>> {
    let mut types = TypeSection::new();
    for (_, ty) in source.types.wasm_types() {
        if ty.supertype.is_some() || ty.composite_type.shared {
            return None;
        }
        let function = ty.as_func()?;
        let values = |types: &[WasmValType]| types.iter().map(value_type).collect::<Option<_>>();
        let function: [Vec<ValType>; 2] = [values(function.params())?, values(function.results())?];
        let [params, results] = function;
        types.ty().subtype(&SubType {
            is_final: ty.is_final,
            supertype_idx: None,
            composite_type: CompositeType {
                inner: CompositeInnerType::Func(FuncType::new(params, results)),
                shared: false,
                descriptor: None,
                describes: None,
            },
        });
    }
    let mut module = Module::new();
    module.section(&types);
    Some(module.finish())
}

/// `ty`, for a type that names no other.
fn value_type(ty: &WasmValType) -> Option<ValType> {
    Some(match ty {
        WasmValType::I32 => ValType::I32,
        WasmValType::I64 => ValType::I64,
        WasmValType::F32 => ValType::F32,
        WasmValType::F64 => ValType::F64,
        WasmValType::V128 => ValType::V128,
        WasmValType::Ref(WasmRefType {
            nullable,
            heap_type,
        }) => {
            let reference = match heap_type {
                WasmHeapType::Func => RefType::FUNCREF,
                WasmHeapType::Extern => RefType::EXTERNREF,
                _ => return None,
            };
            ValType::Ref(RefType {
                nullable: *nullable,
                ..reference
            })
        }
    })
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
            let program = Program::module(&engine, &wasm).unwrap();
            let module = program.first();
            let padded = Padded::of(&engine, &Source::of(module, program.types())).unwrap();
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
        let program = Program::module(&engine, &wasm).unwrap();
        let source = Source::of(program.first(), program.types());
        assert!(Padded::of(&engine, &source).is_none());
    }
}
