//! A core module without its function bodies, as Wasmtime reads it.

use crate::fingerprint::EngineCompiler;
use crate::padded::Padded;
use crate::stencil::{ModuleFacts, TypeFacts};
use std::ops::Deref;
use std::sync::{Arc, OnceLock};
use wasmparser::{
    BranchHint, FuncToValidate, FunctionBody, SectionLimited, ValidatorResources,
    WasmModuleResources as _,
};
use wasmtime_environ::{
    DefinedFuncIndex, FuncIndex, FunctionBodyData, GlobalConstValue, MemoryInit, MemoryInitializer,
    ModuleTranslation, ModuleTypesBuilder, PrimaryMap, StaticModuleIndex,
};

/// A module whose sections have been read and validated, its function bodies not.
pub(crate) struct ParsedModule<'w> {
    pub(crate) translation: ModuleTranslation<'w>,
    pub(crate) facts: ModuleFacts,
    bodies: PrimaryMap<DefinedFuncIndex, FunctionBodyData<'w>>,
    /// Made when a function is compiled that needs it; `None` if there is none.
    padded: OnceLock<Option<Box<Padded>>>,
}

/// A module that Wasmtime has translated and prepared.
pub(crate) struct Prepared<'w> {
    translation: ModuleTranslation<'w>,
    /// The lowest address that the module writes data to; 0 if that is not known.
    data_start: u64,
}

impl<'w> Prepared<'w> {
    /// Prepares `translation` (`prepare_translation` in `wasmtime/src/compile.rs`).
    pub(crate) fn of(
        engine: &EngineCompiler,
        mut translation: ModuleTranslation<'w>,
        types: &mut ModuleTypesBuilder,
    ) -> Prepared<'w> {
        let data_start = data_start(&translation);
        let align = engine.compiler().page_size_align();
        translation.finalize_memory_init(&engine.tunables, align, engine.dense_image_size, types);
        translation.finalize_table_init(&engine.tunables, types);
        Prepared {
            translation,
            data_start,
        }
    }

    /// The module with its facts; `types` are those of all modules together.
    pub(crate) fn parsed(
        self,
        engine: &EngineCompiler,
        types: &Arc<TypeFacts>,
    ) -> ParsedModule<'w> {
        let mut translation = self.translation;
        let bodies = std::mem::take(&mut translation.function_body_inputs);
        let resources = bodies
            .values()
            .next()
            .map(|body| body.validator.resources.clone());
        let facts = ModuleFacts::new(&translation, types, resources, engine, self.data_start);
        ParsedModule {
            translation,
            facts,
            bodies,
            padded: OnceLock::new(),
        }
    }
}

impl<'w> ParsedModule<'w> {
    /// Its number among the modules that are compiled together.
    pub(crate) fn number(&self) -> StaticModuleIndex {
        self.translation.module_index()
    }

    /// The type index of the first function: an imported one, if there is any.
    pub(crate) fn first_function_type(&self) -> Option<u32> {
        let first = self.bodies.values().next()?;
        first.validator.resources.type_index_of_function(0)
    }

    /// The function index (imports included) of a defined function.
    pub(crate) fn function_index(&self, function: DefinedFuncIndex) -> FuncIndex {
        self.translation.module.func_index(function)
    }

    /// Where the code section's contents begin in the input, in bytes.
    pub(crate) fn code_start(&self) -> u64 {
        self.translation.debuginfo.wasm_file.code_section_offset
    }

    pub(crate) fn defined_functions(&self) -> impl ExactSizeIterator<Item = DefinedFuncIndex> {
        self.bodies.keys()
    }

    pub(crate) fn branch_hints(
        &self,
        function: DefinedFuncIndex,
    ) -> Option<SectionLimited<'w, BranchHint>> {
        self.translation.branch_hints(self.function_index(function))
    }
}

/// The lowest address that an active data segment begins at; 0 if one is not known.
fn data_start(translation: &ModuleTranslation<'_>) -> u64 {
    let MemoryInit::Unprocessed(segments) = &translation.memory_init else {
        return 0;
    };
    let start = |segment: &MemoryInitializer<'_>| match segment.offset.const_eval() {
        Some(GlobalConstValue::I32(offset)) => u64::from(offset.cast_unsigned()),
        Some(GlobalConstValue::I64(offset)) => offset.cast_unsigned(),
        _ => 0,
    };
    segments.iter().map(start).min().unwrap_or(0)
}

/// A parsed module, the types that it shares with those around it, and the bodies that go
/// with it: its own, or others.
#[derive(Clone, Copy)]
pub(crate) struct Source<'s> {
    module: &'s ParsedModule<'s>,
    pub(crate) types: &'s ModuleTypesBuilder,
    edited: Option<Edited<'s>>,
}

/// What a module has in place of its own.
#[derive(Clone, Copy)]
pub(crate) struct Edited<'s> {
    /// As many as its own.
    pub(crate) bodies: &'s [FunctionBody<'s>],
    /// Where the code section's contents begin in the input.
    pub(crate) code_start: u64,
}

impl<'s> Source<'s> {
    pub(crate) fn of(module: &'s ParsedModule<'s>, types: &'s ModuleTypesBuilder) -> Source<'s> {
        Source {
            module,
            types,
            edited: None,
        }
    }

    /// The module with other bodies; `None` if they are more or fewer than its own.
    pub(crate) fn edited(self, edited: Edited<'s>) -> Option<Source<'s>> {
        (edited.bodies.len() == self.module.bodies.len()).then_some(Source {
            edited: Some(edited),
            ..self
        })
    }

    pub(crate) fn body(&self, function: DefinedFuncIndex) -> &'s FunctionBody<'s> {
        match self.edited {
            Some(edited) => &edited.bodies[function.as_u32() as usize],
            None => &self.module.bodies[function].body,
        }
    }

    /// Where the code section's contents begin in the input, in bytes.
    pub(crate) fn code_start(&self) -> u64 {
        let own = || self.module.code_start();
        self.edited.map_or_else(own, |edited| edited.code_start)
    }

    /// The module with its own bodies.
    pub(crate) fn module(&self) -> &'s ParsedModule<'s> {
        self.module
    }

    /// The padded module, if there can be one.
    pub(crate) fn padded(&self, engine: &EngineCompiler) -> Option<Source<'s>> {
        let pad = || Padded::of(engine, self).map(Box::new);
        let padded = self.module.padded.get_or_init(pad);
        padded.as_ref().map(|padded| padded.source())
    }

    /// The body with a validator for it, as the compiler takes it.
    pub(crate) fn body_input(&self, function: DefinedFuncIndex) -> FunctionBodyData<'s> {
        let validator = &self.module.bodies[function].validator;
        let validator: FuncToValidate<ValidatorResources> = FuncToValidate {
            resources: validator.resources.clone(),
            index: validator.index,
            ty: validator.ty,
            features: validator.features,
        };
        FunctionBodyData {
            body: self.body(function).clone(),
            validator,
        }
    }
}

impl<'s> Deref for Source<'s> {
    type Target = ParsedModule<'s>;

    fn deref(&self) -> &ParsedModule<'s> {
        self.module
    }
}
