//! The situations that a build meets, measured for one module.
//!
//! | file | what it measures |
//! |---|---|
//! | `unedited` | the first compile, and compiles of what is known already |
//! | `rebuild` | compiles after an edit or an upgrade, in a new process and in one that goes on |
//! | `row` | what was measured, and what follows from it |

mod rebuild;
mod row;
mod unedited;

use crate::Subject;
use crate::command::{CommandLine, Peak};
use crate::edits::Edit;
use crate::known::Known;
use crate::references::OwnCache;
use crate::targets;
use anyhow::{Context, Result};
use serde::Serialize;
use std::path::PathBuf;
use tempfile::TempDir;
use wasmtime::Engine;

pub use row::{Counts, Row, Time};

/// A situation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scenario {
    /// The store is empty.
    FirstCompile,
    /// The store knows the module's functions; the artifact as a whole is not asked for.
    Unchanged,
    /// The store knows the artifact as a whole.
    KnownWhole,
    /// The store knows the artifact as a whole, and a [`wasmtime::Module`] is made of it.
    KnownWholeLoaded,
    /// A constant in one body is another one.
    BodyEdited,
    /// The same edit, in a process that compiled the module before.
    HotReload,
    /// One function more in front of all others.
    FunctionAtFront,
    /// All static data has moved, and the code does not say so.
    DataMoved,
    /// All static data has moved, and its addresses in the code with it.
    AddressesMoved,
    /// One type more, behind all others.
    TypeAdded,
    /// One type more, in front of all others.
    TypeAtFront,
    /// One import more, which nothing uses.
    ImportAdded,
    /// The store knows another release.
    Upgrade,
}

impl Scenario {
    /// The scenario, for people.
    pub fn title(self) -> &'static str {
        match self {
            Scenario::FirstCompile => "first compile",
            Scenario::Unchanged => "unchanged, by function",
            Scenario::KnownWhole => "unchanged, known whole",
            Scenario::KnownWholeLoaded => "unchanged, to a Module",
            Scenario::BodyEdited => "one body edited",
            Scenario::HotReload => "hot reload",
            Scenario::FunctionAtFront => "function at the front",
            Scenario::DataMoved => "data moved",
            Scenario::AddressesMoved => "data and addresses moved",
            Scenario::TypeAdded => "type added",
            Scenario::TypeAtFront => "type at the front",
            Scenario::ImportAdded => "import added",
            Scenario::Upgrade => "upgrade",
        }
    }
}

/// The edits that have a scenario, in the order of the table.
const EDITS: [(Scenario, Edit); 7] = [
    (Scenario::BodyEdited, Edit::Constant),
    (Scenario::FunctionAtFront, Edit::FunctionAtFront),
    (Scenario::DataMoved, Edit::Data),
    (Scenario::AddressesMoved, Edit::Addresses),
    (Scenario::TypeAdded, Edit::Type),
    (Scenario::TypeAtFront, Edit::TypeAtFront),
    (Scenario::ImportAdded, Edit::Import),
];

/// How to measure.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How often each scenario is measured.
    pub rounds: usize,
    /// Where the stores are made. It should be on a disk.
    pub directory: PathBuf,
    /// The `ibid` command, if it is to be measured as well.
    pub ibid: Option<PathBuf>,
}

/// A plain compile that takes longer than this is slow, in milliseconds.
const SLOW_MS: f64 = 2000.0;

/// How often a slow compile is measured at most.
const SLOW_ROUNDS: usize = 3;

/// What one module was found to take.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// The module's name.
    pub name: String,
    /// The module's size.
    pub wasm_bytes: usize,
    /// The artifact's size.
    pub artifact_bytes: usize,
    /// A row for each scenario.
    pub rows: Vec<Row>,
    /// The peak memory of the command after an edit of one body, if that was measured.
    pub memory: Option<Memory>,
}

/// The peak memory of a rebuild.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// What it was.
    pub peak: Peak,
    /// What it may be at most.
    pub target_bytes: u64,
    /// Whether it is no more than that.
    pub met: bool,
}

impl Outcome {
    /// The row of a scenario.
    pub fn row(&self, scenario: Scenario) -> Option<&Row> {
        self.rows.iter().find(|row| row.scenario == scenario)
    }
}

/// Measures all scenarios of `subject`, and the upgrade from `older` to it if there is one. Calls
/// `progress` with what comes next.
///
/// # Errors
///
/// If any artifact is not Wasmtime's, or something that is measured fails. An edit that the
/// module has no place for is no error, but a row that says so.
pub fn run(
    subject: &Subject,
    older: Option<&Subject>,
    engine: &Engine,
    settings: &Settings,
    progress: &mut dyn FnMut(&str),
) -> Result<Outcome> {
    progress("warming up");
    let mut bench = Bench::new(subject, engine, settings)?;
    let mut rows = unedited::rows(&mut bench, progress)?;
    let mut memory = None;
    {
        let base = Base {
            known: &bench.known,
            own: Some(OwnCache::knowing(&subject.wasm)?),
        };
        for (scenario, edit) in EDITS {
            progress(scenario.title());
            let edited = |variant| edit.apply(&subject.wasm, variant);
            // Whether there is anything to edit is seen at the first variant.
            match edited(0) {
                Err(reason) => rows.push(Row::skipped(scenario, format!("{reason:#}"))),
                Ok(_) => {
                    let rebuilt = rebuild::rows(&bench, scenario, &edited, &base)?;
                    memory = memory.or(rebuilt.memory);
                    rows.extend(rebuilt.rows);
                }
            }
        }
    }
    if let Some(older) = older {
        progress(Scenario::Upgrade.title());
        let known = bench.knowing(older)?;
        let base = Base {
            known: &known,
            own: Some(OwnCache::knowing(&older.wasm)?),
        };
        let newer = |_| Ok(subject.wasm.clone());
        rows.extend(rebuild::rows(&bench, Scenario::Upgrade, &newer, &base)?.rows);
    }
    Ok(Outcome {
        name: subject.name.clone(),
        wasm_bytes: subject.wasm.len(),
        artifact_bytes: subject.artifact.len(),
        rows,
        memory: memory.map(|peak| {
            let target_bytes = targets::peak_memory(subject.wasm.len(), subject.artifact.len());
            Memory {
                peak,
                target_bytes,
                met: peak.resident_bytes <= target_bytes,
            }
        }),
    })
}

/// What the rebuilds of one group start from.
struct Base<'b> {
    known: &'b Known,
    own: Option<OwnCache>,
}

/// What all scenarios of one module share.
struct Bench<'b> {
    engine: &'b Engine,
    subject: &'b Subject,
    /// How often each scenario is measured.
    rounds: usize,
    /// How often a plain compile is measured in each scenario.
    cold_rounds: usize,
    /// Where stores are made. Removed at the end.
    directory: TempDir,
    /// A store that knows the subject.
    known: Known,
    command: Option<CommandLine>,
    /// Milliseconds of the command without a cache.
    cold_command: Vec<f64>,
}

impl<'b> Bench<'b> {
    fn new(subject: &'b Subject, engine: &'b Engine, settings: &Settings) -> Result<Self> {
        let directory = tempfile::tempdir_in(&settings.directory).with_context(|| {
            format!(
                "cannot make a directory in {}",
                settings.directory.display()
            )
        })?;
        let at = directory.path();
        let known = Known::functions(engine, &subject.wasm, &subject.artifact, at)?;
        let command = settings.ibid.clone();
        let command = command.map(|ibid| CommandLine::new(ibid, at)).transpose()?;
        let rounds = settings.rounds.max(1);
        let slow = subject.warm_up_ms > SLOW_MS;
        Ok(Bench {
            engine,
            subject,
            rounds,
            cold_rounds: if slow {
                rounds.min(SLOW_ROUNDS)
            } else {
                rounds
            },
            directory,
            known,
            command,
            cold_command: Vec::new(),
        })
    }

    /// A store that knows another module.
    fn knowing(&self, other: &Subject) -> Result<Known> {
        Known::functions(
            self.engine,
            &other.wasm,
            &other.artifact,
            self.directory.path(),
        )
    }
}
