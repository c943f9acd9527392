//! Test processes share what they compile.

use std::path::Path;
use std::process::{Command, Output};

/// What the process of a test says at its end.
const SAID: &str = "functions compiled: ";

/// A module with three functions, one of which has `number` in it.
fn module(number: u32) -> String {
    format!(
        "(module
           (func (export \"a\") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
           (func (export \"b\") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 3)))
           (func (export \"c\") (result i32) (i32.const {number})))"
    )
}

/// Has a process of its own compile the module with `number`.
fn process(cache: &Path, number: u32) -> Output {
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "in_a_process_of_its_own",
            "--exact",
            "--ignored",
            "--nocapture",
        ])
        .env("FIXTURE_CACHE", cache)
        .env("NUMBER", number.to_string())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    output
}

/// How many functions a process did not find.
fn compiled(output: Output) -> u64 {
    let said = String::from_utf8(output.stdout).unwrap();
    let (_, after) = said.split_once(SAID).unwrap();
    after.lines().next().unwrap().parse().unwrap()
}

#[test]
fn a_second_process_compiles_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let cache = directory.path().join("cache");
    assert_eq!(compiled(process(&cache, 7)), 3);
    assert_eq!(compiled(process(&cache, 7)), 0);
    // Of a module that changed, it compiles what changed.
    assert_eq!(compiled(process(&cache, 8)), 1);
    assert_eq!(compiled(process(&cache, 8)), 0);
}

#[test]
fn without_a_cache_processes_compile_and_say_so() {
    let file = tempfile::NamedTempFile::new().unwrap();
    for _ in 0..2 {
        let output = process(file.path(), 7);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("tests compile without a cache"), "{said}");
        assert_eq!(compiled(output), 3);
    }
}

#[test]
#[ignore = "the tests above run it, in processes of its own"]
fn in_a_process_of_its_own() {
    let number = std::env::var("NUMBER").map_or(7, |number| number.parse().unwrap());
    let exports = fixture::module(module(number)).exports().len();
    assert_eq!(exports, 3);
    // Asked again, and by several threads at once, it is the one that is there.
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| fixture::module(module(number)));
        }
    });
    println!("\n{SAID}{}", fixture::compiled_functions());
}
