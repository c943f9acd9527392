//! What became of each single function, and when, for whoever asks for that.

use crate::jobs::Job;
use crate::program::Whole;
use crate::report::Found;
use crate::stencil::{StencilKey, StoredParameters};
use rustc_hash::FxHashMap;
use serde::Serialize;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What became of each function in one compile, and when.
///
/// Serializes to one object; the field names are part of the interface.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Details {
    /// The functions that the modules define, in the order of modules and of indices. As many as
    /// [`Report::functions`](crate::Report::functions) counts.
    pub functions: Vec<FunctionDetails>,
    /// The stages of the compile, and the functions that took longer to compile than 100
    /// microseconds, in the order in which they began.
    pub spans: Vec<Span>,
}

/// What became of one function.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct FunctionDetails {
    /// The number of its core module; 0 in an input that is a module.
    pub module: u32,
    /// Its index among all functions of the module, imports included.
    pub index: u32,
    /// Its name, if the name section has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How it was found.
    pub found: Found,
    /// Its code has slots for addresses of static data.
    pub address_slots: bool,
    /// Its code has slots for where globals, tables and imports lie in the instance.
    pub place_slots: bool,
    /// The length of its body in the input, in bytes.
    pub body_bytes: u64,
    /// The length of its machine code, in bytes.
    pub code_bytes: u64,
    /// The key of its stencil, in hexadecimal digits. Of a function that was found by its exact
    /// body none is made, nor of one whose body does not read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stencil_key: Option<String>,
    /// How long it took to compile, in nanoseconds, if it was compiled in this compile. A
    /// function whose slots turned out to be of no use is compiled twice, and this is the sum.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compile_ns: Option<u64>,
}

/// A stage of a compile, or a function that was compiled in it: what a thread did, and when.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Span {
    /// The stage.
    pub phase: Phase,
    /// The thread: one more than its number in rayon's pool, or 0 for a thread that is in none.
    pub thread: u32,
    /// When it began, in microseconds from the start of the compile.
    pub start_us: u64,
    /// When it was done, likewise.
    pub end_us: u64,
    /// The function that was compiled, as its place in [`Details::functions`]; `None` for the
    /// whole stage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function: Option<u32>,
}

/// A stage of a compile; [`Times`](crate::Times) says what belongs to each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Phase {
    /// Reading and validating all but the function bodies.
    Parse,
    /// Digests of bodies, stencils, and their keys.
    Keys,
    /// Reading the store.
    Lookup,
    /// Compiling what was not found.
    Compile,
    /// Matching parameters with compiled stencils.
    Apply,
    /// Making the artifact.
    Link,
}

/// A function that takes no longer than this to compile has no span.
const SHORTEST_SPAN: Duration = Duration::from_micros(100);

/// Something that a thread did.
pub(crate) struct Noted<T> {
    what: T,
    thread: u32,
    start: Instant,
    end: Instant,
}

impl<T> Noted<T> {
    /// This thread has done `what` since `start`, up to `end`.
    pub(crate) fn here(what: T, start: Instant, end: Instant) -> Noted<T> {
        Noted {
            what,
            thread: rayon::current_thread_index().map_or(0, |index| index as u32 + 1),
            start,
            end,
        }
    }

    fn with<U>(&self, what: U) -> Noted<U> {
        Noted {
            what,
            thread: self.thread,
            start: self.start,
            end: self.end,
        }
    }

    fn duration(&self) -> Duration {
        self.end.saturating_duration_since(self.start)
    }

    fn span(&self, origin: Instant, phase: Phase, function: Option<u32>) -> Span {
        let since = |instant: Instant| instant.saturating_duration_since(origin).as_micros() as u64;
        Span {
            phase,
            thread: self.thread,
            start_us: since(self.start),
            end_us: since(self.end),
            function,
        }
    }
}

/// A function: its module's number, and its own among those that the module defines.
type Function = (u32, u32);

fn function(job: Job) -> Option<Function> {
    match job {
        Job::Function(module, function) => Some((module.as_u32(), function.as_u32())),
        _ => None,
    }
}

/// What is noted of functions on their way.
#[derive(Default)]
pub(crate) struct Notes {
    compiled: Mutex<Vec<Noted<Function>>>,
    keys: FxHashMap<Function, StencilKey>,
}

impl Notes {
    /// `job` was compiled on this thread, beginning at `start`.
    pub(crate) fn compiled(&self, job: Job, start: Instant) {
        if let Some(function) = function(job) {
            let noted = Noted::here(function, start, Instant::now());
            let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
            compiled.push(noted);
        }
    }

    /// `job` has a stencil with this key.
    pub(crate) fn key(&mut self, job: Job, key: StencilKey) {
        if let Some(function) = function(job) {
            self.keys.insert(function, key);
        }
    }

    /// All that there is to say of functions. They come as what they are, how each was found, its
    /// parameters, and the length of its code in bytes.
    pub(crate) fn gather<'p>(
        self,
        program: Whole<'_>,
        jobs: impl Iterator<Item = (Job, Found, StoredParameters<'p>, u64)>,
    ) -> Gathered {
        let mut functions = Vec::new();
        let mut places = FxHashMap::default();
        for (job, found, parameters, code_bytes) in jobs {
            let Job::Function(module, number) = job else {
                continue;
            };
            let source = program.module(module);
            let index = source.function_index(number);
            let names = &source.translation.debuginfo.name_section.func_names;
            let of = (module.as_u32(), number.as_u32());
            places.insert(of, functions.len() as u32);
            functions.push(FunctionDetails {
                module: module.as_u32(),
                index: index.as_u32(),
                name: names.get(&index).map(|name| (*name).to_owned()),
                found,
                address_slots: parameters.has_addresses(),
                place_slots: parameters.has_places(),
                body_bytes: source.body(number).as_bytes().len() as u64,
                code_bytes,
                stencil_key: self.keys.get(&of).map(ToString::to_string),
                compile_ns: None,
            });
        }
        let compiled = self.compiled.into_inner();
        let compiled = compiled.unwrap_or_else(PoisonError::into_inner);
        let placed = |noted: Noted<Function>| Some(noted.with(*places.get(&noted.what)?));
        let compiled: Vec<Noted<u32>> = compiled.into_iter().filter_map(placed).collect();
        for noted in &compiled {
            let function = &mut functions[noted.what as usize];
            *function.compile_ns.get_or_insert(0) += noted.duration().as_nanos() as u64;
        }
        Gathered {
            functions,
            compiled,
        }
    }
}

/// The details of a compile that is not at its end yet.
pub(crate) struct Gathered {
    functions: Vec<FunctionDetails>,
    compiled: Vec<Noted<u32>>,
}

impl Gathered {
    /// The details of a compile that began at `origin` and had these stages.
    pub(crate) fn finish(self, origin: Instant, stages: &[Noted<Phase>]) -> Details {
        let stages = stages
            .iter()
            .map(|noted| noted.span(origin, noted.what, None));
        let long = self
            .compiled
            .iter()
            .filter(|noted| noted.duration() > SHORTEST_SPAN);
        let compiled = long.map(|noted| noted.span(origin, Phase::Compile, Some(noted.what)));
        let mut spans: Vec<Span> = stages.chain(compiled).collect();
        spans.sort_by_key(|span| span.start_us);
        Details {
            functions: self.functions,
            spans,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compiler::{Compiler, Options};
    use crate::report::Counts;
    use ibid_store::MemoryStore;
    use std::sync::Arc;
    use wasmtime::Engine;

    const MODULE: &str = r#"(module
        (import "" "log" (func $log (param i32)))
        (memory 64)
        (data (i32.const 1048600) "data")
        (func $names (export "names") (result i32) (i32.load (i32.const 1048600)))
        (func (param i32) (call $log (i32.mul (local.get 0) (i32.const 3))))
        (func $twin (param i32) (call $log (i32.mul (local.get 0) (i32.const 3)))))"#;

    fn compiler(details: bool) -> Compiler {
        let mut options = Options::default();
        options.details = details;
        Compiler::with_options(&Engine::default(), Arc::new(MemoryStore::new()), options)
    }

    /// The details of a compile, which agree with the rest of its report.
    #[track_caller]
    fn details(compiler: &Compiler, wasm: &str) -> Details {
        let compilation = compiler.compile(wasm.as_bytes()).unwrap();
        let plain = compiler.engine().precompile_module(wasm.as_bytes());
        assert!(compilation.artifact() == plain.unwrap());
        let details = compilation.details().expect("they were asked for").clone();
        let report = compilation.store();
        let mut counts = Counts::default();
        for function in &details.functions {
            counts.add(function.found);
            let compiled = function.found == Found::Compiled;
            assert!(!compiled || function.compile_ns.is_some());
            let exact = function.found == Found::ExactBody;
            assert_eq!(function.stencil_key.is_none(), exact);
        }
        assert_eq!(counts, report.functions);
        assert!(!report.whole_artifact);
        let total = (report.time_ms.total * 1e3) as u64 + 1;
        for span in &details.spans {
            assert!(span.start_us <= span.end_us && span.end_us <= total);
            assert!(span.function.is_none_or(|place| {
                span.phase == Phase::Compile && (place as usize) < details.functions.len()
            }));
        }
        assert!(details.spans.is_sorted_by_key(|span| span.start_us));
        details
    }

    #[test]
    fn every_function_is_named_measured_and_found() {
        let compiler = compiler(true);
        let first = details(&compiler, MODULE);
        let found = |details: &Details| -> Vec<Found> {
            let functions = details.functions.iter();
            functions.map(|function| function.found).collect()
        };
        assert_eq!(
            found(&first),
            [Found::Compiled, Found::Compiled, Found::Duplicate]
        );
        let [named, unnamed, twin] = &first.functions[..] else {
            panic!("three functions are defined");
        };
        assert_eq!(named.name.as_deref(), Some("names"));
        assert_eq!((named.module, named.index), (0, 1));
        assert!(named.address_slots && !unnamed.address_slots);
        assert_eq!(unnamed.name, None);
        assert_eq!(unnamed.stencil_key, twin.stencil_key);
        assert_eq!(unnamed.code_bytes, twin.code_bytes);
        assert!(named.body_bytes > 0 && named.code_bytes > 0);
        for phase in [Phase::Parse, Phase::Keys, Phase::Compile, Phase::Link] {
            assert!(first.spans.iter().any(|span| span.phase == phase));
        }

        let moved = details(&compiler, &MODULE.replace("1048600", "2000000"));
        assert_eq!(moved.functions[0].found, Found::Stencil);
        assert_eq!(
            moved.functions[0].stencil_key,
            first.functions[0].stencil_key
        );
        // As often as it is compiled: the whole artifact is never what is found.
        for _ in 0..3 {
            assert_eq!(found(&details(&compiler, MODULE)), [Found::ExactBody; 3]);
        }
    }

    #[test]
    fn there_are_none_unless_they_are_asked_for() {
        let compiler = compiler(false);
        let compilation = compiler.compile(MODULE.as_bytes()).unwrap();
        assert_eq!(compilation.details(), None);
    }
}
