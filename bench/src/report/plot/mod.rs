//! The plots: SVG that is readable on light and on dark ground.

mod axis;
mod bars;
mod lines;
mod svg;

use crate::scaling::{EntriesSeries, SizeSeries};
use crate::scenarios::{Outcome, Scenario};
use crate::targets::{self, Ratio};
use bars::{Bar, Bars};
use lines::{Line, Lines};

/// The time of each scenario in percent of a plain compile's: a bar for the median of all
/// modules, a dot for each.
pub fn ratios(modules: &[Outcome]) -> String {
    const SCENARIOS: [Scenario; 12] = [
        Scenario::FirstCompile,
        Scenario::Upgrade,
        Scenario::AddressesMoved,
        Scenario::DataMoved,
        Scenario::ImportAdded,
        Scenario::TypeAtFront,
        Scenario::TypeAdded,
        Scenario::FunctionAtFront,
        Scenario::BodyEdited,
        Scenario::HotReload,
        Scenario::Unchanged,
        Scenario::KnownWhole,
    ];
    let bar = |scenario: Scenario| {
        let of_module = |outcome: &Outcome| {
            let value = *outcome.row(scenario)?.ratios.get(&Ratio::PercentOfCold)?;
            Some((outcome.name.clone(), value))
        };
        let target = targets::of(scenario)
            .into_iter()
            .find(|target| target.ratio == Ratio::PercentOfCold);
        Bar {
            label: scenario.title().to_owned(),
            values: modules.iter().filter_map(of_module).collect(),
            target: target.map(|target| target.bound),
        }
    };
    Bars {
        title: "Compile time with ibid, in percent of Wasmtime's".to_owned(),
        unit: " %",
        bars: SCENARIOS.into_iter().map(bar).collect(),
    }
    .draw()
}

/// The time for each MB after an edit of one body, over the module's size.
pub fn over_size(series: &[SizeSeries]) -> String {
    let line = |series: &SizeSeries| Line {
        name: format!("{}, repeated", series.name),
        points: series
            .points
            .iter()
            .map(|point| (point.wasm_bytes as f64 / 1e6, point.edited_ms_per_mb))
            .collect(),
    };
    Lines {
        title: "One body edited: time per MB over the module's size".to_owned(),
        x: "MB of WebAssembly",
        y: "ms per MB",
        lines: series.iter().map(line).collect(),
    }
    .draw()
}

/// The time after an edit of one body, over the entries in the store.
pub fn over_entries(series: &[EntriesSeries]) -> String {
    let line = |series: &EntriesSeries| Line {
        name: series.name.clone(),
        points: series
            .points
            .iter()
            .map(|point| (point.entries as f64, point.edited_ms.median))
            .collect(),
    };
    Lines {
        title: "One body edited: time over the entries in the store".to_owned(),
        x: "entries in the store",
        y: "ms",
        lines: series.iter().map(line).collect(),
    }
    .draw()
}
