//! Compiles the plugin when the program is built: through a cache, so that an edit of the plugin
//! compiles what it changed, and a clean build compiles nothing that was compiled before.

#[path = "src/engine.rs"]
mod engine;

use ibid::{CacheStore, Compiler, MemoryStore, Options};
use ibid_store::DiskStore;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{env, fs};
use wasmtime::error::Context as _;
use wasmtime::{Engine, Result};

/// Functions whose data moved are found too, with this; see [`ibid::Watched`].
#[global_allocator]
static ALLOCATOR: ibid::Watched = ibid::Watched::system();

const SOURCE: &str = "../plugins/greet.wat";

/// Names the directory of the cache, if it is not to be ibid's default one.
const CACHE: &str = "GREET_CACHE";

fn main() -> Result<()> {
    // Not the cache: it decides how long this takes, and nothing else.
    for path in ["build.rs", "src/engine.rs", SOURCE] {
        println!("cargo::rerun-if-changed={path}");
    }
    let wasm = fs::read(SOURCE).with_context(|| format!("cannot read `{SOURCE}`"))?;
    let artifact = compile(&wasm)?;
    let path = Path::new(&variable("OUT_DIR")?).join("greet.cwasm");
    fs::write(&path, artifact).with_context(|| format!("cannot write `{}`", path.display()))
}

fn compile(wasm: &[u8]) -> Result<Vec<u8>> {
    let compiler = Compiler::with_options(&engine()?, store(), Options::default());
    let compilation = compiler
        .compile(wasm)
        .with_context(|| format!("`{SOURCE}` does not compile"))?;
    let functions = compilation.report().functions;
    // `cargo build -vv` shows this.
    println!(
        "{} of {} functions compiled",
        functions.compiled, functions.total
    );
    // The compiler is dropped at the end, which waits for the cache to be written.
    Ok(compilation.into_artifact())
}

/// An engine for the machines that the program is built for.
///
/// Where no target is named, Wasmtime takes all that the processor at hand has, which is the one
/// that builds. With a target it takes what every processor of that architecture has.
fn engine() -> Result<Engine> {
    let target = variable("TARGET")?;
    let mut config = engine::config();
    config.target(&target)?;
    Engine::new(&config).with_context(|| {
        format!(
            "no compiler for `{target}`; for another architecture build with `--features cross`"
        )
    })
}

/// The cache, or nothing but memory where there cannot be one: a build does not fail for want of it.
fn store() -> Arc<dyn CacheStore> {
    let directory = env::var_os(CACHE).map(PathBuf::from);
    let Some(directory) = directory.or_else(ibid_store::default_directory) else {
        println!("cargo::warning=no cache directory, as HOME is not set; {CACHE} can name one");
        return Arc::new(MemoryStore::new());
    };
    match DiskStore::open(&directory) {
        Ok(store) => Arc::new(store),
        Err(error) => {
            println!(
                "cargo::warning=compiling without a cache ({CACHE} can name another): {error}"
            );
            Arc::new(MemoryStore::new())
        }
    }
}

/// What Cargo has to say.
fn variable(name: &str) -> Result<String> {
    env::var(name).with_context(|| format!("Cargo has not set {name}"))
}
