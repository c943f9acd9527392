//! A module under check: what goes in, what must come out, and a store that knows only it.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use ibid::{CacheStore, Compiler, Options};
use ibid_store::DiskStore;
use tempfile::TempDir;
use wasmtime::Engine;

use super::super::{Module, path};

/// A module of the corpus, compiled by Wasmtime, and a store for its checks.
pub(super) struct Subject<'m> {
    pub(super) module: &'m Module,
    /// Where the module is.
    pub(super) path: PathBuf,
    pub(super) wasm: Vec<u8>,
    /// What the default engine makes of it without ibid.
    pub(super) plain: Vec<u8>,
    pub(super) store: Arc<DiskStore>,
    /// Where the store is. Removed with the subject.
    pub(super) directory: TempDir,
}

impl<'m> Subject<'m> {
    /// Compiles `module` with `engine` alone, and makes an empty store.
    pub(super) fn new(module: &'m Module, engine: &Engine) -> Result<Self> {
        let path = path(module);
        let wasm = read(&path)?;
        let plain = engine
            .precompile_module(&wasm)
            .map_err(anyhow::Error::from)
            .with_context(|| format!("Wasmtime refuses {}", module.file_name()))?;
        let directory = tempfile::tempdir()?;
        let store = Arc::new(DiskStore::open(directory.path())?);
        Ok(Subject {
            module,
            path,
            wasm,
            plain,
            store,
            directory,
        })
    }

    /// A compiler over the subject's store that looks at every function.
    pub(super) fn compiler(&self, engine: &Engine) -> Compiler {
        compiler(engine, self.store.clone())
    }
}

/// The content of a fetched module.
pub(super) fn read(path: &std::path::Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// A compiler that looks at every function, whether or not it has seen the whole input.
pub(super) fn compiler(engine: &Engine, store: Arc<dyn CacheStore>) -> Compiler {
    let mut options = Options::default();
    options.whole_artifacts = false;
    Compiler::with_options(engine, store, options)
}
