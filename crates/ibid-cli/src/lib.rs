//! The `ibid` command: compiles WebAssembly for Wasmtime incrementally.
//!
//! Holds no logic that a user of the library would miss: it parses the command line,
//! reads and writes files, and prints.

mod bench;
mod building;
mod cache;
mod compile;
mod documentation;
mod explain;
mod human;
mod input;
mod messages;
mod output;
mod plan;
mod progress;
mod remote;
mod report;
mod run;
mod store;
mod terminal;
mod trace;
mod watch;

use clap::{CommandFactory as _, Parser, Subcommand};
use messages::warn;
use std::process::ExitCode;

/// Compile WebAssembly for Wasmtime, and only the functions that changed.
#[derive(Parser)]
#[command(name = "ibid", version, about, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,

    #[command(flatten)]
    terminal: terminal::TerminalOptions,
}

#[derive(Subcommand)]
enum Command {
    /// Compile a module or component to what `wasmtime compile` makes of it
    Compile(Box<compile::Arguments>),
    /// Compile a module or component whenever its file changes, until Ctrl-C
    Watch(Box<watch::Arguments>),
    /// Compile a program through the cache, and run it with WASI
    ///
    /// Runs core modules of WASI preview 1 and components of `wasi:cli/command`, as `wasmtime run`
    /// does. The exit code is the program's; 134 if it traps.
    Run(Box<run::Arguments>),
    /// Say what a compile would have to do, and for how long, without compiling
    Plan(Box<plan::Arguments>),
    /// Say why functions of a module would have to be compiled when the cache knows another one
    ///
    /// Compares the second module with the first, function by function: which would be found, and
    /// what changed in the others or around them. Nothing is compiled.
    Explain(Box<explain::Arguments>),
    /// Compile inputs, and show on a page what became of every function
    ///
    /// The page is one file of HTML that needs no other and no network. The artifacts are not
    /// written.
    Report(Box<report::Arguments>),
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
    /// Print what completes this command line in a shell
    Completions(documentation::Completions),
    /// Print the manual's first page, or write all of its pages
    Man(documentation::Man),
}

/// Why the command fails.
#[derive(Debug)]
enum Failure {
    /// The command line asks for something that cannot be: exit code 2.
    Usage(String),
    /// The input, or a file, is bad: exit code 1.
    Input(String),
    /// Nothing is left to say: the program that was run ended with this exit code, or nobody reads
    /// what the command prints.
    Exited(u8),
}

impl Failure {
    fn usage(error: impl std::fmt::Display) -> Failure {
        Failure::Usage(format!("{error:#}"))
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failure::Usage(message) | Failure::Input(message) => f.write_str(message),
            Failure::Exited(code) => write!(f, "the program ended with exit code {code}"),
        }
    }
}

/// What `main` does, with the arguments of this process; gives what to exit with.
///
/// This is all that there is for others: the library for programs is the crate `ibid`.
pub fn main() -> ExitCode {
    output::leave_with_the_reader();
    terminal::early_colors(std::env::args_os());
    let Arguments { command, terminal } = Arguments::parse();
    terminal.apply();
    let result = match command {
        Command::Compile(arguments) => compile::run(*arguments),
        Command::Watch(arguments) => watch::run(*arguments),
        Command::Run(arguments) => run::run(*arguments),
        Command::Plan(arguments) => plan::run(*arguments),
        Command::Explain(arguments) => explain::run(*arguments),
        Command::Report(arguments) => report::run(*arguments),
        Command::Cache(arguments) => cache::run(arguments),
        #[cfg(feature = "remote")]
        Command::Remote(arguments) => remote::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Completions(shell) => documentation::completions(Arguments::command(), &shell),
        Command::Man(pages) => documentation::man(Arguments::command(), &pages),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Exited(code)) => ExitCode::from(code),
        Err(failure @ Failure::Input(_)) => {
            messages::error(failure);
            ExitCode::from(1)
        }
        Err(failure @ Failure::Usage(_)) => {
            messages::error(format_args!(
                "{failure}\n\nFor more information, try '--help'."
            ));
            ExitCode::from(2)
        }
    }
}
