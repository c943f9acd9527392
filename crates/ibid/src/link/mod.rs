//! From functions to the artifact, section by section, in the order and with the
//! alignment that Wasmtime 48.0.8 gives them (`build_module_artifacts` in
//! `wasmtime/src/compile.rs` and `Compiler::append_code` in
//! `wasmtime-internal-cranelift/src/compiler.rs`).
//!
//! ```text
//! places of functions ─► address map, traps ─┐
//!                     ├► symbols            ─┼─► sizes ─► one buffer, filled at once
//!                     └► description        ─┘
//! ```
//!
//! What a store gave may be anything: nothing here panics on it.

mod blocks;
mod elf;
mod exceptions;
mod info;
mod stack_maps;
mod strings;
mod symbols;
mod text;
pub(crate) mod unwind;

use crate::bytes::Malformed;
use crate::compiled::{BodyMap, Layout};
use crate::fingerprint::EngineCompiler;
use crate::jobs::{Job, Names};
use crate::module::ParsedModule;
use crate::parallel;
use crate::stencil::StoredParameters;
use elf::Section;
use info::Info;
pub(crate) use info::SerializedTypes;
use symbols::Symbols;
use text::Text;
use unwind::UnwindSection;
use wasmtime_environ::component::ComponentTranslation;
use wasmtime_environ::error::Result;
use wasmtime_environ::{FuncKey, obj};

/// A function, ready to be placed.
#[derive(Clone, Copy)]
pub(crate) struct Linkable<'a> {
    pub(crate) key: FuncKey,
    pub(crate) job: Job,
    pub(crate) code: &'a Layout<'a>,
    pub(crate) parameters: StoredParameters<'a>,
    /// Its address map, where it is known as a whole.
    pub(crate) map: Option<BodyMap<'a>>,
}

impl Linkable<'_> {
    /// Fills the holes of `code`, which is a copy of this function's.
    fn fill_holes(&self, code: &mut [u8]) -> Result<(), Misfit> {
        Ok(self.code.fill(code, |hole| self.parameters.value(hole))?)
    }
}

/// Why there is no artifact.
#[derive(Debug)]
pub(crate) enum LinkError {
    /// Wasmtime's own error.
    Wasmtime(wasmtime::Error),
    /// The parts do not belong together.
    Misfit,
}

/// The parts do not belong together: code that refers to what is not there, or lists that
/// do not read. No store that keeps what it was given has such; or the artifact would be
/// beyond what the format can hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Misfit;

impl From<Malformed> for Misfit {
    fn from(_: Malformed) -> Misfit {
        Misfit
    }
}

impl From<Misfit> for LinkError {
    fn from(_: Misfit) -> LinkError {
        LinkError::Misfit
    }
}

/// What an artifact says of a program, besides its functions.
pub(crate) struct Described<'p> {
    /// The core modules, by number.
    pub(crate) modules: Vec<DescribedModule<'p>>,
    /// The component around them, if there is one.
    pub(crate) component: Option<&'p ComponentTranslation>,
    /// The whole input.
    pub(crate) input: &'p [u8],
}

/// A core module, and where its code section's contents begin in the input, in bytes.
pub(crate) struct DescribedModule<'p> {
    pub(crate) module: &'p ParsedModule<'p>,
    pub(crate) code_start: u64,
}

/// Makes the artifact of `program`, whose functions are `functions`, sorted by their key, and
/// whose types are `types`.
pub(crate) fn link(
    engine: &EngineCompiler,
    program: &Described<'_>,
    types: &SerializedTypes,
    functions: &[Linkable<'_>],
) -> Result<Vec<u8>, LinkError> {
    let (parallel, tunables) = (engine.parallel, &engine.tunables);
    let modules = program.modules.iter().map(|described| described.module);
    let text = Text::lay_out(engine, functions, modules.clone())?;
    let starts = &text.starts[..];

    let names = Names::new(modules, program.component);
    let ((address_map, traps), (symbols, info)) = parallel::join(
        parallel,
        || {
            let map = tunables
                .generate_address_map
                .then(|| blocks::address_map(parallel, functions, starts));
            (map, blocks::traps(parallel, functions, starts))
        },
        || {
            let symbols = if tunables.debug_symbols {
                Symbols::new(parallel, &names, functions, starts)
            } else {
                Symbols::none()
            };
            let info = Info::new(tunables, program, types, functions, starts);
            (symbols, info)
        },
    );
    let unwind = UnwindSection::lay_out(engine.compiler(), functions);

    let mut sections = vec![
        Section::bytes(obj::ELF_WASM_ENGINE, &engine.engine_section),
        Section::bytes(obj::ELF_WASM_BTI, &engine.bti_section),
    ];
    let text_section = sections.len();
    let page = engine.compiler().page_size_align();
    sections.push(Section::text(
        ".text",
        page,
        text.size,
        Box::new(|out| text.fill(parallel, functions, out)),
    ));
    if let Some(unwind) = &unwind {
        let size = text.size as u64;
        let fill = move |out: &mut [u8]| unwind.fill(functions, starts, size, out);
        sections.push(Section::data(".eh_frame", unwind.size, Box::new(fill)));
    }
    if let Some(map) = address_map {
        sections.push(Section::bytes(obj::ELF_WASMTIME_ADDRMAP, map?));
    }
    if let Some(maps) = stack_maps::section(functions, starts)? {
        sections.push(Section::bytes(obj::ELF_WASMTIME_STACK_MAP, maps));
    }
    sections.push(Section::bytes(obj::ELF_WASMTIME_TRAPS, traps?));
    let exceptions = exceptions::section(functions, starts)?;
    sections.push(Section::bytes(obj::ELF_WASMTIME_EXCEPTIONS, exceptions));
    sections.extend(info.map_err(LinkError::Wasmtime)?.sections());
    let header = &engine.file_header;
    Ok(elf::assemble(
        parallel,
        header,
        program.component.is_some(),
        sections,
        text_section,
        &symbols,
    )?)
}
