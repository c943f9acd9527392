//! What the runtime reads of a program: its description, data, names, debug information
//! (`ObjectBuilder::append` in `wasmtime-environ` 48.0.8).

use super::elf::Section;
use super::{Described, DescribedModule, Linkable};
use serde::Serialize;
use std::ops::Range;
use wasmtime_environ::component::{ComponentTypes, TypeComponentIndex};
use wasmtime_environ::error::{Result, format_err};
use wasmtime_environ::{
    CompiledFunctionsTable, CompiledFunctionsTableBuilder, DebugInfoData, FilePos, FuncIndex,
    FunctionLoc, FunctionName, Metadata, Module, ModuleTypes, Tunables, WasmChecksum, obj,
};

/// [`CompiledModuleInfo`](wasmtime_environ::CompiledModuleInfo) with a module that is
/// somebody else's; serialized it is the same.
#[derive(Serialize)]
struct ModuleInfo<'m> {
    module: &'m Module,
    meta: Metadata,
    func_names: Vec<FunctionName>,
    checksum: WasmChecksum,
}

/// A program's types, as they are written into the artifact.
pub(crate) struct SerializedTypes {
    /// The number of the component's own type; nothing for a module.
    component: Vec<u8>,
    all: Vec<u8>,
}

impl SerializedTypes {
    pub(crate) fn of_module(types: &ModuleTypes) -> Result<SerializedTypes> {
        Ok(SerializedTypes {
            component: Vec::new(),
            all: postcard::to_allocvec(types)?,
        })
    }

    /// The types of a component whose own one is `ty`.
    pub(crate) fn of_component(
        ty: TypeComponentIndex,
        types: &ComponentTypes,
    ) -> Result<SerializedTypes> {
        Ok(SerializedTypes {
            component: postcard::to_allocvec(&ty)?,
            all: postcard::to_allocvec(types)?,
        })
    }
}

/// What goes into the artifact for the runtime.
pub(super) struct Info<'t> {
    parts: Parts<'t>,
    /// The contents of `.wasmtime.info`.
    info: Vec<u8>,
}

/// What modules have in common sections.
#[derive(Default)]
struct Parts<'t> {
    data: Column<'t>,
    data_align: u64,
    names: Column<'t>,
    dwarf: Column<'t>,
    /// A module had DWARF before any had names.
    dwarf_first: bool,
}

/// The contents of a section, piece by piece.
#[derive(Default)]
struct Column<'t> {
    pieces: Vec<&'t [u8]>,
    end: u64,
}

const ZEROS: [u8; 4096] = [0; 4096];

impl<'t> Column<'t> {
    /// Appends `piece`, and gives the offset where it begins.
    fn push(&mut self, piece: &'t [u8]) -> u64 {
        let start = self.end;
        self.end += piece.len() as u64;
        self.pieces.push(piece);
        start
    }

    /// Appends zeros up to the next multiple of `align`, and gives the offset.
    fn align(&mut self, align: u64) -> u64 {
        let mut missing = self.end.next_multiple_of(align) - self.end;
        while missing > 0 {
            let zeros = missing.min(ZEROS.len() as u64);
            self.push(&ZEROS[..zeros as usize]);
            missing -= zeros;
        }
        self.end
    }
}

impl<'t> Info<'t> {
    /// Describes `program`, whose types are `types`, and its `functions`, which lie at `starts`
    /// in the text section.
    ///
    /// # Errors
    ///
    /// Wasmtime's, for names beyond 4 GiB.
    pub(super) fn new(
        tunables: &Tunables,
        program: &'t Described<'_>,
        types: &SerializedTypes,
        functions: &[Linkable<'_>],
        starts: &[u32],
    ) -> Result<Info<'t>> {
        let mut parts = Parts::default();
        let mut modules = Vec::with_capacity(program.modules.len());
        for described in &program.modules {
            modules.push(parts.append(tunables, described)?);
        }
        let table = postcard::to_allocvec(&function_table(functions, starts))?;
        let info = match program.component {
            None => [modules.concat(), table, types.all.clone()].concat(),
            Some(component) => {
                // The fields of `ComponentArtifacts` in their order; lists begin with their
                // length.
                let count = postcard::to_allocvec(&modules.len())?;
                let checksum = WasmChecksum::from_binary(program.input, tunables.recording);
                [
                    types.component.clone(),
                    postcard::to_allocvec(&component.component)?,
                    table,
                    types.all.clone(),
                    count,
                    modules.concat(),
                    postcard::to_allocvec(&checksum)?,
                ]
                .concat()
            }
        };
        Ok(Info { parts, info })
    }

    /// The sections, in their order.
    pub(super) fn sections<'s>(self) -> Vec<Section<'s>>
    where
        't: 's,
    {
        let Parts {
            data,
            data_align,
            names,
            dwarf,
            dwarf_first,
        } = self.parts;
        let mut sections =
            vec![Section::parts(obj::ELF_WASM_DATA, data.pieces).aligned(data_align.max(1))];
        let mut more = [
            (!names.pieces.is_empty()).then(|| Section::parts(obj::ELF_NAME_DATA, names.pieces)),
            (!dwarf.pieces.is_empty())
                .then(|| Section::parts(obj::ELF_WASMTIME_DWARF, dwarf.pieces).unloaded()),
        ];
        if dwarf_first {
            more.reverse();
        }
        sections.extend(more.into_iter().flatten());
        sections.push(Section::bytes(obj::ELF_WASMTIME_INFO, self.info));
        sections
    }
}

impl<'t> Parts<'t> {
    /// Appends what `described` has for the common sections, and gives its serialized
    /// description.
    fn append(
        &mut self,
        tunables: &Tunables,
        described: &'t DescribedModule<'_>,
    ) -> Result<Vec<u8>> {
        let translation = &described.module.translation;
        let align = translation.data_align.unwrap_or(1);
        self.data_align = self.data_align.max(align);
        let data_start = self.data.align(align);
        for data in translation.runtime_data.values() {
            self.data.push(data);
        }
        let func_names = self.function_names(&translation.debuginfo)?;
        let dwarf = if tunables.parse_wasm_debuginfo {
            self.dwarf_sections(&translation.debuginfo)
        } else {
            Vec::new()
        };
        let moved = match data_start {
            0 => None,
            _ => Some(with_data_at(&translation.module, data_start)?),
        };
        Ok(postcard::to_allocvec(&ModuleInfo {
            module: moved.as_ref().unwrap_or(&translation.module),
            func_names,
            meta: Metadata {
                has_unparsed_debuginfo: translation.has_unparsed_debuginfo,
                code_section_offset: described.code_start,
                has_wasm_debuginfo: tunables.parse_wasm_debuginfo,
                dwarf,
            },
            checksum: WasmChecksum::from_binary(translation.wasm, tunables.recording),
        })?)
    }

    /// The names of functions, by function index; their bytes go into the common section.
    fn function_names(&mut self, debuginfo: &DebugInfoData<'t>) -> Result<Vec<FunctionName>> {
        let mut sorted: Vec<_> = debuginfo.name_section.func_names.iter().collect();
        sorted.sort_unstable_by_key(|(index, _)| **index);
        let too_large = || format_err!("name section too large (> 4gb)");
        let name = |(index, name): (&FuncIndex, &&'t str)| {
            Ok(FunctionName {
                idx: *index,
                offset: u32::try_from(self.names.push(name.as_bytes())).map_err(|_| too_large())?,
                len: u32::try_from(name.len()).map_err(|_| too_large())?,
            })
        };
        sorted.into_iter().map(name).collect()
    }

    /// The module's own DWARF sections: by gimli's number, where they lie in the common section.
    fn dwarf_sections(&mut self, debuginfo: &DebugInfoData<'t>) -> DwarfRanges {
        let mut ranges = Vec::new();
        macro_rules! push {
            ($($section:expr),* $(,)?) => {$({
                let (id, bytes) = dwarf_section(&$section);
                if !bytes.is_empty() {
                    self.dwarf_first |= self.names.pieces.is_empty();
                    let start = self.dwarf.push(bytes);
                    ranges.push((id, start..self.dwarf.end));
                }
            })*};
        }
        let dwarf = &debuginfo.dwarf;
        push!(
            dwarf.debug_abbrev,
            dwarf.debug_addr,
            dwarf.debug_aranges,
            dwarf.debug_info,
            dwarf.debug_line,
            dwarf.debug_line_str,
            dwarf.debug_str,
            dwarf.debug_str_offsets,
            debuginfo.debug_ranges,
            debuginfo.debug_rnglists,
            debuginfo.debug_cu_index,
        );
        ranges.sort_by_key(|(id, _)| *id);
        ranges
    }
}

/// A copy of `module` whose data lies behind `start` bytes of others'.
fn with_data_at(module: &Module, start: u64) -> Result<Module> {
    // A module cannot be cloned.
    let mut module: Module = postcard::from_bytes(&postcard::to_allocvec(module)?)?;
    let start = u32::try_from(start)?;
    for (_, range) in module.runtime_data.iter_mut() {
        let shifted = |end: u32| {
            end.checked_add(start)
                .ok_or_else(|| format_err!("more than 4 GiB of data"))
        };
        *range = shifted(range.start)?..shifted(range.end)?;
    }
    Ok(module)
}

/// By gimli's number, where a section of DWARF lies.
type DwarfRanges = Vec<(u8, Range<u64>)>;

fn dwarf_section<'t, S>(section: &S) -> (u8, &'t [u8])
where
    S: gimli::Section<gimli::EndianSlice<'t, gimli::LittleEndian>>,
{
    (S::id() as u8, section.reader().slice())
}

fn function_table(functions: &[Linkable<'_>], starts: &[u32]) -> CompiledFunctionsTable {
    let mut table = CompiledFunctionsTableBuilder::new();
    for (function, start) in functions.iter().zip(starts) {
        let location = FunctionLoc {
            start: *start,
            length: function.code.code.len() as u32,
        };
        let source = function
            .parameters
            .base()
            .map_or_else(FilePos::none, FilePos::new);
        table.push_func(function.key, location, source);
    }
    table.finish()
}
