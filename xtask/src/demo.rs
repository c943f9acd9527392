//! `cargo xtask demo`: the main job on a real module. It is compiled, compiled again, and
//! compiled once more after an edit, with the `ibid` command and a cache of its own.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use ibid_bench::edits::insert_function_at_front;
use wasmtime::Engine;

use crate::command;
use crate::corpus::{self, Module};

/// The module that is shown if none is named: the smallest of the corpus.
const DEFAULT: &str = "quickjs";

/// Fetches the newest release of the module `name`, compiles it twice, edits one function, and
/// compiles it a third time. Prints the commands and what they say.
///
/// # Errors
///
/// Fails if the module is unknown or cannot be fetched, if the command cannot be built or fails,
/// or if an artifact is not what Wasmtime makes.
pub fn run(name: Option<&str>, out: &mut impl Write) -> Result<()> {
    let module = find(name.unwrap_or(DEFAULT))?;
    corpus::fetch(std::slice::from_ref(module), out)?;
    let ibid = command::build()?;
    let folder = tempfile::tempdir()?;
    let original = corpus::path(module);
    let edited = folder.path().join("edited.wasm");
    let inserted = insert_function_at_front(&fs::read(&original)?, 0)?;
    fs::write(&edited, inserted.wasm)?;

    let demo = Demo {
        engine: Engine::default(),
        ibid,
        folder: folder.path(),
    };
    writeln!(out, "\nthe first time, with an empty cache:")?;
    demo.compile(&original, out)?;
    writeln!(out, "\nthe second time:")?;
    demo.compile(&original, out)?;
    writeln!(out, "\nwith a function more in front of all others:")?;
    demo.compile(&edited, out)?;
    writeln!(out, "\nall artifacts are, byte for byte, Wasmtime's")?;
    Ok(())
}

fn find(name: &str) -> Result<&'static Module> {
    let found = corpus::modules()
        .iter()
        .rfind(|module| module.accepted && module.name == name);
    found.with_context(|| {
        let mut names: Vec<&str> = corpus::modules().iter().map(|module| module.name).collect();
        names.dedup();
        format!(
            "there is no module `{name}` in the corpus, which has {}",
            names.join(", ")
        )
    })
}

struct Demo<'f> {
    engine: Engine,
    ibid: PathBuf,
    folder: &'f Path,
}

impl Demo<'_> {
    /// Compiles `input` with the command and with Wasmtime, and compares.
    fn compile(&self, input: &Path, out: &mut impl Write) -> Result<()> {
        let artifact = self.folder.join("out.cwasm");
        let name = input.file_name().unwrap_or_default().to_string_lossy();
        writeln!(out, "$ ibid compile {name} -o out.cwasm --stats")?;
        out.flush()?;
        let said = self.ibid(input, &artifact, &["--stats", "--cache", "cache"])?;
        for line in said.lines() {
            writeln!(
                out,
                "{}",
                line.replace(&format!("{}/", self.folder.display()), "")
            )?;
        }
        let plain = self.engine.precompile_module(&fs::read(input)?)?;
        ensure!(
            fs::read(&artifact)? == plain,
            "the artifact of {name} is not Wasmtime's"
        );
        Ok(())
    }

    /// Runs the command; what it says on standard error is the result.
    fn ibid(&self, input: &Path, output: &Path, options: &[&str]) -> Result<String> {
        let finished = Command::new(&self.ibid)
            .arg("compile")
            .arg(input)
            .arg("-o")
            .arg(output)
            .args(options)
            .current_dir(self.folder)
            .output()
            .context("cannot run ibid")?;
        let said = String::from_utf8_lossy(&finished.stderr).into_owned();
        if !finished.status.success() {
            bail!("ibid failed: {said}");
        }
        Ok(said)
    }
}
