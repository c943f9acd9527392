//! All scenarios of a small module. What they take is no test's business; what they find is.

#[path = "../src/test_module.rs"]
mod test_module;

use ibid_bench::edits::Edit;
use ibid_bench::scaling::{Scaling, over_entries, over_size};
use ibid_bench::scenarios::{self, Counts, Outcome, Scenario, Settings, Time};
use ibid_bench::store::{self, Stores};
use ibid_bench::{Benchmark, Machine, Subject, report};
use test_module::{FUNCTIONS, test_module};
use wasmtime::Engine;

#[global_allocator]
static ALLOCATOR: ibid::Watched = ibid::Watched::system();

fn measured() -> (Subject, Outcome) {
    let engine = Engine::default();
    let older = Subject::new("older", &test_module(), &engine).unwrap();
    let newer = Edit::FunctionAtFront.apply(&older.wasm, 9).unwrap();
    let newer = Subject::new("newer", &newer, &engine).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let settings = Settings {
        rounds: 1,
        directory: directory.path().to_owned(),
        ibid: None,
    };
    let outcome = scenarios::run(&newer, Some(&older), &engine, &settings, &mut |_| {}).unwrap();
    let left = std::fs::read_dir(directory.path()).unwrap().count();
    assert_eq!(left, 0, "nothing is left behind");
    (newer, outcome)
}

fn counts(outcome: &Outcome, scenario: Scenario) -> Counts {
    let row = outcome.row(scenario).expect("the scenario has a row");
    assert_eq!(row.skipped, None, "{scenario:?}");
    row.counts.expect("the scenario has counts")
}

#[test]
fn every_scenario_finds_what_it_can() {
    let (_, outcome) = measured();
    let compiled = |scenario| counts(&outcome, scenario).compiled;
    let functions = FUNCTIONS + 1;
    assert_eq!(compiled(Scenario::FirstCompile), functions);
    for scenario in [
        Scenario::Unchanged,
        Scenario::KnownWhole,
        Scenario::TypeAdded,
        Scenario::DataMoved,
    ] {
        assert_eq!(compiled(scenario), 0, "{scenario:?}");
    }
    for scenario in [
        Scenario::BodyEdited,
        Scenario::HotReload,
        Scenario::FunctionAtFront,
        Scenario::Upgrade,
    ] {
        assert_eq!(compiled(scenario), 1, "{scenario:?}");
    }
    // The code of an indirect call has the index of a type.
    assert_eq!(compiled(Scenario::TypeAtFront), FUNCTIONS / 2);
    // Addresses are parameters, but for the first one, 1,024: no slot is a power of two.
    assert_eq!(compiled(Scenario::AddressesMoved), 1);
    // All of them are, for the context that all use has moved: how many is ibid's to say.
    assert!(compiled(Scenario::ImportAdded) <= functions);

    for row in &outcome.rows {
        assert!(row.ms(Time::Ibid).is_some() && row.ms(Time::Cold).is_some());
        if let Some(counts) = &row.counts {
            let parts = counts.found + counts.duplicates + counts.compiled;
            assert_eq!(parts, counts.functions, "{:?}", row.scenario);
        }
    }
    let whole = outcome.row(Scenario::KnownWhole).unwrap();
    assert_eq!(whole.verdicts.len(), 2);
    assert!(whole.ms(Time::ModuleCache).is_some() && whole.ms(Time::Floor).is_some());
}

#[test]
fn a_module_with_nothing_to_edit_says_so() {
    let engine = Engine::default();
    let subject = Subject::new("empty", b"(module)", &engine).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let settings = Settings {
        rounds: 1,
        directory: directory.path().to_owned(),
        ibid: None,
    };
    let outcome = scenarios::run(&subject, None, &engine, &settings, &mut |_| {}).unwrap();
    let row = outcome.row(Scenario::DataMoved).unwrap();
    assert_eq!(row.skipped.as_deref(), Some("the module has no data"));
    let text = report::module(&outcome);
    assert!(
        text.contains("No *data moved*: the module has no data."),
        "{text}"
    );
}

#[test]
fn the_report_is_well_formed() {
    let engine = Engine::default();
    let (subject, outcome) = measured();
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let sizes = [1, 2 * subject.wasm.len()];
    let quiet = &mut |_: &str| {};
    let benchmark = Benchmark {
        machine: Machine::this().unwrap(),
        remote: None,
        modules: vec![outcome],
        scaling: Some(Scaling {
            size: vec![over_size("a & b", &subject.wasm, &sizes, 1, &engine, at, quiet).unwrap()],
            entries: vec![over_entries(&subject, &[500, 1000], 1, &engine, at, quiet).unwrap()],
        }),
        stores: Some(Stores {
            entries: store::many_entries(200_000, at, quiet).unwrap(),
            authentication: vec![store::authentication(&subject, 1, at).unwrap()],
            for_wasmtime: vec![store::for_wasmtime(&subject, 1, at).unwrap()],
        }),
    };
    let out = at.join("report");
    report::write(&benchmark, &out).unwrap();
    let read = |name: &str| std::fs::read_to_string(out.join(name)).unwrap();

    let json: serde_json::Value = serde_json::from_str(&read("bench.json")).unwrap();
    let rows = json["modules"][0]["rows"].as_array().unwrap();
    assert_eq!(rows[0]["scenario"], "first_compile");
    assert!(rows[0]["times_ms"]["cold"]["median"].as_f64().unwrap() > 0.0);
    let points = &json["scaling"]["entries"][0]["points"];
    assert_eq!(points[1]["entries"], 1000);
    let stores = &json["stores"];
    assert_eq!(stores["entries"]["entries"], 200_000);
    assert_eq!(stores["for_wasmtime"][0]["name"], "newer");

    let markdown = read("bench.md");
    let mut columns = 0;
    for line in markdown.lines() {
        let cells = line.matches('|').count();
        assert!(
            cells == 0 || columns == 0 || cells == columns,
            "a row of another length: {line}"
        );
        columns = cells;
    }
    for svg in ["bench.svg", "scaling-size.svg", "scaling-entries.svg"] {
        well_formed(&read(svg));
    }
}

/// Whether every element is closed, every `&` is an entity, and no number is missing.
fn well_formed(svg: &str) {
    let mut open = Vec::new();
    for tag in svg.split('<').skip(1) {
        let (tag, _) = tag.split_once('>').expect("a tag ends");
        let name = tag.split_whitespace().next().unwrap();
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name));
        } else if !tag.ends_with('/') {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "{open:?}");
    for entity in svg.split('&').skip(1) {
        assert!(
            ["amp;", "lt;", "gt;", "quot;"]
                .iter()
                .any(|known| entity.starts_with(known))
        );
    }
    assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
}
