//! Compiled modules for tests, from a cache that their processes share.
//!
//! A test asks for what it needs, and need not know who has asked before:
//!
//! ```no_run
//! let module = fixture::module(br#"(module (func (export "answer") (result i32) i32.const 42))"#);
//! let mut store = wasmtime::Store::new(fixture::engine(), ());
//! let instance = wasmtime::Instance::new(&mut store, &module, &[])?;
//! let answer = instance.get_typed_func::<(), i32>(&mut store, "answer")?;
//! assert_eq!(answer.call(&mut store, ())?, 42);
//! # Ok::<(), wasmtime::Error>(())
//! ```
//!
//! A module is compiled when the first test of the first process asks for it. The other tests of
//! that process share it, and other processes take its code from the cache: those of the next
//! `cargo test`, and, where each test is a process of its own as with cargo-nextest, those of this
//! one. Of a module that changed, each function that changed is compiled.
//!
//! This crate is for `[dev-dependencies]`. It declares the global allocator, so that functions
//! whose data moved are found too ([`ibid::Watched`]).

mod cache;

use ibid::{Compiler, Options};
use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};
use wasmtime::{Config, Engine, Module};

#[global_allocator]
static ALLOCATOR: ibid::Watched = ibid::Watched::system();

static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    // The settings of the program that is tested belong here, or rather: call its function that
    // makes them. Engines with different settings share no code.
    let config = Config::new();
    Engine::new(&config).unwrap_or_else(|error| panic!("no engine for the tests: {error:?}"))
});

static COMPILER: LazyLock<Compiler> =
    LazyLock::new(|| Compiler::with_options(engine(), cache::open(), Options::default()));

/// Modules by what they were compiled from; what does not compile has Wasmtime's message.
type Modules = HashMap<Vec<u8>, Arc<OnceLock<Result<Module, String>>>>;

/// Those of this process, each compiled once even if several tests ask for it at a time.
static MODULES: LazyLock<Mutex<Modules>> = LazyLock::new(Mutex::default);

static COMPILED: AtomicU64 = AtomicU64::new(0);

/// The engine of all modules, and of every store that they run in.
pub fn engine() -> &'static Engine {
    &ENGINE
}

/// The module in `wasm`, which may be text.
///
/// # Panics
///
/// With Wasmtime's message, if it does not compile.
#[track_caller]
pub fn module(wasm: impl AsRef<[u8]>) -> Module {
    let wasm = wasm.as_ref();
    let module = {
        let mut modules = MODULES.lock().unwrap_or_else(PoisonError::into_inner);
        modules.entry(wasm.to_vec()).or_default().clone()
    };
    match module.get_or_init(|| compile(wasm).map_err(|error| format!("{error:?}"))) {
        Ok(module) => module.clone(),
        Err(message) => panic!("the module does not compile: {message}"),
    }
}

/// The module in the file at `path`. A relative path begins at the package's directory, where Cargo
/// runs tests.
///
/// # Panics
///
/// If it cannot be read; and as [`module`].
#[track_caller]
pub fn module_at(path: impl AsRef<Path>) -> Module {
    let path = path.as_ref();
    let wasm = std::fs::read(path)
        .unwrap_or_else(|error| panic!("cannot read the module `{}`: {error}", path.display()));
    module(wasm)
}

/// How many functions this process has compiled, and not taken from the cache.
pub fn compiled_functions() -> u64 {
    COMPILED.load(Ordering::Relaxed)
}

fn compile(wasm: &[u8]) -> wasmtime::Result<Module> {
    let compilation = COMPILER.compile(wasm)?;
    let compiled = compilation.report().functions.compiled;
    COMPILED.fetch_add(compiled, Ordering::Relaxed);
    let artifact = compilation.into_artifact();
    // The compiler is a static, which is never dropped: nobody else waits until this is stored.
    COMPILER.flush();
    // SAFETY: the compiler has just made it, for this engine.
    unsafe { Module::deserialize(engine(), artifact) }
}
