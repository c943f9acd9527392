//! The report in Markdown.

use super::table::{NOTHING, Table};
use crate::figures::Figure;
use crate::scaling::Scaling;
use crate::scenarios::{Outcome, Row, Scenario, Time};
use crate::store::{BATCH, LOOKUPS, ManyEntries, Stores};
use crate::targets::{self, Ratio, Verdict, three_digits};
use crate::{Benchmark, Machine};

/// The whole report.
pub fn markdown(benchmark: &Benchmark) -> String {
    let mut out = format!("{}\n", about(&benchmark.machine));
    if !benchmark.modules.is_empty() {
        out.push_str(&summary(&benchmark.modules));
        out.push_str(&against_targets(&benchmark.modules));
    }
    for outcome in &benchmark.modules {
        out.push_str(&format!("\n## {}\n\n{}", outcome.name, module(outcome)));
    }
    if let Some(scaling) = &benchmark.scaling {
        out.push_str(&of_scaling(scaling));
    }
    if let Some(stores) = &benchmark.stores {
        out.push_str(&of_stores(stores));
    }
    if let Some(remote) = &benchmark.remote {
        out.push_str(&super::remote::of_remote(remote));
    }
    out
}

/// The store by itself.
fn of_stores(stores: &Stores) -> String {
    let mut authentication = Table::new(vec![
        "module".to_owned(),
        "checksums ms".into(),
        "authenticated ms".into(),
        "more".into(),
    ]);
    for cost in &stores.authentication {
        let ratio = cost.authenticated_ms.ratio(&cost.checksums_ms);
        authentication.row(vec![
            cost.name.clone(),
            three_digits(cost.checksums_ms.median),
            three_digits(cost.authenticated_ms.median),
            format!("{:+.1} %", (ratio - 1.0) * 100.0),
        ]);
    }
    let mut wasmtime = Table::new(vec![
        "module".to_owned(),
        "plain ms".into(),
        "map, first process ms".into(),
        "map, again in it ms".into(),
        "disk, second process ms".into(),
        "of the map's first".into(),
    ]);
    for gain in &stores.for_wasmtime {
        let ratio = gain.disk_first_ms.ratio(&gain.map_first_ms);
        wasmtime.row(vec![
            gain.name.clone(),
            three_digits(gain.plain_ms.median),
            three_digits(gain.map_first_ms.median),
            three_digits(gain.map_again_ms.median),
            three_digits(gain.disk_first_ms.median),
            percent(100.0 * ratio),
        ]);
    }
    format!(
        "\n## The store\n\n{}\nA rebuild after one body was edited, over a store with checksums and \
         one whose entries are authenticated:\n\n{authentication}\nWasmtime's own incremental cache, \
         over a map in memory and over a store on disk that another process has filled:\n\n{wasmtime}",
        of_many_entries(&stores.entries)
    )
}

fn of_many_entries(entries: &ManyEntries) -> String {
    let most = |runs: &[f64]| runs.iter().copied().fold(0.0, f64::max);
    let mut table = Table::new(vec!["", "median", "most"]);
    let mut row = |what: String, figure: &Figure, unit: &str| {
        let cell = |number| format!("{} {unit}", three_digits(number));
        table.row(vec![what, cell(figure.median), cell(most(&figure.runs))]);
    };
    row("open".into(), &entries.open_ms, "ms");
    let of = format!("of {LOOKUPS} in a snapshot");
    row(format!("lookup, hit, {of}"), &entries.hit_us, "µs");
    row(format!("lookup, miss, {of}"), &entries.miss_us, "µs");
    row(format!("storing {BATCH} entries"), &entries.insert_ms, "ms");
    row(
        format!("storing {BATCH} while the rest is evicted"),
        &entries.evicting_ms,
        "ms",
    );
    format!(
        "A store of {} entries, {} on disk, filled in {} s:\n\n{table}\nEach insertion evicted {} \
         entries meanwhile. `gc` removed the remaining {} in {} s.\n",
        entries.entries,
        megabytes(entries.bytes_on_disk),
        three_digits(entries.fill_seconds),
        three_digits(entries.evicted),
        entries.collected,
        three_digits(entries.gc_seconds),
    )
}

fn about(machine: &Machine) -> String {
    let processor = machine.processor.as_deref().unwrap_or(machine.architecture);
    format!(
        "# ibid {} beside Wasmtime {}\n\n{processor}, {} threads, {}. Medians of rounds in which \
         all take turns; ratios are medians of the rounds' ratios. *Cold* is a plain compile of \
         the same input by Wasmtime. Every artifact was compared with Wasmtime's, byte for byte.",
        machine.ibid, machine.wasmtime, machine.threads, machine.system
    )
}

/// A row for each module, in percent of cold.
fn summary(modules: &[Outcome]) -> String {
    const COLUMNS: [Scenario; 7] = [
        Scenario::Unchanged,
        Scenario::KnownWhole,
        Scenario::BodyEdited,
        Scenario::HotReload,
        Scenario::FunctionAtFront,
        Scenario::TypeAdded,
        Scenario::ImportAdded,
    ];
    let mut header = vec!["module", "wasm", "Wasmtime", "empty cache", "+ store"];
    header.extend(COLUMNS.map(Scenario::title));
    header.extend(["upgrade", "code reused"]);
    let mut table = Table::new(header);
    for outcome in modules {
        let row = |scenario| outcome.row(scenario);
        let of_cold = |scenario| {
            let ratio = row(scenario).and_then(|row| row.ratios.get(&Ratio::PercentOfCold));
            ratio.map_or(NOTHING.into(), |ratio| percent(*ratio))
        };
        let first = row(Scenario::FirstCompile);
        let ms = |time| first.and_then(|row| row.ms(time));
        let stored = first.and_then(|row| {
            let ratios = &row.ratios;
            let stored = ratios.get(&Ratio::PercentOfColdStored)?;
            Some(percent(stored - ratios.get(&Ratio::PercentOfCold)?))
        });
        let reused = row(Scenario::Upgrade).and_then(|row| row.counts.as_ref());
        let mut cells = vec![
            outcome.name.clone(),
            megabytes(outcome.wasm_bytes as u64),
            milliseconds(ms(Time::Cold)),
            of_cold(Scenario::FirstCompile),
            stored.unwrap_or(NOTHING.into()),
        ];
        cells.extend(COLUMNS.map(of_cold));
        cells.push(of_cold(Scenario::Upgrade));
        cells.push(reused.map_or(NOTHING.into(), |counts| {
            format!("{:.0} %", counts.code_reused_percent)
        }));
        table.row(cells);
    }
    format!(
        "\nIn percent of cold. *Code reused*: how much of the machine code an upgrade found.\n\n{table}"
    )
}

/// A row for each target, with a figure for each module.
fn against_targets(modules: &[Outcome]) -> String {
    let mut header = vec!["target".to_owned()];
    header.extend(modules.iter().map(|outcome| outcome.name.clone()));
    let mut table = Table::new(header);
    let scenarios = modules
        .iter()
        .max_by_key(|outcome| outcome.rows.len())
        .map_or(&[][..], |outcome| &outcome.rows);
    for scenario in scenarios.iter().map(|row| row.scenario) {
        for target in targets::of(scenario) {
            let figure = |outcome: &Outcome| {
                let mut verdicts = outcome.row(scenario)?.verdicts.iter();
                Some(mark(verdicts.find(|verdict| verdict.target == target)?))
            };
            let figures = modules
                .iter()
                .map(|outcome| figure(outcome).unwrap_or(NOTHING.into()));
            let mut cells = vec![format!("{}: {target}", scenario.title())];
            cells.extend(figures);
            table.row(cells);
        }
    }
    if modules.iter().any(|outcome| outcome.memory.is_some()) {
        let mut cells =
            vec!["one body edited: peak memory ≤ 2 × (input + artifact) + 64 MiB".to_owned()];
        cells.extend(modules.iter().map(|outcome| match &outcome.memory {
            None => NOTHING.into(),
            Some(memory) => format!(
                "{} of {} {}",
                megabytes(memory.peak.resident_bytes),
                megabytes(memory.target_bytes),
                tick(memory.met)
            ),
        }));
        table.row(cells);
    }
    format!(
        "\n## Targets\n\nMeant for modules of {} and more.\n\n{table}",
        megabytes(targets::LEAST_BYTES as u64)
    )
}

/// Everything about one module, without a heading.
pub fn module(outcome: &Outcome) -> String {
    let mut out = format!(
        "{} of WebAssembly, {} of artifact.\n\n{}",
        megabytes(outcome.wasm_bytes as u64),
        megabytes(outcome.artifact_bytes as u64),
        times(outcome),
    );
    out.push_str(&format!("\n{}", counts(outcome)));
    let command = commands(outcome);
    if let Some(command) = command {
        out.push_str(&format!("\nThe command, from file to file:\n\n{command}"));
    }
    if let Some(memory) = &outcome.memory {
        out.push_str(&format!(
            "\nPeak memory of the command after an edit of one body: {} resident, files included, \
             of which {} are no file's; at most {} are wanted {}\n",
            megabytes(memory.peak.resident_bytes),
            megabytes(memory.peak.anonymous_bytes),
            megabytes(memory.target_bytes),
            tick(memory.met),
        ));
    }
    for row in &outcome.rows {
        if let Some(reason) = &row.skipped {
            out.push_str(&format!("\nNo *{}*: {reason}.\n", row.scenario.title()));
        }
    }
    out
}

fn times(outcome: &Outcome) -> String {
    let mut table = Table::new([
        "scenario",
        "ibid ms",
        "of cold",
        "store ms",
        "open ms",
        "cold ms",
        "own cache ms",
        "÷ ibid",
        "module cache ms",
        "÷ ibid",
        "floor ms",
        "× floor",
        "targets",
    ]);
    for row in measured(outcome) {
        let ms = |time| milliseconds(row.ms(time));
        let times = |ratio| row.ratios.get(&ratio).map(|ratio| three_digits(*ratio));
        let or_nothing = |text: Option<String>| text.unwrap_or(NOTHING.into());
        table.row([
            row.scenario.title().to_owned(),
            ms(Time::Ibid),
            or_nothing(row.ratios.get(&Ratio::PercentOfCold).map(|r| percent(*r))),
            ms(Time::Store),
            ms(Time::Open),
            ms(Time::Cold),
            ms(Time::OwnCache),
            or_nothing(times(Ratio::FasterThanOwnCache)),
            ms(Time::ModuleCache),
            or_nothing(times(Ratio::FasterThanModuleCache)),
            ms(Time::Floor),
            or_nothing(times(Ratio::TimesFloor)),
            verdicts(&row.verdicts),
        ]);
    }
    table.to_string()
}

fn counts(outcome: &Outcome) -> String {
    let mut table = Table::new([
        "scenario",
        "functions",
        "found",
        "duplicates",
        "compiled",
        "trampolines compiled",
        "code reused",
    ]);
    for row in measured(outcome) {
        if let Some(counts) = &row.counts {
            table.row([
                row.scenario.title().to_owned(),
                counts.functions.to_string(),
                counts.found.to_string(),
                counts.duplicates.to_string(),
                counts.compiled.to_string(),
                counts.trampolines_compiled.to_string(),
                format!("{:.1} %", counts.code_reused_percent),
            ]);
        }
    }
    table.to_string()
}

/// The command's times, if it was measured.
fn commands(outcome: &Outcome) -> Option<String> {
    let mut table = Table::new(["scenario", "command ms", "without a cache ms", "of that"]);
    let mut any = false;
    for row in measured(outcome) {
        if row.ms(Time::Command).is_some() {
            any = true;
            let ratio = row.ratios.get(&Ratio::PercentOfColdCommand);
            table.row([
                row.scenario.title().to_owned(),
                milliseconds(row.ms(Time::Command)),
                milliseconds(row.ms(Time::ColdCommand)),
                ratio.map_or(NOTHING.into(), |ratio| percent(*ratio)),
            ]);
        }
    }
    any.then(|| table.to_string())
}

fn measured(outcome: &Outcome) -> impl Iterator<Item = &Row> {
    outcome.rows.iter().filter(|row| row.skipped.is_none())
}

fn verdicts(verdicts: &[Verdict]) -> String {
    let text = |verdict: &Verdict| format!("{} {}", verdict.target, tick(verdict.met));
    match verdicts {
        [] => NOTHING.into(),
        verdicts => verdicts.iter().map(text).collect::<Vec<_>>().join("; "),
    }
}

/// A figure, and whether it meets its target.
fn mark(verdict: &Verdict) -> String {
    format!("{} {}", three_digits(verdict.figure), tick(verdict.met))
}

fn tick(met: bool) -> &'static str {
    if met { "✓" } else { "✗" }
}

fn of_scaling(scaling: &Scaling) -> String {
    let mut out = String::from("\n## Scaling\n");
    for series in &scaling.size {
        let mut table = Table::new([
            "wasm",
            "functions",
            "cold ms",
            "one body edited ms",
            "ms per MB",
            "of cold",
        ]);
        for point in &series.points {
            table.row([
                megabytes(point.wasm_bytes as u64),
                point.functions.to_string(),
                milliseconds(Some(point.cold_ms)),
                milliseconds(Some(point.edited_ms.median)),
                three_digits(point.edited_ms_per_mb),
                percent(point.percent_of_cold),
            ]);
        }
        out.push_str(&format!(
            "\nOver the module's size: the functions of {}, repeated.\n\n{table}",
            series.name
        ));
    }
    for series in &scaling.entries {
        let mut table = Table::new(["entries", "on disk", "one body edited ms", "open ms"]);
        for point in &series.points {
            table.row([
                point.entries.to_string(),
                megabytes(point.bytes_on_disk),
                milliseconds(Some(point.edited_ms.median)),
                milliseconds(Some(point.open_ms.median)),
            ]);
        }
        out.push_str(&format!(
            "\nOver the entries in the store: {}, {}. From the first line to the last the time \
             grows {} × {}\n\n{table}",
            series.name,
            megabytes(series.wasm_bytes as u64),
            three_digits(series.growth),
            tick(series.met),
        ));
    }
    out
}

pub(super) fn percent(value: f64) -> String {
    format!("{} %", three_digits(value))
}

fn milliseconds(value: Option<f64>) -> String {
    value.map_or(NOTHING.into(), three_digits)
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}
