//! One compile, from the input to the artifact. Data flows one way: parse, bundle,
//! stencils and keys, lookup, compile, apply, link.

use crate::bodies::{self, ModuleScan, Scan};
use crate::bundle::{self, Bundle, BundleWriter, Known};
use crate::bytes::{Reader, Writer};
use crate::codegen::{self, CodegenError, Compiled};
use crate::compiled::{BodyMap, Layout, Unstorable, write_body_map};
use crate::compiler::Options;
use crate::details::{Details, Gathered, Notes, Phase};
use crate::entries::{Entries, EntryKey, seal};
use crate::fingerprint::EngineCompiler;
use crate::jobs::Job;
use crate::kept::{Kept, Seed};
use crate::link::{self, LinkError, Linkable};
use crate::link::{Described, SerializedTypes};
use crate::module::Source;
use crate::parallel;
use crate::plan::Plan;
use crate::program::{Kind, Program, Whole};
use crate::progress::Counter;
use crate::rate::Rate;
use crate::report::{Counts, Found, Report, Stopwatch};
use crate::sentinels::Sentinels;
use crate::split::{Shaped, Wanted, base, split};
use crate::stencil::{
    Addresses, Digest, FunctionParameters, Scratch, StencilKey, StoredParameters,
};
use ibid_store::{Entry, Snapshot};
use rustc_hash::{FxHashMap, FxHashSet};
use std::borrow::Cow;
use std::cmp::Reverse;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use wasmtime_environ::{
    BuiltinFunctionIndex, Compiler, DefinedFuncIndex, ScopeVec, StaticModuleIndex,
};

/// What a compile works with.
pub(crate) struct Context<'c> {
    pub(crate) engine: &'c EngineCompiler,
    /// Compiles what is missing.
    pub(crate) compiler: &'c dyn Compiler,
    pub(crate) entries: Entries,
    pub(crate) snapshot: &'c dyn Snapshot,
    pub(crate) options: &'c Options,
}

/// What a compile gives.
pub(crate) struct Output {
    pub(crate) artifact: Vec<u8>,
    /// What the store did not know yet.
    pub(crate) writes: Vec<Entry>,
    pub(crate) report: Report,
    /// What the module is kept by, if that is wanted and it is not kept yet.
    pub(crate) seed: Option<Seed>,
    /// What became of each function, if that is wanted.
    pub(crate) details: Option<Details>,
}

/// Why a compile gave nothing; Wasmtime then compiles the plain way, and its answer
/// counts.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    /// Wasmtime's own parsing, validation, compilation or linking refused.
    #[error("{0:#}")]
    Wasmtime(wasmtime::Error),
    #[error("a function's code has no stored form: {0}")]
    Unstorable(Unstorable),
    /// A reused function is not what its compilation gives.
    #[error("{0}")]
    Mismatch(String),
}

impl From<LinkError> for Refused {
    fn from(error: LinkError) -> Refused {
        match error {
            LinkError::Wasmtime(error) => Refused::Wasmtime(error),
            LinkError::Misfit => {
                Refused::Mismatch("what the store has does not fit together".into())
            }
        }
    }
}

/// Compiles `wasm`, with what was `kept` of another input if it is the same but for its
/// bodies.
pub(crate) fn run(
    context: &Context<'_>,
    kind: Kind,
    wasm: &[u8],
    kept: Option<&Kept>,
) -> Result<Output, Refused> {
    let engine = context.engine;
    let mut watch = Stopwatch::noting(context.options.details);
    let mut report = Report::default();
    let find = || Before::find(context, wasm);
    let hot = context.options.hot_reload.then(find).flatten();
    if let (Some(kept), Some(before)) = (kept, &hot)
        && let Some(sources) = kept.sources(kind, &before.scan)
    {
        let program = kept.program().with(&sources);
        let made = Made::of(context, program, Some(before), &mut watch, &mut report)?;
        // With another answer the description would be another one.
        if made.needs_gc_heap == kept.needs_gc_heap {
            let described = kept.program().described(&sources, wasm);
            return made.link(engine, &described, &kept.types, watch, report);
        }
        report = Report::default();
    }
    let span = tracing::debug_span!("parse").entered();
    let intrinsics = context.options.intrinsics();
    let mut scope = ScopeVec::new();
    // Another thread may use it, if no other does meanwhile.
    let scope = &mut scope;
    let (program, before) = if context.options.hot_reload {
        (Program::parse(engine, kind, intrinsics, wasm, scope), hot)
    } else {
        parallel::beside(
            engine.parallel,
            move || Program::parse(engine, kind, intrinsics, wasm, scope),
            find,
        )
    };
    let mut program = program.map_err(Refused::Wasmtime)?;
    watch.phase(Phase::Parse, &mut report);
    drop(span);

    let sources = program.sources();
    let whole = program.with(&sources);
    let made = Made::of(context, whole, before.as_ref(), &mut watch, &mut report)?;
    let needs_gc_heap = made.needs_gc_heap;
    program.say_gc_heap(needs_gc_heap);
    let (types, program) = program.finish().map_err(Refused::Wasmtime)?;
    let mut output = made.link(engine, &program.described(wasm), &types, watch, report)?;
    let frame = before.as_ref().and_then(|before| before.scan.frame);
    // A recording engine's artifact has a checksum of the input.
    output.seed = frame
        .filter(|_| !engine.tunables.recording)
        .map(|frame| Seed {
            frame,
            kind,
            types,
            needs_gc_heap,
            wasm: wasm.to_vec(),
        });
    Ok(output)
}

/// All functions of a program, found or compiled.
struct Made<'c> {
    units: Vec<Unit<'c>>,
    codes: Vec<Code<'c>>,
    /// Parameters that are not in the bundle.
    held: Vec<u8>,
    writes: Vec<Entry>,
    needs_gc_heap: bool,
    details: Option<Gathered>,
}

impl<'c> Made<'c> {
    /// Finds or compiles all functions of `program`.
    fn of(
        context: &'c Context<'c>,
        program: Whole<'_>,
        before: Option<&'c Before<'c, 'c>>,
        watch: &mut Stopwatch,
        report: &mut Report,
    ) -> Result<Made<'c>, Refused> {
        let before = before.filter(|before| is_scan_of(&before.scan, program));
        let (bundles, damaged) = bundles(program, before);
        let mut compile = Compile::new(context, program, before, &bundles);
        compile.damaged += damaged;
        compile.obtain(Job::all(program), watch, report)?;
        let builtins = compile.builtins_needed();
        compile.obtain(builtins, watch, report)?;
        compile.units.sort_by_key(|unit| unit.job.key());
        if context.options.verify {
            report.verified = Some(compile.verify()?);
            watch.phase(Phase::Compile, report);
        }
        let notes = compile.notes.take();
        let layouts: Vec<Layout<'_>> = compile.codes.iter().map(Code::layout).collect();
        let needs_gc_heap = layouts.iter().any(|layout| layout.needs_gc_heap);
        compile.count(&layouts, report);
        let bundles = compile.bundle_entries(&layouts, report);
        compile.writes.extend(bundles);
        compile.writes.extend(compile.rate_entry());
        let details = notes.map(|notes| compile.gathered(notes, &layouts));
        watch.phase(Phase::Apply, report);
        Ok(Made {
            needs_gc_heap,
            details,
            units: compile.units,
            codes: compile.codes,
            held: compile.held.into_bytes(),
            writes: compile.writes,
        })
    }

    /// Applies the parameters, and makes the artifact.
    fn link(
        self,
        engine: &EngineCompiler,
        described: &Described<'_>,
        types: &SerializedTypes,
        mut watch: Stopwatch,
        mut report: Report,
    ) -> Result<Output, Refused> {
        let _span = tracing::debug_span!("link").entered();
        let codes: Vec<Layout<'_>> = self.codes.iter().map(Code::layout).collect();
        let functions: Vec<Linkable<'_>> = self
            .units
            .iter()
            .map(|unit| Linkable {
                key: unit.job.key(),
                job: unit.job,
                code: &codes[unit.code],
                parameters: unit.parameters.read(&self.held),
                map: unit.parameters.map(),
            })
            .collect();
        watch.phase(Phase::Apply, &mut report);

        let artifact = link::link(engine, described, types, &functions)?;
        watch.phase(Phase::Link, &mut report);
        report.time_ms.total = watch.total();
        Ok(Output {
            artifact,
            writes: self.writes,
            report,
            seed: None,
            details: self.details.map(|gathered| watch.details(gathered)),
        })
    }
}

/// What the store has for the modules of `program` as wholes, and how many of these entries are
/// damaged.
fn bundles<'c>(
    program: Whole<'_>,
    before: Option<&'c Before<'c, 'c>>,
) -> (Vec<Option<Bundle<'c>>>, u64) {
    let shelves = before.map_or(&[][..], |before| &before.shelves);
    let mut damaged = 0;
    let mut bundles = Vec::with_capacity(program.modules.len());
    for (number, module) in program.modules.iter().enumerate() {
        let shelf = shelves.get(number);
        let stored = shelf.and_then(|shelf| shelf.bundle.as_deref());
        let bundle = stored.map(Bundle::read);
        let unread = matches!(bundle, Some(Err(_)));
        damaged += u64::from(unread || shelf.is_some_and(|shelf| shelf.damaged));
        let everything = module.facts.everything();
        let bundle = bundle.and_then(Result::ok);
        bundles.push(bundle.filter(|bundle| bundle.is_of(&everything)));
    }
    (bundles, damaged)
}

/// What a compile of `wasm` would have to do. The time is that of the functions to be compiled
/// alone.
pub(crate) fn plan(context: &Context<'_>, kind: Kind, wasm: &[u8]) -> Result<Plan, Refused> {
    let engine = context.engine;
    let intrinsics = context.options.intrinsics();
    let mut scope = ScopeVec::new();
    let scope = &mut scope;
    let (program, before) = parallel::beside(
        engine.parallel,
        move || Program::parse(engine, kind, intrinsics, wasm, scope),
        || Before::find(context, wasm),
    );
    let program = program.map_err(Refused::Wasmtime)?;
    let sources = program.sources();
    let whole = program.with(&sources);
    let before = before.filter(|before| is_scan_of(&before.scan, whole));
    let (bundles, _) = bundles(whole, before.as_ref());
    let mut compile = Compile::new(context, whole, before.as_ref(), &bundles);
    let mut plan = Plan::default();
    let mut missing = compile.survey(Job::all(whole), &mut plan)?;
    let builtins = compile.builtins_needed();
    missing.extend(compile.survey(builtins, &mut plan)?);
    let lengths = || missing.iter().filter_map(|job| body_length(whole, *job));
    plan.body_bytes = lengths().sum();
    plan.estimated_ms = if missing.is_empty() {
        Some(0.0)
    } else {
        let threads = if engine.parallel {
            rayon::current_num_threads()
        } else {
            1
        };
        let longest = lengths().max().unwrap_or(0);
        let rate = compile.rate();
        rate.map(|rate| rate.milliseconds(plan.body_bytes, longest, threads))
    };
    Ok(plan)
}

/// The length of the body of `job`, in bytes, if it has one.
fn body_length(program: Whole<'_>, job: Job) -> Option<u64> {
    job.is_function().then(|| length(program, job) as u64)
}

/// What can be known of the input before it is parsed.
struct Before<'c, 'w> {
    scan: Scan<'w>,
    /// Of each core module.
    shelves: Vec<Shelf<'c>>,
}

/// What the store has for a core module as a whole.
struct Shelf<'c> {
    /// The key of the bundle.
    key: EntryKey,
    /// Under this there is a note when the module's surroundings were seen without a bundle.
    note: EntryKey,
    bundle: Option<Cow<'c, [u8]>>,
    damaged: bool,
}

impl<'c, 'w> Before<'c, 'w> {
    /// `None` if the input does not read.
    fn find(context: &Context<'c>, wasm: &'w [u8]) -> Option<Before<'c, 'w>> {
        let Context {
            engine,
            entries,
            options,
            ..
        } = context;
        let framed = options.hot_reload;
        let fingerprint = &entries.fingerprint;
        let scan = bodies::scan(engine.parallel, fingerprint, engine.features, wasm, framed)?;
        let shelf = |module: &ModuleScan<'w>| {
            let (key, note) = Entries::bundle(&module.surroundings);
            let stored = context.snapshot.get(&key);
            let found = stored.is_some();
            let bundle = stored.and_then(|stored| entries.open(&key, stored));
            Shelf {
                damaged: found && bundle.is_none(),
                key,
                note,
                bundle,
            }
        };
        Some(Before {
            shelves: scan.modules.iter().map(shelf).collect(),
            scan,
        })
    }
}

/// Whether `scan` is of `program`: it found the bodies where the modules have them. Those that
/// Wasmtime adds come behind all others.
fn is_scan_of(scan: &Scan<'_>, program: Whole<'_>) -> bool {
    let same = |(scan, module): (&ModuleScan<'_>, &Source<'_>)| {
        let functions = module.defined_functions();
        let range = |function| module.body(function).range();
        functions.len() == scan.bodies.len()
            && functions
                .zip(&scan.bodies)
                .all(|(function, body)| range(function) == body.range())
    };
    let mut modules = scan.modules.iter().zip(program.modules);
    scan.modules.len() <= program.modules.len() && modules.all(same)
}

/// One function of the artifact on its way.
struct Unit<'c> {
    job: Job,
    parameters: Held<'c>,
    found: Found,
    /// Where its code is.
    code: usize,
    /// It has a stencil.
    storable: bool,
}

/// Where a unit's parameters are.
#[derive(Clone, Copy)]
enum Held<'c> {
    /// In the bundle.
    Bundle(StoredParameters<'c>, BodyMap<'c>),
    /// Among those of this compile, from this byte on, for a body that lies at `base`.
    Here { start: usize, base: u32 },
}

impl<'c> Held<'c> {
    fn read<'h>(self, held: &'h [u8]) -> StoredParameters<'h>
    where
        'c: 'h,
    {
        match self {
            Held::Bundle(parameters, _) => parameters,
            Held::Here { start, base } => {
                StoredParameters::read(&mut Reader::new(&held[start..]), base)
                    .expect("written by this compile")
            }
        }
    }

    fn map(self) -> Option<BodyMap<'c>> {
        match self {
            Held::Bundle(_, map) => Some(map),
            Held::Here { .. } => None,
        }
    }
}

/// About how much there is to compile for `job`, in bytes.
fn length(program: Whole<'_>, job: Job) -> usize {
    match job {
        Job::Function(module, function) => program.module(module).body(function).as_bytes().len(),
        // It has some operators for each data segment.
        Job::Startup(..) => usize::MAX,
        _ => 0,
    }
}

/// A compiled stencil.
enum Code<'c> {
    /// Of the bundle; without its address map.
    Bundle(Layout<'c>),
    /// From the store, or fresh.
    Bytes(Cow<'c, [u8]>),
}

impl Code<'_> {
    fn layout(&self) -> Layout<'_> {
        match self {
            Code::Bundle(layout) => *layout,
            Code::Bytes(bytes) => Layout::read(bytes).expect("read when it was taken in"),
        }
    }
}

struct Compile<'b, 'c, 's> {
    context: &'c Context<'c>,
    program: Whole<'s>,
    before: Option<&'c Before<'c, 'c>>,
    /// By module.
    bundles: &'b [Option<Bundle<'c>>],
    units: Vec<Unit<'c>>,
    codes: Vec<Code<'c>>,
    /// Parameters that are not in the bundle.
    held: Writer,
    /// Where the code of a stencil of each bundle is.
    of_bundles: Vec<Vec<Option<usize>>>,
    by_key: FxHashMap<StencilKey, Place>,
    writes: Vec<Entry>,
    damaged: u64,
    /// Bytes of bodies that were compiled, and nanoseconds that these took.
    compiled: (AtomicU64, AtomicU64),
    /// What is noted for the details, if they are wanted.
    notes: Option<Notes>,
}

/// What is known of a key.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Its code is here.
    Code(usize, Origin),
    /// It has slots, and its code cannot be patched: the function has to be split with its
    /// addresses and places in the stencil.
    NoSlots,
}

/// Where the code of a key came from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    Store,
    Compiler,
}

impl<'b, 'c, 's> Compile<'b, 'c, 's> {
    fn new(
        context: &'c Context<'c>,
        program: Whole<'s>,
        before: Option<&'c Before<'c, 'c>>,
        bundles: &'b [Option<Bundle<'c>>],
    ) -> Self {
        let stencils = |bundle: &Option<Bundle<'c>>| {
            vec![None; bundle.as_ref().map_or(0, |bundle| bundle.stencils.len())]
        };
        Compile {
            context,
            program,
            before,
            units: Vec::new(),
            codes: Vec::new(),
            held: Writer::default(),
            of_bundles: bundles.iter().map(stencils).collect(),
            bundles,
            by_key: FxHashMap::default(),
            writes: Vec::new(),
            damaged: 0,
            compiled: Default::default(),
            notes: context.options.details.then(Notes::default),
        }
    }

    /// Counts in `plan` how `jobs` would be found, and gives those that would be compiled.
    fn survey(&mut self, jobs: Vec<Job>, plan: &mut Plan) -> Result<Vec<Job>, Refused> {
        let found = self.units.len();
        let mut open = self.take_from_bundles(jobs);
        for unit in &self.units[found..] {
            counts_of(plan, unit.job).add(unit.found);
        }
        let mut missing = Vec::new();
        for addresses in [Addresses::Slots, Addresses::Literal] {
            let wanted = self.stencils(open, addresses)?;
            self.look_up(&wanted);
            let fits = self.fits(&wanted);
            let mut seen = FxHashSet::default();
            open = Vec::new();
            for (wanted, fits) in wanted.iter().zip(fits) {
                let found = match self.place(wanted) {
                    Some(Place::Code(..)) if fits => Found::Stencil,
                    Some(_) => {
                        open.push(wanted.job);
                        continue;
                    }
                    None if wanted.stencil.is_some_and(|key| !seen.insert(key)) => Found::Duplicate,
                    None => {
                        missing.push(wanted.job);
                        Found::Compiled
                    }
                };
                counts_of(plan, wanted.job).add(found);
            }
        }
        Ok(missing)
    }

    /// How fast functions were compiled so far.
    fn rate(&self) -> Option<Rate> {
        let Context {
            entries, snapshot, ..
        } = self.context;
        let key = entries.rate();
        Rate::read(&entries.open(&key, snapshot.get(&key)?)?)
    }

    /// What is to be remembered of how fast functions were compiled, if some were.
    fn rate_entry(&self) -> Option<Entry> {
        let (bytes, nanoseconds) = &self.compiled;
        let [bytes, nanoseconds] = [bytes, nanoseconds].map(|n| n.load(Ordering::Relaxed));
        if bytes == 0 {
            return None;
        }
        let rate = Rate::after(self.rate(), bytes, nanoseconds)?;
        Some(seal(self.context.entries.rate(), rate.write()))
    }

    /// Finds or compiles the code of `jobs`, and adds them to the units.
    fn obtain(
        &mut self,
        jobs: Vec<Job>,
        watch: &mut Stopwatch,
        report: &mut Report,
    ) -> Result<(), Refused> {
        let missing = self.take_from_bundles(jobs);
        watch.phase(Phase::Lookup, report);
        let unfit = self.find_or_compile(missing, Addresses::Slots, watch, report)?;
        if !unfit.is_empty() {
            let unfit = self.find_or_compile(unfit, Addresses::Literal, watch, report)?;
            debug_assert!(unfit.is_empty(), "without slots everything fits");
        }
        Ok(())
    }

    /// Finds or compiles the code of `jobs`. Gives those back whose addresses do not go into
    /// code with slots for them.
    fn find_or_compile(
        &mut self,
        jobs: Vec<Job>,
        addresses: Addresses,
        watch: &mut Stopwatch,
        report: &mut Report,
    ) -> Result<Vec<Job>, Refused> {
        let span = tracing::debug_span!("keys").entered();
        let wanted = self.stencils(jobs, addresses)?;
        watch.phase(Phase::Keys, report);
        drop(span);
        let span = tracing::debug_span!("lookup").entered();
        self.look_up(&wanted);
        watch.phase(Phase::Lookup, report);
        drop(span);
        let span = tracing::debug_span!("compile").entered();
        let compiled = self.compile_missing(&wanted)?;
        watch.phase(Phase::Compile, report);
        drop(span);
        let _span = tracing::debug_span!("apply").entered();
        let unfit = self.take_in(wanted, compiled);
        watch.phase(Phase::Apply, report);
        Ok(unfit)
    }

    /// Adds what the bundles know to the units. Gives the rest back.
    fn take_from_bundles(&mut self, jobs: Vec<Job>) -> Vec<Job> {
        if self.bundles.iter().all(Option::is_none) {
            return jobs;
        }
        let bundles = self.bundles;
        self.units.reserve(jobs.len());
        let mut missing = Vec::new();
        let trampolines = |bundle: &'b Option<Bundle<'c>>| bundle.as_ref().map(Bundle::trampolines);
        let mut trampolines: Vec<_> = bundles.iter().map(trampolines).collect();
        for job in jobs {
            let number = self.shelf(job);
            let Some((number, bundle)) =
                number.and_then(|number| Some((number, bundles[number].as_ref()?)))
            else {
                missing.push(job);
                continue;
            };
            let known = match (job, bundle::trampoline(job)) {
                (Job::Function(module, function), _) => self.known_body(bundle, module, function),
                (_, Some(name)) => trampolines[number].as_mut().and_then(|find| find(name)),
                (_, None) => None,
            };
            let code = known.and_then(|known| self.code_of_bundle(number, bundle, known.stencil));
            let (Some(code), Some(known)) = (code, known) else {
                missing.push(job);
                continue;
            };
            self.units.push(Unit {
                job,
                parameters: Held::Bundle(known.parameters, known.map),
                found: if job.is_function() {
                    Found::ExactBody
                } else {
                    Found::Stencil
                },
                code,
                storable: true,
            });
        }
        missing
    }

    /// The module whose bundle `job` belongs into. What belongs to no module is a component's,
    /// or the only module's.
    fn shelf(&self, job: Job) -> Option<usize> {
        match job.module() {
            Some(module) => Some(module.as_u32() as usize),
            None => self.program.component.is_none().then_some(0),
        }
    }

    /// What the bundle knows of a body with these bytes. Branch hints are not among them,
    /// so a function that has some is left to its stencil.
    fn known_body(
        &self,
        bundle: &Bundle<'c>,
        module: StaticModuleIndex,
        function: DefinedFuncIndex,
    ) -> Option<Known<'c>> {
        let scan = self.before?.scan.modules.get(module.as_u32() as usize)?;
        let digest = scan.digests.get(function.as_u32() as usize)?;
        let base = base(self.program, Job::Function(module, function));
        let known = bundle.function(function.as_u32(), digest, base)?;
        let hinted = self.program.module(module).branch_hints(function).is_some();
        (!hinted).then_some(known)
    }

    fn code_of_bundle(
        &mut self,
        module: usize,
        bundle: &Bundle<'c>,
        stencil: u32,
    ) -> Option<usize> {
        let place = self.of_bundles[module].get_mut(stencil as usize)?;
        if place.is_none() {
            *place = Some(self.codes.len());
            self.codes
                .push(Code::Bundle(bundle.stencils[stencil as usize]));
        }
        *place
    }

    /// Splits `jobs`.
    fn stencils(&mut self, jobs: Vec<Job>, addresses: Addresses) -> Result<Vec<Wanted>, Refused> {
        let (engine, program) = (self.context.engine, self.program);
        let fingerprint = &self.context.entries.fingerprint;
        let check = self.context.options.verify || cfg!(debug_assertions);
        let shaped = self.shapes(jobs, addresses);
        let records = self.records(&shaped);
        let items = shaped.into_iter().zip(records).collect();
        let wanted = parallel::map(
            engine.parallel,
            items,
            Scratch::default,
            |scratch, (shaped, record)| shaped.decide(fingerprint, program, record, check, scratch),
        );
        let mut all = Vec::with_capacity(wanted.len());
        for wanted in wanted {
            let (wanted, record) = wanted?;
            all.push(wanted);
            self.writes.extend(record);
        }
        Ok(all)
    }

    fn shapes(&self, jobs: Vec<Job>, addresses: Addresses) -> Vec<Shaped> {
        let (parallel, program) = (self.context.engine.parallel, self.program);
        let fingerprint = &self.context.entries.fingerprint;
        parallel::map(parallel, jobs, Scratch::default, |scratch, job| {
            Shaped::of(fingerprint, program, job, addresses, scratch)
        })
    }

    /// What is on record of how slots were found in bodies of the same shapes.
    fn records(&mut self, shaped: &[Shaped]) -> Vec<Option<Cow<'c, [u8]>>> {
        let Context {
            snapshot, entries, ..
        } = self.context;
        let mut asked: Vec<(EntryKey, usize)> = (0..)
            .zip(shaped)
            .filter_map(|(i, shaped)| Some((shaped.record?, i)))
            .collect();
        // Neighbours in the order of keys are neighbours in the store.
        asked.sort_unstable();
        let keys: Vec<&[u8]> = asked.iter().map(|(key, _)| &key[..]).collect();
        let found = snapshot.get_many(&keys);
        let mut records = vec![None; shaped.len()];
        for ((key, i), stored) in asked.iter().zip(found) {
            let Some(stored) = stored else { continue };
            let record = entries.open(key, stored);
            self.damaged += u64::from(record.is_none());
            records[*i] = record;
        }
        records
    }

    /// Takes the code of every wanted key that the store has.
    fn look_up(&mut self, wanted: &[Wanted]) {
        let mut keys: Vec<StencilKey> = wanted
            .iter()
            .filter_map(|wanted| wanted.stencil)
            .filter(|key| !self.by_key.contains_key(key))
            .collect();
        keys.sort_unstable();
        keys.dedup();
        let entry_keys: Vec<EntryKey> = keys.iter().map(Entries::stencil).collect();
        let asked: Vec<&[u8]> = entry_keys.iter().map(|key| &key[..]).collect();
        let found = self.context.snapshot.get_many(&asked);
        for ((key, entry_key), stored) in keys.into_iter().zip(&entry_keys).zip(found) {
            let Some(stored) = stored else { continue };
            match self.context.entries.open(entry_key, stored) {
                Some(bytes) if bytes.is_empty() => {
                    self.by_key.insert(key, Place::NoSlots);
                }
                Some(bytes) if Layout::read(&bytes).is_ok() => {
                    let place = Place::Code(self.codes.len(), Origin::Store);
                    self.by_key.insert(key, place);
                    self.codes.push(Code::Bytes(bytes));
                }
                _ => self.damaged += 1,
            }
        }
    }

    /// Compiles each distinct stencil that was not found, once; and each function
    /// that has none. The results are by the place in `wanted`.
    /// Code that cannot be patched is `None`.
    fn compile_missing(
        &self,
        wanted: &[Wanted],
    ) -> Result<Vec<(usize, Option<Compiled>)>, Refused> {
        let mut seen = FxHashSet::default();
        let mut missing: Vec<usize> = (0..wanted.len())
            .filter(|i| match wanted[*i].stencil {
                Some(key) => self.place(&wanted[*i]).is_none() && seen.insert(key),
                None => true,
            })
            .collect();
        let Context {
            engine,
            compiler,
            options,
            ..
        } = *self.context;
        let program = self.program;
        let (compiled_bytes, compiled_nanoseconds) = &self.compiled;
        let notes = self.notes.as_ref();
        // The longest first, so that none is waited for at the end.
        missing.sort_by_key(|i| Reverse(length(program, wanted[*i].job)));
        let progress = Counter::new(options.progress.as_ref(), missing.len());
        let mut results = parallel::map_each(engine.parallel, missing, |i| {
            let Wanted {
                job,
                parameters,
                slots,
                ..
            } = &wanted[i];
            let plainly = || codegen::compile(engine, compiler, program, *job, parameters, None);
            let start = Instant::now();
            let result = match *job {
                Job::Function(module, function) if parameters.has_holes() => {
                    let module = program.module(module);
                    let sentinels = Sentinels::of(engine, module, function, slots.clone());
                    let compiled = sentinels.map(|sentinels| {
                        let sentinels = Some(&sentinels);
                        codegen::compile(engine, compiler, program, *job, parameters, sentinels)
                    });
                    match compiled {
                        Some(Ok(compiled)) => Ok(Some(compiled)),
                        Some(Err(CodegenError::Unstorable(_))) => Ok(None),
                        // An invalid body may be the reason: Wasmtime's error is the one
                        // without sentinels, and the first of all counts.
                        Some(Err(CodegenError::Compile(_))) | None => plainly().map(|_| None),
                    }
                }
                _ => plainly().map(Some),
            };
            if let Some(bytes) = body_length(program, *job) {
                let nanoseconds = start.elapsed().as_nanos() as u64;
                compiled_bytes.fetch_add(bytes, Ordering::Relaxed);
                compiled_nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
            }
            if let Some(notes) = notes {
                notes.compiled(*job, start);
            }
            progress.step();
            (i, result)
        });
        // All first, then the first error in their order, so that it is the same one
        // every time.
        results.sort_unstable_by_key(|(i, _)| *i);
        results
            .into_iter()
            .map(|(i, result)| match result {
                Ok(compiled) => Ok((i, compiled)),
                Err(CodegenError::Compile(error)) => Err(Refused::Wasmtime(error)),
                Err(CodegenError::Unstorable(reason)) => Err(Refused::Unstorable(reason)),
            })
            .collect()
    }

    /// Where the code of `wanted` is, if it need not be compiled.
    fn place(&self, wanted: &Wanted) -> Option<Place> {
        let place = *self.by_key.get(&wanted.stencil?)?;
        // Only code with slots may be said to have none that can be used.
        (place != Place::NoSlots || wanted.parameters.has_holes()).then_some(place)
    }

    /// Joins the wanted functions with their code. Gives those back whose addresses do not go
    /// into it.
    fn take_in(
        &mut self,
        wanted: Vec<Wanted>,
        compiled: Vec<(usize, Option<Compiled>)>,
    ) -> Vec<Job> {
        let mut fresh: FxHashMap<usize, (usize, Found)> = FxHashMap::default();
        for (i, compiled) in compiled {
            let key = wanted[i].stencil;
            let Some(compiled) = compiled else {
                if let Some(key) = key {
                    self.by_key.insert(key, Place::NoSlots);
                    self.writes.push(seal(Entries::stencil(&key), Vec::new()));
                }
                continue;
            };
            let Compiled {
                stencil,
                from_clif,
                clif_entry,
            } = compiled;
            let code = self.codes.len();
            let found = if from_clif {
                Found::Clif
            } else {
                Found::Compiled
            };
            fresh.insert(i, (code, found));
            if let Some(key) = key {
                self.by_key.insert(key, Place::Code(code, Origin::Compiler));
                self.writes
                    .push(seal(Entries::stencil(&key), stencil.clone()));
                self.writes.extend(clif_entry);
            }
            self.codes.push(Code::Bytes(Cow::Owned(stencil)));
        }
        let fits = self.fits(&wanted);
        let mut unfit = Vec::new();
        for (i, (wanted, fits)) in wanted.into_iter().zip(fits).enumerate() {
            if let (Some(notes), Some(key)) = (&mut self.notes, wanted.stencil) {
                notes.key(wanted.job, key);
            }
            let (code, found) = match (fresh.get(&i), self.place(&wanted)) {
                (Some(fresh), _) => *fresh,
                (None, Some(Place::Code(code, Origin::Compiler))) => (code, Found::Duplicate),
                (None, Some(Place::Code(code, Origin::Store))) => (code, Found::Stencil),
                (None, Some(Place::NoSlots)) => {
                    unfit.push(wanted.job);
                    continue;
                }
                (None, None) => unreachable!("a function without a stencil is compiled"),
            };
            if !fits {
                unfit.push(wanted.job);
                continue;
            }
            let parameters = Held::Here {
                start: self.held.len(),
                base: base(self.program, wanted.job),
            };
            wanted.parameters.write(&mut self.held);
            self.units.push(Unit {
                job: wanted.job,
                parameters,
                found,
                code,
                storable: wanted.stencil.is_some(),
            });
        }
        unfit
    }

    /// Whether the addresses of each of `wanted` go into the code that there is for it. Places
    /// always go into code that has slots for them.
    fn fits(&self, wanted: &[Wanted]) -> Vec<bool> {
        let code = |wanted| match self.place(wanted) {
            Some(Place::Code(code, _)) => Some(&self.codes[code]),
            _ => None,
        };
        let parallel = self.context.engine.parallel;
        let wanted = wanted.iter().map(|wanted| (wanted, code(wanted))).collect();
        parallel::map(
            parallel,
            wanted,
            || (),
            |(), (wanted, code)| {
                let parameters = &wanted.parameters;
                let fits = |code: &Code<'_>| code.layout().fits(|hole| parameters.value(hole));
                parameters.addresses.is_empty() || code.is_none_or(fits)
            },
        )
    }

    /// The builtins whose trampolines the code calls (`compile_required_builtins` in
    /// `wasmtime/src/compile.rs`).
    fn builtins_needed(&self) -> Vec<Job> {
        let mut needed = vec![false; BuiltinFunctionIndex::len() as usize];
        for code in &self.codes {
            for [_, builtin] in code.layout().builtins.records() {
                // A number that no builtin has is found out when the call is resolved.
                if let Some(needed) = needed.get_mut(builtin as usize) {
                    *needed = true;
                }
            }
        }
        (0..)
            .zip(needed)
            .filter(|(_, needed)| *needed)
            .map(|(number, _)| Job::Builtin(BuiltinFunctionIndex::from_u32(number)))
            .collect()
    }

    /// Compiles every function that was not compiled just now, or was with sentinels for its
    /// addresses, with no cache and no sentinels, and compares all its bytes. Says how many.
    fn verify(&self) -> Result<u64, Refused> {
        let (engine, program, codes) = (self.context.engine, self.program, &self.codes);
        let held = self.held.as_bytes();
        let reused: Vec<(&Unit<'_>, FunctionParameters)> = self
            .units
            .iter()
            .filter(|unit| unit.found != Found::Compiled || unit.parameters.read(held).has_holes())
            .map(|unit| (unit, self.parameters(unit)))
            .collect();
        let all = reused.len() as u64;
        let count = all.min(self.context.options.verify_at_most);
        let chosen = |(i, _): &(usize, _)| {
            // One for each time that this steps up: `count` of them.
            let step = |i: u64| (u128::from(i) * u128::from(count) / u128::from(all)) as u64;
            step(*i as u64 + 1) > step(*i as u64)
        };
        let reused = reused.into_iter().enumerate().filter(chosen);
        let reused = reused.map(|(_, unit)| unit).collect();
        let results = parallel::map(
            engine.parallel,
            reused,
            || (),
            |(), (unit, parameters)| {
                let compiler = engine.compiler();
                let job = unit.job;
                let fresh = codegen::compile(engine, compiler, program, job, &parameters, None);
                let same = fresh.is_ok_and(|fresh| {
                    is_same(&fresh.stencil, &codes[unit.code], unit.parameters, held)
                });
                (unit.job, same)
            },
        );
        for (job, same) in results {
            if !same {
                let symbol = job.symbol(program);
                let key = split(program, job, Addresses::Slots, &mut Scratch::default())
                    .map_or_else(
                        || "none".to_string(),
                        |split| {
                            let fingerprint = &self.context.entries.fingerprint;
                            split.stencil.key(fingerprint).to_string()
                        },
                    );
                return Err(Refused::Mismatch(format!(
                    "the code reused for `{symbol}` is not what compiling it gives (stencil key {key})"
                )));
            }
        }
        Ok(count)
    }

    fn parameters(&self, unit: &Unit<'_>) -> FunctionParameters {
        let held = self.held.as_bytes();
        unit.parameters.read(held).to_owned()
    }

    fn count(&self, layouts: &[Layout<'_>], report: &mut Report) {
        let held = self.held.as_bytes();
        for unit in &self.units {
            let counts = if unit.job.is_function() {
                &mut report.functions
            } else {
                &mut report.trampolines
            };
            counts.add(unit.found);
            let bytes = layouts[unit.code].code.len() as u64;
            report.code_bytes.total += bytes;
            if unit.found != Found::Compiled {
                report.code_bytes.reused += bytes;
                let parameters = unit.parameters.read(held);
                if parameters.has_addresses() {
                    report.address_slots.add(bytes);
                }
                if parameters.has_places() {
                    report.place_slots.add(bytes);
                }
            }
        }
        report.store.damaged = self.damaged;
    }

    /// What became of each function, of which there are `notes`.
    fn gathered(&self, notes: Notes, layouts: &[Layout<'_>]) -> Gathered {
        let held = self.held.as_bytes();
        let units = self.units.iter().map(|unit| {
            let parameters = unit.parameters.read(held);
            let code_bytes = layouts[unit.code].code.len() as u64;
            (unit.job, unit.found, parameters, code_bytes)
        });
        notes.gather(self.program, units)
    }

    /// The bundles to be stored; see [`bundle_entry`](Self::bundle_entry).
    fn bundle_entries(&self, layouts: &[Layout<'_>], report: &Report) -> Vec<Entry> {
        let Some(before) = self.before else {
            return Vec::new();
        };
        let mostly_compiled = report.functions.compiled >= report.functions.total / 2;
        let mut found = vec![0u64; self.program.modules.len()];
        for unit in &self.units {
            if let (Job::Function(module, _), Found::ExactBody) = (unit.job, unit.found) {
                found[module.as_u32() as usize] += 1;
            }
        }
        let shelves = before.shelves.iter().zip(&before.scan.modules);
        shelves
            .zip(found)
            .enumerate()
            .filter_map(|(module, ((shelf, scan), found))| {
                let total = scan.bodies.len() as u64;
                if total - found <= found / MISSES_ALLOWED {
                    return None;
                }
                self.bundle_entry(layouts, module, shelf, scan, mostly_compiled)
            })
            .collect()
    }

    /// The bundle of a module for which the one that there is, if any, knew too little: at once
    /// if most functions were compiled anyway; else when the environment is seen again, so that
    /// who changes it with every compile does not pay for bundles. The first time it is a
    /// note that the environment was seen.
    fn bundle_entry(
        &self,
        layouts: &[Layout<'_>],
        module: usize,
        Shelf { key, note, .. }: &Shelf<'_>,
        scan: &ModuleScan<'_>,
        mostly_compiled: bool,
    ) -> Option<Entry> {
        let snapshot = self.context.snapshot;
        let seen = || {
            let stored = snapshot.get(note)?;
            self.context.entries.open(note, stored)
        };
        if !mostly_compiled && seen().is_none() {
            return Some(seal(*note, Vec::new()));
        }
        let bytes = self.bundle_bytes(layouts, module, &scan.digests)?;
        Some(seal(*key, bytes))
    }

    fn bundle_bytes(
        &self,
        layouts: &[Layout<'_>],
        module: usize,
        digests: &[Digest],
    ) -> Option<Vec<u8>> {
        let everything = self.program.modules[module].facts.everything();
        let mut writer = BundleWriter::new(everything, digests);
        let mut numbers = vec![None; self.codes.len()];
        let held = self.held.as_bytes();
        for unit in &self.units {
            let here = self.shelf(unit.job) == Some(module);
            if !here || !unit.storable || !self.belongs_in_bundle(unit.job) {
                continue;
            }
            let layout = &layouts[unit.code];
            let number = *numbers[unit.code].get_or_insert_with(|| writer.stencil(layout));
            let parameters = unit.parameters.read(held);
            let map = unit.parameters.map();
            writer.add(unit.job, number, layout, parameters, map).ok()?;
        }
        writer.finish()
    }

    /// Not so functions that must not be found by their bytes: those with branch hints.
    fn belongs_in_bundle(&self, job: Job) -> bool {
        match job {
            Job::Function(module, function) => {
                self.program.module(module).branch_hints(function).is_none()
            }
            trampoline => bundle::trampoline(trampoline).is_some(),
        }
    }
}

/// Whether `fresh`, a stencil compiled with the addresses themselves in it, is all that `code`
/// with the parameters `held` is.
fn is_same(fresh: &[u8], code: &Code<'_>, held: Held<'_>, all_held: &[u8]) -> bool {
    let Ok(fresh) = Layout::read(fresh) else {
        return false;
    };
    let (stored, parameters) = (code.layout(), held.read(all_held));
    let mut filled = stored.code.to_vec();
    let value = |hole| parameters.value(hole);
    if stored.fill(&mut filled, value).is_err() {
        return false;
    }
    let expected = stored.with_code(&filled);
    let Held::Bundle(_, map) = held else {
        return fresh == expected;
    };
    let (mut bytes, mut checkpoints) = (Vec::new(), Writer::default());
    let written = write_body_map(fresh.address_map, parameters, &mut bytes, &mut checkpoints);
    let mut without_map = fresh;
    without_map.address_map = stored.address_map;
    without_map == expected
        && written.is_ok()
        && bytes == map.entries.bytes
        && checkpoints.as_bytes() == map.checkpoints.as_bytes()
}

/// Where `plan` counts `job`.
fn counts_of(plan: &mut Plan, job: Job) -> &mut Counts {
    if job.is_function() {
        &mut plan.functions
    } else {
        &mut plan.trampolines
    }
}

/// A bundle is written anew when it missed more than one function for so many that it
/// knew.
const MISSES_ALLOWED: u64 = 16;
