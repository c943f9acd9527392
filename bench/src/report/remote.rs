//! What a remote costs, as tables.

use super::markdown::percent;
use super::table::Table;
use crate::remote_model::{Latency, Outcome, Parameters, RemoteModel, Scenario};
use crate::targets::three_digits;

/// The tables of the simulation.
pub(super) fn of_remote(model: &RemoteModel) -> String {
    let mut out = format!(
        "\n## A remote on an object store\n\n{}\n",
        taken_for_granted(&model.parameters)
    );
    let fleets = &model.fleets;
    // Of each number of uploads the largest fleet: the index is the same.
    let by_uploads = &by_uploads(fleets);
    for (what, table) in [
        (
            "Requests and bytes a day, and dollars for 30 days",
            costs(fleets),
        ),
        (
            "The index, in the evening, and what is found",
            index(by_uploads),
        ),
        (
            "The remote part of a compile, in milliseconds",
            latencies(by_uploads),
        ),
        (
            "The busiest second, and a morning on which all begin within five minutes",
            peaks(fleets),
        ),
        ("What looking after it takes, a day", upkeep(by_uploads)),
        ("The same fleets with Redis", values(fleets)),
    ] {
        out.push_str(&format!("\n### {what}\n\n{table}"));
    }
    if !model.remedies.is_empty() {
        let table = remedies(&model.remedies);
        out.push_str(&format!(
            "\n### 100,000 machines, and what may be done\n\n{table}"
        ));
    }
    out
}

fn taken_for_granted(parameters: &Parameters) -> String {
    let Parameters {
        store,
        programs,
        habits,
    } = parameters;
    format!(
        "Simulated, not measured. The store: first byte of a GET after {} ms (median; 99th \
         percentile {} ms), of a PUT {} ms ({}), of a LIST {} ms ({}); {} MB/s for each \
         connection; {} GET and LIST and {} PUT and DELETE a second; $ {} for 1,000 GETs, $ {} for \
         1,000 PUTs or LISTs, $ {} for a gigabyte and month. A module: {} entries in {} MB, and a \
         bundle of {} MB. Of uploads {} are of new modules, {} are upgrades, which compile {} to \
         {} of it; the rest are edits, which make {} to {} entries, and one in {} of which needs \
         another bundle. There is one program for each {} uploads a day. A machine compiles {} \
         times in {} hours, of {} programs, what was uploaded within a day.\n",
        store.get_ms.0,
        store.get_ms.1,
        store.put_ms.0,
        store.put_ms.1,
        store.list_ms.0,
        store.list_ms.1,
        store.bytes_per_second / 1e6,
        store.reads_per_second,
        store.writes_per_second,
        store.thousand_gets,
        store.thousand_puts,
        store.gigabyte_month,
        thousands(f64::from(programs.entries)),
        programs.bytes / 1_000_000,
        programs.bundle_bytes / 1_000_000,
        percent(100.0 * programs.first),
        percent(100.0 * programs.upgrades),
        percent(100.0 * programs.upgraded.0),
        percent(100.0 * programs.upgraded.1),
        programs.edited.0,
        programs.edited.1,
        1.0 / programs.new_surroundings,
        programs.uploads_of_one,
        habits.compiles,
        habits.seconds / 3600.0,
        habits.programs,
    )
}

fn by_uploads(fleets: &[Outcome]) -> Vec<&Outcome> {
    let is_largest = |fleet: &&Outcome| {
        let Scenario {
            machines, uploads, ..
        } = fleet.scenario;
        let mut others = fleets.iter().map(|other| &other.scenario);
        !others.any(|other| other.uploads == uploads && other.machines > machines)
    };
    fleets.iter().filter(is_largest).collect()
}

fn costs(fleets: &[Outcome]) -> Table {
    let header = [
        "machines",
        "uploads",
        "GET",
        "LIST",
        "PUT",
        "DELETE",
        "down",
        "of it index",
        "up",
        "stored",
        "requests $",
        "storage $",
        "$ a month",
    ];
    let mut table = Table::new(header);
    for fleet in fleets {
        let mut all = fleet.lookups;
        all += fleet.uploads;
        all += fleet.joins;
        all += fleet.gc;
        table.row([
            thousands(fleet.scenario.machines as f64),
            thousands(fleet.scenario.uploads as f64),
            thousands(all.gets),
            thousands(all.lists),
            thousands(all.puts),
            thousands(all.deletes),
            bytes(all.down),
            bytes(fleet.index_down),
            bytes(all.up),
            bytes(fleet.stored),
            dollars(fleet.dollars - fleet.dollars_stored),
            dollars(fleet.dollars_stored),
            dollars(fleet.dollars),
        ]);
    }
    table
}

fn index(fleets: &[&Outcome]) -> Table {
    let header = [
        "uploads",
        "entries",
        "index",
        "segments",
        "at most",
        "largest, of 10 days",
        "unpacked",
        "a client holds",
        "found",
        "on the worst day",
        "found by new machines",
    ];
    let mut table = Table::new(header);
    for fleet in fleets {
        table.row([
            thousands(fleet.scenario.uploads as f64),
            thousands(fleet.entries),
            bytes(fleet.index_bytes),
            fleet.segments.0.to_string(),
            fleet.segments.1.to_string(),
            bytes(fleet.largest_segment.0),
            bytes(fleet.largest_segment.1),
            share(fleet.taken),
            share(fleet.found.0),
            share(fleet.found.1),
            share(fleet.found_by_new),
        ]);
    }
    table
}

fn latencies(fleets: &[&Outcome]) -> Table {
    let header = [
        "uploads",
        "no index, found",
        "99 %",
        "over 2 s",
        "requests",
        "MB",
        "some minutes old, found",
        "99 %",
        "over 2 s",
        "requests",
        "MB",
        "no index, missed",
        "99 %",
    ];
    let mut table = Table::new(header);
    for fleet in fleets {
        let found = |latency: &Latency, requests: f64, bytes: f64| {
            [
                three_digits(latency.median),
                three_digits(latency.p99),
                share(latency.late),
                three_digits(requests),
                three_digits(bytes / 1e6),
            ]
        };
        let mut row = vec![thousands(fleet.scenario.uploads as f64)];
        row.extend(found(&fleet.cold, fleet.requests.0, fleet.bytes.0));
        row.extend(found(&fleet.warm, fleet.requests.1, fleet.bytes.1));
        row.extend([fleet.cold_miss.median, fleet.cold_miss.p99].map(three_digits));
        table.row(row);
    }
    table
}

fn peaks(fleets: &[Outcome]) -> Table {
    let header = [
        "machines",
        "uploads",
        "GET and LIST",
        "PUT and DELETE",
        "morning: requests",
        "lookups that fail",
        "that take over 2 s",
    ];
    let mut table = Table::new(header);
    for fleet in fleets {
        table.row([
            thousands(fleet.scenario.machines as f64),
            thousands(fleet.scenario.uploads as f64),
            thousands(fleet.peak.0 as f64),
            thousands(fleet.peak.1 as f64),
            thousands(fleet.morning.most_in_a_second as f64),
            share(fleet.morning.failed),
            share(fleet.morning.late),
        ]);
    }
    table
}

fn upkeep(fleets: &[&Outcome]) -> Table {
    let header = [
        "uploads",
        "joins",
        "written",
        "of uploads",
        "joined twice",
        "gc: requests",
        "read",
        "written",
        "packs merged",
        "minutes",
        "descriptors at once",
    ];
    let mut table = Table::new(header);
    for fleet in fleets {
        let gc = fleet.gc;
        table.row([
            thousands(fleet.scenario.uploads as f64),
            thousands(fleet.upkeep.joins as f64),
            bytes(fleet.joins.up),
            share(fleet.joins.up / fleet.uploads.up.max(1.0)),
            thousands(fleet.upkeep.joined_twice as f64),
            thousands(gc.reads() + gc.puts + gc.deletes),
            bytes(gc.down),
            bytes(gc.up),
            thousands(fleet.upkeep.merged as f64),
            three_digits(fleet.upkeep.gc_minutes),
            bytes(fleet.upkeep.raw_at_gc),
        ]);
    }
    table
}

fn values(fleets: &[Outcome]) -> Table {
    let header = [
        "machines",
        "uploads",
        "round trips, at most",
        "commands, at most",
        "commands a day",
        "values a day",
        "from it",
        "to it",
        "memory",
    ];
    let mut table = Table::new(header);
    for fleet in fleets {
        let values = fleet.values;
        table.row([
            thousands(fleet.scenario.machines as f64),
            thousands(fleet.scenario.uploads as f64),
            values.cold.0.to_string(),
            values.cold.1.to_string(),
            thousands(values.commands),
            thousands(values.values),
            bytes(values.down),
            bytes(values.up),
            bytes(values.memory),
        ]);
    }
    table
}

fn remedies(outcomes: &[Outcome]) -> Table {
    let header = [
        "uploads",
        "$ a month",
        "of it LIST",
        "down",
        "of it index",
        "index of a prefix",
        "a client holds",
        "found",
        "found by new machines",
        "no index, found, ms",
        "over 2 s",
        "morning: requests",
        "failed",
        "over 2 s",
    ];
    let mut table = Table::new(header);
    for outcome in outcomes {
        let mut all = outcome.lookups;
        all += outcome.uploads;
        all += outcome.joins;
        all += outcome.gc;
        let lists = crate::remote_model::Traffic {
            lists: all.lists,
            ..Default::default()
        };
        table.row([
            outcome.scenario.name.clone(),
            dollars(outcome.dollars),
            dollars(30.0 * lists.dollars(&Parameters::default())),
            bytes(all.down),
            bytes(outcome.index_down),
            bytes(outcome.index_bytes),
            share(outcome.taken),
            share(outcome.found.0),
            share(outcome.found_by_new),
            three_digits(outcome.cold.median),
            share(outcome.cold.late),
            thousands(outcome.morning.most_in_a_second as f64),
            share(outcome.morning.failed),
            share(outcome.morning.late),
        ]);
    }
    table
}

fn share(share: f64) -> String {
    match share {
        share if share <= 0.0 => "0 %".into(),
        share if share >= 1.0 => "100 %".into(),
        share if share > 0.995 => format!("{:.2} %", 100.0 * share),
        share => percent(100.0 * share),
    }
}

fn dollars(dollars: f64) -> String {
    match dollars {
        dollars if dollars < 100.0 => format!("{dollars:.2}"),
        dollars => thousands(dollars),
    }
}

/// A number with commas.
fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn bytes(bytes: f64) -> String {
    let units = ["kB", "MB", "GB", "TB", "PB"];
    let mut number = bytes / 1e3;
    let mut unit = 0;
    while number >= 1000.0 && unit + 1 < units.len() {
        number /= 1e3;
        unit += 1;
    }
    format!("{} {}", three_digits(number), units[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!(thousands(1234567.4), "1,234,567");
        assert_eq!(thousands(12.0), "12");
        assert_eq!(bytes(20_100_000.0), "20 MB");
        assert_eq!(bytes(650.0), "0.65 kB");
        assert_eq!(share(0.0), "0 %");
        assert_eq!(share(0.9987), "99.87 %");
        assert_eq!(dollars(3.456), "3.46");
        assert_eq!(dollars(12345.6), "12,346");
    }
}
