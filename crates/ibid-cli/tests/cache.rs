//! The cache, as those keep it who run it in production.

mod common;

use common::{Sandbox, fails, stderr};
use std::path::Path;
use std::process::Stdio;

/// A module of functions that give these numbers.
fn module(numbers: impl IntoIterator<Item = u32>) -> String {
    let functions = numbers.into_iter().map(|number| {
        format!("(func (param i32) (result i32) (i32.mul (local.get 0) (i32.const {number})))")
    });
    format!("(module {})", functions.collect::<String>())
}

impl Sandbox {
    /// How many functions are compiled.
    #[track_caller]
    fn compiled(&self, arguments: &[&str]) -> u64 {
        let arguments = [&["compile", "--stats=json"], arguments].concat();
        let report = self.json(&arguments);
        report["functions"]["compiled"].as_u64().unwrap()
    }

    /// Damages values in the cache's data file.
    fn damage(&self, cache: &str, find: &[u8]) -> usize {
        let path = self.path(cache).join("v2/data.mdb");
        let mut bytes = std::fs::read(&path).unwrap();
        let mut places: Vec<usize> = Vec::new();
        for place in 0..bytes.len() - find.len() {
            if bytes[place..].starts_with(find) {
                places.push(place);
            }
        }
        for place in &places {
            bytes[*place] ^= 1;
        }
        std::fs::write(&path, bytes).unwrap();
        places.len()
    }
}

#[test]
fn a_plan_is_what_the_compile_does() {
    let sandbox = Sandbox::new();
    sandbox.write("in.wat", module(0..40));
    let plan = || sandbox.json(&["plan", "--json", "in.wat"]);
    let first = plan();
    assert_eq!(first["functions"]["compiled"], 40);
    assert_eq!(first["estimated_ms"], serde_json::Value::Null);
    assert!(
        sandbox
            .says(&["plan", "in.wat"])
            .contains("40 of 40 functions to compile")
    );
    // A plan stores nothing.
    assert_eq!(plan()["functions"], first["functions"]);
    assert_eq!(sandbox.compiled(&["in.wat"]), 40);

    let ready = sandbox.says(&["plan", "in.wat"]);
    assert!(
        ready.contains("ready, all 40 functions are there"),
        "{ready}"
    );
    sandbox.write("in.wat", module((0..40).chain(100..103)));
    assert_eq!(plan()["functions"]["compiled"], 3);
    assert_eq!(sandbox.compiled(&["in.wat"]), 3);
}

#[test]
fn a_plan_over_a_broken_cache_is_one_without() {
    let sandbox = Sandbox::new();
    sandbox.write("in.wat", module(0..4));
    sandbox.write("cache", "a file");
    let output = sandbox.ibid(&["plan", "in.wat"]);
    assert!(output.status.success());
    assert!(stderr(&output).contains("warning"), "{}", stderr(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains("4 of 4 functions"));
    sandbox.write("bad.wat", "(module");
    fails(&sandbox.ibid(&["plan", "bad.wat"]), 1, "bad.wat");
}

#[test]
fn garbage_is_collected() {
    let sandbox = Sandbox::new();
    sandbox.write("in.wat", module(0..200));
    sandbox.says(&["compile", "in.wat", "--cache", "here"]);
    let collected = sandbox.json(&["cache", "gc", "--json", "--cache", "here"]);
    assert_eq!(collected["compacted"], false);
    assert_eq!(collected["bytes_before"], collected["bytes_after"]);
    assert!(
        sandbox
            .says(&["cache", "gc", "--cache", "here"])
            .contains("0 entries removed")
    );
    assert_eq!(sandbox.compiled(&["in.wat", "--cache", "here"]), 0);
}

#[test]
fn the_size_is_limited_by_option_or_environment() {
    let sandbox = Sandbox::new();
    let limit = |arguments: &[&str], size: Option<&str>| {
        let mut command = sandbox.command(&[&["cache", "stats", "--json"], arguments].concat());
        command.envs(size.map(|size| ("IBID_CACHE_SIZE", size)));
        let output = command.output().unwrap();
        let stats: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        stats["max_bytes"].as_u64().unwrap()
    };
    assert_eq!(limit(&[], None), 5 << 30);
    assert_eq!(limit(&[], Some("64MiB")), 64 << 20);
    assert_eq!(limit(&["--cache-size", "32MiB"], Some("64MiB")), 32 << 20);
    for wrong in ["much", "0", "-1"] {
        let size = format!("--cache-size={wrong}");
        let output = sandbox.ibid(&["cache", "stats", &size]);
        fails(&output, 2, "--cache-size");
    }
}

#[test]
fn damaged_entries_are_found_and_removed() {
    let sandbox = Sandbox::new();
    // A number that every function's body in the cache has, and little else.
    sandbox.write("in.wat", module([0x1234_5678]));
    sandbox.says(&["compile", "in.wat", "--cache", "here"]);
    let intact = sandbox.json(&["cache", "verify", "--json", "--cache", "here"]);
    assert!(intact["entries"].as_u64().unwrap() > 1);
    assert_eq!(intact["damaged"], 0);
    assert!(sandbox.damage("here", &0x1234_5678u32.to_le_bytes()) > 0);

    let verify = ["cache", "verify", "--json", "--cache", "here"];
    let output = sandbox.ibid(&verify);
    fails(&output, 1, "--repair");
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(found["damaged"].as_u64().unwrap() > 0);
    let repaired = sandbox.json(&[&verify[..], &["--repair"]].concat());
    assert_eq!(repaired["damaged"], found["damaged"]);
    assert_eq!(repaired["removed"], found["damaged"]);
    assert_eq!(sandbox.json(&verify)["damaged"], 0);
    assert_eq!(sandbox.compiled(&["in.wat", "--cache", "here"]), 1);
}

#[test]
fn a_sample_is_compiled_again() {
    let sandbox = Sandbox::new();
    sandbox.write("in.wat", module(0..30));
    sandbox.says(&["compile", "in.wat"]);
    let recompiled = |arguments: &[&str]| {
        let arguments = [
            &["cache", "verify", "--json", "--recompile", "in.wat"],
            arguments,
        ];
        let verified = sandbox.json(&arguments.concat());
        verified["functions_recompiled"].as_u64().unwrap()
    };
    assert_eq!(recompiled(&["--sample", "7"]), 7);
    assert!(recompiled(&[]) >= 30);
}

#[test]
fn a_cache_is_taken_elsewhere() {
    let sandbox = Sandbox::new();
    sandbox.write("in.wat", module(0..10));
    sandbox.says(&["compile", "in.wat", "--cache", "here"]);
    let exported = sandbox.says(&["cache", "export", "all.ibid", "--cache", "here"]);
    assert!(exported.contains("entries exported"), "{exported}");
    sandbox.says(&["cache", "import", "all.ibid", "--cache", "there"]);
    assert_eq!(sandbox.compiled(&["in.wat", "--cache", "there"]), 0);

    // Through a pipe.
    let piped = sandbox.ibid(&["cache", "export", "-", "--cache", "here"]);
    assert_eq!(
        piped.stdout,
        std::fs::read(sandbox.path("all.ibid")).unwrap()
    );
    let mut import = sandbox.command(&["cache", "import", "-", "--cache", "elsewhere"]);
    let mut child = import.stdin(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), &piped.stdout).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(sandbox.compiled(&["in.wat", "--cache", "elsewhere"]), 0);

    // What is cut short is taken in as far as it goes, and is an error.
    let half = &piped.stdout[..piped.stdout.len() / 2];
    sandbox.write("half.ibid", half);
    let import = |name: &str| sandbox.ibid(&["cache", "import", name, "--cache", "half"]);
    fails(&import("half.ibid"), 1, "half.ibid");
    fails(&import("in.wat"), 1, "in.wat");
    fails(&import("absent"), 1, "absent");
}

#[test]
#[cfg(unix)]
fn entries_are_authenticated_on_request() {
    use std::os::unix::fs::PermissionsExt as _;
    let sandbox = Sandbox::new();
    sandbox.write("in.wat", module(0..10));
    let key = |name: &str, bytes: &[u8], mode| {
        sandbox.write(name, bytes);
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(sandbox.path(name), permissions).unwrap();
    };
    key("one.key", &[1; 32], 0o600);
    key("other.key", &[2; 32], 0o600);
    let one = ["in.wat", "--cache-key-file", "one.key"];
    let other = ["in.wat", "--cache-key-file", "other.key"];
    for compiled in [10, 0, 0] {
        assert_eq!(sandbox.compiled(&one), compiled);
    }
    // Neither another key nor none takes what was made with this one.
    assert_eq!(sandbox.compiled(&other), 10);
    assert_eq!(sandbox.compiled(&["in.wat"]), 10);

    // The environment says it, too. The whole artifact is still there, for those who have the key.
    let mut command = sandbox.command(&["compile", "in.wat", "--stats=json"]);
    let output = command
        .env("IBID_CACHE_KEY_FILE", "one.key")
        .output()
        .unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["functions"]["compiled"], 0);

    // Whoever asks for authentication does not go without.
    key("short.key", &[1; 31], 0o600);
    key("open.key", &[1; 32], 0o644);
    for (name, message) in [
        ("short.key", "32"),
        ("open.key", "chmod"),
        ("absent.key", "absent.key"),
    ] {
        let output = sandbox.ibid(&["compile", "in.wat", "--cache-key-file", name]);
        fails(&output, 1, message);
    }
}

#[test]
#[cfg(unix)]
fn a_cache_that_others_could_have_changed_is_not_used() {
    use std::os::unix::fs::PermissionsExt as _;
    let sandbox = Sandbox::new();
    sandbox.write("in.wat", module(0..10));
    sandbox.says(&["compile", "in.wat", "--cache", "here"]);
    let mode = |mode| {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(sandbox.path("here"), permissions).unwrap();
    };
    mode(0o777);
    let output = sandbox.ibid(&["compile", "in.wat", "--cache", "here", "--stats=json"]);
    assert!(output.status.success());
    assert!(
        stderr(&output).contains("others may write to it"),
        "{}",
        stderr(&output)
    );
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["functions"]["compiled"], 10);
    assert!(Path::new(&sandbox.path("in.cwasm")).exists());
    fails(
        &sandbox.ibid(&["cache", "stats", "--cache", "here"]),
        1,
        "chmod",
    );
    mode(0o700);
    assert_eq!(sandbox.compiled(&["in.wat", "--cache", "here"]), 0);
}
