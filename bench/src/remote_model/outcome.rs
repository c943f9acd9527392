//! What a scenario comes to.

use super::fleet::{Fleet, Trace, Values};
use super::morning::{self, Morning};
use super::objects::{Stage, Traffic, milliseconds};
use super::parameters::{Parameters, Scenario};
use super::random::Random;
use ibid_remote::{RemoteOptions, Trust, model};
use serde::Serialize;

/// How long something takes, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Latency {
    /// The median.
    pub median: f64,
    /// The 99th percentile.
    pub p99: f64,
    /// The share that is beyond what a build waits.
    pub late: f64,
}

/// What a scenario comes to. All is of one day, and of all prefixes, unless it says otherwise.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// The fleet.
    pub scenario: Scenario,
    /// Of lookups.
    pub lookups: Traffic,
    /// Of uploads.
    pub uploads: Traffic,
    /// Of joining segments.
    pub joins: Traffic,
    /// Of `gc`.
    pub gc: Traffic,
    /// Bytes of the index among what lookups read.
    pub index_down: f64,
    /// Lookups that asked whether the index is still the same.
    pub refreshes: f64,
    /// Bytes that are stored.
    pub stored: f64,
    /// Of these, bytes of entries that nothing has taken the place of.
    pub live: f64,
    /// The index of one prefix, in bytes, in the evening.
    pub index_bytes: f64,
    /// The entries that it leads to.
    pub entries: f64,
    /// Its segments in the evening, and at most on the day.
    pub segments: (usize, usize),
    /// The largest segment of one prefix in the evenings of ten days, in bytes, and unpacked.
    pub largest_segment: (f64, f64),
    /// Of the entries of the index, the share that a client takes in.
    pub taken: f64,
    /// Of the entries that machines lack, the share that they find, of ten days; and on the worst
    /// of these days.
    pub found: (f64, f64),
    /// The same of machines that begin with nothing.
    pub found_by_new: f64,
    /// Requests and storage, for thirty days.
    pub dollars: f64,
    /// Of these, storage.
    pub dollars_stored: f64,
    /// Segments that were joined, those joined twice, bytes of descriptors that `gc` reads at
    /// once, packs that it merges, its minutes; of one prefix.
    pub upkeep: Upkept,
    /// The remote part of a compile without an index.
    pub cold: Latency,
    /// The same with an index of some minutes.
    pub warm: Latency,
    /// A miss without an index.
    pub cold_miss: Latency,
    /// Requests of a cold compile, and of a warm one: the mean.
    pub requests: (f64, f64),
    /// The bytes of a cold compile, and of a warm one: the mean.
    pub bytes: (f64, f64),
    /// GET and LIST in the busiest second of a day, and PUT and DELETE; of one prefix.
    pub peak: (u64, u64),
    /// All machines begin within five minutes.
    pub morning: Morning,
    /// The same of a server of values.
    pub values: OfValues,
}

/// How the index is looked after.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Upkept {
    /// Joins of segments.
    pub joins: u64,
    /// Segments that were joined by two clients at once.
    pub joined_twice: u64,
    /// The descriptors that `gc` takes in at once, in bytes.
    pub raw_at_gc: f64,
    /// Packs that it merges.
    pub merged: u64,
    /// How long it takes, in minutes, with one request after the other.
    pub gc_minutes: f64,
}

/// A server of values in place of an object store.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct OfValues {
    /// Round trips of a cold compile, and commands.
    pub cold: (u64, u64),
    /// Commands a day.
    pub commands: f64,
    /// Values that are looked up a day.
    pub values: f64,
    /// Bytes to and from the server.
    pub down: f64,
    /// And to it.
    pub up: f64,
    /// What the server needs, in bytes.
    pub memory: f64,
}

/// Before the value there are 62 bytes, a path of six digests and a signature.
const SEALED: f64 = 62.0 + 6.0 * 32.0 + 64.0;
/// A key of 64 digits and a prefix, and what Redis itself needs for a key that expires.
const OF_A_KEY: f64 = 70.0 + 100.0;
/// Values by themselves are compressed worse than in blocks, and memory is rounded up.
const BY_THEMSELVES: f64 = 1.3;

/// A machine is made so often, and each latency drawn so often.
const COLD: usize = 400;
const DRAWN: usize = 4000;

/// In a month.
const DAYS: f64 = 30.0;

/// Simulates a fleet.
pub fn simulate(parameters: &Parameters, scenario: &Scenario) -> Outcome {
    let mut fleet = Fleet::new(*parameters, scenario.clone());
    let traces = fleet.run();
    let evening = (scenario.days + 4) as f64 * 24.0 * 3600.0 + 16.0 * 3600.0;
    let cold: Vec<Trace> = (0..COLD).map(|_| fleet.cold_compile(evening)).collect();
    let (prefixes, factor) = (scenario.prefixes as f64, fleet.factor());
    let store = &parameters.store;
    let deadline = RemoteOptions::new(Trust::Anyone).deadline.as_secs_f64() * 1e3;
    let mut random = Random::new(4);

    let sum = |of: &dyn Fn(&Trace) -> f64| traces.iter().map(of).sum::<f64>() * factor * prefixes;
    let mut lookups = Traffic::default();
    traces
        .iter()
        .for_each(|trace| lookups += Traffic::of(&trace.stages));
    let lookups = lookups.times(factor * prefixes);
    let today = fleet.remote.today;
    let [uploads, joins, gc] = [today.uploads, today.joins, today.gc].map(|t| t.times(prefixes));
    let (stored, live) = fleet.remote.stored();
    let mut all = lookups;
    [uploads, joins, gc]
        .into_iter()
        .for_each(|traffic| all += traffic);
    let dollars_stored = stored as f64 * prefixes / 1e9 * store.gigabyte_month;
    let affordable = fleet.remote.affordable();
    let entries = fleet.remote.indexed(None) as f64;
    let share = |days: &[(f64, f64)]| {
        let sum = |of: fn(&(f64, f64)) -> f64| days.iter().map(of).sum::<f64>();
        sum(|day| day.1) / sum(|day| day.0).max(1.0)
    };
    let worst = |days: &[(f64, f64)]| {
        let days = days.iter().map(|day| day.1 / day.0.max(1.0));
        days.fold(1.0, f64::min)
    };
    let is_warm =
        |trace: &&Trace| !trace.is_first_of_day && trace.needed > 0.0 && !trace.stages.is_empty();
    let warm: Vec<&Trace> = traces.iter().filter(is_warm).collect();
    let plans = |traces: &[&Trace]| -> Vec<Vec<Stage>> {
        traces.iter().map(|trace| trace.stages.clone()).collect()
    };
    let (warm_plans, cold_plans) = (plans(&warm), plans(&cold.iter().collect::<Vec<_>>()));
    let of_index = |trace: &Trace| {
        let is_of_packs = trace.stages.len() - index_stages(trace);
        trace.stages[..trace.stages.len() - is_of_packs].to_vec()
    };
    let cold_misses: Vec<Vec<Stage>> = cold.iter().map(of_index).collect();
    let mut latency = |plans: &[Vec<Stage>]| latency(plans, deadline, parameters, &mut random);
    let firsts: Vec<&[Stage]> = traces
        .iter()
        .filter(|trace| trace.is_first_of_day)
        .map(|trace| trace.stages.as_slice())
        .collect();
    let mean = |plans: &[Vec<Stage>], of: fn(Traffic) -> f64| {
        plans.iter().map(|plan| of(Traffic::of(plan))).sum::<f64>() / plans.len().max(1) as f64
    };
    let both = |of: fn(Traffic) -> f64| (mean(&cold_plans, of), mean(&warm_plans, of));
    let (entries_a_day, bytes_a_day) = fleet.uploaded;
    let most = |of: fn(&Values) -> u64| cold.iter().map(|t| of(&t.values)).max().unwrap_or(0);
    Outcome {
        lookups,
        uploads,
        joins,
        gc,
        index_down: sum(&|trace| trace.index_bytes as f64),
        refreshes: sum(&|trace| f64::from(u8::from(trace.refreshed))),
        stored: stored as f64 * prefixes,
        live: live as f64 * prefixes,
        index_bytes: fleet.remote.index_bytes() as f64,
        entries,
        segments: (fleet.remote.segments(), fleet.remote.most_segments),
        largest_segment: {
            let (bytes, raw) = fleet.days.largest;
            (bytes as f64, raw)
        },
        taken: fleet.remote.indexed(Some(&affordable)) as f64 / entries.max(1.0),
        found: (share(&fleet.days.found), worst(&fleet.days.found)),
        found_by_new: share(&fleet.days.found_by_new),
        dollars: all.dollars(parameters) * DAYS + dollars_stored,
        dollars_stored,
        upkeep: Upkept {
            joins: today.joined,
            joined_twice: today.joined_twice,
            raw_at_gc: fleet.remote.raw_at_gc,
            merged: today.merged,
            gc_minutes: today.gc_milliseconds / 60e3,
        },
        cold: latency(&cold_plans),
        warm: latency(&warm_plans),
        cold_miss: latency(&cold_misses),
        requests: both(|traffic| traffic.reads()),
        bytes: both(|traffic| traffic.down),
        peak: peak(&traces, &fleet, (today.uploads.puts, today.joins)),
        morning: morning::begin(
            &firsts,
            scenario.machines,
            300.0,
            store.reads_per_second,
            deadline,
            store,
        ),
        values: OfValues {
            cold: (most(|v| v.round_trips), most(|v| v.commands)),
            commands: sum(&|trace| trace.values.commands as f64),
            values: sum(&|trace| trace.values.values as f64),
            down: sum(&|trace| {
                trace.values.bytes as f64 * BY_THEMSELVES + trace.values.values as f64 * SEALED
            }),
            up: prefixes * (bytes_a_day * BY_THEMSELVES + entries_a_day * SEALED),
            memory: prefixes
                * scenario.days as f64
                * (bytes_a_day * BY_THEMSELVES + entries_a_day * (SEALED + OF_A_KEY)),
        },
        scenario: scenario.clone(),
    }
}

/// How many of the stages of a cold compile are for the index.
fn index_stages(trace: &Trace) -> usize {
    if !trace.refreshed {
        return 0;
    }
    let mut left = trace.index_bytes;
    let mut stages = 1;
    while left > 0 {
        left -= Traffic::of(&trace.stages[stages..=stages]).down as u64;
        stages += 1;
    }
    stages
}

fn latency(
    plans: &[Vec<Stage>],
    deadline: f64,
    parameters: &Parameters,
    random: &mut Random,
) -> Latency {
    if plans.is_empty() {
        return Latency::default();
    }
    let mut drawn: Vec<f64> = (0..DRAWN)
        .map(|number| milliseconds(&plans[number % plans.len()], &parameters.store, random))
        .collect();
    drawn.sort_by(f64::total_cmp);
    Latency {
        median: drawn[DRAWN / 2],
        p99: drawn[DRAWN * 99 / 100],
        late: drawn.iter().filter(|took| **took > deadline).count() as f64 / DRAWN as f64,
    }
}

/// The busiest second of a day: each compile is in some second, and asks what one of those asked
/// that were followed.
fn peak(traces: &[Trace], fleet: &Fleet, (puts, joins): (f64, Traffic)) -> (u64, u64) {
    let mut random = Random::new(5);
    let seconds = fleet.parameters.habits.seconds as usize;
    let mut most = |requests: &[u64], times: u64| {
        let mut of_second = vec![0u64; seconds];
        for _ in 0..times {
            of_second[random.below(seconds)] += requests[random.below(requests.len())];
        }
        of_second.into_iter().max().unwrap_or(0)
    };
    let reads: Vec<u64> = traces
        .iter()
        .map(|t| Traffic::of(&t.stages).reads() as u64)
        .collect();
    let compiles = (traces.len() as f64 * fleet.factor()) as u64;
    let uploads = fleet.scenario.uploads;
    // Each upload writes two objects, and one in so many joins segments.
    let writes = ((puts + joins.puts + joins.deletes) / uploads as f64).ceil() as u64;
    let joining = writes.max(2) + model::FANOUT as u64;
    (
        most(&reads, compiles),
        most(&[2, 2, 2, 2, 2, 2, 2, joining], uploads),
    )
}
