//! `ibid bench`, as its users meet it. What it measures is tested where that is done.

use std::path::Path;
use std::process::{Command, Output};

const MODULE: &str = r#"
    (module
        (memory 1)
        (data (i32.const 8) "data")
        (func (export "f") (result i32) i32.const 3)
        (func (export "g") (result i32) i32.const 70000))"#;

fn bench(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ibid"))
        .arg("bench")
        .args(arguments)
        .current_dir(directory)
        .env_remove("RUST_BACKTRACE")
        .output()
        .unwrap()
}

fn sandbox() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let newer = MODULE.replace("70000", "70001");
    for (name, text) in [("a.wat", MODULE), ("b.wat", &newer)] {
        std::fs::write(directory.path().join(name), text).unwrap();
    }
    directory
}

#[test]
fn a_module_of_the_users_own() {
    let directory = sandbox();
    let output = bench(
        directory.path(),
        &["--rounds", "1", "--directory", ".", "a.wat"],
    );
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    for expected in [
        "a.wat: ",
        "| one body edited ",
        "The command, from file to file",
    ] {
        assert!(said.contains(expected), "{said}");
    }
    assert!(!said.contains("upgrade"), "{said}");
    assert_eq!(output.stderr, b"", "no terminal, no progress");
    let left = std::fs::read_dir(directory.path()).unwrap().count();
    assert_eq!(left, 2, "the modules, and no store");
}

#[test]
fn an_upgrade_for_machines() {
    let directory = sandbox();
    let output = bench(
        directory.path(),
        &["--rounds", "1", "--json", "a.wat", "b.wat"],
    );
    assert!(output.status.success());
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let module = &json["modules"][0];
    assert_eq!(module["name"], "b.wat");
    let rows = module["rows"].as_array().unwrap();
    let upgrade = rows.last().unwrap();
    assert_eq!(upgrade["scenario"], "upgrade");
    assert_eq!(upgrade["counts"]["compiled"], 1);
}

#[test]
fn what_wasmtime_refuses_is_refused_in_its_words() {
    let directory = sandbox();
    let bad = directory.path().join("bad.wasm");
    std::fs::write(&bad, b"\0asm\x01\0\0\0\x0a").unwrap();
    let error = wasmtime::Engine::default()
        .precompile_module(b"\0asm\x01\0\0\0\x0a")
        .unwrap_err();
    let output = bench(directory.path(), &["bad.wasm"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.starts_with(&format!("error: `bad.wasm`: {error}")),
        "{said}"
    );
}
