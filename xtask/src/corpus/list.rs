//! The table of modules, for people.

use std::io::Write;

use anyhow::Result;

use super::Module;

/// Prints what the corpus consists of: a line for each module, then a summary. Fetches nothing.
///
/// # Errors
///
/// Only those of `out`.
pub fn list(modules: &[Module], out: &mut impl Write) -> Result<()> {
    for module in modules {
        let note = if module.accepted { "" } else { "  (bad input)" };
        writeln!(
            out,
            "{}  {}  {}{note}",
            columns(module),
            module.package,
            module.member
        )?;
    }
    let bytes: u64 = modules.iter().map(|module| module.bytes).sum();
    writeln!(out, "{} modules, {bytes} bytes", modules.len())?;
    Ok(())
}

/// What every line about a module begins with: its name, version and size, in columns.
pub(super) fn columns(module: &Module) -> String {
    let Module {
        name,
        version,
        bytes,
        ..
    } = module;
    format!("{name:<12}  {version:<13}  {bytes:>8}")
}

#[cfg(test)]
mod tests {
    use super::super::modules;
    use super::*;

    #[test]
    fn a_line_for_each_module_and_one_for_all() {
        let mut out = Vec::new();
        list(modules(), &mut out).unwrap();
        let out = String::from_utf8(out).unwrap();
        assert_eq!(out.lines().count(), modules().len() + 1);
        for (line, module) in out.lines().zip(modules()) {
            assert!(line.contains(module.package) && line.contains(module.member));
        }
    }

    #[test]
    fn the_columns_line_up() {
        let widths: Vec<_> = modules()
            .iter()
            .map(|module| columns(module).len())
            .collect();
        assert!(widths.iter().all(|width| *width == widths[0]));
    }
}
