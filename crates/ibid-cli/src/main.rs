//! The `ibid` command: compiles WebAssembly for Wasmtime incrementally.
//!
//! Holds no logic that a user of the library would miss: it parses the command line,
//! reads and writes files, and prints.

mod bench;
mod cache;
mod compile;
mod human;
mod input;
mod output;
mod plan;
mod progress;
mod remote;
mod store;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: ibid::Watched = ibid::Watched::system();

/// Compile WebAssembly for Wasmtime, and only the functions that changed.
#[derive(Parser)]
#[command(name = "ibid", version, about, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Compile a module or component to what `wasmtime compile` makes of it
    Compile(Box<compile::Arguments>),
    /// Say what a compile would have to do, and for how long, without compiling
    Plan(Box<plan::Arguments>),
    /// Look at the cache, keep it in order, take it elsewhere, or clear it
    Cache(cache::Arguments),
    /// Look at a cache that machines share, keep it in order, or make a writer's key
    #[cfg(feature = "remote")]
    Remote(remote::Arguments),
    /// Measure what ibid takes for a module of yours, beside Wasmtime and its caches
    ///
    /// The module is compiled with Wasmtime's default settings in all the situations that a build
    /// meets: for the first time, unchanged, after edits that are made for the purpose, and after
    /// the upgrade from A.wasm to B.wasm, if there are two. Each is measured in turns with
    /// Wasmtime and its caches, and each artifact is compared with Wasmtime's.
    Bench(bench::Arguments),
}

/// Why the command fails.
enum Failure {
    /// The command line asks for something that cannot be: exit code 2.
    Usage(String),
    /// The input, or a file, is bad: exit code 1.
    Input(String),
}

impl Failure {
    fn usage(error: impl std::fmt::Display) -> Failure {
        Failure::Usage(format!("{error:#}"))
    }
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Compile(arguments) => compile::run(*arguments),
        Command::Plan(arguments) => plan::run(*arguments),
        Command::Cache(arguments) => cache::run(arguments),
        #[cfg(feature = "remote")]
        Command::Remote(arguments) => remote::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Input(message)) => {
            eprintln!("error: {message}");
            ExitCode::from(1)
        }
        Err(Failure::Usage(message)) => {
            eprintln!("error: {message}\n\nFor more information, try '--help'.");
            ExitCode::from(2)
        }
    }
}

/// Says on standard error what did not work and does not matter to the result.
fn warn(message: impl std::fmt::Display) {
    eprintln!("warning: {message}");
}
