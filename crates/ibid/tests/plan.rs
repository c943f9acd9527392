//! What a compile would have to do, and what monitoring sees of one.

mod common;

use common::RICH;
use ibid::{Compiler, MemoryStore, Options, Plan};
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use std::collections::BTreeMap;
use std::sync::Arc;
use wasmtime::{Config, Engine, Strategy};

fn compiler() -> Compiler {
    let engine = Engine::new(Config::new().wasm_exceptions(true)).unwrap();
    Compiler::with_options(&engine, Arc::new(MemoryStore::new()), Options::default())
}

/// Many functions that are worth a compile, and no two alike.
fn many(numbers: std::ops::Range<u32>) -> Vec<u8> {
    let function = |number: u32| {
        let steps = (0..40).map(|step| {
            format!("(local.set 0 (i32.rotl (i32.mul (local.get 0) (i32.const {number})) (i32.const {step})))")
        });
        format!(
            "(func (param i32) (result i32) {} (local.get 0))",
            steps.collect::<String>()
        )
    };
    let functions: String = numbers.map(function).collect();
    wat::parse_str(format!("(module {functions})")).unwrap()
}

#[track_caller]
fn plans(compiler: &Compiler, wasm: &[u8]) -> Plan {
    let plan = compiler.plan(wasm).unwrap();
    let report = compiler.compile(wasm).unwrap().store();
    assert_eq!(plan.functions, report.functions);
    assert_eq!(plan.whole_artifact, report.whole_artifact);
    assert_eq!(plan.plain, report.plain);
    let exact = plan.functions.compiled == 0;
    assert!(!exact || plan.trampolines == report.trampolines);
    plan
}

#[test]
fn a_plan_is_what_the_compile_does() {
    let component = format!(
        "(component (core module {}",
        &RICH.trim_start()["(module".len()..]
    );
    let component = wat::parse_str(format!("{component})")).unwrap();
    for wasm in [wat::parse_str(RICH).unwrap(), many(0..50), component] {
        let compiler = compiler();
        let first = plans(&compiler, &wasm);
        assert!(first.functions.compiled > 0 && !first.is_ready());
        assert!(first.body_bytes > 0);
        for _ in 0..3 {
            let plan = plans(&compiler, &wasm);
            assert!(plan.is_ready());
            assert_eq!(plan.body_bytes, 0);
            assert!(plan.estimated_ms.unwrap() >= plan.planning_ms);
        }
    }
}

#[test]
fn the_time_is_that_of_earlier_compiles() {
    let compiler = compiler();
    let first = plans(&compiler, &many(0..50));
    assert_eq!(first.estimated_ms, None, "nothing was compiled yet");
    let one = plans(&compiler, &many(1..51)).estimated_ms.unwrap();
    let many = compiler.plan(&many(1000..1200)).unwrap();
    assert_eq!(many.functions.compiled, 200);
    // How long it takes is no test's business, but more takes longer.
    assert!(many.estimated_ms.unwrap() - many.planning_ms > 0.0);
    assert!(many.estimated_ms.unwrap() > one);
}

#[test]
fn what_is_compiled_plainly_has_no_plan() {
    let engine = Engine::new(Config::new().strategy(Strategy::Winch)).unwrap();
    let compiler = Compiler::new(&engine, MemoryStore::new());
    let plan = compiler.plan(&many(0..2)).unwrap();
    assert!(plan.plain.as_deref().unwrap().contains("Winch"));
    assert!(!plan.is_ready());
}

#[test]
fn what_wasmtime_refuses_outside_of_bodies_has_none() {
    let wasm =
        wat::parse_str("(module (func) (export \"a\" (func 0)) (export \"a\" (func 0)))").unwrap();
    let compiler = compiler();
    let error = compiler.plan(&wasm).unwrap_err();
    let expected = compiler.engine().precompile_module(&wasm).unwrap_err();
    assert_eq!(common::message(&error), common::message(&expected));
}

/// Counters by name and labels, as they are after `work`.
fn counted(work: impl FnOnce()) -> BTreeMap<String, u64> {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    metrics::with_local_recorder(&recorder, work);
    let mut counters = BTreeMap::new();
    for (key, _, _, value) in snapshotter.snapshot().into_vec() {
        let mut name = key.key().name().to_owned();
        key.key()
            .labels()
            .for_each(|label| name = format!("{name} {}", label.value()));
        match value {
            DebugValue::Counter(count) => drop(counters.insert(name, count)),
            DebugValue::Histogram(values) => drop(counters.insert(name, values.len() as u64)),
            DebugValue::Gauge(_) => panic!("{name} is a gauge"),
        }
    }
    counters
}

#[test]
fn compiles_are_counted() {
    let wasm = many(0..20);
    let compiler = compiler();
    let mut trampolines = 0;
    let counters = counted(|| {
        for _ in 0..2 {
            let report = compiler.compile(&wasm).unwrap().store();
            trampolines = report.trampolines.total;
        }
    });
    assert_eq!(counters["ibid_compile_requests_total"], 2);
    assert_eq!(counters["ibid_compile_seconds"], 2);
    assert_eq!(counters.get("ibid_compile_plain_total"), None);
    assert_eq!(counters["ibid_cache_hits_total exact_body"], 20);
    let found = ["exact_body", "stencil", "clif", "duplicate", "artifact"].map(|way| {
        counters
            .get(&format!("ibid_cache_hits_total {way}"))
            .copied()
            .unwrap_or(0)
    });
    let misses = counters["ibid_cache_misses_total"];
    assert_eq!(found.iter().sum::<u64>() + misses, 2 * (20 + trampolines));
    assert!(counters["ibid_cache_reused_bytes_total"] > 0);
    assert!(counters["ibid_cache_written_bytes_total"] > 0);
    assert_eq!(counters["ibid_cache_errors_total failed"], 0);

    let counters = counted(|| {
        for _ in 0..2 {
            compiler.compile(&wasm).unwrap().store();
        }
    });
    assert!(counters["ibid_cache_hits_total artifact"] >= 20);
}
