//! The crates, packed as a registry would have them.

use std::io::Write;
use std::process::Command;

use anyhow::{Result, ensure};

use crate::command;

/// The crates that others may depend on, and the command with what it is made of.
const CRATES: [&str; 5] = [
    "ibid-store",
    "ibid",
    "ibid-remote",
    "ibid-bench",
    "ibid-cli",
];

/// What each has to have besides its sources.
const NEEDED: [&str; 3] = ["Cargo.toml", "LICENSE", "README.md"];

/// Packs each crate. That it can be packed means that all dependencies have releases, and that
/// nothing outside is needed to describe it.
pub(super) fn check(out: &mut impl Write) -> Result<()> {
    let mut pack = cargo(&["package", "--no-verify", "--quiet"]);
    command::run(pack.args(CRATES.iter().flat_map(|name| ["--package", name])))?;
    for name in CRATES {
        let list = command::output(&mut cargo(&["package", "--list", "--package", name]))?;
        for file in NEEDED {
            ensure!(
                list.lines().any(|line| line == file),
                "the crate {name} would have no {file}"
            );
        }
        writeln!(out, "crate {name}: {} files", list.lines().count())?;
    }
    Ok(())
}

fn cargo(arguments: &[&str]) -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(arguments)
        .args(["--locked", "--allow-dirty"])
        .current_dir(command::root());
    cargo
}
