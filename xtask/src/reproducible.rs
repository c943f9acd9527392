//! `cargo xtask reproducible`: the command and its Debian package, built for release: twice, in
//! different places and under different circumstances, and compared.

mod build;
mod difference;

use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::{Result, ensure};
use sha2::{Digest, Sha256};

use crate::command;
use build::{Circumstances, Sources, build};

/// Where the second sources lie: a path of another length, in another depth.
const ELSEWHERE: &str = "some/other/place";

/// Builds twice, and compares. What was built is left in `target/reproducible`.
///
/// # Errors
///
/// Fails if a build does, or if the two differ; then it says in which sections.
pub fn run(out: &mut impl Write) -> Result<()> {
    let place = command::target()?.join("reproducible");
    if place.exists() {
        fs::remove_dir_all(&place)?;
    }
    let here = Circumstances {
        umask: "022",
        variables: &[("TZ", "UTC"), ("LC_ALL", "C.UTF-8")],
    };
    let there = Circumstances {
        umask: "077",
        variables: &[("TZ", "Asia/Tokyo"), ("LC_ALL", "C"), ("USER", "somebody")],
    };
    let [first, second] = [place.join("here"), place.join(ELSEWHERE)];
    // Both before the first build, so that it does not matter what happens to the checkout meanwhile.
    let sources = [Sources::copy(first)?, Sources::copy(second)?];
    let [first, second] = [
        build(&sources[0], &here, out)?,
        build(&sources[1], &there, out)?,
    ];
    let mut differ = Vec::new();
    for (name, one, other) in [
        ("ibid", &first.command, &second.command),
        ("ibid.deb", &first.package, &second.package),
    ] {
        let [one, other] = [fs::read(one)?, fs::read(other)?];
        let digest = digest(&one);
        if one == other {
            writeln!(
                out,
                "{name}: the same, {} bytes, SHA-256 {digest}",
                one.len()
            )?;
            fs::write(place.join(name), &one)?;
        } else {
            let sections = difference::of(&one, &other);
            differ.push(format!("{name} ({})", sections.join(", ")));
        }
    }
    ensure!(differ.is_empty(), "these differ: {}", differ.join("; "));
    executable(&place.join("ibid"))
}

fn digest(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

fn executable(file: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(file, fs::Permissions::from_mode(0o755))?;
    Ok(())
}
