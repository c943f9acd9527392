//! `ibid explain`: each cause by a pair of modules that has it, and nothing that a compile does
//! not do.

mod common;

use common::{Sandbox, fails};
use std::path::{Path, PathBuf};

impl Sandbox {
    /// Runs the command, which fails with `code` and says why.
    #[track_caller]
    fn fails(&self, arguments: &[&str], code: i32, message: &str) {
        fails(&self.ibid(arguments), code, message);
    }

    /// What is said of the function called `f` of the module `new`, beside `old`, after the old
    /// one was compiled. That is what a compile of the new one does.
    #[track_caller]
    fn explained(&self, old: &str, new: &str) -> serde_json::Value {
        self.write("old.wat", old);
        self.write("new.wat", new);
        self.agrees(Path::new("old.wat"), Path::new("new.wat"));
        let mut function = self.json(&["explain", "old.wat", "new.wat", "f", "--json"]);
        let changes = function["changes"].as_array().unwrap();
        let text = |change: &serde_json::Value, part: &str| {
            let text = change[part].as_str();
            text.map_or("none".to_string(), str::to_string)
        };
        let parts = ["entity", "what", "old", "new"];
        let line = |change| parts.map(|part| text(change, part)).join("|");
        let changes: Vec<String> = changes.iter().map(line).collect();
        function["lines"] = changes.join("\n").into();
        function
    }

    /// As many functions are explained as lost as a compile compiles, whose cache knows the old
    /// module. Gives the explanation.
    #[track_caller]
    fn agrees(&self, old: &Path, new: &Path) -> serde_json::Value {
        let cache = tempfile::tempdir().unwrap();
        let cache = cache.path().to_str().unwrap();
        let [old, new] = [old, new].map(|path| path.to_str().unwrap());
        let compile = [
            "compile",
            "--cache",
            cache,
            "-o",
            "out.cwasm",
            "--stats=json",
        ];
        self.json(&[&compile[..], &[old]].concat());
        let explanation = self.json(&["explain", "--cache", cache, "--json", old, new]);
        let report = self.json(&[&compile[..], &[new]].concat());
        let [functions, lost] = [&report["functions"], &explanation["lost"]];
        assert_eq!(explanation["total"]["functions"], functions["total"]);
        // What is left open after a compile of the old module are duplicates.
        let unsure = |function: &&serde_json::Value| function["unsure"] == true;
        let all = explanation["functions"].as_array().unwrap();
        let unsure: Vec<_> = all.iter().filter(unsure).collect();
        assert!(
            unsure
                .iter()
                .all(|function| function["cause"] == "duplicate")
        );
        let lost = lost["functions"].as_u64().unwrap();
        let compiled = functions["compiled"].as_u64().unwrap();
        let possible = lost..=lost + unsure.len() as u64;
        assert!(possible.contains(&compiled), "{compiled} of {possible:?}");
        explanation
    }
}

#[track_caller]
fn assert_cause(function: &serde_json::Value, cause: &str, line: &str) {
    assert_eq!(function["cause"], cause, "{function}");
    let lines = function["lines"].as_str().unwrap();
    assert!(
        lines.lines().any(|said| said == line) || line.is_empty(),
        "{lines}"
    );
}

const F: &str = "(func $f (param i32) (result i32) (i32.mul (local.get 0) (i32.const 3)))";

#[test]
fn found() {
    let sandbox = Sandbox::new();
    let old = format!("(module {F} (func $g (result i32) (i32.const 5)))");
    let function = sandbox.explained(&old, &old.replace("5", "7"));
    assert_cause(&function, "same_body", "");
    assert_eq!(function["is_lost"], false);

    let new = old.replace("(module", "(module (global i32 (i32.const 1))");
    assert_cause(&sandbox.explained(&old, &new), "same", "");

    let new = old.replace("(module", "(module (func (nop))");
    let function = sandbox.explained(&old, &new);
    assert_cause(&function, "moved", "|index|0|1");
    assert_eq!([&function["old_index"], &function["index"]], [0, 1]);

    let data = |address: u32| {
        format!(
            "(module (memory 1) (data (i32.const 1024) \"a\")
               (func $f (param i32) (result i32)
                 (i32.load (i32.add (local.get 0) (i32.const {address})))))"
        )
    };
    let function = sandbox.explained(&data(5130), &data(5210));
    assert_cause(&function, "addresses_moved", "|address|5130|5210");

    let imports = |imports: usize| {
        let imports: String = (0..imports)
            .map(|number| format!("(import \"a\" \"f{number}\" (func))"))
            .collect();
        format!(
            "(module {imports} (global $g (mut i32) (i32.const 0))
               (func $f (global.set $g (i32.const 3))))"
        )
    };
    let function = sandbox.explained(&imports(8), &imports(9));
    assert_eq!(function["cause"], "places_moved", "{function}");
    assert!(
        function["lines"]
            .as_str()
            .unwrap()
            .contains("place in the instance")
    );

    let twins = format!("(module {F} {})", F.replace("$f", "$a"));
    let twins = sandbox.explained("(module)", &twins.replace("$f", "$b").replace("$a", "$f"));
    assert_cause(&twins, "duplicate", "");
    assert_eq!(twins["duplicate_of"], 0);
}

#[test]
fn a_body_and_a_type() {
    let sandbox = Sandbox::new();
    let old = format!("(module {F})");
    let function = sandbox.explained(&old, &old.replace("const 3", "const 4"));
    assert_cause(&function, "body", "");
    let diff = function["diff"].as_str().unwrap();
    assert!(diff.contains("-  i32.const 3\n+  i32.const 4\n"), "{diff}");

    let function = sandbox.explained("(module (func $g))", &old);
    assert_cause(&function, "new", "");
    assert!(function["diff"].as_str().unwrap().contains("+  i32.mul"));
    assert_eq!(function["old_index"], serde_json::Value::Null);

    let old = "(module (func $f (param i32) (drop (local.get 0))))";
    let function = sandbox.explained(old, &old.replace("i32)", "i64)"));
    assert_cause(&function, "signature", "|type|(i32) -> ()|(i64) -> ()");

    let old = "(module (type $t (func (result i32)))
        (func $f (drop (block (type $t) (unreachable)))))";
    let function = sandbox.explained(old, &old.replace("i32", "f32"));
    let line = "|type of a block|() -> (i32)|() -> (f32)";
    assert_cause(&function, "block_type", line);
    let old = "(module (type $t (func (param i32) (result i32)))
        (func $f (unreachable) (block (type $t) (unreachable)) (drop)))";
    let function = sandbox.explained(old, &old.replace("(result i32)", "(result i64)"));
    let line = "|type of a block|(i32) -> (i32)|(i32) -> (i64)";
    assert_cause(&function, "block_type", line);
}

#[test]
fn callees() {
    let sandbox = Sandbox::new();
    let old = "(module (func $g (param i32)) (func $f (unreachable) (call $g)))";
    let function = sandbox.explained(old, &old.replace("i32", "i64"));
    let line = "callee function 0 (\"g\")|type|(i32) -> ()|(i64) -> ()";
    assert_cause(&function, "callee", line);

    let new =
        "(module (import \"a\" \"g\" (func $g (param i32))) (func $f (unreachable) (call $g)))";
    let function = sandbox.explained(old, new);
    assert_cause(
        &function,
        "callee",
        "callee function 0 (\"g\")||defined|imported",
    );
}

#[test]
fn types_and_function_references() {
    let sandbox = Sandbox::new();
    let old = "(module (type $t (func (param i32))) (table 1 2 funcref)
        (func $f (call_indirect (type $t) (i32.const 1) (i32.const 0))))";
    let new = old.replace("(module", "(module (type (func (param f64)))");
    let line = "type (i32) -> ()|number|0|1";
    assert_cause(&sandbox.explained(old, &new), "type", line);

    let old = "(module (func $g) (func $f (result funcref) (ref.func $g)) (elem declare func $g))";
    let new = old.replace("(module", "(module (func (unreachable))");
    let line = "function 1 (\"g\")|number|0|1";
    assert_cause(&sandbox.explained(old, &new), "function_reference", line);
}

#[test]
fn function_pointers() {
    let sandbox = Sandbox::new();
    let old = "(module (table 9 funcref) (elem (i32.const 1) $g)
        (func $f (result i32) (i32.const 1)) (func $g (nop)))";
    let new = "(module (table 9 funcref) (elem (i32.const 1) $more $g)
        (func $f (result i32) (i32.const 2)) (func $g (nop)) (func $more (unreachable)))";
    let line = "function 1 (\"g\")|number in the table|1|2";
    assert_cause(&sandbox.explained(old, new), "pointer", line);
    // A pointer to another function is another body.
    let new = new.replace("$more $g", "$g $more");
    assert_cause(&sandbox.explained(old, &new), "body", "");
}

#[test]
fn memories_tables_and_globals() {
    let sandbox = Sandbox::new();
    let old = "(module (memory 17) (func $f (result i32) (memory.size)))";
    let line = "memory 0|minimum|17 pages|18 pages";
    assert_cause(
        &sandbox.explained(old, &old.replace("17", "18")),
        "memory",
        line,
    );
    let line = "memory 0 (\"m\")|exported|false|true";
    let new = old.replace("(memory 17)", "(memory (export \"m\") 17)");
    assert_cause(&sandbox.explained(old, &new), "memory", line);

    let old =
        "(module (table $t 4 4 funcref) (func $f (result funcref) (table.get $t (i32.const 1))))";
    let line = "table 0 (\"t\")|size|4 entries|5 entries";
    assert_cause(
        &sandbox.explained(old, &old.replace("4 4", "5 5")),
        "table",
        line,
    );
    let line = "table 0 (\"t\")|size|4 entries|may grow";
    assert_cause(
        &sandbox.explained(old, &old.replace("4 4", "4 9")),
        "table",
        line,
    );

    let old = "(module (global $g_x i32 (i32.const 1)) (func $f (result i32) (global.get $g_x)))";
    let new = old.replace("const 1", "const 2");
    let line = "global 0 (\"g_x\")|initial value|1|2";
    assert_cause(&sandbox.explained(old, &new), "global", line);
    let new = old.replace("(module", "(module (global $other i64 (i64.const 9))");
    let line = "global 1 (\"g_x\")|number|0|1";
    assert_cause(&sandbox.explained(old, &new), "global", line);
    // Another global, not the same one that moved.
    let new = old
        .replace("$g_x)))", "$g_y)))")
        .replace("(func", "(global $g_y i32 (i32.const 1)) (func");
    assert_cause(&sandbox.explained(old, &new), "body", "");
}

#[test]
fn tags_and_segments() {
    let sandbox = Sandbox::new();
    let old = "(module (tag $e (param i32)) (func $f (throw $e (i32.const 1))))";
    let new = old.replace("(module", "(module (tag $before)");
    let line = "tag 1 (\"e\")|number|0|1";
    assert_cause(&sandbox.explained(old, &new), "tag", line);

    let old = "(module (memory 1) (data $d \"abc\") (func $f (data.drop $d)))";
    let new = old.replace("(data", "(data $before \"x\") (data");
    let line = "data segment 1 (\"d\")|number|0|1";
    let new = new.replacen("(data $before \"x\") (data.drop", "(data.drop", 1);
    assert_cause(&sandbox.explained(old, &new), "data", line);

    let old = "(module (func $g) (elem $s func $g) (func $f (elem.drop $s)))";
    let new = old.replacen("(elem", "(elem $before func $g) (elem", 1);
    let line = "element segment 1 (\"s\")|number|0|1";
    assert_cause(&sandbox.explained(old, &new), "element", line);
}

#[test]
fn hints_types_places_and_addresses() {
    let sandbox = Sandbox::new();
    let old = "(module (func $f (param i32) (result i32) (@metadata.code.branch_hint \"\\00\")
        (if (result i32) (local.get 0) (then (i32.const 1)) (else (i32.const 2)))))";
    sandbox.write("old.wat", old);
    sandbox.write("new.wat", old.replace("\\00", "\\01"));
    let explain = [
        "explain",
        "-W",
        "branch-hinting=y",
        "old.wat",
        "new.wat",
        "f",
        "--json",
    ];
    let function = sandbox.json(&explain);
    assert_eq!(function["cause"], "branch_hints", "{function}");
    assert_eq!(function["changes"][0]["what"], "branch hints differ");

    let old = "(module (type $a (array i32)) (func $f (drop (ref.null $a))))";
    let new = old.replace("i32", "i64");
    let function = sandbox.explained(old, &new);
    assert_cause(&function, "types", "");
    let line = function["lines"].as_str().unwrap();
    assert!(line.contains("(array i32)|(array i64)"), "{line}");

    // So near to the beginning that it is in the code.
    let old =
        "(module (global $g (mut i32) (i32.const 0)) (func $f (global.set $g (i32.const 3))))";
    let new = old.replace("(module", "(module (memory 1)");
    let function = sandbox.explained(old, &new);
    assert_eq!(function["cause"], "places", "{function}");
    assert!(
        function["lines"]
            .as_str()
            .unwrap()
            .starts_with("global 0 (\"g\")|place in the instance")
    );

    let old = "(module (memory 1) (data (i32.const 1024) \"a\")
        (func $f (param i32) (result i32) (i32.and (local.get 0) (i32.const 5130))))";
    let line = "|number in the code, perhaps an address,|5130|5210";
    assert_cause(
        &sandbox.explained(old, &old.replace("5130", "5210")),
        "addresses",
        line,
    );
    // Equal numbers may be one for the compiler: these are no mask and no size, but they are
    // neither where data is.
    let old = old.replace("5130", "77");
    assert_cause(
        &sandbox.explained(&old, &old.replace("77", "78")),
        "body",
        "",
    );
}

/// Two modules: three of seven functions, the largest ones, an indirect call with its table, and
/// one more differ.
fn large(sandbox: &Sandbox) {
    let function = |number: u32, more: u32| {
        let step = |step| {
            let factor = number * 100 + step + more;
            format!("(local.set 0 (i32.mul (local.get 0) (i32.const {factor})))")
        };
        let steps: String = (0..number).map(step).collect();
        format!("(func $f{number} (param i32) (result i32) {steps} (local.get 0))")
    };
    let old: String = (1..8).map(|number| function(number, 0)).collect();
    let new = |number| function(number, if number > 4 { 1000 } else { 0 });
    let new: String = (1..8).map(new).collect();
    let call = "(table 3 3 funcref) (func $c (call_indirect (i32.const 0)))";
    sandbox.write("old.wat", format!("(module {call} {old})"));
    let call = call.replace("3 3", "4 4");
    sandbox.write(
        "new.wat",
        format!("(module {call} {new} (func $added (nop)))"),
    );
}

#[test]
fn the_largest_losses_are_shown() {
    let sandbox = Sandbox::new();
    large(&sandbox);
    let said = sandbox.says(&["explain", "old.wat", "new.wat"]);
    for part in [
        "`new.wat` in a cache that knows `old.wat`: 5 of 9 functions would be compiled",
        "body changed",
        "table 0: size 3 entries -> 4 entries",
        "what changed outside of bodies",
        "\nfunction 7 \"f7\"",
        "    +  i32.const 1700",
        "the largest functions that would be compiled",
    ] {
        assert!(said.contains(part), "{part}:\n{said}");
    }
    assert!(said.find("\nfunction 7") < said.find("\nfunction 6"));
    let said = sandbox.says(&["explain", "old.wat", "new.wat", "--top", "1"]);
    assert_eq!(said.matches("\nfunction ").count(), 1);
    assert!(said.contains("and 4 more; --top 5 shows all"), "{said}");
    let said = sandbox.says(&["explain", "old.wat", "new.wat", "--top", "0"]);
    assert_eq!(said.matches("\nfunction ").count(), 0);

    let json = sandbox.json(&["explain", "old.wat", "new.wat", "--json", "--top", "2"]);
    assert_eq!(json["total"]["functions"], 9);
    assert_eq!(json["lost"]["functions"], 5);
    let functions = json["functions"].as_array().unwrap();
    let with_diff = functions
        .iter()
        .filter(|function| !function["diff"].is_null());
    assert_eq!(with_diff.count(), 2);
    let bytes = |part: &str| json[part]["body_bytes"].as_u64().unwrap();
    assert_eq!(bytes("total"), bytes("lost") + bytes("found"));
    let causes = json["causes"].as_array().unwrap();
    let counts = causes
        .iter()
        .map(|cause| cause["functions"].as_u64().unwrap());
    assert_eq!(counts.sum::<u64>(), 9);
    assert_eq!(json["changes"][0]["cause"], "table");
    assert_eq!(json["changes"][0]["alone"], 1);
}

#[test]
fn a_function_is_shown_by_name_or_index() {
    let sandbox = Sandbox::new();
    large(&sandbox);
    let whole = sandbox.says(&["explain", "old.wat", "new.wat", "f7"]);
    assert!(whole.starts_with("function 7 \"f7\", "), "{whole}");
    assert!(whole.contains("compiled: body changed"), "{whole}");
    assert!(whole.contains("+  i32.const 1706"), "{whole}");
    for name in ["7", "$f7", "7\n"] {
        let name = name.trim();
        assert_eq!(
            sandbox.says(&["explain", "old.wat", "new.wat", name]),
            whole
        );
    }
    assert!(
        sandbox
            .says(&["explain", "old.wat", "new.wat", "add"])
            .contains("\"added\"")
    );
    let json = sandbox.json(&["explain", "old.wat", "new.wat", "0", "--json"]);
    assert_eq!(json["name"], "c");
    assert_eq!(json["diff"], "");

    let explain = |name| [&["explain", "old.wat", "new.wat"], &[name][..]].concat();
    sandbox.fails(
        &explain("99"),
        1,
        "no function 99: those that it defines are 0 to 8",
    );
    sandbox.fails(
        &explain("nobody"),
        1,
        "no function of the new module is called `nobody`",
    );
    sandbox.fails(&explain("f"), 1, "say which by its index: 1 \"f1\"");
    sandbox.write("new.wat", "(module (import \"a\" \"b\" (func)) (func))");
    sandbox.fails(&explain("0"), 1, "function 0 of the new module is imported");
}

#[test]
fn bad_input() {
    let sandbox = Sandbox::new();
    sandbox.write("good.wat", "(module (func))");
    sandbox.write("bad.wat", "(module");
    sandbox.write("bad.wasm", b"\0asm\x01\0\0\0\x01");
    sandbox.write("component.wat", "(component)");
    sandbox.fails(&["explain", "good.wat", "none.wat"], 1, "none.wat");
    sandbox.fails(&["explain", "bad.wat", "good.wat"], 1, "bad.wat");
    sandbox.fails(&["explain", "good.wat", "bad.wasm"], 1, "bad.wasm");
    let unbundle = "wasm-tools component unbundle";
    sandbox.fails(&["explain", "good.wat", "component.wat"], 1, unbundle);
    sandbox.fails(
        &["explain", "component.wat", "good.wat"],
        1,
        "first input is a component",
    );
    sandbox.fails(&["explain", "good.wat"], 2, "");
    sandbox.fails(&["explain", "-", "-"], 2, "standard input");
    let plain = ["explain", "-D", "debug-info", "good.wat", "good.wat"];
    sandbox.fails(&plain, 1, "there is nothing to explain");
    // A module without functions has nothing to explain.
    sandbox.write("empty.wat", "(module)");
    let said = sandbox.says(&["explain", "good.wat", "empty.wat"]);
    assert!(said.contains("0 of 0 functions"), "{said}");
    sandbox.fails(
        &["explain", "good.wat", "empty.wat", "0"],
        1,
        "no function 0",
    );
}

#[test]
fn without_address_slots_addresses_are_in_the_code() {
    let sandbox = Sandbox::new();
    let old = "(module (memory 1) (data (i32.const 1024) \"a\")
        (func $f (param i32) (result i32) (i32.load (i32.add (local.get 0) (i32.const 5130)))))";
    sandbox.write("old.wat", old);
    sandbox.write("new.wat", old.replace("5130", "5210"));
    let explain = ["explain", "old.wat", "new.wat", "0", "--no-cache", "--json"];
    assert_eq!(sandbox.json(&explain)["cause"], "addresses_moved");
    assert_eq!(sandbox.json(&explain)["unsure"], true);
    let without = [&explain[..], &["--no-address-slots"]].concat();
    assert_eq!(sandbox.json(&without)["cause"], "addresses");
}

#[test]
fn what_is_not_known_before_compiling_is_said() {
    let sandbox = Sandbox::new();
    let old = "(module (memory 1) (data (i32.const 1024) \"a\"))";
    let f = "(func (param i32) (result i32) (i32.load (i32.add (local.get 0) (i32.const 5130))))";
    let moved = f.replace("5130", "5210");
    sandbox.write("old.wat", old);
    sandbox.write("one.wat", old.replace("))", &format!(") {f})")));
    sandbox.write("two.wat", old.replace("))", &format!(") {f} {moved})")));
    sandbox.write("moved.wat", old.replace("))", &format!(") {moved})")));
    let duplicate = sandbox.says(&["explain", "old.wat", "two.wat"]);
    assert!(
        duplicate.contains("1 are the same as another"),
        "{duplicate}"
    );
    assert!(
        !duplicate.contains("The cache does not have it"),
        "{duplicate}"
    );
    let unknown = sandbox.says(&["explain", "one.wat", "moved.wat", "--no-cache"]);
    assert!(unknown.contains("The cache does not have it"), "{unknown}");
    assert!(!unknown.contains("the same as another"), "{unknown}");
}

/// The directory of real modules, if it is there.
fn corpus() -> Option<PathBuf> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../corpus");
    if corpus.is_dir() {
        return Some(corpus.canonicalize().unwrap());
    }
    println!("SKIPPED: there is no corpus; `cargo xtask corpus` fetches it");
    None
}

#[test]
fn upgrades_of_real_modules_agree_with_compiles() {
    let Some(corpus) = corpus() else { return };
    let sandbox = Sandbox::new();
    for (old, new) in [
        ("quickjs-0.29.1.wasm", "quickjs-0.29.2.wasm"),
        ("anan-as-1.0.0-a9b8141.wasm", "anan-as-1.2.0.wasm"),
        ("recast-0.43.0.wasm", "recast-0.43.1.wasm"),
        // Code of two duplicates does not take the other's addresses.
        ("davey-0.1.11.wasm", "davey-0.1.12.wasm"),
    ] {
        let (old, new) = (corpus.join(old), corpus.join(new));
        if !old.is_file() || !new.is_file() {
            println!("SKIPPED: {} is not there", old.display());
            continue;
        }
        let explanation = sandbox.agrees(&old, &new);
        for function in explanation["functions"].as_array().unwrap() {
            let outside = !["body", "new"].contains(&function["cause"].as_str().unwrap());
            let lost = function["is_lost"] == true;
            let told = !function["changes"].as_array().unwrap().is_empty();
            assert!(!lost || !outside || told, "{function}");
        }
        sandbox.agrees(&new, &old);
    }
}
