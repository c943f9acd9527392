//! The scenarios of the module as it is.

use super::row::{Row, Samples, Time};
use super::{Bench, Scenario};
use crate::figures::timed;
use crate::known::{Fresh, Known, by_function, same};
use crate::references::{Loaded, ModuleCache, OwnCache, floor, precompile};
use anyhow::{Result, ensure};
use ibid::Options;

/// The first compile, and compiles of what is known already. Measures the command without a cache
/// for all scenarios.
pub(super) fn rows(bench: &mut Bench<'_>, progress: &mut dyn FnMut(&str)) -> Result<Vec<Row>> {
    let mut unedited = Unedited::new(bench)?;
    for round in 0..bench.rounds {
        if round < bench.cold_rounds {
            progress(Scenario::FirstCompile.title());
            unedited.first_compile(bench)?;
        }
        progress("unchanged");
        unedited.unchanged(bench)?;
        unedited.known_whole(bench)?;
        unedited.loaded(bench)?;
    }
    bench.cold_command = unedited.first.runs(Time::ColdCommand).to_vec();
    let cold = unedited.first.runs(Time::Cold).to_vec();
    for samples in [
        &mut unedited.unchanged,
        &mut unedited.whole,
        &mut unedited.loaded,
    ] {
        samples.set(Time::Cold, &cold);
    }
    unedited.whole.set(Time::ColdCommand, &bench.cold_command);
    Ok(vec![
        unedited.first.row(Scenario::FirstCompile),
        unedited.unchanged.row(Scenario::Unchanged),
        unedited.whole.row(Scenario::KnownWhole),
        unedited.loaded.row(Scenario::KnownWholeLoaded),
    ])
}

struct Unedited {
    /// A store that knows the artifact as a whole.
    known_whole: Known,
    own: OwnCache,
    module_cache: ModuleCache,
    first: Samples,
    unchanged: Samples,
    whole: Samples,
    loaded: Samples,
}

impl Unedited {
    fn new(bench: &Bench<'_>) -> Result<Unedited> {
        let (wasm, plain) = (&bench.subject.wasm, &bench.subject.artifact);
        let module_cache = ModuleCache::knowing(wasm, bench.directory.path())?;
        let (loaded, _) = module_cache.load(wasm)?;
        same(&loaded.serialize()?, plain)?;
        Ok(Unedited {
            known_whole: bench.known.whole(bench.engine, wasm, plain)?,
            own: OwnCache::knowing(wasm)?,
            module_cache,
            first: Samples::default(),
            unchanged: Samples::default(),
            whole: Samples::default(),
            loaded: Samples::default(),
        })
    }

    /// Wasmtime alone, and ibid over an empty store.
    fn first_compile(&mut self, bench: &Bench<'_>) -> Result<()> {
        let (wasm, plain) = (&bench.subject.wasm, &bench.subject.artifact);
        let (artifact, ms) = timed(|| precompile(bench.engine, wasm));
        same(&artifact?, plain)?;
        self.first.push(Time::Cold, ms);

        let empty = || tempfile::tempdir_in(bench.directory.path());
        let fresh = Fresh::over(bench.engine, empty()?, Options::default())?;
        let run = fresh.compile(wasm, plain)?;
        self.first.push(Time::Open, fresh.open_ms);
        self.first.push(Time::Ibid, run.ms);
        self.first.push(Time::Store, run.store_ms);
        self.first.count(&run.report);

        if let Some(command) = &bench.command {
            let ms = command.compile(wasm, plain, None)?;
            self.first.push(Time::ColdCommand, ms);
            let ms = command.compile(wasm, plain, Some(empty()?.path()))?;
            self.first.push(Time::Command, ms);
        }
        Ok(())
    }

    /// Every function found, by ibid and by Wasmtime's own incremental cache.
    fn unchanged(&mut self, bench: &Bench<'_>) -> Result<()> {
        let (wasm, plain) = (&bench.subject.wasm, &bench.subject.artifact);
        let fresh = Fresh::over(bench.engine, bench.known.copy()?, by_function())?;
        let run = fresh.compile(wasm, plain)?;
        self.unchanged.push(Time::Open, fresh.open_ms);
        self.unchanged.push(Time::Ibid, run.ms);
        self.unchanged.push(Time::Store, run.store_ms);
        self.unchanged.count(&run.report);

        let (artifact, ms, _) = self.own.compile(wasm)?;
        same(&artifact, plain)?;
        self.unchanged.push(Time::OwnCache, ms);
        self.unchanged.push(Time::Floor, floor(wasm, plain));
        Ok(())
    }

    /// The artifact found as a whole, by ibid and by Wasmtime's module cache.
    fn known_whole(&mut self, bench: &Bench<'_>) -> Result<()> {
        let (wasm, plain) = (&bench.subject.wasm, &bench.subject.artifact);
        let fresh = Fresh::over(bench.engine, self.known_whole.copy()?, Options::default())?;
        let run = fresh.compile(wasm, plain)?;
        ensure!(
            run.report.whole_artifact,
            "the artifact is not known whole in a copy of the store"
        );
        self.whole.push(Time::Open, fresh.open_ms);
        self.whole.push(Time::Ibid, run.ms);
        self.whole.push(Time::Store, run.store_ms);
        self.whole.count(&run.report);

        self.whole.push(Time::Floor, floor(wasm, plain));
        self.whole
            .push(Time::ModuleCache, self.module_cache.load(wasm)?.1);
        if let Some(command) = &bench.command {
            let cache = self.known_whole.copy()?;
            let ms = command.compile(wasm, plain, Some(cache.path()))?;
            self.whole.push(Time::Command, ms);
        }
        Ok(())
    }

    /// The same, up to a module that can be instantiated.
    fn loaded(&mut self, bench: &Bench<'_>) -> Result<()> {
        let (wasm, plain) = (&bench.subject.wasm, &bench.subject.artifact);
        let fresh = Fresh::over(bench.engine, self.known_whole.copy()?, Options::default())?;
        let (module, ms) = timed(|| Loaded::by_ibid(fresh.compiler(), wasm));
        same(&module?.serialize()?, plain)?;
        self.loaded.push(Time::Open, fresh.open_ms);
        self.loaded.push(Time::Ibid, ms);
        self.loaded
            .push(Time::ModuleCache, self.module_cache.load(wasm)?.1);
        Ok(())
    }
}
