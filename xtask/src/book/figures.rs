//! Figures on other pages that are those of `docs/performance.md`.

use anyhow::{Context, Result};

use super::Tools;

const PAGE: &str = "docs/performance.md";

/// The module whose figures are shown.
const MODULE: &str = "esbuild";

/// What ibid saves, in percent of what Wasmtime takes.
pub(super) fn savings(tools: &Tools) -> Result<String> {
    let page = Page::read(tools)?;
    let table = page.table("## In short")?;
    let of = |column| table.cell(MODULE, column);
    Ok(format!(
        "\n| {}, {}, for which Wasmtime takes {} ms | |\n|---|---|\n\
         | the first compile, with an empty store | {}, and {} for writing the store afterwards |\n\
         | compiled before, unchanged | {} |\n\
         | one function edited | {}; {} in a process that goes on |\n\
         | a function added in front of all others | {} |\n\
         | the next release | {} |\n\n",
        of("module")?,
        of("wasm")?,
        of("Wasmtime")?,
        of("empty cache")?,
        of("+ store")?,
        of("unchanged, known whole")?,
        of("one body edited")?,
        of("hot reload")?,
        of("function at the front")?,
        of("upgrade")?,
    ))
}

/// What ibid takes, beside Wasmtime's two caches.
pub(super) fn caches(tools: &Tools) -> Result<String> {
    let page = Page::read(tools)?;
    let module = page.table("## In short")?.cell(MODULE, "module")?;
    let table = page.table(&format!("### {module}"))?;
    let of = |row, column| table.cell(row, column);
    let again = "unchanged, known whole";
    Ok(format!(
        "\n| {module}, in milliseconds | no cache | module cache | incremental cache | ibid |\n|---|---|---|---|---|\n\
         | the same input again | {} | {} | {} | {}; {} if only by function |\n\
         | one function edited | {} | as without | {} | {}; {} in a process that goes on |\n\
         | the next release | {} | as without | {} | {} |\n\n",
        of(again, "cold ms")?,
        of(again, "module cache ms")?,
        of("unchanged, by function", "own cache ms")?,
        of(again, "ibid ms")?,
        of("unchanged, by function", "ibid ms")?,
        of("one body edited", "cold ms")?,
        of("one body edited", "own cache ms")?,
        of("one body edited", "ibid ms")?,
        of("hot reload", "ibid ms")?,
        of("upgrade", "cold ms")?,
        of("upgrade", "own cache ms")?,
        of("upgrade", "ibid ms")?,
    ))
}

struct Page(String);

/// The lines of a table.
struct Table<'p>(Vec<Vec<&'p str>>);

impl Page {
    fn read(tools: &Tools) -> Result<Page> {
        let text = std::fs::read_to_string(tools.root.join(PAGE));
        Ok(Page(text.with_context(|| format!("cannot read {PAGE}"))?))
    }

    /// The first table below `heading`.
    fn table(&self, heading: &str) -> Result<Table<'_>> {
        let lines = self.0.lines().skip_while(|line| *line != heading);
        let rows = lines
            .skip_while(|line| !line.starts_with('|'))
            .take_while(|line| line.starts_with('|'));
        let cells = rows.map(|row| row.split('|').skip(1).map(str::trim).collect());
        let rows: Vec<Vec<&str>> = cells.collect();
        match rows.is_empty() {
            true => anyhow::bail!("{PAGE} has no table below `{heading}`"),
            false => Ok(Table(rows)),
        }
    }
}

impl<'p> Table<'p> {
    /// What is in the first row that begins with `row`, in this column.
    fn cell(&self, row: &str, column: &str) -> Result<&'p str> {
        let place = self.0.first();
        let place = place.and_then(|head| head.iter().position(|name| *name == column));
        let mut rows = self.0.iter();
        let found = rows.find(|cells| cells.first().is_some_and(|first| first.starts_with(row)));
        let cell = place.and_then(|place| found?.get(place).copied());
        cell.with_context(|| format!("{PAGE} does not say `{column}` of `{row}`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_read() -> Result<()> {
        let page = Page("# A\n\n| m | x ms |\n|:--|--:|\n| b 1 | 2 |\n\n# B\n\n| n |\n".into());
        let table = page.table("# A")?;
        assert_eq!(table.cell("b", "x ms")?, "2");
        assert!(table.cell("b", "y").is_err() && table.cell("c", "x ms").is_err());
        assert!(page.table("# C").is_err());
        Ok(())
    }
}
