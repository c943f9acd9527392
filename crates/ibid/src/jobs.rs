//! What a module needs compiled: its functions and the trampolines around them.

use crate::bytes::Writer;
use crate::module::ParsedModule;
use crate::stencil::{FunctionParameters, FunctionStencil, KeyFact, StencilKind};
use rustc_hash::FxHashSet;
use std::fmt::Write as _;
use wasmtime_environ::{
    Abi, BuiltinFunctionIndex, DefinedFuncIndex, FuncKey, MemoryInit, MemorySegmentOffset,
    ModuleInternedTypeIndex, ModuleStartup, StaticModuleIndex,
};

/// One function of the artifact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Job {
    Function(DefinedFuncIndex),
    ArrayToWasm(DefinedFuncIndex),
    WasmToArray(ModuleInternedTypeIndex),
    Builtin(BuiltinFunctionIndex),
    Startup(Abi),
}

/// The longest part of a function's name that goes into its symbol, in bytes.
const LONGEST_NAME: usize = 96;

impl Job {
    /// All of `module` but the trampolines of builtins, which only the code shows a
    /// need of (`CompileInputs::collect_inputs_in_translations` in
    /// `wasmtime/src/compile.rs`).
    pub(crate) fn all(module: &ParsedModule<'_>) -> Vec<Job> {
        let mut jobs = Vec::new();
        for function in module.defined_functions() {
            jobs.push(Job::Function(function));
            let index = module.function_index(function);
            if module.translation.module.functions[index].is_escaping() {
                jobs.push(Job::ArrayToWasm(function));
            }
        }
        if !module.translation.module.startup.is_none() {
            jobs.extend([Job::Startup(Abi::Wasm), Job::Startup(Abi::Array)]);
        }
        let mut seen = FxHashSet::default();
        for (_function_type, trampoline) in module.types.trampoline_types() {
            if seen.insert(trampoline) {
                jobs.push(Job::WasmToArray(trampoline));
            }
        }
        jobs
    }

    pub(crate) fn key(self) -> FuncKey {
        let module = StaticModuleIndex::from_u32(0);
        match self {
            Job::Function(function) => FuncKey::DefinedWasmFunction(module, function),
            Job::ArrayToWasm(function) => FuncKey::ArrayToWasmTrampoline(module, function),
            Job::WasmToArray(ty) => FuncKey::WasmToArrayTrampoline(ty),
            Job::Builtin(builtin) => FuncKey::WasmToBuiltinTrampoline(builtin),
            Job::Startup(abi) => FuncKey::ModuleStartup(abi, module),
        }
    }

    pub(crate) fn is_function(self) -> bool {
        matches!(self, Job::Function(_))
    }

    /// The name of the symbol that Wasmtime gives it.
    pub(crate) fn symbol(self, module: &ParsedModule<'_>) -> String {
        match self {
            Job::Function(function) => {
                let index = module.function_index(function);
                let mut symbol = format!("wasm[0]::function[{}]", index.as_u32());
                if let Some(name) = module
                    .translation
                    .debuginfo
                    .name_section
                    .func_names
                    .get(&index)
                {
                    let name = clean(name);
                    write!(symbol, "::{name}").expect("writing into a string cannot fail");
                }
                symbol
            }
            Job::ArrayToWasm(function) => {
                let index = module.function_index(function).as_u32();
                format!("wasm[0]::array_to_wasm_trampoline[{index}]")
            }
            Job::WasmToArray(ty) => {
                format!("signatures[{}]::wasm_to_array_trampoline", ty.as_u32())
            }
            Job::Builtin(builtin) => format!("wasmtime_builtin_{}", builtin.name()),
            Job::Startup(abi) => format!("module_start[0]::{abi:?}"),
        }
    }

    /// The stencil and parameters of a trampoline; `None` for a function, which has
    /// a body to be split.
    pub(crate) fn trampoline(
        self,
        module: &ParsedModule<'_>,
    ) -> Option<(FunctionStencil, FunctionParameters)> {
        let mut facts = Writer::default();
        let (kind, callees) = match self {
            Job::Function(_) => return None,
            // `Compiler::array_to_wasm_trampoline` reads the signature and calls.
            Job::ArrayToWasm(function) => {
                let index = module.function_index(function).as_u32();
                let signature = module.facts.signature(index)?;
                facts.fact(KeyFact::ArrayToWasmSignature, |facts| {
                    facts.raw(&signature.0)
                });
                (StencilKind::ArrayToWasm, vec![index])
            }
            // `Compiler::compile_wasm_to_array_trampoline` reads the signature.
            Job::WasmToArray(ty) => {
                let signature = module.facts.interned(ty);
                facts.fact(KeyFact::WasmToArraySignature, |facts| {
                    facts.raw(&signature.0)
                });
                (StencilKind::WasmToArray, Vec::new())
            }
            // `Compiler::compile_wasm_to_builtin` reads which builtin it is.
            Job::Builtin(builtin) => {
                facts.fact(KeyFact::BuiltinNumber, |facts| facts.word(builtin.index()));
                (StencilKind::Builtin, Vec::new())
            }
            // A thin shim around the other.
            Job::Startup(Abi::Array) => {
                facts.raw(&module.facts.interned(startup_type(module)?).0);
                (
                    StencilKind::StartupArrayCall,
                    vec![FunctionParameters::STARTUP],
                )
            }
            Job::Startup(_) => {
                startup_facts(&mut facts, module)?;
                (StencilKind::Startup, called_at_startup(module))
            }
        };
        let parameters = FunctionParameters::without_source(callees);
        Some((FunctionStencil::trampoline(kind, facts), parameters))
    }
}

/// `CompileInputs::clean_symbol`: graphic ASCII only, runs of anything else become
/// one `?`.
fn clean(name: &str) -> String {
    let bad = |c: char| !c.is_ascii_graphic();
    if !name.chars().any(bad) {
        return name[..name.len().min(LONGEST_NAME)].to_string();
    }
    let mut last = '\0';
    name.chars()
        .map(|c| if bad(c) { '?' } else { c })
        .filter(|c| {
            let skip = last == '?' && *c == '?';
            last = *c;
            !skip
        })
        .take(LONGEST_NAME)
        .collect()
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

/// The start function, when the module defines it: it is called directly.
fn called_at_startup(module: &ParsedModule<'_>) -> Vec<u32> {
    module
        .translation
        .start_func
        .filter(|index| !module.translation.module.is_imported_function(*index))
        .map(|index| index.as_u32())
        .into_iter()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cleaned_as_wasmtime_does() {
        assert_eq!(clean("plain::name<T>"), "plain::name<T>");
        assert_eq!(clean("a b  c"), "a?b?c");
        assert_eq!(clean("\u{fc}ber\u{1f600}\u{1f600}x"), "?ber?x");
        assert_eq!(clean(&"x".repeat(200)).len(), LONGEST_NAME);
        assert_eq!(clean(&format!("{} ", "y".repeat(200))).len(), LONGEST_NAME);
    }
}
