//! A build for release from a copy of the sources, in which nothing shows where that was.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::{command, package};

/// What is none of a build's business.
pub(super) struct Circumstances {
    /// Which permissions new files do not have.
    pub(super) umask: &'static str,
    pub(super) variables: &'static [(&'static str, &'static str)],
}

/// What was built.
pub(super) struct Built {
    pub(super) command: PathBuf,
    pub(super) package: PathBuf,
}

/// A copy of the sources.
pub(super) struct Sources {
    folder: PathBuf,
    /// When they were committed, in seconds since 1970.
    time: String,
}

impl Sources {
    /// Copies all files that are under version control to `folder`.
    pub(super) fn copy(folder: PathBuf) -> Result<Sources> {
        let root = command::root();
        copy(&root, &folder)?;
        let time = package::time(&root)?;
        Ok(Sources { folder, time })
    }
}

/// Builds the command and its package from a copy of the sources, in its folder.
pub(super) fn build(
    sources: &Sources,
    circumstances: &Circumstances,
    out: &mut impl Write,
) -> Result<Built> {
    let Sources { folder, time } = sources;
    writeln!(out, "building in {}", folder.display())?;
    out.flush()?;
    let target = folder.join("target");
    let flags = remapped(folder)?;
    let mut cargo = Command::new("sh");
    cargo
        .args([
            "-c",
            r#"umask "$1"; shift; exec "$@""#,
            "sh",
            circumstances.umask,
        ])
        .arg(env!("CARGO"))
        .args([
            "build",
            "--release",
            "--locked",
            "--quiet",
            "--package",
            "ibid-cli",
        ])
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", &target)
        .env("RUSTFLAGS", &flags.rust)
        .env("CFLAGS", &flags.c)
        .env("CXXFLAGS", &flags.c)
        .env("SOURCE_DATE_EPOCH", time)
        // A build script that asks git shall not find the checkout around this folder.
        .env("GIT_CEILING_DIRECTORIES", folder.parent().unwrap_or(folder))
        .envs(circumstances.variables.iter().copied())
        // This variable would have more weight than RUSTFLAGS.
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    command::run(&mut cargo)?;
    let ibid = target.join("release/ibid");
    hides(&ibid, &[folder, &flags.cargo])?;
    let package = package::debian(folder, &ibid, time)?;
    Ok(Built {
        command: ibid,
        package,
    })
}

/// Copies all files that are under version control.
fn copy(root: &Path, folder: &Path) -> Result<()> {
    let mut git = Command::new("git");
    git.args(["ls-files", "-z"]).current_dir(root);
    let files = command::output(&mut git).context("a release is built from a checkout")?;
    ensure!(!files.is_empty(), "git knows of no files here");
    for file in files.split_terminator('\0') {
        let to = folder.join(file);
        fs::create_dir_all(to.parent().unwrap_or(folder))?;
        fs::copy(root.join(file), &to).with_context(|| format!("cannot copy {file}"))?;
    }
    Ok(())
}

/// None of `paths` may be written in `file`.
fn hides(file: &Path, paths: &[&Path]) -> Result<()> {
    let bytes = fs::read(file)?;
    for path in paths {
        let path = path.as_os_str().as_encoded_bytes();
        let shows = bytes.windows(path.len()).any(|part| part == path);
        ensure!(
            !shows,
            "{} has the path {} in it",
            file.display(),
            String::from_utf8_lossy(path)
        );
    }
    Ok(())
}

struct Flags {
    rust: String,
    c: String,
    /// Where cargo keeps the sources of other crates.
    cargo: PathBuf,
}

/// Flags for the compilers, so that paths that are written into the code are the same everywhere.
fn remapped(folder: &Path) -> Result<Flags> {
    let cargo = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = || std::env::home_dir().map(|home| home.join(".cargo"));
    let cargo = cargo.or_else(home).context("CARGO_HOME is not known")?;
    let paths = [(folder, "/ibid"), (&cargo, "/cargo")];
    let each = |flag: &str| {
        let flags = paths.map(|(from, to)| format!("{flag}={}={to}", from.display()));
        flags.join(" ")
    };
    Ok(Flags {
        rust: each("--remap-path-prefix"),
        c: each("-ffile-prefix-map"),
        cargo: cargo.clone(),
    })
}
