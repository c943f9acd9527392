//! The command, as its users meet it.

mod common;

use common::{Sandbox, fails, plain, stderr, succeeds};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

const SIMPLE: &str = r#"(module (func $f (export "f") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1))))"#;

impl Sandbox {
    /// The names of the files in the sandbox.
    fn files(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != "cache")
            .collect();
        names.sort();
        names
    }
}

fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).expect("one JSON object on standard output")
}

#[test]
fn the_artifact_is_that_of_a_default_wasmtime() {
    let sandbox = Sandbox::new();
    sandbox.write("in.wat", SIMPLE);
    let output = sandbox.ibid(&["compile", "in.wat"]);
    succeeds(&output);
    assert!(output.stdout.is_empty() && output.stderr.is_empty());
    assert_eq!(
        std::fs::read(sandbox.path("in.cwasm")).unwrap(),
        plain(SIMPLE)
    );
    assert_eq!(sandbox.files(), ["in.cwasm", "in.wat"]);
}

#[test]
fn the_second_compile_reuses_the_first_and_the_third_knows_the_whole() {
    let sandbox = Sandbox::new();
    sandbox.write("in.wat", SIMPLE);
    let run = || {
        json(succeeds(&sandbox.ibid(&[
            "compile",
            "in.wat",
            "--stats=json",
        ])))
    };
    let (first, second, third) = (run(), run(), run());
    assert_eq!(first["functions"]["compiled"], 1);
    assert_eq!(second["functions"]["compiled"], 0);
    assert_eq!(second["functions"]["exact_body"], 1);
    assert_eq!(third["whole_artifact"], true);
    for report in [first, second, third] {
        assert_eq!(report["functions"]["total"], 1);
        assert!(report["code_bytes"]["total"].as_u64() >= report["code_bytes"]["reused"].as_u64());
        assert!(report["time_ms"]["total"].as_f64() > Some(0.0));
        assert_eq!(report["plain"], serde_json::Value::Null);
    }
    assert_eq!(
        std::fs::read(sandbox.path("in.cwasm")).unwrap(),
        plain(SIMPLE)
    );
}

#[test]
fn a_dash_is_standard_input_and_output() {
    let sandbox = Sandbox::new();
    for arguments in [&["compile", "-", "-o", "-"][..], &["compile", "-"]] {
        let mut child = sandbox
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(SIMPLE.as_bytes())
            .unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(succeeds(&output).stdout, plain(SIMPLE));
    }
    assert!(sandbox.files().is_empty());
}

#[test]
fn wasmtimes_own_options_apply() {
    let sandbox = Sandbox::new();
    sandbox.write("in.wat", SIMPLE);
    succeeds(&sandbox.ibid(&[
        "compile",
        "-O",
        "opt-level=0",
        "-W",
        "fuel=1",
        "-D",
        "address-map=n",
        "in.wat",
    ]));
    let mut config = wasmtime::Config::new();
    config
        .cranelift_opt_level(wasmtime::OptLevel::None)
        .consume_fuel(true)
        .generate_address_map(false);
    let plain = wasmtime::Engine::new(&config)
        .unwrap()
        .precompile_module(SIMPLE.as_bytes())
        .unwrap();
    assert_eq!(std::fs::read(sandbox.path("in.cwasm")).unwrap(), plain);
}

#[test]
fn a_component_is_told_from_a_module() {
    const COMPONENT: &str = r#"(component
        (core module $m (func (export "f") (result i32) i32.const 42))
        (core instance $m (instantiate $m))
        (func (export "f") (result u32) (canon lift (core func $m "f"))))"#;
    let sandbox = Sandbox::new();
    sandbox.write("in.wat", COMPONENT);
    let plain = wasmtime::Engine::default()
        .precompile_component(COMPONENT.as_bytes())
        .unwrap();
    for compiled in [1, 0] {
        let report = json(&sandbox.ibid(&["compile", "in.wat", "--verify", "--stats=json"]));
        assert_eq!(report["functions"]["compiled"], compiled);
        assert_eq!(std::fs::read(sandbox.path("in.cwasm")).unwrap(), plain);
    }
    sandbox.write(
        "bad.wat",
        "(component (import \"f\" (func)) (export \"f\" (func 7)))",
    );
    let output = sandbox.ibid(&["compile", "bad.wat"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(!sandbox.path("bad.cwasm").exists());
}

#[test]
fn no_cache_reads_and_writes_none() {
    let sandbox = Sandbox::new();
    sandbox.write("in.wat", SIMPLE);
    for _ in 0..2 {
        let report = json(&sandbox.ibid(&["compile", "--no-cache", "in.wat", "--stats=json"]));
        assert_eq!(report["functions"]["compiled"], 1);
    }
    assert!(!sandbox.path("cache").exists());
}

#[test]
fn verify_compares_what_was_reused() {
    let sandbox = Sandbox::new();
    sandbox.write("in.wat", SIMPLE);
    succeeds(&sandbox.ibid(&["compile", "in.wat"]));
    let report = json(&sandbox.ibid(&["compile", "in.wat", "--verify", "--stats=json"]));
    assert_eq!(report["functions"]["compiled"], 0);
    assert!(report["verified"].as_u64() >= Some(1));
}

#[test]
fn bad_input_is_exit_1_with_wasmtimes_message_and_no_output() {
    let sandbox = Sandbox::new();
    sandbox.write("type.wat", "(module (func (result i32)))");
    sandbox.write("text.wat", "(module (fun))");
    sandbox.write("empty.wasm", "");
    sandbox.write("cut.wasm", &wat::parse_str(SIMPLE).unwrap()[..45]);
    let component = wat::parse_str("(component (core module))").unwrap();
    sandbox.write("component.wasm", &component[..component.len() - 1]);
    let before = sandbox.files();
    for (input, message) in [
        (
            "type.wat",
            "type mismatch: expected i32 but nothing on stack",
        ),
        ("text.wat", "expected valid module field"),
        ("empty.wasm", "expected at least one module field"),
        ("cut.wasm", "unexpected end"),
        ("component.wasm", "contains an invalid module section"),
        ("missing.wasm", "cannot read `missing.wasm`"),
    ] {
        fails(&sandbox.ibid(&["compile", input]), 1, message);
    }
    assert_eq!(sandbox.files(), before);
    let entries = json(&sandbox.ibid(&["cache", "stats", "--json"]))["entries"].clone();
    assert!(
        entries.as_u64() <= Some(1),
        "only the self-check's answer is stored: {entries}"
    );
}

#[test]
fn an_output_that_cannot_be_written_is_exit_1() {
    let sandbox = Sandbox::new();
    sandbox.write("in.wat", SIMPLE);
    fails(
        &sandbox.ibid(&["compile", "in.wat", "-o", "no/such/out.cwasm"]),
        1,
        "cannot write `no/such/out.cwasm`",
    );
    fails(
        &sandbox.ibid(&["compile", "in.wat", "-o", "no/such/out.cwasm"]),
        1,
        "make the directory `no/such` first",
    );
}

/// As `head` goes, once it has the lines that it wants.
#[test]
fn who_reads_may_go_away() {
    let sandbox = Sandbox::new();
    sandbox.write("in.wat", SIMPLE);
    for arguments in [
        &["compile", "in.wat", "-o", "-"][..],
        &["compile", "-O", "help"],
        &["compile", "in.wat", "--stats=json"],
        &["explain", "in.wat", "in.wat"],
        &["plan", "in.wat"],
        &["completions", "bash"],
        &["man"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = sandbox.command(arguments);
        let output = command.stdout(writer).output().unwrap();
        assert_eq!(output.status.code(), Some(141), "{arguments:?}");
        assert_eq!(stderr(&output), "", "{arguments:?}");
    }
}

#[test]
fn bad_usage_is_exit_2_and_says_what_would_be_right() {
    let sandbox = Sandbox::new();
    sandbox.write("in.wat", SIMPLE);
    for (arguments, message) in [
        (&["compile"][..], "IN.wasm"),
        (
            &["compile", "in.wat", "--stats=yes"],
            "possible values: human, json",
        ),
        (
            &["compile", "in.wat", "--no-cache", "--cache", "x"],
            "cannot be used with",
        ),
        (
            &["compile", "in.wat", "-O", "speed=9"],
            "unknown -O / --optimize option",
        ),
        (
            &["compile", "in.wat", "-o", "-", "--stats=json"],
            "cannot both go to standard output",
        ),
        (
            &["compile", "in.wat", "--target", "no-such-target"],
            "Unrecognized architecture: no",
        ),
        (&["compose"], "unrecognized subcommand"),
    ] {
        fails(&sandbox.ibid(arguments), 2, message);
    }
    assert_eq!(sandbox.files(), ["in.wat"]);
}

#[test]
fn a_cache_that_cannot_be_used_is_a_warning() {
    let sandbox = Sandbox::new();
    sandbox.write("in.wat", SIMPLE);
    sandbox.write("file", "");
    let unusable = [
        sandbox.path("file").join("below"),
        damaged(&sandbox, "truncated", |file| file.set_len(5000).unwrap()),
        damaged(&sandbox, "foreign", |mut file| {
            file.write_all(&[7; 64]).unwrap()
        }),
    ];
    for cache in unusable {
        let output = sandbox.ibid(&["compile", "in.wat", "--cache", cache.to_str().unwrap()]);
        assert!(
            stderr(succeeds(&output)).starts_with("warning: "),
            "{}",
            stderr(&output)
        );
        assert_eq!(
            std::fs::read(sandbox.path("in.cwasm")).unwrap(),
            plain(SIMPLE)
        );
    }
}

/// A cache whose data file was changed.
fn damaged(sandbox: &Sandbox, name: &str, change: impl Fn(std::fs::File)) -> PathBuf {
    let cache = sandbox.path(name);
    succeeds(&sandbox.ibid(&["compile", "in.wat", "--cache", cache.to_str().unwrap()]));
    let data = find(&cache, "data.mdb").expect("the cache has a data file");
    change(std::fs::OpenOptions::new().write(true).open(data).unwrap());
    cache
}

fn find(directory: &Path, name: &str) -> Option<PathBuf> {
    std::fs::read_dir(directory).unwrap().find_map(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            find(&path, name)
        } else {
            path.file_name()
                .is_some_and(|file| file == name)
                .then_some(path)
        }
    })
}

#[test]
fn the_cache_is_found_measured_and_cleared() {
    let sandbox = Sandbox::new();
    sandbox.write("in.wat", SIMPLE);
    let path = String::from_utf8(sandbox.ibid(&["cache", "path"]).stdout).unwrap();
    assert_eq!(
        Path::new(path.trim_end()),
        sandbox.path("cache").join("ibid")
    );
    succeeds(&sandbox.ibid(&["compile", "in.wat"]));
    let entries = || {
        json(&sandbox.ibid(&["cache", "stats", "--json"]))["entries"]
            .as_u64()
            .unwrap()
    };
    assert!(entries() > 1);
    let human = sandbox.ibid(&["cache", "stats"]);
    assert!(String::from_utf8_lossy(&human.stdout).contains("on disk"));
    succeeds(&sandbox.ibid(&["cache", "clear"]));
    assert_eq!(entries(), 0);
    succeeds(&sandbox.ibid(&["cache", "clear"]));
}

#[test]
fn several_processes_share_a_cache() {
    let sandbox = Sandbox::new();
    let texts: Vec<String> = (0..6)
        .map(|i| {
            let own = format!("(func (result i32) (i32.const {i}))");
            SIMPLE.replacen("(func", &format!("{own} (func"), 1)
        })
        .collect();
    let children: Vec<_> = texts
        .iter()
        .enumerate()
        .map(|(i, text)| {
            sandbox.write(&format!("{i}.wat"), text);
            sandbox
                .command(&["compile", &format!("{i}.wat")])
                .spawn()
                .unwrap()
        })
        .collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    for (i, text) in texts.iter().enumerate() {
        assert_eq!(
            std::fs::read(sandbox.path(&format!("{i}.cwasm"))).unwrap(),
            plain(text)
        );
        let report = json(&sandbox.ibid(&["compile", &format!("{i}.wat"), "--stats=json"]));
        assert_eq!(report["functions"]["compiled"], 0);
    }
}
