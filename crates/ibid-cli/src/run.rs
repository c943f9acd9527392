//! `ibid run`: a program, compiled through the cache, with WASI.

mod execute;
mod host;
mod invoke;
mod restart;

use crate::building::BuildOptions;
use crate::{Failure, input};
use clap::Args;
use execute::{Execution, Loaded};
use host::Grants;
use ibid::Options;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use wasmtime::Engine;

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    build: BuildOptions,

    #[command(flatten)]
    grants: Grants,

    /// Call this function of a core module, with numbers as its arguments, and print its results
    #[arg(long, value_name = "FUNCTION")]
    invoke: Option<String>,

    /// Start the program again whenever its file changes, until Ctrl-C
    #[arg(long)]
    watch: bool,

    /// Also take an artifact, of `ibid compile` or `wasmtime compile`: only one that you trust, for
    /// it is machine code
    #[arg(long)]
    allow_precompiled: bool,

    /// Run this artifact of the program, which whoever watches the program has made of it
    #[arg(long, hide = true)]
    artifact: Option<PathBuf>,

    /// The module or component, in the binary or the text format; `-` is standard input. All that
    /// follows it is the program's
    #[arg(value_name = "FILE", trailing_var_arg = true, required = true)]
    program: Vec<OsString>,
}

impl Arguments {
    fn file(&self) -> &Path {
        // There is one, for the argument is required.
        self.program.first().map_or(Path::new(""), Path::new)
    }

    /// The engine of Wasmtime's own options, and of what running needs.
    fn engine(&mut self) -> Result<Engine, Failure> {
        input::engine_with(&mut self.build.wasmtime, |options, config| {
            if options.wasm.timeout.is_some() {
                config.epoch_interruption(true);
            }
        })
    }
}

pub(crate) fn run(mut arguments: Arguments) -> Result<(), Failure> {
    let engine = arguments.engine()?;
    host::check(&arguments.build.wasmtime)?;
    if arguments.watch && arguments.artifact.is_none() {
        return restart::run(&arguments, &engine);
    }
    let (loaded, builder) = match &arguments.artifact {
        Some(artifact) => (Loaded::artifact(&engine, &input::read(artifact)?), None),
        None => {
            let wasm = input::read(arguments.file())?;
            if Engine::detect_precompiled(&wasm).is_some() {
                allow_precompiled(&arguments)?;
                (Loaded::artifact(&engine, &wasm), None)
            } else {
                let builder = arguments.build.builder(&engine, Options::default())?;
                let artifact = builder.build(arguments.file(), &wasm)?.into_artifact();
                builder.say_failures();
                (Loaded::artifact(&engine, &artifact), Some(builder))
            }
        }
    };
    let loaded = loaded.map_err(|error| input::refused(arguments.file(), &error))?;
    let execution = Execution {
        options: &arguments.build.wasmtime,
        grants: &arguments.grants,
        invoke: arguments.invoke.as_deref(),
        program: &arguments.program,
    };
    let ended = execution.run(&engine, &loaded);
    if let Some(builder) = builder {
        builder.finish();
    }
    ended
}

fn allow_precompiled(arguments: &Arguments) -> Result<(), Failure> {
    match arguments.allow_precompiled {
        true => Ok(()),
        false => Err(Failure::Input(format!(
            "`{}` is an artifact, which is machine code: run it with `--allow-precompiled` if you trust who made it, or run what it was made of",
            arguments.file().display()
        ))),
    }
}
