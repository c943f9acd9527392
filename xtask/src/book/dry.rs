//! Checking a block that is not run: the shell goes through it with nothing in `PATH`, and what it
//! would have called is held to the command's, cargo's and the workspace's word.
//!
//! `ibid` and `cargo xtask` parse the arguments themselves: with `--help` behind them, at which they
//! have looked at all before, and do nothing else.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use super::Tools;
use super::pages::{Block, Page};
use crate::command;

/// Says what is called to file 9, as a number of words and the words, each with a zero behind it.
/// What only passes a command on, such as a profiler, is looked through.
const PRELUDE: &str = r#"
PATH=/nowhere
say() { printf '%s\0' "$#" "$@" >&9; }
ibid() { say ibid "$@"; }
cargo() { say cargo "$@"; }
command_not_found_handle() {
    while [ $# -gt 0 ]; do
        case $1 in ibid | */ibid) shift; ibid "$@"; return ;; esac
        shift
    done
}
"#;

/// Checks `block`.
///
/// # Errors
///
/// If it is no shell script, or calls something that is not there.
pub(super) fn check(tools: &Tools, page: &Page, block: &Block) -> Result<()> {
    let checked = calls(&block.text).and_then(|calls| {
        for call in &calls {
            let words: Vec<&str> = call.iter().map(String::as_str).collect();
            let checked = match &words[..] {
                ["ibid", "run", ..] => bail!("`ibid run` can only be checked by running it"),
                ["ibid", arguments @ ..] => parses(&tools.ibid, arguments),
                ["cargo", "xtask", arguments @ ..] => parses(&std::env::current_exe()?, arguments),
                ["cargo", arguments @ ..] => cargo(&tools.root, arguments),
                _ => Ok(()),
            };
            checked.with_context(|| format!("`{}`", words.join(" ")))?;
        }
        Ok(())
    });
    checked
        .and_then(|()| paths(&tools.root, &block.text))
        .with_context(|| page.at(block))
}

/// What the script `text` would call, in words.
fn calls(text: &str) -> Result<Vec<Vec<String>>> {
    let folder = tempfile::tempdir()?;
    let (script, said) = (folder.path().join("script"), folder.path().join("said"));
    std::fs::write(&script, text)?;
    let checked = Command::new("bash").arg("-n").arg(&script).output();
    let checked = checked.context("cannot run bash")?;
    ensure!(
        checked.status.success(),
        "it is no script: {}",
        String::from_utf8_lossy(&checked.stderr)
    );
    std::fs::write(&script, format!("{PRELUDE}{text}"))?;
    let scratch = folder.path().join("scratch");
    std::fs::create_dir(&scratch)?;
    Command::new("bash")
        .args(["--noprofile", "--norc", "-c", r#". "$1" 9>"$2""#, "bash"])
        .args([&script, &said])
        .current_dir(&scratch)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .context("cannot run bash")?;
    let said = std::fs::read_to_string(&said).unwrap_or_default();
    let mut words = said.split_terminator('\0');
    let mut calls = Vec::new();
    while let Some(count) = words.next() {
        let count = count.parse().context("what is called is not understood")?;
        calls.push(words.by_ref().take(count).map(str::to_string).collect());
    }
    Ok(calls)
}

/// Whether `program` takes `arguments`.
fn parses(program: &Path, arguments: &[&str]) -> Result<()> {
    let mut command = Command::new(program);
    command.args(arguments).arg("--help");
    let output = command.output();
    let output = output.with_context(|| format!("cannot run {}", program.display()))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}", said.trim_end());
    Ok(())
}

/// Whether cargo would find what it is to build, test, run or install.
fn cargo(root: &Path, arguments: &[&str]) -> Result<()> {
    let mut arguments = arguments.iter().copied();
    let subcommand = arguments.next().context("cargo is to do nothing")?;
    if subcommand == "fuzz" {
        return fuzz(root, arguments);
    }
    ensure!(
        ["build", "test", "run", "install"].contains(&subcommand),
        "what `cargo {subcommand}` takes is not known here"
    );
    let workspace = Workspace::read(root)?;
    let mut package = None;
    while let Some(argument) = arguments.next() {
        let mut value = || {
            let value = arguments.next();
            value.with_context(|| format!("`{argument}` lacks its value"))
        };
        match argument {
            "--" => break,
            "--release" | "--locked" | "--workspace" => {}
            "-p" | "--package" => package = Some(workspace.package(value()?)?),
            "--features" => workspace.feature(package, value()?)?,
            "--example" => workspace.target(package, "example", value()?)?,
            "--test" => workspace.target(package, "test", value()?)?,
            "--path" => {
                let path = root.join(value()?).join("Cargo.toml");
                ensure!(path.is_file(), "there is no {}", path.display());
            }
            // What is installed is not ours; what is tested is a name's part.
            name if subcommand != "build" && !name.starts_with('-') => {}
            argument => bail!("what `{argument}` means is not known here"),
        }
    }
    Ok(())
}

/// Whether there is the target that is to be fuzzed.
fn fuzz<'a>(root: &Path, mut arguments: impl Iterator<Item = &'a str>) -> Result<()> {
    ensure!(arguments.next() == Some("run"), "only targets can be run");
    let target = arguments.take_while(|argument| *argument != "--").last();
    let target = target.context("which target?")?;
    let source = root.join(format!("fuzz/fuzz_targets/{target}.rs"));
    ensure!(source.is_file(), "there is no {}", source.display());
    Ok(())
}

/// What cargo says of the workspace.
struct Workspace(serde_json::Value);

impl Workspace {
    fn read(root: &Path) -> Result<Workspace> {
        let workspace = command::metadata(root, &["--no-deps", "--offline"])?;
        Ok(Workspace(workspace))
    }

    fn package(&self, name: &str) -> Result<&serde_json::Value> {
        let packages = self.0["packages"].as_array().into_iter().flatten();
        let found = packages.into_iter().find(|package| package["name"] == name);
        found.with_context(|| format!("there is no package `{name}`"))
    }

    fn feature(&self, package: Option<&serde_json::Value>, name: &str) -> Result<()> {
        let package = package.context("say which package before its features")?;
        let found = package["features"].get(name);
        ensure!(found.is_some(), "there is no feature `{name}`");
        Ok(())
    }

    fn target(&self, package: Option<&serde_json::Value>, kind: &str, name: &str) -> Result<()> {
        let package = package.context("say which package before its targets")?;
        let targets = package["targets"].as_array().into_iter().flatten();
        let is_it =
            |target: &serde_json::Value| target["name"] == name && target["kind"][0] == kind;
        ensure!(
            targets.into_iter().any(is_it),
            "there is no {kind} `{name}`"
        );
        Ok(())
    }
}

/// Whether files of the checkout that `text` names are there.
fn paths(root: &Path, text: &str) -> Result<()> {
    let words = text.split(|c: char| c.is_whitespace() || "=;'\"()".contains(c));
    for word in words {
        let ours = [
            "bench/",
            "campaign/",
            "conformance/",
            "crates/",
            "docs/",
            "fuzz/",
        ];
        if ours.iter().any(|directory| word.starts_with(directory)) {
            ensure!(root.join(word).exists(), "there is no `{word}`");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_would_be_called_is_seen() -> Result<()> {
        let text = "A=b ibid compile 'a b' | cat; export X=y\n\
                    cargo test -p x \\\n  --test y # and so on\n\
                    sudo valgrind --option=1 target/release/ibid plan in.wasm > out\n\
                    for i in 1 2; do ibid cache path; done; rm -rf /tmp/nothing";
        let expected: [&[&str]; 5] = [
            &["ibid", "compile", "a b"],
            &["cargo", "test", "-p", "x", "--test", "y"],
            &["ibid", "plan", "in.wasm"],
            &["ibid", "cache", "path"],
            &["ibid", "cache", "path"],
        ];
        assert_eq!(calls(text)?, expected);
        assert!(calls("if true; then").is_err());
        Ok(())
    }

    #[test]
    fn cargo_has_to_find_it() {
        let root = command::root();
        let cargo = |line: &str| super::cargo(&root, &line.split(' ').collect::<Vec<_>>());
        for line in [
            "test --workspace",
            "build --release -p ibid-cli",
            "run --release -p ibid-store --features wasmtime --example wasmtime_incremental",
            "install --locked --path crates/ibid-cli",
            "run --release -p ibid-campaign -- whatever --it takes",
            "fuzz run -s none anything_else -- -x",
        ] {
            assert!(cargo(line).is_ok(), "{line}: {:?}", cargo(line));
        }
        for line in [
            "build -p ibid-cly",
            "build --fast",
            "run -p ibid-store --example no_such_example",
            "run -p ibid-store --features no-such-feature",
            "install --path crates/no-such-crate",
            "fuzz run no_such_target",
            "frobnicate",
        ] {
            assert!(cargo(line).is_err(), "{line}");
        }
    }

    #[test]
    fn files_have_to_be_there() {
        let root = command::root();
        assert!(paths(&root, "A=b docs/keys.md target/release/ibid").is_ok());
        assert!(paths(&root, "sh docs/no-such-file.sh").is_err());
    }
}
