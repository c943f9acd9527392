//! Bad input gets Wasmtime's own message, whatever the store holds, and stores
//! nothing.

mod common;

use common::Oracle;

/// Each pair: a valid module, and an invalid one with the very same function body.
const SAME_BODY_OTHER_MODULE: &[(&str, &str)] = &[
    // The callee's signature.
    (
        "(module (func $f (param i32)) (func (call $f (i32.const 1))))",
        "(module (func $f (param i64)) (func (call $f (i32.const 1))))",
    ),
    // The callee does not exist: the index is the same.
    (
        "(module (func (call 1)) (func))",
        "(module (func (call 1)))",
    ),
    // The function's own result.
    (
        "(module (func (result i32) (i32.const 1)))",
        "(module (func (i32.const 1)))",
    ),
    (
        "(module (func (param i32) (drop (local.get 0))))",
        "(module (func (drop (local.get 0))))",
    ),
    // A global's type and mutability.
    (
        "(module (global (mut i32) (i32.const 0)) (func (global.set 0 (i32.const 1))))",
        "(module (global i32 (i32.const 0)) (func (global.set 0 (i32.const 1))))",
    ),
    (
        "(module (global (mut i32) (i32.const 0)) (func (global.set 0 (i32.const 1))))",
        "(module (global (mut f32) (f32.const 0)) (func (global.set 0 (i32.const 1))))",
    ),
    (
        "(module (global (mut i32) (i32.const 0)) (func (global.set 0 (i32.const 1))))",
        "(module (func (global.set 0 (i32.const 1))))",
    ),
    // A memory that is there, or of another index type.
    (
        "(module (memory 1) (func (drop (i32.load (i32.const 0)))))",
        "(module (func (drop (i32.load (i32.const 0)))))",
    ),
    (
        "(module (memory 1) (func (drop (i32.load (i32.const 0)))))",
        "(module (memory i64 1) (func (drop (i32.load (i32.const 0)))))",
    ),
    // A table's element type.
    (
        "(module (table 1 funcref) (func (table.set 0 (i32.const 0) (ref.null func))))",
        "(module (table 1 externref) (func (table.set 0 (i32.const 0) (ref.null func))))",
    ),
    // An indirect call's type and table.
    (
        "(module (type (func)) (table 1 funcref) (func (call_indirect (type 0) (i32.const 0))))",
        "(module (type (func (param i32))) (table 1 funcref) (type $n (func)) (func (type $n) (call_indirect (type 0) (i32.const 0))))",
    ),
    (
        "(module (type (func)) (table 1 funcref) (func (call_indirect (type 0) (i32.const 0))))",
        "(module (type (func)) (table 1 externref) (func (call_indirect (type 0) (i32.const 0))))",
    ),
    // A block's type.
    (
        "(module (type (func (param i32) (result i32))) (type $n (func)) (func (type $n) (i32.const 1) (block (type 0)) (drop)))",
        "(module (type (func (param i64) (result i32))) (type $n (func)) (func (type $n) (i32.const 1) (block (type 0)) (drop)))",
    ),
    // Whether a function may be referred to.
    (
        "(module (func $f) (elem declare func $f) (func (drop (ref.func $f))))",
        "(module (func $f) (func (drop (ref.func $f))))",
    ),
    (
        "(module (import \"a\" \"b\" (func $f)) (elem declare func $f) (func (drop (ref.func $f))))",
        "(module (import \"a\" \"b\" (func $f)) (func (drop (ref.func $f))))",
    ),
    // Segments: a data segment, and whether their number was said.
    (
        "(module (memory 1) (data \"x\") (func (memory.init 0 (i32.const 0) (i32.const 0) (i32.const 0))))",
        "(module (memory 1) (func (memory.init 0 (i32.const 0) (i32.const 0) (i32.const 0))))",
    ),
    (
        "(module (table 1 funcref) (elem func) (func (table.init 0 (i32.const 0) (i32.const 0) (i32.const 0))))",
        "(module (table 1 funcref) (elem externref) (func (table.init 0 (i32.const 0) (i32.const 0) (i32.const 0))))",
    ),
    (
        "(module (elem func) (func (elem.drop 0)))",
        "(module (func (elem.drop 0)))",
    ),
    // A tag's parameters.
    (
        "(module (tag (param i32)) (func (throw 0 (i32.const 1))))",
        "(module (tag (param i64)) (func (throw 0 (i32.const 1))))",
    ),
    // Shared memories.
    (
        "(module (memory 1 1 shared) (func (drop (memory.atomic.notify (i32.const 0) (i32.const 0)))))",
        "(module (func (drop (memory.atomic.notify (i32.const 0) (i32.const 0)))))",
    ),
];

#[test]
fn a_body_seen_in_a_valid_module_is_still_refused_in_an_invalid_one() {
    let mut config = wasmtime::Config::new();
    config.wasm_exceptions(true).shared_memory(true);
    for (valid, invalid) in SAME_BODY_OTHER_MODULE {
        let oracle = common::Oracle::with(&config);
        oracle.valid(valid);
        let before = oracle.store.len();
        let invalid = wat::parse_str(invalid).expect("the text is well-formed");
        assert_eq!(oracle.check(&invalid).map(|_| "accepted"), None, "{valid}");
        assert_eq!(oracle.store.len(), before, "{valid}: something was stored");
    }
}

#[test]
fn features_decide_what_is_valid() {
    let text = "(module (func (result v128) (v128.const i32x4 0 0 0 0)))";
    let store = std::sync::Arc::new(ibid::MemoryStore::new());
    Oracle::over(&wasmtime::Config::new(), store.clone()).valid(text);
    let mut config = wasmtime::Config::new();
    config.wasm_simd(false).wasm_relaxed_simd(false);
    let oracle = Oracle::over(&config, store);
    assert!(oracle.check(&wat::parse_str(text).unwrap()).is_none());
}

#[test]
fn truncated_files() {
    let oracle = Oracle::new();
    let wasm = wat::parse_str(common::RICH).unwrap();
    oracle.check(&wasm).unwrap();
    // What is cut between two sections may still be a module.
    let accepted = (0..wasm.len()).filter(|length| oracle.check(&wasm[..*length]).is_some());
    assert!(accepted.count() < 10);
}

#[test]
fn flipped_bits_over_a_warm_store() {
    let oracle = Oracle::new();
    let wasm = wat::parse_str(common::RICH).unwrap();
    oracle.check(&wasm).unwrap();
    // Every byte, one bit each, so that this stays short.
    for at in 8..wasm.len() {
        let mut changed = wasm.clone();
        changed[at] ^= 1 << (at % 8);
        oracle.check(&changed);
    }
}

#[test]
fn not_a_module() {
    let oracle = Oracle::new();
    let claims = |section: u8| {
        // A section that says it is almost 4 GiB long.
        let mut wasm = b"\0asm\x01\0\0\0".to_vec();
        wasm.extend([section, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x01]);
        wasm
    };
    let mut inputs: Vec<Vec<u8>> = (0..14).map(claims).collect();
    inputs.extend([
        Vec::new(),
        b"\0".to_vec(),
        b"\0asm".to_vec(),
        b"\0asm\x02\0\0\0".to_vec(),
        b"not wasm at all".to_vec(),
        b"(module (func (i32.add)))".to_vec(),
        b"(module (func".to_vec(),
        wat::parse_str("(component (core module))").unwrap()[..12].to_vec(),
        // A function count of four billion.
        [
            &b"\0asm\x01\0\0\0"[..],
            &[3, 5, 0xff, 0xff, 0xff, 0xff, 0x0f],
        ]
        .concat(),
        // Locals by the billion.
        [
            &b"\0asm\x01\0\0\0"[..],
            &[
                1, 4, 1, 0x60, 0, 0, 3, 2, 1, 0, 10, 10, 1, 8, 1, 0xff, 0xff, 0xff, 0xff, 0x0f,
                0x7f, 0x0b,
            ],
        ]
        .concat(),
    ]);
    for input in inputs {
        assert!(oracle.check(&input).is_none(), "{input:?}");
    }
    assert!(oracle.store.len() <= 1, "only the self-check's answer");
}

#[test]
fn the_first_error_is_the_one_that_is_told() {
    let oracle = Oracle::new();
    let text = "(module (func (result i32)) (func (result i64)) (func $ok) (func (call $ok) (result f32)))";
    let text = text.replace(
        "(func (call $ok) (result f32))",
        "(func (result f32) (call $ok))",
    );
    for _ in 0..10 {
        assert!(oracle.check(&wat::parse_str(&text).unwrap()).is_none());
    }
}

/// Of several invalid bodies the first one's error counts, also where it would have had address
/// slots and others not.
#[test]
fn the_first_invalid_body_is_named() {
    let slotted = "(func (param i32) (drop (i32.load (i32.const 70000))) (drop (f32.add)))";
    let plain = "(func (param i32) (drop (i64.add (local.get 0) (i64.const 1))))";
    for bodies in [[slotted, plain], [plain, slotted]] {
        let text = format!(
            "(module (memory 2) (func) {} (func (i32.store (i32.const 70000) (i32.const 80000))) {})",
            bodies[0], bodies[1]
        );
        let wasm = wat::parse_str(&text).unwrap();
        assert!(Oracle::new().check(&wasm).is_none(), "{text}");
    }
}
