//! Reading what the command prints for `--help`.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

/// What there is to say about a subcommand.
pub(super) struct Help {
    /// What it does, in paragraphs.
    pub(super) about: Vec<String>,
    /// How it is called.
    pub(super) usage: String,
    /// Its arguments and options.
    pub(super) entries: Vec<Entry>,
    /// Its own subcommands.
    pub(super) subcommands: Vec<String>,
}

/// An argument or option.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// As it is written on the command line.
    pub(super) usage: String,
    /// What it is for, in Markdown.
    pub(super) text: String,
}

impl Entry {
    /// Its long name, if it has one.
    pub(super) fn name(&self) -> Option<&str> {
        let (_, name) = self.usage.split_once("--")?;
        let end = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '-');
        Some(&name[..end.unwrap_or(name.len())])
    }
}

impl Help {
    /// What `ibid` says of the subcommand that `words` call.
    pub(super) fn of(ibid: &Path, words: &[&str]) -> Result<Help> {
        let mut command = Command::new(ibid);
        command.args(words).arg("--help");
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("IBID_")) {
                command.env_remove(name);
            }
        }
        let output = command.output().context("cannot run ibid")?;
        let said = String::from_utf8_lossy(&output.stdout);
        ensure!(
            output.status.success(),
            "`ibid {} --help` fails",
            words.join(" ")
        );
        parse(&said).with_context(|| format!("`ibid {} --help`", words.join(" ")))
    }
}

fn parse(text: &str) -> Result<Help> {
    let (about, rest) = text.split_once("Usage: ").context("it has no usage")?;
    let (usage, rest) = rest.split_once('\n').context("it ends with its usage")?;
    let mut help = Help {
        about: paragraphs(about.lines()),
        usage: usage.into(),
        entries: Vec::new(),
        subcommands: Vec::new(),
    };
    let mut lists_commands = false;
    let mut entry: Option<(String, Vec<&str>)> = None;
    let finish = |entry: &mut Option<(String, Vec<&str>)>, help: &mut Help| {
        if let Some((usage, lines)) = entry.take() {
            let text = markdown(&paragraphs(lines.into_iter()));
            help.entries.push(Entry { usage, text });
        }
    };
    for line in rest.lines() {
        let indent = line.len() - line.trim_start().len();
        match (indent, line.trim()) {
            (_, "") => {
                if let Some((_, lines)) = &mut entry {
                    lines.push("");
                }
            }
            (0, title) => {
                finish(&mut entry, &mut help);
                ensure!(title.ends_with(':'), "`{title}` is no heading");
                lists_commands = title == "Commands:";
            }
            (_, command) if lists_commands => {
                let name = command.split(' ').next().unwrap_or_default();
                help.subcommands.push(name.into());
            }
            (..10, usage) => {
                finish(&mut entry, &mut help);
                entry = Some((usage.into(), Vec::new()));
            }
            (_, text) => match &mut entry {
                Some((_, lines)) => lines.push(text),
                None => bail!("`{text}` belongs to no option"),
            },
        }
    }
    finish(&mut entry, &mut help);
    help.subcommands.retain(|name| name != "help");
    Ok(help)
}

/// What stands between empty lines. A line of a list, or one in brackets, is a paragraph.
fn paragraphs<'l>(lines: impl Iterator<Item = &'l str>) -> Vec<String> {
    let mut paragraphs = vec![String::new()];
    for line in lines.map(str::trim) {
        let last = paragraphs.last_mut();
        match last {
            Some(last) if !last.is_empty() && !line.is_empty() && !line.starts_with(['-', '[']) => {
                last.push(' ');
                last.push_str(line);
            }
            _ => paragraphs.push(line.into()),
        }
    }
    paragraphs.retain(|paragraph| !paragraph.is_empty());
    paragraphs
}

/// What an option is for, in one paragraph.
fn markdown(paragraphs: &[String]) -> String {
    let mut sentences = Vec::new();
    for paragraph in paragraphs {
        let inside = paragraph
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        sentences.push(match inside.and_then(|inside| inside.split_once(": ")) {
            Some(("env", name)) => format!("Variable: `{}`.", name.trim_end_matches('=')),
            Some(("default", value)) => format!("Default: `{value}`."),
            Some((what, values)) => {
                let values: Vec<String> = values.split(", ").map(|v| format!("`{v}`")).collect();
                format!("{}: {}.", capital(what), values.join(", "))
            }
            None => match paragraph.strip_prefix("- ").and_then(|p| p.split_once(':')) {
                Some((value, what)) => format!("`{value}`: {}.", what.trim()),
                None if paragraph.ends_with(['.', ':']) => escaped(paragraph),
                None => format!("{}.", escaped(paragraph)),
            },
        });
    }
    sentences.join(" ")
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(chars).collect()
}

/// `text`, in which Markdown means what is in backticks, and nothing else.
fn escaped(text: &str) -> String {
    let mut within_code = false;
    let mut out = String::new();
    for c in text.chars() {
        within_code ^= c == '`';
        if !within_code && "<*[]".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELP: &str = "Do it

Much more
of it.

Usage: ibid do [OPTIONS] <IN|OUT>

Commands:
  now   At once
  help  Print this message

Options:
  -O, --optimize <KEY[=VAL]>
          How well, `-O help` <lists> it
          
          At length.

          [env: IBID_O=]
          [default: 2]

      --color[=<WHEN>]
          When

          Possible values:
          - auto:   On a terminal
          - never:  Never
";

    #[test]
    fn help_is_read() -> Result<()> {
        let help = parse(HELP)?;
        assert_eq!(help.about, ["Do it", "Much more of it."]);
        assert_eq!(help.usage, "ibid do [OPTIONS] <IN|OUT>");
        assert_eq!(help.subcommands, ["now"]);
        let [optimize, color] = &help.entries[..] else {
            panic!("there are two options");
        };
        assert_eq!(optimize.name(), Some("optimize"));
        assert_eq!(
            optimize.text,
            "How well, `-O help` \\<lists> it. At length. Variable: `IBID_O`. Default: `2`."
        );
        assert_eq!(color.name(), Some("color"));
        assert_eq!(
            color.text,
            "When. Possible values: `auto`: On a terminal. `never`: Never."
        );
        Ok(())
    }
}
