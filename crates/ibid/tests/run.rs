//! What ibid compiles runs: from a cold store and from a warm one.

mod common;

use common::Oracle;
use wasmtime::{Config, Engine, Error, Instance, Module, Store, Trap, WasmBacktrace};

/// Compiles `text` twice, so that the second module comes from the store, and hands
/// both to `f`.
fn cold_and_warm(config: &Config, text: &str, f: impl Fn(&Engine, &Module)) {
    let oracle = Oracle::with(config);
    let wasm = wat::parse_str(text).unwrap();
    f(
        &oracle.engine,
        &oracle.compiler.compile_module(&wasm).unwrap(),
    );
    let warm = oracle.check(&wasm).unwrap();
    assert_eq!(warm.functions.compiled, 0);
    f(
        &oracle.engine,
        &oracle.compiler.compile_module(&wasm).unwrap(),
    );
}

#[test]
fn exports_are_called() {
    let text = r#"(module
      (memory (export "memory") 1)
      (data (i32.const 8) "\2a\00\00\00")
      (global $calls (export "calls") (mut i32) (i32.const 0))
      (table 2 funcref) (elem (i32.const 0) $double $square)
      (func $double (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2)))
      (func $square (param i32) (result i32) (i32.mul (local.get 0) (local.get 0)))
      (func (export "answer") (result i32)
        (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
        (i32.load (i32.const 8)))
      (func (export "apply") (param i32 i32) (result i32)
        (call_indirect (param i32) (result i32) (local.get 1) (local.get 0)))
      (func $fibonacci (export "fibonacci") (param i32) (result i32)
        (if (result i32) (i32.lt_s (local.get 0) (i32.const 2))
          (then (local.get 0))
          (else (i32.add
            (call $fibonacci (i32.sub (local.get 0) (i32.const 1)))
            (call $fibonacci (i32.sub (local.get 0) (i32.const 2))))))))"#;
    cold_and_warm(&Config::new(), text, |engine, module| {
        let mut store = Store::new(engine, ());
        let instance = Instance::new(&mut store, module, &[]).unwrap();
        let answer = instance
            .get_typed_func::<(), i32>(&mut store, "answer")
            .unwrap();
        assert_eq!(answer.call(&mut store, ()).unwrap(), 42);
        let apply = instance
            .get_typed_func::<(i32, i32), i32>(&mut store, "apply")
            .unwrap();
        assert_eq!(apply.call(&mut store, (0, 21)).unwrap(), 42);
        assert_eq!(apply.call(&mut store, (1, 7)).unwrap(), 49);
        let fibonacci = instance
            .get_typed_func::<i32, i32>(&mut store, "fibonacci")
            .unwrap();
        assert_eq!(fibonacci.call(&mut store, 20).unwrap(), 6765);
        let calls = instance.get_global(&mut store, "calls").unwrap();
        assert_eq!(calls.get(&mut store).i32(), Some(1));
    });
}

#[test]
fn host_functions_are_called() {
    let text = r#"(module
      (import "host" "add" (func $add (param i32 i64) (result i64)))
      (func (export "go") (param i32) (result i64) (call $add (local.get 0) (i64.const 40))))"#;
    cold_and_warm(&Config::new(), text, |engine, module| {
        let mut store = Store::new(engine, ());
        let add = wasmtime::Func::wrap(&mut store, |a: i32, b: i64| i64::from(a) + b);
        let instance = Instance::new(&mut store, module, &[add.into()]).unwrap();
        let go = instance
            .get_typed_func::<i32, i64>(&mut store, "go")
            .unwrap();
        assert_eq!(go.call(&mut store, 2).unwrap(), 42);
    });
}

/// A trap deep in calls, with names and offsets that depend on what is in front.
fn trapping(in_front: &str) -> String {
    format!(
        r#"(module $named {in_front}
          (func $divide (param i32) (result i32) (i32.div_u (i32.const 1) (local.get 0)))
          (func $middle (param i32) (result i32)
            (i32.add (i32.const 5) (call $divide (local.get 0))))
          (func $outer (export "outer") (param i32) (result i32) (call $middle (local.get 0))))"#
    )
}

fn backtrace(engine: &Engine, module: &Module) -> Vec<(String, Option<usize>, Option<usize>)> {
    let mut store = Store::new(engine, ());
    let instance = Instance::new(&mut store, module, &[]).unwrap();
    let outer = instance
        .get_typed_func::<i32, i32>(&mut store, "outer")
        .unwrap();
    let error: Error = outer.call(&mut store, 0).unwrap_err();
    assert_eq!(
        error.downcast_ref::<Trap>(),
        Some(&Trap::IntegerDivisionByZero)
    );
    let trace = error
        .downcast_ref::<WasmBacktrace>()
        .expect("a trap has a backtrace");
    trace
        .frames()
        .iter()
        .map(|frame| {
            let name = frame.func_name().expect("the module has names").to_string();
            (name, frame.module_offset(), frame.func_offset())
        })
        .collect()
}

#[test]
fn a_trap_has_the_right_backtrace() {
    let engine = Engine::default();
    cold_and_warm(&Config::new(), &trapping(""), |ours, module| {
        let plain = Module::new(&engine, trapping("")).unwrap();
        let trace = backtrace(ours, module);
        assert_eq!(trace, backtrace(&engine, &plain));
        assert_eq!(
            trace
                .iter()
                .map(|(name, ..)| name.as_str())
                .collect::<Vec<_>>(),
            ["divide", "middle", "outer"]
        );
    });
}

#[test]
fn a_reused_function_reports_the_offsets_of_the_module_that_it_is_in() {
    let oracle = Oracle::new();
    oracle.valid(&trapping(""));
    // The same functions, all in another place, and with indices of another width.
    let in_front = "(func (result i32) (i32.const 9))".repeat(300);
    let text = trapping(&in_front);
    let report = oracle.valid(&text);
    assert_eq!(
        report.functions.compiled, 1,
        "only what is in front: {report:?}"
    );
    let module = oracle.compiler.compile_module(text.as_bytes()).unwrap();
    let plain = Module::new(&oracle.engine, &text).unwrap();
    assert_eq!(
        backtrace(&oracle.engine, &module),
        backtrace(&oracle.engine, &plain)
    );
}

#[test]
fn an_exception_is_thrown_and_caught() {
    let mut config = Config::new();
    config.wasm_exceptions(true);
    let text = r#"(module
      (tag $oops (param i32 i64))
      (tag $other)
      (func $throw (param i32)
        (if (local.get 0) (then (throw $oops (local.get 0) (i64.const 2))))
        (throw $other))
      (func (export "catch") (param i32) (result i32)
        (block $caught (result i32 i64)
          (block $rest
            (try_table (catch $oops $caught) (catch_all $rest)
              (call $throw (local.get 0)))
            (unreachable))
          (return (i32.const -1)))
        (drop)))"#;
    cold_and_warm(&config, text, |engine, module| {
        let mut store = Store::new(engine, ());
        let instance = Instance::new(&mut store, module, &[]).unwrap();
        let catch = instance
            .get_typed_func::<i32, i32>(&mut store, "catch")
            .unwrap();
        assert_eq!(catch.call(&mut store, 42).unwrap(), 42);
        assert_eq!(catch.call(&mut store, 0).unwrap(), -1);
    });
}

#[test]
fn garbage_is_collected_around_reused_code() {
    let mut config = Config::new();
    config.wasm_gc(true).wasm_function_references(true);
    let text = r#"(module
      (type $list (struct (field i32) (field (ref null $list))))
      (func $build (param i32) (result (ref null $list))
        (local $head (ref null $list))
        (loop $more
          (local.set $head (struct.new $list (local.get 0) (local.get $head)))
          (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
          (br_if $more (local.get 0)))
        (local.get $head))
      (func (export "sum") (param i32) (result i32)
        (local $list (ref null $list)) (local $sum i32)
        (local.set $list (call $build (local.get 0)))
        (block $done
          (loop $more
            (br_if $done (ref.is_null (local.get $list)))
            (local.set $sum (i32.add (local.get $sum) (struct.get $list 0 (local.get $list))))
            (local.set $list (struct.get $list 1 (local.get $list)))
            (br $more)))
        (local.get $sum)))"#;
    cold_and_warm(&config, text, |engine, module| {
        let mut store = Store::new(engine, ());
        let instance = Instance::new(&mut store, module, &[]).unwrap();
        let sum = instance
            .get_typed_func::<i32, i32>(&mut store, "sum")
            .unwrap();
        for _ in 0..50 {
            assert_eq!(sum.call(&mut store, 1000).unwrap(), 500_500);
        }
    });
}
