//! `ibid bench`: what ibid takes for a module of the user's own, beside Wasmtime.

use crate::{Failure, human, output, terminal, warn};
use clap::Args;
use ibid_bench::scenarios::{self, Settings};
use ibid_bench::{Benchmark, Machine, Subject, report};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use wasmtime::Engine;

#[derive(Args)]
pub(crate) struct Arguments {
    /// How often each scenario is measured; slow compiles are measured three times at most
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,

    /// Print one JSON object
    #[arg(long)]
    json: bool,

    /// Make the stores in this directory [default: the system's for temporary files]
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,

    /// The module or component, in the binary or the text format
    #[arg(value_name = "A.wasm")]
    module: PathBuf,

    /// Another release of it, to upgrade to
    #[arg(value_name = "B.wasm")]
    newer: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let engine = Engine::default();
    let first = subject(&arguments.module, &engine)?;
    let second = arguments.newer.as_deref();
    let second = second.map(|path| subject(path, &engine)).transpose()?;
    // What is edited is the newer one, as its programmer would.
    let (older, newer) = match second {
        Some(second) => (Some(first), second),
        None => (None, first),
    };
    let settings = Settings {
        rounds: arguments.rounds.into(),
        directory: arguments
            .directory
            .clone()
            .unwrap_or_else(std::env::temp_dir),
        ibid: this_command(),
    };
    let mut progress = Progress::new();
    let outcome = scenarios::run(&newer, older.as_ref(), &engine, &settings, &mut |next| {
        progress.say(next);
    });
    progress.clear();
    let outcome = outcome.map_err(failed)?;

    if arguments.json {
        let benchmark = Benchmark {
            machine: Machine::this().map_err(|error| Failure::Input(error.to_string()))?,
            modules: vec![outcome],
            scaling: None,
            stores: None,
            remote: None,
        };
        output::print_line(&report::json(&benchmark).map_err(failed)?)
    } else {
        let table = report::module(&outcome);
        output::print_line(&format!("{}: {}", outcome.name, table.trim_end()))
    }
}

fn subject(path: &Path, engine: &Engine) -> Result<Subject, Failure> {
    let name = human::name(path);
    let bytes = std::fs::read(path)
        .map_err(|error| Failure::Input(format!("cannot read {name}: {error}")))?;
    Subject::new(path.display().to_string(), &bytes, engine)
        .map_err(|error| Failure::Input(format!("{name}: {}", human::chain(error.chain()))))
}

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::Input(format!("{error:#}"))
}

/// This command's file, to be measured as a whole.
fn this_command() -> Option<PathBuf> {
    let found = std::env::current_exe();
    if let Err(error) = &found {
        warn(format!(
            "the command as a whole is not measured, for its file is not known: {error}"
        ));
    }
    found.ok()
}

/// What is being measured, on one line of a terminal.
struct Progress {
    terminal: bool,
}

impl Progress {
    fn new() -> Progress {
        Progress {
            terminal: terminal::draws(),
        }
    }

    fn say(&mut self, what: &str) {
        self.write(&format!("\r\x1b[Kmeasuring: {what}"));
    }

    fn clear(&mut self) {
        self.write("\r\x1b[K");
    }

    fn write(&mut self, text: &str) {
        if self.terminal {
            let mut stderr = std::io::stderr().lock();
            // Nobody who does not read it misses anything.
            let _ = stderr
                .write_all(text.as_bytes())
                .and_then(|()| stderr.flush());
        }
    }
}
