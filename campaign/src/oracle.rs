//! The oracle: ibid and Wasmtime, side by side.

use crate::aside::write_aside;
use ibid::{CacheStore, Compiler, MemoryStore, Options, Report};
use object::{Object as _, ObjectSection as _, ObjectSymbol as _};
use std::fmt;
use std::sync::Arc;
use wasmtime::{Config, Engine};

/// Compiles each of `inputs` with ibid over `store` and with plain Wasmtime, both as `config`
/// says. What ibid finds out is in the store before the next input's turn.
///
/// This is what ibid promises: of each input, both give the same artifact, byte for byte, or both
/// fail with the same message.
///
/// # Errors
///
/// The first [`Disagreement`]; both artifacts are then [written aside](write_aside).
///
/// # Panics
///
/// Panics if `config` is unsound.
///
/// # Example
///
/// ```
/// use ibid::MemoryStore;
/// use ibid_campaign::{Outcome, agree};
/// use std::sync::Arc;
///
/// let wasm = wat::parse_str("(module (func))")?;
/// let store = Arc::new(MemoryStore::new());
/// let outcomes = agree(&wasmtime::Config::new(), [&wasm, &wasm], store)?;
/// let Outcome::Artifact(report) = &outcomes[1] else { panic!() };
/// assert_eq!(report.functions.compiled, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn agree<S, I>(config: &Config, inputs: I, store: Arc<S>) -> Result<Vec<Outcome>, Disagreement>
where
    S: CacheStore + 'static,
    I: IntoIterator<Item: AsRef<[u8]>>,
{
    let oracle = Oracle::over(config, store);
    inputs
        .into_iter()
        .map(|wasm| oracle.compare(wasm.as_ref()))
        .collect()
}

/// A compiler over a store, next to the engine that it is to equal.
#[derive(Debug)]
pub struct Oracle<S = MemoryStore> {
    /// The engine that is right by definition.
    pub engine: Engine,
    /// The compiler that is to equal it.
    pub compiler: Compiler,
    /// What the compiler remembers.
    pub store: Arc<S>,
}

/// What both gave for one input.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// One artifact; what ibid did for it.
    Artifact(Box<Report>),
    /// One error; its message.
    Error(String),
}

impl Oracle {
    /// Of the default engine, over an empty store in memory. Whole artifacts are off, so that
    /// functions are looked at.
    #[expect(
        clippy::new_without_default,
        reason = "an engine is not made by the way"
    )]
    pub fn new() -> Oracle {
        Oracle::with(&Config::new())
    }

    /// Of an engine of this configuration.
    ///
    /// # Panics
    ///
    /// Panics if the configuration is unsound.
    pub fn with(config: &Config) -> Oracle {
        Oracle::over(config, Arc::new(MemoryStore::new()))
    }
}

impl<S: CacheStore + 'static> Oracle<S> {
    /// Of an engine of this configuration, over a store that others may share.
    ///
    /// # Panics
    ///
    /// Panics if the configuration is unsound.
    pub fn over(config: &Config, store: Arc<S>) -> Oracle<S> {
        let engine = Engine::new(config).expect("the configuration is sound");
        let mut options = Options::default();
        options.whole_artifacts = false;
        Oracle::of(&engine, store, options)
    }

    /// Of this very engine, over a store that others may share.
    pub fn of(engine: &Engine, store: Arc<S>, options: Options) -> Oracle<S> {
        let shared: Arc<dyn CacheStore> = store.clone();
        Oracle {
            engine: engine.clone(),
            compiler: Compiler::with_options(engine, shared, options),
            store,
        }
    }

    /// Compiles `wasm`, a module or a component, both ways. What ibid found out is stored when
    /// this returns.
    ///
    /// # Errors
    ///
    /// A [`Disagreement`]; both artifacts are then [written aside](write_aside).
    pub fn compare(&self, wasm: &[u8]) -> Result<Outcome, Disagreement> {
        let plain = self.plain(wasm);
        match (self.compiler.compile(wasm), plain) {
            (Ok(compilation), Ok(plain)) if compilation.artifact() == plain => {
                Ok(Outcome::Artifact(Box::new(compilation.store())))
            }
            // With native debug information Wasmtime numbers the modules that it compiles, and gives
            // each time another artifact; there is nothing to equal then.
            (Ok(compilation), Ok(plain))
                if compilation.report().plain.is_some() && self.engine_differs(wasm, &plain) =>
            {
                Ok(Outcome::Artifact(Box::new(compilation.store())))
            }
            (Ok(compilation), Ok(plain)) => {
                Err(self.differ(wasm, compilation.into_artifact(), &plain))
            }
            (Err(ours), Err(plain)) if message(&ours) == message(&plain) => {
                Ok(Outcome::Error(message(&plain)))
            }
            (Err(ours), Err(plain)) => {
                let (ours, plain) = (message(&ours), message(&plain));
                let explanation =
                    format!("the errors differ\nibid:     {ours}\nWasmtime: {plain}\n");
                Err(Disagreement::new(explanation, &[(".wasm", wasm)], wasm))
            }
            (Ok(ours), Err(plain)) => {
                let explanation = format!("accepted what Wasmtime refuses: {}", message(&plain));
                let parts = [(".wasm", wasm), (".ibid.cwasm", ours.artifact())];
                Err(Disagreement::new(explanation, &parts, wasm))
            }
            (Err(ours), Ok(plain)) => {
                let explanation = format!("refused what Wasmtime accepts: {}", message(&ours));
                let parts = [(".wasm", wasm), (".wasmtime.cwasm", &plain)];
                Err(Disagreement::new(explanation, &parts, wasm))
            }
        }
    }

    /// [`compare`](Self::compare), for tests: the report of a valid input, `None` of one that both
    /// refuse.
    ///
    /// # Panics
    ///
    /// Panics with the explanation of a [`Disagreement`].
    #[track_caller]
    pub fn check(&self, wasm: &[u8]) -> Option<Report> {
        match self.compare(wasm) {
            Ok(Outcome::Artifact(report)) => Some(*report),
            Ok(Outcome::Error(_)) => None,
            Err(disagreement) => panic!("{disagreement}"),
        }
    }

    /// [`check`](Self::check) of a module in the text format that is valid.
    ///
    /// # Panics
    ///
    /// Panics as `check` does, and if the text is not a valid module.
    #[track_caller]
    pub fn valid(&self, text: &str) -> Report {
        let wasm = wat::parse_str(text).expect("the text is well-formed");
        self.check(&wasm).expect("the module is valid")
    }

    /// Whether Wasmtime, asked again, gives another artifact than it gave.
    fn engine_differs(&self, wasm: &[u8], plain: &[u8]) -> bool {
        !matches!(self.plain(wasm), Ok(again) if again == plain)
    }

    /// What Wasmtime makes of `wasm`, which is a component if it says so.
    fn plain(&self, wasm: &[u8]) -> wasmtime::Result<Vec<u8>> {
        let binary = wat::parse_bytes(wasm);
        let is_component = binary.is_ok_and(|binary| wasmparser::Parser::is_component(&binary));
        if is_component {
            self.engine.precompile_component(wasm)
        } else {
            self.engine.precompile_module(wasm)
        }
    }

    /// Explains how two artifacts of `wasm` differ.
    fn differ(&self, wasm: &[u8], ours: Vec<u8>, plain: &[u8]) -> Disagreement {
        let difference = Difference::find(&ours, plain).expect("they differ");
        let mut explanation = format!("the artifact is not Wasmtime's: {difference}");
        if let Some(symbol) = &difference.function {
            let key = self.key(wasm, symbol);
            let key = key.unwrap_or_else(|| "unknown: not a function that can be split".into());
            explanation += &format!("\nstencil key of `{symbol}`: {key}");
        }
        // A reused function may differ in its metadata alone; comparing each with a fresh one
        // finds it.
        let mut options = Options::default();
        options.verify = true;
        let verifying = Oracle::of(&self.engine, self.store.clone(), options).compiler;
        explanation += &match verifying.compile(wasm) {
            Ok(_) => "\nevery reused function is what compiling it gives".into(),
            Err(error) => format!("\n{}", message(&error)),
        };
        let parts = [
            (".wasm", wasm),
            (".ibid.cwasm", &ours[..]),
            (".wasmtime.cwasm", plain),
        ];
        Disagreement::new(explanation, &parts, wasm)
    }

    /// The stencil key of the function whose symbol this is.
    fn key(&self, wasm: &[u8], symbol: &str) -> Option<String> {
        let number = symbol.strip_prefix("wasm[0]::function[")?.split(']').next();
        let functions = self.compiler.functions(wasm).ok()?;
        let (stencil, _) = functions.split(number?.parse().ok()?)?;
        Some(functions.key(&stencil).to_string())
    }
}

/// Where ibid and Wasmtime gave not the same: what differs first, which key was hit, and where
/// the artifacts are.
pub struct Disagreement(String);

impl Disagreement {
    fn new(mut explanation: String, parts: &[(&str, &[u8])], wasm: &[u8]) -> Disagreement {
        match write_aside("differs", wasm, parts) {
            Ok(path) => {
                let endings: Vec<_> = parts.iter().map(|(ending, _)| *ending).collect();
                explanation += &format!("\nsee {}{{{}}}", path.display(), endings.join(","));
            }
            Err(error) => explanation += &format!("\nnot written aside: {error}"),
        }
        Disagreement(explanation)
    }
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Disagreement {}

/// An error and its causes, without a backtrace.
pub fn message(error: &wasmtime::Error) -> String {
    error
        .chain()
        .map(|cause| cause.to_string())
        .collect::<Vec<_>>()
        .join("\n")
}

/// Where two artifacts differ first, in words; `None` if they do not.
pub fn difference(ours: &[u8], plain: &[u8]) -> Option<String> {
    Difference::find(ours, plain).map(|difference| difference.to_string())
}

/// Where two artifacts differ first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The offset in the file, in bytes.
    pub offset: u64,
    /// The section that this is in, and the offset in it.
    pub section: Option<(String, u64)>,
    /// The symbol of the first function whose code differs, and the offset in it.
    pub function: Option<String>,
    /// The lengths of both, in bytes.
    pub lengths: (usize, usize),
}

impl Difference {
    /// Compares two artifacts.
    pub fn find(ours: &[u8], plain: &[u8]) -> Option<Difference> {
        if ours == plain {
            return None;
        }
        let offset = first_difference(ours, plain);
        let file = object::File::parse(plain).ok();
        let section = file.as_ref().and_then(|file| section_at(file, offset));
        let text = object::File::parse(ours).ok().and_then(|file| {
            let text = file.section_by_name(".text")?.data().ok()?;
            Some(text.to_vec())
        });
        let function = file.and_then(|file| differing_function(&file, &text?));
        Some(Difference {
            offset,
            section,
            function,
            lengths: (ours.len(), plain.len()),
        })
    }
}

fn first_difference(ours: &[u8], plain: &[u8]) -> u64 {
    let offset = ours.iter().zip(plain).position(|(a, b)| a != b);
    offset.unwrap_or(ours.len().min(plain.len())) as u64
}

fn section_at(file: &object::File<'_>, offset: u64) -> Option<(String, u64)> {
    file.sections().find_map(|section| {
        let (start, size) = section.file_range()?;
        (start..start + size)
            .contains(&offset)
            .then(|| Some((section.name().ok()?.to_string(), offset - start)))?
    })
}

/// The function in whose code `file` differs first from `text`.
fn differing_function(file: &object::File<'_>, text: &[u8]) -> Option<String> {
    let plain = file.section_by_name(".text")?.data().ok()?;
    if text == plain {
        return None;
    }
    let offset = first_difference(text, plain);
    let symbol = file
        .symbols()
        .filter(|symbol| symbol.kind() == object::SymbolKind::Text)
        .filter(|symbol| symbol.address() <= offset)
        .max_by_key(|symbol| symbol.address())?;
    Some(symbol.name().ok()?.to_string())
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {:#x}", self.offset)?;
        if let Some((section, offset)) = &self.section {
            write!(f, " in section {section} at {offset:#x}")?;
        }
        if let Some(function) = &self.function {
            write!(f, ", code of `{function}`")?;
        }
        write!(f, ", of {:?} bytes", self.lengths)
    }
}

/// How many functions and trampolines were compiled.
pub fn compiled(report: &Report) -> (u64, u64) {
    (report.functions.compiled, report.trampolines.compiled)
}
