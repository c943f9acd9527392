//! What a program needs compiled: its functions and the trampolines around them.

use crate::bytes::Writer;
use crate::module::ParsedModule;
use crate::program::{ParsedComponent, Whole};
use crate::stencil::{FunctionParameters, FunctionStencil, KeyFact, StencilKind};
use std::collections::HashMap;
use std::fmt;
use wasmtime_environ::component::{
    ComponentTranslation, GlobalInitializer, InterfaceType, Trampoline, TrampolineIndex,
    TypeResourceTable, TypeResourceTableIndex, TypeStreamTableIndex, UnsafeIntrinsic,
};
use wasmtime_environ::{
    Abi, BuiltinFunctionIndex, DefinedFuncIndex, FuncIndex, FuncKey, MemoryInit,
    MemorySegmentOffset, ModuleInternedTypeIndex, ModuleStartup, StaticModuleIndex,
};

/// One function of the artifact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Job {
    Function(StaticModuleIndex, DefinedFuncIndex),
    ArrayToWasm(StaticModuleIndex, DefinedFuncIndex),
    WasmToArray(ModuleInternedTypeIndex),
    Builtin(BuiltinFunctionIndex),
    /// A trampoline of the component.
    Trampoline(Abi, TrampolineIndex),
    ResourceDrop,
    Intrinsic(Abi, UnsafeIntrinsic),
    Startup(Abi, StaticModuleIndex),
}

/// The longest part of a function's name that goes into its symbol, in bytes.
const LONGEST_NAME: usize = 96;

impl Job {
    /// All of `program` but the trampolines of builtins, which only the code shows a
    /// need of (`CompileInputs` in `wasmtime/src/compile.rs`).
    pub(crate) fn all(program: Whole<'_>) -> Vec<Job> {
        let mut jobs = Vec::new();
        for module in program.modules {
            let number = module.number();
            let functions = module.defined_functions();
            jobs.extend(functions.map(|function| Job::Function(number, function)));
        }
        for module in program.modules {
            let number = module.number();
            let escaping = module.defined_functions().filter(|function| {
                let index = module.function_index(*function);
                module.translation.module.functions[index].is_escaping()
            });
            jobs.extend(escaping.map(|function| Job::ArrayToWasm(number, function)));
        }
        let mut trampolines: Vec<_> = program
            .types
            .trampoline_types()
            .map(|(_function_type, trampoline)| trampoline)
            .collect();
        trampolines.sort_unstable();
        trampolines.dedup();
        jobs.extend(trampolines.into_iter().map(Job::WasmToArray));
        if let Some(component) = program.component {
            jobs.extend(Job::of_component(component, program));
        }
        for module in program.modules {
            if !module.translation.module.startup.is_none() {
                let number = module.number();
                jobs.extend([Abi::Wasm, Abi::Array].map(|abi| Job::Startup(abi, number)));
            }
        }
        jobs
    }

    /// What the component itself needs (`CompileInputs::for_component`).
    fn of_component<'p>(
        component: &'p ParsedComponent,
        program: Whole<'_>,
    ) -> impl Iterator<Item = Job> + use<'p> {
        let inner = &component.translation.component;
        let both = [Abi::Wasm, Abi::Array];
        let trampolines = component.translation.trampolines.keys();
        let trampolines =
            trampolines.flat_map(move |index| both.map(|abi| Job::Trampoline(abi, index)));
        let drops = inner.num_resources > 0;
        let drops = drops && program.types.find_resource_drop_signature().is_some();
        let intrinsics = (0..).zip(inner.unsafe_intrinsics.iter());
        let intrinsics = intrinsics
            .filter(|(_, ty)| ty.is_some())
            .map(|(number, _)| UnsafeIntrinsic::from_u32(number))
            .flat_map(move |intrinsic| both.map(|abi| Job::Intrinsic(abi, intrinsic)));
        trampolines
            .chain(drops.then_some(Job::ResourceDrop))
            .chain(intrinsics)
    }

    pub(crate) fn key(self) -> FuncKey {
        match self {
            Job::Function(module, function) => FuncKey::DefinedWasmFunction(module, function),
            Job::ArrayToWasm(module, function) => FuncKey::ArrayToWasmTrampoline(module, function),
            Job::WasmToArray(ty) => FuncKey::WasmToArrayTrampoline(ty),
            Job::Builtin(builtin) => FuncKey::WasmToBuiltinTrampoline(builtin),
            Job::Trampoline(abi, index) => FuncKey::ComponentTrampoline(abi, index),
            Job::ResourceDrop => FuncKey::ResourceDropTrampoline,
            Job::Intrinsic(abi, intrinsic) => FuncKey::UnsafeIntrinsic(abi, intrinsic),
            Job::Startup(abi, module) => FuncKey::ModuleStartup(abi, module),
        }
    }

    pub(crate) fn is_function(self) -> bool {
        matches!(self, Job::Function(..))
    }

    /// The module whose functions its callee slots name.
    pub(crate) fn module(self) -> Option<StaticModuleIndex> {
        match self {
            Job::Function(module, _) | Job::ArrayToWasm(module, _) | Job::Startup(_, module) => {
                Some(module)
            }
            Job::WasmToArray(_)
            | Job::Builtin(_)
            | Job::Trampoline(..)
            | Job::ResourceDrop
            | Job::Intrinsic(..) => None,
        }
    }

    /// What [`FunctionParameters::WASM_CALL`] stands for.
    pub(crate) fn wasm_call(self) -> Option<FuncKey> {
        match self {
            Job::Trampoline(_, index) => Some(FuncKey::ComponentTrampoline(Abi::Wasm, index)),
            Job::Intrinsic(_, intrinsic) => Some(FuncKey::UnsafeIntrinsic(Abi::Wasm, intrinsic)),
            Job::Startup(_, module) => Some(FuncKey::ModuleStartup(Abi::Wasm, module)),
            Job::Function(..)
            | Job::ArrayToWasm(..)
            | Job::WasmToArray(_)
            | Job::Builtin(_)
            | Job::ResourceDrop => None,
        }
    }

    /// The function that a callee slot names with `callee`.
    pub(crate) fn callee(self, program: Whole<'_>, callee: u32) -> Option<FuncKey> {
        if callee == FunctionParameters::WASM_CALL {
            return self.wasm_call();
        }
        program.module(self.module()?).facts.target(callee)
    }

    /// The name of the symbol that Wasmtime gives it.
    pub(crate) fn symbol(self, program: Whole<'_>) -> String {
        let mut symbol = Vec::new();
        let modules = program.modules.iter().map(|module| module.module());
        let component = program.component.map(|component| &component.translation);
        Names::new(modules, component).write_symbol(self, &mut symbol);
        String::from_utf8(symbol).expect("names are text")
    }

    /// The stencil and parameters of a trampoline; `None` for a function, which has
    /// a body to be split.
    pub(crate) fn trampoline(
        self,
        program: Whole<'_>,
    ) -> Option<(FunctionStencil, FunctionParameters)> {
        let mut facts = Writer::default();
        let wasm_call = || vec![FunctionParameters::WASM_CALL];
        let (kind, callees) = match self {
            Job::Function(..) => return None,
            // `Compiler::array_to_wasm_trampoline` reads the signature and calls.
            Job::ArrayToWasm(module, function) => {
                let module = program.module(module);
                let index = module.function_index(function).as_u32();
                let signature = module.facts.signature(index)?;
                facts.fact(KeyFact::ArrayToWasmSignature, |facts| {
                    facts.raw(&signature.0)
                });
                (StencilKind::ArrayToWasm, vec![index])
            }
            // `Compiler::compile_wasm_to_array_trampoline` reads the signature.
            Job::WasmToArray(ty) => {
                let signature = program.type_facts.interned(ty);
                facts.fact(KeyFact::WasmToArraySignature, |facts| {
                    facts.raw(&signature.0)
                });
                (StencilKind::WasmToArray, Vec::new())
            }
            // Of the first type that takes an `i32` and gives nothing; there is one shape of
            // those.
            Job::ResourceDrop => (StencilKind::ResourceDrop, Vec::new()),
            // `Compiler::compile_wasm_to_builtin` reads which builtin it is.
            Job::Builtin(builtin) => {
                facts.fact(KeyFact::BuiltinNumber, |facts| facts.word(builtin.index()));
                (StencilKind::Builtin, Vec::new())
            }
            Job::Trampoline(abi, index) => {
                component_trampoline(&mut facts, program.component?, abi, index)?;
                match abi {
                    Abi::Array => (StencilKind::ComponentArrayCall, wasm_call()),
                    _ => (StencilKind::ComponentTrampoline, Vec::new()),
                }
            }
            // `Compiler::compile_intrinsic` reads which one it is.
            Job::Intrinsic(abi, intrinsic) => {
                facts.word(u32::from(abi == Abi::Array));
                facts.fact(KeyFact::IntrinsicNumber, |facts| {
                    facts.word(intrinsic.index())
                });
                component_places(&mut facts, program.component?);
                let callees = match abi {
                    Abi::Array => wasm_call(),
                    _ => Vec::new(),
                };
                (StencilKind::Intrinsic, callees)
            }
            // A thin shim around the other.
            Job::Startup(Abi::Array, module) => {
                let module = program.module(module);
                facts.raw(&program.type_facts.interned(startup_type(&module)?).0);
                (StencilKind::StartupArrayCall, wasm_call())
            }
            Job::Startup(_, module) => {
                let module = program.module(module);
                startup_facts(&mut facts, &module)?;
                (StencilKind::Startup, called_at_startup(&module))
            }
        };
        let parameters = FunctionParameters::without_source(callees);
        Some((FunctionStencil::trampoline(kind, facts), parameters))
    }
}

/// What the names of symbols are made of.
pub(crate) struct Names<'t> {
    /// By number.
    modules: Vec<ModuleNames<'t>>,
    component: Option<&'t ComponentTranslation>,
}

struct ModuleNames<'t> {
    functions: &'t HashMap<FuncIndex, &'t str>,
    /// How many functions come before those that the module defines.
    imported: u32,
}

impl<'t> Names<'t> {
    /// The names in `modules`, and in the component around them.
    pub(crate) fn new(
        modules: impl Iterator<Item = &'t ParsedModule<'t>>,
        component: Option<&'t ComponentTranslation>,
    ) -> Names<'t> {
        let names = |module: &'t ParsedModule<'t>| ModuleNames {
            functions: &module.translation.debuginfo.name_section.func_names,
            imported: module.translation.module.num_imported_funcs as u32,
        };
        Names {
            modules: modules.map(names).collect(),
            component,
        }
    }

    /// Appends the name of the symbol that Wasmtime gives `job` (`CompileInputs` and the
    /// functions that it calls, in `wasmtime/src/compile.rs`).
    pub(crate) fn write_symbol(&self, job: Job, out: &mut Vec<u8>) {
        let module = |number: StaticModuleIndex| &self.modules[number.as_u32() as usize];
        match job {
            Job::Function(number, function) => {
                let module = module(number);
                let index = module.imported + function.as_u32();
                write_numbered(out, b"wasm[", number.as_u32(), b"]::function[");
                write_numbered(out, b"", index, b"]");
                if let Some(name) = module.functions.get(&FuncIndex::from_u32(index)) {
                    out.extend_from_slice(b"::");
                    clean(name, out);
                }
            }
            Job::ArrayToWasm(number, function) => {
                let index = module(number).imported + function.as_u32();
                let trampoline = b"]::array_to_wasm_trampoline[";
                write_numbered(out, b"wasm[", number.as_u32(), trampoline);
                write_numbered(out, b"", index, b"]");
            }
            Job::WasmToArray(ty) => {
                write_numbered(
                    out,
                    b"signatures[",
                    ty.as_u32(),
                    b"]::wasm_to_array_trampoline",
                );
            }
            Job::Builtin(builtin) => {
                out.extend_from_slice(b"wasmtime_builtin_");
                out.extend_from_slice(builtin.name().as_bytes());
            }
            Job::Trampoline(abi, index) => {
                write_numbered(out, b"component-trampolines[", index.as_u32(), b"]-");
                out.extend_from_slice(call(abi));
                let trampoline = self
                    .component
                    .and_then(|component| component.trampolines.get(index));
                let name = trampoline.map(Trampoline::symbol_name).unwrap_or_default();
                out.extend_from_slice(name.as_bytes());
            }
            Job::ResourceDrop => out.extend_from_slice(b"resource_drop_trampoline"),
            Job::Intrinsic(abi, intrinsic) => {
                out.extend_from_slice(b"unsafe-intrinsics-");
                out.extend_from_slice(call(abi));
                out.extend_from_slice(intrinsic.name().as_bytes());
            }
            Job::Startup(abi, module) => {
                write_numbered(out, b"module_start[", module.as_u32(), b"]::");
                out.extend_from_slice(format!("{abi:?}").as_bytes());
            }
        }
    }
}

/// What the symbol of a component's function says of its ABI.
fn call(abi: Abi) -> &'static [u8] {
    match abi {
        Abi::Wasm => b"wasm-call-",
        Abi::Array => b"array-call-",
        Abi::Patchable => b"patchable-call-",
    }
}

fn write_numbered(out: &mut Vec<u8>, before: &[u8], number: u32, behind: &[u8]) {
    out.extend_from_slice(before);
    let mut digits = [0; 10];
    let (mut at, mut rest) = (digits.len(), number);
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
    out.extend_from_slice(behind);
}

/// Appends a name as `CompileInputs::clean_symbol` makes it: graphic ASCII only, runs of
/// anything else become one `?`.
fn clean(name: &str, out: &mut Vec<u8>) {
    if name.bytes().all(|byte| byte.is_ascii_graphic()) {
        out.extend_from_slice(&name.as_bytes()[..name.len().min(LONGEST_NAME)]);
        return;
    }
    let mut last = '\0';
    let cleaned = name
        .chars()
        .map(|c| if c.is_ascii_graphic() { c } else { '?' })
        .filter(|c| {
            let skip = last == '?' && *c == '?';
            last = *c;
            !skip
        })
        .take(LONGEST_NAME);
    out.extend(cleaned.map(|c| c as u8));
}

/// All that `compile_component_trampoline` and `TrampolineCompiler` in
/// `wasmtime-internal-cranelift/src/compiler/component.rs` read about a trampoline. The debug
/// forms hold every field. The array-call function is a shim around the other.
fn component_trampoline(
    facts: &mut Writer,
    component: &ParsedComponent,
    abi: Abi,
    index: TrampolineIndex,
) -> Option<()> {
    let (inner, types) = (&component.translation.component, &component.types);
    let signature = types[*inner.trampolines.get(index)?].unwrap_func();
    text_fact(facts, KeyFact::TrampolineSignature, signature);
    component_places(facts, component);
    if abi == Abi::Array {
        return Some(());
    }
    let trampoline = component.translation.trampolines.get(index)?;
    text_fact(facts, KeyFact::TrampolineKind, trampoline);
    match trampoline {
        // `check_may_leave` reads the instance.
        Trampoline::LowerImport { options, .. } => {
            let options = inner.options.get(*options)?;
            text_fact(facts, KeyFact::TrampolineOptions, options);
        }
        Trampoline::ResourceDrop { ty, .. } => resource(facts, component, *ty)?,
        Trampoline::StreamRead { ty, .. } | Trampoline::StreamWrite { ty, .. } => {
            text_fact(facts, KeyFact::TrampolinePayload, &payload(component, *ty));
        }
        _ => {}
    }
    Some(())
}

/// What `translate_resource_drop` reads about the resources of the table `ty`.
fn resource(
    facts: &mut Writer,
    component: &ParsedComponent,
    ty: TypeResourceTableIndex,
) -> Option<()> {
    let inner = &component.translation.component;
    let TypeResourceTable::Concrete { ty, instance } = component.types[ty] else {
        return None;
    };
    let defined = inner.defined_resource_index(ty);
    let mut initializers = inner.initializers.iter();
    let definition = initializers.find_map(|initializer| match initializer {
        GlobalInitializer::Resource(resource) if Some(resource.index) == defined => {
            Some((resource.dtor.is_some(), resource.instance))
        }
        _ => None,
    });
    let read = (ty, instance, defined, definition);
    text_fact(facts, KeyFact::TrampolineResource, &read);
    Some(())
}

/// What `flat_stream_element_info` reads about the streams of the table `ty`: what they carry,
/// which is written out if it is a primitive.
fn payload(component: &ParsedComponent, ty: TypeStreamTableIndex) -> Option<InterfaceType> {
    let types = &component.types;
    types[types[ty].ty].payload
}

/// Where everything lies in the component's instance.
fn component_places(facts: &mut Writer, component: &ParsedComponent) {
    text_fact(facts, KeyFact::ComponentPlaces, &component.offsets);
}

fn text_fact(facts: &mut Writer, fact: KeyFact, value: &impl fmt::Debug) {
    let text = format!("{value:?}");
    facts.fact(fact, |facts| {
        facts.u32(text.len());
        facts.raw(text.as_bytes());
    });
}

fn startup_type(module: &ParsedModule<'_>) -> Option<ModuleInternedTypeIndex> {
    match module.translation.module.startup {
        ModuleStartup::None => None,
        ModuleStartup::Always(ty) | ModuleStartup::IfMemoriesNeedInit(ty) => {
            Some(ty.unwrap_module_type_index())
        }
    }
}

/// All that `FuncEnvironment::translate_module_startup` goes through, and the whole
/// module around it. The debug forms hold every field.
fn startup_facts(facts: &mut Writer, module: &ParsedModule<'_>) -> Option<()> {
    let translation = &module.translation;
    facts.raw(&module.facts.everything().0);
    let MemoryInit::Processed(segments) = &translation.memory_init else {
        return None;
    };
    let mut part = |fact: KeyFact, text: String| {
        facts.fact(fact, |facts| {
            facts.u32(text.len());
            facts.raw(text.as_bytes());
        });
    };
    let globals = format!("{:?}", translation.global_initializers);
    part(KeyFact::StartupGlobals, globals);
    let elements = format!("{:?}", translation.passive_elements);
    part(KeyFact::StartupElements, elements);
    let tables = format!("{:?}", translation.table_initialization);
    part(KeyFact::StartupTables, tables);
    let tables = format!("{:?}", translation.module.tables);
    part(KeyFact::StartupTableTypes, tables);
    let call = format!(
        "{:?} {:?}",
        translation.start_func, translation.module.startup
    );
    part(KeyFact::StartupCall, call);
    for (memory, offset, data) in segments {
        let offset = match offset {
            MemorySegmentOffset::Static(offset) => format!("static {offset}"),
            MemorySegmentOffset::Expr(expression) => format!("computed {expression:?}"),
        };
        part(
            KeyFact::StartupData,
            format!("{memory:?} {offset} {data:?}"),
        );
    }
    Some(())
}

/// The start function, when it is known which one it is: it is called directly.
fn called_at_startup(module: &ParsedModule<'_>) -> Vec<u32> {
    let start = module.translation.start_func.map(|index| index.as_u32());
    let is_known = |index: &u32| module.facts.target(*index).is_some();
    start.into_iter().filter(is_known).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cleaned_as_wasmtime_does() {
        let cleaned = |name: &str| {
            let mut out = Vec::new();
            clean(name, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(cleaned("plain::name<T>"), "plain::name<T>");
        assert_eq!(cleaned("a b  c"), "a?b?c");
        assert_eq!(cleaned("\u{fc}ber\u{1f600}\u{1f600}x"), "?ber?x");
        assert_eq!(cleaned(&"x".repeat(200)).len(), LONGEST_NAME);
        assert_eq!(
            cleaned(&format!("{} ", "y".repeat(200))).len(),
            LONGEST_NAME
        );
    }

    #[test]
    fn numbers_are_decimal() {
        for number in [0, 7, 10, 4_294_967_295] {
            let mut out = Vec::new();
            write_numbered(&mut out, b"<", number, b">");
            assert_eq!(out, format!("<{number}>").as_bytes());
        }
    }
}
