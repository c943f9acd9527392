//! What is found after a change, and what is not.

mod common;

use common::{Oracle, RICH, compiled};
use ibid::{MemoryStore, Options};
use std::sync::Arc;
use wasmtime::Engine;

/// Compiles `before`, then says how many functions and trampolines `after` needs
/// compiled.
#[track_caller]
fn after(before: &str, after: &str) -> (u64, u64) {
    let oracle = Oracle::new();
    oracle.valid(before);
    compiled(&oracle.valid(after))
}

/// A module of a few functions that call each other, with parts to be filled in.
fn module(first: &str, functions: &str, last: &str) -> String {
    format!(
        r#"(module
          (type $binary (func (param i32 i32) (result i32)))
          (import "env" "log" (func $log (param i32)))
          {first}
          (memory $m (export "memory") 1)
          (table $t 2 funcref)
          (global $g (mut i32) (i32.const 0))
          (func $add (type $binary) (i32.add (local.get 0) (local.get 1)))
          {functions}
          (func $load (param i32) (result i32) (i32.load offset=4 (local.get 0)))
          (func $all (export "all") (param i32) (result i32)
            (call $log (local.get 0))
            (global.set $g (call $add (call $load (local.get 0)) (global.get $g)))
            (call_indirect $t (type $binary) (local.get 0) (local.get 0) (i32.const 0)))
          {last})"#
    )
}

#[test]
fn a_function_in_front_compiles_one() {
    let inserted = r#"(func $new (param i64) (result i64) (i64.mul (local.get 0) (i64.const 77)))"#;
    let before = module("", "", "");
    let behind = before.replacen("(func $add", &format!("{inserted} (func $add"), 1);
    // The new function's type comes with a wasm-to-array trampoline of its own.
    assert_eq!(after(&before, &behind).0, 1);

    let before = RICH.to_string();
    let front = RICH.replacen(
        "(func $main",
        "(func $new (param i32) (result i32) (i32.mul (local.get 0) (i32.const 77))) (func $main",
        1,
    );
    let oracle = Oracle::new();
    oracle.valid(&before);
    let report = oracle.valid(&front);
    // `ref.func` holds a function's index in its code, and so does the startup
    // function, which fills the tables.
    assert_eq!(compiled(&report), (2, 1), "{report:?}");
}

#[test]
fn an_edited_function_compiles_one() {
    let before = module("", "", "");
    let edited = before.replace("offset=4", "offset=8");
    assert_eq!(after(&before, &edited), (1, 0));
}

#[test]
fn a_removed_or_moved_function_compiles_none() {
    let extra = "(func $extra (param i32) (result i32) (local.get 0))";
    let with = module("", extra, "");
    let without = module("", "", "");
    assert_eq!(after(&with, &without), (0, 0));
    assert_eq!(after(&with, &module("", "", extra)), (0, 0));
}

#[test]
fn many_functions_in_front_widen_indices_and_compile_none_of_the_rest() {
    let before = module("", "", "");
    // Enough that a callee's index takes two bytes where it took one.
    let many = "(func (result i32) (i32.const 5))".repeat(200);
    let after_many = before.replacen("(func $add", &format!("{many} (func $add"), 1);
    let oracle = Oracle::new();
    oracle.valid(&before);
    let report = oracle.valid(&after_many);
    assert_eq!(report.functions.compiled, 1, "{report:?}");
    assert_eq!(report.functions.duplicates, 199);
    // And back: the address map is right in both directions.
    assert_eq!(compiled(&oracle.valid(&before)), (0, 0));
}

#[test]
fn a_data_segment_an_export_or_a_name_compiles_none() {
    let before = module("", "", "");
    let changes = [
        "(data (i32.const 100) \"new data\")",
        "(export \"load\" (func $load))",
        "(export \"add\" (func $add)) (data (i32.const 0) \"x\")",
        "(@custom \"note\" \"text\")",
        "(func (export \"log\") (param i32) (call $log (local.get 0)))",
    ];
    for change in changes {
        let oracle = Oracle::new();
        oracle.valid(&before);
        let report = oracle.valid(&module("", "", change));
        let added = u64::from(change.contains("(func (export"));
        assert_eq!(report.functions.compiled, added, "{change}: {report:?}");
    }
    let renamed = before.replace("$add", "$sum").replace("$load", "$fetch");
    assert_eq!(after(&before, &renamed), (0, 0));
}

#[test]
fn a_type_or_a_global_loses_only_what_can_tell() {
    let before = module("", "", "");
    // A type behind the others changes no number that code holds.
    assert_eq!(
        after(&before, &module("", "", "(type (func (param f64)))")).0,
        0
    );
    // A type in front moves the number of `$binary`, which is in the code of the
    // indirect call in `$all`.
    let typed = before.replacen(
        "(type $binary",
        "(type (func (param f64))) (type $binary",
        1,
    );
    assert_eq!(after(&before, &typed).0, 1);
    // A global behind the others moves nothing; an imported one moves every offset in
    // the instance behind the imported globals.
    assert_eq!(
        after(&before, &module("", "", "(global i32 (i32.const 1))")).0,
        0
    );
    let (functions, _) = after(
        &before,
        &module("(import \"env\" \"g\" (global i32))", "", ""),
    );
    assert_eq!(
        functions, 1,
        "`$all` reads the global; memories lie before the imports"
    );
}

#[test]
fn an_import_loses_only_what_reads_the_instance_behind_it() {
    let before = module("", "", "");
    let (functions, _) = after(
        &before,
        &module("(import \"env\" \"more\" (func (param i64)))", "", ""),
    );
    assert_eq!(
        functions, 1,
        "`$all` calls an import; `$add` and `$load` read nothing behind one"
    );
}

#[test]
fn duplicates_inside_a_module_are_compiled_once() {
    let copies =
        "(func (param i32) (result i32) (i32.xor (local.get 0) (i32.const 99)))".repeat(50);
    let oracle = Oracle::new();
    let report = oracle.valid(&format!("(module {copies})"));
    assert_eq!(
        (report.functions.compiled, report.functions.duplicates),
        (1, 49)
    );
    // Callees are parameters, so functions that differ in nothing else are duplicates.
    let report = oracle.valid(
        "(module (func $a (nop)) (func $b (nop) (nop)) (func (call $a)) (func (call $b)) (func (call $a) (call $b)) (func (call $b) (call $a)))",
    );
    assert_eq!(
        (report.functions.compiled, report.functions.duplicates),
        (4, 2),
        "{report:?}"
    );
}

#[test]
fn cranelifts_own_cache_is_asked_when_the_stencil_is_new_if_wanted() {
    let mut options = Options::default();
    options.clif = true;
    let oracle = Oracle::of(&Engine::default(), Arc::new(MemoryStore::new()), options);
    // The same code from other bytes: a block's type by its number instead of itself.
    let mut wasm =
        wat::parse_str("(module (func (result i32) (block (result i32) (i32.const 1))))").unwrap();
    oracle.check(&wasm).expect("the module is valid");
    let at = wasm
        .windows(2)
        .position(|pair| pair == [0x02, 0x7f])
        .unwrap();
    wasm[at + 1] = 0;
    let report = oracle.check(&wasm).expect("the module is valid");
    assert_eq!(
        (report.functions.compiled, report.functions.clif),
        (0, 1),
        "{report:?}"
    );
}
