//! What the figures have to be, and whether they are.

use crate::scenarios::Scenario;
use serde::Serialize;

/// From which size on the targets are meant, in bytes.
pub const LEAST_BYTES: usize = 5_000_000;

/// A ratio that a target is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ratio {
    /// The time, in percent of a plain compile's.
    PercentOfCold,
    /// The time with the writing of the store, in percent of a plain compile's.
    PercentOfColdStored,
    /// How many times the floor the time is.
    TimesFloor,
    /// How many times ibid's time Wasmtime's own incremental cache takes.
    FasterThanOwnCache,
    /// How many times ibid's time Wasmtime's module cache takes.
    FasterThanModuleCache,
    /// The whole command's time, in percent of its time without a cache.
    PercentOfColdCommand,
    /// By how many percent of a plain compile's time it takes longer than its share of the machine
    /// code that was compiled.
    PointsBeyondCompiled,
}

impl Ratio {
    /// The ratio with its unit.
    ///
    /// ```
    /// use ibid_bench::targets::Ratio;
    ///
    /// assert_eq!(Ratio::PercentOfCold.with_unit(0.712), "0.71 % of cold");
    /// assert_eq!(Ratio::FasterThanOwnCache.with_unit(31.4), "31 × faster than the own cache");
    /// ```
    pub fn with_unit(self, value: f64) -> String {
        let number = three_digits(value);
        match self {
            Ratio::PercentOfCold => format!("{number} % of cold"),
            Ratio::PercentOfColdStored => format!("{number} % of cold, writing included"),
            Ratio::TimesFloor => format!("{number} × the floor"),
            Ratio::FasterThanOwnCache => format!("{number} × faster than the own cache"),
            Ratio::FasterThanModuleCache => format!("{number} × faster than the module cache"),
            Ratio::PercentOfColdCommand => format!("{number} % of the command without a cache"),
            Ratio::PointsBeyondCompiled => {
                format!("{number} % of cold more than the share of code compiled")
            }
        }
    }

    /// Whether more is better.
    fn at_least(self) -> bool {
        matches!(
            self,
            Ratio::FasterThanOwnCache | Ratio::FasterThanModuleCache
        )
    }
}

/// A number with no more digits than a measurement has.
pub(crate) fn three_digits(value: f64) -> String {
    match value.abs() {
        size if size < 1.0 => format!("{value:.2}"),
        size if size < 20.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// A bound for a ratio. As text it is the target in words.
///
/// ```
/// use ibid_bench::targets::{Ratio, Target};
///
/// let target = Target { ratio: Ratio::TimesFloor, bound: 3.0 };
/// assert_eq!(target.to_string(), "≤ 3.0 × the floor");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Target {
    /// The ratio.
    pub ratio: Ratio,
    /// What it may be at most; or has to be at least, if more is better.
    pub bound: f64,
}

impl Target {
    fn sign(self) -> &'static str {
        if self.ratio.at_least() { "≥" } else { "≤" }
    }

    /// Whether `figure` meets the target.
    pub fn is_met_by(self, figure: f64) -> bool {
        if self.ratio.at_least() {
            figure >= self.bound
        } else {
            figure <= self.bound
        }
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.sign(), self.ratio.with_unit(self.bound))
    }
}

/// A target and the figure beside it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// The target.
    pub target: Target,
    /// The figure.
    pub figure: f64,
    /// Whether the figure meets the target.
    pub met: bool,
}

impl Verdict {
    /// Holds `figure` against `target`.
    pub fn of(target: Target, figure: f64) -> Verdict {
        Verdict {
            target,
            figure,
            met: target.is_met_by(figure),
        }
    }
}

/// The targets of a scenario. A type at the front has none, for every indirect call has the index of
/// its type in its code.
pub fn of(scenario: Scenario) -> Vec<Target> {
    let bounds: &[(Ratio, f64)] = match scenario {
        Scenario::FirstCompile => &[(Ratio::PercentOfColdStored, 102.0)],
        Scenario::KnownWhole => &[
            (Ratio::TimesFloor, 3.0),
            (Ratio::FasterThanModuleCache, 1.0),
        ],
        Scenario::KnownWholeLoaded => &[(Ratio::FasterThanModuleCache, 1.0)],
        Scenario::BodyEdited => &[
            (Ratio::PercentOfCold, 0.7),
            (Ratio::FasterThanOwnCache, 30.0),
        ],
        Scenario::HotReload => &[(Ratio::PercentOfCold, 0.4)],
        Scenario::FunctionAtFront => &[(Ratio::PercentOfCold, 1.2)],
        Scenario::TypeAdded | Scenario::ImportAdded => &[(Ratio::PercentOfCold, 5.0)],
        Scenario::Upgrade => &[(Ratio::PointsBeyondCompiled, 3.0)],
        Scenario::Unchanged
        | Scenario::DataMoved
        | Scenario::AddressesMoved
        | Scenario::TypeAtFront => &[],
    };
    let target = |&(ratio, bound)| Target { ratio, bound };
    bounds.iter().map(target).collect()
}

/// The peak memory that a rebuild may have, in bytes: 2 × (input + artifact) + 64 MiB.
pub fn peak_memory(wasm_bytes: usize, artifact_bytes: usize) -> u64 {
    2 * (wasm_bytes as u64 + artifact_bytes as u64) + (64 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_met_from_the_right_side() {
        let at_most = Target {
            ratio: Ratio::PercentOfCold,
            bound: 0.7,
        };
        assert!(at_most.is_met_by(0.7) && !at_most.is_met_by(0.71));
        let at_least = Target {
            ratio: Ratio::FasterThanOwnCache,
            bound: 30.0,
        };
        assert!(at_least.is_met_by(30.0) && !at_least.is_met_by(29.9));
    }
}
