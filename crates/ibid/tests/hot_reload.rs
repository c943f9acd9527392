//! A process that compiles one program again and again, and parses it once.

mod common;

use common::{Oracle, RICH};
use ibid::{MemoryStore, Options};
use std::sync::Arc;
use wasmtime::{Config, Engine};

fn oracle(config: &Config) -> Oracle {
    let mut options = Options::default();
    options.hot_reload = true;
    options.whole_artifacts = false;
    let engine = Engine::new(config).unwrap();
    Oracle::of(&engine, Arc::new(MemoryStore::new()), options)
}

/// A module with this body between two others.
fn with_body(body: &str) -> String {
    format!(
        "(module (memory 1) (global $g (mut i32) (i32.const 7)) (table 4 funcref)
           (elem (i32.const 1) $a $c) (data (i32.const 8) \"some data\")
           (func $a (export \"a\") (param i32) (result i32) (call $b (local.get 0)))
           (func $b (param i32) (result i32) {body})
           (func $c (export \"c\") (result i32) (call $b (i32.load (global.get $g)))))"
    )
}

#[test]
fn bodies_change_and_the_artifact_is_wasmtimes() {
    let oracle = oracle(&Config::new());
    let long = format!("{} i32.const 1", "i32.const 5 drop ".repeat(60));
    let longer = format!("{} i32.const 1", "i32.const 5 drop ".repeat(6000));
    for (body, compiled) in [
        ("i32.const 1", 3),
        ("i32.const 2", 1),
        ("i32.const 200000", 1),
        ("(call $a (i32.const 3))", 1),
        // The section's length, and then the body's, takes more bytes.
        (&long, 1),
        (&longer, 1),
        ("i32.const 2", 0),
        ("(i32.div_u (i32.const 1) (local.get 0))", 1),
    ] {
        let report = oracle.valid(&with_body(body));
        assert_eq!(report.functions.compiled, compiled, "{body:.40}");
    }
}

#[test]
fn errors_in_bodies_are_wasmtimes() {
    let oracle = oracle(&Config::new());
    for body in ["i32.const 1", "i64.const 1", "local.get 1", "i32.const 2"] {
        let wasm = wat::parse_str(with_body(body)).unwrap();
        assert_eq!(
            oracle.check(&wasm).is_some(),
            body.starts_with("i32"),
            "{body}"
        );
    }
    // Also where it is the reader of the bytes that knows what the engine has.
    let mut wasm = wat::parse_str(with_body("i32.const 1")).unwrap();
    let at = wasm
        .windows(4)
        .position(|bytes| bytes == [0, 0x41, 1, 0x0b])
        .unwrap();
    oracle.check(&wasm).expect("it is valid");
    for opcode in [0x06, 0x07, 0x09, 0x18, 0x19, 0x08, 0xe0, 0xff] {
        wasm[at + 1] = opcode;
        assert!(oracle.check(&wasm).is_none(), "{opcode:#x}");
    }
    // And so are those of the sections around them.
    let wasm = wat::parse_str(with_body("i32.const 3")).unwrap();
    for at in (0..wasm.len()).step_by(3) {
        let mut wasm = wasm.clone();
        wasm[at] ^= 0x55;
        oracle.check(&wasm);
    }
}

#[test]
fn what_else_changes_is_not_missed() {
    let oracle = oracle(&Config::new());
    let before = with_body("i32.const 1");
    for (from, to) in [
        ("some data", "same size"),
        ("(i32.const 8)", "(i32.const 9)"),
        ("(i32.const 7)", "(i32.const 6)"),
        ("(memory 1)", "(memory 2)"),
        ("$a $c", "$c $a"),
        ("(export \"a\")", "(export \"b\")"),
        ("(func $b", "(func $name"),
        ("(module ", "(module (type (func (param i64))) "),
        ("(module ", "(module (@custom \"x\" \"y\") "),
    ] {
        oracle.valid(&before);
        let after = before.replacen(from, to, 1).replace("call $b", "call 1");
        assert_ne!(before, after);
        oracle.valid(&after);
    }
}

/// Whether any code needs a heap for garbage collection is said outside of the code.
#[test]
fn a_body_that_comes_to_need_a_heap_changes_the_description() {
    let mut config = Config::new();
    config.wasm_gc(true).wasm_function_references(true);
    let oracle = oracle(&config);
    let text = |body: &str| {
        format!("(module (type $t (struct (field i32))) (func (export \"f\") {body}) (func))")
    };
    for body in [
        "",
        "(drop (struct.new_default $t))",
        "nop",
        "(drop (struct.new_default $t)) nop",
    ] {
        oracle.valid(&text(body));
        oracle.valid(&text(&format!("nop nop {body}")));
    }
}

#[test]
fn many_threads_may_share_it() {
    let oracle = Arc::new(oracle(&Config::new()));
    oracle.valid(RICH);
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            let oracle = oracle.clone();
            std::thread::spawn(move || {
                for round in 0..5 {
                    oracle.valid(&with_body(&format!("i32.const {}", thread * 100 + round)));
                }
            })
        })
        .collect();
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
}
