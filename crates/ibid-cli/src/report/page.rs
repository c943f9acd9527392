//! The page: one file that needs no other, with the data in it.

use crate::Failure;
use ibid::{Details, Report};
use serde::Serialize;

/// What the page says of one input.
#[derive(Serialize)]
pub(super) struct Entry {
    pub(super) input: String,
    pub(super) input_bytes: usize,
    pub(super) artifact_bytes: usize,
    pub(super) report: Report,
    /// `None` for what Wasmtime compiled the plain way.
    pub(super) details: Option<Details>,
}

#[derive(Serialize)]
struct Data<'e> {
    ibid: &'static str,
    inputs: &'e [Entry],
}

const HTML: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");

/// In the order in which they build upon each other.
const SCRIPTS: [&str; 11] = [
    include_str!("ways.js"),
    include_str!("format.js"),
    include_str!("model.js"),
    include_str!("theme.js"),
    include_str!("squarify.js"),
    include_str!("canvas.js"),
    include_str!("treemap.js"),
    include_str!("timeline.js"),
    include_str!("tables.js"),
    include_str!("dialog.js"),
    include_str!("page.js"),
];

/// The page about `entries`.
pub(super) fn page(entries: &[Entry]) -> Result<String, Failure> {
    let data = Data {
        ibid: env!("CARGO_PKG_VERSION"),
        inputs: entries,
    };
    let data = serde_json::to_string(&data)
        .map_err(|error| Failure::Input(format!("cannot write the report: {error}")))?;
    // One function around them all, so that nothing of theirs is global.
    let script = format!("(() => {{\n\"use strict\";\n{}}})();\n", SCRIPTS.concat());
    Ok(fill(&[
        ("/*style*/", STYLE),
        ("/*data*/", &inert(&data)),
        ("/*script*/", &script),
    ]))
}

/// The frame with each of `parts` in place of its mark. They come in the order of the marks, and
/// what is put in is not looked at again, so that no name of a function can be taken for a mark.
fn fill(parts: &[(&str, &str)]) -> String {
    let mut page = String::new();
    let mut rest = HTML;
    for (mark, part) in parts {
        let (before, behind) = rest.split_once(mark).expect("the frame has every mark");
        page.push_str(before);
        page.push_str(part);
        rest = behind;
    }
    page.push_str(rest);
    page
}

/// JSON in which no HTML begins or ends: `<` can only be in its strings, and has an escape there.
fn inert(json: &str) -> String {
    json.replace('<', "\\u003c")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_string_ends_the_script_that_holds_it() {
        let name = "</script><!--<script>/*script*/";
        let json = inert(&serde_json::to_string(name).unwrap());
        assert!(!json.contains('<'));
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), name);
    }

    #[test]
    fn the_page_asks_nobody_for_anything() {
        let page = page(&[]).unwrap();
        assert!(page.contains("default-src 'none'"));
        for sign in ["http:", "https:", "//cdn", "@import", "url("] {
            assert!(!page.contains(sign), "{sign}");
        }
    }
}
