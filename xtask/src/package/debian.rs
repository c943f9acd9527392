//! The Debian package, made by `cargo deb`; `[package.metadata.deb]` of the command's manifest says
//! what is in it.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;

use super::notices;
use crate::command;

/// Where the manifest of the command says that files lie which are made for the package.
const ASSETS: &str = "target/package/debian";

/// Which shells complete the command's words.
const SHELLS: [&str; 3] = ["bash", "zsh", "fish"];

/// Makes the package of the command at `ibid`, which is a release build of the sources at `root`;
/// says where it is. The package bears `time`, in seconds since 1970.
pub(crate) fn make(root: &Path, ibid: &Path, time: &str) -> Result<PathBuf> {
    let assets = root.join(ASSETS);
    make_assets(root, ibid, &assets, time)?;
    let package = assets.join("ibid.deb");
    let deb = command::tool("cargo-deb");
    command::output(Command::new(&deb).arg("--version"))
        .context("`.ci/run` says how to install it")?;
    let mut deb = Command::new(deb);
    deb.args(["--package", "ibid-cli", "--no-build", "--locked", "--quiet"])
        .arg("--output")
        .arg(&package)
        .current_dir(root)
        .env("CARGO_TARGET_DIR", root.join("target"))
        .env("SOURCE_DATE_EPOCH", time);
    command::run(&mut deb)?;
    Ok(package)
}

/// The time that a package of the sources at `root` bears, in seconds since 1970: the same for the
/// same sources.
pub(crate) fn time(root: &Path) -> Result<String> {
    if let Ok(time) = std::env::var("SOURCE_DATE_EPOCH") {
        return Ok(time);
    }
    let mut git = Command::new("git");
    git.args(["log", "-1", "--format=%ct"]).current_dir(root);
    let time = command::output(&mut git)
        .context("say the time of the sources with SOURCE_DATE_EPOCH, in seconds since 1970")?;
    Ok(time.trim().to_string())
}

/// Makes what the package has besides the command.
fn make_assets(root: &Path, ibid: &Path, assets: &Path, time: &str) -> Result<()> {
    let manual = assets.join("man");
    if manual.exists() {
        // Pages of subcommands that are gone would stay.
        fs::remove_dir_all(&manual)?;
    }
    fs::create_dir_all(&manual)?;
    command::output(Command::new(ibid).args(["man", "--dir"]).arg(&manual))?;
    for shell in SHELLS {
        let script = command::output(Command::new(ibid).args(["completions", shell]))?;
        ensure!(!script.is_empty(), "nothing completes words in {shell}");
        fs::write(assets.join(format!("ibid.{shell}")), script)?;
    }
    fs::write(assets.join("changelog"), changelog(time)?)?;
    fs::write(assets.join("copyright"), notices::copyright(root)?)?;
    let third_party = File::create(assets.join("third-party.txt.gz"))?;
    let mut packed = GzEncoder::new(third_party, Compression::best());
    packed.write_all(notices::third_party(root)?.as_bytes())?;
    packed.finish()?;
    Ok(())
}

/// What Debian's tools want to read of changes; people read the project's own.
fn changelog(time: &str) -> Result<String> {
    let mut date = Command::new("date");
    date.args(["--utc", "--rfc-email", "--date"])
        .arg(format!("@{time}"))
        .env("LC_ALL", "C");
    Ok(format!(
        "ibid ({version}-1) unstable; urgency=medium\n\n  * See changelog.gz, which is beside this file.\n\n -- {maintainer}  {date}",
        version = env!("CARGO_PKG_VERSION"),
        maintainer = MAINTAINER,
        date = command::output(&mut date)?,
    ))
}

/// As in the command's manifest.
const MAINTAINER: &str = "The ibid developers <developers@ibid.invalid>";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_changelog_bears_the_time_of_the_sources() -> Result<()> {
        let text = changelog("86400")?;
        assert!(text.starts_with("ibid ("), "{text}");
        assert!(
            text.ends_with("  Fri, 02 Jan 1970 00:00:00 +0000\n"),
            "{text}"
        );
        Ok(())
    }

    #[test]
    fn the_maintainer_is_the_manifests() -> Result<()> {
        let manifest = fs::read_to_string(command::root().join("crates/ibid-cli/Cargo.toml"))?;
        assert!(manifest.contains(&format!("maintainer = \"{MAINTAINER}\"")));
        Ok(())
    }
}
