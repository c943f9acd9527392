//! From functions to the artifact, section by section, in the order and with the
//! alignment that Wasmtime 48.0.8 gives them (`build_module_artifacts` in
//! `wasmtime/src/compile.rs` and `Compiler::append_code` in
//! `wasmtime-internal-cranelift/src/compiler.rs`).

mod exceptions;
mod functions;
mod metadata;
mod text;
pub(crate) mod unwind;

use crate::compiled::Layout;
use crate::fingerprint::EngineCompiler;
use crate::stencil::FunctionParameters;
use object::SectionKind;
use object::write::{Object, StandardSegment};
use wasmtime_environ::error::Result;
use wasmtime_environ::{
    FilePos, FinishedObject, FuncKey, FunctionLoc, ModuleTranslation, ModuleTypesBuilder,
    ObjectBuilder, ObjectKind, obj,
};

/// A function, ready to be placed.
pub(crate) struct Linkable<'a> {
    pub(crate) key: FuncKey,
    /// Its symbol's name, when the artifact has symbols.
    pub(crate) symbol: Option<String>,
    pub(crate) code: Layout<'a>,
    pub(crate) parameters: &'a FunctionParameters,
}

impl Linkable<'_> {
    /// The offset of the body in the input, for functions that have one.
    fn source(&self) -> FilePos {
        self.parameters
            .base_source_offset()
            .map_or_else(FilePos::none, FilePos::new)
    }
}

/// Makes the artifact of the module `translation`, whose functions are `functions`,
/// sorted by their key.
///
/// # Errors
///
/// Fails where Wasmtime's own link does: sections beyond 4 GiB.
pub(crate) fn link(
    engine: &EngineCompiler,
    translation: ModuleTranslation<'_>,
    types: ModuleTypesBuilder,
    functions: &[Linkable<'_>],
) -> Result<Vec<u8>> {
    let mut object = engine.compiler().object(ObjectKind::Module)?;
    engine_sections(&mut object, engine);
    let imported = translation.module.num_imported_funcs as u32;
    let places = text::append(&mut object, engine, functions, imported);
    metadata::append(&mut object, engine, functions, &places);
    exceptions::append(&mut object, functions, &places);
    let table = functions::table(functions, &places);
    let mut object = ObjectBuilder::new(object, &engine.tunables);
    let info = object.append(translation)?;
    object.serialize_info(&(&info, &table, &types.finish()));
    Vec::<u8>::finish_object(object, &())
}

/// `.wasmtime.engine` and `.wasmtime.bti`, which are the same for every module of an
/// engine (`Engine::append_compiler_info`, `Engine::append_bti`).
fn engine_sections(object: &mut Object<'static>, engine: &EngineCompiler) {
    let section = data_section(object, obj::ELF_WASM_ENGINE);
    object.set_section_data(section, engine.engine_section.clone(), 1);
    let section = data_section(object, obj::ELF_WASM_BTI);
    object.append_section_data(section, &engine.bti_section, 1);
}

fn data_section(object: &mut Object<'static>, name: &str) -> object::write::SectionId {
    let segment = object.segment_name(StandardSegment::Data).to_vec();
    object.add_section(segment, name.as_bytes().to_vec(), SectionKind::ReadOnlyData)
}

/// Where a function lies in the text section.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    start: u64,
    length: u64,
}

impl Place {
    fn range(self) -> std::ops::Range<u64> {
        self.start..self.start + self.length
    }

    fn location(self) -> FunctionLoc {
        FunctionLoc {
            start: u32::try_from(self.start).expect("a text section is smaller than 4 GiB"),
            length: u32::try_from(self.length).expect("a function is smaller than 4 GiB"),
        }
    }
}
