//! `ibid run`, as its users meet it: programs that are compiled and run.
#![cfg(unix)]

mod common;
mod live;

use common::{Sandbox, fails, stderr, stdout};
use live::Live;
use std::io::Write as _;
use std::process::{Output, Stdio};

/// A program for WASI preview 1 that says its arguments, its environment, and its first directory's
/// name, each with a zero behind it, and ends with this code.
fn program(code: u32) -> String {
    format!(
        r#"(module
  (import "wasi_snapshot_preview1" "args_sizes_get"
    (func $args_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get"
    (func $environ_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func $environ_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_prestat_dir_name"
    (func $fd_prestat_dir_name (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_prestat_get"
    (func $fd_prestat_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 2)
  (func $ok (param i32) (if (local.get 0) (then unreachable)))
  (func $say (param $from i32) (param $length i32)
    (i32.store (i32.const 0) (local.get $from))
    (i32.store (i32.const 4) (local.get $length))
    (call $ok (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))
  (func $arguments
    (call $ok (call $args_sizes_get (i32.const 16) (i32.const 20)))
    (call $ok (call $args_get (i32.const 64) (i32.const 2048)))
    (call $say (i32.const 2048) (i32.load (i32.const 20))))
  (func $environment
    (call $ok (call $environ_sizes_get (i32.const 16) (i32.const 20)))
    (call $ok (call $environ_get (i32.const 1024) (i32.const 8192)))
    (call $say (i32.const 8192) (i32.load (i32.const 20))))
  (func $directory
    (if (i32.eqz (call $fd_prestat_get (i32.const 3) (i32.const 24))) (then
      (call $ok (call $fd_prestat_dir_name (i32.const 3) (i32.const 4096)
        (i32.load (i32.const 28))))
      (call $say (i32.const 4096) (i32.load (i32.const 28))))))
  (func (export "_start")
    (call $arguments) (call $environment) (call $directory)
    (call $proc_exit (i32.const {code}))))"#
    )
}

/// A program that says `text`, and then `reads` from standard input, or ends with a code.
fn saying(text: &str, reads: bool) -> String {
    let then = match reads {
        true => "(drop (call $fd_read (i32.const 0) (i32.const 8) (i32.const 1) (i32.const 16)))",
        false => "(call $proc_exit (i32.const 5))",
    };
    let length = text.len();
    format!(
        r#"(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read"
    (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  ;; Where the text is, and where there is room for input.
  (data (i32.const 0) "\20\00\00\00") (data (i32.const 8) "\00\01\00\00\10\00\00\00")
  (data (i32.const 32) "{text}")
  (func (export "_start")
    (i32.store (i32.const 4) (i32.const {length}))
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)))
    {then}))"#
    )
}

#[track_caller]
fn ends(output: &Output, code: i32, said: &str) {
    assert_eq!(output.status.code(), Some(code), "{}", stderr(output));
    assert_eq!(stdout(output), said, "{}", stderr(output));
}

#[test]
fn a_program_has_arguments_environment_and_directories_and_an_exit_code() {
    let sandbox = Sandbox::new();
    sandbox.write("in.wat", program(3));
    let output = sandbox.ibid(&["run", "in.wat"]);
    ends(&output, 3, "in.wat\0");
    assert_eq!(stderr(&output), "");
    // All behind the file is the program's.
    let line = [
        "--env", "A=b", "--dir", ".::/here", "in.wat", "-v", "--env", "x",
    ];
    let output = sandbox.ibid(&[&["run"], &line[..]].concat());
    ends(&output, 3, "in.wat\0-v\0--env\0x\0A=b\0/here");
    let output = sandbox
        .command(&[
            "run", "--env", "MINE", "--env", "NOT_SET", "--argv0", "me", "in.wat",
        ])
        .env("MINE", "yes")
        .output()
        .unwrap();
    ends(&output, 3, "me\0MINE=yes\0");
    let output = sandbox
        .command(&["run", "-S", "inherit-env", "in.wat"])
        .env_clear()
        .env("XDG_CACHE_HOME", "cache")
        .output()
        .unwrap();
    ends(&output, 3, "in.wat\0XDG_CACHE_HOME=cache\0");
    fails(
        &sandbox.ibid(&["run", "--dir", "missing", "in.wat"]),
        1,
        "cannot open the directory `missing`",
    );
}

#[test]
fn what_was_run_is_in_the_cache() {
    let sandbox = Sandbox::new();
    sandbox.write("in.wat", program(0));
    ends(&sandbox.ibid(&["run", "in.wat"]), 0, "in.wat\0");
    let plan = sandbox.ibid(&["plan", "in.wat"]);
    assert!(stdout(&plan).contains("ready"), "{}", stdout(&plan));
    sandbox.write("other.wat", program(0).replace("2048", "2052"));
    ends(
        &sandbox.ibid(&["run", "--no-cache", "other.wat"]),
        0,
        "other.wat\0",
    );
    let plan = sandbox.ibid(&["plan", "other.wat"]);
    assert!(!stdout(&plan).contains("ready"), "{}", stdout(&plan));
}

#[test]
fn a_component_runs_as_a_module_does() {
    let sandbox = Sandbox::new();
    let component =
        |code| ibid_components::command(&wat::parse_str(program(code)).unwrap()).unwrap();
    sandbox.write("in.wasm", component(0));
    let line = [
        "run", "--env", "A=b", "--dir", ".::/here", "in.wasm", "one", "two",
    ];
    ends(&sandbox.ibid(&line), 0, "in.wasm\0one\0two\0A=b\0/here");
    // `wasi:cli/exit` knows no codes but these two.
    sandbox.write("in.wasm", component(3));
    ends(&sandbox.ibid(&["run", "in.wasm"]), 1, "in.wasm\0");
    fails(
        &sandbox.ibid(&["run", "--invoke", "run", "in.wasm"]),
        1,
        "calls functions of core modules",
    );
}

#[test]
fn a_trap_is_134_with_a_backtrace() {
    const TRAPS: &str = r#"(module
      (func $boom unreachable)
      (func $between (call $boom))
      (func (export "_start") (call $between)))"#;
    let sandbox = Sandbox::new();
    sandbox.write("in.wat", TRAPS);
    let output = sandbox.ibid(&["run", "in.wat"]);
    for part in [
        "error: failed to run `in.wat`",
        "wasm backtrace",
        "!boom",
        "!between",
        "wasm trap: wasm `unreachable` instruction executed",
    ] {
        fails(&output, 134, part);
    }
    let component = ibid_components::command(
        &wat::parse_str(TRAPS.replacen("(module", "(module (memory (export \"memory\") 1)", 1))
            .unwrap(),
    );
    sandbox.write("in.wasm", component.unwrap());
    fails(&sandbox.ibid(&["run", "in.wasm"]), 134, "!boom");
    let output = sandbox.ibid(&["run", "-D", "coredump=core", "in.wat"]);
    fails(&output, 134, "core dumped at core");
    assert!(
        std::fs::read(sandbox.path("core"))
            .unwrap()
            .starts_with(b"\0asm")
    );
}

#[test]
fn wasmtimes_limits_apply() {
    const ENDLESS: &str = r#"(module (memory (export "m") 1)
      (func (export "grow") (result i32) (memory.grow (i32.const 9)))
      (func (export "_start") (loop (br 0))))"#;
    let sandbox = Sandbox::new();
    sandbox.write("in.wat", ENDLESS);
    fails(
        &sandbox.ibid(&["run", "-W", "fuel=1000", "in.wat"]),
        134,
        "all fuel consumed",
    );
    fails(
        &sandbox.ibid(&["run", "-W", "timeout=20ms", "in.wat"]),
        134,
        "wasm trap: interrupt",
    );
    let grow = ["run", "--invoke", "grow", "in.wat"];
    ends(&sandbox.ibid(&grow), 0, "1\n");
    let limited = [&["run", "-W", "max-memory-size=100000"], &grow[1..]].concat();
    ends(&sandbox.ibid(&limited), 0, "-1\n");
}

#[test]
fn a_function_is_called_with_numbers() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "in.wat",
        r#"(module (func (export "add") (param i32 f64) (result f64 i32)
             (f64.add (f64.convert_i32_s (local.get 0)) (local.get 1)) (local.get 0)))"#,
    );
    let call = |arguments: &[&str]| {
        sandbox.ibid(&[&["run", "--invoke", "add", "in.wat"], arguments].concat())
    };
    ends(&call(&["-2", "0.5"]), 0, "-1.5\n-2\n");
    fails(&call(&["1"]), 1, "takes 2 arguments");
    fails(&call(&["one", "2"]), 1, "`one` is not of type i32");
    let output = sandbox.ibid(&["run", "--invoke", "sub", "in.wat"]);
    fails(&output, 1, "exports no function `sub`");
    let output = sandbox.ibid(&["run", "in.wat"]);
    assert!(output.status.success());
    assert!(stderr(&output).contains("exports no `_start`"));
}

#[test]
fn artifacts_run_if_they_are_trusted() {
    let sandbox = Sandbox::new();
    sandbox.write("in.wat", program(4));
    assert!(sandbox.ibid(&["compile", "in.wat"]).status.success());
    fails(
        &sandbox.ibid(&["run", "in.cwasm"]),
        1,
        "--allow-precompiled",
    );
    let output = sandbox.ibid(&["run", "--allow-precompiled", "in.cwasm"]);
    ends(&output, 4, "in.cwasm\0");
}

#[test]
fn what_cannot_be_run_says_what_would_be_right() {
    let sandbox = Sandbox::new();
    sandbox.write("in.wat", program(0));
    sandbox.write("bad.wat", "(module (func (result i32)))");
    sandbox.write(
        "import.wat",
        r#"(module (import "a" "b" (func)) (func (export "_start")))"#,
    );
    for (arguments, code, message) in [
        (&["run"][..], 2, "FILE"),
        (&["run", "missing.wasm"], 1, "cannot read `missing.wasm`"),
        (&["run", "bad.wat"], 1, "type mismatch"),
        (&["run", "import.wat"], 1, "unknown import: `a::b`"),
        (
            &["run", "-S", "http", "in.wat"],
            2,
            "`ibid run` has no `-S http`",
        ),
        (&["run", "-S", "cli=n", "in.wat"], 1, "unknown import"),
        (&["run", "--env", "=a", "in.wat"], 2, "NAME=VAL"),
        (
            &["run", "--watch", "-"],
            2,
            "standard input cannot be watched",
        ),
    ] {
        fails(&sandbox.ibid(arguments), code, message);
    }
    let output = sandbox.ibid(&["run", "-W", "unknown-imports-trap", "import.wat"]);
    ends(&output, 0, "");
}

#[test]
fn a_program_may_come_by_standard_input() {
    let sandbox = Sandbox::new();
    let mut child = sandbox
        .command(&["run", "-", "one"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(program(2).as_bytes()).unwrap();
    drop(stdin);
    ends(&child.wait_with_output().unwrap(), 2, "-\0one\0");
}

#[test]
fn a_watched_program_starts_again() {
    let sandbox = Sandbox::new();
    sandbox.write("in.wat", saying("first", true));
    // What comes before the subcommand, and what is the program's, is the other process's, too.
    let line = ["--color", "never", "run", "--watch", "in.wat", "--color"];
    let mut live = Live::start(sandbox.command(&line));
    live.stdout.await_text("first");
    live.stderr.await_text("functions compiled");
    // It still waits for its input, and is ended there.
    sandbox.write("new", saying("second", true));
    std::fs::rename(sandbox.path("new"), sandbox.path("in.wat")).unwrap();
    live.stdout.await_text("second");
    // What cannot be compiled leaves the one that runs alone.
    sandbox.write("in.wat", "(module (fun))");
    live.stderr.await_text("expected valid module field");
    sandbox.write("in.wat", saying("third", false));
    live.stdout.await_text("third");
    live.stderr
        .await_text("the program ended with exit status: 5; waiting for a change");
    sandbox.write("in.wat", saying("fourth", true));
    live.stdout.await_text("fourth");
    live.interrupt();
    assert_eq!(live.await_exit().code(), Some(0));
    // The program has gone, too: nobody has its output open any more.
    assert_eq!(live.stdout.await_end(), "firstsecondthirdfourth");
}
