//! The oracle, and what the tests share.
#![allow(dead_code, reason = "each test file uses its own part")]

use ibid::{CacheStore, Compiler, MemoryStore, Options, Report};
use std::sync::Arc;
use wasmtime::{Config, Engine};

/// A compiler over a store, next to the engine that it is to equal.
pub(crate) struct Oracle {
    pub(crate) engine: Engine,
    pub(crate) compiler: Compiler,
    pub(crate) store: Arc<MemoryStore>,
}

impl Oracle {
    /// Of the default engine; whole artifacts off, so that functions are looked at.
    pub(crate) fn new() -> Oracle {
        Oracle::with(&Config::new())
    }

    pub(crate) fn with(config: &Config) -> Oracle {
        Oracle::over(config, Arc::new(MemoryStore::new()))
    }

    pub(crate) fn over(config: &Config, store: Arc<MemoryStore>) -> Oracle {
        let engine = Engine::new(config).expect("the configuration is sound");
        let mut options = Options::default();
        options.whole_artifacts = false;
        let shared: Arc<dyn CacheStore> = store.clone();
        let compiler = Compiler::with_options(&engine, shared, options);
        Oracle {
            engine,
            compiler,
            store,
        }
    }

    /// Compiles `wasm` both ways: both artifacts are the same, or both fail with the
    /// same message. Says what ibid did; stores what it found out.
    #[track_caller]
    pub(crate) fn check(&self, wasm: &[u8]) -> Option<Report> {
        let plain = self.engine.precompile_module(wasm);
        match (self.compiler.compile(wasm), plain) {
            (Ok(compilation), Ok(plain)) => {
                assert_eq!(
                    difference(compilation.artifact(), &plain),
                    None,
                    "the artifact is not Wasmtime's"
                );
                Some(compilation.store())
            }
            (Err(ours), Err(plain)) => {
                assert_eq!(message(&ours), message(&plain));
                None
            }
            (Ok(_), Err(plain)) => panic!("accepted what Wasmtime refuses: {}", message(&plain)),
            (Err(ours), Ok(_)) => panic!("refused what Wasmtime accepts: {}", message(&ours)),
        }
    }

    /// [`check`](Self::check) of a module in the text format that is valid.
    #[track_caller]
    pub(crate) fn valid(&self, text: &str) -> Report {
        let wasm = wat::parse_str(text).expect("the text is well-formed");
        self.check(&wasm).expect("the module is valid")
    }
}

/// An error and its causes, without a backtrace.
pub(crate) fn message(error: &wasmtime::Error) -> String {
    error
        .chain()
        .map(|cause| cause.to_string())
        .collect::<Vec<_>>()
        .join("\n")
}

/// Where two artifacts differ first.
pub(crate) fn difference(ours: &[u8], plain: &[u8]) -> Option<String> {
    use object::{Object as _, ObjectSection as _};
    if ours == plain {
        return None;
    }
    let offset = ours.iter().zip(plain).position(|(a, b)| a != b);
    let offset = offset.unwrap_or(ours.len().min(plain.len())) as u64;
    let section = object::File::parse(plain).ok().and_then(|file| {
        let section = file.sections().find(|section| {
            section
                .file_range()
                .is_some_and(|(start, size)| (start..start + size).contains(&offset))
        })?;
        let (start, _) = section.file_range()?;
        Some(format!(
            "in section {} at {:#x}",
            section.name().ok()?,
            offset - start
        ))
    });
    let lengths = (ours.len(), plain.len());
    Some(format!(
        "at {offset:#x} {} of {lengths:?} bytes",
        section.unwrap_or_default()
    ))
}

/// How many functions and trampolines were compiled.
pub(crate) fn compiled(report: &Report) -> (u64, u64) {
    (report.functions.compiled, report.trampolines.compiled)
}

/// A module with something of everything that the default engine accepts.
pub(crate) const RICH: &str = r#"
(module
  (type $unary (func (param i32) (result i32)))
  (type $pair (func (param i32 i64) (result i64 i32)))
  (import "env" "log" (func $log (param i32)))
  (import "env" "base" (global $base i32))
  (memory $memory (export "memory") 1 4)
  (memory $other 2)
  (table $table 4 8 funcref)
  (table $fixed 3 3 externref)
  (global $counter (mut i32) (i32.const 0))
  (global $step i32 (i32.const 3))
  (global $computed i32 (global.get $base))
  (global $wide (mut v128) (v128.const i64x2 1 2))
  (tag $oops (param i32))
  (elem (table $table) (i32.const 1) func $increment $factorial)
  (elem $passive_elem func $increment)
  (data (i32.const 16) "ibid: in the same place")
  (data $passive "passive")
  (start $main)
  (func $main (global.set $counter (global.get $step)) (call $log (global.get $computed)))
  (func $increment (export "increment") (type $unary) (i32.add (local.get 0) (global.get $step)))
  (func $factorial (export "factorial") (type $unary)
    (if (result i32) (i32.le_s (local.get 0) (i32.const 1))
      (then (i32.const 1))
      (else (i32.mul (local.get 0) (call $factorial (i32.sub (local.get 0) (i32.const 1)))))))
  (func $swap (type $pair) (local.get 1) (local.get 0))
  (func (export "indirect") (param i32 i32) (result i32)
    (call_indirect $table (type $unary) (local.get 0) (local.get 1)))
  (func (export "block") (param i32 i64) (result i64)
    (local.get 0) (local.get 1) (block (type $pair) (call $swap)) (drop))
  (func (export "divide") (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1)))
  (func (export "load") (param i32) (result f64) (f64.load offset=8 (local.get 0)))
  (func (export "store") (param i32 i64) (i64.store $other offset=70000 (local.get 0) (local.get 1)))
  (func (export "grow") (param i32) (result i32)
    (drop (memory.grow $other (local.get 0))) (memory.size))
  (func (export "init") (param i32)
    (memory.init $passive (local.get 0) (i32.const 0) (i32.const 7)) (data.drop $passive))
  (func (export "copy") (param i32 i32)
    (memory.copy $memory $other (local.get 0) (local.get 1) (i32.const 16)))
  (func (export "tables") (param i32 externref)
    (table.init $table $passive_elem (i32.const 0) (i32.const 0) (i32.const 1))
    (elem.drop $passive_elem)
    (table.set $fixed (local.get 0) (local.get 1))
    (drop (table.grow $table (ref.null func) (i32.const 1))))
  (func (export "reference") (result funcref) (ref.func $increment))
  (func (export "tail") (param i32) (result i32) (return_call $factorial (local.get 0)))
  (func (export "vector") (result v128) (i32x4.add (global.get $wide) (v128.const i32x4 1 2 3 4)))
  (func (export "throw") (param i32) (throw $oops (local.get 0)))
  (func (export "catch") (param i32) (result i32)
    (block $caught (result i32)
      (try_table (result i32) (catch $oops $caught)
        (throw $oops (local.get 0)))))
  (func (export "branch") (param i32) (result i32)
    (block (block (block (br_table 0 1 2 (local.get 0))) (return (i32.const 10)))
      (return (call $increment (i32.const 20))))
    (unreachable))
  (func (export "float") (param f64) (result i32) (i32.trunc_f64_s (f64.nearest (local.get 0)))))
"#;
