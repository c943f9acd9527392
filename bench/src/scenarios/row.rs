//! What was measured in one scenario, and what follows from it.

use super::Scenario;
use crate::figures::Figure;
use crate::targets::{self, Ratio, Verdict};
use ibid::Report;
use serde::Serialize;
use std::collections::BTreeMap;

/// What a time is of. All are in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Time {
    /// ibid, from the module's bytes to the artifact's (or to a loaded module, in the scenario of
    /// that name), with the store open.
    Ibid,
    /// Opening the store and making the compiler, before that.
    Open,
    /// Writing the store, after it.
    Store,
    /// A plain compile by Wasmtime.
    Cold,
    /// Wasmtime's own incremental cache.
    OwnCache,
    /// Wasmtime's module cache.
    ModuleCache,
    /// The floor.
    Floor,
    /// The whole command.
    Command,
    /// The whole command without a cache.
    ColdCommand,
}

/// One scenario of one module.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Which.
    pub scenario: Scenario,
    /// Why it could not be measured, if so; all else is empty then.
    pub skipped: Option<String>,
    /// What was measured.
    pub times_ms: BTreeMap<Time, Figure>,
    /// What follows from it.
    pub ratios: BTreeMap<Ratio, f64>,
    /// What was found and compiled in the first round.
    pub counts: Option<Counts>,
    /// What the figures have to be. Meant for modules from
    /// [`LEAST_BYTES`](crate::targets::LEAST_BYTES) on.
    pub verdicts: Vec<Verdict>,
}

/// What ibid found and compiled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Counts {
    /// Functions.
    pub functions: u64,
    /// Functions that were in the store.
    pub found: u64,
    /// Functions that have a twin in the module.
    pub duplicates: u64,
    /// Functions that were compiled.
    pub compiled: u64,
    /// Trampolines that were compiled.
    pub trampolines_compiled: u64,
    /// How much of the machine code was not compiled, in percent.
    pub code_reused_percent: f64,
}

impl Counts {
    pub(super) fn of(report: &Report) -> Counts {
        let functions = &report.functions;
        let code = &report.code_bytes;
        Counts {
            functions: functions.total,
            found: functions.total - functions.compiled - functions.duplicates,
            duplicates: functions.duplicates,
            compiled: functions.compiled,
            trampolines_compiled: report.trampolines.compiled,
            code_reused_percent: match code.total {
                0 => 0.0,
                total => 100.0 * code.reused as f64 / total as f64,
            },
        }
    }
}

impl Row {
    /// The row of a scenario that the module has no place for.
    pub(super) fn skipped(scenario: Scenario, reason: String) -> Row {
        Row {
            skipped: Some(reason),
            ..Samples::default().row(scenario)
        }
    }

    /// The median of a time, in milliseconds.
    pub fn ms(&self, time: Time) -> Option<f64> {
        Some(self.times_ms.get(&time)?.median)
    }
}

/// The measurements of a scenario, as they come in.
#[derive(Debug, Default)]
pub(super) struct Samples {
    times: BTreeMap<Time, Vec<f64>>,
    counts: Option<Counts>,
}

impl Samples {
    pub(super) fn push(&mut self, time: Time, ms: f64) {
        self.times.entry(time).or_default().push(ms);
    }

    /// Takes over all of a time that was measured elsewhere.
    pub(super) fn set(&mut self, time: Time, runs: &[f64]) {
        self.times.insert(time, runs.to_vec());
    }

    pub(super) fn runs(&self, time: Time) -> &[f64] {
        self.times.get(&time).map_or(&[], Vec::as_slice)
    }

    /// Notes what was found and compiled, once.
    pub(super) fn count(&mut self, report: &Report) {
        self.counts.get_or_insert_with(|| Counts::of(report));
    }

    pub(super) fn row(self, scenario: Scenario) -> Row {
        let figure = |(time, runs)| Some((time, Figure::of(runs)?));
        let times_ms: BTreeMap<_, _> = self.times.into_iter().filter_map(figure).collect();
        let ratios = ratios(&times_ms, self.counts.as_ref());
        let verdicts = targets::of(scenario)
            .into_iter()
            .filter_map(|target| Some(Verdict::of(target, *ratios.get(&target.ratio)?)))
            .collect();
        Row {
            scenario,
            skipped: None,
            times_ms,
            ratios,
            counts: self.counts,
            verdicts,
        }
    }
}

fn ratios(times: &BTreeMap<Time, Figure>, counts: Option<&Counts>) -> BTreeMap<Ratio, f64> {
    let ratio = |a: &Time, b: &Time| Some(times.get(a)?.ratio(times.get(b)?));
    let stored = || {
        let (ibid, store) = (times.get(&Time::Ibid)?, times.get(&Time::Store)?);
        let both = ibid.runs.iter().zip(&store.runs).map(|(a, b)| a + b);
        Some(Figure::of(both.collect())?.ratio(times.get(&Time::Cold)?))
    };
    let percent = |ratio: f64| 100.0 * ratio;
    let of_cold = ratio(&Time::Ibid, &Time::Cold).map(percent);
    let compiled = counts.map(|counts| 100.0 - counts.code_reused_percent);
    [
        (Ratio::PercentOfCold, of_cold),
        (
            Ratio::PointsBeyondCompiled,
            of_cold.zip(compiled).map(|(time, code)| time - code),
        ),
        (Ratio::PercentOfColdStored, stored().map(percent)),
        (Ratio::TimesFloor, ratio(&Time::Ibid, &Time::Floor)),
        (
            Ratio::FasterThanOwnCache,
            ratio(&Time::OwnCache, &Time::Ibid),
        ),
        (
            Ratio::FasterThanModuleCache,
            ratio(&Time::ModuleCache, &Time::Ibid),
        ),
        (
            Ratio::PercentOfColdCommand,
            ratio(&Time::Command, &Time::ColdCommand).map(percent),
        ),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_of_what_was_measured() {
        let mut samples = Samples::default();
        for (ibid, store, cold) in [(1.0, 1.0, 100.0), (3.0, 1.0, 100.0), (2.0, 2.0, 200.0)] {
            samples.push(Time::Ibid, ibid);
            samples.push(Time::Store, store);
            samples.push(Time::Cold, cold);
        }
        let counts = Counts {
            code_reused_percent: 99.5,
            ..Counts::default()
        };
        samples.counts = Some(counts);
        let row = samples.row(Scenario::BodyEdited);
        let expected = [
            (Ratio::PercentOfCold, 1.0),
            (Ratio::PercentOfColdStored, 2.0),
            (Ratio::PointsBeyondCompiled, 0.5),
        ];
        assert_eq!(row.ratios, BTreeMap::from(expected));
        assert_eq!(row.verdicts.len(), 1, "the own cache was not measured");
        assert!(!row.verdicts[0].met);
    }

    #[test]
    fn a_row_that_was_skipped_is_empty() {
        let row = Row::skipped(Scenario::DataMoved, "no data".into());
        assert_eq!(row.skipped.as_deref(), Some("no data"));
        assert!(row.times_ms.is_empty() && row.verdicts.is_empty());
    }
}
