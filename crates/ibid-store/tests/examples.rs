//! The examples run, and say what they are to show.
//!
//! Cargo builds examples when it tests the whole package, but does not run them.

use std::path::PathBuf;
use std::process::Command;

fn example(name: &str) -> Command {
    let test = std::env::current_exe().unwrap();
    let profile = test.ancestors().nth(2).expect("target/profile/deps/test");
    let path: PathBuf = profile.join("examples").join(name);
    assert!(
        path.exists(),
        "`{}` is not built; `cargo test -p ibid-store` without `--test` does so",
        path.display()
    );
    Command::new(path)
}

#[track_caller]
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    String::from_utf8(output.stdout).unwrap()
}

/// It compares what is found with what it expects itself.
#[test]
fn cranelift_functions() {
    let said = run(&mut example("cranelift_functions"));
    assert_eq!(said.lines().count(), 3, "{said}");
}

#[test]
fn wasmtime_incremental() {
    let directory = tempfile::tempdir().unwrap();
    let module = directory.path().join("module.wat");
    std::fs::write(
        &module,
        "(module (func) (func (param i32)) (func (param i64)))",
    )
    .unwrap();
    let compile = || {
        let store = directory.path().join("store");
        run(example("wasmtime_incremental").args([&module, &store]))
    };
    let (first, second) = (compile(), compile());
    assert!(first.contains("0 of"), "{first}");
    assert!(!second.contains(" 0 of"), "{second}");
}
