//! Whether links lead somewhere: in the book as it is rendered, and in the pages as a forge shows
//! them. And whether the files that are named in the text are there. Links to other sites are not
//! followed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use html5gum::{Token, Tokenizer};
use pulldown_cmark::{Event, Tag};

use super::markdown;
use super::pages::Page;

/// Where the book is.
const BOOK: &str = "target/book/html";

/// Checks all links. Says how many there are.
pub(super) fn check(root: &Path, pages: &[Page]) -> Result<usize> {
    let mut broken = Vec::new();
    lost(root, pages, &mut broken);
    let rendered = rendered(&root.join(BOOK), &mut broken)?;
    let written = written(root, pages, &mut broken)?;
    match broken.len() {
        0 => Ok(rendered + written),
        count => bail!("{count} links are broken:\n{}", broken.join("\n")),
    }
}

/// Pages that are not in the book, because its contents lack them.
fn lost(root: &Path, pages: &[Page], broken: &mut Vec<String>) {
    for page in pages {
        let Ok(path) = page.path.strip_prefix("docs") else {
            continue;
        };
        let name = match path.file_name().and_then(|name| name.to_str()) {
            Some("SUMMARY.md") => continue,
            Some("README.md") => path.with_file_name("index.html"),
            _ => path.with_extension("html"),
        };
        if !root.join(BOOK).join(name).is_file() {
            broken.push(format!("docs/SUMMARY.md does not have {}", path.display()));
        }
    }
}

/// A page of the book.
struct Rendered {
    anchors: BTreeSet<String>,
    links: BTreeSet<String>,
}

impl Rendered {
    fn read(html: &str) -> Rendered {
        let mut page = Rendered {
            anchors: BTreeSet::new(),
            links: BTreeSet::new(),
        };
        for Ok(token) in Tokenizer::new(html) {
            let Token::StartTag(tag) = token else {
                continue;
            };
            for (name, value) in &tag.attributes {
                let value = String::from_utf8_lossy(value).into_owned();
                match &name[..] {
                    b"id" => {
                        page.anchors.insert(value);
                    }
                    b"href" | b"src" => {
                        page.links.insert(value);
                    }
                    _ => {}
                }
            }
        }
        page
    }
}

fn rendered(book: &Path, broken: &mut Vec<String>) -> Result<usize> {
    let mut pages = BTreeMap::new();
    read(book, Path::new(""), &mut pages)?;
    ensure!(!pages.is_empty(), "{} has no pages", book.display());
    let mut count = 0;
    for (path, page) in &pages {
        // What is on all pages together is on one of them, too; and what is shown for a page that
        // is not there has links from wherever that would be.
        if path == Path::new("print.html") || path == Path::new("404.html") {
            continue;
        }
        for link in page.links.iter().filter(|link| is_ours(link)) {
            count += 1;
            let wrong = match resolve(path, link) {
                None => Some("leads out of the book"),
                Some((to, anchor)) => match (pages.get(&to), anchor) {
                    (Some(page), Some(anchor)) if !page.anchors.contains(anchor) => {
                        Some("there is no such heading")
                    }
                    (None, _) if !book.join(&to).is_file() => Some("there is no such page or file"),
                    _ => None,
                },
            };
            if let Some(wrong) = wrong {
                broken.push(format!("{BOOK}/{}: {link}: {wrong}", path.display()));
            }
        }
    }
    Ok(count)
}

/// Reads all pages in the directory `within` of `book`.
fn read(book: &Path, within: &Path, pages: &mut BTreeMap<PathBuf, Rendered>) -> Result<()> {
    let directory = book.join(within);
    let entries = std::fs::read_dir(&directory)
        .with_context(|| format!("cannot read {}", directory.display()))?;
    for entry in entries {
        let path = within.join(entry?.file_name());
        let whole = book.join(&path);
        if whole.is_dir() {
            read(book, &path, pages)?;
        } else if path
            .extension()
            .is_some_and(|extension| extension == "html")
        {
            pages.insert(path, Rendered::read(&std::fs::read_to_string(&whole)?));
        }
    }
    Ok(())
}

/// Checks the links of pages as they are written. Says how many there are.
fn written(root: &Path, pages: &[Page], broken: &mut Vec<String>) -> Result<usize> {
    let mut count = 0;
    for page in pages {
        for (event, range) in markdown::parse(&page.text).into_offset_iter() {
            let wrong = match &event {
                Event::Start(Tag::Link { dest_url: to, .. } | Tag::Image { dest_url: to, .. })
                    if is_ours(to) =>
                {
                    count += 1;
                    leads_nowhere(root, &page.path, to)?.map(|wrong| format!("{to}: {wrong}"))
                }
                Event::Code(code) if names_file(code) && !root.join(&**code).exists() => {
                    Some(format!("there is no `{code}`"))
                }
                _ => None,
            };
            if let Some(wrong) = wrong {
                let line = page.text[..range.start].matches('\n').count() + 1;
                broken.push(format!("{}:{line}: {wrong}", page.path.display()));
            }
        }
    }
    Ok(count)
}

/// What is wrong with a link to `to` on the page at `from`.
fn leads_nowhere(root: &Path, from: &Path, to: &str) -> Result<Option<&'static str>> {
    let Some((path, anchor)) = resolve(from, to) else {
        return Ok(Some("leads out of the checkout"));
    };
    let file = root.join(&path);
    if !file.exists() {
        return Ok(Some("there is no such file"));
    }
    let Some(anchor) = anchor else {
        return Ok(None);
    };
    let found = path.extension().is_some_and(|extension| extension == "md")
        && markdown::anchors(&markdown::read(&file)?)
            .iter()
            .any(|a| a == anchor);
    Ok((!found).then_some("there is no such heading"))
}

/// Whether a link is within the book, or the checkout.
fn is_ours(link: &str) -> bool {
    let scheme = link.split_once(':').map(|(scheme, _)| scheme);
    let has_scheme = scheme.is_some_and(|scheme| scheme.chars().all(|c| c.is_ascii_alphabetic()));
    !has_scheme && !link.starts_with("//")
}

/// Where a link on the page at `from` leads: to which file, and where in it.
fn resolve<'l>(from: &Path, link: &'l str) -> Option<(PathBuf, Option<&'l str>)> {
    let (to, anchor) = match link.split_once('#') {
        Some((to, anchor)) => (to, Some(anchor)),
        None => (link, None),
    };
    if to.is_empty() {
        return Some((from.to_path_buf(), anchor));
    }
    let mut path = from.parent().unwrap_or(Path::new("")).to_path_buf();
    for component in Path::new(to).components() {
        match component {
            Component::Normal(name) => path.push(name),
            Component::CurDir => {}
            Component::ParentDir if path.pop() => {}
            _ => return None,
        }
    }
    Some((path, anchor.filter(|anchor| !anchor.is_empty())))
}

/// Whether `code` is a path in the checkout, as pages name one.
fn names_file(code: &str) -> bool {
    let directories = [
        "bench/",
        "book/",
        "campaign/",
        "components/",
        "conformance/",
        "crates/",
        "docs/",
        "examples/",
        "fuzz/",
        "xtask/",
    ];
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    directories
        .iter()
        .any(|directory| code.starts_with(directory))
        && code.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_followed() {
        let to = |link| resolve(Path::new("decisions/0001.html"), link);
        assert_eq!(to("#x"), Some(("decisions/0001.html".into(), Some("x"))));
        assert_eq!(to("../keys.html#y"), Some(("keys.html".into(), Some("y"))));
        assert_eq!(to("a.svg"), Some(("decisions/a.svg".into(), None)));
        assert_eq!(to("../../README.html"), None);
        assert_eq!(to("/keys.html"), None);
        assert!(is_ours("a.html") && is_ours("#x"));
        assert!(!is_ours("https://example.org") && !is_ours("mailto:a@example.org"));
    }

    #[test]
    fn pages_are_read() {
        let page = Rendered::read(r##"<h2 id="a&amp;b"><a href="x.html#y">z</a></h2><img src=i>"##);
        assert!(page.anchors.contains("a&b"));
        assert_eq!(
            page.links.into_iter().collect::<Vec<_>>(),
            ["i", "x.html#y"]
        );
    }

    #[test]
    fn what_leads_nowhere_is_told() -> Result<()> {
        let root = crate::command::root();
        let wrong = |to| leads_nowhere(&root, Path::new("docs/design.md"), to);
        assert_eq!(wrong("keys.md#address-slots")?, None);
        assert_eq!(wrong("../README.md")?, None);
        // What a page includes is on it.
        assert_eq!(wrong("security.md#tenants")?, None);
        assert!(wrong("keys.md#no-such-heading")?.is_some());
        assert!(wrong("no-such-page.md")?.is_some());
        assert!(wrong("../../outside.md")?.is_some());
        Ok(())
    }

    #[test]
    fn files_are_told_from_other_code() {
        assert!(names_file("crates/ibid/src/lib.rs") && names_file("examples/c"));
        for code in ["crates/ibid/src/…", "cargo test", "bench/*.md", "keys.md"] {
            assert!(!names_file(code), "{code}");
        }
    }
}
