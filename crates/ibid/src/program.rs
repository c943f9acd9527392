//! What is compiled: a core module, or a component with all the core modules in it.

use crate::bodies::Scan;
use crate::fingerprint::EngineCompiler;
use crate::link::{Described, DescribedModule, SerializedTypes};
use crate::module::{Edited, ParsedModule, Prepared, Source};
use crate::stencil::TypeFacts;
use std::sync::Arc;
use wasmparser::{Parser, Validator};
use wasmtime_environ::component::{
    ComponentTranslation, ComponentTypesBuilder, Translator, VMComponentOffsets,
};
use wasmtime_environ::error::{Context as _, Result};
use wasmtime_environ::{
    ModuleEnvironment, ModuleTranslation, ModuleTypesBuilder, PrimaryMap, ScopeVec,
    StaticModuleIndex,
};

/// A parsed input: its core modules, and what is around them. Function bodies have not been
/// read.
pub(crate) struct Program<'w> {
    modules: PrimaryMap<StaticModuleIndex, ParsedModule<'w>>,
    around: Around,
    type_facts: Arc<TypeFacts>,
}

/// What an input is compiled as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Module,
    Component,
}

impl Kind {
    /// What the header of `wasm` says that it is.
    pub(crate) fn of(wasm: &[u8]) -> Kind {
        if Parser::is_component(wasm) {
            Kind::Component
        } else {
            Kind::Module
        }
    }
}

/// What is around core modules.
enum Around {
    /// Nothing: there is one module, and these are its types.
    Module(Box<ModuleTypesBuilder>),
    Component(Box<ParsedComponent>),
}

/// A component without its core modules.
pub(crate) struct ParsedComponent {
    pub(crate) translation: ComponentTranslation,
    pub(crate) types: ComponentTypesBuilder,
    /// Where everything lies in its instances.
    pub(crate) offsets: VMComponentOffsets<u8>,
}

impl<'w> Program<'w> {
    /// Reads `wasm` as what it is said to be. A component may import Wasmtime's unsafe
    /// intrinsics under the name `intrinsics`; the adapter modules that Wasmtime makes for it
    /// are put into `scope`.
    ///
    /// # Errors
    ///
    /// Wasmtime's own, for what its own parsing refuses.
    pub(crate) fn parse(
        engine: &EngineCompiler,
        kind: Kind,
        intrinsics: Option<&str>,
        wasm: &'w [u8],
        scope: &'w ScopeVec<u8>,
    ) -> Result<Program<'w>> {
        match kind {
            Kind::Module => Program::module(engine, wasm),
            Kind::Component => Program::component(engine, intrinsics, wasm, scope),
        }
    }

    /// Reads `wasm` the way `build_module_artifacts` in `wasmtime/src/compile.rs` does up to
    /// the compilation of functions.
    pub(crate) fn module(engine: &EngineCompiler, wasm: &'w [u8]) -> Result<Program<'w>> {
        Program::module_behind(engine, &[], wasm, StaticModuleIndex::from_u32(0), |_| {})
    }

    /// The same of a module that is one of several: the types of `before`, a module too, come
    /// before its own, it has the number `number`, and `adjust` says what is known of it.
    pub(crate) fn module_behind(
        engine: &EngineCompiler,
        before: &[u8],
        wasm: &'w [u8],
        number: StaticModuleIndex,
        adjust: impl FnOnce(&mut ModuleTranslation<'w>),
    ) -> Result<Program<'w>> {
        let mut validator = Validator::new_with_features(engine.features);
        let mut types = ModuleTypesBuilder::new(&validator);
        if !before.is_empty() {
            translate(engine, &mut validator, &mut types, before, number)?;
            validator.reset();
        }
        let mut translation = translate(engine, &mut validator, &mut types, wasm, number)?;
        adjust(&mut translation);
        let prepared = Prepared::of(engine, translation, &mut types);
        let type_facts = Arc::new(TypeFacts::of(&types));
        let mut modules = PrimaryMap::new();
        modules.push(prepared.parsed(engine, &type_facts));
        Ok(Program {
            modules,
            around: Around::Module(Box::new(types)),
            type_facts,
        })
    }

    /// Reads `wasm` the way `build_component_artifacts` in `wasmtime/src/compile.rs` does up
    /// to the compilation of functions.
    fn component(
        engine: &EngineCompiler,
        intrinsics: Option<&str>,
        wasm: &'w [u8],
        scope: &'w ScopeVec<u8>,
    ) -> Result<Program<'w>> {
        let mut validator = Validator::new_with_features(engine.features);
        let mut types = ComponentTypesBuilder::new(&validator);
        let mut translator = Translator::new(&engine.tunables, &mut validator, &mut types, scope);
        if let Some(import) = intrinsics {
            translator.expose_unsafe_intrinsics(import);
        }
        let (translation, modules) = translator
            .translate(wasm)
            .context("failed to parse WebAssembly module")?;
        let prepared: Vec<Prepared<'w>> = modules
            .into_iter()
            .map(|(_, module)| Prepared::of(engine, module, types.module_types_builder_mut()))
            .collect();
        let type_facts = Arc::new(TypeFacts::of(types.module_types_builder()));
        let modules = prepared
            .into_iter()
            .map(|module| module.parsed(engine, &type_facts))
            .collect();
        let offsets = VMComponentOffsets::new(engine.isa.pointer_bytes(), &translation.component);
        Ok(Program {
            modules,
            around: Around::Component(Box::new(ParsedComponent {
                translation,
                types,
                offsets,
            })),
            type_facts,
        })
    }

    /// The module, or a component's first one.
    pub(crate) fn first(&self) -> &ParsedModule<'w> {
        &self.modules[StaticModuleIndex::from_u32(0)]
    }

    /// The types of all core modules.
    pub(crate) fn types(&self) -> &ModuleTypesBuilder {
        match &self.around {
            Around::Module(types) => types,
            Around::Component(component) => component.types.module_types_builder(),
        }
    }

    /// Each module as it was read.
    pub(crate) fn sources(&self) -> Vec<Source<'_>> {
        let types = self.types();
        let modules = self.modules.values();
        modules.map(|module| Source::of(module, types)).collect()
    }

    /// Each module with the bodies that `scan` found, of an input that is the same but for
    /// bodies; those that Wasmtime makes as they are. `None` if they do not fit.
    pub(crate) fn edited<'s>(&'s self, scan: &'s Scan<'s>) -> Option<Vec<Source<'s>>> {
        let mut sources = self.sources();
        let found = scan.modules.len();
        for (source, module) in sources.get_mut(..found)?.iter_mut().zip(&scan.modules) {
            *source = source.edited(Edited {
                bodies: &module.bodies,
                code_start: module.code_start,
            })?;
        }
        Some(sources)
    }

    /// All of it, with `sources` for its modules.
    pub(crate) fn with<'s>(&'s self, sources: &'s [Source<'s>]) -> Whole<'s> {
        Whole {
            modules: sources,
            component: match &self.around {
                Around::Module(_) => None,
                Around::Component(component) => Some(component),
            },
            types: self.types(),
            type_facts: &self.type_facts,
        }
    }

    /// What the artifact says of it.
    pub(crate) fn described<'s>(
        &'s self,
        sources: &[Source<'s>],
        input: &'s [u8],
    ) -> Described<'s> {
        let modules = sources.iter().map(|source| DescribedModule {
            module: source.module(),
            code_start: source.code_start(),
        });
        Described {
            modules: modules.collect(),
            component: match &self.around {
                Around::Module(_) => None,
                Around::Component(component) => Some(&component.translation),
            },
            input,
        }
    }

    /// Its types, ready to be written, and all the rest of it.
    pub(crate) fn finish(self) -> Result<(SerializedTypes, Finished<'w>)> {
        let (types, component) = match self.around {
            Around::Module(types) => (SerializedTypes::of_module(&types.finish())?, None),
            Around::Component(component) => {
                let ParsedComponent {
                    translation, types, ..
                } = *component;
                let (types, ty) = types.finish(&translation.component);
                (
                    SerializedTypes::of_component(ty, &types)?,
                    Some(translation),
                )
            }
        };
        let modules = self.modules;
        Ok((types, Finished { modules, component }))
    }

    /// Has every module say that it needs a GC heap, if the code `needs` one.
    pub(crate) fn say_gc_heap(&mut self, needs: bool) {
        for module in self.modules.values_mut() {
            module.translation.module.needs_gc_heap |= needs;
        }
    }
}

/// A program whose types are finished.
pub(crate) struct Finished<'w> {
    modules: PrimaryMap<StaticModuleIndex, ParsedModule<'w>>,
    component: Option<ComponentTranslation>,
}

impl Finished<'_> {
    /// What the artifact says of it.
    pub(crate) fn described<'s>(&'s self, input: &'s [u8]) -> Described<'s> {
        let modules = self.modules.values().map(|module| DescribedModule {
            module,
            code_start: module.code_start(),
        });
        Described {
            modules: modules.collect(),
            component: self.component.as_ref(),
            input,
        }
    }
}

fn translate<'w>(
    engine: &EngineCompiler,
    validator: &mut Validator,
    types: &mut ModuleTypesBuilder,
    wasm: &'w [u8],
    number: StaticModuleIndex,
) -> Result<ModuleTranslation<'w>> {
    let mut parser = Parser::new(0);
    parser.set_features(*validator.features());
    ModuleEnvironment::new(&engine.tunables, validator, types, number)
        .translate(parser, wasm)
        .context("failed to parse WebAssembly module")
}

/// A whole program: its modules with their bodies.
#[derive(Clone, Copy)]
pub(crate) struct Whole<'s> {
    /// By number.
    pub(crate) modules: &'s [Source<'s>],
    pub(crate) component: Option<&'s ParsedComponent>,
    pub(crate) types: &'s ModuleTypesBuilder,
    pub(crate) type_facts: &'s TypeFacts,
}

impl<'s> Whole<'s> {
    pub(crate) fn module(&self, number: StaticModuleIndex) -> Source<'s> {
        self.modules[number.as_u32() as usize]
    }
}
