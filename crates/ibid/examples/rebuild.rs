use ibid::{Compiler, Options};
use ibid_store::{CacheStore, DiskStore};
use std::sync::Arc;
use std::time::Instant;
fn edit(wasm: &[u8], skip: usize, value: u8) -> Vec<u8> {
    let mut bodies = Vec::new();
    for p in wasmparser::Parser::new(0).parse_all(wasm) {
        if let wasmparser::Payload::CodeSectionEntry(b) = p.unwrap() {
            bodies.push(b);
        }
    }
    let mid = bodies.len() / 2 + skip;
    for b in &bodies[mid..] {
        let mut ops = b.get_operators_reader().unwrap();
        while !ops.eof() {
            let at = ops.original_position();
            if let wasmparser::Operator::I32Const { value: v } = ops.read().unwrap() {
                if (1..60).contains(&v) && wasm[at + 1] == v as u8 {
                    let mut out = wasm.to_vec();
                    out[at + 1] = value;
                    return out;
                }
            }
        }
    }
    unreachable!()
}
fn main() {
    let path = std::env::args().nth(1).unwrap();
    let rounds: usize = std::env::args().nth(2).map_or(5, |n| n.parse().unwrap());
    let dir = std::env::args().nth(3);
    let wasm = std::fs::read(&path).unwrap();
    let engine = wasmtime::Engine::default();
    let temp = tempfile::tempdir().unwrap();
    let dir = dir.map_or(temp.path().to_path_buf(), Into::into);
    let store: Arc<dyn CacheStore> = Arc::new(DiskStore::open(&dir).unwrap());
    let mut options = Options::default();
    if std::env::var("WHOLE").is_err() {
        options.whole_artifacts = false;
    }
    options.clif = std::env::var("CLIF").is_ok();
    for _ in 0..std::env::var("PLAIN").map_or(0, |n| n.parse().unwrap()) {
        let t = Instant::now();
        drop(engine.precompile_module(&wasm).unwrap());
        println!("plain {:.1} ms", t.elapsed().as_secs_f64() * 1e3);
        let d = tempfile::tempdir().unwrap();
        let c = Compiler::with_options(
            &engine,
            Arc::new(DiskStore::open(d.path()).unwrap()),
            options.clone(),
        );
        let t = Instant::now();
        let x = c.compile(&wasm).unwrap();
        let a = t.elapsed().as_secs_f64() * 1e3;
        x.store();
        println!(
            "cold {a:.1} ms, stored {:.1}",
            t.elapsed().as_secs_f64() * 1e3
        );
    }
    let compiler = Compiler::with_options(&engine, store.clone(), options.clone());
    let t = Instant::now();
    let c = compiler.compile(&wasm).unwrap();
    println!(
        "first {:.1} ms, {:?}",
        t.elapsed().as_secs_f64() * 1e3,
        c.report().time_ms
    );
    let t = Instant::now();
    let r = c.store();
    println!(
        "store {:.1} {:?} {:?}",
        t.elapsed().as_secs_f64() * 1e3,
        r.functions,
        r.store
    );
    for i in 0..rounds {
        let edited = edit(&wasm, i * 7, 61 + (i % 2) as u8);
        let t = Instant::now();
        let c = compiler.compile(&edited).unwrap();
        println!(
            "edit {:.1} ms, {:?} {:?}",
            t.elapsed().as_secs_f64() * 1e3,
            c.report().time_ms,
            c.report().functions
        );
        if i == 0 && std::env::var("CHECK").is_ok() {
            assert!(c.artifact() == engine.precompile_module(&edited).unwrap());
        }
        if std::env::var("KEEP").is_ok() {
            c.store();
        }
    }
}
