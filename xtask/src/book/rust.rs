//! Whether every page with blocks of Rust is in the crate that compiles them.

use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::pages::{Body, Page};

/// The crate that has a page's blocks as its doctests.
const DOCTESTS: &str = "book/src/lib.rs";

/// Whether the doctests are those of all pages.
pub(super) fn check(root: &Path, pages: &[Page]) -> Result<()> {
    let source = std::fs::read_to_string(root.join(DOCTESTS));
    let source = source.with_context(|| format!("cannot read {DOCTESTS}"))?;
    for page in pages {
        let path = page.path.display();
        let has_rust = page
            .blocks
            .iter()
            .any(|block| matches!(block.body, Body::Rust));
        let is_there = source.contains(&format!("include_str!(\"../../{path}\")"));
        ensure!(
            has_rust == is_there,
            match has_rust {
                true => format!("{path} has blocks of Rust: add it to {DOCTESTS}"),
                false => format!("{path} has no block of Rust any more: take it out of {DOCTESTS}"),
            }
        );
    }
    Ok(())
}
