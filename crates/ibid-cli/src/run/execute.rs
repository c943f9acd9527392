//! Running a program to its end.

use crate::run::host::{Grants, Host};
use crate::run::invoke;
use crate::{Failure, human, messages, warn};
use std::ffi::OsString;
use std::fs::File;
use std::io::Write as _;
use std::time::Duration;
use wasmtime::component::Component;
use wasmtime::{Engine, Error, Module, Precompiled, Result, Store, Trap, WasmCoreDump};
use wasmtime::{bail, error::Context as _, format_err};
use wasmtime_cli_flags::CommonOptions;
use wasmtime_wasi::{I32Exit, p1, p2};

/// The exit code for a trap: that of a process that was aborted, as `wasmtime run` has it.
const TRAPPED: u8 = if cfg!(windows) { 3 } else { 134 };

/// A program that is ready to run.
pub(crate) enum Loaded {
    Module(Module),
    Component(Component),
}

impl Loaded {
    /// What `artifact` is. Whoever calls this vouches for it: ibid has just made it, or the user
    /// says that it may be trusted.
    pub(crate) fn artifact(engine: &Engine, artifact: &[u8]) -> Result<Loaded> {
        // SAFETY: as the caller vouches for.
        Ok(unsafe {
            match Engine::detect_precompiled(artifact) {
                Some(Precompiled::Module) => Loaded::Module(Module::deserialize(engine, artifact)?),
                Some(Precompiled::Component) => {
                    Loaded::Component(Component::deserialize(engine, artifact)?)
                }
                None => bail!("this is no artifact"),
            }
        })
    }
}

/// How a program is to be run.
pub(crate) struct Execution<'a> {
    pub(crate) options: &'a CommonOptions,
    pub(crate) grants: &'a Grants,
    pub(crate) invoke: Option<&'a str>,
    /// The file, and the arguments.
    pub(crate) program: &'a [OsString],
}

impl Execution<'_> {
    /// Runs `loaded`.
    ///
    /// # Errors
    ///
    /// The program's own exit code, if it is not 0, and what `wasmtime run` calls an error.
    pub(crate) fn run(&self, engine: &Engine, loaded: &Loaded) -> Result<(), Failure> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::Input(format!("cannot start the runtime: {error}")))?;
        let ended = runtime.block_on(self.within_time(engine, loaded));
        // A read from standard input that nobody waits for any more may never come to its end.
        runtime.shutdown_background();
        ended.map_err(|error| failure(&error))
    }

    async fn within_time(&self, engine: &Engine, loaded: &Loaded) -> Result<()> {
        let mut store = self.store(engine)?;
        let timeout = self.options.wasm.timeout;
        let run = tokio::time::timeout(
            timeout.unwrap_or(Duration::MAX),
            self.load_and_call(&mut store, loaded),
        );
        match run.await {
            Ok(result) => result.with_context(|| {
                let file = self.program.first().map(|file| file.display());
                match file {
                    Some(file) => format!("failed to run `{file}`"),
                    None => "failed to run".into(),
                }
            }),
            Err(elapsed) => {
                Err(Error::from(Trap::Interrupt)).with_context(|| format!("timed out: {elapsed}"))
            }
        }
    }

    fn store(&self, engine: &Engine) -> Result<Store<Host>> {
        let host = Host::new(self.options, self.grants, self.program)?;
        let mut store = Store::new(engine, host);
        store.limiter(|host| &mut host.limits);
        if let Some(fuel) = self.options.wasm.fuel {
            store.set_fuel(fuel)?;
        }
        if let Some(fuel) = self.options.wasi.hostcall_fuel {
            store.set_hostcall_fuel(fuel);
        }
        if let Some(handles) = self.options.wasi.max_component_handles {
            store.set_max_component_handles(handles);
        }
        if let Some(timeout) = self.options.wasm.timeout {
            store.set_epoch_deadline(1);
            let engine = engine.clone();
            std::thread::spawn(move || {
                std::thread::sleep(timeout);
                engine.increment_epoch();
            });
        } else if self.options.wasm.epoch_interruption == Some(true) {
            // Nobody interrupts, but code that can be is to know how long it may run.
            store.set_epoch_deadline(u64::MAX / 2);
        }
        Ok(store)
    }

    async fn load_and_call(&self, store: &mut Store<Host>, loaded: &Loaded) -> Result<()> {
        let result = match loaded {
            Loaded::Module(module) => self.module(store, module).await,
            Loaded::Component(component) => self.component(store, component).await,
        };
        result.map_err(|error| self.dump_core(store, error))
    }

    async fn module(&self, store: &mut Store<Host>, module: &Module) -> Result<()> {
        let wasm = &self.options.wasm;
        let mut linker = wasmtime::Linker::<Host>::new(store.engine());
        if self.has_wasi() {
            p1::add_to_linker_async(&mut linker, |host| &mut host.wasi)?;
        }
        if let Some(allow) = wasm.unknown_exports_allow {
            linker.allow_unknown_exports(allow);
        }
        if wasm.unknown_imports_trap == Some(true) {
            linker.define_unknown_imports_as_traps(module)?;
        }
        if wasm.unknown_imports_default == Some(true) {
            linker.define_unknown_imports_as_default_values(&mut *store, module)?;
        }
        let instance = linker.instantiate_async(&mut *store, module).await?;
        // What has this is a library, which is to be set up before it is used.
        if let Some(initialize) = instance.get_func(&mut *store, "_initialize") {
            let initialize = initialize.typed::<(), ()>(&store)?;
            initialize.call_async(&mut *store, ()).await?;
        }
        let function =
            match self.invoke {
                Some(name) => Some(instance.get_func(&mut *store, name).ok_or_else(|| {
                    format_err!("the module exports no function `{name}` to invoke")
                })?),
                None => instance
                    .get_func(&mut *store, "")
                    .or_else(|| instance.get_func(&mut *store, "_start")),
            };
        match function {
            Some(function) => {
                let arguments = self.program.get(1..).unwrap_or_default();
                invoke::call(store, function, arguments).await
            }
            None => {
                warn(
                    "the module exports no `_start`, so nothing was called; `--invoke` calls another function",
                );
                Ok(())
            }
        }
    }

    async fn component(&self, store: &mut Store<Host>, component: &Component) -> Result<()> {
        if self.invoke.is_some() {
            bail!(
                "`ibid run --invoke` calls functions of core modules; for a component compile with `ibid compile`, and use `wasmtime run --allow-precompiled --invoke`"
            );
        }
        if self.options.wasm.unknown_exports_allow.is_some()
            || self.options.wasm.unknown_imports_default == Some(true)
        {
            bail!(
                "`-W unknown-exports-allow` and `-W unknown-imports-default` are for core modules"
            );
        }
        let mut linker = wasmtime::component::Linker::<Host>::new(store.engine());
        if self.has_wasi() {
            let mut options = p2::bindings::LinkOptions::default();
            options.network_error_code(self.options.wasi.network_error_code.unwrap_or(false));
            p2::add_to_linker_with_options_async(&mut linker, &options)?;
        }
        if self.options.wasm.unknown_imports_trap == Some(true) {
            linker.define_unknown_imports_as_traps(component)?;
        }
        let instance = linker.instantiate_async(&mut *store, component).await?;
        let command = p2::bindings::Command::new(&mut *store, &instance)?;
        let run = command.wasi_cli_run().call_run(&mut *store).await;
        match run.context("failed to invoke `run`")? {
            Ok(()) => Ok(()),
            Err(()) => Err(I32Exit(1).into()),
        }
    }

    fn has_wasi(&self) -> bool {
        let wasi = &self.options.wasi;
        wasi.cli.or(wasi.common) != Some(false)
    }

    /// Writes what the program's memory was when it trapped, if that is wanted.
    fn dump_core(&self, store: &mut Store<Host>, error: Error) -> Error {
        let (Some(path), Some(dump)) = (
            &self.options.debug.coredump,
            error.downcast_ref::<WasmCoreDump>(),
        ) else {
            return error;
        };
        let name = self.program.first().and_then(|file| file.to_str());
        let dump = dump.serialize(store, name.unwrap_or("unknown"));
        match File::create(path).and_then(|mut file| file.write_all(&dump)) {
            Ok(()) => error.context(format!("core dumped at {path}")),
            Err(failed) => {
                warn(format!("cannot write the core dump to `{path}`: {failed}"));
                error
            }
        }
    }
}

/// What the end of the program is to this command.
fn failure(error: &Error) -> Failure {
    if let Some(exit) = error.downcast_ref::<I32Exit>() {
        // The operating system keeps no more of it than this.
        return Failure::Exited((exit.0 & 0xff) as u8);
    }
    if error.is::<Trap>() {
        messages::error(human::chain(error.chain()));
        return Failure::Exited(TRAPPED);
    }
    Failure::Input(human::chain(error.chain()))
}
