//! What a remote on an object store costs a fleet: a simulation.
//!
//! Days pass on which programs change, are uploaded, and are compiled on other machines; what is
//! counted is the last day, when there is as much as there will be. The decisions are those of the
//! crate itself ([`ibid_remote::model`]): which segments are joined, which a client takes in,
//! which ranges of packs are read, which packs are merged. The numbers are the same in every run.

mod fleet;
mod morning;
mod objects;
mod outcome;
mod parameters;
mod random;
mod remote;

use serde::Serialize;

pub use morning::Morning;
pub use objects::Traffic;
pub use outcome::{Latency, OfValues, Outcome, Upkept, simulate};
pub use parameters::{Habits, Parameters, Programs, Scenario, Store, Upkeep};

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct RemoteModel {
    /// What was taken for granted.
    pub parameters: Parameters,
    /// Fleets with the options as they are by default.
    pub fleets: Vec<Outcome>,
    /// Fleets for which these do not do, and what may be done.
    pub remedies: Vec<Outcome>,
}

/// Simulates fleets of all sizes, and what may be done for the largest.
pub fn run(is_quick: bool, progress: &mut dyn FnMut(&str)) -> RemoteModel {
    let parameters = Parameters::default();
    let mut outcomes = |scenarios: Vec<Scenario>| -> Vec<Outcome> {
        let outcome = |scenario: &Scenario| {
            let Scenario {
                machines, uploads, ..
            } = scenario;
            progress(&format!(
                "{machines} machines, {uploads} uploads {}",
                scenario.name
            ));
            simulate(&parameters, scenario)
        };
        scenarios.iter().map(outcome).collect()
    };
    let fleets = outcomes(fleets(&parameters, is_quick));
    let remedies = if is_quick {
        Vec::new()
    } else {
        outcomes(remedies())
    };
    RemoteModel {
        parameters,
        fleets,
        remedies,
    }
}

/// Fleets of all sizes. Ten machines do not compile a thousand modules a day.
fn fleets(parameters: &Parameters, is_quick: bool) -> Vec<Scenario> {
    let (machines, uploads): (&[u64], &[u64]) = if is_quick {
        (&[10, 1000], &[10, 100])
    } else {
        (&[10, 1000, 100_000], &[10, 100, 1000, 10_000])
    };
    let pairs = machines
        .iter()
        .flat_map(|m| uploads.iter().map(|u| (*m, *u)));
    let possible = pairs.filter(|(m, u)| *u <= m * parameters.habits.compiles);
    possible.map(|(m, u)| Scenario::new(m, u)).collect()
}

fn remedies() -> Vec<Scenario> {
    let large = Scenario::new(100_000, 10_000);
    let middle = Scenario::new(100_000, 1000);
    let named = |name: &str, scenario: Scenario| Scenario {
        name: name.into(),
        ..scenario
    };
    let teams = |prefixes, scenario: &Scenario| Scenario {
        machines: scenario.machines / prefixes,
        uploads: scenario.uploads / prefixes,
        prefixes,
        ..scenario.clone()
    };
    let rarely = |seconds, scenario: &Scenario| Scenario {
        refresh_after: seconds,
        ..scenario.clone()
    };
    let by_day = |scenario: &Scenario| Scenario {
        upkeep: Upkeep::ByDay,
        ..scenario.clone()
    };
    let of_days = |days, scenario: &Scenario| Scenario {
        days,
        ..scenario.clone()
    };
    let larger = |scenario: &Scenario| Scenario {
        max_index_bytes: 1 << 30,
        ..scenario.clone()
    };
    vec![
        named("1,000: as it is", middle.clone()),
        named("1,000: refreshed after an hour", rarely(3600.0, &middle)),
        named("1,000: kept for 7 days", of_days(7, &middle)),
        named("1,000: index by day", by_day(&middle)),
        named("1,000: 10 prefixes", teams(10, &middle)),
        named(
            "1,000: 10 prefixes, index by day",
            by_day(&teams(10, &middle)),
        ),
        named("10,000: as it is", large.clone()),
        named("10,000: index of 1 GiB", larger(&large)),
        named("10,000: index of 1 GiB, by day", by_day(&larger(&large))),
        named(
            "10,000: kept for 7 days, by day",
            by_day(&of_days(7, &large)),
        ),
        named("10,000: index by day", by_day(&large)),
        named("10,000: 100 prefixes", teams(100, &large)),
        named(
            "10,000: 100 prefixes, an hour",
            rarely(3600.0, &teams(100, &large)),
        ),
        named(
            "10,000: 100 prefixes, by day, an hour",
            by_day(&rarely(3600.0, &teams(100, &large))),
        ),
    ]
}
