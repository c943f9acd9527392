//! `ibid explain`: which functions of a module a cache that knows another one would have, and why
//! not the rest.

mod table;
mod text;

use crate::store::CacheOptions;
use crate::{Failure, human, input, output};
use clap::Args;
use ibid::{Compiler, Explanation, FunctionExplanation, Options};
use std::path::PathBuf;
use text::Texts;
use wasmtime_cli_flags::CommonOptions;

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    wasmtime: CommonOptions,

    #[command(flatten)]
    cache: CacheOptions,

    /// Ask no cache whether code takes other addresses
    #[arg(long, conflicts_with_all = ["cache", "cache_size", "cache_key_file"])]
    no_cache: bool,

    /// Keep addresses in the keys, as `ibid compile --no-address-slots` does
    #[arg(long)]
    no_address_slots: bool,

    /// How many of the functions that would be compiled are shown, the largest first, and how many
    /// of the changes outside of bodies
    #[arg(long, value_name = "N", default_value_t = 10)]
    top: usize,

    /// Print one JSON object
    #[arg(long)]
    json: bool,

    /// The module that the cache knows, in the binary or the text format
    #[arg(value_name = "OLD.wasm")]
    old: PathBuf,

    /// The module that is asked about
    #[arg(value_name = "NEW.wasm")]
    new: PathBuf,

    /// Show this one function of the new module: its index, its name, or a part of its name that
    /// no other has
    #[arg(value_name = "FUNC")]
    function: Option<String>,
}

pub(crate) fn run(mut arguments: Arguments) -> Result<(), Failure> {
    let engine = input::engine(&mut arguments.wasmtime)?;
    let binary = |path: &PathBuf| {
        let bytes = input::read(path)?;
        let binary = wat::parse_bytes(&bytes).map(std::borrow::Cow::into_owned);
        binary.map_err(|error| Failure::Input(format!("{}: {error}", human::name(path))))
    };
    if input::is_dash(&arguments.old) && input::is_dash(&arguments.new) {
        return Err(Failure::Usage(
            "only one of the two modules can be standard input".into(),
        ));
    }
    let (old, new) = (binary(&arguments.old)?, binary(&arguments.new)?);
    let (store, _) = arguments.cache.store(arguments.no_cache)?;
    let mut options = Options::default();
    options.address_slots = !arguments.no_address_slots;
    let compiler = Compiler::with_options(&engine, store, options);
    let explanation = compiler.explain(&old, &new).map_err(|error| {
        let names = [&arguments.old, &arguments.new].map(|path| human::name(path));
        let [old, new] = names;
        Failure::Input(format!("{old}, {new}: {}", human::chain(error.chain())))
    })?;
    let texts = Texts::new(&old, &new, &explanation);
    match &arguments.function {
        Some(name) => {
            let function = find(&explanation, name)?;
            let diffs = texts.diffs(&[function])?;
            if arguments.json {
                return print_json(&with_diff(function, diffs.first())?);
            }
            let text = table::function(function, diffs.first());
            output::print_line(text.trim_end())
        }
        None => {
            let top = top(&explanation, arguments.top);
            let diffs = texts.diffs(&top)?;
            if arguments.json {
                return print_json(&json(&explanation, &top, &diffs)?);
            }
            let names = [&arguments.old, &arguments.new].map(|path| human::name(path));
            let text = table::all(&explanation, &names, &top, &diffs, arguments.top);
            output::print_line(text.trim_end())
        }
    }
}

/// The largest of the functions that would be compiled.
fn top(explanation: &Explanation, count: usize) -> Vec<&FunctionExplanation> {
    let functions = explanation.functions.iter();
    let mut lost: Vec<_> = functions.filter(|function| function.is_lost).collect();
    lost.sort_by_key(|function| std::cmp::Reverse(function.body_bytes));
    lost.truncate(count);
    lost
}

/// The function that the user calls `name`.
fn find<'e>(explanation: &'e Explanation, name: &str) -> Result<&'e FunctionExplanation, Failure> {
    let functions = &explanation.functions;
    if let Ok(index) = name.parse::<u32>() {
        let first = functions.first().map_or(0, |function| function.index);
        let place = index.checked_sub(first).map(|place| place as usize);
        return match place.and_then(|place| functions.get(place)) {
            Some(function) => Ok(function),
            None if index < first => Err(Failure::Input(format!(
                "function {index} of the new module is imported: it is not compiled"
            ))),
            None if functions.is_empty() => Err(Failure::Input(format!(
                "the new module has no function {index}: it defines none"
            ))),
            None => Err(Failure::Input(format!(
                "the new module has no function {index}: those that it defines are {first} to {}",
                u64::from(first) + functions.len() as u64 - 1
            ))),
        };
    }
    let name = name.strip_prefix('$').unwrap_or(name);
    let called = |is: &dyn Fn(&str) -> bool| {
        let functions = functions.iter();
        functions
            .filter(|function| function.name.as_deref().is_some_and(is))
            .collect::<Vec<_>>()
    };
    let mut found = called(&|other| other == name);
    if found.is_empty() {
        found = called(&|other| other.contains(name));
    }
    match found[..] {
        [function] => Ok(function),
        [] => Err(Failure::Input(format!(
            "no function of the new module is called `{name}`"
        ))),
        _ => {
            let some = found.iter().take(5);
            let some: Vec<String> = some.map(|function| table::title(function)).collect();
            let count = human::number(found.len() as u64);
            Err(Failure::Input(format!(
                "{count} functions of the new module are called like `{name}`, say which by its index: {}",
                some.join(", ")
            )))
        }
    }
}

fn with_diff(
    function: &FunctionExplanation,
    diff: Option<&text::Diff>,
) -> Result<serde_json::Value, Failure> {
    let mut value = value(function)?;
    if let Some(diff) = diff {
        value["diff"] = diff.whole().into();
    }
    Ok(value)
}

/// The explanation, with the differences of those functions that would be shown.
fn json(
    explanation: &Explanation,
    top: &[&FunctionExplanation],
    diffs: &[text::Diff],
) -> Result<serde_json::Value, Failure> {
    let mut value = value(explanation)?;
    let first = explanation.functions.first();
    let first = first.map_or(0, |function| function.index);
    for (function, diff) in top.iter().zip(diffs) {
        let place = (function.index - first) as usize;
        value["functions"][place]["diff"] = diff.whole().into();
    }
    Ok(value)
}

fn value(value: &impl serde::Serialize) -> Result<serde_json::Value, Failure> {
    serde_json::to_value(value).map_err(unwritten)
}

fn unwritten(error: serde_json::Error) -> Failure {
    Failure::Input(format!("cannot write the explanation: {error}"))
}

fn print_json(value: &serde_json::Value) -> Result<(), Failure> {
    output::print_line(&serde_json::to_string(value).map_err(unwritten)?)
}
