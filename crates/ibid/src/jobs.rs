//! What a module needs compiled: its functions and the trampolines around them.

use crate::bytes::Writer;
use crate::module::ParsedModule;
use crate::stencil::{FunctionParameters, FunctionStencil, KeyFact, StencilKind};
use std::collections::HashMap;
use wasmtime_environ::{
    Abi, BuiltinFunctionIndex, DefinedFuncIndex, FuncIndex, FuncKey, MemoryInit,
    MemorySegmentOffset, ModuleInternedTypeIndex, ModuleStartup, NameSection, StaticModuleIndex,
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
    /// `wasmtime/src/compile.rs`); in the order of their keys.
    pub(crate) fn all(module: &ParsedModule<'_>) -> Vec<Job> {
        let mut jobs: Vec<Job> = module.defined_functions().map(Job::Function).collect();
        let escaping = module.defined_functions().filter(|function| {
            let index = module.function_index(*function);
            module.translation.module.functions[index].is_escaping()
        });
        jobs.extend(escaping.map(Job::ArrayToWasm));
        let mut trampolines: Vec<_> = module
            .types
            .trampoline_types()
            .map(|(_function_type, trampoline)| trampoline)
            .collect();
        trampolines.sort_unstable();
        trampolines.dedup();
        jobs.extend(trampolines.into_iter().map(Job::WasmToArray));
        if !module.translation.module.startup.is_none() {
            jobs.extend([Job::Startup(Abi::Wasm), Job::Startup(Abi::Array)]);
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
        let translation = &module.translation;
        let imported = translation.module.num_imported_funcs as u32;
        let mut symbol = Vec::new();
        Names::new(&translation.debuginfo.name_section, imported).write_symbol(self, &mut symbol);
        String::from_utf8(symbol).expect("names are text")
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

/// What the names of symbols are made of.
pub(crate) struct Names<'t> {
    functions: &'t HashMap<FuncIndex, &'t str>,
    imported: u32,
}

impl<'t> Names<'t> {
    /// The names of a module with `imported` functions that come before its own.
    pub(crate) fn new(names: &'t NameSection<'_>, imported: u32) -> Names<'t> {
        Names {
            functions: &names.func_names,
            imported,
        }
    }

    /// Appends the name of the symbol that Wasmtime gives `job` (`CompileInputs::
    /// collect_inputs_in_translations` and the functions that it calls, in
    /// `wasmtime/src/compile.rs`).
    pub(crate) fn write_symbol(&self, job: Job, out: &mut Vec<u8>) {
        match job {
            Job::Function(function) => {
                let index = self.imported + function.as_u32();
                write_numbered(out, b"wasm[0]::function[", index, b"]");
                if let Some(name) = self.functions.get(&FuncIndex::from_u32(index)) {
                    out.extend_from_slice(b"::");
                    clean(name, out);
                }
            }
            Job::ArrayToWasm(function) => {
                let index = self.imported + function.as_u32();
                write_numbered(out, b"wasm[0]::array_to_wasm_trampoline[", index, b"]");
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
            Job::Startup(abi) => {
                out.extend_from_slice(format!("module_start[0]::{abi:?}").as_bytes())
            }
        }
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
