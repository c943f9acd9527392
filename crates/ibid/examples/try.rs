//! scratch
use ibid::*;
use std::sync::Arc;
fn main() {
    let engine = wasmtime::Engine::default();
    let store: Arc<dyn CacheStore> = Arc::new(MemoryStore::new());
    let mut o = Options::default(); o.whole_artifacts = false;
    let c = Compiler::with_options(&engine, store.clone(), o);
    println!("plain: {:?}", c.plain_reason());
    for p in std::env::args().skip(1) {
        let wasm = std::fs::read(&p).unwrap();
        let t = std::time::Instant::now();
        let plain = engine.precompile_module(&wasm).unwrap();
        println!("{p}\nplain {:?}", t.elapsed());
        for _ in 0..2 {
            let r = c.compile(&wasm).unwrap();
            let same = r.artifact() == &plain[..];
            if !same { std::fs::write("/tmp/a.elf", r.artifact()).unwrap(); std::fs::write("/tmp/b.elf", &plain).unwrap(); }
            let r = r.store();
            println!("same {same} {:?} {:?} plain {:?} {:?} cb {:?} {:?}", r.functions, r.trampolines, r.plain, r.time_ms, r.code_bytes, r.store);
        }
    }
}
