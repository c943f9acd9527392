//! The pages, and the blocks of code in them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use pulldown_cmark::{CodeBlockKind, Event, Tag, TagEnd};

use super::markdown;

/// A page of the book, or another of the project's.
pub(super) struct Page {
    /// Where it is in the checkout.
    pub(super) path: PathBuf,
    /// As it is written.
    pub(super) text: String,
    /// In the order in which they are on the page.
    pub(super) blocks: Vec<Block>,
}

/// A block of code, or what looks like one.
pub(super) struct Block {
    /// The line of its fence, from 1.
    pub(super) line: usize,
    pub(super) text: String,
    pub(super) body: Body,
    /// Why it is not run.
    pub(super) not_run: Option<String>,
    /// What is run before it, and not shown.
    pub(super) before: Option<String>,
}

/// What a block is.
pub(super) enum Body {
    Shell(Shell),
    /// What was printed in this terminal.
    Output(u8),
    Rust,
    Data(Format),
    /// None of ours.
    Text,
}

/// How a block of commands is run.
pub(super) struct Shell {
    pub(super) terminal: u8,
    /// It goes on until Ctrl-C.
    pub(super) stays: bool,
    /// In the checkout, and not in the page's directory.
    pub(super) checkout: bool,
}

/// How data is written.
#[derive(Clone, Copy)]
pub(super) enum Format {
    Toml,
    Json,
}

impl Page {
    /// Where `block` is, for messages.
    pub(super) fn at(&self, block: &Block) -> String {
        format!("{}:{}", self.path.display(), block.line)
    }
}

/// All pages: those of `docs/`, and those beside it.
pub(super) fn all(root: &Path) -> Result<Vec<Page>> {
    let mut paths: Vec<PathBuf> = [
        "README.md",
        "ARCHITECTURE.md",
        "SECURITY.md",
        "CHANGELOG.md",
    ]
    .map(PathBuf::from)
    .into();
    find(root, Path::new("docs"), &mut paths)?;
    paths.into_iter().map(|path| page(root, path)).collect()
}

/// Adds what is written in Markdown in the directory `within`.
fn find(root: &Path, within: &Path, paths: &mut Vec<PathBuf>) -> Result<()> {
    let directory = root.join(within);
    let entries = std::fs::read_dir(&directory)
        .with_context(|| format!("cannot read {}", directory.display()))?;
    let mut names = entries
        .map(|entry| Ok(entry?.file_name()))
        .collect::<std::io::Result<Vec<_>>>()?;
    names.sort();
    for name in names {
        let path = within.join(name);
        if root.join(&path).is_dir() {
            find(root, &path, paths)?;
        } else if path.extension().is_some_and(|extension| extension == "md") {
            paths.push(path);
        }
    }
    Ok(())
}

fn page(root: &Path, path: PathBuf) -> Result<Page> {
    let text = std::fs::read_to_string(root.join(&path));
    let text = text.with_context(|| format!("cannot read {}", path.display()))?;
    let blocks = blocks(&text).with_context(|| path.display().to_string())?;
    Ok(Page { path, text, blocks })
}

/// The blocks of `text`.
pub(super) fn blocks(text: &str) -> Result<Vec<Block>> {
    let mut blocks = Vec::new();
    // The comment that stands just before what comes next.
    let mut comment = String::new();
    let mut block: Option<Block> = None;
    for (event, range) in markdown::parse(text).into_offset_iter() {
        let line = || text[..range.start].matches('\n').count() + 1;
        match event {
            Event::Start(Tag::CodeBlock(kind)) => {
                let line = line();
                let CodeBlockKind::Fenced(info) = kind else {
                    bail!("line {line}: an indented block does not say what it is; use a fence");
                };
                let new = new_block(line, &info, std::mem::take(&mut comment));
                block = Some(new.with_context(|| format!("line {line}"))?);
            }
            Event::Text(more) if block.is_some() => {
                if let Some(block) = &mut block {
                    block.text += &more;
                }
            }
            Event::End(TagEnd::CodeBlock) => blocks.extend(block.take()),
            Event::Start(Tag::HtmlBlock) | Event::End(TagEnd::HtmlBlock) => {}
            Event::Html(html) => comment += &html,
            _ => {
                ensure!(
                    directive(&comment).is_none(),
                    "line {}: what this comment says belongs to a block of code, and none follows",
                    line()
                );
                comment.clear();
            }
        }
    }
    ensure!(
        directive(&comment).is_none(),
        "a comment at the end belongs to a block of code, and none follows"
    );
    Ok(blocks)
}

/// What a comment says about the next block.
enum Directive<'c> {
    NotRun(&'c str),
    Before(&'c str),
}

fn directive(comment: &str) -> Option<Directive<'_>> {
    let inside = comment.trim().strip_prefix("<!--")?.strip_suffix("-->")?;
    let inside = inside.trim();
    if let Some(why) = inside.strip_prefix("not run:") {
        return Some(Directive::NotRun(why.trim()));
    }
    let commands = inside.strip_prefix("before:")?;
    Some(Directive::Before(commands.trim()))
}

fn new_block(line: usize, info: &str, comment: String) -> Result<Block> {
    let (not_run, before) = match directive(&comment) {
        Some(Directive::NotRun("")) => bail!("why is it not run?"),
        Some(Directive::NotRun(why)) => (Some(why.to_string()), None),
        Some(Directive::Before(commands)) => (None, Some(commands.to_string())),
        None => (None, None),
    };
    let mut attributes = info.split(',').map(str::trim);
    let language = attributes.next().unwrap_or_default();
    let attributes: Vec<&str> = attributes.collect();
    let body = body(language, &attributes, not_run.is_some())?;
    ensure!(
        before.is_none() || matches!(body, Body::Shell(_)),
        "only before a block of commands can others be run"
    );
    Ok(Block {
        line,
        text: String::new(),
        body,
        not_run,
        before,
    })
}

fn body(language: &str, attributes: &[&str], is_explained: bool) -> Result<Body> {
    let is_output = attributes.contains(&"output");
    let body = match language {
        "sh" => Body::Shell(shell(attributes)?),
        "text" | "json" if is_output => Body::Output(terminal(attributes, &["output"])?),
        "rust" => {
            for attribute in attributes {
                ensure!(
                    ["no_run", "compile_fail", "should_panic"].contains(attribute),
                    "no block of Rust is `{attribute}` here: it is to be compiled"
                );
            }
            ensure!(
                attributes.contains(&"no_run") == is_explained,
                "a block that is `no_run` has a comment `not run: WHY` before it, and no other has"
            );
            return Ok(Body::Rust);
        }
        "toml" if attributes.is_empty() => Body::Data(Format::Toml),
        "json" if attributes.is_empty() => Body::Data(Format::Json),
        "text" if attributes.is_empty() => Body::Text,
        _ => bail!(
            "`{language}{}` is no kind of block that is known here; xtask/src/book.rs has them",
            attributes
                .iter()
                .map(|a| format!(",{a}"))
                .collect::<String>()
        ),
    };
    ensure!(
        !is_explained || matches!(body, Body::Shell(_)),
        "this block is never run, so that no comment need say why"
    );
    Ok(body)
}

fn shell(attributes: &[&str]) -> Result<Shell> {
    Ok(Shell {
        terminal: terminal(attributes, &["stays", "checkout"])?,
        stays: attributes.contains(&"stays"),
        checkout: attributes.contains(&"checkout"),
    })
}

/// The terminal that is named, or the first. Other attributes must be `known`.
fn terminal(attributes: &[&str], known: &[&str]) -> Result<u8> {
    let mut terminal = 1;
    for attribute in attributes {
        match attribute.strip_prefix("terminal=") {
            Some(number) => {
                terminal = number
                    .parse()
                    .with_context(|| format!("`{number}` is no terminal's number"))?;
            }
            None => ensure!(known.contains(attribute), "what does `{attribute}` mean?"),
        }
    }
    Ok(terminal)
}

impl Format {
    /// Reads `text`. What is taken from a checkout in `../ibid` has to be in this one, and Wasmtime
    /// has to be the release that this one is for.
    pub(super) fn read(self, root: &Path, text: &str) -> Result<()> {
        match self {
            Format::Json => {
                let _: serde_json::Value = serde_json::from_str(text)?;
            }
            Format::Toml => {
                let table: toml::Table = toml::from_str(text)?;
                let dependencies = table.get("dependencies").and_then(toml::Value::as_table);
                for (name, dependency) in dependencies.into_iter().flatten() {
                    let path = dependency.get("path").and_then(toml::Value::as_str);
                    if let Some(path) = path.and_then(|path| path.strip_prefix("../ibid/")) {
                        let manifest = root.join(path).join("Cargo.toml");
                        ensure!(manifest.is_file(), "there is no crate in `{path}`");
                    }
                    let release = format!("={}", wasmtime_release(root)?);
                    ensure!(
                        name != "wasmtime" || dependency.as_str() == Some(release.as_str()),
                        "ibid is for Wasmtime `{release}`"
                    );
                }
            }
        }
        Ok(())
    }
}

/// The release of Wasmtime that the workspace is built with.
fn wasmtime_release(root: &Path) -> Result<String> {
    let manifest = root.join("Cargo.toml");
    let text = std::fs::read_to_string(&manifest);
    let text = text.with_context(|| format!("cannot read {}", manifest.display()))?;
    let table: toml::Table = toml::from_str(&text)?;
    let version = ["workspace", "dependencies", "wasmtime", "version"]
        .iter()
        .try_fold(toml::Value::Table(table), |value, key| {
            value.get(key).cloned()
        });
    let version = version.and_then(|version| version.as_str().map(str::to_string));
    let version = version.context("the workspace names no release of Wasmtime")?;
    Ok(version.trim_start_matches('=').to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(text: &str) -> Result<Block> {
        blocks(text).map(|blocks| blocks.into_iter().next().expect("there is a block"))
    }

    #[test]
    fn blocks_say_what_they_are() -> Result<()> {
        let block = first("Text.\n\n```sh,stays,terminal=2\nls\n```\n")?;
        assert_eq!((block.line, block.text.as_str()), (3, "ls\n"));
        let Body::Shell(shell) = block.body else {
            panic!("it is a block of commands");
        };
        assert!(shell.stays && !shell.checkout && shell.terminal == 2);
        assert!(matches!(first("```rust\n```\n")?.body, Body::Rust));
        assert!(matches!(
            first("```json,output\n```\n")?.body,
            Body::Output(1)
        ));
        Ok(())
    }

    #[test]
    fn comments_are_about_the_next_block() -> Result<()> {
        let block = first("<!-- not run: it is slow -->\n\n```sh\nls\n```\n")?;
        assert_eq!(block.not_run.as_deref(), Some("it is slow"));
        let block = first("<!-- before:\na\nb\n-->\n\n```sh\nls\n```\n")?;
        assert_eq!(block.before.as_deref(), Some("a\nb"));
        // Another comment says nothing, and one in front of text belongs to no block.
        assert!(first("<!-- Hm. -->\n\n```sh\nls\n```\n")?.not_run.is_none());
        assert!(blocks("<!-- not run: x -->\n\nText.\n\n```sh\nls\n```\n").is_err());
        assert!(blocks("```sh\nls\n```\n\n<!-- not run: x -->\n").is_err());
        Ok(())
    }

    #[test]
    fn what_nobody_would_run_or_compile_is_refused() {
        for text in [
            "```\nls\n```\n",
            "```bash\nls\n```\n",
            "    ls\n",
            "```sh,ignore\nls\n```\n",
            "```sh,terminal=x\nls\n```\n",
            "```rust,ignore\n```\n",
            "```rust,no_run\n```\n",
            "<!-- not run: -->\n\n```sh\nls\n```\n",
            "<!-- not run: it is text -->\n\n```text\nls\n```\n",
            "<!-- before: ls -->\n\n```rust\n```\n",
        ] {
            assert!(blocks(text).is_err(), "{text}");
        }
    }

    #[test]
    fn data_has_to_read() {
        let root = crate::command::root();
        let toml = |text: &str| Format::Toml.read(&root, text);
        let ibid = |path: &str| format!("[dependencies]\nibid = {{ path = \"../ibid/{path}\" }}\n");
        assert!(toml(&ibid("crates/ibid")).is_ok());
        assert!(toml(&ibid("crates/idib")).is_err());
        assert!(toml("[dependencies]\nwasmtime = \"=1.0.0\"\n").is_err());
        assert!(toml("[dependencies\n").is_err());
        assert!(Format::Json.read(&root, "{").is_err());
    }
}
