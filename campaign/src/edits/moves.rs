//! Changes that only move things: functions are inserted, removed and permuted; data grows;
//! custom sections, names and exports come, go, and change places. Every reference follows.
//!
//! Every function that stays keeps its stencil, and is found, but for the exceptions that
//! `docs/keys.md` has reasons for; [`Moved::exempt`] computes these from the bodies, without
//! asking ibid.

use crate::random::Random;
use std::collections::BTreeSet;
use std::convert::Infallible;
use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_encoder::{
    CodeSection, CustomSection, DataSection, ExportSection, Function, FunctionSection, Instruction,
    Module, NameMap, NameSection, SectionId,
};
use wasmparser::{
    CodeSectionReader, CustomSectionReader, Data, ExportSectionReader, FunctionBody,
    FunctionSectionReader, Operator, Parser, Payload, TypeRef,
};

/// A module, and the same with its things moved.
#[derive(Debug)]
pub struct Moved {
    /// Before; indices are written as short as they can be.
    pub before: Vec<u8>,
    /// After.
    pub after: Vec<u8>,
    /// For each defined function: its index before, and after unless it was removed.
    pub functions: Vec<(u32, Option<u32>)>,
    /// How many functions are new.
    pub inserted: usize,
    /// Whether the bytes of data segments changed.
    data_changed: bool,
}

/// Moves things of `wasm`, which is valid. `None` if it defines no function, or has what cannot
/// be written again.
pub fn moved(random: &mut Random, wasm: &[u8]) -> Option<Moved> {
    let mut references = References::default();
    let before = write(&mut references, wasm)?;
    let types = function_types(&before)?;
    let imported = types.len() - references.defined;
    if references.defined == 0 {
        return None;
    }

    let mut order: Vec<Place> = (imported as u32..types.len() as u32)
        .filter(|function| references.named.contains(function) || !random.one_in(2))
        .map(Place::Old)
        .collect();
    match random.below(4) {
        0 => random.shuffle(&mut order),
        1 => order.reverse(),
        2 if order.len() > 1 => order.swap(0, 1),
        _ => {}
    }
    // Enough of them make indices longer.
    let inserted = *random.pick(&[0, 0, 1, 1, 3, 130]);
    let front = random.one_in(2);
    for number in 0..inserted {
        let at = match front {
            true => 0,
            false => random.below(order.len() + 1),
        };
        // One by one, for they all have a body of their own.
        let ty = *random.pick(&types[imported..]);
        order.insert(at, Place::New { ty, number });
    }

    let mut map: Vec<Option<u32>> = (0..imported as u32).map(Some).collect();
    map.resize(types.len(), None);
    for (place, index) in order.iter().zip(imported as u32..) {
        if let Place::Old(old) = place {
            map[*old as usize] = Some(index);
        }
    }
    let mut mover = Mover {
        data: *random.pick(&[Bytes::Same, Bytes::Same, Bytes::Others, Bytes::More]),
        custom_in_front: random.one_in(2),
        reorder_exports: random.one_in(2),
        random: random.clone(),
        types: &types,
        order,
        map,
    };
    let mut after = write(&mut mover, &before)?;
    if random.one_in(2) {
        append_names(&mut after, mover.order.len());
    }
    let functions = mover.map[imported..].iter().enumerate();
    Some(Moved {
        functions: functions
            .map(|(i, after)| ((imported + i) as u32, *after))
            .collect(),
        data_changed: mover.data != Bytes::Same,
        before,
        after,
        inserted: inserted as usize,
    })
}

impl Moved {
    /// The functions, by their index before, that may have another key after.
    ///
    /// - `ref.func` has the function's index in its code: if that moved.
    /// - `memory.init` and `data.drop` have the runtime number of the segment, which depends on
    ///   what the other segments of the memory hold: if data changed.
    /// - The operators on aggregates that name a segment have everything in their key, which says
    ///   of each function where it stands.
    ///
    /// What else a key holds, moving does not change: types, imports, memories, tables, globals,
    /// tags, which of them are exported, and element segments' types.
    pub fn exempt(&self) -> BTreeSet<u32> {
        let mut map = vec![None; self.functions[0].0 as usize];
        for (index, place) in map.iter_mut().enumerate() {
            *place = Some(index as u32);
        }
        map.extend(self.functions.iter().map(|(_, after)| *after));
        let bodies = bodies(&self.before);
        let functions = self.functions.iter().zip(bodies);
        functions
            .filter(|(_, body)| self.body_is_exempt(body, &map))
            .map(|((before, _), _)| *before)
            .collect()
    }

    fn body_is_exempt(&self, body: &FunctionBody<'_>, map: &[Option<u32>]) -> bool {
        let operators = body.get_operators_reader();
        let mut operators = operators.expect("it was written just now").into_iter();
        operators.any(
            |operator| match operator.expect("it was written just now") {
                Operator::RefFunc { function_index } => {
                    map[function_index as usize] != Some(function_index)
                }
                Operator::MemoryInit { .. } | Operator::DataDrop { .. } => self.data_changed,
                Operator::ArrayNewData { .. }
                | Operator::ArrayNewElem { .. }
                | Operator::ArrayInitData { .. }
                | Operator::ArrayInitElem { .. } => true,
                _ => false,
            },
        )
    }
}

fn bodies(wasm: &[u8]) -> Vec<FunctionBody<'_>> {
    let payloads = Parser::new(0).parse_all(wasm);
    payloads
        .filter_map(|payload| match payload {
            Ok(Payload::CodeSectionEntry(body)) => Some(body),
            _ => None,
        })
        .collect()
}

/// The type index of each function, imports included.
fn function_types(wasm: &[u8]) -> Option<Vec<u32>> {
    let mut types = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.ok()? {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    if let TypeRef::Func(ty) | TypeRef::FuncExact(ty) = import.ok()?.ty {
                        types.push(ty);
                    }
                }
            }
            Payload::FunctionSection(section) => {
                for ty in section {
                    types.push(ty.ok()?);
                }
            }
            _ => {}
        }
    }
    Some(types)
}

fn write(writer: &mut impl Reencode<Error = Infallible>, wasm: &[u8]) -> Option<Vec<u8>> {
    let mut module = Module::new();
    writer
        .parse_core_module(&mut module, Parser::new(0), wasm)
        .ok()?;
    Some(module.finish())
}

fn append_names(wasm: &mut Vec<u8>, functions: usize) {
    let mut names = NameMap::new();
    for index in 0..functions as u32 {
        names.append(index, &format!("name {index}"));
    }
    let mut section = NameSection::new();
    section.functions(&names);
    wasm_encoder::Section::append_to(&section, wasm);
}

/// Finds out which functions something names; drops custom sections.
#[derive(Default)]
struct References {
    named: BTreeSet<u32>,
    defined: usize,
}

impl Reencode for References {
    type Error = Infallible;

    fn function_index(&mut self, function: u32) -> Result<u32, Error> {
        self.named.insert(function);
        Ok(function)
    }

    fn parse_code_section(
        &mut self,
        code: &mut CodeSection,
        section: CodeSectionReader<'_>,
    ) -> Result<(), Error> {
        self.defined = section.count() as usize;
        utils::parse_code_section(self, code, section)
    }

    fn parse_custom_section(
        &mut self,
        _: &mut Module,
        _: CustomSectionReader<'_>,
    ) -> Result<(), Error> {
        Ok(())
    }
}

/// Where a function of the new module comes from.
#[derive(Clone, Copy, Debug)]
enum Place {
    Old(u32),
    New { ty: u32, number: i32 },
}

/// What becomes of the bytes of data segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bytes {
    Same,
    Others,
    More,
}

struct Mover<'t> {
    random: Random,
    types: &'t [u32],
    order: Vec<Place>,
    /// The new index, by the old one.
    map: Vec<Option<u32>>,
    data: Bytes,
    custom_in_front: bool,
    reorder_exports: bool,
}

impl Reencode for Mover<'_> {
    type Error = Infallible;

    fn function_index(&mut self, function: u32) -> Result<u32, Error> {
        Ok(self.map[function as usize].expect("what something names is not removed"))
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        _: FunctionSectionReader<'_>,
    ) -> Result<(), Error> {
        for place in &self.order {
            functions.function(match *place {
                Place::Old(old) => self.types[old as usize],
                Place::New { ty, .. } => ty,
            });
        }
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        code: &mut CodeSection,
        section: CodeSectionReader<'_>,
    ) -> Result<(), Error> {
        let bodies = section.into_iter().collect::<Result<Vec<_>, _>>()?;
        let imported = self.map.len() - bodies.len();
        for place in self.order.clone() {
            match place {
                Place::Old(old) => {
                    let body = &bodies[old as usize - imported];
                    self.parse_function_body(code, body.clone())?;
                }
                Place::New { number, .. } => {
                    let mut function = Function::new([]);
                    function.instruction(&Instruction::I32Const(1_000_000 + number));
                    function.instruction(&Instruction::Drop);
                    function.instruction(&Instruction::Unreachable);
                    function.instruction(&Instruction::End);
                    code.function(&function);
                }
            }
        }
        Ok(())
    }

    fn parse_export_section(
        &mut self,
        exports: &mut ExportSection,
        section: ExportSectionReader<'_>,
    ) -> Result<(), Error> {
        let mut items = section.into_iter().collect::<Result<Vec<_>, _>>()?;
        if self.reorder_exports {
            self.random.shuffle(&mut items);
        }
        items
            .into_iter()
            .try_for_each(|export| self.parse_export(exports, export))
    }

    fn parse_data(&mut self, data: &mut DataSection, datum: Data<'_>) -> Result<(), Error> {
        let mut bytes = datum.data.to_vec();
        match self.data {
            Bytes::Same => {}
            Bytes::Others => bytes.iter_mut().for_each(|byte| *byte = !*byte),
            Bytes::More => {
                let more = self.random.below(300);
                bytes.extend(self.random.bytes(more));
            }
        }
        utils::parse_data(
            self,
            data,
            Data {
                data: &bytes,
                ..datum
            },
        )
    }

    fn intersperse_section_hook(
        &mut self,
        module: &mut Module,
        after: Option<SectionId>,
        _: Option<SectionId>,
    ) -> Result<(), Error> {
        if after.is_none() && self.custom_in_front {
            module.section(&CustomSection {
                name: "in front".into(),
                data: vec![7; 1000].into(),
            });
        }
        Ok(())
    }
}
