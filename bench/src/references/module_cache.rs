//! Wasmtime's cache of whole modules.

use super::plain::Loaded;
use crate::figures::timed;
use anyhow::{Result, ensure};
use std::path::Path;
use tempfile::TempDir;
use wasmtime::{Cache, CacheConfig, Config, Engine};

/// Wasmtime's cache of whole modules ([`Config::cache`]), on disk, knowing one module.
///
/// It loads as it looks up: what it returns can be instantiated, and is not an artifact.
#[derive(Debug)]
pub struct ModuleCache {
    engine: Engine,
    cache: Cache,
    _directory: TempDir,
}

impl ModuleCache {
    /// A cache in a directory in `at` that knows `wasm`.
    ///
    /// # Errors
    ///
    /// If the directory cannot be made, or Wasmtime refuses the cache or the module.
    pub fn knowing(wasm: &[u8], at: &Path) -> Result<ModuleCache> {
        let directory = tempfile::tempdir_in(at)?;
        let mut config = CacheConfig::new();
        config.with_directory(directory.path().canonicalize()?);
        let cache = Cache::new(config)?;
        let mut config = Config::new();
        config.cache(Some(cache.clone()));
        let engine = Engine::new(&config)?;
        Loaded::new(&engine, wasm)?;
        Ok(ModuleCache {
            engine,
            cache,
            _directory: directory,
        })
    }

    /// Loads the module, and says how many milliseconds that took.
    ///
    /// # Errors
    ///
    /// If the cache does not know the module.
    pub fn load(&self, wasm: &[u8]) -> Result<(Loaded, f64)> {
        let hits = self.cache.cache_hits();
        let (module, ms) = timed(|| Loaded::new(&self.engine, wasm));
        let module = module?;
        ensure!(
            self.cache.cache_hits() == hits + 1,
            "Wasmtime's module cache does not know the module"
        );
        Ok((module, ms))
    }
}
