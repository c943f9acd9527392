//! What the package has to say about licenses: its own, and those of all that is built into it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::command;

/// Where the exceptions begin in the project's license.
const EXCEPTIONS: &str = "--- LLVM Exceptions";

/// How names of files begin that have a license or a notice in them.
const NAMES: [&str; 5] = ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE"];

/// The package's `copyright`, as Debian wants it: a common license is referred to.
pub(super) fn copyright(root: &Path) -> Result<String> {
    let license = fs::read_to_string(root.join("LICENSE"))?;
    let (_, exceptions) = license
        .split_once(EXCEPTIONS)
        .context("the license has no exceptions")?;
    Ok(format!(
        "ibid\n\
         Copyright 2026 The ibid developers\n\n\
         Licensed under the Apache License, Version 2.0, with the exceptions below. On Debian systems \
         the license\nis in /usr/share/common-licenses/Apache-2.0.\n\n\
         The command has other programs' code in it. Their licenses are in third-party.txt.gz, \
         beside this file.\n\n\
         {EXCEPTIONS}{exceptions}"
    ))
}

/// The licenses and notices of all crates that the command is built from.
pub(super) fn third_party(root: &Path) -> Result<String> {
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut out = String::from("The command ibid is built from these crates:\n\n");
    for dependency in dependencies(root)? {
        let Dependency {
            name,
            license,
            folder,
        } = dependency;
        out.push_str(&format!("{name}: {license}\n"));
        let mut files = Vec::new();
        find(&folder, &mut files)?;
        for file in files {
            let text =
                fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
            let text = String::from_utf8_lossy(&text).trim().to_string();
            let of = texts.entry(text).or_default();
            if !of.contains(&name) {
                of.push(name.clone());
            }
        }
    }
    for (text, of) in texts {
        out.push_str(&format!(
            "\n{}\n{}:\n\n{text}\n",
            "=".repeat(80),
            of.join(", ")
        ));
    }
    Ok(out)
}

struct Dependency {
    /// With its release.
    name: String,
    license: String,
    folder: PathBuf,
}

/// All crates that are built into the command, but for our own.
fn dependencies(root: &Path) -> Result<Vec<Dependency>> {
    let tree = command::tree(root, "ibid-cli", "normal", "{p}")?;
    let metadata = command::metadata(root, &[])?;
    let packages = metadata["packages"].as_array().context("no packages")?;
    let mut found: BTreeMap<String, Dependency> = BTreeMap::new();
    for line in tree.lines() {
        // A name and `v` with a release; then the folder, if the crate is of the workspace.
        let mut words = line.split(' ');
        let version = |word: &'_ str| word.strip_prefix('v').map(String::from);
        let (Some(name), Some(version)) = (words.next(), words.next().and_then(version)) else {
            bail!("`cargo tree` says {line:?}");
        };
        let is_it = |package: &&Value| package["name"] == name && package["version"] == *version;
        let package = packages.iter().find(is_it);
        let package = package.with_context(|| format!("there is no package {name} {version}"))?;
        if package["source"].is_null() {
            continue;
        }
        let manifest = package["manifest_path"].as_str().context("no manifest")?;
        let name = format!("{name} {version}");
        found.insert(
            name.clone(),
            Dependency {
                name,
                license: package["license"].as_str().unwrap_or("see below").into(),
                folder: Path::new(manifest).parent().unwrap_or(root).into(),
            },
        );
    }
    Ok(found.into_values().collect())
}

/// Finds the files in `folder` and below that have licenses and notices in them.
fn find(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let mut entries = fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let kind = entry.file_type()?;
        let name = entry.file_name().to_string_lossy().to_uppercase();
        if kind.is_dir() {
            find(&entry.path(), files)?;
        } else if kind.is_file()
            && NAMES.iter().any(|prefix| name.starts_with(prefix))
            && !name.ends_with(".RS")
        {
            files.push(entry.path());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dependency_has_a_license_and_lmdb_its_own() -> Result<()> {
        let text = third_party(&command::root())?;
        assert!(!text.contains(": see below"), "a crate names no license");
        assert!(text.contains("\ncranelift-codegen "));
        assert!(text.contains("OpenLDAP Public License"), "LMDB's license");
        assert!(
            !text.contains("\nibid"),
            "our own crates are no third parties"
        );
        Ok(())
    }

    #[test]
    fn the_copyright_has_the_exceptions() -> Result<()> {
        let text = copyright(&command::root())?;
        assert!(text.contains("common-licenses/Apache-2.0"));
        assert!(text.contains("Combined Software"), "{text}");
        Ok(())
    }
}
