//! With ibid, the suite ends as with plain Wasmtime, directive by directive.

use std::io::Write as _;
use std::process::Command;

/// In a process of its own, because backtraces, which each trap would have, are slow, and only a
/// process's environment turns them off.
#[track_caller]
fn ends_as_with_wasmtime(setting: &str) {
    let output = Command::new(env!("CARGO_BIN_EXE_ibid-conformance"))
        .arg(setting)
        .env_remove("RUST_BACKTRACE")
        .env_remove("RUST_LIB_BACKTRACE")
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    // Not `println`, which the harness keeps to itself when a test passes.
    std::io::stdout().write_all(printed.as_bytes()).unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(printed.contains("wasm-latest"), "the suite was not run");
}

#[test]
fn with_default_settings() {
    ends_as_with_wasmtime("default");
}

#[test]
fn with_everything_on() {
    ends_as_with_wasmtime("everything");
}
