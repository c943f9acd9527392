//! Parts of pages that are made of something else, between `<!-- generated: NAME -->` and
//! `<!-- end -->`.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::{Tools, figures, options};

const END: &str = "<!-- end -->\n";

/// A part of a page.
struct Part {
    page: &'static str,
    name: &'static str,
    make: fn(&Tools) -> Result<String>,
}

const PARTS: [Part; 3] = [
    Part {
        page: "docs/reference.md",
        name: "options",
        make: options::make,
    },
    Part {
        page: "docs/introduction.md",
        name: "what it saves",
        make: figures::savings,
    },
    Part {
        page: "docs/faq.md",
        name: "the caches",
        make: figures::caches,
    },
];

/// Compares each part with what it is made of.
pub(super) fn check(tools: &Tools) -> Result<()> {
    for part in &PARTS {
        let [_, current, _] = part.read(&tools.root)?;
        ensure!(
            current == (part.make)(tools)?,
            "{} is out of date: `cargo xtask book --write` writes it",
            part.page
        );
    }
    Ok(())
}

/// Writes all parts.
pub(super) fn write(tools: &Tools, out: &mut impl Write) -> Result<()> {
    for part in &PARTS {
        let [before, _, after] = part.read(&tools.root)?;
        let text = format!("{before}{}{after}", (part.make)(tools)?);
        let written = std::fs::write(tools.root.join(part.page), text);
        written.with_context(|| format!("cannot write {}", part.page))?;
        writeln!(out, "{} written", part.page)?;
    }
    Ok(())
}

impl Part {
    /// What is before it on its page, the part, and what is after it.
    fn read(&self, root: &Path) -> Result<[String; 3]> {
        let text = std::fs::read_to_string(root.join(self.page));
        let text = text.with_context(|| format!("cannot read {}", self.page))?;
        let begin = format!("<!-- generated: {} -->\n", self.name);
        let start = text.find(&begin).map(|place| place + begin.len());
        let start = start.with_context(|| format!("{} lacks {}", self.page, begin.trim()))?;
        let end = text[start..].find(END).map(|place| start + place);
        let end = end.with_context(|| format!("{} lacks {}", self.page, END.trim()))?;
        let parts = [&text[..start], &text[start..end], &text[end..]];
        Ok(parts.map(String::from))
    }
}
