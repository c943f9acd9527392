//! A script, taken apart: its modules, and its directives one by one.

use crate::driver::COMPONENT;
use json_from_wast::{Command, Opts};
use wasmtime::error::Context as _;
use wasmtime::{Error, Result};
use wast::lexer::Lexer;
use wast::parser::{self, ParseBuffer};

/// A script as `wasmtime-wast` reads it.
pub(crate) struct Script {
    name: String,
    pub(crate) has_components: bool,
    /// File names and contents: the binary format, or text that is not a module.
    pub(crate) modules: Vec<(String, Vec<u8>)>,
    pub(crate) steps: Vec<Step>,
}

/// One directive.
pub(crate) struct Step {
    pub(crate) line: u32,
    /// In the form that `wasmtime-wast` loads.
    json: String,
    /// The module that the directive is about.
    pub(crate) module: Option<String>,
    /// The directive is one that `wasmtime-wast` has no code for.
    pub(crate) unimplemented: bool,
}

impl Script {
    /// Mirrors `wasmtime_wast::WastContext::run_wast` of release 48.0.8, up to the directives.
    pub(crate) fn parse(name: &str, text: &str) -> Result<Script> {
        let mut lexer = Lexer::new(text);
        lexer.allow_confusing_unicode(name.ends_with("names.wast"));
        let mut buffer = ParseBuffer::new_with_lexer(lexer).map_err(refused)?;
        buffer.track_instr_spans(true);
        let parsed = parser::parse::<wast::Wast<'_>>(&buffer).map_err(refused)?;
        let script = Opts::default()
            .dwarf(true)
            .convert(name, text, parsed)
            .map_err(|error| Error::msg(format!("{error:#}")))?;
        let steps = script.commands.iter().map(|command| {
            Ok(Step {
                line: command.line(),
                module: module(command),
                unimplemented: matches!(
                    command,
                    Command::AssertMalformedCustom { .. } | Command::AssertInvalidCustom { .. }
                ),
                json: serde_json::to_string(command).context("cannot write a directive")?,
            })
        });
        Ok(Script {
            name: name.to_owned(),
            has_components: text.contains(COMPONENT),
            steps: steps.collect::<Result<_>>()?,
            modules: script.wasms,
        })
    }

    /// A script of some directives, in the form that `wasmtime-wast` loads.
    pub(crate) fn json(&self, steps: &[Step]) -> String {
        let steps: Vec<_> = steps.iter().map(|step| &step.json[..]).collect();
        let (name, steps) = (serde_json::json!(self.name), steps.join(","));
        format!(r#"{{"source_filename":{name},"commands":[{steps}]}}"#)
    }
}

fn module(command: &Command<'_>) -> Option<String> {
    match command {
        Command::Module { file, .. }
        | Command::ModuleDefinition { file, .. }
        | Command::AssertMalformed { file, .. }
        | Command::AssertInvalid { file, .. }
        | Command::AssertUnlinkable { file, .. }
        | Command::AssertUninstantiable { file, .. } => {
            let file = file.binary_filename.as_ref().unwrap_or(&file.filename);
            Some(file.to_string())
        }
        _ => None,
    }
}

fn refused(error: wast::Error) -> Error {
    Error::msg(error.message())
}
