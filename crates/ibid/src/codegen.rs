//! Compiling what no store knows, with Wasmtime's own compiler.

use crate::compiled::{Layout, Unstorable, harvest};
use crate::entries::{Entries, seal};
use crate::fingerprint::EngineCompiler;
use crate::jobs::Job;
use crate::module::Source;
use crate::sentinels::Sentinels;
use crate::stencil::FunctionParameters;
use crate::watched;
use ibid_store::{CacheStore, Entry};
use std::borrow::Cow;
use std::cell::RefCell;
use std::sync::Arc;
use wasmtime_environ::Compiler;
use wasmtime_environ::error::Context as _;

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
    module: Source<'_>,
    job: Job,
    parameters: &FunctionParameters,
    sentinels: Option<&Sentinels<'_>>,
) -> Result<Compiled, CodegenError> {
    let symbol = job.symbol(&module);
    let key = job.key();
    let compiled_in = sentinels.and_then(|sentinels| sentinels.padded);
    let compiled_in = compiled_in.unwrap_or(module);
    let (translation, types) = (&compiled_in.translation, &compiled_in.types);
    TRAFFIC.take();
    let (mut function, body) = match job {
        Job::Function(index) => {
            let mut input = compiled_in.body_input(index);
            if let Some(sentinels) = sentinels {
                input.body = sentinels.body(engine.features);
            }
            let body = input.body.clone();
            let function = compiler
                .compile_function(translation, key, input, types, &symbol)
                .with_context(|| format!("failed to compile: {symbol}"))
                .map_err(CodegenError::Compile)?;
            (function, Some(body))
        }
        _ => {
            let function = compiler
                .compile_trampoline(Some(translation), key, types, &symbol)
                .with_context(|| format!("failed to compile: {symbol}"))
                .map_err(CodegenError::Compile)?;
            (function, None)
        }
    };
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
        &module.translation.module,
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
