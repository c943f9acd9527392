//! In a program whose allocator is not `ibid::Watched` there are no slots. The other tests have
//! the allocator from the oracle, which this one does without.

use ibid::{Compiler, MemoryStore};
use wasmtime::Engine;

/// A function that mentions an address, and one that does not.
fn program(address: u32) -> Vec<u8> {
    let text = format!(
        "(module (memory 64) (data (i32.const {address}) \"data\")
           (func (param i32) (i32.store (local.get 0) (i32.const {address})))
           (func (param i32) (result i32) (i32.load (local.get 0))))"
    );
    wat::parse_str(text).unwrap()
}

#[test]
fn addresses_are_in_the_keys() {
    let engine = Engine::default();
    let compiler = Compiler::new(&engine, MemoryStore::new());
    for (address, compiled) in [(1_048_600, 2), (2_000_000, 1)] {
        let wasm = program(address);
        let compilation = compiler.compile(&wasm).unwrap();
        let report = compilation.report();
        assert_eq!(report.functions.compiled, compiled);
        assert_eq!(report.address_slots.functions, 0);
        let expected = engine.precompile_module(&wasm).unwrap();
        assert!(compilation.artifact() == expected);
        compilation.store();
    }
}
