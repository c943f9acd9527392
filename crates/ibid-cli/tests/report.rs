//! `ibid report`, as its users meet it: the page, the data in it, and both in a browser.

mod common;

use common::Sandbox;
use serde_json::Value;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Names that would break a page that did not expect them.
const NAMES: [&str; 4] = [
    "</script><img src=x onerror=alert(1)>",
    r#"quo\"ted & 'größe' 函数 🦀"#,
    "<!--<script>",
    "/*data*/ /*script*/",
];

/// A module with functions of these names, one that loads from `address`, and one that is edited.
fn module(address: u32, edited: u32) -> String {
    let named: String = (0..).zip(NAMES).map(named).collect();
    format!(
        r#"(module
            (memory (export "memory") 64)
            (data (i32.const {address}) "data")
            (func $load (export "load") (result i32) (i32.load (i32.const {address})))
            (func $edited (result i32) (i32.const {edited}))
            {named})"#
    )
}

fn named((number, name): (u32, &str)) -> String {
    format!(
        "(func $\"{name}\" (param i32) (result i32) (i32.rotl (i32.mul (local.get 0) (i32.const 9)) (i32.const {number})))"
    )
}

#[track_caller]
fn succeeds(sandbox: &Sandbox, arguments: &[&str]) -> Output {
    let output = sandbox.ibid(arguments);
    common::succeeds(&output);
    output
}

/// The data in a page.
#[track_caller]
fn data(page: &str) -> Value {
    let (_, behind) = page.split_once(r#" id="data">"#).unwrap();
    let (data, _) = behind.split_once("</script>").unwrap();
    serde_json::from_str(data).unwrap()
}

fn write(sandbox: &Sandbox, name: &str, text: &str) -> String {
    sandbox.write(name, text);
    name.to_string()
}

/// How many functions say that they were found in the way `found`.
fn count(input: &Value, found: &str) -> u64 {
    let functions = input["details"]["functions"].as_array().unwrap();
    let of = |function: &&Value| function["found"] == found;
    functions.iter().filter(of).count() as u64
}

#[test]
fn the_page_says_what_the_report_says() {
    let sandbox = Sandbox::new();
    write(&sandbox, "a.wat", &module(1_048_600, 1));
    write(&sandbox, "b.wat", &module(2_000_000, 2));
    let output = succeeds(
        &sandbox,
        &["report", "a.wat", "a.wat", "b.wat", "-o", "out.html"],
    );
    assert!(output.stdout.is_empty() && output.stderr.is_empty());
    let page = std::fs::read_to_string(sandbox.path("out.html")).unwrap();
    let data = data(&page);
    let inputs = data["inputs"].as_array().unwrap();
    let names: Vec<&Value> = inputs.iter().map(|input| &input["input"]).collect();
    assert_eq!(names, ["a.wat", "a.wat", "b.wat"]);
    for input in inputs {
        let counts = &input["report"]["functions"];
        for (found, counted) in [
            ("exact_body", "exact_body"),
            ("stencil", "stencil"),
            ("clif", "clif"),
            ("duplicate", "duplicates"),
            ("compiled", "compiled"),
        ] {
            assert_eq!(count(input, found), counts[counted], "{found}");
        }
        let functions = input["details"]["functions"].as_array().unwrap();
        assert_eq!(functions.len() as u64, counts["total"]);
        let code: u64 = functions
            .iter()
            .map(|one| one["code_bytes"].as_u64().unwrap())
            .sum();
        assert!(code > 0 && code <= input["report"]["code_bytes"]["total"].as_u64().unwrap());
        let spans = input["details"]["spans"].as_array().unwrap();
        assert!(spans.iter().any(|span| span["phase"] == "link"));
    }
    assert_eq!(count(&inputs[0], "compiled"), 6);
    // Nothing of it is a whole artifact, which says nothing of its functions.
    assert_eq!(count(&inputs[1], "exact_body"), 6);
    assert_eq!(count(&inputs[2], "compiled"), 1);
    // The one that loads from where data was and is not any more.
    assert_eq!(count(&inputs[2], "stencil"), 1);
    assert_eq!(inputs[2]["report"]["address_slots"]["functions"], 1);
    // No artifact, and nothing else.
    assert!(!sandbox.path("a.cwasm").exists() && !sandbox.path("report.html").exists());
}

#[test]
fn names_are_text_and_nothing_else() {
    let sandbox = Sandbox::new();
    write(&sandbox, "named.wat", &module(1_048_600, 1));
    succeeds(&sandbox, &["report", "named.wat"]);
    let page = std::fs::read_to_string(sandbox.path("report.html")).unwrap();
    let data = data(&page);
    let functions = data["inputs"][0]["details"]["functions"]
        .as_array()
        .unwrap();
    let names: Vec<&str> = functions
        .iter()
        .filter_map(|one| one["name"].as_str())
        .collect();
    for name in NAMES {
        let name = name.replace("\\\"", "\"");
        assert!(names.contains(&name.as_str()), "{name}");
    }
    assert_eq!(page.matches("<script").count(), 2);
    assert_eq!(page.matches("</script").count(), 2);
    assert!(!page.contains("<img") && !page.contains("<!--"));
}

#[test]
fn what_is_compiled_plainly_has_a_page_too() {
    let sandbox = Sandbox::new();
    write(&sandbox, "a.wat", &module(1_048_600, 1));
    let output = succeeds(
        &sandbox,
        &[
            "report",
            "--no-cache",
            "-D",
            "debug-info",
            "a.wat",
            "-o",
            "-",
        ],
    );
    let data = data(&String::from_utf8(output.stdout).unwrap());
    let input = &data["inputs"][0];
    assert!(input["report"]["plain"].is_string() && input["details"].is_null());
    assert!(!sandbox.path("cache").exists());
}

#[test]
fn an_input_that_is_refused_leaves_the_page_as_it_was() {
    let sandbox = Sandbox::new();
    write(&sandbox, "a.wat", &module(1_048_600, 1));
    write(&sandbox, "bad.wat", "(module (func (result i32)))");
    write(&sandbox, "report.html", "before");
    let output = sandbox
        .command(&["report", "a.wat", "bad.wat"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let page = std::fs::read_to_string(sandbox.path("report.html")).unwrap();
    assert_eq!(page, "before");
    assert_eq!(
        std::fs::read_dir(sandbox.directory.path()).unwrap().count(),
        4
    );
}

/// A module with as many functions as esbuild's larger relatives, long and short.
fn large() -> String {
    let function = |number: u32| {
        let steps = 1 + if number.is_multiple_of(97) {
            60
        } else {
            number % 7
        };
        let steps: String = (0..steps)
            .map(|step| format!("(local.set 0 (i32.rotl (i32.xor (local.get 0) (i32.const {number})) (i32.const {step})))"))
            .collect();
        format!(
            "(func $\"example.org/package{}/file.function{number}\" (param i32) (result i32) {steps} (local.get 0))",
            number % 40
        )
    };
    let functions: String = (0..13_000).map(function).collect();
    format!("(module {functions})")
}

/// Where the browser's test is, and what it runs with; or what is missing.
fn browser() -> Result<(PathBuf, PathBuf), &'static str> {
    let test = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser");
    let program = |name: &str| {
        let path = std::env::var_os("PATH")?;
        let mut found = std::env::split_paths(&path).map(|directory| directory.join(name));
        found.find(|file| file.is_file())
    };
    program("node").ok_or("no node")?;
    let chromium = std::env::var_os("IBID_TEST_CHROMIUM").map(PathBuf::from);
    let chromium = chromium
        .or_else(|| program("chromium"))
        .or_else(|| program("chromium-browser"))
        .or_else(|| program("google-chrome"))
        .ok_or("no chromium")?;
    let modules = ["playwright-core", "axe-core"].map(|name| test.join("node_modules").join(name));
    if !modules.iter().all(|module| module.is_dir()) {
        return Err("no modules: run `npm ci` in crates/ibid-cli/tests/browser");
    }
    Ok((test, chromium))
}

#[test]
fn the_page_works_in_a_browser() {
    let (test, chromium) = match browser() {
        Ok(found) => found,
        Err(missing) => {
            let required = std::env::var("IBID_TEST_BROWSER").is_ok_and(|it| it == "required");
            assert!(!required, "{missing}");
            // Past what keeps the output of tests that pass.
            let line = format!("SKIPPED: the report's page in a browser: {missing}\n");
            std::io::stderr().write_all(line.as_bytes()).unwrap();
            return;
        }
    };
    let sandbox = Sandbox::new();
    write(&sandbox, "a.wat", &module(1_048_600, 1));
    write(&sandbox, "b.wat", &module(2_000_000, 2));
    write(&sandbox, "large.wat", &large());
    succeeds(&sandbox, &["report", "a.wat", "b.wat", "-o", "small.html"]);
    succeeds(&sandbox, &["report", "large.wat", "-o", "large.html"]);
    succeeds(
        &sandbox,
        &["report", "-D", "debug-info", "a.wat", "-o", "plain.html"],
    );
    let output = Command::new("node")
        .arg(test.join("page.mjs"))
        .args(["small.html", "large.html", "plain.html"].map(|name| sandbox.path(name)))
        .env("IBID_TEST_CHROMIUM", chromium)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
