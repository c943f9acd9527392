//! Each fact in a key matters: without it there is a wrong hit.
//!
//! For every fact of [`KeyFact`] there are two modules that differ in that fact alone.
//! With the fact left out of the keys, the second one gets what was compiled for the
//! first: an artifact that is not Wasmtime's, or one where Wasmtime refuses. With all
//! facts in the keys both are compiled as Wasmtime does.

mod common;

use common::message;
use ibid::{CacheStore, Compiler, KeyFact, MemoryStore, Options, drop_fact};
use std::collections::BTreeSet;
use std::sync::Arc;
use wasmtime::{Config, Engine, OptLevel};

/// Facts whose absence makes no wrong hit, because others say the same.
const REDUNDANT: &[(KeyFact, &str)] = &[
    (
        KeyFact::CalleeImported,
        "only an imported callee has a place, and the number of places is in the key",
    ),
    (
        KeyFact::DataNumber,
        "code reaches a segment through its place, which only one with a number has",
    ),
];

struct Witness {
    fact: KeyFact,
    first: (Config, Vec<u8>),
    second: (Config, Vec<u8>),
    whole_artifacts: bool,
}

fn config() -> Config {
    let mut config = Config::new();
    config
        .wasm_gc(true)
        .wasm_function_references(true)
        .wasm_exceptions(true)
        .wasm_memory64(true)
        .wasm_multi_memory(true)
        .wasm_component_model_async(true)
        .wasm_component_model_threading(true)
        .wasm_branch_hinting(true);
    config
}

fn witness(fact: KeyFact, first: &str, second: &str) -> Witness {
    let side = |text: &str| {
        let wasm = wat::parse_str(text).unwrap_or_else(|error| panic!("{fact:?}: {error}"));
        (config(), wasm)
    };
    Witness {
        fact,
        first: side(first),
        second: side(second),
        whole_artifacts: false,
    }
}

/// `second` is `first` with `from` replaced by `to`.
fn replaced(fact: KeyFact, first: &str, from: &str, to: &str) -> Witness {
    assert!(first.contains(from), "{fact:?}");
    witness(fact, first, &first.replacen(from, to, 1))
}

/// The same for engines whose memories need no checks, and move unless their largest size is
/// small.
fn movable(mut witness: Witness) -> Witness {
    for (config, _) in [&mut witness.first, &mut witness.second] {
        config
            .memory_reservation(1 << 31)
            .memory_guard_size(1 << 32);
    }
    witness
}

fn witnesses() -> Vec<Witness> {
    use KeyFact::*;
    let mut all = vec![
        replaced(
            OwnSignature,
            "(module (func (param i32) (result i32) (local.get 0)))",
            "(param i32) (result i32)",
            "(param f32) (result f32)",
        ),
        replaced(
            CalleeSignature,
            "(module (func $f (param i32)) (func (call $f (i32.const 1))))",
            "(param i32)",
            "(param i64)",
        ),
        replaced(
            Places,
            "(module (import \"\" \"a\" (func)) (import \"\" \"b\" (func)) (func (call 0)))",
            "(call 0)",
            "(call 1)",
        ),
        replaced(
            CalleeKnown,
            CONTEXT,
            "(canon context.get i32 0)",
            "(canon context.get i32 1)",
        ),
        replaced(
            IntrinsicNumber,
            CONTEXT,
            "(canon context.get i32 0)",
            "(canon context.get i32 1)",
        ),
        replaced(
            CalleeTarget,
            "(component
               (core module $a (func $f (export \"f\") (export \"g\"))
                 (func (export \"h\") (i32.store (i32.const 0) (i32.const 1))) (memory 1))
               (core module $b
                 (import \"a\" \"x\" (func $x)) (import \"a\" \"y\" (func $y))
                 (func (export \"both\") (call $x) (call $y)))
               (core instance $a (instantiate $a))
               (core instance $xy
                 (export \"x\" (func $a \"f\")) (export \"y\" (func $a \"g\")))
               (core instance (instantiate $b (with \"a\" (instance $xy)))))",
            "(func $a \"g\")",
            "(func $a \"h\")",
        ),
        replaced(
            TrampolineKind,
            RESOURCE,
            "(canon resource.new $r)",
            "(canon resource.rep $r)",
        ),
        replaced(
            TrampolineSignature,
            "(component
               (import \"f\" (func $f (param \"x\" u32)))
               (core module $m (import \"\" \"f\" (func (param i32))))
               (core func $f (canon lower (func $f)))
               (core instance (instantiate $m (with \"\" (instance (export \"f\" (func $f)))))))",
            "(param \"x\" u32)))
               (core module $m (import \"\" \"f\" (func (param i32))))",
            "(param \"x\" u64)))
               (core module $m (import \"\" \"f\" (func (param i64))))",
        ),
        witness(
            TrampolineOptions,
            &format!(
                "(component (import \"f\" (func $f))
                   (component $c (import \"f\" (func $f)) {LOWERED})
                   (instance (instantiate $c (with \"f\" (func $f)))))"
            ),
            &format!(
                "(component (import \"f\" (func $f)) (component $c) (instance (instantiate $c))
                   {LOWERED})"
            ),
        ),
        replaced(
            TrampolineResource,
            RESOURCE,
            "(dtor (core func $a \"gone\"))",
            "",
        ),
        replaced(
            TrampolinePayload,
            "(component
               (core module $a (memory (export \"m\") 1)) (core instance $a (instantiate $a))
               (type $s (stream u8))
               (core func $f (canon stream.read $s async (memory (core memory $a \"m\"))))
               (core module $m (import \"\" \"f\" (func (param i32 i32 i32) (result i32))))
               (core instance (instantiate $m (with \"\" (instance (export \"f\" (func $f)))))))",
            "(stream u8)",
            "(stream u32)",
        ),
        replaced(
            ComponentPlaces,
            "(component
               (import \"f\" (func $f)) (import \"g\" (func $g))
               (core module $m (import \"\" \"f\" (func)))
               (core func $f (canon lower (func $f))) (core func $g (canon lower (func $g)))
               (core instance (instantiate $m (with \"\" (instance (export \"f\" (func $f))))))
               (core instance $i (export \"f\" (func $f))))",
            "(core instance $i (export \"f\" (func $f)))",
            "(core instance (instantiate $m (with \"\" (instance (export \"f\" (func $g))))))",
        ),
        replaced(
            BlockType,
            "(module (type (func (param i32) (result i32))) (type $n (func))
               (func (type $n) (i32.const 1) (block (type 0)) (drop)))",
            "(param i32)",
            "(param i64)",
        ),
        witness(
            NamedTypeNumber,
            "(module (type (func)) (type (func (param i32))) (table 1 funcref)
               (func (type 1) (call_indirect (type 1) (local.get 0) (local.get 0))))",
            "(module (type (func (param i32))) (type (func (param i32))) (table 1 funcref)
               (func (type 1) (call_indirect (type 1) (local.get 0) (local.get 0))))",
        ),
        replaced(
            NamedTypeStructure,
            "(module (type (func)) (type $n (func (result i64))) (table 1 funcref)
               (func (type $n) (call_indirect (type 0) (i32.const 0)) (i64.const 0)))",
            "(type (func))",
            "(type (func (param i32)))",
        ),
        replaced(
            ReferenceType,
            "(module (type $a (func)) (type $b (func (param i32)))
               (func (type $a)) (elem declare func 0)
               (func (type $a) (call_ref $a (ref.func 0))))",
            "(func (type $a)) (elem",
            "(func (type $b)) (elem",
        ),
        replaced(
            ReferenceDeclared,
            "(module (func) (elem declare func 0) (func (drop (ref.func 0))))",
            "(elem declare func 0)",
            "",
        ),
        replaced(
            MemoryType,
            "(module (memory i64 1) (func (drop (i32.load (i64.const 65536)))))",
            "(memory i64 1)",
            "(memory i64 2)",
        ),
        movable(replaced(
            MemoryAccess,
            "(module (memory 1) (func $f)
               (func (param i32) (result i32)
                 (i32.load (local.get 0)) (call $f) (i32.add (i32.load (local.get 0)))))",
            "(memory 1)",
            "(memory 1 2)",
        )),
        replaced(
            AddressSlots,
            "(module (memory 2) (func (param i32) (result i32)
               (i32.div_u (local.get 0) (i32.const 70000))))",
            "70000",
            "80000",
        ),
        // Zeros stand for the address, and three of the others for `unreachable`.
        witness(
            Mentions,
            "(module (memory 2) (func (result i32 i32)
               i32.const 70000 i32.popcnt i32.const 0 unreachable unreachable unreachable))",
            "(module (memory 2) (func (result i32 i32)
               i32.const 0 unreachable unreachable unreachable i32.popcnt i32.const 70000))",
        ),
        witness(
            MemoryExported,
            MERGED_MEMORY_LOADS,
            &exporting(MERGED_MEMORY_LOADS, "memory"),
        ),
        replaced(
            MemoryPlace,
            "(module (memory 1) (func (result i32) (memory.size 0)))",
            "(memory 1)",
            "(memory 1) (memory 1)",
        ),
        replaced(
            TableType,
            "(module (table 1 funcref) (func (table.set 0 (i32.const 0) (ref.null func))))",
            "funcref",
            "externref",
        ),
        replaced(
            TableReferredTypes,
            "(module (type $a (sub (func))) (type $b (sub $a (func)))
               (table 1 (ref null $a)) (table 1 (ref null $b))
               (func (table.copy 0 1 (i32.const 0) (i32.const 0) (i32.const 1))))",
            "(sub $a (func))",
            "(sub (func (param i32)))",
        ),
        replaced(
            TablePlace,
            "(module (table 1 funcref) (func (drop (table.get 0 (i32.const 0)))))",
            "(table 1 funcref)",
            "(import \"\" \"\" (table 1 funcref))",
        ),
        replaced(
            GlobalType,
            "(module (global (mut i32) (i32.const 0)) (func (global.set 0 (i32.const 1))))",
            "(mut i32) (i32.const 0)",
            "(mut f32) (f32.const 0)",
        ),
        replaced(
            GlobalReferredTypes,
            "(module (type $a (sub (func))) (type $b (sub $a (func)))
               (global (mut (ref null $a)) (ref.null nofunc))
               (global (mut (ref null $b)) (ref.null nofunc))
               (func (global.set 0 (global.get 1))))",
            "(sub $a (func))",
            "(sub (func (param i32)))",
        ),
        witness(
            GlobalExported,
            MERGED_GLOBAL_LOADS,
            &exporting(MERGED_GLOBAL_LOADS, "global"),
        ),
        replaced(
            GlobalPlace,
            "(module (global (mut i32) (i32.const 0)) (func (result i32) (global.get 0)))",
            "(global (mut i32) (i32.const 0))",
            "(import \"\" \"\" (global (mut i32)))",
        ),
        replaced(
            GlobalValue,
            "(module (global i32 (i32.const 1)) (func (result i32) (global.get 0)))",
            "(i32.const 1)",
            "(i32.const 2)",
        ),
        replaced(
            TagType,
            "(module (type $a (func (param i32))) (type $b (func (param i64)))
               (tag (type $a)) (tag (type $b)) (tag $t (type $a))
               (func (throw $t (i32.const 1))))",
            "(tag $t (type $a))",
            "(tag $t (type $b))",
        ),
        replaced(
            TagReferredTypes,
            "(module (type $a (func (param i32))) (tag (type $a)) (type $n (func))
               (func (type $n) (throw 0 (i32.const 1))))",
            "(func (param i32))",
            "(func (param i64))",
        ),
        replaced(
            TagPlace,
            "(module (type $a (func)) (tag (type $a)) (tag (type $a)) (func (throw 1)))",
            "(tag (type $a))",
            "(import \"\" \"\" (tag (type $a)))",
        ),
        replaced(
            DataPlace,
            "(module (memory 1) (data \"x\") (func) (func
               (memory.init 0 (i32.const 0) (i32.const 0) (i32.const 1))))",
            "(func) (func",
            "(func (export \"f\")) (func",
        ),
        replaced(
            ElementNumber,
            "(module (elem func) (elem func) (func (elem.drop 0)))",
            "(elem func)",
            "(elem declare func)",
        ),
        replaced(
            ElementType,
            "(module (table 1 funcref) (elem func) (func
               (table.init 0 0 (i32.const 0) (i32.const 0) (i32.const 0))))",
            "(elem func)",
            "(elem externref)",
        ),
        replaced(
            BranchHints,
            "(module (func $f) (func (param i32)
               (@metadata.code.branch_hint \"\\00\") (if (local.get 0) (then (call $f)))
               (call $f)))",
            "\\00",
            "\\01",
        ),
        witness(HintedWidths, &hinted(0), &hinted(200)),
        replaced(
            Environment,
            "(module (type (struct (field i32))) (func (drop (struct.new_default 0))))",
            "(field i32)",
            "(field i64) (field i64)",
        ),
        replaced(
            Everything,
            "(module (type (array i8)) (memory 1) (data \"x\") (data \"y\")
               (func (drop (array.new_data 0 1 (i32.const 0) (i32.const 1)))))",
            "(data \"x\")",
            "(data (i32.const 0) \"x\")",
        ),
        replaced(
            ArrayToWasmSignature,
            "(module (func (export \"f\") (param i32)))",
            "(param i32)",
            "(param f32)",
        ),
        replaced(
            WasmToArraySignature,
            "(module (import \"\" \"\" (func (param i32))))",
            "(param i32)",
            "(param f32)",
        ),
        replaced(
            BuiltinNumber,
            "(module (memory 1) (table 1 funcref) (func (drop (memory.grow (i32.const 1)))))",
            "(memory.grow (i32.const 1))",
            "(table.grow 0 (ref.null func) (i32.const 1))",
        ),
        replaced(
            StartupGlobals,
            "(module (import \"\" \"\" (global i32)) (global i32 (i32.add (global.get 0) (i32.const 1))))",
            "(i32.const 1)",
            "(i32.const 2)",
        ),
        replaced(
            StartupElements,
            "(module (func (export \"a\")) (func (export \"b\")) (elem func 0))",
            "(elem func 0)",
            "(elem func 1)",
        ),
        replaced(
            StartupTables,
            "(module (import \"\" \"\" (table 2 funcref)) (func (export \"a\")) (func (export \"b\"))
               (elem (i32.const 0) func 0))",
            "func 0)",
            "func 1)",
        ),
        replaced(
            StartupTableTypes,
            "(module (import \"\" \"\" (global externref)) (table 2 externref (global.get 0)))",
            "(table 2",
            "(table 3",
        ),
        replaced(
            StartupData,
            "(module (import \"\" \"\" (global i32)) (memory 1)
               (data (i32.add (global.get 0) (i32.const 1)) \"x\"))",
            "(i32.const 1)",
            "(i32.const 2)",
        ),
        replaced(
            StartupCall,
            "(module (import \"\" \"\" (func)) (func (export \"a\")) (start 0))",
            "(start 0)",
            "(start 1)",
        ),
        // Data alone does not say by which key a bundle is found, but which segments there
        // are for the code to reach.
        replaced(
            BundleEverything,
            "(module (memory 1) (data \"x\") (data \"y\")
               (func (memory.init 1 (i32.const 0) (i32.const 0) (i32.const 1))))",
            "(data \"x\")",
            "(data (i32.const 0) \"x\")",
        ),
    ];
    let without_lazy_tables = |text: &str| {
        let mut config = config();
        config.table_lazy_init(false);
        (config, wat::parse_str(text).unwrap())
    };
    all.push(Witness {
        fact: TableExported,
        first: without_lazy_tables(MERGED_TABLE_LOADS),
        second: without_lazy_tables(&exporting(MERGED_TABLE_LOADS, "table")),
        whole_artifacts: false,
    });
    let arithmetic = "(module (func (param i32) (result i32)
        (i32.add (i32.const 1) (i32.mul (local.get 0) (i32.const 8)))))";
    let engine = |set: &dyn Fn(&mut Config), text: &str| {
        let mut config = config();
        set(&mut config);
        (config, wat::parse_str(text).unwrap())
    };
    all.push(Witness {
        fact: EngineDescription,
        first: engine(&|_| {}, arithmetic),
        second: engine(
            &|config| _ = config.cranelift_opt_level(OptLevel::None),
            arithmetic,
        ),
        whole_artifacts: false,
    });
    let sparse = "(module (memory 4) (data (i32.const 0) \"x\") (data (i32.const 200000) \"y\"))";
    all.push(Witness {
        fact: EngineDenseImages,
        first: engine(&|_| {}, sparse),
        second: engine(
            &|config| _ = config.memory_guaranteed_dense_image_size(0),
            sparse,
        ),
        whole_artifacts: true,
    });
    all
}

/// Two loads from one memory around a store to another: they are one load exactly if
/// the memories are known to be different ones, which exported ones are not.
const MERGED_MEMORY_LOADS: &str = "(module (memory $a 1) (memory $b 1)
    (func (param i32) (result i32)
      (i32.load $a (local.get 0))
      (i32.store $b (local.get 0) (i32.const 5))
      (i32.add (i32.load $a (local.get 0)))))";

/// The same with globals.
const MERGED_GLOBAL_LOADS: &str = "(module
    (global $a (mut i32) (i32.const 0)) (global $b (mut i32) (i32.const 0))
    (func (result i32)
      (global.get $a)
      (global.set $b (i32.const 5))
      (i32.add (global.get $a))))";

/// The same with tables.
const MERGED_TABLE_LOADS: &str = "(module
    (table $a 1 1 funcref) (table $b 1 1 funcref)
    (func (param i32) (result funcref funcref)
      (table.get $a (local.get 0))
      (table.set $b (local.get 0) (ref.null func))
      (table.get $a (local.get 0))))";

/// Asks for something of the context, through an intrinsic that is written in place.
const CONTEXT: &str = "(component
    (core module $m
      (import \"\" \"get\" (func $get (result i32))) (import \"\" \"set\" (func (param i32)))
      (func (export \"f\") (result i32) (call $get)))
    (core func $get (canon context.get i32 0))
    (core func $set (canon context.set i32 1))
    (core instance (instantiate $m
      (with \"\" (instance (export \"get\" (func $get)) (export \"set\" (func $set)))))))";

/// Makes and drops a resource.
const RESOURCE: &str = "(component
    (core module $a (func (export \"gone\") (param i32))) (core instance $a (instantiate $a))
    (type $r (resource (rep i32) (dtor (core func $a \"gone\"))))
    (core func $f (canon resource.new $r))
    (core func $d (canon resource.drop $r))
    (core module $m
      (import \"\" \"f\" (func (param i32) (result i32))) (import \"\" \"d\" (func (param i32))))
    (core instance (instantiate $m
      (with \"\" (instance (export \"f\" (func $f)) (export \"d\" (func $d)))))))";

/// Lowers `$f` for a core module.
const LOWERED: &str = "(core module $m (import \"\" \"f\" (func)))
    (core func $l (canon lower (func $f)))
    (core instance (instantiate $m (with \"\" (instance (export \"f\" (func $l))))))";

/// `module` with its entities 0 and 1 of `kind` exported.
fn exporting(module: &str, kind: &str) -> String {
    let exports = format!("(export \"a\" ({kind} 0)) (export \"b\" ({kind} 1))");
    module.replacen("(func", &format!("{exports} (func"), 1)
}

/// A function whose branch hint says that whatever starts at byte 6 of its body is
/// unlikely: an `if`, unless the index of the call before it takes two bytes.
fn hinted(in_front: usize) -> String {
    let others = "(func)".repeat(in_front);
    // Behind the functions in front come the callee and the function with the hint.
    let function = in_front as u32 + 1;
    let index: String = if function < 0x80 {
        format!("\\{function:02x}")
    } else {
        format!("\\{:02x}\\{:02x}", function & 0x7f | 0x80, function >> 7)
    };
    format!(
        "(module (@custom \"metadata.code.branch_hint\" (before code) \"\\01{index}\\01\\05\\01\\00\")
           {others} (func $f)
           (func (param i32) (call $f)
             (local.get 0) (if (then (call $f)))
             (local.get 0) (if (then (call $f)))))"
    )
}

/// What Wasmtime or ibid makes of a module.
type Outcome = Result<Vec<u8>, String>;

/// What ibid makes of the second module after the first, and what Wasmtime makes. An
/// engine that fails the self-check, which meets the same wrong hits as any module,
/// counts as a wrong outcome.
fn outcomes(witness: &Witness) -> (Outcome, Outcome) {
    let store: Arc<dyn CacheStore> = Arc::new(MemoryStore::new());
    let mut ours = Err(String::new());
    for (config, wasm) in [&witness.first, &witness.second] {
        let engine = Engine::new(config).unwrap();
        let mut options = Options::default();
        options.whole_artifacts = witness.whole_artifacts;
        let compiler = Compiler::with_options(&engine, store.clone(), options);
        if let Some(reason) = compiler.plain_reason() {
            assert!(reason.contains("self-check"), "{reason}");
            return (Err(reason.to_string()), Ok(Vec::new()));
        }
        // Whole artifacts are kept at the second sight.
        for _ in 0..1 + u32::from(witness.whole_artifacts) {
            ours = match compiler.compile(wasm) {
                Ok(compilation) => {
                    let artifact = compilation.artifact().to_vec();
                    compilation.store();
                    Ok(artifact)
                }
                Err(error) => Err(message(&error)),
            };
        }
    }
    let (config, wasm) = &witness.second;
    let engine = Engine::new(config).unwrap();
    let plain = if wasmparser::Parser::is_component(wasm) {
        engine.precompile_component(wasm)
    } else {
        engine.precompile_module(wasm)
    };
    (ours, plain.map_err(|error| message(&error)))
}

/// One test, because what is left out is left out for the whole process.
#[test]
fn without_any_one_fact_there_is_a_wrong_hit() {
    let witnesses = witnesses();
    let mut caught = BTreeSet::new();
    for witness in &witnesses {
        let fact = witness.fact;
        drop_fact(None);
        let (ours, plain) = outcomes(witness);
        assert!(
            ours == plain,
            "{fact:?} is in the key, and yet the outcome is wrong"
        );
        drop_fact(Some(fact));
        let (ours, plain) = outcomes(witness);
        if ours != plain {
            caught.insert(fact as u8);
        } else {
            println!("{fact:?} is left out and nothing goes wrong");
        }
    }
    drop_fact(None);
    let missed: Vec<KeyFact> = KeyFact::ALL
        .iter()
        .copied()
        .filter(|fact| !caught.contains(&(*fact as u8)))
        .collect();
    let redundant: Vec<KeyFact> = REDUNDANT.iter().map(|(fact, _why)| *fact).collect();
    println!(
        "{} facts: leaving out {} makes a wrong hit, {} say what others say",
        KeyFact::ALL.len(),
        caught.len(),
        redundant.len()
    );
    assert_eq!(missed, redundant);
}
