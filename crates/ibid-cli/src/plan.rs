//! `ibid plan`: what a compile would have to do.

use crate::remote::RemoteOptions;
use crate::store::CacheOptions;
use crate::{Failure, human, input, output};
use clap::Args;
use ibid::{Compiler, Options, Plan};
use std::path::PathBuf;
use wasmtime_cli_flags::CommonOptions;

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    wasmtime: CommonOptions,

    #[command(flatten)]
    cache: CacheOptions,

    #[command(flatten)]
    remote: RemoteOptions,

    /// Keep addresses in the keys, as `ibid compile --no-address-slots` does
    #[arg(long)]
    no_address_slots: bool,

    /// Print one JSON object
    #[arg(long)]
    json: bool,

    /// The module or component, in the binary or the text format; `-` is standard input
    #[arg(value_name = "IN.wasm|IN.wat")]
    input: PathBuf,
}

pub(crate) fn run(mut arguments: Arguments) -> Result<(), Failure> {
    let engine = input::engine(&mut arguments.wasmtime)?;
    let wasm = input::read_wasm(&arguments.input)?;
    let remote = arguments.remote.open(&arguments.cache)?;
    let (store, caching) = arguments.cache.store(false)?;
    let (store, _) = remote.behind(store, caching);
    let mut options = Options::default();
    options.address_slots = !arguments.no_address_slots;
    let compiler = Compiler::with_options(&engine, store, options);
    let plan = compiler.plan(&wasm);
    let plan = plan.map_err(|error| input::refused(&arguments.input, &error))?;
    if arguments.json {
        let json = serde_json::to_string(&plan)
            .map_err(|error| Failure::Input(format!("cannot write the plan: {error}")))?;
        return output::print_line(&json);
    }
    output::print_line(&format!(
        "{}: {}",
        human::name(&arguments.input),
        sentence(&plan)
    ))
}

fn sentence(plan: &Plan) -> String {
    if let Some(reason) = &plan.plain {
        return format!("Wasmtime compiles it the plain way: {reason}");
    }
    let total = human::number(plan.functions.total);
    if plan.is_ready() {
        return format!("ready, all {total} functions are there");
    }
    let time = match plan.estimated_ms {
        Some(milliseconds) => format!("about {}", human::duration(milliseconds)),
        None => "for how long is not known yet".into(),
    };
    format!(
        "{} of {total} functions to compile, {time}",
        human::number(plan.functions.compiled)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_matters() {
        let mut plan = Plan::default();
        plan.functions.total = 5107;
        assert_eq!(sentence(&plan), "ready, all 5,107 functions are there");
        plan.functions.compiled = 3;
        assert_eq!(
            sentence(&plan),
            "3 of 5,107 functions to compile, for how long is not known yet"
        );
        plan.estimated_ms = Some(8123.0);
        assert_eq!(
            sentence(&plan),
            "3 of 5,107 functions to compile, about 8.1 s"
        );
    }
}
