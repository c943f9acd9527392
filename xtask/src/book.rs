//! `cargo xtask book`: builds the book out of `docs/`, and holds its pages and the README to what
//! they say. Links lead somewhere; blocks of code are run, and print what is shown, or are checked
//! and say why they are not run; the reference has the command's options, and figures are those of
//! the page on performance.
//!
//! How a page says what is to be done with a block:
//!
//! | what is written | what it means |
//! |---|---|
//! | a block `sh` | It is run: all of a page one after the other, in a directory that was empty. |
//! | `sh,stays` | It goes on, until Ctrl-C: at the next block of its terminal, or the page's end. |
//! | `sh,terminal=2` | It is run in another terminal, in the same directory. |
//! | `sh,checkout` | It is run in the checkout. |
//! | a block `text,output` or `json,output` | It is what was printed in the first terminal since the last such block ([`expected`]). |
//! | the comment `not run: WHY` before a block | The block is only checked ([`dry`]). |
//! | the comment `before: COMMANDS` before a block | The commands are run before it, and not shown. |
//! | a block `rust` | It is a doctest of the crate `ibid-book`. |
//! | a block `toml` or `json` | It reads as that. |
//! | a block `text` | It is not code. |

mod dry;
mod expected;
mod figures;
mod generated;
mod help;
mod links;
mod markdown;
mod options;
mod pages;
mod rust;
mod shell;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use pages::{Body, Page};

use crate::command;

/// What `cargo xtask book` is to do.
#[derive(Debug, Args)]
pub struct BookOptions {
    /// Write what is generated, the reference's options and some figures, instead of comparing it.
    #[arg(long)]
    write: bool,

    /// Run and check the blocks of this page alone, and no links. May be said again.
    #[arg(long, value_name = "PAGE.md", conflicts_with = "write")]
    page: Vec<PathBuf>,
}

/// What there is to run and to check.
struct Tools {
    /// The checkout.
    root: PathBuf,
    ibid: PathBuf,
}

/// Builds and checks the book.
///
/// # Errors
///
/// Fails if something is not as the pages say. The message names the page and the line.
pub fn run(options: &BookOptions, out: &mut impl Write) -> Result<()> {
    let tools = Tools {
        root: command::root(),
        ibid: command::build()?,
    };
    if options.write {
        return generated::write(&tools, out);
    }
    let mut pages = pages::all(&tools.root)?;
    if options.page.is_empty() {
        generated::check(&tools)?;
        rust::check(&tools.root, &pages)?;
        build(&tools.root)?;
        let links = links::check(&tools.root, &pages)?;
        writeln!(out, "{} pages, {links} links", pages.len())?;
    } else {
        choose(&mut pages, &options.page)?;
    }
    let mut totals = Totals::default();
    let mut failures = Vec::new();
    for page in &pages {
        if let Err(error) = blocks(&tools, page, &mut totals, out) {
            failures.push(format!("{error:#}"));
        }
    }
    writeln!(out, "{totals}")?;
    match failures.len() {
        0 => Ok(()),
        1 => bail!("{}", failures[0]),
        count => bail!("{count} pages are wrong\n\n{}", failures.join("\n\n")),
    }
}

fn choose(pages: &mut Vec<Page>, wanted: &[PathBuf]) -> Result<()> {
    for path in wanted {
        ensure!(
            pages.iter().any(|page| page.path == *path),
            "there is no page `{}`; they are named as in `docs/tutorial.md`",
            path.display()
        );
    }
    pages.retain(|page| wanted.contains(&page.path));
    Ok(())
}

/// Builds the book. What mdBook warns of is an error.
fn build(root: &Path) -> Result<()> {
    let mdbook = command::tool("mdbook");
    let output = Command::new(&mdbook).arg("build").arg(root).output();
    let output = output.with_context(|| {
        format!(
            "cannot run {}; `.ci/run` says how to install it",
            mdbook.display()
        )
    })?;
    let said = String::from_utf8_lossy(&output.stderr);
    let complains = ["WARN", "ERROR"].iter().any(|level| said.contains(level));
    ensure!(
        output.status.success() && !complains,
        "mdBook is not content:\n{said}"
    );
    Ok(())
}

/// Runs and checks the blocks of `page`.
fn blocks(tools: &Tools, page: &Page, totals: &mut Totals, out: &mut impl Write) -> Result<()> {
    let mut counts = Totals::default();
    for block in &page.blocks {
        match &block.body {
            Body::Shell(_) => match &block.not_run {
                None => counts.run += 1,
                Some(why) => {
                    dry::check(tools, page, block)?;
                    counts.checked += 1;
                    writeln!(
                        out,
                        "{}:{}: checked, not run: {why}",
                        page.path.display(),
                        block.line
                    )?;
                }
            },
            Body::Output(_) => counts.outputs += 1,
            Body::Rust => counts.doctests += 1,
            Body::Data(format) => {
                let read = format.read(&tools.root, &block.text);
                read.with_context(|| page.at(block))?;
                counts.data += 1;
            }
            Body::Text => counts.texts += 1,
        }
    }
    if counts.run > 0 {
        shell::run(tools, page)?;
        writeln!(
            out,
            "{}: {} blocks run, {} outputs compared",
            page.path.display(),
            counts.run,
            counts.outputs
        )?;
        out.flush()?;
    }
    totals.add(&counts);
    Ok(())
}

/// How many blocks there are of each kind.
#[derive(Default)]
struct Totals {
    run: usize,
    outputs: usize,
    checked: usize,
    doctests: usize,
    data: usize,
    texts: usize,
}

impl Totals {
    fn add(&mut self, other: &Totals) {
        self.run += other.run;
        self.outputs += other.outputs;
        self.checked += other.checked;
        self.doctests += other.doctests;
        self.data += other.data;
        self.texts += other.texts;
    }
}

impl std::fmt::Display for Totals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "shell: {} blocks run, {} outputs compared, {} blocks checked and not run; Rust: {} doctests of ibid-book; \
             {} blocks of data read; {} of text, which is no code",
            self.run, self.outputs, self.checked, self.doctests, self.data, self.texts
        )
    }
}
