//! Whether a Debian package has what it should, and whether that works.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use wasmtime::Engine;

use crate::command;

/// Files that the package has.
const FILES: [&str; 10] = [
    "usr/bin/ibid",
    "usr/share/bash-completion/completions/ibid",
    "usr/share/doc/ibid/changelog.Debian.gz",
    "usr/share/doc/ibid/changelog.gz",
    "usr/share/doc/ibid/copyright",
    "usr/share/doc/ibid/third-party.txt.gz",
    "usr/share/fish/vendor_completions.d/ibid.fish",
    "usr/share/man/man1/ibid.1.gz",
    "usr/share/man/man1/ibid-compile.1.gz",
    "usr/share/zsh/vendor-completions/_ibid",
];

/// A module, to see that the command works.
const MODULE: &str = r#"(module (func (export "f") (result i32) i32.const 7))"#;

/// Unpacks `package` into a folder, and tries what is in it.
pub(super) fn unpacked(package: &Path, out: &mut impl Write) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut unpack = Command::new("dpkg-deb");
    unpack.arg("--extract").arg(package).arg(folder.path());
    command::run(&mut unpack).context("Debian's `dpkg-deb` is needed")?;
    for file in FILES {
        let there = folder.path().join(file);
        ensure!(there.is_file(), "the package has no /{file}");
    }
    // `cargo deb` makes one of its own, of four lines, where it does not see ours.
    let copyright = fs::read_to_string(folder.path().join("usr/share/doc/ibid/copyright"))?;
    ensure!(
        copyright.contains("common-licenses/Apache-2.0")
            && copyright.contains("third-party.txt.gz"),
        "the package's copyright is not the project's"
    );
    compiles(&folder.path().join("usr/bin/ibid"))?;
    completes(
        &folder
            .path()
            .join("usr/share/bash-completion/completions/ibid"),
    )?;
    let pages = manual(&folder.path().join("usr/share/man/man1"))?;
    writeln!(
        out,
        "unpacked: the command compiles, bash completes its words, {pages} pages read"
    )?;
    Ok(())
}

/// Installs `package` on this machine, tries it, and removes it again.
pub(super) fn installed(package: &Path, out: &mut impl Write) -> Result<()> {
    ensure!(
        rustix::process::geteuid().is_root(),
        "only root can install a package; leave `--install` out to unpack and try it"
    );
    ensure!(
        !is_installed()?,
        "a package `ibid` is installed already; remove it, or leave `--install` out"
    );
    command::run(Command::new("dpkg").arg("--install").arg(package))?;
    let tried = compiles(Path::new("/usr/bin/ibid"));
    // Also if it does not work.
    command::run(Command::new("dpkg").args(["--purge", "ibid"]))?;
    tried?;
    ensure!(!is_installed()?, "the package is still installed");
    for file in FILES {
        let left = Path::new("/").join(file);
        ensure!(!left.exists(), "{} is left behind", left.display());
    }
    writeln!(out, "installed, tried, and removed: nothing is left behind")?;
    Ok(())
}

fn is_installed() -> Result<bool> {
    let mut query = Command::new("dpkg-query");
    query.args(["--show", "--showformat=${db:Status-Status}", "ibid"]);
    let found = query.output().context("Debian's `dpkg-query` is needed")?;
    Ok(found.status.success() && found.stdout == b"installed")
}

/// The command at `ibid` says its release, and compiles.
fn compiles(ibid: &Path) -> Result<()> {
    let version = command::output(Command::new(ibid).arg("--version"))?;
    let expected = format!("ibid {}\n", env!("CARGO_PKG_VERSION"));
    ensure!(version == expected, "the package has the release {version}");
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("in.wat"), MODULE)?;
    let mut compile = Command::new(ibid);
    compile.args(["compile", "in.wat", "--cache", "cache"]);
    command::run(compile.current_dir(folder.path()))?;
    let plain = Engine::default().precompile_module(MODULE.as_bytes())?;
    let artifact = fs::read(folder.path().join("in.cwasm"))?;
    ensure!(artifact == plain, "the artifact is not Wasmtime's");
    Ok(())
}

/// Bash completes the command's words with `script`.
fn completes(script: &Path) -> Result<()> {
    const ASK: &str = r#"
        set -eu
        source "$1"
        COMP_WORDS=(ibid comp) COMP_CWORD=1
        _ibid ibid comp ibid
        printf '%s\n' "${COMPREPLY[@]}""#;
    let mut bash = Command::new("bash");
    let bash = bash.args(["--norc", "-c", ASK, "bash"]).arg(script);
    let words = command::output(bash)?;
    ensure!(
        words.lines().any(|word| word == "compile"),
        "bash does not complete `comp`, but says {words:?}"
    );
    Ok(())
}

/// Reads all pages in the folder; says how many there are.
fn manual(folder: &Path) -> Result<usize> {
    let mut pages = 0;
    for page in fs::read_dir(folder)? {
        let page = page?.path();
        let file = flate2::read::GzDecoder::new(fs::File::open(&page)?);
        let text = std::io::read_to_string(file)
            .with_context(|| format!("{} does not unpack", page.display()))?;
        let sections = [".SH NAME", ".SH SYNOPSIS"];
        ensure!(
            sections.iter().all(|section| text.contains(section)),
            "{} is no page of a manual",
            page.display()
        );
        pages += 1;
    }
    Ok(pages)
}
