//! What the runtime reads of the module: its description, data, names, debug information
//! (`ObjectBuilder::append` in `wasmtime-environ` 48.0.8).

use super::Linkable;
use super::elf::Section;
use serde::Serialize;
use std::borrow::Cow;
use std::ops::Range;
use wasmtime_environ::error::{Result, format_err};
use wasmtime_environ::{
    CompiledFunctionsTable, CompiledFunctionsTableBuilder, DebugInfoData, FilePos, FunctionLoc,
    FunctionName, Metadata, Module, ModuleTranslation, Tunables, WasmChecksum, obj,
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

/// What goes into the artifact for the runtime.
pub(super) struct Info<'t> {
    data: Vec<&'t [u8]>,
    data_align: u64,
    names: Vec<&'t [u8]>,
    dwarf: Vec<&'t [u8]>,
    /// The contents of `.wasmtime.info`.
    info: Vec<u8>,
}

impl<'t> Info<'t> {
    /// Describes the module `translation` and its `functions`, which lie at `starts` in the
    /// text section.
    ///
    /// # Errors
    ///
    /// Wasmtime's, for names beyond 4 GiB.
    pub(super) fn new(
        tunables: &Tunables,
        translation: &'t ModuleTranslation<'_>,
        types: &[u8],
        functions: &[Linkable<'_>],
        starts: &[u32],
    ) -> Result<Info<'t>> {
        let (func_names, names) = function_names(&translation.debuginfo)?;
        let (dwarf_ranges, dwarf) = if tunables.parse_wasm_debuginfo {
            dwarf_sections(&translation.debuginfo)
        } else {
            (Vec::new(), Vec::new())
        };
        let description = ModuleInfo {
            module: &translation.module,
            func_names,
            meta: Metadata {
                has_unparsed_debuginfo: translation.has_unparsed_debuginfo,
                code_section_offset: translation.debuginfo.wasm_file.code_section_offset,
                has_wasm_debuginfo: tunables.parse_wasm_debuginfo,
                dwarf: dwarf_ranges,
            },
            checksum: WasmChecksum::from_binary(translation.wasm, tunables.recording),
        };
        let table = function_table(functions, starts);
        let mut info = postcard::to_allocvec(&(&description, &table))?;
        info.extend_from_slice(types);
        Ok(Info {
            data: translation.runtime_data.values().map(Cow::as_ref).collect(),
            data_align: translation.data_align.unwrap_or(1),
            names,
            dwarf,
            info,
        })
    }

    /// The sections, in their order.
    pub(super) fn sections<'s>(self) -> Vec<Section<'s>>
    where
        't: 's,
    {
        let mut sections =
            vec![Section::parts(obj::ELF_WASM_DATA, self.data).aligned(self.data_align)];
        if !self.names.is_empty() {
            sections.push(Section::parts(obj::ELF_NAME_DATA, self.names));
        }
        if !self.dwarf.is_empty() {
            sections.push(Section::parts(obj::ELF_WASMTIME_DWARF, self.dwarf).unloaded());
        }
        sections.push(Section::bytes(obj::ELF_WASMTIME_INFO, self.info));
        sections
    }
}

/// The names of functions, by function index, and the bytes of all of them.
fn function_names<'t>(debuginfo: &DebugInfoData<'t>) -> Result<(Vec<FunctionName>, Vec<&'t [u8]>)> {
    let mut sorted: Vec<_> = debuginfo.name_section.func_names.iter().collect();
    sorted.sort_unstable_by_key(|(index, _)| **index);
    let mut offset = 0u32;
    let mut names = Vec::with_capacity(sorted.len());
    let mut bytes = Vec::with_capacity(sorted.len());
    for (index, name) in sorted {
        let too_large = || format_err!("name section too large (> 4gb)");
        let len = u32::try_from(name.len()).map_err(|_| too_large())?;
        names.push(FunctionName {
            idx: *index,
            offset,
            len,
        });
        bytes.push(name.as_bytes());
        offset = offset.checked_add(len).ok_or_else(too_large)?;
    }
    Ok((names, bytes))
}

/// By gimli's number, where a section of DWARF lies.
type DwarfRanges = Vec<(u8, Range<u64>)>;

/// The module's own DWARF sections: by gimli's number, where they lie in the section, and
/// their bytes.
fn dwarf_sections<'t>(debuginfo: &DebugInfoData<'t>) -> (DwarfRanges, Vec<&'t [u8]>) {
    let (mut ranges, mut parts, mut end) = (Vec::new(), Vec::new(), 0);
    macro_rules! push {
        ($($section:expr),* $(,)?) => {$({
            let (id, bytes) = dwarf_section(&$section);
            if !bytes.is_empty() {
                let start = end;
                end += bytes.len() as u64;
                ranges.push((id, start..end));
                parts.push(bytes);
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
    (ranges, parts)
}

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
