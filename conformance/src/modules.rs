//! Each module of a script, compiled three ways.

use crate::script::Script;
use crate::table::Tally;
use ibid::{CacheStore, Compiler, MemoryStore, Options, Report};
use std::collections::HashMap;
use std::sync::Arc;
use wasmtime::{Engine, Result};

/// The compilers, which all scripts share: what one of them left in the store, another one finds.
pub(crate) struct Compilers {
    engine: Engine,
    first: Compiler,
    second: Compiler,
}

/// Artifacts, or why there are none, by the name of the module.
pub(crate) type Artifacts = HashMap<String, Result<Vec<u8>, String>>;

/// A script's modules.
#[derive(Default)]
pub(crate) struct Modules {
    /// Compiled by Wasmtime.
    pub(crate) plain: Artifacts,
    /// By ibid, when its store need not know them.
    pub(crate) first: Artifacts,
    /// By ibid again.
    pub(crate) second: Artifacts,
}

impl Compilers {
    pub(crate) fn new(engine: &Engine) -> Compilers {
        let store: Arc<dyn CacheStore> = Arc::new(MemoryStore::new());
        let compiler = || {
            let mut options = Options::default();
            // So that the second compile goes through the functions.
            options.whole_artifacts = false;
            Compiler::with_options(engine, store.clone(), options)
        };
        Compilers {
            first: compiler(),
            second: compiler(),
            engine: engine.clone(),
        }
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(crate) fn plain_reason(&self) -> Option<&str> {
        self.first.plain_reason()
    }

    /// Compiles all modules of `script`, and notes in `tally` where ibid did not do as Wasmtime.
    pub(crate) fn compile(&self, script: &Script, tally: &mut Tally) -> Result<Modules> {
        let mut modules = Modules::default();
        for (name, wasm) in &script.modules {
            let binary = wat::parse_bytes(wasm);
            let is_component = binary.is_ok_and(|wasm| wasmparser::Parser::is_component(&wasm));
            let plainly = || {
                if is_component {
                    self.engine.precompile_component(wasm)
                } else {
                    self.engine.precompile_module(wasm)
                }
            };
            let plain = plainly().map_err(message);
            let (first, report) = unzip(compile(&self.first, wasm));
            tally.check(name, "the first time", &first, &plain, plainly);
            note_plain(name, report.as_ref(), tally);

            let (second, report) = unzip(compile(&self.second, wasm));
            tally.check(name, "the second time", &second, &plain, plainly);
            note_plain(name, report.as_ref(), tally);
            if let Some(report) = report {
                let compiled = report.functions.compiled + report.trampolines.compiled;
                if compiled != 0 {
                    tally.differs(format!("{name}: {compiled} compiled the second time"));
                }
            }

            // The drop-ins for `Module::new` and `Component::new`.
            let module = if is_component {
                self.second.compile_component(wasm).map(drop)
            } else {
                self.second.compile_module(wasm).map(drop)
            };
            let module = module.map_err(message);
            if module.as_ref().err() != plain.as_ref().err() {
                tally.differs(format!("{name}: as a module {module:?}"));
            }

            tally.module(plain.is_ok());
            modules.plain.insert(name.clone(), plain);
            modules.first.insert(name.clone(), first);
            modules.second.insert(name.clone(), second);
        }
        Ok(modules)
    }
}

fn compile(compiler: &Compiler, wasm: &[u8]) -> Result<(Vec<u8>, Report), String> {
    let compilation = compiler.compile(wasm).map_err(message)?;
    let artifact = compilation.artifact().to_vec();
    Ok((artifact, compilation.store()))
}

fn unzip(outcome: Result<(Vec<u8>, Report), String>) -> (Result<Vec<u8>, String>, Option<Report>) {
    match outcome {
        Ok((artifact, report)) => (Ok(artifact), Some(report)),
        Err(message) => (Err(message), None),
    }
}

fn note_plain(name: &str, report: Option<&Report>, tally: &mut Tally) {
    if let Some(reason) = report.and_then(|report| report.plain.as_ref()) {
        tally.differs(format!("{name}: compiled plainly: {reason}"));
    }
}

/// An error and its causes, without the numbers that it counts up in a process.
fn message(error: wasmtime::Error) -> String {
    const COUNTED: &str = "globally_unique_id: ";
    let mut message = format!("{error:#}");
    let mut from = 0;
    while let Some(at) = message[from..].find(COUNTED) {
        from += at + COUNTED.len();
        let digits = message[from..]
            .bytes()
            .take_while(u8::is_ascii_digit)
            .count();
        message.replace_range(from..from + digits, "");
    }
    message
}
