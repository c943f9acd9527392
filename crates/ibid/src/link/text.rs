//! The sections `.text` and `.eh_frame`: code, calls resolved, unwind information.

use super::{Linkable, Place, data_section, unwind};
use crate::compiled::{self, RelocationTarget};
use crate::fingerprint::EngineCompiler;
use cranelift_control::ControlPlane;
use object::write::{Object, SectionId, StandardSegment, Symbol, SymbolSection};
use object::{SectionKind, SymbolFlags, SymbolKind, SymbolScope};
use rustc_hash::FxHashMap;
use wasmtime_environ::{Abi, DefinedFuncIndex, FuncKey, StaticModuleIndex};

/// Appends the text section with all functions in their order, their symbols, and
/// the unwind information. Says where each function lies. `imported` is the number of
/// imported functions, which come first in the function index space.
///
/// # Panics
///
/// Panics when a function refers to one that is not among `functions`: the caller
/// has placed every callee.
pub(super) fn append(
    object: &mut Object<'static>,
    engine: &EngineCompiler,
    functions: &[Linkable<'_>],
    imported: u32,
) -> Vec<Place> {
    let segment = object.segment_name(StandardSegment::Text).to_vec();
    let section = object.add_section(segment, b".text".to_vec(), SectionKind::Text);
    let targets = Targets::new(functions, imported);
    let mut control = ControlPlane::default();
    let mut text = engine.isa.text_section_builder(functions.len());
    let mut places = Vec::with_capacity(functions.len());
    for function in functions {
        let code = function.code.code;
        let start = text.append(true, code, function.code.alignment, &mut control);
        let place = Place {
            start,
            length: code.len() as u64,
        };
        places.push(place);
        if let Some(name) = &function.symbol {
            symbol(object, section, name, place);
        }
        for record in function.code.relocations() {
            let relocation = compiled::relocation(record, function.parameters)
                .expect("parameters were checked against the stencil");
            let target = targets.index(relocation.target);
            let offset = start + u64::from(relocation.offset);
            let resolved = text.resolve_reloc(offset, relocation.kind, relocation.addend, target);
            assert!(
                resolved,
                "the text section does not know {:?}",
                relocation.kind
            );
        }
    }
    let align = engine.compiler().page_size_align();
    object
        .section_mut(section)
        .set_data(text.finish(&mut control), align);
    let size = object.append_section_data(section, &[], align);
    append_unwind(object, engine, functions, &places, size);
    places
}

fn symbol(object: &mut Object<'static>, section: SectionId, name: &str, place: Place) {
    object.add_symbol(Symbol {
        name: name.as_bytes().to_vec(),
        value: place.start,
        size: place.length,
        kind: SymbolKind::Text,
        scope: SymbolScope::Compilation,
        weak: false,
        section: SymbolSection::Section(section),
        flags: SymbolFlags::None,
    });
}

fn append_unwind(
    object: &mut Object<'static>,
    engine: &EngineCompiler,
    functions: &[Linkable<'_>],
    places: &[Place],
    text_size: u64,
) {
    let mut entries = functions
        .iter()
        .zip(places)
        .filter_map(|(function, place)| Some((place.start, function.code.unwind?)))
        .peekable();
    if entries.peek().is_none() {
        return;
    }
    let section = data_section(object, ".eh_frame");
    if let Some(data) = unwind::section(engine.compiler(), text_size, entries) {
        object.append_section_data(section, &data, 1);
    }
}

/// Where in the list of functions the target of a call is.
struct Targets {
    by_key: FxHashMap<FuncKey, usize>,
    /// The number of imported functions, which have no code of their own.
    imported: u32,
}

impl Targets {
    fn new(functions: &[Linkable<'_>], imported: u32) -> Targets {
        Targets {
            by_key: functions
                .iter()
                .map(|function| function.key)
                .zip(0..)
                .collect(),
            imported,
        }
    }

    fn index(&self, target: RelocationTarget) -> usize {
        let module = StaticModuleIndex::from_u32(0);
        let key = match target {
            RelocationTarget::Function(index) => FuncKey::DefinedWasmFunction(
                module,
                DefinedFuncIndex::from_u32(index - self.imported),
            ),
            RelocationTarget::Startup => FuncKey::ModuleStartup(Abi::Wasm, module),
            RelocationTarget::Builtin(builtin) => compiled::builtin_trampoline(builtin),
        };
        self.by_key[&key]
    }
}
