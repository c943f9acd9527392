//! One of the two modules: its functions, split, and what everything in it is called.

use super::operators::{self, Space, Token};
use crate::bodies;
use crate::entries::Entries;
use crate::fingerprint::EngineCompiler;
use crate::jobs::Job;
use crate::module::Source;
use crate::parallel;
use crate::program::{Program, Whole};
use crate::split::split;
use crate::stencil::{Addresses, Digest, Scratch, SplitBody, StencilKey};
use rustc_hash::FxHashMap;
use std::ops::Range;
use wasmparser::{
    DataKind, ExternalKind, FunctionBody, KnownCustom, Name, NameMap, Operator, Parser, Payload,
    TypeRef,
};
use wasmtime_environ::{DefinedFuncIndex, FuncIndex, WasmSubType, WasmValType};

/// A module, for comparison.
pub(super) struct Side<'s> {
    pub(super) source: Source<'s>,
    whole: Whole<'s>,
    pub(super) types: Vec<&'s WasmSubType>,
    /// By number among those that the module defines.
    pub(super) functions: Vec<Function<'s>>,
    pub(super) imported: u32,
    names: FxHashMap<(Space, u32), String>,
    /// Where static data lies in memory.
    pub(super) data: Range<u64>,
    /// The functions in the first table that it defines, as far as they are known, by index.
    pub(super) table: Vec<u32>,
    surroundings: Option<[u8; 32]>,
}

/// A function of it.
pub(super) struct Function<'s> {
    pub(super) body: &'s FunctionBody<'s>,
    /// `None` if its body cannot be split.
    pub(super) split: Option<SplitBody>,
    pub(super) key: Option<StencilKey>,
    pub(super) signature: Option<Digest>,
    /// A digest of its operators without what they name.
    pub(super) skeleton: u64,
    pub(super) hinted: bool,
}

impl<'s> Side<'s> {
    pub(super) fn new(
        engine: &EngineCompiler,
        entries: &Entries,
        program: &'s Program<'_>,
        sources: &'s [Source<'s>],
        wasm: &[u8],
    ) -> Side<'s> {
        let source = sources[0];
        let whole = program.with(sources);
        let imported = source.translation.module.num_imported_funcs as u32;
        let fingerprint = &entries.fingerprint;
        let jobs: Vec<DefinedFuncIndex> = source.defined_functions().collect();
        let function = |scratch: &mut Scratch, number: DefinedFuncIndex| {
            let body = source.body(number);
            let job = Job::Function(source.number(), number);
            let split = split(whole, job, Addresses::Slots, scratch);
            Function {
                key: split.as_ref().map(|split| split.stencil.key(fingerprint)),
                split,
                signature: source.facts.signature(imported + number.as_u32()),
                skeleton: operators::tokens(body).map_or(0, |t| operators::skeleton(&t)),
                hinted: source.branch_hints(number).is_some(),
                body,
            }
        };
        let scan = bodies::scan(engine.parallel, fingerprint, engine.features, wasm, false);
        let described = Described::of(engine, wasm);
        let memory = source.translation.module.memories.values().next();
        let end = memory.and_then(|memory| memory.minimum_byte_size().ok());
        let table = source
            .translation
            .module
            .table_initialization
            .values()
            .next();
        let table = table.map(|table| table.iter().map(|function| function.as_u32()));
        Side {
            table: table.map(Iterator::collect).unwrap_or_default(),
            functions: parallel::map(engine.parallel, jobs, Scratch::default, function),
            types: program.types().wasm_types().map(|(_, ty)| ty).collect(),
            imported,
            data: described.data_start..end.unwrap_or(0),
            names: described.names,
            surroundings: scan.map(|scan| scan.modules[0].surroundings),
            source,
            whole,
        }
    }

    /// The function `number` with its addresses and places in its stencil.
    pub(super) fn literal(&self, number: usize) -> Option<SplitBody> {
        let number = DefinedFuncIndex::from_u32(number as u32);
        let job = Job::Function(self.source.number(), number);
        split(self.whole, job, Addresses::Literal, &mut Scratch::default())
    }

    pub(super) fn tokens(&self, number: usize) -> Option<Vec<Token>> {
        operators::tokens(self.functions[number].body)
    }

    pub(super) fn name(&self, space: Space, index: u32) -> Option<&str> {
        self.names.get(&(space, index)).map(String::as_str)
    }

    pub(super) fn function_name(&self, number: usize) -> Option<&str> {
        self.name(Space::Function, self.imported + number as u32)
    }

    /// What something is called in a message.
    pub(super) fn entity(&self, space: Space, index: u32) -> String {
        let kind = match space {
            Space::Function => "function",
            Space::Type | Space::BlockType => return self.type_name(index),
            Space::Memory => "memory",
            Space::Table => "table",
            Space::Global => "global",
            Space::Tag => "tag",
            Space::Data => "data segment",
            Space::Element => "element segment",
        };
        match self.name(space, index) {
            Some(name) => format!("{kind} {index} (\"{name}\")"),
            None => format!("{kind} {index}"),
        }
    }

    fn type_name(&self, index: u32) -> String {
        let text = self.type_of_index(index);
        format!("type {}", text.unwrap_or_else(|| index.to_string()))
    }

    /// The type with this index, in words.
    pub(super) fn type_of_index(&self, index: u32) -> Option<String> {
        let interned = *self.source.facts.type_numbers().get(index as usize)?;
        self.type_of_number(interned)
    }

    pub(super) fn type_of_number(&self, interned: u32) -> Option<String> {
        let ty = *self.types.get(interned as usize)?;
        let list = |types: &[WasmValType]| {
            let types: Vec<String> = types.iter().map(ToString::to_string).collect();
            types.join(", ")
        };
        Some(match ty.as_func() {
            Some(ty) => format!("({}) -> ({})", list(ty.params()), list(ty.results())),
            None => ty.to_string(),
        })
    }

    /// The type of the function `index`, in words.
    pub(super) fn type_of_function(&self, index: u32) -> Option<String> {
        let functions = &self.source.translation.module.functions;
        let function = functions.get(FuncIndex::from_u32(index))?;
        self.type_of_number(function.signature.unwrap_module_type_index().as_u32())
    }

    /// Whether functions are found by their bytes in a store that knows `old`.
    pub(super) fn is_surrounded_as(&self, old: &Side<'_>) -> bool {
        self.surroundings.is_some()
            && self.surroundings == old.surroundings
            && self.source.facts.everything() == old.source.facts.everything()
    }

    /// Whether a constant of the function may be an address, as far as the number says.
    pub(super) fn is_candidate(&self, number: usize, value: u64) -> bool {
        !self.functions[number].hinted && self.source.facts.addresses.is_candidate(value)
    }
}

/// What the sections say that Wasmtime does not keep.
struct Described {
    names: FxHashMap<(Space, u32), String>,
    data_start: u64,
}

impl Described {
    fn of(engine: &EngineCompiler, wasm: &[u8]) -> Described {
        let mut described = Described {
            names: FxHashMap::default(),
            data_start: u64::MAX,
        };
        let mut parser = Parser::new(0);
        parser.set_features(engine.features);
        for payload in parser.parse_all(wasm) {
            // What does not read has no names.
            if payload
                .ok()
                .and_then(|payload| described.take(&payload))
                .is_none()
            {
                break;
            }
        }
        described
    }

    fn take(&mut self, payload: &Payload<'_>) -> Option<()> {
        match payload {
            Payload::ImportSection(imports) => {
                let mut counts: FxHashMap<Space, u32> = FxHashMap::default();
                for import in imports.clone().into_imports() {
                    let import = import.ok()?;
                    let space = match import.ty {
                        TypeRef::Func(_) | TypeRef::FuncExact(_) => Space::Function,
                        TypeRef::Table(_) => Space::Table,
                        TypeRef::Memory(_) => Space::Memory,
                        TypeRef::Global(_) => Space::Global,
                        TypeRef::Tag(_) => Space::Tag,
                    };
                    let index = counts.entry(space).or_default();
                    let name = format!("{}.{}", import.module, import.name);
                    self.names.entry((space, *index)).or_insert(name);
                    *index += 1;
                }
            }
            Payload::ExportSection(exports) => {
                for export in exports.clone() {
                    let export = export.ok()?;
                    let space = match export.kind {
                        ExternalKind::Func | ExternalKind::FuncExact => Space::Function,
                        ExternalKind::Table => Space::Table,
                        ExternalKind::Memory => Space::Memory,
                        ExternalKind::Global => Space::Global,
                        ExternalKind::Tag => Space::Tag,
                    };
                    let name = self.names.entry((space, export.index));
                    name.or_insert_with(|| export.name.to_string());
                }
            }
            Payload::DataSection(segments) => {
                for segment in segments.clone() {
                    if let DataKind::Active { offset_expr, .. } = segment.ok()?.kind {
                        let start = match offset_expr.get_operators_reader().read().ok()? {
                            Operator::I32Const { value } => value.cast_unsigned().into(),
                            Operator::I64Const { value } => value.cast_unsigned(),
                            _ => 0,
                        };
                        self.data_start = self.data_start.min(start);
                    }
                }
            }
            Payload::CustomSection(section) => {
                if let KnownCustom::Name(names) = section.as_known() {
                    for name in names {
                        // What is there of a section that ends early is taken.
                        let Ok(name) = name else { break };
                        self.take_names(name);
                    }
                }
            }
            _ => {}
        }
        Some(())
    }

    fn take_names(&mut self, names: Name<'_>) {
        let mut take = |space, names: NameMap<'_>| {
            for naming in names.into_iter().flatten() {
                let name = naming.name.to_string();
                self.names.insert((space, naming.index), name);
            }
        };
        match names {
            Name::Function(names) => take(Space::Function, names),
            Name::Type(names) => take(Space::Type, names),
            Name::Table(names) => take(Space::Table, names),
            Name::Memory(names) => take(Space::Memory, names),
            Name::Global(names) => take(Space::Global, names),
            Name::Tag(names) => take(Space::Tag, names),
            Name::Data(names) => take(Space::Data, names),
            Name::Element(names) => take(Space::Element, names),
            _ => {}
        }
    }
}
