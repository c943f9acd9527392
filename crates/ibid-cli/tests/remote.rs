//! A cache that machines share, as those use it who have the command.

mod common;
// The servers and the proxy are those of the remote's own tests.
#[path = "../../ibid-remote/tests/support/elsewhere.rs"]
mod support;

use common::{Sandbox, stderr, succeeds};
use serde_json::Value;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use support::{BUCKET, Blackhole, Faults, Proxy, S3};

/// A module of so many functions, of which one gives `number`.
fn module(functions: u32, number: u32) -> String {
    let function = |index: u32| {
        let number = if index == functions / 2 {
            number
        } else {
            index
        };
        format!(
            "(func (param i32) (result i32) (i32.mul (local.get 0) (i32.const {number})) (i32.add (i32.const 3)))"
        )
    };
    format!(
        "(module {})",
        (0..functions).map(function).collect::<String>()
    )
}

impl Sandbox {
    /// With a writer's key, a list of it, and a module.
    fn fleet() -> Sandbox {
        let mut sandbox = Sandbox::new();
        sandbox.environment = vec![
            ("AWS_ACCESS_KEY_ID", "loopback"),
            ("AWS_SECRET_ACCESS_KEY", "loopback"),
        ];
        let public = sandbox.says(&["remote", "keygen", "ci.key"]);
        std::fs::write(sandbox.path("trusted"), public).unwrap();
        std::fs::write(sandbox.path("in.wat"), module(60, 7777)).unwrap();
        let plain = ["compile", "in.wat", "-o", "plain.cwasm", "--no-cache"];
        succeeds(&sandbox.ibid(&plain));
        sandbox
    }

    /// What a compile reports, whose artifact is what it is without a cache.
    #[track_caller]
    fn compile(&self, machine: &str, url: &str, options: &[&str]) -> Value {
        let mut arguments = vec!["compile", "in.wat", "-o", "out.cwasm", "--stats=json"];
        arguments.extend(["--cache", machine, "--remote", url]);
        arguments.extend(options);
        let report = self.says(&arguments);
        let read = |name: &str| std::fs::read(self.path(name)).unwrap();
        assert!(read("out.cwasm") == read("plain.cwasm"), "another artifact");
        serde_json::from_str(&report).unwrap()
    }

    #[track_caller]
    fn upload(&self, url: &str) -> Value {
        let options = ["--remote-key", "ci.key", "--wait-upload"];
        let report = self.compile("writer", url, &options);
        assert!(report["remote"]["uploaded"].as_u64() > Some(0), "{report}");
        report
    }

    fn directory(&self) -> String {
        format!("file://{}", self.path("shared").display())
    }
}

const TRUST: [&str; 2] = ["--remote-trust", "trusted"];

fn compiled(report: &Value) -> u64 {
    report["functions"]["compiled"].as_u64().unwrap()
}

fn remote(report: &Value, name: &str) -> u64 {
    report["remote"][name].as_u64().unwrap()
}

fn s3(address: SocketAddr) -> String {
    format!("s3://{BUCKET}/team?region=us-east-1&endpoint=http://{address}")
}

#[test]
fn a_second_machine_compiles_nothing_and_asks_little() {
    let Some(server) = S3::start() else { return };
    let proxy = Proxy::start(server.address());
    let (sandbox, url) = (Sandbox::fleet(), s3(proxy.address()));
    assert!(compiled(&sandbox.upload(&url)) > 0);
    proxy.clear();
    let report = sandbox.compile("second", &url, &TRUST);
    assert_eq!(compiled(&report), 0, "{report}");
    let requests = proxy.requests();
    assert!(requests.len() <= 10, "{requests:?}");
    assert!(requests.iter().all(|request| request.method == "GET"));
    proxy.clear();
    let again = sandbox.compile("second", &url, &TRUST);
    assert_eq!((compiled(&again), remote(&again, "requests")), (0, 0));
    assert!(proxy.requests().is_empty(), "what was fetched is here");
}

#[test]
fn a_remote_that_is_down_costs_no_more_than_the_deadline() {
    let sandbox = Sandbox::fleet();
    let hole = Blackhole::start();
    let options = [&TRUST[..], &["--remote-deadline", "0.5"]].concat();
    let gone = Proxy::start(hole.address());
    gone.set(Faults {
        refuse: true,
        ..Faults::default()
    });
    for (name, address) in [("hole", hole.address()), ("gone", gone.address())] {
        let start = Instant::now();
        let report = sandbox.compile(name, &s3(address), &options);
        assert!(compiled(&report) > 0);
        assert_eq!(remote(&report, "hits"), 0);
        assert!(remote(&report, "failures") > 0, "{report}");
        // A busy machine takes its time for the rest.
        assert!(start.elapsed() < Duration::from_secs(20));
        let waited = report["remote"]["waited_ms"].as_f64().unwrap();
        assert!(waited < 1500.0, "{report}");
        // It is left alone for a while, also by the next process.
        std::fs::write(sandbox.path("in.wat"), module(60, 8888)).unwrap();
        let plain = ["compile", "in.wat", "-o", "plain.cwasm", "--no-cache"];
        succeeds(&sandbox.ibid(&plain));
        let next = sandbox.compile(name, &s3(address), &options);
        assert_eq!(remote(&next, "requests"), 0, "{next}");
        assert!(remote(&next, "left_out") > 0, "{next}");
        std::fs::write(sandbox.path("in.wat"), module(60, 7777)).unwrap();
        succeeds(&sandbox.ibid(&plain));
    }
}

#[test]
fn what_is_tampered_with_or_of_others_is_refused_and_compiled() {
    let sandbox = Sandbox::fleet();
    let url = sandbox.directory();
    sandbox.upload(&url);
    let other = sandbox.says(&["remote", "keygen", "other.key"]);
    std::fs::write(sandbox.path("others"), other).unwrap();
    let report = sandbox.compile("distrustful", &url, &["--remote-trust", "others"]);
    assert!(
        compiled(&report) > 0 && remote(&report, "refused") > 0,
        "{report}"
    );

    let packs = sandbox.path("shared/packs");
    for pack in std::fs::read_dir(packs).unwrap() {
        let path = pack.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&path, bytes).unwrap();
    }
    let report = sandbox.compile("second", &url, &TRUST);
    assert!(
        compiled(&report) > 0 && remote(&report, "damaged") > 0,
        "{report}"
    );
    let check = [
        "remote", "check", "--packs", "--remote", &url, TRUST[0], TRUST[1],
    ];
    let found = sandbox.ibid(&check);
    assert_eq!(found.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&found.stdout).contains("WRONG  reading all packs"));
}

#[test]
fn an_older_state_of_the_remote_is_refused() {
    let sandbox = Sandbox::fleet();
    let url = sandbox.directory();
    sandbox.upload(&url);
    let key = ["--remote", &url, "--remote-key", "ci.key"];
    let gc = |options: &[&str]| sandbox.says(&[&["remote", "gc"], options, &key].concat());
    assert!(gc(&[]).contains("1 are left"), "{}", gc(&[]));
    assert_eq!(compiled(&sandbox.compile("second", &url, &TRUST)), 0);
    std::fs::remove_file(sandbox.path("shared/floor")).unwrap();
    // It is asked anew half a minute later, or by who knows the floor and not the index.
    let state = std::fs::read_dir(sandbox.path("second/remote"))
        .unwrap()
        .next();
    let state = state.unwrap().unwrap().path().join("state");
    let mut bytes = std::fs::read(&state).unwrap();
    bytes[24..32].fill(0);
    std::fs::write(&state, bytes).unwrap();
    std::fs::write(sandbox.path("in.wat"), module(60, 8888)).unwrap();
    let plain = ["compile", "in.wat", "-o", "plain.cwasm", "--no-cache"];
    succeeds(&sandbox.ibid(&plain));
    let report = sandbox.compile("second", &url, &TRUST);
    assert_eq!(remote(&report, "replayed"), 1, "{report}");
    assert!(compiled(&report) > 0);
}

#[test]
fn the_remote_is_looked_after() {
    let sandbox = Sandbox::fleet();
    let url = sandbox.directory();
    sandbox.upload(&url);
    let key = ["--remote", &url, "--remote-key", "ci.key"];
    let json = |command: &[&str]| -> Value {
        let said = sandbox.says(&[&["remote"], command, &["--json"], &key].concat());
        serde_json::from_str(&said).unwrap()
    };
    let stats = json(&["stats"]);
    assert_eq!(
        (stats["packs"].as_u64(), stats["segments"].as_u64()),
        (Some(1), Some(1))
    );
    assert!(stats["entries"].as_u64() > Some(60), "{stats}");
    assert_eq!(stats["writers"][0]["trusted"], true);
    let findings = json(&["check", "--packs"]);
    let all = findings["findings"].as_array().unwrap();
    assert!(
        all.len() >= 4 && all.iter().all(|finding| finding["ok"] == true),
        "{findings}"
    );
    let public = sandbox.says(&["remote", "public-key", "ci.key"]);
    assert_eq!(stats["writers"][0]["key"], public.trim());

    let would = json(&["gc", "--max-size", "1B", "--dry-run"]);
    assert_eq!(would["packs_left"], 0, "{would}");
    assert_eq!(json(&["stats"])["packs"], 1);
    assert_eq!(json(&["gc", "--max-size", "1B"])["packs_left"], 0);
    // The pack is young: who wrote it may be about to say so.
    assert_eq!(json(&["stats"])["orphans"], 1);
    let text = sandbox.says(&[&["remote", "stats"][..], &key].concat());
    assert!(text.contains("1 packs that nothing leads to"), "{text}");
}

#[test]
fn mistakes_are_told_with_what_would_be_right() {
    let sandbox = Sandbox::fleet();
    let fails = |arguments: &[&str], code: i32, message: &str| {
        let output = sandbox.ibid(arguments);
        assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
        assert!(stderr(&output).contains(message), "{}", stderr(&output));
        assert!(!sandbox.path("out.cwasm").exists());
    };
    let compile = ["compile", "in.wat", "-o", "out.cwasm", "--remote"];
    let with = |rest: &[&'static str]| [&compile[..], rest].concat();
    fails(&with(&["s3://bucket/x"]), 2, "--remote-trust");
    fails(&with(&["nonsense", "--insecure-remote"]), 2, "s3://bucket");
    fails(&with(&["ftp://x/", "--insecure-remote"]), 2, "there is s3");
    fails(&with(&["s3:///x", "--insecure-remote"]), 2, "no bucket");
    fails(
        &with(&["file:///x", "--remote-trust", "missing"]),
        1,
        "missing",
    );
    fails(
        &with(&["file:///x", "--remote-trust", "in.wat"]),
        1,
        "ibid-public-1:",
    );
    fails(
        &with(&["file:///x", "--remote-key", "trusted"]),
        1,
        "ibid-secret-1:",
    );
    let both = [
        "file:///x",
        "--insecure-remote",
        "--remote-trust",
        "trusted",
    ];
    fails(&with(&both), 2, "cannot be used with");
    fails(
        &with(&["file:///x", "--remote-deadline", "never"]),
        2,
        "seconds",
    );
    fails(&["remote", "stats"], 2, "IBID_REMOTE");
    fails(&["remote", "keygen", "ci.key"], 1, "ci.key");
    let gc = ["remote", "gc", "--remote", "file:///x", TRUST[0], TRUST[1]];
    fails(&gc, 2, "--remote-key");
    fails(&[&gc[..], &["--max-age", "30"]].concat(), 2, "30d");
}

/// The commands of `docs/remote.md`, from one heading to the next.
fn commands(document: &str, heading: &str) -> Vec<String> {
    let section = document
        .split(heading)
        .nth(1)
        .expect("the heading is there");
    let section = section.split("\n## ").next().unwrap();
    let blocks = section.split("```sh\n").skip(1);
    let block = |text: &str| text.split("```").next().unwrap().to_owned();
    blocks.map(block).collect()
}

#[test]
fn the_ten_lines_work_as_they_stand() {
    let Some(server) = S3::start() else { return };
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/remote.md");
    let document = std::fs::read_to_string(document).unwrap();
    let blocks = commands(&document, "\n## Ten lines for a CI fleet");
    let [once, ci, developer, nightly] = &blocks[..] else {
        panic!("{blocks:#?}");
    };
    let sandbox = Sandbox::new();
    std::fs::write(
        sandbox.path("app.wasm"),
        wat::parse_str(module(60, 1)).unwrap(),
    )
    .unwrap();
    let url = s3(server.address());
    let run = |block: &str, user: &str, before: &str| {
        let script = block
            .replace("s3://our-builds/ibid?region=eu-central-1", &url)
            .replace("=…", "=loopback");
        let bin = Path::new(env!("CARGO_BIN_EXE_ibid")).parent().unwrap();
        let path = std::env::var("PATH").unwrap();
        let output = Command::new("sh")
            .args(["-e", "-c", &format!("{before}\n{script}")])
            .current_dir(sandbox.directory.path())
            .env("PATH", format!("{}:{path}", bin.display()))
            .env("XDG_CACHE_HOME", sandbox.path(user))
            .output()
            .unwrap();
        succeeds(&output);
        stderr(&output)
    };
    let credentials = "export AWS_ACCESS_KEY_ID=loopback AWS_SECRET_ACCESS_KEY=loopback";
    run(once, "admin", "git init --quiet .");
    let uploaded = run(ci, "ci", "");
    assert!(uploaded.contains("upload "), "{uploaded}");
    let found = run(developer, "developer", credentials);
    assert!(
        found.contains("60 of 60 functions reused, 0 compiled"),
        "{found}"
    );
    let environment =
        format!("{credentials}\nexport IBID_REMOTE='{url}' IBID_REMOTE_TRUST=trusted-keys");
    run(nightly, "admin", &environment);
}
