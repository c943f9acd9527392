//! `cargo xtask package`: the crates as a registry would have them, and the Debian package, made and
//! tried.

mod crates;
mod debian;
mod notices;
mod trial;

use std::io::Write;

use anyhow::Result;

use crate::command;
pub(crate) use debian::{make as debian, time};

/// What the command line says about packages.
#[derive(Debug, clap::Args)]
pub struct PackageOptions {
    /// Install the Debian package on this machine, try it, and remove it again; for that one must be
    /// root. Otherwise it is unpacked into a folder and tried there.
    #[arg(long)]
    install: bool,
}

/// Makes the packages and tries them.
///
/// # Errors
///
/// Fails if one cannot be made, or is not as it should be.
pub fn run(options: &PackageOptions, out: &mut impl Write) -> Result<()> {
    crates::check(out)?;
    let ibid = command::build()?;
    let root = command::root();
    let package = debian(&root, &ibid, &time(&root)?)?;
    writeln!(out, "made {}", package.display())?;
    trial::unpacked(&package, out)?;
    if options.install {
        trial::installed(&package, out)?;
    }
    Ok(())
}
