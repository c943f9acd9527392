//! Addresses as parameters: functions whose data moved are found, with the right addresses.

use ibid::{Compiler, MemoryStore, Options, Report};
use ibid_campaign::Oracle;
use std::sync::Arc;
use wasmtime::{Engine, Instance, Module, Store};

/// A program with three strings, the first of which begins at `first`; their lengths are such
/// that the others move with it. `sum` adds the bytes of one, found by a table of addresses.
fn program(first: u32) -> String {
    let (second, third, table) = (first + 16, first + 40, first + 100);
    format!(
        "(module (memory (export \"memory\") 64)
           (data (i32.const {first}) \"one\") (data (i32.const {second}) \"two\")
           (data (i32.const {third}) \"three\")
           (func $length (param i32) (result i32) (local i32)
             (loop (if (i32.load8_u (i32.add (local.get 0) (local.get 1)))
               (then (local.set 1 (i32.add (local.get 1) (i32.const 1))) (br 1))))
             (local.get 1))
           (func (export \"set\")
             (i32.store (i32.const {table}) (i32.const {first}))
             (i32.store offset={table} (i32.const 4) (i32.const {second}))
             (i32.store offset={table} (i32.const 8) (i32.const {third})))
           (func (export \"sum\") (param i32) (result i32)
             (call $length (i32.load offset={table} (i32.shl (local.get 0) (i32.const 2)))))
           (func (export \"which\") (param i32) (result i32)
             (select (i32.const {second}) (i32.const {third}) (local.get 0)))
           (func (export \"is_first\") (param i32) (result i32)
             (i32.eq (local.get 0) (i32.const {first}))))"
    )
}

fn compiled(report: &Report) -> (u64, u64) {
    (report.functions.compiled, report.address_slots.functions)
}

#[test]
fn functions_whose_data_moved_are_found() {
    let oracle = Oracle::new();
    assert_eq!(compiled(&oracle.valid(&program(1_048_600))), (5, 0));
    for first in [1_048_604, 1_050_000, 2_000_000, 1_048_600, 4_000_000] {
        assert_eq!(compiled(&oracle.valid(&program(first))).0, 0, "{first}");
    }
    assert_eq!(compiled(&oracle.valid(&program(3_000_000))), (0, 4));
}

#[test]
fn they_compute_with_the_new_addresses() {
    let engine = Engine::default();
    let compiler = Compiler::new(&engine, MemoryStore::new());
    for first in [1_048_600, 3_000_016] {
        let compilation = compiler.compile(program(first).as_bytes()).unwrap();
        // SAFETY: these are the bytes of an artifact that was just made.
        let module = unsafe { Module::deserialize(&engine, compilation.artifact()) }.unwrap();
        compilation.store();
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &module, &[]).unwrap();
        let set = instance
            .get_typed_func::<(), ()>(&mut store, "set")
            .unwrap();
        set.call(&mut store, ()).unwrap();
        let mut call = |name: &str, argument: u32| {
            let function = instance
                .get_typed_func::<u32, u32>(&mut store, name)
                .unwrap();
            function.call(&mut store, argument).unwrap()
        };
        assert_eq!([0, 1, 2].map(|string| call("sum", string)), [3, 3, 5]);
        assert_eq!([1, 0].map(|x| call("which", x)), [first + 16, first + 40]);
        assert_eq!([first, first + 1].map(|x| call("is_first", x)), [1, 0]);
    }
}

#[test]
fn without_slots_they_are_compiled() {
    let mut options = Options::default();
    options.address_slots = false;
    let oracle = Oracle::of(&Engine::default(), Arc::new(MemoryStore::new()), options);
    oracle.valid(&program(1_048_600));
    let report = oracle.valid(&program(1_048_604));
    assert_eq!(compiled(&report), (4, 0));
}

#[test]
fn only_for_the_target_whose_rules_are_known() {
    let mut config = wasmtime::Config::new();
    config.target("aarch64-unknown-linux-gnu").unwrap();
    let oracle = Oracle::with(&config);
    oracle.valid(&program(1_048_600));
    assert_eq!(compiled(&oracle.valid(&program(1_048_604))), (4, 0));
}

/// Two addresses become one, or one that the code holds for another reason: the function is
/// compiled, and right.
#[test]
fn addresses_that_do_not_fit_are_compiled() {
    let text = |a: u32, b: u32| {
        format!(
            "(module (memory 64) (data (i32.const 2000) \"x\") (func $f (param i32 i32 i32 i32))
               (func (param i32) (local i32)
                 (call $f (i32.const {a}) (i32.const {b})
                   (i32.add (local.get 0) (i32.const 100000))
                   (i32.load offset=70000 (local.get 0)))))"
        )
    };
    let oracle = Oracle::new();
    oracle.valid(&text(1_000_002, 2_000_002));
    assert_eq!(
        oracle.valid(&text(1_500_002, 2_500_002)).functions.compiled,
        0
    );
    for (a, b) in [
        (1_000_002, 1_000_002),
        (100_000, 2_000_002),
        (70_000, 2_000_002),
    ] {
        assert_eq!(oracle.valid(&text(a, b)).functions.compiled, 1, "{a} {b}");
    }
    // Whatever was found out, what fits is found.
    assert_eq!(
        oracle.valid(&text(1_500_006, 2_500_006)).functions.compiled,
        0
    );
}

/// The compiler makes numbers of literals, without a source location of their own; an address
/// that is such a number would share it.
#[test]
fn addresses_that_the_compiler_makes_of_literals_are_literal() {
    // Loads make room in the compiler's tables: where one grows, a function has no slots.
    let loads = "(drop (i32.load (local.get $x)))".repeat(12);
    let text = |number: &str, address: u32| {
        format!(
            "(module (memory 64) (data (i32.const 2000) \"x\") (func $f (param i32))
               (func (param $x i32) (param $y i32) (param $w i64) {loads}
                 (i32.store (i32.const 16) {number})
                 (call $f (i32.const {address}))))"
        )
    };
    let expressions = [
        // On the way to a remainder of constants.
        ("(i32.rem_s (i32.const 558105) (i32.const 1024))", 558_080),
        ("(i32.rem_s (i32.const 558105) (i32.const 1000))", 558_000),
        // Two literals become one.
        (
            "(i32.or (i32.or (local.get $x) (i32.const 0x592)) (i32.const 0x80000))",
            0x80592,
        ),
        (
            "(i32.and (i32.and (local.get $x) (i32.const 0xff592)) (i32.const 0x80fff))",
            0x80592,
        ),
        (
            "(i32.xor (i32.xor (local.get $x) (i32.const 0x7f592)) (i32.const 0xff000))",
            0x80592,
        ),
        (
            "(i32.mul (i32.mul (local.get $x) (i32.const 5003)) (i32.const 101))",
            505_303,
        ),
        (
            "(i32.add (i32.add (local.get $x) (i32.const 300001)) (i32.const 258079))",
            558_080,
        ),
        (
            "(i32.sub (i32.const 300001) (i32.add (local.get $x) (i32.const -258079)))",
            558_080,
        ),
        (
            "(i32.eq (i32.add (local.get $x) (i32.const -8)) (i32.const 558072))",
            558_080,
        ),
        (
            "(i32.eq (i32.mul (local.get $x) (i32.const 3)) (i32.const 1674240))",
            558_080,
        ),
        // So do those of two operands.
        (
            "(i32.and (i32.and (local.get $x) (i32.const 0xff592))
               (i32.and (local.get $y) (i32.const 0x80fff)))",
            0x80592,
        ),
        (
            "(i32.add (i32.add (local.get $x) (i32.const 300001))
               (i32.add (local.get $y) (i32.const 258079)))",
            558_080,
        ),
        (
            "(i32.add (select (i32.const 300001) (i32.const 5) (local.get $x))
               (i32.const 258079))",
            558_080,
        ),
        // Shifts there and back are a mask.
        (
            "(i32.and (i32.shl (i32.shr_u (local.get $x) (i32.const 8)) (i32.const 8))
               (i32.const 0x805ff))",
            0x80500,
        ),
        // What divides by a constant.
        ("(i32.div_u (local.get $x) (i32.const 8191))", 1_048_704),
        ("(i32.rem_u (local.get $x) (i32.const 641))", 6_700_417 / 2),
        // Zero, but the compiler has to find that out.
        (
            "(i32.or (i32.add (i32.xor (local.get $x) (local.get $x)) (i32.const 0x80502))
               (i32.const 0x80090))",
            0x80592,
        ),
    ];
    let oracle = Oracle::new();
    for (number, address) in expressions {
        oracle.valid(&text(number, 1_500_002));
        let report = oracle.valid(&text(number, 2_500_002));
        assert_eq!(compiled(&report), (0, 1), "{number}");
        for address in [address, address - 1, address + 1] {
            oracle.valid(&text(number, address));
        }
    }
}

/// The primitives, by hand.
#[test]
fn a_stencil_with_slots_is_applied_to_other_addresses() {
    let compiler = Compiler::new(&Engine::default(), MemoryStore::new());
    let [first, second] =
        [1_048_600, 2_000_000].map(|first| wat::parse_str(program(first)).unwrap());
    let (first, second) = (
        compiler.functions(&first).unwrap(),
        compiler.functions(&second).unwrap(),
    );
    let (stencil, parameters) = first.split_addresses(1).unwrap();
    let (other, others) = second.split_addresses(1).unwrap();
    assert_eq!(stencil, other);
    assert_eq!(
        parameters.addresses()[0] + (2_000_000 - 1_048_600),
        others.addresses()[0]
    );
    assert_ne!(first.split(1).unwrap().0, second.split(1).unwrap().0);
    let code = first.compile(1, &parameters).unwrap();
    let applied = code.apply(&others).unwrap();
    let (_, plain) = second.split(1).unwrap();
    let expected = second.compile(1, &plain).unwrap();
    assert_eq!(applied.code(), expected.code());
    assert!(code.apply(&plain).is_err());
}
