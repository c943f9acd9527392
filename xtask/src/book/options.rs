//! The command's options, as it says them itself, for the reference.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};

use super::Tools;
use super::help::{Entry, Help};

/// Options that many subcommands have, and are described once.
const GROUPS: [Group; 3] = [
    Group {
        title: "Wasmtime's options",
        names: &[
            "optimize", "codegen", "debug", "wasm", "wasi", "record", "target", "config",
        ],
    },
    Group {
        title: "Options of the cache",
        names: &["cache", "cache-size", "cache-key-file"],
    },
    Group {
        title: "Options of a remote",
        names: &[
            "remote",
            "remote-trust",
            "remote-key",
            "insecure-remote",
            "remote-deadline",
            "wait-upload",
        ],
    },
];

/// Options that all subcommands have.
const EVERYWHERE: &str = "Options of all subcommands";

struct Group {
    title: &'static str,
    names: &'static [&'static str],
}

/// What the command says of itself.
pub(super) fn make(tools: &Tools) -> Result<String> {
    let ibid = &tools.ibid;
    let whole = Help::of(ibid, &[])?;
    let mut subcommands = Vec::new();
    gather(ibid, &whole, &[], &mut subcommands)?;
    let everywhere: Vec<&Entry> = whole
        .entries
        .iter()
        .filter(|entry| !is_help(entry) && subcommands.iter().all(|s| s.has(entry)))
        .collect();
    let mut out = String::new();
    section(&mut out, EVERYWHERE, "", &everywhere);
    for group in &GROUPS {
        let entries = group.entries(&subcommands)?;
        let has_all = |s: &&Subcommand| entries.iter().all(|entry| s.has(entry));
        let whose: Vec<&Subcommand> = subcommands.iter().filter(has_all).collect();
        // Those below one that takes them do, too.
        let above = |s: &Subcommand| whose.iter().any(|other| s.is_below(other));
        let names = whose.iter().filter(|s| !above(s));
        let names: Vec<String> = names.map(|s| format!("`{}`", s.words.join(" "))).collect();
        let intro = format!("These are taken by {}.", names.join(", "));
        section(&mut out, group.title, &intro, &entries);
    }
    let groups = GROUPS
        .iter()
        .map(|group| Ok((group.title, group.entries(&subcommands)?)))
        .collect::<Result<Vec<_>>>()?;
    for subcommand in &subcommands {
        subcommand.describe(&mut out, &everywhere, &groups);
    }
    Ok(out + "\n")
}

struct Subcommand {
    words: Vec<String>,
    help: Help,
}

/// Reads about all subcommands below the one that `words` call.
fn gather(
    ibid: &Path,
    help: &Help,
    words: &[String],
    subcommands: &mut Vec<Subcommand>,
) -> Result<()> {
    for name in &help.subcommands {
        let words = [words, std::slice::from_ref(name)].concat();
        let arguments: Vec<&str> = words.iter().map(String::as_str).collect();
        let help = Help::of(ibid, &arguments)?;
        let mut below = Vec::new();
        gather(ibid, &help, &words, &mut below)?;
        subcommands.push(Subcommand { words, help });
        subcommands.append(&mut below);
    }
    Ok(())
}

impl Group {
    /// What the first subcommand says of these options that has them all.
    fn entries<'s>(&self, subcommands: &'s [Subcommand]) -> Result<Vec<&'s Entry>> {
        let of = |subcommand: &'s Subcommand| -> Option<Vec<&'s Entry>> {
            let named = |name: &&str| {
                let mut entries = subcommand.help.entries.iter();
                entries.find(|entry| entry.name() == Some(name))
            };
            self.names.iter().map(named).collect()
        };
        let entries = subcommands.iter().find_map(of);
        entries.with_context(|| {
            format!(
                "no subcommand has all of \"{}\": mend xtask/src/book/options.rs",
                self.title
            )
        })
    }
}

impl Subcommand {
    fn is_below(&self, other: &Subcommand) -> bool {
        self.words.len() > other.words.len() && self.words.starts_with(&other.words)
    }

    fn has(&self, entry: &Entry) -> bool {
        self.help.entries.contains(entry)
    }

    fn describe(&self, out: &mut String, everywhere: &[&Entry], groups: &[(&str, Vec<&Entry>)]) {
        let mut described: Vec<&Entry> = everywhere.to_vec();
        let mut taken = Vec::new();
        for (title, entries) in groups {
            if entries.iter().all(|entry| self.has(entry)) {
                described.extend(entries);
                taken.push(*title);
            }
        }
        let own = self.help.entries.iter();
        let own: Vec<&Entry> = own
            .filter(|entry| !is_help(entry) && !described.contains(entry))
            .collect();
        let depth = "#".repeat(self.words.len() + 2);
        // Writing to a string does not fail.
        let _ = writeln!(out, "\n{depth} `ibid {}`\n", self.words.join(" "));
        for paragraph in &self.help.about {
            let stop = if paragraph.ends_with('.') { "" } else { "." };
            let _ = writeln!(out, "{paragraph}{stop}\n");
        }
        let _ = writeln!(out, "```text\n{}\n```", self.help.usage);
        if !own.is_empty() {
            out.push('\n');
        }
        list(out, &own);
        taken.push(EVERYWHERE);
        let links: Vec<String> = taken
            .iter()
            .map(|title| {
                let anchor = title.to_lowercase().replace('\'', "").replace(' ', "-");
                format!("[{title}](#{anchor})")
            })
            .collect();
        let _ = writeln!(out, "\nAlso: {}.", links.join(" · "));
    }
}

fn section(out: &mut String, title: &str, intro: &str, entries: &[&Entry]) {
    let _ = writeln!(out, "\n### {title}\n");
    if !intro.is_empty() {
        let _ = writeln!(out, "{intro}\n");
    }
    list(out, entries);
}

fn list(out: &mut String, entries: &[&Entry]) {
    for entry in entries {
        let _ = writeln!(out, "- `{}`: {}", entry.usage, entry.text);
    }
}

fn is_help(entry: &Entry) -> bool {
    entry.name() == Some("help")
}
