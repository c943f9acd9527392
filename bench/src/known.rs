//! Stores that know one module, and compilers over copies of them.

use crate::figures::timed;
use anyhow::{Result, bail, ensure};
use ibid::{CacheStore, Compilation, Compiler, Options, Report};
use ibid_store::DiskStore;
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;
use wasmtime::Engine;

/// A store on disk that is kept as it is: measurements are over copies of it.
pub(crate) struct Known {
    directory: TempDir,
}

impl Known {
    /// A store that knows the functions of `wasm`, and has seen it once.
    pub(crate) fn functions(
        engine: &Engine,
        wasm: &[u8],
        plain: &[u8],
        at: &Path,
    ) -> Result<Known> {
        let fresh = Fresh::over(engine, tempfile::tempdir_in(at)?, Options::default())?;
        let run = fresh.compile(wasm, plain)?;
        ensure!(run.report.store.written > 0, "nothing was stored");
        Ok(Known {
            directory: fresh.close(),
        })
    }

    /// This store, with the artifact of `wasm` as a whole.
    pub(crate) fn whole(&self, engine: &Engine, wasm: &[u8], plain: &[u8]) -> Result<Known> {
        let fresh = Fresh::over(engine, self.copy()?, Options::default())?;
        // The second sight stores the artifact, the third finds it.
        for _ in 0..3 {
            if fresh.compile(wasm, plain)?.report.whole_artifact {
                return Ok(Known {
                    directory: fresh.close(),
                });
            }
        }
        bail!("an artifact is not known whole after it was seen three times")
    }

    /// A copy of the store, in a directory beside it.
    pub(crate) fn copy(&self) -> Result<TempDir> {
        let here = self.directory.path();
        let beside = here.parent().unwrap_or(here);
        let copy = tempfile::tempdir_in(beside)?;
        copy_directory(here, copy.path())?;
        Ok(copy)
    }
}

fn copy_directory(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            fs::create_dir(&target)?;
            fs::set_permissions(&target, entry.metadata()?.permissions())?;
            copy_directory(&source, &target)?;
        } else {
            fs::copy(&source, &target)?;
            // What is left to write would be written while something is measured.
            File::options().write(true).open(&target)?.sync_all()?;
        }
    }
    Ok(())
}

/// A compiler as in a process that just began, over a store of its own.
pub(crate) struct Fresh {
    compiler: Compiler,
    /// Milliseconds that opening the store and making the compiler took.
    pub(crate) open_ms: f64,
    // Removed after the compiler, and with it the store, is gone.
    directory: TempDir,
}

/// A compile that was measured.
pub(crate) struct Run {
    /// Milliseconds from the module's bytes to the artifact's.
    pub(crate) ms: f64,
    /// Milliseconds that writing the store took after that.
    pub(crate) store_ms: f64,
    pub(crate) report: Report,
}

impl Fresh {
    /// A compiler over the store in `directory`, which may be empty.
    pub(crate) fn over(engine: &Engine, directory: TempDir, options: Options) -> Result<Self> {
        let (compiler, open_ms) = timed(|| compiler(engine, directory.path(), options));
        Ok(Fresh {
            compiler: compiler?,
            open_ms,
            directory,
        })
    }

    /// Compiles `wasm`, which Wasmtime makes `plain` of, and writes the store.
    pub(crate) fn compile(&self, wasm: &[u8], plain: &[u8]) -> Result<Run> {
        let (compilation, ms) = compile(&self.compiler, wasm, plain)?;
        let (report, store_ms) = timed(|| compilation.store());
        ensure!(
            report.store.failures == 0,
            "the store failed: {:?}",
            report.store.last_failure
        );
        Ok(Run {
            ms,
            store_ms,
            report,
        })
    }

    /// Compiles `wasm` in a process that goes on: the store is written behind.
    pub(crate) fn compile_behind(&self, wasm: &[u8], plain: &[u8]) -> Result<Run> {
        self.compiler.flush();
        let (compilation, ms) = compile(&self.compiler, wasm, plain)?;
        let report = compilation.report().clone();
        let ((), store_ms) = timed(|| {
            compilation.into_artifact();
            self.compiler.flush();
        });
        Ok(Run {
            ms,
            store_ms,
            report,
        })
    }

    pub(crate) fn compiler(&self) -> &Compiler {
        &self.compiler
    }

    /// Closes the store, and gives its directory back.
    pub(crate) fn close(self) -> TempDir {
        self.directory
    }
}

/// Options of a compiler that looks at every function, also of an input that it has seen.
pub(crate) fn by_function() -> Options {
    let mut options = Options::default();
    options.whole_artifacts = false;
    options
}

/// A compiler over the store in `directory`.
///
/// # Errors
///
/// If the store cannot be opened, or the compiler would leave all to Wasmtime: there is nothing
/// to measure then.
fn compiler(engine: &Engine, directory: &Path, options: Options) -> Result<Compiler> {
    let store: Arc<dyn CacheStore> = Arc::new(DiskStore::open(directory)?);
    over_store(engine, store, options)
}

/// A compiler over `store`.
///
/// # Errors
///
/// If the compiler would leave all to Wasmtime.
pub(crate) fn over_store(
    engine: &Engine,
    store: Arc<dyn CacheStore>,
    options: Options,
) -> Result<Compiler> {
    let compiler = Compiler::with_options(engine, store, options);
    if let Some(reason) = compiler.plain_reason() {
        bail!("ibid compiles nothing here: {reason}");
    }
    Ok(compiler)
}

/// Compiles `wasm`, says how many milliseconds that took, and compares.
pub(crate) fn compile<'c>(
    compiler: &'c Compiler,
    wasm: &[u8],
    plain: &[u8],
) -> Result<(Compilation<'c>, f64)> {
    let (compilation, ms) = timed(|| compiler.compile(wasm));
    let compilation = compilation?;
    same(compilation.artifact(), plain)?;
    if let Some(reason) = &compilation.report().plain {
        bail!("Wasmtime compiled in the place of ibid: {reason}");
    }
    Ok((compilation, ms))
}

/// Compares an artifact with Wasmtime's.
pub(crate) fn same(artifact: &[u8], plain: &[u8]) -> Result<()> {
    ensure!(artifact == plain, "the artifact is not Wasmtime's");
    Ok(())
}
