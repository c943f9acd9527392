//! scratch
use ibid::*;
use std::sync::Arc;
use std::collections::BTreeMap;
struct R(u64);
impl R {
    fn n(&mut self) -> u64 { self.0 ^= self.0 << 13; self.0 ^= self.0 >> 7; self.0 ^= self.0 << 17; self.0 }
    fn b(&mut self, k: usize) -> usize { (self.n() >> 11) as usize % k }
    fn p<'a>(&mut self, v: &[&'a str]) -> &'a str { v[self.b(v.len())] }
}
const TYPES: &[&str] = &[
    "(type (func))",
    "(type (func (param i32) (result i32)))",
    "(type (func (param i32) (result i32)))",
    "(type (func (param i64) (result i64)))",
    "(type (sub (func (param i32) (result i32))))",
    "(type (func (param i32) (result i32 i32)))",
    "(rec (type (func (param i32) (result i32))) (type (func)))",
    "(rec (type (func)) (type (func (param i32) (result i32))))",
    "(type (func (param externref) (result externref)))",
    "(type (func (param (ref null 0)) (result i32)))",
    "(type (struct (field (mut i32))))",
    "(type (struct (field (mut i32)) (field (mut i64))))",
    "(type (struct (field (mut i16)) ))",
    "(type (sub (struct (field (mut i32)))))",
    "(type (sub 0 (struct (field (mut i32)) (field (mut f64)))))",
    "(type (sub 0 (func (param i32) (result i32))))",
    "(type (array (mut i32)))",
    "(type (array (mut i8)))",
    "(type (array (mut funcref)))",
    "(type (func (param funcref) (result funcref)))",
];
const IMPORTS: &[&str] = &[
    r#"(import "a" "f" (func (type 0)))"#,
    r#"(import "a" "g" (func (type 1)))"#,
    r#"(import "a" "h" (func (param i32) (result i32)))"#,
    r#"(import "a" "m" (memory 1))"#,
    r#"(import "a" "m64" (memory i64 1))"#,
    r#"(import "a" "t" (table 5 funcref))"#,
    r#"(import "a" "t6" (table 5 5 funcref))"#,
    r#"(import "a" "te" (table 5 externref))"#,
    r#"(import "a" "gl" (global i32))"#,
    r#"(import "a" "gm" (global (mut i32)))"#,
    r#"(import "a" "ge" (global (mut externref)))"#,
    r#"(import "a" "tag" (tag (param i32)))"#,
];
const TABLES: &[&str] = &[
    "(table 5 funcref)", "(table 5 5 funcref)", "(table 6 6 funcref)", "(table i64 5 funcref)",
    "(table 5 externref)", "(table 3 (ref null 0))", "(table 3 (ref null 1))", "(table 3 nullfuncref)", "(table 3 anyref)",
    "(table 3 exnref)", "(table 3 (ref null 1))",
];
const MEMS: &[&str] = &[
    "(memory 1)", "(memory 2)", "(memory 1 1)", "(memory 1 3)", "(memory i64 1)", "(memory 1 3 shared)", "(memory 0)", "(memory 1 (pagesize 1))", "(memory 0 0)", "(memory i64 1 1)", "(memory 65536)",
];
const GLOBALS: &[&str] = &[
    "(global i32 (i32.const 7))", "(global i32 (i32.const 8))", "(global (mut i32) (i32.const 7))", "(global (mut i32) (i32.const 9))",
    "(global i64 (i64.const 7))", "(global (mut externref) (ref.null extern))", "(global externref (ref.null extern))", "(global funcref (ref.null func))",
    "(global (mut (ref null 0)) (ref.null 0))", "(global (mut (ref null 1)) (ref.null 1))", "(global f32 (f32.const nan:0x200000))",
    "(global f32 (f32.const nan))", "(global anyref (ref.i31 (i32.const 5)))", "(global (ref i31) (ref.i31 (i32.const 5)))", "(global i32 (i32.add (i32.const 3) (i32.const 4)))", "(global i32 (global.get 0))", "(global funcref (ref.func 0))",
];
const TAGS: &[&str] = &["(tag)", "(tag (param i32))", "(tag (param i32 i64))", "(tag (param externref))", "(tag (type 0))", "(tag (type 1))"];
const EXPORTS: &[&str] = &[
    r#"(export "m0" (memory 0))"#, r#"(export "t0" (table 0))"#, r#"(export "g0" (global 0))"#, r#"(export "f0" (func 0))"#, r#"(export "f1" (func 1))"#, r#"(export "m1" (memory 1))"#, r#"(export "g1" (global 1))"#, r#"(export "t1" (table 1))"#, r#"(export "tag0" (tag 0))"#,
];
const ELEMS: &[&str] = &[
    "(elem func 0)", "(elem func 0 1)", "(elem declare func 0)", "(elem declare func 1)", "(elem (i32.const 0) func 0)", "(elem (table 0) (i32.const 0) funcref (ref.null func))",
    "(elem externref (ref.null extern))", "(elem (ref null 0) (ref.null 0))", "(elem (ref null 1) (ref.null 1))", "(elem anyref (ref.i31 (i32.const 1)))", "(elem (i64.const 0) func 0)",
];
const DATAS: &[&str] = &[ r#"(data "abc")"#, r#"(data "abcdefgh")"#, r#"(data (i32.const 0) "abc")"#, r#"(data (i32.const 10) "xyz")"#, r#"(data (i64.const 10) "xyz")"#, r#"(data (global.get 0) "xyz")"#, r#"(data (memory 1) (i32.const 10) "xyz")"#];
const BODIES: &[&str] = &[
    "(func)",
    "(func (result i32) i32.const 1)",
    "(func (type 0))",
    "(func (type 1) local.get 0)",
    "(func (type 1) local.get 0 call 0)",
    "(func (param i32) (result i32) local.get 0 call 0 call 1)",
    "(func (param i32) (result i32) local.get 0 call 0 call 0)",
    "(func (param i32) (result i32) local.get 0 call 1 call 0)",
    "(func (param i32) (result i32) local.get 0 call 2)",
    "(func (param i32) (result i32) local.get 0 return_call 0)",
    "(func (param i32) (result i32) local.get 0 return_call 1)",
    "(func (param i32) (result i32) local.get 0 i32.load)",
    "(func (param i32) (result i32) i32.const 65532 i32.load)",
    "(func (param i32) (result i32) i32.const 65533 i32.load)",
    "(func (param i32) (result i32) local.get 0 i32.load offset=65533)",
    "(func (param i32) (result i32) local.get 0 i32.load offset=4294967295)",
    "(func (param i64) (result i32) local.get 0 i32.load)",
    "(func (param i32) (result i32) local.get 0 local.get 0 i32.store local.get 0 i32.load memory 1)",
    "(func (param i32) (result i32) local.get 0 i32.load local.get 0 i32.const 5 i32.store local.get 0 i32.load i32.add)",
    "(func (param i32) (result i32) local.get 0 i32.load local.get 0 i32.const 5 i32.store 1 local.get 0 i32.load i32.add)",
    "(func (param i32) (result i32) global.get 0 local.get 0 i32.const 5 i32.store global.get 0 i32.add)",
    "(func (param i32) (result i32) global.get 0 i32.const 5 global.set 1 global.get 0 i32.add)",
    "(func (result i32) global.get 0)", "(func (result i32) global.get 1)", "(func (param i32) local.get 0 global.set 0)",
    "(func (result externref) global.get 0)", "(func (param externref) local.get 0 global.set 0)", "(func (result funcref) global.get 0)", "(func (result funcref) global.get 1)",
    "(func (result f32) global.get 0)", "(func (result anyref) global.get 0)", "(func (result i32) global.get 0 ref.is_null)", "(func (result i32) global.get 1 ref.is_null)",
    "(func (param i32) (result i32) local.get 0 local.get 0 call_indirect (type 1))",
    "(func (param i32) (result i32) local.get 0 local.get 0 call_indirect 1 (type 1))",
    "(func (param i32) (result i32) local.get 0 local.get 0 call_indirect (type 2))",
    "(func (param i32) (result i32) local.get 0 local.get 0 return_call_indirect (type 1))",
    "(func (param i32) local.get 0 call_indirect (type 0))",
    "(func (param i64) local.get 0 call_indirect (type 0))",
    "(func (result funcref) ref.func 0)", "(func (result funcref) ref.func 1)", "(func (result (ref 0)) ref.func 0)", "(func (result (ref 1)) ref.func 0)", "(func (result (ref 1)) ref.func 1)",
    "(func ref.func 0 call_ref 0)", "(func (param i32) (result i32) local.get 0 ref.func 0 call_ref 1)", "(func (param i32) (result i32) local.get 0 ref.func 1 call_ref 1)", "(func (param i32) (result i32) local.get 0 ref.func 1 call_ref 2)",
    "(func (param i32) (result i32) local.get 0 ref.func 0 return_call_ref 1)",
    "(func i32.const 0 ref.func 0 table.set 0)", "(func i32.const 0 ref.func 1 table.set 0)", "(func i32.const 0 ref.null func table.set 0)", "(func i32.const 0 ref.null 0 table.set 0)", "(func i32.const 0 ref.null 1 table.set 0)",
    "(func (param i32) (result funcref) local.get 0 table.get 0)", "(func (param i32) (result externref) local.get 0 table.get 0)", "(func (param i32) (result (ref null 0)) local.get 0 table.get 0)",
    "(func (param i32) (result i32) local.get 0 table.get 0 ref.is_null)", "(func (result i32) table.size 0)", "(func (result i64) table.size 0)",
    "(func (result i32) ref.null func i32.const 2 table.grow 0)", "(func i32.const 0 ref.null func i32.const 2 table.fill 0)",
    "(func i32.const 0 i32.const 1 i32.const 2 table.copy 0 1)", "(func i32.const 0 i32.const 1 i32.const 2 table.copy 0 0)", "(func i32.const 0 i32.const 1 i32.const 2 table.init 0 0)", "(func i32.const 0 i32.const 1 i32.const 2 table.init 0 1)", "(func i32.const 0 i32.const 1 i32.const 2 table.init 1 0)", "(func elem.drop 0)", "(func elem.drop 1)",
    "(func i32.const 0 i32.const 1 i32.const 2 memory.init 0)", "(func i32.const 0 i32.const 1 i32.const 2 memory.init 1)", "(func data.drop 0)", "(func data.drop 1)",
    "(func i32.const 0 i32.const 1 i32.const 2 memory.copy)", "(func i32.const 0 i32.const 1 i32.const 200 memory.copy 0 1)", "(func i32.const 0 i32.const 1 i32.const 2 memory.fill)", "(func (result i32) memory.size)", "(func (result i64) memory.size)", "(func (result i32) i32.const 1 memory.grow)", "(func (result i32) i32.const 1 memory.grow 1)",
    "(func (param i32) (result i32) local.get 0 i32.const 1 i32.atomic.rmw.add)", "(func (param i32) (result i32) local.get 0 i32.const 1 i64.const 0 memory.atomic.wait32)", "(func (param i32) (result i32) local.get 0 i32.const 1 memory.atomic.notify)",
    "(func (param i32) (result i32) local.get 0 (block (type 1)))", "(func (param i32) (result i32) local.get 0 (block (type 2)))", "(func (param i32) (result i32) local.get 0 (block (type 1)) (block (type 2)))", "(func (param i32) (result i32) local.get 0 (loop (type 1) (block (type 2))))", "(func (block (type 0)))", "(func (param i32) local.get 0 (if (type 0) (then) (else)))", "(func (param i32) (result i32) local.get 0 (block (type 5)) i32.add)",
    "(func throw 0)", "(func i32.const 1 throw 0)", "(func (param externref) local.get 0 throw 0)", "(func i32.const 1 i64.const 2 throw 0)", "(func (param exnref) local.get 0 throw_ref)",
    "(func (result i32) (block (result i32) (try_table (result i32) (catch 0 0) i32.const 4 call 0)))", "(func (block (try_table (catch 0 0) call 0)))", "(func (block (try_table (catch_all 0) call 0)))", "(func (result exnref) (block (result exnref) (try_table (catch_all_ref 0) call 0) ref.null exn))",
    "(func (param i32) (result i32) local.get 0 (try_table (type 1) (catch_all 0) call 0))",
    "(func (param i32) (result i32) (block (local.get 0) (try_table (type 1)) return) unreachable)",
    "(func (result i32) (block (result externref) (try_table (catch 0 0) call 0) ref.null extern) ref.is_null)",
    "(func (param i32) (result i32) local.get 0 struct.new 0 struct.get 0 0)", "(func (param i32) (result i32) local.get 0 struct.new 1 struct.get 1 0)", "(func (param (ref null 0)) (result i32) local.get 0 struct.get 0 0)", "(func (param (ref null 0)) (result i32) local.get 0 ref.test (ref 1))", "(func (param anyref) (result i32) local.get 0 ref.test (ref 1))", "(func (param anyref) (result (ref null 0)) local.get 0 ref.cast (ref null 0))",
    "(func (param i32) (result i32) local.get 0 array.new_default 0 array.len)", "(func (param i32) (result i32) local.get 0 array.new_default 1 i32.const 0 array.get 1)", "(func (result (ref 0)) i32.const 0 i32.const 1 array.new_data 0 0)", "(func (result (ref 0)) i32.const 0 i32.const 1 array.new_elem 0 0)", "(func (result (ref 1)) i32.const 0 i32.const 1 array.new_data 1 0)",
    "(func (local (ref null 0)) local.get 0 drop)", "(func (local (ref null 1)) local.get 0 ref.is_null drop)", "(func (local externref) local.get 0 call 0 drop)", "(func (result i32) (local externref) local.get 0 call 0 local.get 0 ref.is_null i32.eqz if (result i32) i32.const 1 else i32.const 2 end)",
    "(func (param funcref externref) (result funcref) local.get 0 local.get 0 i32.const 1 select (result funcref))", "(func (result (ref null 0)) ref.null 0 ref.null 0 i32.const 1 select (result (ref null 0)))",
    "(func (result anyref) i32.const 3 ref.i31)", "(func (param externref) (result anyref) local.get 0 any.convert_extern)", "(func (param anyref) (result i32) local.get 0 ref.cast (ref i31) i31.get_s)",
    "(func (param i32) (result i32) (@metadata.code.branch_hint \"\\01\") (if (result i32) (local.get 0) (then i32.const 1 call 0) (else i32.const 2 call 0)))",
    "(func (param i32) (result i32) (@metadata.code.branch_hint \"\\00\") (if (result i32) (local.get 0) (then i32.const 1 call 0) (else i32.const 2 call 0)))",
    "(func (param i32) (result i32) i32.const 1 call 0 (@metadata.code.branch_hint \"\\01\") (if (result i32) (local.get 0) (then i32.const 1 call 0) (else i32.const 2 call 0)) i32.add)",
    "(func (param i32) (result i32)  (if (result i32) (local.get 0) (then i32.const 1 call 0) (else i32.const 2 call 0)))",
    "(func (param (ref null 0)) (result i32) (block local.get 0 br_on_null 0 drop i32.const 1 return) i32.const 0)", "(func (param funcref) (result i32) (block local.get 0 br_on_null 0 drop i32.const 1 return) i32.const 0)",
    "(func (param anyref) (result i32) (block (result (ref 0)) local.get 0 br_on_cast 0 anyref (ref 0) drop i32.const 1 return) drop i32.const 0)",
    "(func (param i32) (result i32) local.get 0 call 127 call 128)",  "(func (param i32) (result i32) local.get 0 call 128 call 127 call 128)",
    "(func (param i32) (result i32) i32.const 1 i32.const 2 local.get 0 i32.div_s i32.add call 130 call 3 i32.const 1 i32.div_u)",
];
fn make(r: &mut R) -> String {
    let mut s = String::from("(module\n");
    let nt = r.b(5);
    for _ in 0..nt { s += r.p(TYPES); s += "\n"; }
    for _ in 0..r.b(3) { s += r.p(IMPORTS); s += "\n"; }
    if r.b(5) == 0 { for i in 0..127 { s += &format!("(import \"z\" \"{i}\" (func (param i32) (result i32)))\n"); } }
    let mut parts: Vec<String> = vec![];
    for _ in 0..r.b(3) { parts.push(r.p(TABLES).into()); }
    for _ in 0..r.b(3) { parts.push(r.p(MEMS).into()); }
    for _ in 0..r.b(3) { parts.push(r.p(GLOBALS).into()); }
    for _ in 0..r.b(3) { parts.push(r.p(TAGS).into()); }
    let mut ex = std::collections::BTreeSet::new();
    for _ in 0..r.b(4) { ex.insert(r.p(EXPORTS)); }
    for e in ex { parts.push(e.into()); }
    for _ in 0..r.b(3) { parts.push(r.p(ELEMS).into()); }
    for _ in 0..r.b(3) { parts.push(r.p(DATAS).into()); }
    for _ in 0..1 + r.b(4) { parts.push(r.p(BODIES).into()); }
    if r.b(8) == 0 { parts.push("(start 0)".into()); }
    for p in parts { s += &p; s += "\n"; }
    s + ")"
}
fn engines() -> Vec<(&'static str, wasmtime::Engine)> {
    let mk = |f: &dyn Fn(&mut wasmtime::Config)| {
        let mut c = wasmtime::Config::new();
        c.wasm_gc(true).wasm_function_references(true).wasm_exceptions(true).wasm_memory64(true).wasm_multi_memory(true).wasm_custom_page_sizes(true).wasm_threads(true).wasm_branch_hinting(true).parallel_compilation(false);
        c.wasm_features(wasmtime::WasmFeatures::WIDE_ARITHMETIC, true);
        f(&mut c);
        wasmtime::Engine::new(&c)
    };
    let mut v = vec![];
    for (n, e) in [
        ("default", mk(&|_| {})),
        ("dyn", mk(&|c| { c.memory_reservation(0).memory_guard_size(0); })),
        ("nosig", mk(&|c| { c.signals_based_traps(false).epoch_interruption(true); })),
        ("fuel", mk(&|c| { c.consume_fuel(true).memory_reservation(1<<17); })),
        ("nolazy", mk(&|c| { c.table_lazy_init(false).memory_may_move(false); })),
        ("null", mk(&|c| { c.collector(wasmtime::Collector::Null); })),
        ("drc", mk(&|c| { c.collector(wasmtime::Collector::DeferredReferenceCounting); })),
    ] { match e { Ok(e) => v.push((n, e)), Err(x) => println!("engine {n}: {x:#}") } }
    v
}
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let secs: u64 = a[1].parse().unwrap();
    let seed: u64 = a[2].parse().unwrap();
    let only = a.get(3).cloned();
    let mut r = R(seed | 1);
    for (name, engine) in engines() {
        if let Some(o) = &only { if o != name { continue } }
        let mut o = Options::default(); o.whole_artifacts = false;
        let store: Arc<dyn CacheStore> = Arc::new(MemoryStore::new());
        let c = Compiler::with_options(&engine, store, o);
        println!("{name}: plain {:?}", c.plain_reason());
        let t = std::time::Instant::now();
        let (mut n, mut valid, mut hits, mut ex, mut total, mut bad, mut plains) = (0u64, 0u64, 0u64, 0u64, 0u64, 0u64, 0u64);
        let mut reasons: BTreeMap<String, u64> = BTreeMap::new();
        let mut wat_err = 0;
        while t.elapsed().as_secs() < secs {
            let text = make(&mut r);
            let wasm = match wat::parse_str(&text) { Ok(w) => w, Err(_) => { wat_err += 1; continue } };
            n += 1;
            let plain = engine.precompile_module(&wasm);
            let got = c.compile(&wasm);
            match (plain, got) {
                (Ok(p), Ok(g)) => {
                    valid += 1;
                    if g.artifact() != &p[..] { bad += 1; println!("DIFF {name}\n{text}"); }
                    let rep = g.store();
                    if let Some(x) = rep.plain { plains += 1; *reasons.entry(x).or_default() += 1; }
                    hits += rep.functions.stencil + rep.functions.duplicates; ex += rep.functions.exact_body; total += rep.functions.total;
                }
                (Err(_), Err(_)) => {}
                (Ok(_), Err(e)) => { bad += 1; println!("ONLY-PLAIN {name} {e:#}\n{text}"); }
                (Err(e), Ok(_)) => { bad += 1; println!("HOLE: INVALID ACCEPTED {name} {e:#}\n{text}"); }
            }
            if bad > 10 { break }
        }
        println!("{name}: modules {n} valid {valid} waterr {wat_err} functions {total} stencil hits {hits} exact {ex} bad {bad} plain {plains} {reasons:?}");
    }
}
