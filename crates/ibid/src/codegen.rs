//! Compiling what no store knows, with Wasmtime's own compiler.

use crate::compiled::{Layout, Unstorable, harvest};
use crate::entries::{Entries, seal};
use crate::fingerprint::EngineCompiler;
use crate::jobs::Job;
use crate::program::Whole;
use crate::sentinels::Sentinels;
use crate::stencil::FunctionParameters;
use crate::watched;
use ibid_store::{CacheStore, Entry};
use std::borrow::Cow;
use std::cell::RefCell;
use std::sync::Arc;
use wasmparser::FunctionBody;
use wasmtime_environ::error::Context as _;
use wasmtime_environ::{CompiledFunctionBody, Compiler};

/// A function, compiled.
pub(crate) struct Compiled {
    /// The bytes of its compiled stencil.
    pub(crate) stencil: Vec<u8>,
    /// Cranelift's own cache had it.
    pub(crate) from_clif: bool,
    /// What Cranelift's own cache is to remember.
    pub(crate) clif_entry: Option<Entry>,
}

/// Why a function was not compiled.
#[derive(Debug)]
pub(crate) enum CodegenError {
    /// Wasmtime's own error, mostly an invalid body.
    Compile(wasmtime::Error),
    /// The result has no stored form.
    Unstorable(Unstorable),
}

/// Compiles `job` and takes out all that the artifact needs, in terms of `parameters`. With
/// `sentinels`, which must be those of `parameters`, its body has these for its addresses, it
/// is compiled as a function of the padded module if it has place slots, and the result has
/// holes for both.
pub(crate) fn compile(
    engine: &EngineCompiler,
    compiler: &dyn Compiler,
    program: Whole<'_>,
    job: Job,
    parameters: &FunctionParameters,
    sentinels: Option<&Sentinels<'_>>,
) -> Result<Compiled, CodegenError> {
    let symbol = job.symbol(program);
    TRAFFIC.take();
    let translated = translate(engine, compiler, program, job, &symbol, sentinels);
    let (mut function, body) = translated.map_err(CodegenError::Compile)?;
    let finishing = compiler
        .inlining_compiler()
        .expect("Cranelift's compiler is one");
    let values = finishing.size(&function) as usize;
    let finish = || finishing.finish_compiling(&mut function, body, &symbol);
    let (finished, may_have_grown) = match sentinels {
        Some(_) => watched::table_growth(values, finish),
        None => (finish(), false),
    };
    finished.map_err(CodegenError::Compile)?;
    let traffic = TRAFFIC.take();
    let from_clif = traffic.found && traffic.inserted.is_none();
    // Of what Cranelift's own cache gave it is not known.
    if sentinels.is_some() && (may_have_grown || from_clif) {
        return Err(CodegenError::Unstorable(Unstorable::Chance));
    }
    let code = function
        .code
        .downcast_ref()
        .expect("Cranelift's compiler makes its own kind of function");
    let parts = harvest(
        code,
        function.needs_gc_heap,
        parameters,
        sentinels,
        |callee| job.callee(program, callee),
        engine.compiler(),
        &engine.tunables,
    )
    .map_err(CodegenError::Unstorable)?;
    let stencil = parts.write();
    // What Cranelift's cache gave may be anything; from here on it is relied on.
    Layout::read(&stencil)
        .and_then(|layout| layout.check())
        .map_err(|_| CodegenError::Unstorable(Unstorable::Malformed))?;
    Ok(Compiled {
        stencil,
        from_clif,
        clif_entry: traffic.inserted,
    })
}

/// What the compiler makes before machine code, and the body that it is made from. The errors
/// have the words of `CompileInputs` in `wasmtime/src/compile.rs`.
fn translate<'s>(
    engine: &EngineCompiler,
    compiler: &dyn Compiler,
    program: Whole<'s>,
    job: Job,
    symbol: &str,
    sentinels: Option<&'s Sentinels<'_>>,
) -> Result<(CompiledFunctionBody, Option<FunctionBody<'s>>), wasmtime::Error> {
    let (key, types) = (job.key(), program.types);
    let of_component = || {
        let component = program.component.expect("its jobs are of a component");
        (&component.translation, &component.types)
    };
    let function = match job {
        Job::Function(number, index) => {
            let padded = sentinels.and_then(|sentinels| sentinels.padded);
            let module = padded.unwrap_or_else(|| program.module(number));
            let mut input = module.body_input(index);
            if let Some(sentinels) = sentinels {
                input.body = sentinels.body(engine.features);
            }
            let body = input.body.clone();
            let function = compiler
                .compile_function(&module.translation, key, input, module.types, symbol)
                .with_context(|| format!("failed to compile: {symbol}"))?;
            return Ok((function, Some(body)));
        }
        Job::ArrayToWasm(number, _) | Job::Startup(_, number) => {
            let module = program.module(number).module();
            compiler
                .compile_trampoline(Some(&module.translation), key, types, symbol)
                .with_context(|| format!("failed to compile: {symbol}"))?
        }
        Job::WasmToArray(_) => compiler
            .compile_trampoline(None, key, types, symbol)
            .with_context(|| format!("failed to compile: {symbol}"))?,
        Job::Builtin(_) | Job::ResourceDrop => compiler
            .compile_trampoline(None, key, types, symbol)
            .with_context(|| format!("failed to compile `{symbol}`"))?,
        Job::Trampoline(abi, _) => {
            let (component, types) = of_component();
            compiler
                .component_compiler()
                .compile_component_trampoline(component, types, key, abi, &engine.tunables, symbol)
                .with_context(|| format!("failed to compile {symbol}"))?
        }
        Job::Intrinsic(abi, intrinsic) => {
            let (component, types) = of_component();
            let tunables = &engine.tunables;
            compiler
                .component_compiler()
                .compile_intrinsic(tunables, component, types, intrinsic, abi, symbol)
                .with_context(|| format!("failed to compile `{symbol}`"))?
        }
    };
    Ok((function, None))
}

/// What Cranelift asked of its cache while it compiled one function on this thread.
#[derive(Default)]
struct Traffic {
    found: bool,
    inserted: Option<Entry>,
}

thread_local! {
    static TRAFFIC: RefCell<Traffic> = RefCell::default();
}

/// Wasmtime's own incremental cache over ibid's store: the third way to find a
/// function, and a guarantee that ibid finds all that Wasmtime's cache would.
#[derive(Debug)]
pub(crate) struct ClifCache {
    pub(crate) store: Arc<dyn CacheStore>,
    pub(crate) entries: Entries,
}

impl wasmtime_environ::CacheStore for ClifCache {
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        let key = self.entries.clif(key);
        let found = self
            .store
            .get(&key)
            .and_then(|value| self.entries.open(&key, value));
        TRAFFIC.with_borrow_mut(|traffic| traffic.found = found.is_some());
        found
    }

    fn insert(&self, key: &[u8], value: Vec<u8>) -> bool {
        let entry = seal(self.entries.clif(key), value);
        TRAFFIC.with_borrow_mut(|traffic| traffic.inserted = Some(entry));
        true
    }
}
