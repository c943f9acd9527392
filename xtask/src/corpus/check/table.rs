//! The outcome as text: a table of modules, a table of upgrades, and what is wrong.

use std::io::{self, Write};
use std::iter;

use ibid::Counts;

use super::super::Module;
use super::cell::Cell;
use super::scenarios;
use super::settings::SETTINGS;
use super::upgrade::Upgrade;

/// What stands where a scenario was left out.
const LEFT_OUT: &str = "-";

/// A row of the table of modules.
#[derive(Debug)]
pub(super) struct Row {
    name: String,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Scenarios(Vec<Option<Cell>>),
    /// Wasmtime refuses the module; there are no scenarios.
    Refused(Cell),
}

impl Row {
    /// An empty row.
    pub(super) fn new(module: &Module) -> Row {
        Row {
            name: name(module),
            content: Content::Scenarios(Vec::new()),
        }
    }

    /// The row of a module that Wasmtime refuses.
    pub(super) fn refused(module: &Module, cell: Cell) -> Row {
        Row {
            name: name(module),
            content: Content::Refused(cell),
        }
    }

    /// Adds the next column.
    pub(super) fn push(&mut self, cell: Option<Cell>) {
        if let Content::Scenarios(cells) = &mut self.content {
            cells.push(cell);
        }
    }

    /// Adds the next columns.
    pub(super) fn extend(&mut self, cells: Vec<Option<Cell>>) {
        cells.into_iter().for_each(|cell| self.push(cell));
    }

    /// The cells that are there, with the names of their columns.
    fn cells(&self) -> Vec<(&'static str, &Cell)> {
        match &self.content {
            Content::Refused(cell) => vec![("refused", cell)],
            Content::Scenarios(cells) => column_names()
                .zip(cells)
                .filter_map(|(column, cell)| Some((column, cell.as_ref()?)))
                .collect(),
        }
    }
}

fn name(module: &Module) -> String {
    format!("{} {}", module.name, module.version)
}

fn column_names() -> impl Iterator<Item = &'static str> {
    let settings = SETTINGS.iter().map(|setting| setting.name);
    scenarios::COLUMNS
        .into_iter()
        .chain(["upgraded"])
        .chain(settings)
}

/// The widths of the table of modules.
pub(super) struct Columns {
    name: usize,
}

/// The table of `modules`, of which the rows come one by one.
pub(super) fn modules(modules: &[Module]) -> Columns {
    let name = modules.iter().map(|module| name(module).len()).max();
    Columns {
        name: name.unwrap_or_default(),
    }
}

impl Columns {
    /// The line above the rows.
    pub(super) fn header(&self) -> String {
        self.line(
            "module",
            column_names().map(|column| (column, column.to_owned())),
        )
    }

    /// A row's line.
    pub(super) fn row(&self, row: &Row) -> String {
        match &row.content {
            Content::Refused(cell) if cell.failures.is_empty() => {
                format!("{:<1$}  refused alike", row.name, self.name)
            }
            Content::Refused(cell) => format!("{:<2$}  {}", row.name, cell, self.name),
            Content::Scenarios(cells) => {
                let cells = cells.iter().map(Option::as_ref).chain(iter::repeat(None));
                let text = |cell: Option<&Cell>| cell.map_or(LEFT_OUT.into(), Cell::to_string);
                self.line(&row.name, column_names().zip(cells.map(text)))
            }
        }
    }

    fn line(&self, name: &str, cells: impl Iterator<Item = (&'static str, String)>) -> String {
        let mut line = format!("{name:<0$}", self.name);
        for (column, text) in cells {
            // The longest word of a cell is as long.
            let width = column.len().max("DIFFERS".len());
            line += &format!("  {text:<width$}");
        }
        line.truncate(line.trim_end().len());
        line
    }
}

/// The table of upgrades. All numbers but the last are of functions and trampolines together.
pub(super) fn upgrades(upgrades: &[Upgrade]) -> String {
    let header = [
        "upgrade",
        "ibid found",
        "by body",
        "by stencil",
        "by CLIF",
        "twins",
        "compiled",
        "own cache",
        "in older",
        "code reused",
    ];
    let mut lines = vec![header.map(String::from)];
    for Upgrade { name, report, own } in upgrades {
        let sum = |count: fn(&Counts) -> u64| count(&report.functions) + count(&report.trampolines);
        let (total, compiled) = (sum(|counts| counts.total), sum(|counts| counts.compiled));
        let (found, found_in_older) = match own {
            None => (LEFT_OUT.to_owned(), LEFT_OUT.to_owned()),
            Some(own) => (
                format!("{}/{}", own.found, own.total),
                own.found_in_older.to_string(),
            ),
        };
        let code = &report.code_bytes;
        lines.push([
            name.clone(),
            format!("{}/{total}", total - compiled),
            sum(|counts| counts.exact_body).to_string(),
            sum(|counts| counts.stencil).to_string(),
            sum(|counts| counts.clif).to_string(),
            sum(|counts| counts.duplicates).to_string(),
            compiled.to_string(),
            found,
            found_in_older,
            format!("{:.2} %", 100.0 * code.reused as f64 / code.total as f64),
        ]);
    }
    aligned(&lines)
}

/// The lines with their columns aligned: the first to the left, the others to the right.
fn aligned<const N: usize>(lines: &[[String; N]]) -> String {
    let widths: [usize; N] = std::array::from_fn(|i| {
        lines
            .iter()
            .map(|line| line[i].len())
            .max()
            .unwrap_or_default()
    });
    let mut text = String::new();
    for line in lines {
        text += &format!("{:<1$}", line[0], widths[0]);
        for (cell, width) in line.iter().zip(widths).skip(1) {
            text += &format!("  {cell:>width$}");
        }
        text.push('\n');
    }
    text
}

/// What the cells add up to.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Claims that were tested.
    pub(super) checks: usize,
    failures: Vec<String>,
    notes: Vec<String>,
}

impl Tally {
    /// Takes in a row.
    pub(super) fn add(&mut self, row: &Row) {
        for (column, cell) in row.cells() {
            let place = format!("{}, {column}", row.name);
            self.checks += cell.checks;
            self.failures
                .extend(cell.failures.iter().map(|what| format!("{place}: {what}")));
            self.notes
                .extend(cell.note.iter().map(|note| format!("{place}: {note}")));
        }
    }

    /// How many claims failed.
    pub(super) fn failed(&self) -> usize {
        self.failures.len()
    }

    /// Writes what is worth knowing, then what is wrong.
    pub(super) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        for (title, lines) in [("notes", &self.notes), ("failures", &self.failures)] {
            if !lines.is_empty() {
                writeln!(out, "\n{title}:")?;
                lines
                    .iter()
                    .try_for_each(|line| writeln!(out, "  {line}"))?;
            }
        }
        writeln!(out)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::modules as corpus;
    use super::*;

    #[test]
    fn the_columns_line_up() {
        let columns = modules(corpus());
        let header = columns.header();
        let mut row = Row::new(&corpus()[0]);
        row.push(Some(Cell::default()));
        row.push(Some(Cell::of(|_| anyhow::bail!("no"))));
        let line = columns.row(&row);
        assert_eq!(header.find("cold"), line.find("ok"));
        assert_eq!(header.find("warm"), line.find("ERROR"));
        assert_eq!(header.find("whole"), line.find(LEFT_OUT));

        let mut tally = Tally::default();
        tally.add(&row);
        assert_eq!((tally.checks, tally.failed()), (1, 1));
    }
}
