//! What the command looks like on a terminal, and off one.
#![cfg(unix)]

mod common;
mod live;

use common::{Sandbox, stderr, stdout};
use live::Terminal;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::process::{Command, Output};

/// How a style begins.
const ESCAPE: &str = "\x1b[";

/// What the command says on a terminal.
fn on_terminal(command: &Command) -> String {
    Terminal::start(command).await_exit().1
}

/// A module that takes a while to compile: many functions, none like another.
fn large() -> String {
    let mut text = String::from("(module (memory 1)");
    let mut state = 1_u32;
    for _ in 0..3000 {
        text += "(func (param i32 i32) (result i32) (local i32)";
        for _ in 0..80 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let (to, from) = (state >> 28 & 1, state >> 27 & 1);
            let operator = ["add", "mul", "xor", "and", "or", "sub"][(state >> 16) as usize % 6];
            match state >> 24 & 3 {
                0 => write!(
                    text,
                    "(local.set {to} (i32.load offset={} (local.get {from})))",
                    state >> 20 & 0xfff
                ),
                1 => write!(
                    text,
                    "(if (local.get {from}) (then (local.set {to} (i32.{operator} (local.get 2) (i32.const {})))))",
                    state >> 12
                ),
                _ => write!(
                    text,
                    "(local.set {to} (i32.{operator} (local.get {from}) (local.get {to})))"
                ),
            }
            .unwrap();
        }
        text += "(local.get 0))";
    }
    text + ")"
}

#[test]
fn progress_is_drawn_on_a_terminal_and_nowhere_else() {
    let sandbox = Sandbox::new();
    std::fs::write(sandbox.path("in.wasm"), wat::parse_str(large()).unwrap()).unwrap();
    let line = ["compile", "in.wasm", "--no-cache"];
    let slowly = [&line[..], &["-C", "parallel-compilation=n"]].concat();
    let screen = on_terminal(&sandbox.command(&slowly));
    assert!(screen.contains("compiling "), "{screen}");
    assert!(
        screen.contains("/3000 functions") || screen.contains("/3001 functions"),
        "{screen}"
    );
    let quiet = on_terminal(&sandbox.command(&[&line[..], &["--quiet"]].concat()));
    assert_eq!(quiet, "");
    let dumb = on_terminal(sandbox.command(&line).env("TERM", "dumb"));
    assert_eq!(dumb, "");
    let piped = sandbox.command(&line).output().unwrap();
    assert!(piped.status.success());
    assert_eq!(
        (stdout(&piped), stderr(&piped)),
        (String::new(), String::new())
    );
}

#[test]
fn colors_are_for_terminals_and_for_who_wants_them() {
    let sandbox = Sandbox::new();
    for line in [
        &["compile", "missing.wasm"][..],
        &["compile", "--no-such"],
        &["--help"],
    ] {
        let with = |more: &[&str]| sandbox.command(&[line, more].concat());
        assert!(on_terminal(&with(&[])).contains(ESCAPE), "{line:?}");
        assert!(
            !on_terminal(&with(&["--color", "never"])).contains(ESCAPE),
            "{line:?}"
        );
        assert!(
            !on_terminal(with(&[]).env("NO_COLOR", "1")).contains(ESCAPE),
            "{line:?}"
        );
        let wanted = on_terminal(with(&["--color=always"]).env("NO_COLOR", "1"));
        assert!(wanted.contains(ESCAPE), "{line:?}");
        let said = |output: Output| stdout(&output) + &stderr(&output);
        let piped = said(with(&[]).output().unwrap());
        assert!(!piped.contains(ESCAPE) && !piped.is_empty(), "{piped}");
        let piped = said(with(&["--color", "always"]).output().unwrap());
        assert!(piped.contains(ESCAPE), "{line:?}");
    }
    let wrong = sandbox
        .command(&["cache", "path", "--color", "green"])
        .output()
        .unwrap();
    assert_eq!(wrong.status.code(), Some(2));
    assert!(stderr(&wrong).contains("possible values: auto, always, never"));
}

/// A sandbox with a module and something that is no cache.
fn without_cache() -> Sandbox {
    let sandbox = Sandbox::new();
    std::fs::write(sandbox.path("in.wat"), "(module (func (export \"f\")))").unwrap();
    std::fs::write(sandbox.path("file"), "").unwrap();
    sandbox
}

#[test]
fn quiet_leaves_errors_and_what_was_asked_for() {
    let sandbox = without_cache();
    let line = ["compile", "in.wat", "--cache", "file/below"];
    let loud = sandbox.command(&line).output().unwrap();
    assert!(stderr(&loud).starts_with("warning: "), "{}", stderr(&loud));
    let quiet = sandbox
        .command(&[&line[..], &["-q"]].concat())
        .output()
        .unwrap();
    assert!(quiet.status.success());
    assert_eq!(stderr(&quiet), "");
    let asked = sandbox
        .command(&[&line[..], &["--quiet", "--stats"]].concat())
        .output()
        .unwrap();
    assert!(
        stderr(&asked).starts_with("in.cwasm: "),
        "{}",
        stderr(&asked)
    );
    let wrong = sandbox
        .command(&["--quiet", "compile", "missing.wasm"])
        .output()
        .unwrap();
    assert_eq!(wrong.status.code(), Some(1));
    assert!(stderr(&wrong).contains("error: cannot read `missing.wasm`"));
    let both = sandbox
        .command(&["compile", "in.wat", "-q", "-v"])
        .output()
        .unwrap();
    assert_eq!(both.status.code(), Some(2));
}

#[test]
fn verbose_says_what_is_done_and_more_verbose_how_long_it_takes() {
    let sandbox = without_cache();
    let said = |more: &[&str]| {
        let line = [&["compile", "in.wat", "--no-cache", "--stats=json"], more].concat();
        let output = sandbox.command(&line).output().unwrap();
        assert!(output.status.success());
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["functions"]["total"], 1);
        stderr(&output)
    };
    assert_eq!(said(&[]), "");
    let verbose = said(&["-v"]);
    assert!(verbose.contains("compiled functions=1"), "{verbose}");
    assert!(
        !verbose.contains("time.busy") && !verbose.contains(ESCAPE),
        "{verbose}"
    );
    let more = said(&["-vv"]);
    for step in ["parse", "keys", "compile", "link"] {
        let line = more
            .lines()
            .find(|line| line.contains(&format!("{step}: close")));
        assert!(
            line.is_some_and(|line| line.contains("time.busy")),
            "{step}: {more}"
        );
    }
    assert!(said(&["-v", "--color=always"]).contains(ESCAPE));
}

#[test]
fn ctrl_c_ends_a_watch() {
    let sandbox = without_cache();
    let line = ["watch", "in.wat", "--exec", "echo hello; sleep 600"];
    let mut terminal = Terminal::start(&sandbox.command(&line));
    terminal.screen.await_text("hello");
    assert!(terminal.screen.text().contains("1 of 1 functions compiled"));
    assert!(terminal.screen.text().contains("Ctrl-C ends it"));
    terminal.type_keys("\x03");
    let (code, _) = terminal.await_exit();
    assert_eq!(code, 0);

    let silent = ["watch", "--quiet", "in.wat", "--exec", "echo hello"];
    let mut terminal = Terminal::start(&sandbox.command(&silent));
    terminal.screen.await_text("hello");
    terminal.type_keys("\x03");
    let (code, screen) = terminal.await_exit();
    assert_eq!(code, 0);
    assert!(!screen.contains("functions compiled"), "{screen}");
}

#[test]
fn ctrl_c_ends_a_compile_that_is_watched() {
    let sandbox = Sandbox::new();
    std::fs::write(sandbox.path("in.wasm"), wat::parse_str(large()).unwrap()).unwrap();
    let line = ["watch", "in.wasm", "-C", "parallel-compilation=n"];
    let mut terminal = Terminal::start(&sandbox.command(&line));
    terminal.screen.await_text("compiling ");
    terminal.type_keys("\x03");
    assert_eq!(terminal.await_exit().0, 0);
    for entry in std::fs::read_dir(sandbox.directory.path()).unwrap() {
        let name = entry.unwrap().file_name();
        assert!(!name.to_string_lossy().starts_with(".ibid-"), "{name:?}");
    }
}

#[test]
fn a_watched_program_has_the_terminal() {
    /// Says what it reads.
    const ECHO: &str = r#"(module
      (import "wasi_snapshot_preview1" "fd_write"
        (func $fd_write (param i32 i32 i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "fd_read"
        (func $fd_read (param i32 i32 i32 i32) (result i32)))
      (memory (export "memory") 1)
      (data (i32.const 0) "\20\00\00\00\40\00\00\00")
      (data (i32.const 16) "\10\01\00\00\04\00\00\00") (data (i32.const 272) "got ")
      (func (export "_start")
        (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
        (i32.store (i32.const 4) (i32.load (i32.const 8)))
        (drop (call $fd_write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 8)))
        (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#;
    let sandbox = Sandbox::new();
    std::fs::write(sandbox.path("in.wat"), ECHO).unwrap();
    let mut terminal = Terminal::start(&sandbox.command(&["run", "--watch", "in.wat"]));
    terminal.screen.await_text("functions compiled");
    terminal.type_keys("a word\r");
    terminal.screen.await_text("got a word");
    terminal
        .screen
        .await_text("the program ended; waiting for a change");
    terminal.type_keys("\x03");
    assert_eq!(terminal.await_exit().0, 0);
}

/// Every subcommand, with the words that lead to it.
fn subcommands(sandbox: &Sandbox, of: &[String]) -> Vec<Vec<String>> {
    let mut all = vec![of.to_vec()];
    for name in section(&help(sandbox, of), "Commands:") {
        if name != "help" {
            all.extend(subcommands(sandbox, &[of, &[name]].concat()));
        }
    }
    all
}

fn help(sandbox: &Sandbox, of: &[String]) -> String {
    let mut line: Vec<&str> = of.iter().map(String::as_str).collect();
    line.push("--help");
    let output = sandbox.command(&line).output().unwrap();
    assert!(output.status.success(), "{line:?}");
    stdout(&output)
}

/// The first words of the entries below a headline.
fn section(help: &str, headline: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != headline).skip(1);
    let lines = lines.take_while(|line| !line.is_empty());
    // What an entry says may go on below it, deeper.
    let entries = lines.filter_map(|line| line.strip_prefix("  "));
    let entries = entries.filter(|line| !line.starts_with(' '));
    entries
        .filter_map(|line| line.split_whitespace().next().map(String::from))
        .collect()
}

/// The long options that a help text has entries for.
fn options(help: &str) -> BTreeSet<String> {
    let entries = help.lines().map(str::trim_start);
    let entries = entries.filter(|line| line.starts_with('-'));
    entries
        .flat_map(|line| line.split_whitespace().take(2))
        .filter_map(|word| word.strip_prefix("--"))
        .map(|word| {
            let end =
                word.find(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'));
            word[..end.unwrap_or(word.len())].to_string()
        })
        .collect()
}

#[test]
fn every_subcommand_has_a_page_that_names_its_options() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path("man")).unwrap();
    let made = sandbox.command(&["man", "--dir", "man"]).output().unwrap();
    assert!(made.status.success(), "{}", stderr(&made));
    let all = subcommands(&sandbox, &[]);
    let names: Vec<String> = all.iter().map(|words| words.join(" ")).collect();
    for name in ["watch", "run", "compile", "cache gc", "man", "completions"] {
        assert!(names.iter().any(|known| known == name), "{names:?}");
    }
    for words in &all {
        let name = [&["ibid".into()], &words[..]].concat().join("-");
        let page = std::fs::read_to_string(sandbox.path(&format!("man/{name}.1")));
        let page = page.unwrap_or_else(|error| panic!("{name}: {error}"));
        let page = page.replace('\\', "");
        let title = page.lines().find(|line| line.starts_with(".TH"));
        assert!(
            title.is_some_and(|title| title.contains(env!("CARGO_PKG_VERSION"))),
            "{name} does not tell the release: {title:?}"
        );
        let known = options(&help(&sandbox, words));
        assert!(
            known.contains("color") && known.contains("help"),
            "{known:?}"
        );
        for option in known {
            assert!(
                page.contains(&format!("--{option}")),
                "{name} says nothing of --{option}"
            );
        }
    }
    let first = sandbox.command(&["man"]).output().unwrap();
    assert!(stdout(&first).contains(".TH ibid 1"), "{}", stdout(&first));
    let nowhere = sandbox
        .command(&["man", "--dir", "no/such"])
        .output()
        .unwrap();
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(stderr(&nowhere).contains("must be a directory"));
}

#[test]
fn shells_complete_every_subcommand_and_option() {
    let sandbox = Sandbox::new();
    let all = subcommands(&sandbox, &[]);
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = sandbox.command(&["completions", shell]).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        let script = stdout(&output);
        for words in &all {
            for word in words {
                assert!(script.contains(word.as_str()), "{shell}: {word}");
            }
            for option in options(&help(&sandbox, words)) {
                assert!(script.contains(&option), "{shell}: --{option}");
            }
        }
    }
    let unknown = sandbox.command(&["completions", "cmd"]).output().unwrap();
    assert_eq!(unknown.status.code(), Some(2));
    assert!(stderr(&unknown).contains("possible values: bash"));
}
