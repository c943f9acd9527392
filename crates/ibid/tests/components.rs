//! Components: every artifact is `Engine::precompile_component`'s, and what a component is made
//! of is found wherever it was seen before.

mod common;

use ibid::{Compiler, MemoryStore, Options, Report};
use ibid_campaign::{Oracle, message};
use ibid_components::{command, composed, of_world, reactor};
use std::sync::Arc;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{CodeBuilder, Config, Engine, Store};
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxView, WasiView};

/// Says its arguments and what is in a file, as a program for WASI preview 1.
const PROGRAM: &str = r#"(module
  (import "wasi_snapshot_preview1" "args_sizes_get"
    (func $args_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read"
    (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (data (i32.const 1024) "file.txt")
  (global $end (mut i32) (i32.const 4096))
  (func $say (param $from i32) (param $length i32)
    (i32.store (i32.const 0) (local.get $from))
    (i32.store (i32.const 4) (local.get $length))
    (call $ok (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))
  (func $ok (param i32) (if (local.get 0) (then unreachable)))
  (func $arguments
    (call $ok (call $args_sizes_get (i32.const 16) (i32.const 20)))
    (call $ok (call $args_get (i32.const 64) (i32.const 2048)))
    ;; With the zero behind each.
    (call $say (i32.const 2048) (i32.load (i32.const 20))))
  (func $file
    (call $ok (call $path_open (i32.const 3) (i32.const 0) (i32.const 1024) (i32.const 8)
      (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 24)))
    (i32.store (i32.const 32) (i32.const 3000))
    (i32.store (i32.const 36) (i32.const 100))
    (call $ok (call $fd_read (i32.load (i32.const 24)) (i32.const 32) (i32.const 1)
      (i32.const 40)))
    (call $say (i32.const 3000) (i32.load (i32.const 40))))
  (func (export "_start") (call $arguments) (call $file)))"#;

/// A library for WASI preview 1 that answers with a number.
const LIBRARY: &str = r#"(module
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func $helper (param i32) (result i32) (i32.add (local.get 0) (i32.const 40)))
  (func (export "test:test/numbers#answer") (param i32) (result i32)
    (drop (call $random (i32.const 8) (i32.const 4)))
    (call $helper (local.get 0))))"#;

/// A program that asks another component, and one that answers it.
const WORLDS: &str = "package test:test;
  interface numbers { answer: func(to: u32) -> u32; }
  interface words { shout: func(word: string) -> string; }
  world library { export numbers; }
  world asking { import numbers; export words; }";

const ASKING: &str = r#"(module
  (import "test:test/numbers" "answer" (func $answer (param i32) (result i32)))
  (memory (export "memory") 1)
  (global $free (mut i32) (i32.const 1024))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (local $at i32)
    (local.set $at (global.get $free))
    (global.set $free (i32.add (global.get $free) (local.get 3)))
    (local.get $at))
  (func (export "test:test/words#shout") (param $at i32) (param $length i32) (result i32)
    (i32.store8 (local.get $at) (call $answer (i32.const 2)))
    (i32.store (i32.const 16) (local.get $at))
    (i32.store (i32.const 20) (local.get $length))
    (i32.const 16)))"#;

/// Three core modules, two of them linked: several ways to call what is known at compile time,
/// a host's function, resources with and without destructors.
const LINKED: &str = r#"(component
  (import "host" (func $host (param "x" u32) (result u32)))
  (import "thing" (type $thing (sub resource)))
  (core module $first
    (memory (export "m") 1) (data (i32.const 8) "data of the first")
    (table (export "t") 4 funcref) (elem (i32.const 0) $f $g)
    (func $f (export "f") (export "same") (param i32) (result i32)
      (i32.load (i32.and (local.get 0) (i32.const 60))))
    (func $g (export "g") (param i32) (result i32) (i32.const 7))
    (func (export "gone") (param i32)))
  (core module $second
    (type $three (func (param i32 i32 i32)))
    (import "first" "f" (func $f (param i32) (result i32)))
    (import "first" "same" (func $same (param i32) (result i32)))
    (import "first" "g" (func $g (param i32) (result i32)))
    (import "host" "host" (func $host (param i32) (result i32)))
    (import "host" "drop" (func $drop (param i32)))
    (import "host" "drop-own" (func $drop-own (param i32)))
    (import "host" "new" (func $new (param i32) (result i32)))
    (memory 1) (data "passive") (data (i32.const 100) "data of the second")
    (global $count (mut i32) (i32.const 0))
    (func $tail (param i32) (result i32) (return_call $f (local.get 0)))
    (func $twice (param i32) (result i32)
      (i32.add (call $f (local.get 0)) (call $same (local.get 0))))
    (func $both (param i32) (result i32)
      (i32.add (call $f (local.get 0)) (call $g (local.get 0))))
    (func (export "run") (param i32) (result i32)
      (call $drop-own (call $new (i32.const 3)))
      (global.set $count (i32.add (global.get $count) (i32.const 1)))
      (memory.init 0 (i32.const 0) (i32.const 0) (i32.const 3))
      (i32.add (call $twice (local.get 0))
        (i32.add (call $both (call $host (i32.const 1))) (call $tail (local.get 0))))))
  (core module $unused (func (export "one") (result i64) (i64.const 1)))
  (core instance $first (instantiate $first))
  (type $own (resource (rep i32) (dtor (core func $first "gone"))))
  (core func $host (canon lower (func $host)))
  (core func $drop (canon resource.drop $thing))
  (core func $drop-own (canon resource.drop $own))
  (core func $new (canon resource.new $own))
  (core instance $hosted
    (export "host" (func $host)) (export "drop" (func $drop))
    (export "drop-own" (func $drop-own)) (export "new" (func $new)))
  (core instance $second (instantiate $second
    (with "first" (instance $first)) (with "host" (instance $hosted))))
  (func (export "run") (param "x" u32) (result u32) (canon lift (core func $second "run"))))"#;

fn wasm(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|error| panic!("{error}"))
}

fn program() -> Vec<u8> {
    command(&wasm(PROGRAM)).unwrap()
}

fn library() -> Vec<u8> {
    reactor(&of_world(&wasm(LIBRARY), WORLDS, "library").unwrap()).unwrap()
}

fn asking() -> Vec<u8> {
    reactor(&of_world(&wasm(ASKING), WORLDS, "asking").unwrap()).unwrap()
}

/// Compiles `component` cold, and again; then what `edited` is, in which one function is
/// another one; all as Wasmtime does.
#[track_caller]
fn cold_warm_edited(component: &[u8], edited: &[u8]) -> Report {
    let oracle = Oracle::new();
    let cold = oracle.check(component).unwrap();
    assert_eq!(cold.plain, None);
    assert!(cold.functions.compiled > 0);
    let warm = oracle.check(component).unwrap();
    assert_eq!(warm.functions.compiled + warm.trampolines.compiled, 0);
    let after = oracle.check(edited).unwrap();
    assert_eq!(
        (after.functions.compiled, after.trampolines.compiled),
        (1, 0)
    );
    cold
}

#[test]
fn linked_modules() {
    let edited = LINKED.replace("(i32.const 7)", "(i32.const 77777)");
    let report = cold_warm_edited(&wasm(LINKED), &wasm(&edited));
    assert_eq!(report.functions.total, 8);
}

#[test]
fn which_imports_are_one_function_is_known() {
    // The same stencils but for which of the callees are the same function.
    let oracle = Oracle::new();
    oracle.valid(LINKED);
    let other = LINKED
        .replace(r#"(export "f") (export "same")"#, r#"(export "f")"#)
        .replace(
            r#"(func $g (export "g")"#,
            r#"(func $g (export "g") (export "same")"#,
        );
    let report = oracle.valid(&other);
    assert_eq!(report.functions.compiled, 1, "that which calls both");
}

#[test]
fn a_component_instantiated_twice_knows_no_imports() {
    let oracle = Oracle::new();
    oracle.valid(LINKED);
    let twice = LINKED.replace(
        "(func (export \"run\") (param \"x\"",
        "(core instance $first2 (instantiate $first))
         (core instance $second2 (instantiate $second
           (with \"first\" (instance $first2)) (with \"host\" (instance $hosted))))
         (func (export \"run\") (param \"x\"",
    );
    assert_ne!(twice, LINKED);
    let report = oracle.valid(&twice);
    assert!(report.functions.compiled >= 3, "calls through the import");
}

#[test]
fn a_command() {
    let edited = PROGRAM.replace("(i32.const 100)", "(i32.const 99)");
    cold_warm_edited(&program(), &command(&wasm(&edited)).unwrap());
}

#[test]
fn a_reactor() {
    let edited = LIBRARY.replace("(i32.const 40)", "(i32.const 41)");
    let edited = of_world(&wasm(&edited), WORLDS, "library").unwrap();
    cold_warm_edited(&library(), &reactor(&edited).unwrap());
}

#[test]
fn composed_of_two() {
    let edited = ASKING.replace(
        "(call $answer (i32.const 2))",
        "(call $answer (i32.const 3))",
    );
    let edited = reactor(&of_world(&wasm(&edited), WORLDS, "asking").unwrap()).unwrap();
    let both = composed(&asking(), &[&library()]).unwrap();
    cold_warm_edited(&both, &composed(&edited, &[&library()]).unwrap());
}

#[test]
fn a_composition_shares_with_its_parts() {
    let oracle = Oracle::new();
    oracle.check(&library()).unwrap();
    oracle.check(&asking()).unwrap();
    let both = oracle
        .check(&composed(&asking(), &[&library()]).unwrap())
        .unwrap();
    let counts = both.functions;
    // The adapter between them is new, and what calls through a type that has another number.
    assert!(counts.compiled * 4 < counts.total, "{counts:?}");
}

#[test]
fn a_module_shares_with_itself_in_a_component() {
    let core = wasm(PROGRAM);
    for module_first in [true, false] {
        let oracle = Oracle::new();
        let inputs = [core.clone(), program()];
        let [first, second] = if module_first { [0, 1] } else { [1, 0] };
        oracle.check(&inputs[first]).unwrap();
        let report = oracle.check(&inputs[second]).unwrap();
        // In the component the adapter's functions are called directly, and so the four that
        // call them are others.
        let own = 5;
        let shared = own - report.functions.compiled.min(own);
        if module_first {
            let alone = Oracle::new().check(&program()).unwrap().functions;
            assert_eq!(alone.compiled - report.functions.compiled, 2);
        } else {
            assert_eq!(shared, 2, "{:?}", report.functions);
        }
    }
}

#[test]
fn two_components_share_the_adapter() {
    let oracle = Oracle::new();
    oracle.check(&program()).unwrap();
    let other = PROGRAM.replace("(i32.const 4096)", "(i32.const 8192)");
    let report = oracle.check(&command(&wasm(&other)).unwrap()).unwrap();
    assert_eq!(report.functions.compiled, 0);
}

#[test]
fn kinds_are_not_mixed_up() {
    let engine = Engine::default();
    let compiler = Compiler::new(&engine, MemoryStore::new());
    let (module, component) = (wasm("(module)"), wasm("(component)"));
    for _ in 0..3 {
        let ours = compiler.precompile_module(&component).unwrap_err();
        let plain = engine.precompile_module(&component).unwrap_err();
        assert_eq!(message(&ours), message(&plain));
        let ours = compiler.precompile_component(&module).unwrap_err();
        let plain = engine.precompile_component(&module).unwrap_err();
        assert_eq!(message(&ours), message(&plain));
        let ours = compiler.precompile_component(&component).unwrap();
        assert_eq!(ours, engine.precompile_component(&component).unwrap());
        compiler.flush();
    }
}

#[test]
fn a_component_known_whole() {
    let mut options = Options::default();
    options.whole_artifacts = true;
    let oracle = Oracle::of(&Engine::default(), Arc::new(MemoryStore::new()), options);
    for known in [false, false, true] {
        assert_eq!(oracle.check(&program()).unwrap().whole_artifact, known);
    }
}

#[test]
fn hot_reload() {
    let mut options = Options::default();
    options.whole_artifacts = false;
    options.hot_reload = true;
    let oracle = Oracle::of(&Engine::default(), Arc::new(MemoryStore::new()), options);
    oracle.valid(LINKED);
    // Of another length, so that the code of the modules behind lies elsewhere.
    for constant in ["(i32.const 1000000)", "(i32.const 8)", "(i32.const 7)"] {
        let edited = LINKED.replace("(i32.const 7)", constant);
        let report = oracle.valid(&edited);
        assert!(report.functions.compiled <= 1, "{report:?}");
    }
    let text = program();
    oracle.check(&text).unwrap();
    oracle.check(&text).unwrap();
}

#[test]
fn unsafe_intrinsics() {
    let component = wasm(
        r#"(component
          (import "intrinsics" (instance $i
            (export "u32-native-load" (func (param "address" u64) (result u32)))
            (export "store-data-address" (func (result u64)))))
          (core func $load (canon lower (func $i "u32-native-load")))
          (core func $data (canon lower (func $i "store-data-address")))
          (core module $m
            (import "" "load" (func $load (param i64) (result i32)))
            (import "" "data" (func $data (result i64)))
            (func $tail (param i64) (result i32) (return_call $load (local.get 0)))
            (func (export "run") (result i32)
              (i32.add (call $load (call $data)) (call $tail (i64.const 8)))))
          (core instance $m (instantiate $m (with ""
            (instance (export "load" (func $load)) (export "data" (func $data))))))
          (func (export "run") (result u32) (canon lift (core func $m "run"))))"#,
    );
    let engine = Engine::default();
    let plain = unsafe {
        let mut builder = CodeBuilder::new(&engine);
        builder.wasm_binary(&component[..], None).unwrap();
        builder.expose_unsafe_intrinsics("intrinsics");
        builder.compile_component_serialized().unwrap()
    };
    let store = Arc::new(MemoryStore::new());
    let mut options = Options::default();
    // SAFETY: it is not run.
    unsafe { options.expose_unsafe_intrinsics("intrinsics") };
    let compiler = Compiler::with_options(&engine, store.clone(), options);
    for warm in [false, true, true] {
        let compilation = compiler.compile(&component).unwrap();
        assert_eq!(compilation.artifact(), plain);
        let report = compilation.store();
        assert_eq!(report.plain, None);
        assert_eq!(report.trampolines.compiled == 0, warm);
    }
    // Where they are not exposed, the same component imports something else by that name.
    let oracle = Oracle::of(&engine, store, Options::default());
    oracle.check(&component).unwrap();
}

/// Of the targets riscv64 is not among them: Cranelift 0.135.8 panics on what these components
/// have, with plain Wasmtime too.
#[test]
fn with_other_settings() {
    let settings: [fn(&mut Config); 8] = [
        |config| {
            config.concurrency_support(false);
        },
        |config| {
            config.consume_fuel(true).epoch_interruption(true);
        },
        |config| {
            config.wasm_component_model_async(true);
        },
        |config| {
            config.parallel_compilation(false);
        },
        |config| {
            config.generate_address_map(false).debug_symbols(false);
        },
        |config| {
            config.target("aarch64-unknown-linux-gnu").unwrap();
        },
        |config| {
            config.target("aarch64-apple-darwin").unwrap();
        },
        |config| {
            config.target("s390x-unknown-linux-gnu").unwrap();
        },
    ];
    let both = composed(&asking(), &[&library()]).unwrap();
    for set in settings {
        let mut config = Config::new();
        set(&mut config);
        let oracle = Oracle::with(&config);
        for component in [&wasm(LINKED), &program(), &both, &wasm(LINKED), &both] {
            oracle.check(component).unwrap();
        }
        let warm = oracle.check(&both).unwrap();
        assert_eq!(warm.plain, None);
        assert_eq!(warm.functions.compiled + warm.trampolines.compiled, 0);
    }
}

struct Host {
    context: WasiCtx,
    table: ResourceTable,
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.context,
            table: &mut self.table,
        }
    }
}

/// The component, compiled by ibid the first time or from its store.
fn compiled(engine: &Engine, component: &[u8], warm: bool) -> Component {
    let compiler = Compiler::new(engine, MemoryStore::new());
    if warm {
        compiler.precompile_component(component).unwrap();
    }
    compiler.compile_component(component).unwrap()
}

#[tokio::test]
async fn a_command_runs() {
    let engine = Engine::default();
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("file.txt"), "what is in the file").unwrap();
    for warm in [false, true] {
        let component = compiled(&engine, &program(), warm);
        let output = MemoryOutputPipe::new(1000);
        let mut context = WasiCtx::builder();
        context
            .args(&["name", "argument"])
            .stdout(output.clone())
            .preopened_dir(directory.path(), ".", FsPerms::ReadOnly)
            .unwrap();
        let host = Host {
            context: context.build(),
            table: ResourceTable::new(),
        };
        let mut store = Store::new(&engine, host);
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).unwrap();
        let instance = wasmtime_wasi::p2::bindings::Command::instantiate_async(
            &mut store, &component, &linker,
        )
        .await
        .unwrap();
        let result = instance.wasi_cli_run().call_run(&mut store).await.unwrap();
        assert_eq!(result, Ok(()));
        assert_eq!(
            output.contents(),
            "name\0argument\0what is in the file".as_bytes()
        );
    }
}

#[tokio::test]
async fn a_composition_runs() {
    let engine = Engine::default();
    let both = composed(&asking(), &[&library()]).unwrap();
    for warm in [false, true] {
        let component = compiled(&engine, &both, warm);
        let host = Host {
            context: WasiCtx::builder().build(),
            table: ResourceTable::new(),
        };
        let mut store = Store::new(&engine, host);
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).unwrap();
        let instance = linker
            .instantiate_async(&mut store, &component)
            .await
            .unwrap();
        let words = instance
            .get_export_index(&mut store, None, "test:test/words")
            .unwrap();
        let shout = instance
            .get_export_index(&mut store, Some(&words), "shout")
            .unwrap();
        let shout = instance
            .get_typed_func::<(&str,), (String,)>(&mut store, shout)
            .unwrap();
        let (word,) = shout.call_async(&mut store, ("word",)).await.unwrap();
        assert_eq!(word, "*ord");
    }
}

#[tokio::test]
async fn an_async_export_runs() {
    let mut config = Config::new();
    config.wasm_component_model_async(true);
    let engine = Engine::new(&config).unwrap();
    let component = wasm(
        r#"(component
          (core module $m
            (import "" "return" (func $return (param i32)))
            (func (export "more") (param i32) (result i32)
              (call $return (i32.add (local.get 0) (i32.const 1)))
              (i32.const 0))
            (func (export "callback") (param i32 i32 i32) (result i32) unreachable))
          (core func $return (canon task.return (result u32)))
          (core instance $m (instantiate $m
            (with "" (instance (export "return" (func $return))))))
          (func (export "more") async (param "x" u32) (result u32)
            (canon lift (core func $m "more") async (callback (core func $m "callback")))))"#,
    );
    Oracle::with(&config).check(&component).unwrap();
    for warm in [false, true] {
        let component = compiled(&engine, &component, warm);
        let mut store = Store::new(&engine, ());
        let instance = Linker::new(&engine)
            .instantiate_async(&mut store, &component)
            .await
            .unwrap();
        let more = instance
            .get_typed_func::<(u32,), (u32,)>(&mut store, "more")
            .unwrap();
        let (answer,) = more.call_async(&mut store, (41,)).await.unwrap();
        assert_eq!(answer, 42);
    }
}
