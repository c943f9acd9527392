//! Parsing: the module without its function bodies, as Wasmtime reads it.

use crate::fingerprint::EngineCompiler;
use crate::padded::Padded;
use crate::stencil::ModuleFacts;
use std::ops::Deref;
use std::sync::OnceLock;
use wasmparser::{
    BranchHint, FuncToValidate, FunctionBody, SectionLimited, ValidatorResources,
    WasmModuleResources as _,
};
use wasmtime_environ::error::{Context as _, Result};
use wasmtime_environ::{
    DefinedFuncIndex, FuncIndex, FunctionBodyData, GlobalConstValue, MemoryInit, MemoryInitializer,
    ModuleEnvironment, ModuleTranslation, ModuleTypesBuilder, PrimaryMap, StaticModuleIndex,
};

/// A module whose sections have been read and validated, its function bodies not.
pub(crate) struct ParsedModule<'w> {
    pub(crate) translation: ModuleTranslation<'w>,
    pub(crate) types: ModuleTypesBuilder,
    pub(crate) facts: ModuleFacts,
    bodies: PrimaryMap<DefinedFuncIndex, FunctionBodyData<'w>>,
    /// Made when a function is compiled that needs it; `None` if there is none.
    padded: OnceLock<Option<Box<Padded>>>,
}

type Parsed<'w> = ParsedModule<'w>;

self_cell::self_cell!(
    /// A parsed module with the bytes that it was parsed from.
    pub(crate) struct OwnedModule {
        owner: Vec<u8>,
        #[covariant]
        dependent: Parsed,
    }
);

impl<'w> ParsedModule<'w> {
    /// Reads `wasm` the way `build_module_artifacts` in `wasmtime/src/compile.rs`
    /// does up to the compilation of functions.
    ///
    /// # Errors
    ///
    /// Wasmtime's own, for what its own parsing refuses.
    pub(crate) fn parse(engine: &EngineCompiler, wasm: &'w [u8]) -> Result<ParsedModule<'w>> {
        let mut parser = wasmparser::Parser::new(0);
        let mut validator = wasmparser::Validator::new_with_features(engine.features);
        parser.set_features(*validator.features());
        let mut types = ModuleTypesBuilder::new(&validator);
        let mut translation = ModuleEnvironment::new(
            &engine.tunables,
            &mut validator,
            &mut types,
            StaticModuleIndex::from_u32(0),
        )
        .translate(parser, wasm)
        .context("failed to parse WebAssembly module")?;
        let data_start = data_start(&translation);
        let align = engine.compiler().page_size_align();
        translation.finalize_memory_init(
            &engine.tunables,
            align,
            engine.dense_image_size,
            &mut types,
        );
        translation.finalize_table_init(&engine.tunables, &mut types);
        let bodies = std::mem::take(&mut translation.function_body_inputs);
        let resources = bodies
            .values()
            .next()
            .map(|body| body.validator.resources.clone());
        let facts = ModuleFacts::new(&translation, &types, resources, engine, data_start);
        Ok(ParsedModule {
            translation,
            types,
            facts,
            bodies,
            padded: OnceLock::new(),
        })
    }

    /// The same of bytes that stay with the module.
    pub(crate) fn parse_owned(engine: &EngineCompiler, wasm: Vec<u8>) -> Result<OwnedModule> {
        OwnedModule::try_new(wasm, |wasm| ParsedModule::parse(engine, wasm))
    }

    /// The padded module, if there can be one.
    pub(crate) fn padded(&self, engine: &EngineCompiler) -> Option<Source<'_>> {
        let pad = || Padded::of(engine, self).map(Box::new);
        let padded = self.padded.get_or_init(pad);
        padded.as_ref().map(|padded| padded.source())
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

/// A parsed module, and the bodies that go with it: its own, or others.
#[derive(Clone, Copy)]
pub(crate) struct Source<'s> {
    module: &'s ParsedModule<'s>,
    /// In place of the module's own; as many.
    bodies: Option<&'s [FunctionBody<'s>]>,
}

impl<'s> Source<'s> {
    pub(crate) fn of(module: &'s ParsedModule<'s>) -> Source<'s> {
        Source {
            module,
            bodies: None,
        }
    }

    /// `module` with other `bodies`; `None` if they are more or fewer than its own.
    pub(crate) fn with_bodies(
        module: &'s ParsedModule<'s>,
        bodies: &'s [FunctionBody<'s>],
    ) -> Option<Source<'s>> {
        (bodies.len() == module.bodies.len()).then_some(Source {
            module,
            bodies: Some(bodies),
        })
    }

    pub(crate) fn body(&self, function: DefinedFuncIndex) -> &'s FunctionBody<'s> {
        match self.bodies {
            Some(bodies) => &bodies[function.as_u32() as usize],
            None => &self.module.bodies[function].body,
        }
    }

    /// The module with its own bodies.
    pub(crate) fn module(&self) -> &'s ParsedModule<'s> {
        self.module
    }

    /// The padded module, if there can be one.
    pub(crate) fn padded(&self, engine: &EngineCompiler) -> Option<Source<'s>> {
        self.module.padded(engine)
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
