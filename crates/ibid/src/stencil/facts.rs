//! What a module says outside its function bodies, made ready for keys.
//!
//! For every entity that a body can name there is one byte string that holds all
//! that Wasmtime's translation, validation and code generation can read about it.
//! `docs/keys.md` has the table: each fact, the function of the pinned release that
//! reads it, and where it enters a key.

use super::addresses::AddressFacts;
use super::key::Digest;
use super::named::KeyFact;
use crate::bytes::Writer;
use crate::fingerprint::EngineCompiler;
use serde::Serialize;
use std::sync::Arc;
use target_lexicon::Architecture;
use wasmparser::{ValidatorResources, WasmModuleResources};
use wasmtime_environ::{
    DataIndex, DefinedFuncIndex, ElemIndex, EntityIndex, EntityRef, FactInlineIntrinsic, FuncIndex,
    FuncKey, GlobalConstValue, GlobalIndex, KnownFunc, Limits, Memory, MemoryIndex, MemoryKind,
    MemoryTunables, Module, ModuleInternedTypeIndex, ModuleTranslation, ModuleTypesBuilder,
    StaticModuleIndex, Table, TableIndex, TagIndex, Tunables, TypeTrace, VMOffsets,
    WasmCompositeInnerType, WasmSubType, WasmValType,
};

/// The facts of one module.
pub(crate) struct ModuleFacts {
    pub(super) types: Arc<TypeFacts>,
    /// By type index: the interned type.
    pub(super) type_indices: Vec<u32>,
    /// By function index: its type and whether it is imported.
    pub(super) functions: Vec<FunctionFacts>,
    pub(super) memories: Vec<Arc<[u8]>>,
    /// Memories, as accesses that need no check of bounds see them.
    pub(super) accessed: Vec<Arc<[u8]>>,
    pub(super) tables: Vec<Arc<[u8]>>,
    pub(super) globals: Vec<Arc<[u8]>>,
    tags: Vec<Arc<[u8]>>,
    /// The module's number and all types.
    environment: Digest,
    /// Everything, for keys of exact bodies.
    everything: Digest,
    pub(super) offsets: VMOffsets<u8>,
    /// The module's number, and how many functions it imports.
    number: StaticModuleIndex,
    imported: u32,
    /// One of its imports is known to be one of its own functions, of another instance.
    imports_itself: bool,
    resources: Option<ValidatorResources>,
    data: Vec<Option<u32>>,
    elements: Vec<Option<u32>>,
    /// What reading a global gives the compiler, of each.
    globals_read: Vec<GlobalRead>,
    /// Which constants may be addresses.
    pub(crate) addresses: AddressFacts,
    /// Offsets in the instance may be parameters.
    pub(super) place_slots: bool,
    /// Of each global: whether it holds a reference.
    pub(super) reference_globals: Vec<bool>,
}

/// The types of all modules that are compiled together.
pub(crate) struct TypeFacts {
    /// By interned type.
    pub(super) each: Vec<OneType>,
    all: Digest,
}

pub(super) struct OneType {
    pub(super) digest: Digest,
    /// A function type that refers to no other type.
    pub(super) plain: bool,
    /// Of a function type: how many parameters and results it has.
    arity: Option<(usize, usize)>,
}

#[derive(PartialEq, Eq)]
pub(super) struct FunctionFacts {
    /// The interned type.
    signature: u32,
    imported: bool,
    /// What a component always satisfies this import with.
    known: Option<Known>,
}

/// What is known at compile time of an imported function (`KnownFunc` in `wasmtime-environ`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// It is this one, and is called directly.
    Function(FuncKey),
    /// It is an intrinsic of an adapter, written in place if it is this one and the engine
    /// supports concurrency.
    EnterSyncCall,
    ExitSyncCall,
}

impl Known {
    fn of(known: &KnownFunc) -> Known {
        match known {
            KnownFunc::FuncKey(key) => Known::Function(*key),
            KnownFunc::FactIntrinsic(FactInlineIntrinsic::EnterSyncCall) => Known::EnterSyncCall,
            KnownFunc::FactIntrinsic(FactInlineIntrinsic::ExitSyncCall) => Known::ExitSyncCall,
        }
    }

    /// What code depends on: not which function it is, but that it is one; which intrinsic it
    /// is, since that may be written in place.
    fn describe(self) -> [u32; 2] {
        match self {
            Known::Function(FuncKey::UnsafeIntrinsic(abi, intrinsic)) => {
                [2 + abi as u32, intrinsic.index()]
            }
            Known::Function(_) => [1, 0],
            Known::EnterSyncCall => [u32::MAX, 0],
            Known::ExitSyncCall => [u32::MAX, 1],
        }
    }
}

impl ModuleFacts {
    /// Gathers the facts of `translation`, whose types are among `types`.
    ///
    /// `resources` is what the validator of the module's function bodies reads; a
    /// module without bodies has none. `data_start` is the lowest address that the module
    /// writes data to, 0 if that is not known.
    pub(crate) fn new(
        translation: &ModuleTranslation<'_>,
        types: &Arc<TypeFacts>,
        resources: Option<ValidatorResources>,
        engine: &EngineCompiler,
        data_start: u64,
    ) -> ModuleFacts {
        let module = &translation.module;
        let offsets = VMOffsets::new(engine.isa.pointer_bytes(), module);
        let exported = Exported::new(module);
        let all_types = types.all;
        // All memories, of which `describe` writes the type.
        let memory_facts = |describe: &dyn Fn(&mut Writer, &Memory)| {
            let memories = module.memories.iter().map(|(index, memory)| {
                let mut out = Writer::default();
                describe(&mut out, memory);
                let exported = exported.memories[index.index()];
                out.fact(KeyFact::MemoryExported, |out| out.word(exported.into()));
                out.fact(KeyFact::MemoryPlace, |out| {
                    memory_location(out, module, &offsets, index);
                });
                out.into_bytes().into()
            });
            memories.collect::<Vec<Arc<[u8]>>>()
        };
        let mut facts = ModuleFacts {
            types: types.clone(),
            type_indices: module
                .types
                .values()
                .map(|ty| ty.unwrap_module_type_index().as_u32())
                .collect(),
            functions: function_facts(translation),
            memories: memory_facts(&|out, memory| {
                out.fact(KeyFact::MemoryType, |out| serialize(out, memory));
            }),
            accessed: memory_facts(&|out, memory| {
                out.fact(KeyFact::MemoryAccess, |out| {
                    as_accesses_see(out, memory, &engine.tunables);
                });
            }),
            tables: module
                .tables
                .iter()
                .map(|(index, table)| {
                    let mut out = Writer::default();
                    out.fact(KeyFact::TableType, |out| {
                        serialize(out, &as_bodies_see(*table))
                    });
                    out.fact(KeyFact::TableReferredTypes, |out| {
                        digest(out, refers(table).then_some(all_types));
                    });
                    let exported = exported.tables[index.index()];
                    out.fact(KeyFact::TableExported, |out| out.word(exported.into()));
                    out.fact(KeyFact::TablePlace, |out| {
                        table_location(out, module, index);
                    });
                    out.into_bytes().into()
                })
                .collect(),
            globals: module
                .globals
                .iter()
                .map(|(index, global)| {
                    let mut out = Writer::default();
                    out.fact(KeyFact::GlobalType, |out| serialize(out, global));
                    out.fact(KeyFact::GlobalReferredTypes, |out| {
                        digest(out, refers(global).then_some(all_types));
                    });
                    let exported = exported.globals[index.index()];
                    out.fact(KeyFact::GlobalExported, |out| out.word(exported.into()));
                    out.fact(KeyFact::GlobalPlace, |out| {
                        global_location(out, module, index);
                    });
                    out.fact(KeyFact::GlobalValue, |out| global_value(out, module, index));
                    out.into_bytes().into()
                })
                .collect(),
            tags: module
                .tags
                .iter()
                .map(|(index, tag)| {
                    let mut out = Writer::default();
                    out.fact(KeyFact::TagType, |out| serialize(out, tag));
                    out.fact(KeyFact::TagReferredTypes, |out| {
                        digest(out, Some(all_types))
                    });
                    out.fact(KeyFact::TagPlace, |out| {
                        tag_location(out, module, &offsets, index)
                    });
                    out.into_bytes().into()
                })
                .collect(),
            environment: Digest::default(),
            everything: Digest::default(),
            number: module.module_index,
            imported: module.num_imported_funcs as u32,
            imports_itself: imports_itself(translation),
            offsets,
            data: indices(
                resources.as_ref().and_then(|r| r.data_count()).unwrap_or(0),
                |i| translation.runtime_data_map[DataIndex::from_u32(i)].map(|i| i.as_u32()),
            ),
            elements: indices(resources.as_ref().map_or(0, |r| r.element_count()), |i| {
                translation.passive_elem_map[ElemIndex::from_u32(i)].map(|i| i.as_u32())
            }),
            resources,
            globals_read: module
                .globals
                .keys()
                .map(|index| GlobalRead::of(module, index))
                .collect(),
            addresses: AddressFacts::new(
                module,
                &engine.tunables,
                engine.isa.triple().architecture,
                engine.isa.page_size_align_log2(),
                engine.address_slots.then_some(data_start),
            ),
            place_slots: false,
            reference_globals: module
                .globals
                .values()
                .map(|global| matches!(global.wasm_ty, WasmValType::Ref(_)))
                .collect(),
        };
        facts.environment = facts.environment_digest(module, all_types);
        facts.everything = facts.everything_digest(module);
        facts.place_slots = engine.address_slots
            && engine.isa.triple().architecture == Architecture::X86_64
            && facts.names_plain_types()
            && module.functions.len() < MOST_FUNCTIONS;
        facts
    }

    fn environment_digest(&self, module: &Module, all_types: Digest) -> Digest {
        let mut out = Writer::default();
        out.word(module.module_index.as_u32());
        out.raw(&all_types.0);
        out.u32(self.type_indices.len());
        self.type_indices.iter().for_each(|index| out.word(*index));
        Digest::of("environment", &out.into_bytes())
    }

    fn everything_digest(&self, module: &Module) -> Digest {
        let mut out = Writer::default();
        out.raw(&self.environment.0);
        for entities in [&self.memories, &self.tables, &self.globals, &self.tags] {
            out.u32(entities.len());
            entities.iter().for_each(|facts| record(&mut out, facts));
        }
        // The layout of the instance, which the numbers of everything decide.
        record(&mut out, format!("{:?}", self.offsets).as_bytes());
        out.u32(self.functions.len());
        for (index, function) in self.functions.iter().enumerate() {
            out.word(function.signature);
            out.word(function.imported.into());
            let known = function.known.map_or([0, 0], Known::describe);
            known.iter().for_each(|word| out.word(*word));
            out.word(self.first_with_target(index as u32).unwrap_or(u32::MAX));
            if self.imports_itself {
                // Twins of its own functions.
                let target = self.target(index as u32);
                out.raw(format!("{target:?}").as_bytes());
            }
            out.word(module.functions[FuncIndex::new(index)].func_ref.as_u32());
            out.word(u32::from(self.is_referenced(index)));
        }
        out.word(u32::from(
            self.resources
                .as_ref()
                .is_some_and(|r| r.data_count().is_some()),
        ));
        for segments in [&self.data, &self.elements] {
            out.u32(segments.len());
            for segment in segments {
                out.word(segment.unwrap_or(u32::MAX));
            }
        }
        for index in 0..self.elements.len() {
            self.element_type(&mut out, index);
        }
        Digest::of("everything", &out.into_bytes())
    }

    /// By type index: the number of the interned type.
    pub(crate) fn type_numbers(&self) -> &[u32] {
        &self.type_indices
    }

    /// All that the module says but its function bodies and data.
    pub(crate) fn everything(&self) -> Digest {
        self.everything
    }

    /// The module's number and all types: what operators on references and aggregates
    /// read.
    pub(crate) fn environment(&self) -> Digest {
        self.environment
    }

    /// The structure of the type of function `index`.
    pub(crate) fn signature(&self, index: u32) -> Option<Digest> {
        let function = self.functions.get(index as usize)?;
        Some(self.types.each[function.signature as usize].digest)
    }

    /// The structure of the type that a block names: nothing of the block's code
    /// depends on the type's number.
    pub(crate) fn block_type(&self, type_index: u32) -> Option<Digest> {
        let interned = *self.type_indices.get(type_index as usize)?;
        Some(self.types.each[interned as usize].digest)
    }

    /// The structure and the interned number of a type that the code names: the
    /// number is an offset in the code of an indirect call.
    pub(crate) fn named_type(&self, out: &mut Writer, type_index: u32) -> Option<()> {
        let interned = *self.type_indices.get(type_index as usize)?;
        let ty = &self.types.each[interned as usize];
        out.fact(KeyFact::NamedTypeNumber, |out| out.word(interned));
        out.fact(KeyFact::NamedTypeStructure, |out| {
            out.word(u32::from(ty.plain));
            out.raw(&ty.digest.0);
        });
        Some(())
    }

    /// What a direct call reads about its callee, besides which function it is.
    pub(crate) fn callee(&self, out: &mut Writer, index: u32) -> Option<()> {
        let function = self.functions.get(index as usize)?;
        let signature = &self.types.each[function.signature as usize].digest;
        out.fact(KeyFact::CalleeSignature, |out| out.raw(&signature.0));
        out.fact(KeyFact::CalleeImported, |out| {
            out.word(function.imported.into())
        });
        if let Some(known) = function.known {
            out.fact(KeyFact::CalleeKnown, |out| {
                known.describe().iter().for_each(|word| out.word(*word));
            });
        }
        Some(())
    }

    /// The function that a call of `index` leads to, if that is known.
    pub(crate) fn target(&self, index: u32) -> Option<FuncKey> {
        let function = self.functions.get(index as usize)?;
        match function.known {
            Some(Known::Function(key)) => Some(key),
            Some(_) => None,
            None if function.imported => None,
            None => {
                let defined = DefinedFuncIndex::from_u32(index.checked_sub(self.imported)?);
                Some(FuncKey::DefinedWasmFunction(self.number, defined))
            }
        }
    }

    /// Whether the callee `index` may be the same function as another one.
    pub(crate) fn may_be_another(&self, index: u32) -> bool {
        let known = |function: &FunctionFacts| function.known.is_some();
        self.imports_itself || self.functions.get(index as usize).is_some_and(known)
    }

    /// Of an import that is always the same function: the first import that is this function
    /// too.
    fn first_with_target(&self, index: u32) -> Option<u32> {
        self.functions.get(index as usize)?.known?;
        let target = self.target(index)?;
        (0..self.imported).find(|other| self.target(*other) == Some(target))
    }

    pub(crate) fn is_imported(&self, function: u32) -> bool {
        let function = self.functions.get(function as usize);
        function.is_some_and(|function| function.imported)
    }

    /// What `ref.func` reads; its code holds the index itself.
    pub(crate) fn function_reference(&self, out: &mut Writer, index: u32) -> Option<()> {
        let function = self.functions.get(index as usize)?;
        out.fact(KeyFact::ReferenceType, |out| {
            out.word(function.signature);
            out.raw(&self.types.each[function.signature as usize].digest.0);
        });
        let declared = self.is_referenced(index as usize);
        out.fact(KeyFact::ReferenceDeclared, |out| out.word(declared.into()));
        Some(())
    }

    /// The numbers of parameters and results of the function `index`.
    pub(crate) fn function_arity(&self, index: u32) -> Option<(usize, usize)> {
        let function = self.functions.get(index as usize)?;
        self.types.each[function.signature as usize].arity
    }

    /// The numbers of parameters and results of the function type `type_index`.
    pub(crate) fn type_arity(&self, type_index: u32) -> Option<(usize, usize)> {
        let interned = *self.type_indices.get(type_index as usize)?;
        self.types.each[interned as usize].arity
    }

    pub(crate) fn global_read(&self, index: u32) -> Option<GlobalRead> {
        self.globals_read.get(index as usize).copied()
    }

    /// A memory as accesses that need no check of bounds see it.
    pub(crate) fn accessed_memory(&self, index: u32) -> Option<&[u8]> {
        self.accessed.get(index as usize).map(|facts| &**facts)
    }

    pub(crate) fn memory(&self, index: u32) -> Option<&[u8]> {
        self.memories.get(index as usize).map(|facts| &**facts)
    }

    pub(crate) fn table(&self, index: u32) -> Option<&[u8]> {
        self.tables.get(index as usize).map(|facts| &**facts)
    }

    pub(crate) fn global(&self, index: u32) -> Option<&[u8]> {
        self.globals.get(index as usize).map(|facts| &**facts)
    }

    pub(crate) fn tag(&self, index: u32) -> Option<&[u8]> {
        self.tags.get(index as usize).map(|facts| &**facts)
    }

    /// A data segment that `memory.init` or `data.drop` names.
    pub(crate) fn data_segment(&self, out: &mut Writer, index: u32) -> Option<()> {
        let runtime_index = *self.data.get(index as usize)?;
        out.fact(KeyFact::DataNumber, |out| {
            out.word(runtime_index.unwrap_or(u32::MAX))
        });
        if let Some(index) = runtime_index {
            let index = wasmtime_environ::RuntimeDataIndex::from_u32(index);
            out.fact(KeyFact::DataPlace, |out| {
                out.word(self.offsets.vmctx_runtime_data_base(index));
                out.word(self.offsets.vmctx_runtime_data_length(index));
            });
        }
        Some(())
    }

    /// An element segment that `table.init` or `elem.drop` names.
    pub(crate) fn element_segment(&self, out: &mut Writer, index: u32) -> Option<()> {
        let passive_index = *self.elements.get(index as usize)?;
        out.fact(KeyFact::ElementNumber, |out| {
            out.word(passive_index.unwrap_or(u32::MAX))
        });
        out.fact(KeyFact::ElementType, |out| {
            self.element_type(out, index as usize);
            out.raw(&self.environment.0);
        });
        Some(())
    }

    /// The debug form of a validator's reference type holds every part of it; what
    /// a concrete one refers to is in the environment.
    fn element_type(&self, out: &mut Writer, index: usize) {
        let ty = self
            .resources
            .as_ref()
            .and_then(|r| r.element_type_at(index as u32));
        record(out, format!("{ty:?}").as_bytes());
    }

    fn is_referenced(&self, index: usize) -> bool {
        self.resources
            .as_ref()
            .is_some_and(|r| r.is_function_referenced(index as u32))
    }
}

/// With more functions there may be no room for the padded module's: `MAX_WASM_FUNCTIONS` in
/// `wasmparser`'s `limits.rs` is a million.
const MOST_FUNCTIONS: usize = 900_000;

/// Appends `bytes` with their length before them.
pub(super) fn record(out: &mut Writer, bytes: &[u8]) {
    out.u32(bytes.len());
    out.raw(bytes);
}

fn serialize(out: &mut Writer, value: &impl Serialize) {
    let bytes = postcard::to_allocvec(value).expect("serializing into memory cannot fail");
    record(out, &bytes);
}

fn digest(out: &mut Writer, digest: Option<Digest>) {
    out.word(u32::from(digest.is_some()));
    out.raw(&digest.unwrap_or_default().0);
}

/// Whether `value` refers to any interned type.
fn refers(value: &impl TypeTrace) -> bool {
    value.trace(&mut |_| Err(())).is_err()
}

fn indices(count: u32, get: impl Fn(u32) -> Option<u32>) -> Vec<Option<u32>> {
    (0..count).map(get).collect()
}

impl TypeFacts {
    /// The structure of the interned type `index`.
    pub(crate) fn interned(&self, index: ModuleInternedTypeIndex) -> Digest {
        self.each[index.index()].digest
    }

    /// The digest of every interned type, and one of all of them.
    ///
    /// A function type that refers to no other type is known by its structure alone.
    /// Any other type is known by its number together with every type before it and in
    /// its group: numbers in a structure mean nothing without what they refer to.
    pub(crate) fn of(types: &ModuleTypesBuilder) -> TypeFacts {
        let all: Vec<(ModuleInternedTypeIndex, &WasmSubType)> = types.wasm_types().collect();
        let structures: Vec<Vec<u8>> = all
            .iter()
            .map(|(_, ty)| {
                let mut out = Writer::default();
                serialize(&mut out, *ty);
                out.into_bytes()
            })
            .collect();
        let mut facts: Vec<OneType> = Vec::with_capacity(all.len());
        let mut prefix = blake3::Hasher::new();
        let mut prefixes = Vec::with_capacity(all.len());
        for structure in &structures {
            prefix.update(&(structure.len() as u64).to_le_bytes());
            prefix.update(structure);
            prefixes.push(Digest(*prefix.finalize().as_bytes()));
        }
        let all_types = prefixes.last().copied().unwrap_or_default();
        for (position, (index, ty)) in all.iter().enumerate() {
            let references = refers(*ty);
            let plain = !references && is_function(ty) && !ty.composite_type.shared;
            let digest = if plain {
                let mut out = Writer::default();
                serialize(&mut out, *ty);
                Digest::of("plain type", &out.into_bytes())
            } else {
                let mut out = Writer::default();
                out.word(index.as_u32());
                // A type may refer forward within its group, and nowhere else; taking
                // the whole list when it refers to anything is simpler, and loses only
                // functions that use such types.
                let covered = if references {
                    all_types
                } else {
                    prefixes[position]
                };
                out.raw(&covered.0);
                Digest::of("indexed type", &out.into_bytes())
            };
            let arity = match &ty.composite_type.inner {
                WasmCompositeInnerType::Func(ty) => Some((ty.params().len(), ty.results().len())),
                _ => None,
            };
            facts.push(OneType {
                digest,
                plain,
                arity,
            });
        }
        TypeFacts {
            each: facts,
            all: all_types,
        }
    }
}

fn is_function(ty: &WasmSubType) -> bool {
    matches!(ty.composite_type.inner, WasmCompositeInnerType::Func(_))
}

fn function_facts(translation: &ModuleTranslation<'_>) -> Vec<FunctionFacts> {
    let module = &translation.module;
    module
        .functions
        .iter()
        .map(|(index, function)| FunctionFacts {
            signature: function.signature.unwrap_module_type_index().as_u32(),
            imported: module.is_imported_function(index),
            known: translation.known_imported_functions[index]
                .as_ref()
                .map(Known::of),
        })
        .collect()
}

fn imports_itself(translation: &ModuleTranslation<'_>) -> bool {
    let itself = translation.module.module_index;
    translation
        .known_imported_functions
        .values()
        .flatten()
        .any(|known| {
            let of = |module: StaticModuleIndex| module == itself;
            matches!(known, KnownFunc::FuncKey(FuncKey::DefinedWasmFunction(module, _)) if of(*module))
        })
}

/// Which memories, tables and globals are exported: it decides the alias region of
/// an access, hence which loads and stores may be merged.
struct Exported {
    memories: Vec<bool>,
    tables: Vec<bool>,
    globals: Vec<bool>,
}

impl Exported {
    fn new(module: &Module) -> Exported {
        let mut exported = Exported {
            memories: vec![false; module.memories.len()],
            tables: vec![false; module.tables.len()],
            globals: vec![false; module.globals.len()],
        };
        for (_, entity) in module.exports.iter() {
            match entity {
                EntityIndex::Memory(index) => exported.memories[index.index()] = true,
                EntityIndex::Table(index) => exported.tables[index.index()] = true,
                EntityIndex::Global(index) => exported.globals[index.index()] = true,
                EntityIndex::Function(_) | EntityIndex::Tag(_) => {}
            }
        }
        exported
    }
}

fn memory_location(out: &mut Writer, module: &Module, offsets: &VMOffsets<u8>, index: MemoryIndex) {
    out.word(index.as_u32());
    match module.defined_memory_index(index) {
        Some(defined) => {
            out.word(defined.as_u32());
            out.word(offsets.vmctx_vmmemory_pointer(defined));
            if !module.memories[index].shared {
                let owned = module.owned_memory_index(defined);
                out.word(owned.as_u32());
                out.word(offsets.vmctx_vmmemory_definition(owned));
            }
        }
        None => {
            out.word(u32::MAX);
            out.word(offsets.vmctx_vmmemory_import(index));
        }
    }
}

/// Of a memory's type, an access whose bounds are not checked depends on how indices are
/// written, on whether the memory may move (`FuncEnvironment::make_heap_base_bound`), and on
/// its largest size (`bounds_check_field_access`, which reads the smallest size only behind
/// the return for accesses that need no check).
fn as_accesses_see(out: &mut Writer, memory: &Memory, tunables: &Tunables) {
    let tunables = MemoryTunables::new(tunables, MemoryKind::LinearMemory);
    serialize(out, &memory.idx_type);
    out.word(memory.shared.into());
    out.word(memory.page_size_log2.into());
    out.word(memory.memory_may_move(&tunables).into());
    let largest = memory.maximum_byte_size().unwrap_or(u64::MAX);
    out.raw(&largest.to_le_bytes());
}

/// `FuncEnvironment::make_table_base_bound` reads whether a table's limits are equal,
/// and what they are only then; no other function that translates a body reads them.
/// The startup function does, and its key has them.
fn as_bodies_see(mut table: Table) -> Table {
    if table.limits.max != Some(table.limits.min) {
        table.limits = Limits { min: 0, max: None };
    }
    table
}

/// Where it lies in the instance, the function's places say.
fn table_location(out: &mut Writer, module: &Module, index: TableIndex) {
    out.word(index.as_u32());
    let defined = module.defined_table_index(index);
    out.word(defined.map_or(u32::MAX, |defined| defined.as_u32()));
}

/// Where it lies in the instance, the function's places say.
fn global_location(out: &mut Writer, module: &Module, index: GlobalIndex) {
    out.word(index.as_u32());
    let defined = module.defined_global_index(index);
    out.word(defined.map_or(u32::MAX, |defined| defined.as_u32()));
}

/// The value of an immutable global with a simple initializer, which is folded into
/// the code; `FuncEnvironment::get_const_value_for_global` reads no other.
/// What reading a global gives the compiler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GlobalRead {
    /// Something that it knows nothing of.
    Opaque,
    /// An integer.
    Constant(i64),
    /// Any other constant.
    Other,
}

impl GlobalRead {
    fn of(module: &Module, index: GlobalIndex) -> GlobalRead {
        match constant_value(module, index) {
            None => GlobalRead::Opaque,
            Some(GlobalConstValue::I32(value)) => GlobalRead::Constant((*value).into()),
            Some(GlobalConstValue::I64(value)) => GlobalRead::Constant(*value),
            Some(_) => GlobalRead::Other,
        }
    }
}

/// The value of a global that the module defines and never assigns
/// (`FuncEnvironment::get_const_value_for_global`).
fn constant_value(module: &Module, index: GlobalIndex) -> Option<&GlobalConstValue> {
    let defined = module.defined_global_index(index)?;
    if module.globals[index].mutability {
        return None;
    }
    let found = module
        .global_initializers
        .binary_search_by_key(&defined, |(defined, _)| *defined)
        .ok()?;
    Some(&module.global_initializers[found].1)
}

fn global_value(out: &mut Writer, module: &Module, index: GlobalIndex) {
    serialize(out, &constant_value(module, index));
}

fn tag_location(out: &mut Writer, module: &Module, offsets: &VMOffsets<u8>, index: TagIndex) {
    out.word(index.as_u32());
    match module.defined_tag_index(index) {
        Some(defined) => {
            out.word(defined.as_u32());
            out.word(offsets.vmctx_vmtag_definition(defined));
        }
        None => {
            out.word(u32::MAX);
            out.word(offsets.vmctx_vmtag_import(index));
        }
    }
}
