//! Whatever the settings, the artifact is Wasmtime's: cold, warm, and with other
//! settings' entries in the store.

mod common;

use common::{Oracle, RICH, compiled};
use ibid::MemoryStore;
use std::sync::Arc;
use wasmtime::{Config, OptLevel};

/// Everything that the keys cover, each away from its default.
fn settings() -> Vec<(&'static str, Config)> {
    let with = |set: &dyn Fn(&mut Config)| {
        let mut config = Config::new();
        config
            .wasm_exceptions(true)
            .wasm_function_references(true)
            .wasm_gc(true);
        set(&mut config);
        config
    };
    vec![
        ("default", with(&|_| {})),
        (
            "fuel",
            with(&|c| {
                c.consume_fuel(true);
            }),
        ),
        (
            "epochs",
            with(&|c| {
                c.epoch_interruption(true);
            }),
        ),
        (
            "opt none",
            with(&|c| {
                c.cranelift_opt_level(OptLevel::None);
            }),
        ),
        (
            "opt size",
            with(&|c| {
                c.cranelift_opt_level(OptLevel::SpeedAndSize);
            }),
        ),
        (
            "nan",
            with(&|c| {
                c.cranelift_nan_canonicalization(true);
            }),
        ),
        (
            "dynamic memories",
            with(&|c| {
                c.memory_reservation(0)
                    .memory_guard_size(0)
                    .memory_may_move(true);
            }),
        ),
        (
            "small guards",
            with(&|c| {
                c.memory_guard_size(65536);
            }),
        ),
        (
            "no signals",
            with(&|c| {
                c.signals_based_traps(false);
            }),
        ),
        (
            "no address map",
            with(&|c| {
                c.generate_address_map(false);
            }),
        ),
        (
            "no unwind",
            with(&|c| {
                c.native_unwind_info(false);
            }),
        ),
        (
            "eager tables",
            with(&|c| {
                c.table_lazy_init(false);
            }),
        ),
        (
            "no cow",
            with(&|c| {
                c.memory_init_cow(false);
            }),
        ),
        (
            "no ISA extras",
            with(&|c| {
                c.target(&target_lexicon::Triple::host().to_string())
                    .unwrap();
            }),
        ),
        (
            "one thread",
            with(&|c| {
                c.parallel_compilation(false);
            }),
        ),
        (
            "dense images",
            with(&|c| {
                c.memory_guaranteed_dense_image_size(0);
            }),
        ),
        (
            "relaxed SIMD",
            with(&|c| {
                c.relaxed_simd_deterministic(true);
            }),
        ),
        (
            "null collector",
            with(&|c| {
                c.collector(wasmtime::Collector::Null);
            }),
        ),
        (
            "no symbols",
            with(&|c| {
                c.debug_symbols(false);
            }),
        ),
        (
            "backtrace",
            with(&|c| {
                c.wasm_backtrace_details(wasmtime::WasmBacktraceDetails::Enable);
            }),
        ),
    ]
}

#[test]
fn every_setting_cold_and_warm_over_one_store() {
    let store = Arc::new(MemoryStore::new());
    for (name, config) in settings() {
        let oracle = Oracle::over(&config, store.clone());
        assert_eq!(oracle.compiler.plain_reason(), None, "{name}");
        let cold = oracle.valid(RICH);
        assert_eq!(cold.plain, None, "{name}");
        let warm = oracle.valid(RICH);
        assert_eq!(compiled(&warm), (0, 0), "{name}");
        assert_eq!(warm.functions.exact_body, warm.functions.total, "{name}");
        assert_eq!(warm.code_bytes.reused, warm.code_bytes.total, "{name}");
    }
}

#[test]
fn settings_do_not_share_code() {
    let store = Arc::new(MemoryStore::new());
    for (name, config) in settings() {
        let cold = Oracle::over(&config, store.clone()).valid(RICH);
        // Without parallel compilation the very same compiler is rebuilt.
        let found = cold.functions.total - cold.functions.compiled - cold.functions.duplicates;
        if name == "one thread" {
            assert_eq!(cold.functions.compiled, 0, "{name}");
        } else {
            assert_eq!(
                cold.functions.exact_body + cold.functions.stencil,
                0,
                "{name}: {found}"
            );
        }
    }
}

#[test]
fn settings_that_the_keys_do_not_cover_are_compiled_plainly() {
    let with = |set: &dyn Fn(&mut Config)| {
        let mut config = Config::new();
        set(&mut config);
        config
    };
    let uncovered = [
        (
            "Winch",
            with(&|c| {
                c.strategy(wasmtime::Strategy::Winch)
                    .wasm_exceptions(false)
                    .wasm_gc(false);
            }),
        ),
        (
            "inlining",
            with(&|c| {
                c.compiler_inlining(wasmtime::Inlining::Yes);
            }),
        ),
        (
            "native debug",
            with(&|c| {
                c.debug_info(true);
            }),
        ),
        (
            "guest debugging",
            with(&|c| {
                c.guest_debug(true);
            }),
        ),
        // SAFETY: the flags change the layout of the artifact, not what its code does.
        (
            "wasmtime_linkopt_padding_between_functions",
            with(&|c| unsafe {
                c.cranelift_flag_set("wasmtime_linkopt_padding_between_functions", "8");
            }),
        ),
        (
            "wasmtime_linkopt_force_jump_veneer",
            with(&|c| unsafe {
                c.cranelift_flag_set("wasmtime_linkopt_force_jump_veneer", "true");
            }),
        ),
        (
            "wasmtime_debug_checks",
            with(&|c| unsafe {
                c.cranelift_flag_set("wasmtime_debug_checks", "true");
            }),
        ),
    ];
    let simple = "(module (func (export \"f\") (param i32) (result i32) local.get 0))";
    for (name, config) in uncovered {
        let oracle = Oracle::with(&config);
        let reason = oracle
            .compiler
            .plain_reason()
            .unwrap_or_else(|| panic!("{name} is covered"));
        assert!(reason.contains(name), "{name}: {reason}");
        // Native debug information differs from one of Wasmtime's runs to the next.
        if name != "native debug" {
            let report = oracle.valid(simple);
            assert_eq!(report.plain.as_deref(), Some(reason));
        }
        assert!(oracle.store.is_empty(), "{name}");
    }
}

#[test]
fn other_targets_are_compiled_alike() {
    for target in [
        "aarch64-unknown-linux-gnu",
        "aarch64-apple-darwin",
        "riscv64gc-unknown-linux-gnu",
        "s390x-unknown-linux-gnu",
        "x86_64-unknown-linux-gnu",
        "x86_64-apple-darwin",
    ] {
        let mut config = Config::new();
        config.wasm_exceptions(true);
        config.target(target).expect("every target is built in");
        if target.starts_with("riscv64") {
            // Cranelift has no other way to compile vectors there.
            // SAFETY: nothing of what is compiled here is run.
            unsafe {
                config.cranelift_flag_enable("has_v");
            }
        }
        let oracle = Oracle::with(&config);
        assert_eq!(oracle.compiler.plain_reason(), None, "{target}");
        oracle.valid(RICH);
        assert_eq!(compiled(&oracle.valid(RICH)), (0, 0), "{target}");
    }
}

#[test]
fn small_modules() {
    let oracle = Oracle::new();
    for text in [
        "(module)",
        "(module (func))",
        "(module (import \"a\" \"b\" (func)))",
        "(module (memory 1) (data (i32.const 0) \"x\"))",
        "(module (table 1 funcref) (func $f) (elem (i32.const 0) $f))",
        "(module (func $f (export \"f\")) (start $f))",
        "(module $named (func $a_name) (func $\"another name with spaces \\u{1f600}\"))",
        "(module (global (export \"g\") i32 (i32.const 1)))",
        "(module (memory 1) (data \"\"))",
        "(module (import \"a\" \"b\" (func $name)))",
        "(module (type (func)))",
    ] {
        oracle.valid(text);
        let warm = oracle.valid(text);
        assert_eq!(compiled(&warm), (0, 0), "{text}");
    }
}

#[test]
fn the_text_format_is_accepted() {
    let oracle = Oracle::new();
    let text = "(module (func (export \"f\")))";
    let plain = oracle.engine.precompile_module(text.as_bytes()).unwrap();
    assert_eq!(
        oracle.compiler.precompile_module(text.as_bytes()).unwrap(),
        plain
    );
}

#[test]
fn a_whole_artifact_is_kept_from_the_second_sight_on() {
    let oracle = Oracle::new();
    let compiler = ibid::Compiler::new(&oracle.engine, oracle.store.clone());
    let wasm = wat::parse_str(RICH).unwrap();
    let plain = oracle.engine.precompile_module(&wasm).unwrap();
    let sights: Vec<bool> = (0..4)
        .map(|_| {
            let compilation = compiler.compile(&wasm).unwrap();
            assert_eq!(compilation.artifact(), plain);
            let report = compilation.store();
            assert_eq!(report.functions.total, 20);
            report.whole_artifact
        })
        .collect();
    assert_eq!(sights, [false, false, true, true]);
}

#[test]
fn verifying_compiles_every_reused_function_again() {
    let oracle = Oracle::new();
    oracle.valid(RICH);
    let mut options = ibid::Options::default();
    options.verify = true;
    let compiler = ibid::Compiler::with_options(&oracle.engine, oracle.store.clone(), options);
    let report = compiler.compile(RICH.as_bytes()).unwrap().store();
    assert_eq!(
        report.verified,
        Some(report.functions.total + report.trampolines.total)
    );
}

/// Sections of DWARF go into the artifact when backtraces are to have lines.
#[test]
fn debug_information_of_the_module_is_kept() {
    let text = "(module (func (export \"f\") nop)
        (@custom \".debug_abbrev\" \"\\01\\11\\00\\00\\00\\00\")
        (@custom \".debug_str\" \"a string\\00\")
        (@custom \".debug_line\" \"\")
        (@custom \".debug_info\" \"\\08\\00\\00\\00\\04\\00\\00\\00\\00\\00\\04\\01\")
        (@custom \"name\" \"\\01\\04\\01\\00\\01f\"))";
    for details in [
        wasmtime::WasmBacktraceDetails::Enable,
        wasmtime::WasmBacktraceDetails::Disable,
    ] {
        let mut config = wasmtime::Config::new();
        config.wasm_backtrace_details(details);
        let oracle = Oracle::with(&config);
        oracle.valid(text);
        oracle.valid(text);
    }
}
