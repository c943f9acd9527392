//! One compile, from the input to the artifact. Data flows one way: parse, stencils
//! and keys, lookup, compile, apply, link.

use crate::codegen::{self, CodegenError, Compiled};
use crate::compiled::{self, Layout, RelocationTarget, Target, Unstorable};
use crate::compiler::Options;
use crate::entries::{Entries, EntryKey, open, read_exact, seal, write_exact};
use crate::fingerprint::EngineCompiler;
use crate::jobs::Job;
use crate::link::{self, Linkable};
use crate::module::ParsedModule;
use crate::parallel;
use crate::progress::Counter;
use crate::report::{Found, Report, Stopwatch};
use crate::stencil::{self, Digest, FunctionParameters, FunctionStencil, Scratch, StencilKey};
use ibid_store::{Entry, Snapshot};
use rustc_hash::{FxHashMap, FxHashSet};
use std::borrow::Cow;
use wasmtime_environ::{BuiltinFunctionIndex, Compiler};

/// What a compile works with.
pub(crate) struct Context<'c> {
    pub(crate) engine: &'c EngineCompiler,
    /// Compiles what is missing; has Cranelift's own cache over the store.
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

/// Compiles `wasm`.
pub(crate) fn run(context: &Context<'_>, wasm: &[u8]) -> Result<Output, Refused> {
    let mut watch = Stopwatch::start();
    let mut report = Report::default();
    let module = ParsedModule::parse(context.engine, wasm).map_err(Refused::Wasmtime)?;
    watch.lap(&mut report.time_ms.parse);

    let mut compile = Compile::new(context, &module);
    compile.obtain(Job::all(&module), &mut watch, &mut report)?;
    let builtins = compile.builtins_needed();
    compile.obtain(builtins, &mut watch, &mut report)?;
    if context.options.verify {
        report.verified = Some(compile.verify()?);
        watch.lap(&mut report.time_ms.compile);
    }
    compile.count(&mut report);

    let Compile {
        mut units,
        codes,
        writes,
        ..
    } = compile;
    units.sort_by_key(|unit| unit.job.key());
    let functions = linkable(context.engine, &module, &units, &codes);
    watch.lap(&mut report.time_ms.apply);

    let ParsedModule {
        mut translation,
        types,
        ..
    } = module;
    translation.module.needs_gc_heap |= functions.iter().any(|f| f.code.needs_gc_heap);
    let artifact =
        link::link(context.engine, translation, types, &functions).map_err(Refused::Wasmtime)?;
    watch.lap(&mut report.time_ms.link);
    report.time_ms.total = watch.total();
    Ok(Output {
        artifact,
        writes,
        report,
    })
}

/// One function of the artifact on its way.
struct Unit {
    job: Job,
    parameters: FunctionParameters,
    /// `None`: the body could not be split; it is compiled, and never stored.
    stencil: Option<StencilKey>,
    found: Found,
    /// Where its code is.
    code: usize,
}

/// A compiled stencil, from the store or fresh.
struct Code<'s> {
    bytes: Cow<'s, [u8]>,
}

impl Code<'_> {
    fn layout(&self) -> Layout<'_> {
        Layout::read(&self.bytes).expect("checked when it was taken in")
    }
}

/// A function whose parameters and key are known and whose code is not.
struct Wanted {
    job: Job,
    parameters: FunctionParameters,
    stencil: Option<StencilKey>,
    exact: Option<Digest>,
    by_exact_body: bool,
}

struct Compile<'c, 'm, 'w> {
    context: &'c Context<'c>,
    module: &'m ParsedModule<'w>,
    units: Vec<Unit>,
    codes: Vec<Code<'c>>,
    by_key: FxHashMap<StencilKey, (usize, Origin)>,
    writes: Vec<Entry>,
    damaged: u64,
}

/// Where the code of a key came from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    Store,
    Compiler,
}

impl<'c, 'm, 'w> Compile<'c, 'm, 'w> {
    fn new(context: &'c Context<'c>, module: &'m ParsedModule<'w>) -> Self {
        Compile {
            context,
            module,
            units: Vec::new(),
            codes: Vec::new(),
            by_key: FxHashMap::default(),
            writes: Vec::new(),
            damaged: 0,
        }
    }

    /// Finds or compiles the code of `jobs`, and adds them to the units.
    fn obtain(
        &mut self,
        jobs: Vec<Job>,
        watch: &mut Stopwatch,
        report: &mut Report,
    ) -> Result<(), Refused> {
        let exact = self.exact_keys(&jobs);
        watch.lap(&mut report.time_ms.keys);
        let known = self.look_up_bodies(&jobs, &exact);
        watch.lap(&mut report.time_ms.lookup);
        let wanted = self.stencils(jobs, exact, known);
        watch.lap(&mut report.time_ms.keys);
        self.look_up_stencils(&wanted);
        watch.lap(&mut report.time_ms.lookup);
        let compiled = self.compile_missing(&wanted)?;
        watch.lap(&mut report.time_ms.compile);
        self.take_in(wanted, compiled)?;
        watch.lap(&mut report.time_ms.apply);
        Ok(())
    }

    /// The key of each function's exact body; `None` for trampolines.
    fn exact_keys(&self, jobs: &[Job]) -> Vec<Option<Digest>> {
        let (fingerprint, module) = (&self.context.entries.fingerprint, self.module);
        parallel::map(
            self.context.engine.parallel,
            jobs.to_vec(),
            || (),
            |(), job| match job {
                Job::Function(function) => stencil::exact_key(
                    fingerprint,
                    &module.facts,
                    module.function_index(function).as_u32(),
                    module.body(function),
                    module.branch_hints(function),
                )
                .ok(),
                _ => None,
            },
        )
    }

    /// What the store knows of exact bodies: the stencil's key and the parameters.
    fn look_up_bodies(
        &mut self,
        jobs: &[Job],
        exact: &[Option<Digest>],
    ) -> Vec<Option<(StencilKey, FunctionParameters)>> {
        let mut known: Vec<Option<_>> = jobs.iter().map(|_| None).collect();
        let asked: Vec<usize> = (0..jobs.len()).filter(|i| exact[*i].is_some()).collect();
        let keys: Vec<_> = asked
            .iter()
            .flat_map(|i| &exact[*i])
            .map(Entries::exact)
            .collect();
        for (i, value) in asked.into_iter().zip(self.look_up(&keys)) {
            let (Some(value), Job::Function(function)) = (value, jobs[i]) else {
                continue;
            };
            let base = self.module.body(function).range().start as u32;
            match read_exact(&value, base) {
                Ok(entry) => known[i] = Some(entry),
                Err(_) => self.damaged += 1,
            }
        }
        known
    }

    /// The intact values that the store has for `keys`.
    fn look_up(&mut self, keys: &[EntryKey]) -> Vec<Option<Cow<'c, [u8]>>> {
        let asked: Vec<&[u8]> = keys.iter().map(|key| &key[..]).collect();
        let stored = self.context.snapshot.get_many(&asked);
        keys.iter()
            .zip(stored)
            .map(|(key, stored)| {
                let value = open(key, stored?);
                self.damaged += u64::from(value.is_none());
                value
            })
            .collect()
    }

    /// Splits what no exact body was found for.
    fn stencils(
        &self,
        jobs: Vec<Job>,
        exact: Vec<Option<Digest>>,
        known: Vec<Option<(StencilKey, FunctionParameters)>>,
    ) -> Vec<Wanted> {
        let items: Vec<_> = jobs.into_iter().zip(exact).zip(known).collect();
        let (parallel, module) = (self.context.engine.parallel, self.module);
        let fingerprint = &self.context.entries.fingerprint;
        parallel::map(
            parallel,
            items,
            Scratch::default,
            |scratch, ((job, exact), known)| {
                let by_exact_body = known.is_some();
                let (stencil, parameters) = match known {
                    Some((stencil, parameters)) => (Some(stencil), parameters),
                    None => match split(module, job, scratch) {
                        Some((stencil, parameters)) => (Some(stencil.key(fingerprint)), parameters),
                        None => (None, unsplit(module, job)),
                    },
                };
                Wanted {
                    job,
                    parameters,
                    stencil,
                    exact,
                    by_exact_body,
                }
            },
        )
    }

    /// Takes the code of every wanted key that the store has.
    fn look_up_stencils(&mut self, wanted: &[Wanted]) {
        let mut keys: Vec<StencilKey> = wanted
            .iter()
            .filter_map(|wanted| wanted.stencil)
            .filter(|key| !self.by_key.contains_key(key))
            .collect();
        keys.sort_unstable();
        keys.dedup();
        let entry_keys: Vec<_> = keys.iter().map(Entries::stencil).collect();
        let found = self.look_up(&entry_keys);
        for (key, bytes) in keys.into_iter().zip(found) {
            let Some(bytes) = bytes else { continue };
            if Layout::read(&bytes).is_err() {
                self.damaged += 1;
                continue;
            }
            self.by_key.insert(key, (self.codes.len(), Origin::Store));
            self.codes.push(Code { bytes });
        }
    }

    /// Compiles each distinct stencil that was not found, once; and each function
    /// that has none. The results are by the place in `wanted`.
    fn compile_missing(&self, wanted: &[Wanted]) -> Result<Vec<(usize, Compiled)>, Refused> {
        let mut seen = FxHashSet::default();
        let missing: Vec<usize> = (0..wanted.len())
            .filter(|i| match wanted[*i].stencil {
                Some(key) => !self.by_key.contains_key(&key) && seen.insert(key),
                None => true,
            })
            .collect();
        let Context {
            engine,
            compiler,
            options,
            ..
        } = *self.context;
        let module = self.module;
        let progress = Counter::new(options.progress.as_ref(), missing.len());
        let results = parallel::map(
            engine.parallel,
            missing,
            || (),
            |(), i| {
                let Wanted {
                    job, parameters, ..
                } = &wanted[i];
                let result = codegen::compile(engine, compiler, module, *job, parameters);
                progress.step();
                (i, result)
            },
        );
        // All first, then the first error in their order, so that it is the same one
        // every time.
        results
            .into_iter()
            .map(|(i, result)| match result {
                Ok(compiled) => Ok((i, compiled)),
                Err(CodegenError::Compile(error)) => Err(Refused::Wasmtime(error)),
                Err(CodegenError::Unstorable(reason)) => Err(Refused::Unstorable(reason)),
            })
            .collect()
    }

    /// Joins the wanted functions with their code.
    ///
    /// Whatever the store said, code is only joined with parameters that fit it.
    fn take_in(
        &mut self,
        wanted: Vec<Wanted>,
        compiled: Vec<(usize, Compiled)>,
    ) -> Result<(), Refused> {
        let mut fresh: FxHashMap<usize, (usize, Found)> = FxHashMap::default();
        for (
            i,
            Compiled {
                stencil,
                from_clif,
                clif_entry,
            },
        ) in compiled
        {
            let code = self.codes.len();
            let found = if from_clif {
                Found::Clif
            } else {
                Found::Compiled
            };
            fresh.insert(i, (code, found));
            if let Some(key) = wanted[i].stencil {
                self.by_key.insert(key, (code, Origin::Compiler));
                self.writes
                    .push(seal(Entries::stencil(&key), stencil.clone()));
                self.writes.extend(clif_entry);
            }
            self.codes.push(Code {
                bytes: Cow::Owned(stencil),
            });
        }
        for (i, wanted) in wanted.into_iter().enumerate() {
            let Wanted {
                job,
                parameters,
                stencil,
                exact,
                by_exact_body,
            } = wanted;
            let (code, found) = match (fresh.get(&i), stencil) {
                (Some(fresh), _) => *fresh,
                (None, Some(key)) => match self.by_key[&key] {
                    (code, Origin::Compiler) => (code, Found::Duplicate),
                    (code, Origin::Store) if by_exact_body => (code, Found::ExactBody),
                    (code, Origin::Store) => (code, Found::Stencil),
                },
                (None, None) => unreachable!("a function without a stencil is compiled"),
            };
            if let (Some(exact), Some(key), false) = (&exact, &stencil, by_exact_body) {
                self.writes
                    .push(seal(Entries::exact(exact), write_exact(key, &parameters)));
            }
            if !self.fits(self.codes[code].layout(), &parameters) {
                let symbol = job.symbol(self.module);
                return Err(Refused::Mismatch(format!(
                    "what the store has for `{symbol}` does not fit together"
                )));
            }
            self.units.push(Unit {
                job,
                parameters,
                stencil,
                found,
                code,
            });
        }
        Ok(())
    }

    /// Whether each reference of `code` is one that the target knows, and leads to a
    /// function that has code.
    fn fits(&self, code: Layout<'_>, parameters: &FunctionParameters) -> bool {
        let module = &self.module.translation.module;
        let defined = module.num_imported_funcs..module.functions.len();
        let architecture = self.context.engine.isa.triple().architecture;
        code.relocations()
            .all(|record| match compiled::relocation(record, parameters) {
                _ if !record.kind.is_of(architecture) => false,
                Ok(relocation) => match relocation.target {
                    RelocationTarget::Function(index) => defined.contains(&(index as usize)),
                    RelocationTarget::Startup => !module.startup.is_none(),
                    RelocationTarget::Builtin(_) => true,
                },
                Err(_) => false,
            })
    }

    /// The builtins whose trampolines the code calls (`compile_required_builtins` in
    /// `wasmtime/src/compile.rs`).
    fn builtins_needed(&self) -> Vec<Job> {
        let builtins: std::collections::BTreeSet<u32> = self
            .codes
            .iter()
            .flat_map(|code| code.layout().relocations())
            .filter_map(|relocation| match relocation.target {
                Target::Builtin(builtin) => Some(builtin),
                Target::Slot(_) => None,
            })
            .collect();
        builtins
            .into_iter()
            .map(|b| Job::Builtin(BuiltinFunctionIndex::from_u32(b)))
            .collect()
    }

    /// Compiles every function that was not compiled just now, with no cache at all,
    /// and compares all its bytes. Says how many.
    fn verify(&self) -> Result<u64, Refused> {
        let (engine, module) = (self.context.engine, self.module);
        let reused: Vec<&Unit> = self
            .units
            .iter()
            .filter(|unit| unit.found != Found::Compiled)
            .collect();
        let count = reused.len() as u64;
        let results = parallel::map(
            engine.parallel,
            reused,
            || (),
            |(), unit| {
                let compiler = engine.compiler();
                let fresh = codegen::compile(engine, compiler, module, unit.job, &unit.parameters);
                (unit, fresh)
            },
        );
        for (unit, fresh) in results {
            let same = match fresh {
                Ok(fresh) => fresh.stencil == *self.codes[unit.code].bytes,
                Err(_) => false,
            };
            if !same {
                let symbol = unit.job.symbol(self.module);
                let key = unit
                    .stencil
                    .map_or_else(|| "none".to_string(), |key| key.to_string());
                return Err(Refused::Mismatch(format!(
                    "the code reused for `{symbol}` is not what compiling it gives (stencil key {key})"
                )));
            }
        }
        Ok(count)
    }

    fn count(&self, report: &mut Report) {
        for unit in &self.units {
            let counts = if unit.job.is_function() {
                &mut report.functions
            } else {
                &mut report.trampolines
            };
            counts.add(unit.found);
            let bytes = self.codes[unit.code].layout().code.len() as u64;
            report.code_bytes.total += bytes;
            if unit.found != Found::Compiled {
                report.code_bytes.reused += bytes;
            }
        }
        report.store.damaged = self.damaged;
    }
}

/// The stencil and parameters of `job`; `None` when its body cannot be split.
pub(crate) fn split(
    module: &ParsedModule<'_>,
    job: Job,
    scratch: &mut Scratch,
) -> Option<(FunctionStencil, FunctionParameters)> {
    match job {
        Job::Function(function) => stencil::split(
            &module.facts,
            module.function_index(function).as_u32(),
            module.body(function),
            module.branch_hints(function),
            scratch,
        )
        .ok(),
        trampoline => trampoline.trampoline(module),
    }
}

/// Parameters for a function whose body cannot be split: every function is a callee
/// of its, and its source locations are what they are.
fn unsplit(module: &ParsedModule<'_>, job: Job) -> FunctionParameters {
    let functions = module.translation.module.functions.len() as u32;
    let callees = (0..functions).collect();
    match job {
        Job::Function(function) => {
            FunctionParameters::unsplit(module.body(function).range().start as u32, callees)
        }
        _ => FunctionParameters::without_source(callees),
    }
}

fn linkable<'a>(
    engine: &EngineCompiler,
    module: &ParsedModule<'_>,
    units: &'a [Unit],
    codes: &'a [Code<'_>],
) -> Vec<Linkable<'a>> {
    let symbols = engine.tunables.debug_symbols;
    units
        .iter()
        .map(|unit| Linkable {
            key: unit.job.key(),
            symbol: symbols.then(|| unit.job.symbol(module)),
            code: codes[unit.code].layout(),
            parameters: &unit.parameters,
        })
        .collect()
}
