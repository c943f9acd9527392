//! Functions in the text format, and how two of them differ.

use crate::Failure;
use ibid::{Explanation, FunctionExplanation};
use similar::{Algorithm, TextDiff};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::time::Duration;
use wasm_encoder::{Encode as _, RawSection};
use wasmparser::{KnownCustom, Name, Parser, Payload, TypeRef};

/// Lines around each difference.
const CONTEXT: usize = 3;

/// The identifiers of sections.
const CUSTOM: u8 = 0;
const START: u8 = 8;
const ELEMENT: u8 = 9;
const CODE: u8 = 10;
const DATA: u8 = 11;
const DATA_COUNT: u8 = 12;

/// The subsection of names that has those of functions.
const FUNCTION_NAMES: u8 = 1;

/// The two modules, whose functions can be printed.
pub(super) struct Texts<'w> {
    old: &'w [u8],
    new: &'w [u8],
    /// By index: the same names for functions that go together.
    old_names: HashMap<u32, String>,
    new_names: HashMap<u32, String>,
}

/// How two functions differ; nothing if they print alike.
pub(super) struct Diff(String);

impl Diff {
    pub(super) fn whole(&self) -> &str {
        &self.0
    }

    /// The first `most` lines; `index` is the function's.
    pub(super) fn short(&self, most: usize, index: u32) -> String {
        let mut lines = self.0.lines();
        let mut out = String::new();
        for line in lines.by_ref().take(most) {
            out.push_str(&format!("    {line}\n"));
        }
        let rest = lines.count();
        if rest > 0 {
            out.push_str(&format!(
                "    ... {rest} more lines: name {index} as FUNC\n"
            ));
        }
        out
    }
}

impl<'w> Texts<'w> {
    pub(super) fn new(old: &'w [u8], new: &'w [u8], explanation: &Explanation) -> Texts<'w> {
        let (of_old, of_new) = (FunctionNames::of(old), FunctionNames::of(new));
        let new_names = of_new.all("function");
        let mut old_names = of_old.all("old_function");
        for function in &explanation.functions {
            if let (Some(old), Some(name)) = (function.old_index, new_names.get(&function.index)) {
                old_names.insert(old, name.clone());
            }
        }
        Texts {
            old,
            new,
            old_names,
            new_names,
        }
    }

    /// The differences of `functions` from the old ones that they are compared with.
    pub(super) fn diffs(&self, functions: &[&FunctionExplanation]) -> Result<Vec<Diff>, Failure> {
        let (mut old, mut new) = (HashSet::new(), HashSet::new());
        for function in functions {
            old.extend(function.old_index);
            new.insert(function.index);
        }
        let old = texts(self.old, &self.old_names, &old)?;
        let new = texts(self.new, &self.new_names, &new)?;
        let diff = |function: &&FunctionExplanation| {
            let old = function.old_index.and_then(|index| old.get(&index));
            let old = old.map_or("", String::as_str);
            let new = new.get(&function.index).map_or("", String::as_str);
            let mut config = TextDiff::configure();
            config
                .algorithm(Algorithm::Myers)
                .timeout(Duration::from_secs(5));
            let diff = config.diff_lines(old, new);
            let unified = diff.unified_diff().context_radius(CONTEXT).to_string();
            Diff(unified)
        };
        Ok(functions.iter().map(diff).collect())
    }
}

/// What the functions of a module are called, and how many there are.
#[derive(Default)]
struct FunctionNames {
    names: HashMap<u32, String>,
    count: u32,
}

impl FunctionNames {
    fn of(wasm: &[u8]) -> FunctionNames {
        let mut functions = FunctionNames::default();
        for payload in Parser::new(0).parse_all(wasm).flatten() {
            match payload {
                Payload::ImportSection(imports) => {
                    for import in imports.into_imports().flatten() {
                        if let TypeRef::Func(_) | TypeRef::FuncExact(_) = import.ty {
                            let name = format!("{}.{}", import.module, import.name);
                            functions.names.insert(functions.count, name);
                            functions.count += 1;
                        }
                    }
                }
                Payload::FunctionSection(section) => functions.count += section.count(),
                Payload::CustomSection(section) => {
                    if let KnownCustom::Name(names) = section.as_known() {
                        for name in names.flatten() {
                            if let Name::Function(names) = name {
                                let named = names.into_iter().flatten();
                                let named = named.map(|naming| (naming.index, naming.name.into()));
                                functions.names.extend(named);
                            }
                        }
                    }
                }
                _ => {}
            }
        }
        functions
    }

    /// A name for each function, no two alike; for those without one, `kind` and the index.
    fn all(&self, kind: &str) -> HashMap<u32, String> {
        let mut seen = HashSet::new();
        let name = |index: u32| {
            let name = match self.names.get(&index) {
                Some(name) => name.clone(),
                None => format!("{kind}_{index}"),
            };
            match seen.insert(name.clone()) {
                true => (index, name),
                false => (index, format!("{name}#{index}")),
            }
        };
        (0..self.count).map(name).collect()
    }
}

/// The text of each of the functions `wanted` of the module `wasm`, by index.
fn texts(
    wasm: &[u8],
    names: &HashMap<u32, String>,
    wanted: &HashSet<u32>,
) -> Result<HashMap<u32, String>, Failure> {
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    let failed = |error: &dyn std::fmt::Display| {
        Failure::Input(format!("cannot print functions as text: {error}"))
    };
    let reduced = reduced(wasm, names, wanted).map_err(|error| failed(&error))?;
    let text = wasmprinter::print_bytes(reduced).map_err(|error| failed(&error))?;
    let mut texts: HashMap<u32, String> = HashMap::new();
    let mut current = None;
    for line in text.lines() {
        if line.starts_with("  (") || line == ")" {
            current = function_index(line).filter(|index| wanted.contains(index));
        }
        if let Some(index) = current {
            let text = texts.entry(index).or_default();
            text.push_str(&without_numbers(line.strip_prefix("  ").unwrap_or(line)));
            text.push('\n');
        }
    }
    Ok(texts)
}

/// The index of the function that a line begins: `  (func $name (;12;) …`.
fn function_index(line: &str) -> Option<u32> {
    let rest = line.strip_prefix("  (func ")?;
    let (_, rest) = rest.split_once("(;")?;
    rest.split_once(";)")?.0.parse().ok()
}

/// A line without comments that number labels and functions, and without the numbers of types
/// that are written out behind them.
fn without_numbers(line: &str) -> String {
    let line = match line.split_once(" ;; label = @") {
        Some((line, _)) => line,
        None => line,
    };
    let line = without_type(line);
    let mut out = String::new();
    let mut rest = &*line;
    while let Some((before, after)) = rest.split_once(" (;") {
        let Some((comment, after)) = after.split_once(";)") else {
            break;
        };
        out.push_str(before);
        let number = comment.strip_prefix('@').unwrap_or(comment);
        if number.parse::<u32>().is_err() {
            out.push_str(&format!(" (;{comment};)"));
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// A line that begins a function or a block, without the number of its type.
fn without_type(line: &str) -> Cow<'_, str> {
    let begins = ["(func ", "block ", "loop ", "if "];
    if begins
        .iter()
        .any(|begin| line.trim_start().starts_with(begin))
        && let Some((before, after)) = line.split_once(" (type ")
        && let Some((_, after)) = after.split_once(')')
    {
        return Cow::Owned(format!("{before}{after}"));
    }
    Cow::Borrowed(line)
}

/// A module that prints the functions `wanted` as `wasm` does, but for what they are called: all
/// other bodies do nothing, and what is not named in bodies is left out.
fn reduced(
    wasm: &[u8],
    names: &HashMap<u32, String>,
    wanted: &HashSet<u32>,
) -> wasmparser::Result<Vec<u8>> {
    let mut module = wasm_encoder::Module::new();
    let mut index = 0;
    let mut bodies = Vec::new();
    let mut subsections = function_names(names);
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload?;
        match &payload {
            Payload::ImportSection(imports) => {
                for import in imports.clone().into_imports() {
                    let ty = import?.ty;
                    index += u32::from(matches!(ty, TypeRef::Func(_) | TypeRef::FuncExact(_)));
                }
            }
            Payload::CodeSectionStart { count, .. } => {
                count.encode(&mut bodies);
                continue;
            }
            Payload::CodeSectionEntry(body) => {
                let bytes = match wanted.contains(&index) {
                    true => body.as_bytes(),
                    // No locals; unreachable, end.
                    false => &[0x00, 0x00, 0x0b],
                };
                bytes.encode(&mut bodies);
                index += 1;
                continue;
            }
            Payload::CustomSection(section) => {
                if section.name() == "name" {
                    other_names(section.data(), &mut subsections);
                }
                continue;
            }
            _ => {}
        }
        if let Some((id, range)) = payload.as_section()
            && !matches!(id, CUSTOM | START | ELEMENT | CODE | DATA | DATA_COUNT)
        {
            let data = &wasm[range];
            module.section(&RawSection { id, data });
        }
    }
    if !bodies.is_empty() {
        let data = &bodies;
        module.section(&RawSection { id: CODE, data });
    }
    let mut data = Vec::new();
    "name".encode(&mut data);
    data.extend(subsections);
    let names = RawSection {
        id: CUSTOM,
        data: &data,
    };
    module.section(&names);
    Ok(module.finish())
}

/// The subsection that has the names of functions.
fn function_names(names: &HashMap<u32, String>) -> Vec<u8> {
    let mut sorted: Vec<(&u32, &String)> = names.iter().collect();
    sorted.sort_unstable();
    let mut map = wasm_encoder::NameMap::new();
    for (index, name) in sorted {
        map.append(*index, name);
    }
    let mut section = wasm_encoder::NameSection::new();
    section.functions(&map);
    section.as_custom().data.into_owned()
}

/// Appends all subsections but that of functions' names, as long as they read.
fn other_names(mut data: &[u8], out: &mut Vec<u8>) {
    while let [id, rest @ ..] = data {
        let mut reader = wasmparser::BinaryReader::new(rest, 0);
        let Ok(length) = reader.read_var_u32() else {
            return;
        };
        let end = reader.original_position() + length as usize;
        let Some(subsection) = rest.get(..end) else {
            return;
        };
        if *id != FUNCTION_NAMES {
            out.push(*id);
            out.extend_from_slice(subsection);
        }
        data = &rest[end..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_lose_their_numbers() {
        for (line, expected) in [
            (
                "(func $f (;12;) (type 3) (param i32)",
                "(func $f (param i32)",
            ),
            ("  block (result i32) ;; label = @1", "  block (result i32)"),
            ("  br_if 1 (;@2;)", "  br_if 1"),
            ("  br_table 0 (;@3;) 1 (;@2;)", "  br_table 0 1"),
            ("  call_indirect (type 3)", "  call_indirect (type 3)"),
            ("  f64.const 0x1p+0 (;=1;)", "  f64.const 0x1p+0 (;=1;)"),
        ] {
            assert_eq!(without_numbers(line), expected);
        }
    }

    #[test]
    fn functions_are_cut_out_by_their_index() {
        assert_eq!(function_index("  (func $a (;7;) (type 0)"), Some(7));
        assert_eq!(function_index("  (func (;7;) (type 0)"), Some(7));
        assert_eq!(
            function_index("  (import \"a\" \"b\" (func (;7;) (type 0)))"),
            None
        );
    }
}
