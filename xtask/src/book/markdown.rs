//! Markdown as mdBook reads it.

use std::path::Path;

use anyhow::{Context, Result};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// The extensions of Markdown that mdBook has, as far as they matter here.
const OPTIONS: Options = Options::ENABLE_TABLES
    .union(Options::ENABLE_FOOTNOTES)
    .union(Options::ENABLE_STRIKETHROUGH)
    .union(Options::ENABLE_TASKLISTS);

/// What `text` consists of.
pub(super) fn parse(text: &str) -> Parser<'_> {
    Parser::new_ext(text, OPTIONS)
}

/// The page at `path` with what it includes: `{{#include FILE}}`, and `{{#include FILE:ANCHOR}}`.
pub(super) fn read(path: &Path) -> Result<String> {
    let text = std::fs::read_to_string(path);
    let text = text.with_context(|| format!("cannot read {}", path.display()))?;
    let mut whole = String::new();
    for line in text.lines() {
        let include = line
            .strip_prefix("{{#include ")
            .and_then(|rest| rest.strip_suffix("}}"));
        match include {
            Some(include) => {
                let (file, anchor) = match include.split_once(':') {
                    Some((file, anchor)) => (file, Some(anchor)),
                    None => (include, None),
                };
                let file = path.parent().unwrap_or(Path::new("")).join(file);
                let included = std::fs::read_to_string(&file);
                let included =
                    included.with_context(|| format!("cannot read {}", file.display()))?;
                match anchor {
                    None => whole += &included,
                    Some(anchor) => whole += &anchored(&included, anchor),
                }
            }
            None => whole += line,
        }
        whole.push('\n');
    }
    Ok(whole)
}

/// The lines of `text` between `ANCHOR: name` and `ANCHOR_END: name`.
fn anchored(text: &str, name: &str) -> String {
    let mut within = false;
    let mut out = String::new();
    for line in text.lines() {
        if line.contains(&format!("ANCHOR: {name}")) {
            within = true;
        } else if line.contains(&format!("ANCHOR_END: {name}")) {
            within = false;
        } else if within {
            out += line;
            out.push('\n');
        }
    }
    out
}

/// What headings of `text` are linked by, as forges and mdBook make it.
pub(super) fn anchors(text: &str) -> Vec<String> {
    let mut anchors: Vec<String> = Vec::new();
    let mut heading: Option<String> = None;
    for event in parse(text) {
        match (event, &mut heading) {
            (Event::Start(Tag::Heading { .. }), _) => heading = Some(String::new()),
            (Event::Text(text) | Event::Code(text), Some(heading)) => heading.push_str(&text),
            (Event::End(TagEnd::Heading(_)), _) => {
                let base = slug(&heading.take().unwrap_or_default());
                let repeated = |number: usize| match number {
                    0 => base.clone(),
                    number => format!("{base}-{number}"),
                };
                let free = (0..).map(repeated).find(|name| !anchors.contains(name));
                anchors.extend(free);
            }
            _ => {}
        }
    }
    anchors
}

fn slug(heading: &str) -> String {
    let kept = heading.chars().filter_map(|c| match c {
        ' ' => Some('-'),
        c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
        _ => None,
    });
    kept.flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_have_anchors() {
        let text = "# What is *left* out, and why\n## `unsafe`\n## esbuild 0.27.5\n## `unsafe`\n";
        assert_eq!(
            anchors(text),
            [
                "what-is-left-out-and-why",
                "unsafe",
                "esbuild-0275",
                "unsafe-1"
            ]
        );
    }

    #[test]
    fn a_part_of_a_file_is_what_is_between_its_anchors() {
        let text = "a\n<!-- ANCHOR: x -->\nb\n<!-- ANCHOR_END: x -->\nc\n";
        assert_eq!(anchored(text, "x"), "b\n");
    }
}
