//! The ways to arrive at one artifact with the default settings.

use std::sync::Arc;

use anyhow::{Context, Result};
use ibid::{Compilation, Compiler, MemoryStore, Options};
use ibid_bench::edits::{Inserted, insert_function_at_front};
use rayon::{ThreadPool, ThreadPoolBuilder};
use wasmtime::{Config, Engine};

use super::cell::{Cell, Kind};
use super::process;
use super::subject::{Subject, compiler};

/// The columns that [`all`] fills, in its order.
pub(super) const COLUMNS: [&str; 8] = [
    "cold",
    "warm",
    "whole",
    "process",
    "1 thread",
    "serial",
    "4 threads",
    "inserted",
];

/// All scenarios of one module. Fills its store, with the module's functions alone.
///
/// # Errors
///
/// Only those that say nothing about ibid: threads or an engine cannot be had.
pub(super) fn all(subject: &Subject<'_>, engine: &Engine) -> Result<Vec<Option<Cell>>> {
    let mut no_threads = Config::new();
    no_threads.parallel_compilation(false);
    let no_threads = Engine::new(&no_threads)?;
    let [one, four] = [1, 4].map(|threads| ThreadPoolBuilder::new().num_threads(threads).build());
    let (one, four) = (one?, four?);

    let compiler = subject.compiler(engine);
    let before = [
        cold(subject, &compiler),
        warm(subject, &compiler),
        whole(subject, engine),
        process::check(subject),
    ];
    // Each of these keeps but one core busy.
    let [single, serial] = std::thread::scope(|scope| {
        let single = scope.spawn(|| on_pool(subject, engine, &one));
        let serial = cold_and_warm(subject, &no_threads);
        [single.join().expect("a cell holds its failures"), serial]
    });
    let after = [
        single,
        serial,
        on_pool(subject, engine, &four),
        inserted(subject, engine, &compiler),
    ];
    Ok(before.into_iter().chain(after).map(Some).collect())
}

/// Compiles `wasm`, and claims what must hold of every compile.
pub(super) fn compile<'c>(
    cell: &mut Cell,
    compiler: &'c Compiler,
    wasm: &[u8],
    plain: &[u8],
) -> Result<Compilation<'c>> {
    let compilation = compiler.compile(wasm).map_err(anyhow::Error::from)?;
    cell.same(compilation.artifact(), plain);
    cell.by_ibid(compilation.report());
    Ok(compilation)
}

/// Compiles what an empty store cannot know, and stores it.
fn cold(subject: &Subject<'_>, compiler: &Compiler) -> Cell {
    Cell::of(|cell| {
        let compilation = compile(cell, compiler, &subject.wasm, &subject.plain)?;
        let report = compilation.report();
        let found = [report.functions, report.trampolines]
            .iter()
            .map(|counts| counts.total - counts.compiled - counts.duplicates)
            .sum::<u64>();
        cell.claim(found == 0, Kind::Unexpected, || {
            format!("{found} found in an empty store")
        });
        let report = compilation.store();
        cell.by_ibid(&report);
        cell.claim(report.store.written > 0, Kind::Store, || {
            "nothing was stored".into()
        });
        Ok(())
    })
}

/// Finds every function of what the store knows.
fn warm(subject: &Subject<'_>, compiler: &Compiler) -> Cell {
    Cell::of(|cell| {
        let compilation = compile(cell, compiler, &subject.wasm, &subject.plain)?;
        let report = compilation.store();
        cell.by_ibid(&report);
        cell.all_found(report.functions.compiled, report.trampolines.compiled);
        Ok(())
    })
}

/// Finds the whole artifact at the third sight: the first leaves a note, the second the
/// artifact.
fn whole(subject: &Subject<'_>, engine: &Engine) -> Cell {
    Cell::of(|cell| {
        let compiler = Compiler::with_options(engine, subject.store.clone(), Options::default());
        for (stage, expected) in [("first", false), ("second", false), ("third", true)] {
            cell.stage(stage);
            let compilation = compile(cell, &compiler, &subject.wasm, &subject.plain)?;
            let report = compilation.store();
            cell.by_ibid(&report);
            cell.all_found(report.functions.compiled, report.trampolines.compiled);
            cell.claim(report.whole_artifact == expected, Kind::Unexpected, || {
                format!("whole artifact: {}", report.whole_artifact)
            });
        }
        Ok(())
    })
}

/// Compiles on another pool of threads.
fn on_pool(subject: &Subject<'_>, engine: &Engine, pool: &ThreadPool) -> Cell {
    pool.install(|| cold_and_warm(subject, engine))
}

/// Compiles with another engine that must make the same artifact, over a store of its own.
fn cold_and_warm(subject: &Subject<'_>, engine: &Engine) -> Cell {
    Cell::of(|cell| {
        let compiler = compiler(engine, Arc::new(MemoryStore::new()));
        cell.stage("cold");
        compile(cell, &compiler, &subject.wasm, &subject.plain)?.store();
        cell.stage("warm");
        let compilation = compile(cell, &compiler, &subject.wasm, &subject.plain)?;
        let report = compilation.report();
        cell.all_found(report.functions.compiled, report.trampolines.compiled);
        Ok(())
    })
}

/// Compiles one function after it was inserted before all others, and stores nothing.
///
/// Functions that take the reference of another hold its index in their code, so they may be
/// compiled again; and so may the module's startup.
fn inserted(subject: &Subject<'_>, engine: &Engine, compiler: &Compiler) -> Cell {
    Cell::of(|cell| {
        let Inserted {
            wasm,
            referring,
            type_appended,
        } = insert_function_at_front(&subject.wasm, 0).context("cannot insert a function")?;
        let plain = engine
            .precompile_module(&wasm)
            .map_err(anyhow::Error::from)?;
        let compilation = compile(cell, compiler, &wasm, &plain)?;
        let report = compilation.report();

        let compiled = report.functions.compiled;
        cell.claim(
            (1..=1 + referring).contains(&compiled),
            Kind::Unexpected,
            || format!("{compiled} functions compiled, and {referring} take references"),
        );
        let trampolines = report.trampolines.compiled;
        // The two of the startup, and that of a new type.
        let allowed = 2 + u64::from(type_appended);
        cell.claim(trampolines <= allowed, Kind::Unexpected, || {
            format!("{trampolines} trampolines compiled")
        });
        if compiled != 1 || referring != 0 {
            cell.note = Some(format!(
                "functions that take references: {referring}; functions compiled: {compiled}"
            ));
        }
        Ok(())
    })
}
