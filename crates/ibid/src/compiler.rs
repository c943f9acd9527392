//! The compiler: the story of one compile, in order, and what stands around it.

use crate::codegen::ClifCache;
use crate::details::Details;
use crate::entries::{Entries, EntryKey, WholeArtifact, seal};
use crate::fingerprint::{EngineCompiler, Uncovered};
use crate::kept::Kept;
use crate::observe::Observer;
use crate::parallel;
use crate::pipeline::{self, Output, Refused};
use crate::plan::Plan;
use crate::probe;
use crate::program::Kind;
use crate::progress::ProgressCallback;
use crate::report::{Report, Stopwatch};
use crate::watched;
use crate::writer::Writer;
use ibid_store::{CacheStore, Counters, Entry, Snapshot};
use std::borrow::Cow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use wasmtime::component::Component;
use wasmtime::{CodeBuilder, Engine, Module, Result};

/// Compiles WebAssembly modules and components for one [`Engine`], and only the functions that its
/// store has not seen.
///
/// The artifacts are byte for byte those of the engine. Whatever the store holds,
/// loses or refuses costs time, never correctness; settings of the engine that the
/// keys do not cover make every compile a plain one, and the [`Report`] says so.
///
/// # Threads
///
/// `Send + Sync`: one compiler serves any number of threads at once. Functions that
/// are missing are compiled in parallel if the engine's
/// [`parallel_compilation`](wasmtime::Config::parallel_compilation) is on, on rayon's
/// current pool.
///
/// # Example
///
/// ```
/// use ibid::{Compiler, MemoryStore};
///
/// let engine = wasmtime::Engine::default();
/// let compiler = Compiler::new(&engine, MemoryStore::new());
/// let wasm = br#"(module (func (export "answer") (result i32) i32.const 42))"#;
///
/// let artifact = compiler.precompile_module(wasm)?;
/// assert_eq!(artifact, engine.precompile_module(wasm)?);
///
/// let again = compiler.compile(wasm)?;
/// assert_eq!(again.report().functions.compiled, 0);
/// # Ok::<(), wasmtime::Error>(())
/// ```
#[derive(Debug)]
pub struct Compiler {
    engine: Engine,
    store: Arc<dyn CacheStore>,
    writer: Writer,
    options: Options,
    mode: Mode,
    /// The last module or component, for [`Options::hot_reload`].
    kept: Mutex<Option<Kept>>,
    observer: Observer,
}

/// What a [`Compiler`] does beyond the necessary.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Keep whole artifacts, from the second sight of an input on, and serve an input
    /// that was seen before without looking at its functions. On by default.
    pub whole_artifacts: bool,
    /// Ask Wasmtime's own incremental cache for functions that no stencil was found for,
    /// and keep its entries too. Off by default: it finds next to nothing that stencils do
    /// not find, doubles the store, and makes compiles slower.
    pub clif: bool,
    /// Keep the last module, parsed: the next one is not parsed again if it is the same but
    /// for the bodies of its functions. This takes memory, a few times the module's size, and
    /// makes the first compile slower. Off by default; for a process that compiles one
    /// program again and again.
    pub hot_reload: bool,
    /// Let the addresses of static data be parameters, where a use analysis shows that the
    /// code's shape cannot depend on them, and where imported functions, tables and globals lie
    /// in the instance: a function whose data moved, or in a module that imports more, is not
    /// compiled again. On by default; only for x86-64 targets, and only in a program whose
    /// global allocator is [`Watched`](crate::Watched).
    pub address_slots: bool,
    /// Compile every reused function again, and fail if any of its bytes differs. Off
    /// by default.
    pub verify: bool,
    /// With [`verify`](Self::verify): how many functions are compiled again at most, spread evenly
    /// over those that were reused. All by default.
    pub verify_at_most: u64,
    /// Keep what became of each function, for [`Compilation::details`]. Every function is looked
    /// up then, also in an input that was seen before. Off by default.
    pub details: bool,
    /// Called after every function that was compiled. None by default.
    pub progress: Option<ProgressCallback>,
    intrinsics: Option<String>,
}

impl Options {
    /// Lets components import Wasmtime's unsafe intrinsics under the name `import`, in the place
    /// of [`CodeBuilder::expose_unsafe_intrinsics`](wasmtime::CodeBuilder::expose_unsafe_intrinsics).
    /// Whole artifacts are not kept then.
    ///
    /// # Safety
    ///
    /// As for that function: a component that imports them reads and writes all memory of the
    /// host.
    pub unsafe fn expose_unsafe_intrinsics(&mut self, import: impl Into<String>) {
        self.intrinsics = Some(import.into());
    }

    /// The name under which components may import unsafe intrinsics.
    pub(crate) fn intrinsics(&self) -> Option<&str> {
        self.intrinsics.as_deref()
    }
}

impl Default for Options {
    fn default() -> Self {
        Options {
            whole_artifacts: true,
            clif: false,
            hot_reload: false,
            address_slots: true,
            verify: false,
            verify_at_most: u64::MAX,
            details: false,
            progress: None,
            intrinsics: None,
        }
    }
}

enum Mode {
    Incremental(Box<Incremental>),
    /// Every compile is Wasmtime's own, for this reason.
    Plain(String),
}

impl std::fmt::Debug for Mode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Mode::Incremental(_) => f.write_str("Incremental"),
            Mode::Plain(reason) => f.debug_tuple("Plain").field(reason).finish(),
        }
    }
}

impl Compiler {
    /// A compiler that makes what `engine` makes, and remembers in `store`.
    ///
    /// The engine's very compiler is rebuilt from it. When that cannot be done, or a
    /// setting is not covered by the keys, the compiler compiles plainly;
    /// [`plain_reason`](Self::plain_reason) says why.
    pub fn new(engine: &Engine, store: impl CacheStore + 'static) -> Compiler {
        Compiler::with_options(engine, Arc::new(store), Options::default())
    }

    /// As [`new`](Self::new), with a store that is shared and with `options`.
    pub fn with_options(engine: &Engine, store: Arc<dyn CacheStore>, options: Options) -> Compiler {
        let mode = match Incremental::new(engine, &store, &options) {
            Ok(incremental) if probe::passes(engine, &incremental, &*store) => {
                Mode::Incremental(Box::new(incremental))
            }
            Ok(_) => Mode::Plain("the self-check found a difference for this engine".into()),
            Err(Uncovered(reason)) => Mode::Plain(reason),
        };
        if let Mode::Plain(reason) = &mode {
            tracing::info!(reason, "compiling plainly");
        }
        Compiler {
            engine: engine.clone(),
            writer: Writer::new(store.clone()),
            store,
            options,
            mode,
            kept: Mutex::default(),
            observer: Observer::default(),
        }
    }

    /// The engine that this compiler compiles for.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Why every compile is a plain one, if it is.
    pub fn plain_reason(&self) -> Option<&str> {
        match &self.mode {
            Mode::Incremental(_) => None,
            Mode::Plain(reason) => Some(reason),
        }
    }

    /// Compiles a module to an artifact, in the place of
    /// [`Engine::precompile_module`]: the same bytes, the same errors. The text format
    /// is accepted if the feature `wat` is on.
    ///
    /// The store is written behind; [`flush`](Self::flush) waits for that.
    ///
    /// # Errors
    ///
    /// Wasmtime's own.
    pub fn precompile_module(&self, wasm: &[u8]) -> Result<Vec<u8>> {
        let wasm = binary(wasm)?;
        Ok(self.compile_as(Kind::Module, &wasm)?.into_artifact())
    }

    /// Compiles a component to an artifact, in the place of
    /// [`Engine::precompile_component`]: the same bytes, the same errors. All core modules in
    /// it, the adapters between them and its trampolines are found or compiled one by one;
    /// a core module shares them with other components, and with itself alone.
    ///
    /// The store is written behind; [`flush`](Self::flush) waits for that.
    ///
    /// # Errors
    ///
    /// Wasmtime's own.
    pub fn precompile_component(&self, wasm: &[u8]) -> Result<Vec<u8>> {
        let wasm = binary(wasm)?;
        Ok(self.compile_as(Kind::Component, &wasm)?.into_artifact())
    }

    /// Compiles a module that can be instantiated, in the place of [`Module::new`].
    ///
    /// # Errors
    ///
    /// Wasmtime's own: of the compilation, and for an engine whose target is not this
    /// machine.
    pub fn compile_module(&self, wasm: &[u8]) -> Result<Module> {
        let artifact = self.precompile_module(wasm)?;
        // SAFETY: the artifact was made by the very compiler of this engine, or is byte
        // for byte what that compiler makes; it has not left this process since, but
        // for what the store gave, which the store's owner vouches for (SECURITY.md).
        unsafe { Module::deserialize(&self.engine, artifact) }
    }

    /// Compiles a component that can be instantiated, in the place of [`Component::new`].
    ///
    /// # Errors
    ///
    /// Wasmtime's own: of the compilation, and for an engine whose target is not this
    /// machine.
    pub fn compile_component(&self, wasm: &[u8]) -> Result<Component> {
        let artifact = self.precompile_component(wasm)?;
        // SAFETY: as for a module.
        unsafe { Component::deserialize(&self.engine, artifact) }
    }

    /// Compiles a module or a component, whichever `wasm` says that it is, and says what was
    /// found, compiled and spent.
    ///
    /// # Errors
    ///
    /// Wasmtime's own; and, if [`Options::verify`] is on, an error that names the
    /// first reused function whose bytes are not what compiling it gives.
    pub fn compile(&self, wasm: &[u8]) -> Result<Compilation<'_>> {
        let wasm = binary(wasm)?;
        self.compile_as(Kind::of(&wasm), &wasm)
    }

    fn compile_as(&self, kind: Kind, wasm: &[u8]) -> Result<Compilation<'_>> {
        self.flush();
        let _span = tracing::debug_span!("ibid", bytes = wasm.len()).entered();
        let before = self.store.counters();
        let (artifact, writes, mut report, details) = match &self.mode {
            Mode::Plain(reason) => self.plainly(kind, wasm, reason.clone())?,
            // Wasmtime says why not.
            Mode::Incremental(_) if kind != Kind::of(wasm) => {
                self.plainly(kind, wasm, "the input is of another kind".into())?
            }
            Mode::Incremental(incremental) => self.incrementally(incremental, kind, wasm)?,
        };
        let after = self.store.counters();
        count_store(&mut report, &before, &after);
        self.observer.compile(&report, &writes, &after);
        tracing::debug!(
            functions = report.functions.total,
            compiled = report.functions.compiled,
            milliseconds = report.time_ms.total,
            "compiled"
        );
        Ok(Compilation {
            compiler: self,
            artifact,
            writes,
            report,
            details,
        })
    }

    /// Says what a compile of `wasm` would have to do now, without compiling anything: whether it
    /// is ready, or else how long it will take.
    ///
    /// That takes about as long as a compile that finds everything. Function bodies are not
    /// validated, so a module that has a plan may still be refused.
    ///
    /// # Errors
    ///
    /// Wasmtime's own, of reading and validating all but the bodies.
    pub fn plan(&self, wasm: &[u8]) -> Result<Plan> {
        self.flush();
        let wasm = binary(wasm)?;
        let incremental = match &self.mode {
            Mode::Incremental(incremental) => incremental,
            Mode::Plain(reason) => {
                return Ok(Plan {
                    plain: Some(reason.clone()),
                    ..Plan::default()
                });
            }
        };
        let watch = Stopwatch::start();
        if self.whole_artifacts() {
            let parallel = incremental.engine.parallel;
            let (artifact, _) = incremental.entries().artifact(&wasm, parallel);
            let known = self.with_known(incremental, &artifact, |whole| whole.report());
            if let Some(report) = known {
                let planning_ms = watch.total();
                return Ok(Plan {
                    functions: report.functions,
                    trampolines: report.trampolines,
                    whole_artifact: true,
                    estimated_ms: Some(planning_ms),
                    planning_ms,
                    ..Plan::default()
                });
            }
        }
        let snapshot = self.store.snapshot();
        let context = incremental.context(&*snapshot, &self.options);
        let planned = pipeline::plan(&context, Kind::of(&wasm), &wasm);
        let mut plan = planned.map_err(|refused| match refused {
            Refused::Wasmtime(error) => error,
            refused => wasmtime::Error::msg(refused.to_string()),
        })?;
        plan.planning_ms = watch.total();
        plan.estimated_ms = plan.estimated_ms.map(|compile| compile + plan.planning_ms);
        Ok(plan)
    }

    /// Waits until all that earlier compiles found out is in the store.
    pub fn flush(&self) {
        self.writer.flush();
    }

    /// What the store has now.
    pub(crate) fn snapshot(&self) -> Box<dyn Snapshot + '_> {
        self.store.snapshot()
    }

    pub(crate) fn incremental(&self) -> Result<&Incremental, &str> {
        match &self.mode {
            Mode::Incremental(incremental) => Ok(incremental),
            Mode::Plain(reason) => Err(reason),
        }
    }

    fn incrementally(&self, incremental: &Incremental, kind: Kind, wasm: &[u8]) -> Result<Parts> {
        let mut watch = Stopwatch::start();
        let keys = self.whole_artifacts().then(|| {
            incremental
                .entries()
                .artifact(wasm, incremental.engine.parallel)
        });
        let mut seen = false;
        if let Some((artifact, note)) = &keys {
            let known = self.known_artifact(incremental, artifact, &mut watch);
            if let Some((artifact, report)) = known {
                return Ok((artifact, Vec::new(), report, None));
            }
            seen = self
                .store
                .get(note)
                .is_some_and(|value| incremental.entries.open(note, value).is_some());
        }
        let mut whole = 0.0;
        watch.lap(&mut whole);
        let kept = self.lock_kept().take();
        let output = incremental.run(&*self.store, kind, wasm, &self.options, kept.as_ref());
        if let Some(kept) = kept {
            self.lock_kept().get_or_insert(kept);
        }
        let Output {
            artifact,
            mut writes,
            mut report,
            seed,
            details,
        } = match output {
            Ok(output) => output,
            Err(Refused::Wasmtime(error)) => return Err(error),
            Err(Refused::Mismatch(mismatch)) if self.options.verify => {
                return Err(wasmtime::Error::msg(mismatch));
            }
            Err(refused) => return self.plainly(kind, wasm, refused.to_string()),
        };
        if let Some(seed) = seed {
            let kept = Kept::new(incremental.engine(), self.options.intrinsics(), seed);
            *self.lock_kept() = kept;
        }
        report.time_ms.lookup += whole;
        report.time_ms.total += whole;
        if let Some((key, note)) = keys {
            writes.push(if seen {
                seal(key, whole_artifact(&artifact, &report))
            } else {
                seal(note, Vec::new())
            });
        }
        Ok((artifact, writes, report, details))
    }

    fn lock_kept(&self) -> MutexGuard<'_, Option<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whole artifacts are left out when every function is to be looked at, or the artifact
    /// depends on more than the input.
    fn whole_artifacts(&self) -> bool {
        let options = &self.options;
        let each = options.verify || options.details;
        options.whole_artifacts && !each && options.intrinsics.is_none()
    }

    fn known_artifact(
        &self,
        incremental: &Incremental,
        key: &EntryKey,
        watch: &mut Stopwatch,
    ) -> Option<(Vec<u8>, Report)> {
        let copy = |whole: &WholeArtifact<'_>| {
            let artifact = parallel::copy(incremental.engine.parallel, whole.artifact);
            (artifact, whole.report())
        };
        let (artifact, mut report) = self.with_known(incremental, key, copy)?;
        watch.lap(&mut report.time_ms.lookup);
        report.time_ms.total = watch.total();
        Some((artifact, report))
    }

    /// What `take` makes of the whole artifact under `key`, if it is there.
    fn with_known<T>(
        &self,
        incremental: &Incremental,
        key: &EntryKey,
        take: impl FnOnce(&WholeArtifact<'_>) -> T,
    ) -> Option<T> {
        let snapshot = self.store.snapshot();
        let value = incremental.entries.open(key, snapshot.get(key)?)?;
        Some(take(&WholeArtifact::read(&value).ok()?))
    }

    fn plainly(&self, kind: Kind, wasm: &[u8], reason: String) -> Result<Parts> {
        let mut watch = Stopwatch::start();
        let artifact = match kind {
            Kind::Module => self.engine.precompile_module(wasm)?,
            Kind::Component => match self.options.intrinsics() {
                None => self.engine.precompile_component(wasm)?,
                Some(import) => {
                    let mut builder = CodeBuilder::new(&self.engine);
                    builder.wasm_binary(wasm, None)?;
                    // SAFETY: whoever set the option vouches for the component.
                    unsafe { builder.expose_unsafe_intrinsics(import) };
                    builder.compile_component_serialized()?
                }
            },
        };
        let mut report = Report {
            plain: Some(reason),
            ..Report::default()
        };
        watch.lap(&mut report.time_ms.compile);
        report.time_ms.total = watch.total();
        Ok((artifact, Vec::new(), report, None))
    }
}

type Parts = (Vec<u8>, Vec<Entry>, Report, Option<Details>);

/// A finished compile whose findings are not in the store yet.
///
/// [`into_artifact`](Self::into_artifact) writes them behind,
/// [`store`](Self::store) writes them now; dropping it forgets them.
#[derive(Debug)]
#[must_use = "what was found out is only stored by `into_artifact` or `store`"]
pub struct Compilation<'c> {
    compiler: &'c Compiler,
    artifact: Vec<u8>,
    writes: Vec<Entry>,
    report: Report,
    details: Option<Details>,
}

impl Compilation<'_> {
    /// The artifact.
    pub fn artifact(&self) -> &[u8] {
        &self.artifact
    }

    /// What was found, compiled and spent so far.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// What became of each function; `None` unless [`Options::details`] asks for it, and for what
    /// was compiled plainly.
    pub fn details(&self) -> Option<&Details> {
        self.details.as_ref()
    }

    /// The artifact; the store is written behind, in one transaction.
    pub fn into_artifact(self) -> Vec<u8> {
        self.compiler.writer.write_behind(self.writes);
        self.artifact
    }

    /// Writes the store now, in one transaction, and gives the complete report.
    pub fn store(self) -> Report {
        let Compilation {
            compiler,
            writes,
            mut report,
            ..
        } = self;
        let _span = tracing::debug_span!("store", entries = writes.len()).entered();
        let before = compiler.store.counters();
        let mut watch = Stopwatch::start();
        report.store.written = compiler.writer.write(writes) as u64;
        watch.lap(&mut report.time_ms.store);
        let after = compiler.store.counters();
        count_store(&mut report, &before, &after);
        compiler.observer.store(&after);
        report
    }
}

fn count_store(report: &mut Report, before: &Counters, after: &Counters) {
    report.store.evicted += after.evicted.saturating_sub(before.evicted);
    report.store.damaged += after.damaged.saturating_sub(before.damaged);
    let failures = after.failures.saturating_sub(before.failures);
    report.store.failures += failures;
    if failures > 0 {
        report.store.last_failure.clone_from(&after.last_failure);
    }
}

fn whole_artifact(artifact: &[u8], report: &Report) -> Vec<u8> {
    WholeArtifact {
        functions: report.functions.total as u32,
        trampolines: report.trampolines.total as u32,
        code_bytes: report.code_bytes.total,
        artifact,
    }
    .write()
}

/// The binary format of `wasm`, which may be text.
#[cfg(feature = "wat")]
pub(crate) fn binary(wasm: &[u8]) -> Result<Cow<'_, [u8]>> {
    Ok(wat::parse_bytes(wasm)?)
}

#[cfg(not(feature = "wat"))]
pub(crate) fn binary(wasm: &[u8]) -> Result<Cow<'_, [u8]>> {
    Ok(Cow::Borrowed(wasm))
}

/// The incremental compiler of one engine.
pub(crate) struct Incremental {
    engine: EngineCompiler,
    /// The engine's compiler with Cranelift's own cache over the store, if that is wanted.
    cached: Option<Box<dyn wasmtime_environ::Compiler>>,
    entries: Entries,
}

impl Incremental {
    fn new(
        engine: &Engine,
        store: &Arc<dyn CacheStore>,
        options: &Options,
    ) -> Result<Incremental, Uncovered> {
        let address_slots = options.address_slots && watched::is_installed();
        if options.address_slots && !address_slots {
            tracing::info!("address slots are off: the program's allocator is not `ibid::Watched`");
        }
        let engine = EngineCompiler::of(engine, address_slots)?;
        let entries = Entries {
            fingerprint: engine.fingerprint,
            checked: store.is_checked(),
        };
        let cached = options.clif.then(|| {
            let store = store.clone();
            engine.with_incremental_cache(Arc::new(ClifCache { store, entries }))
        });
        let cached = cached.transpose()?;
        Ok(Incremental {
            engine,
            cached,
            entries,
        })
    }

    pub(crate) fn entries(&self) -> Entries {
        self.entries
    }

    pub(crate) fn engine(&self) -> &EngineCompiler {
        &self.engine
    }

    /// One compile of `wasm` over `store`.
    pub(crate) fn run(
        &self,
        store: &dyn CacheStore,
        kind: Kind,
        wasm: &[u8],
        options: &Options,
        kept: Option<&Kept>,
    ) -> Result<Output, Refused> {
        let snapshot = store.snapshot();
        pipeline::run(&self.context(&*snapshot, options), kind, wasm, kept)
    }

    fn context<'c>(
        &'c self,
        snapshot: &'c dyn Snapshot,
        options: &'c Options,
    ) -> pipeline::Context<'c> {
        pipeline::Context {
            engine: &self.engine,
            compiler: match &self.cached {
                Some(cached) => &**cached,
                None => self.engine.compiler(),
            },
            entries: self.entries,
            snapshot,
            options,
        }
    }
}
