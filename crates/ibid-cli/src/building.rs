//! Compiling, for all commands that do: with which settings, cache and remote.

use crate::progress::Progress;
use crate::remote::{Remote, RemoteOptions};
use crate::store::CacheOptions;
use crate::{Failure, input, warn};
use clap::Args;
use ibid::{Compilation, Compiler, Options, Report};
use ibid_store::CacheStore;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use wasmtime::Engine;
use wasmtime_cli_flags::CommonOptions;

/// What there is to say about compiling.
#[derive(Args)]
pub(crate) struct BuildOptions {
    #[command(flatten)]
    pub(crate) wasmtime: CommonOptions,

    #[command(flatten)]
    cache: CacheOptions,

    /// Use no cache: read none and write none
    #[arg(long, conflicts_with = "cache")]
    #[cfg_attr(feature = "remote", arg(conflicts_with = "remote"))]
    no_cache: bool,

    #[command(flatten)]
    remote: RemoteOptions,

    /// Keep the addresses of static data, and offsets in the instance, in the keys: a function
    /// whose data moved, or in a module that imports more, is compiled again
    #[arg(long)]
    no_address_slots: bool,
}

impl BuildOptions {
    /// A builder for `engine`, with `options` that the command decides.
    pub(crate) fn builder(
        &self,
        engine: &Engine,
        mut options: Options,
    ) -> Result<Builder, Failure> {
        let remote = match self.no_cache {
            true => Remote::default(),
            false => self.remote.open(&self.cache)?,
        };
        let (store, outlives) = self.cache.store(self.no_cache)?;
        let (store, outlives) = remote.behind(store, outlives);
        let progress = Progress::new();
        options.address_slots = !self.no_address_slots;
        options.progress = Some(progress.callback());
        Ok(Builder {
            compiler: Compiler::with_options(engine, store.clone(), options),
            failures: store.counters().failures.into(),
            store,
            outlives,
            remote,
            wait_upload: self.remote.wait_upload,
            progress,
        })
    }
}

/// Compiles, and says what went wrong beside that.
pub(crate) struct Builder {
    compiler: Compiler,
    store: Arc<dyn CacheStore>,
    /// Whether what is stored outlives the command.
    outlives: bool,
    /// The failures of the store that were said.
    failures: Mutex<u64>,
    remote: Remote,
    wait_upload: bool,
    progress: Progress,
}

impl Builder {
    /// Compiles `wasm`, which was read from `path`.
    pub(crate) fn build(&self, path: &Path, wasm: &[u8]) -> Result<Compilation<'_>, Failure> {
        self.progress.begin();
        let compilation = self.compiler.compile(wasm);
        self.progress.finish();
        compilation.map_err(|error| input::refused(path, &error))
    }

    /// Stores what `compilation` found out, if that outlives the command, and says what went wrong
    /// with it.
    pub(crate) fn store(&self, compilation: Compilation<'_>) -> Report {
        let report = match self.outlives {
            true => compilation.store(),
            false => compilation.report().clone(),
        };
        self.say_failures();
        report
    }

    pub(crate) fn remote(&self) -> &Remote {
        &self.remote
    }

    /// Waits until everything is where it belongs.
    pub(crate) fn finish(&self) {
        self.compiler.flush();
        self.say_failures();
        self.remote.finish(self.wait_upload);
    }

    /// Says what went wrong with the store since this was called last.
    pub(crate) fn say_failures(&self) {
        let counters = self.store.counters();
        let mut said = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if counters.failures > *said {
            *said = counters.failures;
            let reason = counters.last_failure.as_deref();
            warn(format!(
                "the cache could not be used in full: {}",
                reason.unwrap_or("no reason given")
            ));
        }
    }
}
