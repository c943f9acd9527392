//! The benchmark of ibid.
//!
//! One module at a time is compiled in all the situations that a build meets: for the first time,
//! unchanged, after one edit or another, after an upgrade. Each compile is measured in turns with
//! what it has to be compared with, in one run, and each artifact is compared with what Wasmtime
//! makes of the very input.
//!
//! | module | what it does |
//! |---|---|
//! | [`edits`] | what a programmer does between two builds |
//! | [`references`] | Wasmtime, its two caches, and the floor |
//! | [`scenarios`] | the situations, measured |
//! | [`targets`] | what the figures have to be |
//! | [`command`] | the `ibid` command as a whole, and its peak memory |
//! | [`scaling`] | larger modules, fuller stores |
//! | [`store`] | the store by itself: many entries, authentication, for Wasmtime's own cache |
//! | [`remote_model`] | a remote on an object store, simulated: what it costs a fleet |
//! | [`report`] | Markdown, JSON, and plots |
//!
//! # How it measures
//!
//! - Wall-clock time, release build, in one process but for the command's column. A time is from
//!   the module's bytes in memory to the artifact's bytes in memory, with the store open.
//! - Every rebuild is over a fresh copy of a store on disk that knows the module before the edit
//!   and nothing else, and by a fresh compiler, as in a process that just began. The copy has
//!   been synced, so that no writing is left to do for the system.
//! - Medians. A ratio is the median of the ratios of one round each.
//! - Where a plain compile takes long, it is measured three times at most.

pub mod command;
pub mod edits;
pub mod figures;
mod known;
pub mod references;
pub mod remote_model;
pub mod report;
pub mod scaling;
pub mod scenarios;
pub mod store;
mod subject;
pub mod targets;
#[cfg(test)]
mod test_module;

use serde::Serialize;

pub use subject::Subject;

/// All that one run of the benchmark found.
#[derive(Debug, Serialize)]
pub struct Benchmark {
    /// On what it ran.
    pub machine: Machine,
    /// What each module was found to take.
    pub modules: Vec<scenarios::Outcome>,
    /// How rebuilds scale, if that was measured.
    pub scaling: Option<scaling::Scaling>,
    /// The store by itself, if it was measured.
    pub stores: Option<store::Stores>,
    /// What a remote costs a fleet, if that was simulated.
    pub remote: Option<remote_model::RemoteModel>,
}

/// The release of Wasmtime that the workspace pins.
const WASMTIME: &str = "48.0.8";

/// The machine, and the versions under test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// The processor's name, where the system says it.
    pub processor: Option<String>,
    /// How many threads run at once.
    pub threads: usize,
    /// The architecture.
    pub architecture: &'static str,
    /// The operating system.
    pub system: &'static str,
    /// The release of ibid.
    pub ibid: &'static str,
    /// The release of Wasmtime.
    pub wasmtime: &'static str,
}

impl Machine {
    /// This machine.
    ///
    /// # Errors
    ///
    /// If the system does not say how many threads run at once.
    pub fn this() -> std::io::Result<Machine> {
        Ok(Machine {
            processor: processor(),
            threads: std::thread::available_parallelism()?.get(),
            architecture: std::env::consts::ARCH,
            system: std::env::consts::OS,
            ibid: env!("CARGO_PKG_VERSION"),
            wasmtime: WASMTIME,
        })
    }
}

/// What Linux calls the processor.
fn processor() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_release_is_the_one_that_is_pinned() {
        let workspace = include_str!("../../Cargo.toml");
        assert!(workspace.contains(&format!("wasmtime = {{ version = \"={WASMTIME}\"")));
    }
}
