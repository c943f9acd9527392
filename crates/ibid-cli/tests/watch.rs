//! `ibid watch`, as its users meet it: files that change under it.
#![cfg(unix)]

mod common;
mod live;

use common::{Sandbox, plain};
use live::{Live, is_alive, until};
use std::path::Path;
use std::time::{Duration, Instant};

/// A module of two functions, one of which has `number` in it.
fn module(number: u32) -> String {
    format!(
        "(module (func (export \"a\") (result i32) i32.const 7)
           (func (export \"b\") (param i32) (result i32)
             (i32.mul (local.get 0) (i32.const {number}))))"
    )
}

/// A sandbox with `in.wat` in it, and a command that watches it.
fn watch(arguments: &[&str]) -> (Sandbox, Live) {
    let sandbox = Sandbox::new();
    std::fs::write(sandbox.path("in.wat"), module(1)).unwrap();
    let line = [&["watch", "in.wat", "-o", "out.cwasm"], arguments].concat();
    let live = Live::start(sandbox.command(&line));
    (sandbox, live)
}

/// Waits until the artifact is that of `text`.
#[track_caller]
fn await_artifact(sandbox: &Sandbox, text: &str) {
    let (path, plain) = (sandbox.path("out.cwasm"), plain(text));
    until(&|| "another artifact".into(), || {
        (std::fs::read(&path).ok()? == plain).then_some(())
    });
}

fn ends_cleanly(mut live: Live, sandbox: &Sandbox) -> String {
    live.interrupt();
    assert_eq!(live.await_exit().code(), Some(0));
    for entry in std::fs::read_dir(sandbox.directory.path()).unwrap() {
        let name = entry.unwrap().file_name();
        assert!(!name.to_string_lossy().starts_with(".ibid-"), "{name:?}");
    }
    live.stdout.await_end();
    live.stderr.await_end()
}

#[test]
fn the_artifact_follows_its_module() {
    let (sandbox, live) = watch(&[]);
    let path = sandbox.path("in.wat");
    live.stderr.await_text("2 of 2 functions compiled");
    await_artifact(&sandbox, &module(1));

    // Written to, as an editor may do.
    std::fs::write(&path, module(2)).unwrap();
    live.stderr.await_text("1 of 2 functions compiled");
    await_artifact(&sandbox, &module(2));

    // Replaced, as most tools do.
    std::fs::write(sandbox.path("new"), module(3)).unwrap();
    std::fs::rename(sandbox.path("new"), &path).unwrap();
    live.stderr.await_times("1 of 2 functions compiled", 2);
    await_artifact(&sandbox, &module(3));

    // Removed and made again. What was compiled before is known.
    std::fs::remove_file(&path).unwrap();
    live.stderr.await_text("cannot read `in.wat`");
    std::fs::write(&path, module(2)).unwrap();
    live.stderr.await_text("0 of 2 functions compiled");
    await_artifact(&sandbox, &module(2));

    let said = ends_cleanly(live, &sandbox);
    assert_eq!(said.lines().count(), 6, "{said}");
    for line in said.lines().filter(|line| line.contains("functions")) {
        let (time, _) = line.split_once(" · ").expect("a time and a count");
        assert!(time.ends_with(" ms") || time.ends_with(" s"), "{line}");
    }
}

#[test]
fn the_same_contents_are_not_compiled_again() {
    let (sandbox, live) = watch(&[]);
    let path = sandbox.path("in.wat");
    live.stderr.await_text("2 of 2 functions compiled");
    std::fs::write(&path, module(1)).unwrap();
    // Long enough for that to be noticed on most machines; on others nothing is shown.
    std::thread::sleep(Duration::from_millis(300));
    std::fs::write(&path, module(2)).unwrap();
    live.stderr.await_text("1 of 2 functions compiled");
    let said = ends_cleanly(live, &sandbox);
    assert_eq!(said.matches("functions compiled").count(), 2, "{said}");
}

#[test]
fn a_file_that_is_being_written_is_waited_for() {
    let (sandbox, live) = watch(&[]);
    live.stderr.await_text("2 of 2 functions compiled");
    let text = module(2);
    let start = Instant::now();
    let mut longest = Duration::ZERO;
    for end in [0, 30, 60, text.len() - 2, text.len()] {
        let before = Instant::now();
        std::fs::write(sandbox.path("in.wat"), &text[..end]).unwrap();
        std::thread::sleep(Duration::from_millis(150));
        longest = longest.max(before.elapsed());
    }
    live.stderr.await_text("1 of 2 functions compiled");
    await_artifact(&sandbox, &text);
    let said = ends_cleanly(live, &sandbox);
    // On a machine that stood still meanwhile the file stayed unfinished for long.
    if longest < Duration::from_millis(500) && start.elapsed() < Duration::from_secs(2) {
        assert!(!said.contains("error"), "{said}");
    }
}

#[test]
fn what_cannot_be_compiled_is_said_and_watched_on() {
    let (sandbox, live) = watch(&[]);
    let path = sandbox.path("in.wat");
    await_artifact(&sandbox, &module(1));
    for (contents, message) in [
        ("", "error: `in.wat` is empty"),
        ("(module (func (result i32)))", "type mismatch"),
        ("(module (fun))", "expected valid module field"),
    ] {
        std::fs::write(&path, contents).unwrap();
        live.stderr.await_text(message);
        // What was compiled before stays.
        assert_eq!(
            std::fs::read(sandbox.path("out.cwasm")).unwrap(),
            plain(&module(1))
        );
    }
    live.stderr.await_times("waiting for a change", 3);
    std::fs::write(&path, module(2)).unwrap();
    await_artifact(&sandbox, &module(2));
    ends_cleanly(live, &sandbox);
}

#[test]
fn many_changes_at_once_are_few_builds() {
    let (sandbox, live) = watch(&[]);
    await_artifact(&sandbox, &module(1));
    for number in 2..=100 {
        std::fs::write(sandbox.path("in.wat"), module(number)).unwrap();
    }
    await_artifact(&sandbox, &module(100));
    let said = ends_cleanly(live, &sandbox);
    let builds = said.matches("functions compiled").count();
    assert!(builds < 50, "{said}");
}

#[test]
fn a_file_that_is_not_there_yet_is_waited_for() {
    let sandbox = Sandbox::new();
    let live = Live::start(sandbox.command(&["watch", "below/in.wat", "-o", "out.cwasm"]));
    live.stderr.await_text("cannot read `below/in.wat`");
    std::fs::create_dir(sandbox.path("below")).unwrap();
    std::fs::write(sandbox.path("below/in.wat"), module(1)).unwrap();
    await_artifact(&sandbox, &module(1));
    ends_cleanly(live, &sandbox);
}

/// The lines of a file, once there are so many.
#[track_caller]
fn await_lines(path: &Path, count: usize) -> Vec<String> {
    until(&|| format!("not {count} lines in {path:?}"), || {
        let text = std::fs::read_to_string(path).ok()?;
        let lines: Vec<String> = text.lines().map(String::from).collect();
        (text.ends_with('\n') && lines.len() >= count).then_some(lines)
    })
}

#[test]
fn a_command_runs_after_each_success_and_alone() {
    // A shell that waits for another process.
    let command = "cmp -s out.cwasm out.cwasm && echo run $$ >> log; echo hello; sleep 600; true";
    let (sandbox, live) = watch(&["--exec", command]);
    let pid = |line: &str| -> u32 { line.strip_prefix("run ").unwrap().parse().unwrap() };
    let lines = await_lines(&sandbox.path("log"), 1);
    assert!(is_alive(pid(&lines[0])));

    std::fs::write(sandbox.path("in.wat"), "(module (fun))").unwrap();
    live.stderr.await_text("expected valid module field");
    assert!(is_alive(pid(&lines[0])), "nothing runs after a failure");

    std::fs::write(sandbox.path("in.wat"), module(2)).unwrap();
    let lines = await_lines(&sandbox.path("log"), 2);
    assert!(!is_alive(pid(&lines[0])), "the one before is ended first");
    assert!(is_alive(pid(&lines[1])));

    live.stdout.await_times("hello", 2);
    ends_cleanly(live, &sandbox);
    assert!(!is_alive(pid(&lines[1])), "it ends with the watch");
}

#[test]
fn a_command_that_fails_is_said() {
    let (sandbox, live) = watch(&["-x", "exit 3"]);
    live.stderr
        .await_text("warning: the command ended with exit status: 3");
    std::fs::write(sandbox.path("in.wat"), module(2)).unwrap();
    live.stderr
        .await_times("the command ended with exit status: 3", 2);
    ends_cleanly(live, &sandbox);
}

#[test]
fn wasmtimes_options_and_the_cache_are_those_of_compile() {
    let (sandbox, live) = watch(&["-O", "opt-level=0", "--cache", "here"]);
    live.stderr.await_text("2 of 2 functions compiled");
    ends_cleanly(live, &sandbox);
    let mut config = wasmtime::Config::new();
    config.cranelift_opt_level(wasmtime::OptLevel::None);
    let engine = wasmtime::Engine::new(&config).unwrap();
    let plain = engine.precompile_module(module(1).as_bytes()).unwrap();
    assert_eq!(std::fs::read(sandbox.path("out.cwasm")).unwrap(), plain);
    assert!(!sandbox.path("cache").exists());
    let plan = sandbox.command(&["plan", "in.wat", "-O", "opt-level=0", "--cache", "here"]);
    let plan = { plan }.output().unwrap();
    assert!(String::from_utf8_lossy(&plan.stdout).contains("ready"));
}

#[test]
fn what_cannot_be_watched_is_bad_usage() {
    let sandbox = Sandbox::new();
    for (arguments, message) in [
        (&["watch", "-"][..], "standard input cannot be watched"),
        (&["watch", "in.wat", "-o", "-"], "name a file with `-o`"),
        (&["watch", "in.wat", "-O", "speed=9"], "unknown -O"),
        (
            &["watch", "in.wat", "--remote", "file:///x"],
            "--remote-trust",
        ),
    ] {
        let output = sandbox.command(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(message), "{said}");
    }
}
