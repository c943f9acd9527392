//! The program, as its users run it.

use std::process::{Command, Output};

fn run(name: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_example-build-script"))
        .arg(name)
        .output()
        .expect("the program starts")
}

#[test]
fn the_plugin_greets() {
    let output = run("Ada");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "Hello, Ada!\n");
}

#[test]
fn what_is_too_long_is_refused() {
    let output = run(&"x".repeat(1025));
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("at most 1024 bytes"), "{said}");
}
