//! What is said of functions that are found or lost is what a compile does.

mod common;

use common::RICH;
use ibid::{Cause, CauseShare, Compiler, Explanation, MemoryStore, Options};
use std::sync::Arc;
use wasmtime::{Config, Engine, Strategy};

fn compiler() -> Compiler {
    let engine = Engine::new(Config::new().wasm_exceptions(true)).unwrap();
    let store = Arc::new(MemoryStore::new());
    Compiler::with_options(&engine, store, Options::default())
}

/// Explains `new` beside `old` over a store that knows `old`; that is what a compile does.
#[track_caller]
fn explained(old: &str, new: &str) -> Explanation {
    let compiler = compiler();
    let _ = compiler.compile(old.as_bytes()).unwrap().store();
    let explanation = compiler.explain(old.as_bytes(), new.as_bytes()).unwrap();
    let report = compiler.compile(new.as_bytes()).unwrap();
    let functions = report.report().functions;
    let counted = |cause| {
        let of = |share: &&CauseShare| share.cause == cause;
        let share = explanation.causes.iter().find(of);
        share.map_or(0, |share| share.share.functions)
    };
    assert_eq!(explanation.total.functions, functions.total);
    assert_eq!(explanation.lost.functions, functions.compiled);
    if !report.report().whole_artifact {
        assert_eq!(counted(Cause::Duplicate), functions.duplicates);
        assert_eq!(counted(Cause::SameBody), functions.exact_body);
    }
    explanation
}

#[test]
fn of_a_module_beside_itself_all_is_found() {
    let explanation = explained(RICH, RICH);
    let causes = &explanation.causes;
    assert!(causes.iter().all(|share| share.cause == Cause::SameBody));
    assert_eq!(explanation.found, explanation.total);
    assert_eq!(explanation.removed, 0);
}

#[test]
fn more_of_everything_before_a_rich_module_has_a_cause_for_each_function() {
    for more in [
        "(type (func (param i64 i64 i64)))",
        "(import \"more\" \"function\" (func))",
        "(import \"more\" \"global\" (global i32))",
        "(import \"more\" \"table\" (table 1 funcref))",
        "(import \"more\" \"memory\" (memory 1))",
    ] {
        let new = RICH.replacen("(module", &format!("(module {more}"), 1);
        let explanation = explained(RICH, &new);
        for function in &explanation.functions {
            let other = [Cause::Other, Cause::New, Cause::Body, Cause::Encoding];
            assert!(!other.contains(&function.cause), "{more}: {function:?}");
            assert!(!function.is_lost || !function.changes.is_empty());
        }
    }
}

#[test]
fn what_cannot_be_explained_is_an_error() {
    let module = b"(module (func))";
    let error = |compiler: &Compiler, old: &[u8], new: &[u8]| {
        format!("{:#}", compiler.explain(old, new).unwrap_err())
    };
    let compiler = compiler();
    let message = error(&compiler, module, b"(component)");
    assert!(message.contains("second input is a component"), "{message}");
    let message = error(&compiler, b"(component)", module);
    assert!(
        message.contains("wasm-tools component unbundle"),
        "{message}"
    );
    error(&compiler, b"(module", module);
    error(&compiler, module, b"\0asm\x01\0\0\0\x01");

    let engine = Engine::new(Config::new().strategy(Strategy::Winch)).unwrap();
    let plain = Compiler::new(&engine, MemoryStore::new());
    assert!(error(&plain, module, module).contains("Winch"));
}

#[test]
fn a_body_that_cannot_be_split_has_no_cause_but_that() {
    // It calls a function that is not there, which only compiling refuses.
    let wasm = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x0a\x06\x01\x04\0\x10\x09\x0b";
    let explanation = compiler().explain(wasm, wasm).unwrap();
    assert_eq!(explanation.functions[0].cause, Cause::Uncovered);
    assert!(explanation.functions[0].is_lost);
}

#[test]
fn without_the_code_it_is_not_sure_that_addresses_go_into_it() {
    let module = |address: u32| {
        format!(
            "(module (memory 1) (data (i32.const 1024) \"a\")
               (func (export \"f\") (param i32) (result i32)
                 (i32.load (i32.add (local.get 0) (i32.const {address})))))"
        )
    };
    let (old, new) = (module(5130), module(5210));
    let explanation = explained(&old, &new);
    assert_eq!(explanation.functions[0].cause, Cause::AddressesMoved);
    assert_eq!(explanation.unsure.functions, 0);
    let explanation = compiler().explain(old.as_bytes(), new.as_bytes()).unwrap();
    assert_eq!(explanation.functions[0].cause, Cause::AddressesMoved);
    assert_eq!(explanation.unsure, explanation.total);
    // Where the numbers are the same, it is known.
    let explanation = compiler().explain(old.as_bytes(), old.as_bytes()).unwrap();
    assert_eq!(explanation.unsure.functions, 0);
}
