//! Places as parameters: functions that reach something in the instance are found when it lies
//! elsewhere there.

use ibid::{Compiler, MemoryStore};
use ibid_campaign::Oracle;
use std::fmt::Write as _;
use wasmtime::{Config, Engine, Func, Global, Instance, Linker, Module, Store, Val};

/// A program behind `more` imported functions. All that it names lies behind those.
fn program(more: usize) -> String {
    let mut text = String::from("(module");
    for number in 0..more {
        write!(text, "(import \"pad\" \"{number}\" (func))").unwrap();
    }
    text.push_str(
        "(import \"m\" \"twice\" (func $twice (param i32) (result i32)))
         (import \"m\" \"count\" (global $imported (mut i32)))
         (type $unary (func (param i32) (result i32)))
         (memory 1) (table $t 4 funcref) (elem (i32.const 1) $add $next)
         (global $own (mut i32) (i32.const 100)) (global $wide (mut v128) (v128.const i32x4 1 2 3 4))
         (func $add (type $unary) (i32.add (local.get 0) (global.get $own)))
         (func $next (export \"next\") (type $unary)
           (global.set $own (i32.add (global.get $own) (i32.const 1)))
           (global.set $imported (i32.add (global.get $imported) (local.get 0)))
           (call $add (call $twice (local.get 0))))
         (func (export \"indirect\") (param i32 i32) (result i32)
           (call_indirect (type $unary) (local.get 0) (local.get 1)))
         (func (export \"tail\") (param i32) (result i32) (return_call $twice (local.get 0)))
         (func (export \"lane\") (result i32)
           (global.set $wide (i32x4.add (global.get $wide) (global.get $wide)))
           (i32x4.extract_lane 3 (global.get $wide)))
         (func (export \"size\") (result i32) (table.size $t)))",
    );
    text
}

#[test]
fn functions_are_found_whatever_is_imported_before() {
    let oracle = Oracle::new();
    assert_eq!(oracle.valid(&program(6)).functions.compiled, 6);
    for more in [7, 5, 60, 3000, 6] {
        let report = oracle.valid(&program(more));
        assert_eq!(report.functions.compiled, 0, "{more}");
        assert_eq!(report.functions.total, 6);
    }
}

/// Small offsets are encoded in one byte.
#[test]
fn functions_whose_places_are_near_are_compiled() {
    let oracle = Oracle::new();
    oracle.valid(&program(6));
    for more in [0, 1] {
        assert_ne!(oracle.valid(&program(more)).functions.compiled, 0, "{more}");
    }
}

#[test]
fn they_reach_what_they_name() {
    let engine = Engine::default();
    let compiler = Compiler::new(&engine, MemoryStore::new());
    for more in [9, 4, 300] {
        let compilation = compiler.compile(program(more).as_bytes()).unwrap();
        // SAFETY: these are the bytes of an artifact that was just made.
        let module = unsafe { Module::deserialize(&engine, compilation.artifact()) }.unwrap();
        compilation.store();
        let mut store = Store::new(&engine, ());
        let mut linker = Linker::new(&engine);
        for number in 0..more {
            let pad = Func::wrap(&mut store, || -> () { panic!("never called") });
            linker
                .define(&store, "pad", &number.to_string(), pad)
                .unwrap();
        }
        linker.func_wrap("m", "twice", |x: i32| 2 * x).unwrap();
        let count = wasmtime::GlobalType::new(wasmtime::ValType::I32, wasmtime::Mutability::Var);
        let count = Global::new(&mut store, count, Val::I32(7)).unwrap();
        linker.define(&store, "m", "count", count).unwrap();
        let instance = linker.instantiate(&mut store, &module).unwrap();
        let mut call = |name: &str, arguments: &[i32]| call(&mut store, &instance, name, arguments);
        assert_eq!(call("next", &[5]), 111);
        assert_eq!(call("indirect", &[1, 1]), 102);
        assert_eq!(call("indirect", &[10, 2]), 122);
        assert_eq!(call("tail", &[21]), 42);
        assert_eq!([call("lane", &[]), call("lane", &[])], [8, 16]);
        assert_eq!(call("size", &[]), 4);
        assert_eq!(count.get(&mut store).i32(), Some(7 + 5 + 10));
    }
}

fn call(store: &mut Store<()>, instance: &Instance, name: &str, arguments: &[i32]) -> i32 {
    let function = instance.get_func(&mut *store, name).unwrap();
    let arguments: Vec<Val> = arguments.iter().copied().map(Val::I32).collect();
    let mut results = [Val::I32(0)];
    function.call(store, &arguments, &mut results).unwrap();
    results[0].unwrap_i32()
}

/// Numbers of the program that are what stands for a place while it is compiled.
#[test]
fn numbers_of_the_program_are_not_taken_for_places() {
    let text = |more: usize| {
        let mut text = String::from("(module");
        for _ in 0..more {
            text.push_str("(import \"\" \"\" (func))");
        }
        text.push_str("(memory 64 64) (global $g (mut i32) (i32.const 0))");
        for number in (2_200..2_500).step_by(8) {
            write!(
                text,
                "(func (param i32 i32 i64) (result i32)
                   (i32.store offset={number} (local.get 0) (i32.const {number}))
                   (i64.store offset={number} (i32.const 8) (i64.const {number}))
                   (global.set $g (i32.add (local.get 1) (i32.const {number})))
                   (i64.store (i32.const {number}) (i64.add (local.get 2) (i64.const {number})))
                   (i32.add (i32.load offset={number} (local.get 1)) (global.get $g)))"
            )
            .unwrap();
        }
        text.push(')');
        text
    };
    let oracle = Oracle::new();
    for more in [6, 7, 40, 41] {
        oracle.valid(&text(more));
    }
}

/// A frame so large that distances in it are also what stands for a place.
#[test]
fn large_frames_are_not_taken_for_the_instance() {
    let text = |more: usize| {
        let pads = "(import \"\" \"\" (func))".repeat(more);
        let mut body = String::new();
        let mut sum = String::from("(global.get $g)");
        for number in 0..600 {
            write!(body, "(local ${number} i64)").unwrap();
        }
        for number in 0..600 {
            write!(body, "(local.set ${number} (call $next (local.get 0)))").unwrap();
            sum = format!("(i64.xor (i64.mul {sum} (i64.const 3)) (local.get ${number}))");
        }
        format!(
            "(module {pads} (import \"\" \"next\" (func $next (param i64) (result i64)))
               (global $g (mut i64) (i64.const 0))
               (func (param i64) (result i64) {body} (global.set $g (i64.const 1)) {sum}))"
        )
    };
    let oracle = Oracle::new();
    assert_eq!(oracle.valid(&text(6)).functions.compiled, 1);
    for more in [7, 70] {
        assert_eq!(oracle.valid(&text(more)).functions.compiled, 0, "{more}");
    }
}

/// Additions of numbers of 32 bits are none to the instance.
#[test]
fn additions_are_not_taken_for_places() {
    let text = |more: usize| {
        let pads = "(import \"\" \"\" (func))".repeat(more);
        let mut text = format!("(module {pads} (global $g (mut i32) (i32.const 0))");
        for number in (2_200..2_500).step_by(8) {
            write!(
                text,
                "(func (param i32) (result i32)
                   (global.set $g (i32.const 1)) (i32.add (local.get 0) (i32.const {number})))"
            )
            .unwrap();
        }
        text.push(')');
        text
    };
    let oracle = Oracle::new();
    oracle.valid(&text(6));
    for more in [7, 70] {
        assert_eq!(oracle.valid(&text(more)).functions.compiled, 0, "{more}");
    }
}

/// A function that is compiled otherwise for some places of its imported global, with `more`
/// imports before that.
fn depending(more: usize) -> String {
    let pads = "(import \"\" \"\" (func (type 0)))".repeat(more);
    include_str!("data/place.wat").replace("PADS", &pads)
}

/// Found by the campaign: of 41 places of an imported global, the code is another one for two.
#[test]
fn code_may_depend_on_places() {
    let oracle = Oracle::new();
    for more in [9, 10, 44, 45, 9] {
        oracle.valid(&depending(more));
    }
}

/// The reason is that a table of Cranelift's grows, and that is noticed. By hand it is an error;
/// otherwise the function is compiled without slots.
#[test]
fn code_that_may_depend_on_places_has_no_slots() {
    let compiler = Compiler::new(&Engine::default(), MemoryStore::new());
    let wasm = wat::parse_str(depending(9)).unwrap();
    let functions = compiler.functions(&wasm).unwrap();
    let index = functions.indices().last().unwrap();
    let (_, parameters) = functions.split_addresses(index).unwrap();
    let error = functions.compile(index, &parameters).unwrap_err();
    assert!(error.to_string().contains("by chance"), "{error}");
    let (_, parameters) = functions.split(index).unwrap();
    functions.compile(index, &parameters).unwrap();
}

/// What cannot move is compiled again: its index or its offset is a number in the code.
#[test]
fn what_has_numbers_in_the_code_is_compiled() {
    let text = |more: usize| {
        let pads = "(import \"\" \"\" (func))".repeat(more);
        format!(
            "(module {pads} (memory 1) (data $d \"data\") (table $t 1 externref)
               (global $r (mut externref) (ref.null extern)) (global $g (mut i32) (i32.const 0))
               (tag $e) (func $f) (elem declare func $f)
               (func (result funcref) (global.set $g (i32.const 1)) (ref.func $f))
               (func (param externref) (global.set $r (local.get 0)))
               (func (param i32) (memory.init $d (local.get 0) (global.get $g) (i32.const 1)))
               (func (global.set $g (i32.const 2)) (throw $e))
               (func (param externref) (table.set $t (i32.const 0) (local.get 0))))"
        )
    };
    let mut config = Config::new();
    config.wasm_exceptions(true);
    let oracle = Oracle::with(&config);
    for more in [6, 7, 8] {
        oracle.valid(&text(more));
    }
}

/// Calls with exception handlers: the code of a handler is reached from calls.
#[test]
fn handlers_reach_what_they_name() {
    let text = |more: usize| {
        let pads = "(import \"\" \"\" (func))".repeat(more);
        format!(
            "(module {pads} (import \"\" \"f\" (func $f (param i32)))
               (global $g (mut i32) (i32.const 0))
               (func (param i32) (result i32)
                 (block
                   (try_table (catch_all 0) (call $f (local.get 0)) (global.set $g (i32.const 1)))
                   (return (global.get $g)))
                 (call $f (global.get $g)) (global.get $g)))"
        )
    };
    let mut config = Config::new();
    config.wasm_exceptions(true);
    let oracle = Oracle::with(&config);
    for more in [6, 7, 8] {
        oracle.valid(&text(more));
    }
}

/// With AVX-512 a displacement that is a multiple of the operand's size may have a short form.
#[test]
fn places_in_scaled_displacements_are_compiled() {
    let mut config = Config::new();
    config.target("x86_64-unknown-linux-gnu").unwrap();
    // SAFETY: the code is not run.
    unsafe {
        for flag in [
            "has_sse3",
            "has_ssse3",
            "has_sse41",
            "has_sse42",
            "has_popcnt",
            "has_avx",
            "has_avx2",
            "has_avx512f",
            "has_avx512vl",
            "has_avx512dq",
            "has_avx512bitalg",
        ] {
            config.cranelift_flag_enable(flag);
        }
    }
    let text = |more: usize| {
        let pads = "(import \"\" \"\" (func))".repeat(more);
        format!(
            "(module {pads} (global $g (mut v128) (v128.const i32x4 1 2 3 4))
               (func (result v128) (i64x2.abs (global.get $g)))
               (func (param v128) (result v128) (i64x2.mul (local.get 0) (global.get $g)))
               (func (result v128) (i8x16.popcnt (global.get $g))))"
        )
    };
    let oracle = Oracle::with(&config);
    for more in [6, 7, 40, 41, 70, 71, 6] {
        oracle.valid(&text(more));
    }
}
