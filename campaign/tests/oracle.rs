//! The oracle itself: it sees what is wrong, and says where.

use ibid_campaign::{Difference, OpenStore, Oracle, Outcome, RICH, agree, kind};
use std::sync::Arc;
use wasmtime::Config;

const TWO: &str = r#"(module
  (func $one (export "one") (result i32) i32.const 1)
  (func $two (export "two") (result i32) i32.const 2))"#;

#[test]
fn a_sequence_of_inputs_agrees() {
    let rich = wat::parse_str(RICH).unwrap();
    let inputs = [&rich[..], &rich, b"\0asm\x01\0\0\0", b"no module"];
    let store = Arc::new(OpenStore::default());
    let outcomes = agree(&Config::new(), inputs, store).unwrap();
    let compiled: Vec<_> = outcomes
        .iter()
        .map(|outcome| match outcome {
            Outcome::Artifact(report) => Some(report.functions.compiled),
            Outcome::Error(message) => {
                assert!(!message.is_empty());
                None
            }
        })
        .collect();
    assert!(compiled[0] > Some(10));
    assert_eq!(compiled[1..], [Some(0), Some(0), None]);
}

#[test]
fn a_wrong_hit_is_seen_and_named() {
    let wasm = wat::parse_str(TWO).unwrap();
    let oracle = Oracle::over(&Config::new(), Arc::new(OpenStore::default()));
    oracle.check(&wasm).unwrap();

    // The bundle has it right, so it goes.
    oracle.store.forget_kind(b'b');
    // Somebody plants the code of one function as that of the other.
    let functions = oracle.compiler.functions(&wasm).unwrap();
    let (one, _) = functions.split(0).unwrap();
    let (two, parameters) = functions.split(1).unwrap();
    let planted = functions.compile(1, &parameters).unwrap();
    assert_ne!(functions.key(&one), functions.key(&two));
    let stored = |entry: &Vec<u8>| entry.ends_with(functions.key(&one).as_bytes());
    let entry = oracle
        .store
        .entries()
        .keys()
        .find(|key| stored(key))
        .cloned();
    let entry = entry.expect("the function was compiled");
    assert_eq!(kind(&entry), b's');
    oracle.store.plant(&entry, planted.as_bytes().to_vec());

    let explanation = oracle.compare(&wasm).unwrap_err().to_string();
    for part in [
        "in section .text",
        "code of `wasm[0]::function[0]::one`",
        &functions.key(&one).to_string(),
        "the code reused for `wasm[0]::function[0]::one` is not what compiling it gives",
        ".wasmtime.cwasm",
    ] {
        assert!(explanation.contains(part), "no {part:?} in: {explanation}");
    }
}

#[test]
fn a_difference_has_a_place() {
    let wasm = wat::parse_str(TWO).unwrap();
    let plain = Oracle::new().engine.precompile_module(&wasm).unwrap();
    assert_eq!(Difference::find(&plain, &plain), None);

    let mut longer = plain.clone();
    longer.push(0);
    let difference = Difference::find(&longer, &plain).unwrap();
    assert_eq!(difference.offset, plain.len() as u64);
    assert_eq!(difference.lengths, (plain.len() + 1, plain.len()));
    assert_eq!(difference.function, None);
}
