//! The scenarios of a module that is not quite what the store knows.

use super::row::{Row, Samples, Time};
use super::{Base, Bench, Scenario};
use crate::command::Peak;
use crate::figures::timed;
use crate::known::{Fresh, same};
use crate::references::{floor, precompile};
use anyhow::{Context, Result};
use ibid::Options;

/// A rebuild that takes longer than this part of a plain compile is measured no more often than
/// that.
const EXPENSIVE: f64 = 0.25;

/// What the rebuilds of one kind took.
pub(super) struct Rebuilt {
    pub(super) rows: Vec<Row>,
    /// The peak memory of the command, which is measured where a body was edited.
    pub(super) memory: Option<Peak>,
}

/// Measures `scenario`, whose inputs `edited` makes, over stores that know what `base` does.
/// Where a body was edited, the same edits are measured in a process that goes on as well.
pub(super) fn rows(
    bench: &Bench<'_>,
    scenario: Scenario,
    edited: &dyn Fn(u32) -> Result<Vec<u8>>,
    base: &Base<'_>,
) -> Result<Rebuilt> {
    let body_edited = scenario == Scenario::BodyEdited;
    let with_own_cache = body_edited || scenario == Scenario::Upgrade;
    let mut samples = Samples::default();
    let mut living = body_edited.then(Living::default);
    let mut inputs = Vec::new();
    for round in 0..bench.rounds {
        // The inputs come again where a plain compile is slow. The stores do not know them then
        // either.
        let variant = round % bench.cold_rounds;
        if round < bench.cold_rounds {
            let wasm = edited(variant as u32)
                .with_context(|| format!("no variant {variant} of: {}", scenario.title()))?;
            let (plain, ms) = timed(|| precompile(bench.engine, &wasm));
            samples.push(Time::Cold, ms);
            inputs.push((wasm, plain?));
        } else if is_expensive(&samples) {
            break;
        }
        let (wasm, plain) = &inputs[variant];

        let fresh = Fresh::over(bench.engine, base.known.copy()?, Options::default())?;
        let run = fresh.compile(wasm, plain)?;
        samples.push(Time::Open, fresh.open_ms);
        samples.push(Time::Ibid, run.ms);
        samples.push(Time::Store, run.store_ms);
        samples.count(&run.report);
        drop(fresh);
        samples.push(Time::Floor, floor(wasm, plain));
        if let Some(living) = &mut living {
            if variant == 0 {
                living.begin(bench, base)?;
            }
            living.compile(wasm, plain)?;
        }
        if let Some(own) = base.own.as_ref().filter(|_| with_own_cache) {
            let (artifact, ms, _) = own.compile(wasm)?;
            same(&artifact, plain)?;
            samples.push(Time::OwnCache, ms);
        }
        if let Some(command) = &bench.command {
            let cache = base.known.copy()?;
            let ms = command.compile(wasm, plain, Some(cache.path()))?;
            samples.push(Time::Command, ms);
        }
    }
    samples.set(Time::ColdCommand, &bench.cold_command);
    let mut memory = None;
    if let (Some(command), true, Some((wasm, plain))) =
        (&bench.command, body_edited, inputs.first())
    {
        let cache = base.known.copy()?;
        memory = command.peak(wasm, plain, Some(cache.path()))?;
    }
    let mut rows = Vec::new();
    let cold = samples.runs(Time::Cold).to_vec();
    rows.push(samples.row(scenario));
    if let Some(mut living) = living {
        living.samples.set(Time::Cold, &cold);
        rows.push(living.samples.row(Scenario::HotReload));
    }
    Ok(Rebuilt { rows, memory })
}

fn is_expensive(samples: &Samples) -> bool {
    let sum = |time| samples.runs(time).iter().sum::<f64>();
    sum(Time::Ibid) > EXPENSIVE * sum(Time::Cold)
}

/// A process that goes on: one compiler for one edit after the other.
#[derive(Default)]
struct Living {
    fresh: Option<Fresh>,
    samples: Samples,
}

impl Living {
    /// Begins a process, which compiles the module before any edit.
    fn begin(&mut self, bench: &Bench<'_>, base: &Base<'_>) -> Result<()> {
        let mut options = Options::default();
        options.hot_reload = true;
        // The process before ends first.
        self.fresh = None;
        let fresh = Fresh::over(bench.engine, base.known.copy()?, options)?;
        fresh.compile_behind(&bench.subject.wasm, &bench.subject.artifact)?;
        self.fresh = Some(fresh);
        Ok(())
    }

    fn compile(&mut self, wasm: &[u8], plain: &[u8]) -> Result<()> {
        let fresh = self.fresh.as_ref().context("no process has begun")?;
        let run = fresh.compile_behind(wasm, plain)?;
        self.samples.push(Time::Ibid, run.ms);
        self.samples.push(Time::Store, run.store_ms);
        self.samples.push(Time::Floor, floor(wasm, plain));
        self.samples.count(&run.report);
        Ok(())
    }
}
