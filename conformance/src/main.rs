//! Prints what comes of WebAssembly's own test suite with ibid, beside plain Wasmtime.
//!
//! Takes the names of settings, `default` and `everything`, or else runs both. `--failures` says
//! what fails with plain Wasmtime, too; `--scripts DIR` runs the scripts in a directory as well. The
//! exit code is 1 if anything differs.

use ibid_conformance::{Setting, run};
use std::path::Path;
use std::process::ExitCode;

const SETTINGS: [(&str, Setting, &str); 2] = [
    ("default", Setting::Default, "Wasmtime's default settings"),
    (
        "everything",
        Setting::Everything,
        "with shared memories, custom page sizes, wide arithmetic and more of the component model",
    ),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let explain = arguments.iter().any(|argument| argument == "--failures");
    let asked = |name| arguments.iter().any(|argument| argument == name);
    let mut more = arguments
        .iter()
        .skip_while(|argument| *argument != "--scripts");
    let more = more.nth(1).map(Path::new);
    let all = !SETTINGS.iter().any(|(name, _, _)| asked(name));
    let mut same = true;
    for (_, setting, title) in SETTINGS.iter().filter(|(name, _, _)| all || asked(name)) {
        let results = match run(*setting, more) {
            Ok(results) => results,
            Err(error) => {
                eprintln!("error: {error:#}");
                return ExitCode::FAILURE;
            }
        };
        println!("{title}\n{results}");
        for difference in &results.differences {
            println!("different: {difference}");
        }
        for unsteady in &results.unsteady {
            println!("compared with several: Wasmtime's own differ: {unsteady}");
        }
        if explain {
            for failure in &results.failures {
                println!("fails with plain Wasmtime as well: {failure}");
            }
        }
        same &= results.differences.is_empty();
    }
    if same {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
