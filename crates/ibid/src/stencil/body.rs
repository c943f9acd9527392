//! A body becomes a stencil and parameters: one pass over the operators, without
//! validating or translating any.
//!
//! The stencil's body is the body's own bytes, but for operators that name a callee
//! or a block's type. Those are written as four bytes:
//!
//! ```text
//!  0        1                    4
//! ┌────────┬────────────────────┐
//! │ opcode │ callee slot (LE)   │   call, return_call
//! └────────┴────────────────────┘
//!  0        1        2           4
//! ┌────────┬────────┬───────────┐
//! │ opcode │ 0x3f   │ type slot │   block, loop, if with a type index
//! └────────┴────────┴───────────┘
//! ```
//!
//! so that neither the index nor the width of its encoding is part of it. The string
//! can be read back in one way only: an opcode of the first kind is always followed
//! by a slot, and no block type starts with `0x3f` but a type index, which is always
//! replaced. The facts of an entity are appended when it is first named, in that
//! order, so that the stencil says which operators name the same entity.

use super::facts::{ModuleFacts, record};
use super::named::KeyFact;
use super::operators::{Class, Classifier};
use super::parameters::{FunctionParameters, SourceShift};
use super::{FunctionStencil, StencilKind};
use crate::bytes::Writer;
use rustc_hash::{FxHashMap, FxHashSet};
use wasmparser::{
    BlockType, BranchHint, Catch, FunctionBody, HeapType, Operator, OperatorsReader,
    OperatorsReaderAllocations, RefType, SectionLimited, ValType,
};

/// The body cannot be split; it is compiled as it is, or refused, by Wasmtime.
///
/// It does not read as operators, names something that the module does not have, or
/// names a function that a component satisfies at compile time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotCovered;

impl From<wasmparser::BinaryReaderError> for NotCovered {
    fn from(_: wasmparser::BinaryReaderError) -> Self {
        NotCovered
    }
}

/// Marks in the facts what the bytes behind them are about.
#[repr(u8)]
enum Fact {
    Signature = 1,
    Callee = 2,
    BlockType = 3,
    NamedType = 4,
    FunctionReference = 5,
    Memory = 6,
    Table = 7,
    Global = 8,
    Tag = 9,
    Data = 10,
    Element = 11,
    BranchHints = 12,
    Environment = 13,
    Everything = 14,
}

impl Fact {
    /// One more than the largest of them.
    const COUNT: usize = 15;
}

/// Working memory of [`split`], kept from one function to the next.
#[derive(Default)]
pub(crate) struct Scratch {
    callee_slots: FxHashMap<u32, u32>,
    type_slots: FxHashMap<u32, u32>,
    seen: FxHashSet<(u8, u32)>,
    /// Of each kind of fact, the entity that was named last.
    last: [Option<u32>; Fact::COUNT],
    control: OperatorsReaderAllocations,
    body: Vec<u8>,
    facts: Vec<u8>,
}

impl Scratch {
    /// Takes back the memory of a stencil that is not needed any more.
    pub(crate) fn reuse(&mut self, stencil: FunctionStencil) {
        self.body = stencil.body;
        self.facts = stencil.facts;
    }
}

/// Splits the body of the function with index `index`.
pub(crate) fn split(
    facts: &ModuleFacts,
    index: u32,
    body: &FunctionBody<'_>,
    hints: Option<SectionLimited<'_, BranchHint>>,
    scratch: &mut Scratch,
) -> Result<(FunctionStencil, FunctionParameters), NotCovered> {
    let mut split = Split::new(facts, body, scratch);
    split.signature(index)?;
    split.locals()?;
    split.operators()?;
    split.branch_hints(hints)?;
    split.finish()
}

struct Split<'f, 'b> {
    facts: &'f ModuleFacts,
    body: &'f FunctionBody<'b>,
    scratch: &'f mut Scratch,
    /// The body's bytes; `copied` of them are in the stencil's body.
    bytes: &'b [u8],
    copied: usize,
    stencil: Vec<u8>,
    out: Writer,
    callees: Vec<u32>,
    shifts: Vec<SourceShift>,
    needs_environment: bool,
    needs_everything: bool,
}

impl<'f, 'b> Split<'f, 'b> {
    fn new(facts: &'f ModuleFacts, body: &'f FunctionBody<'b>, scratch: &'f mut Scratch) -> Self {
        scratch.callee_slots.clear();
        scratch.type_slots.clear();
        scratch.seen.clear();
        scratch.last = Default::default();
        let bytes = body.as_bytes();
        let mut stencil = std::mem::take(&mut scratch.body);
        stencil.clear();
        stencil.reserve(bytes.len() + bytes.len() / 8);
        let out = Writer::reusing(std::mem::take(&mut scratch.facts));
        Split {
            facts,
            body,
            scratch,
            bytes,
            copied: 0,
            stencil,
            out,
            callees: Vec::new(),
            shifts: Vec::new(),
            needs_environment: false,
            needs_everything: false,
        }
    }

    fn base(&self) -> usize {
        self.body.range().start
    }

    fn signature(&mut self, index: u32) -> Result<(), NotCovered> {
        let signature = self.facts.signature(index).ok_or(NotCovered)?;
        self.fact(Fact::Signature);
        self.out
            .fact(KeyFact::OwnSignature, |out| out.raw(&signature.0));
        Ok(())
    }

    fn locals(&mut self) -> Result<(), NotCovered> {
        for local in self.body.get_locals_reader()? {
            let (_count, ty) = local?;
            self.value_type(ty);
        }
        Ok(())
    }

    fn operators(&mut self) -> Result<(), NotCovered> {
        let base = self.base();
        let reader = self.body.get_binary_reader_for_operators()?;
        let control = std::mem::take(&mut self.scratch.control);
        let mut operators = OperatorsReader::new_with_allocs(reader, control);
        let mut classifier = Classifier::default();
        while !operators.eof() {
            let start = operators.original_position() - base;
            match operators.visit_operator(&mut classifier)? {
                Class::Plain => {}
                Class::Memory => self.memory(classifier.memory)?,
                Class::Resolved => {
                    let end = operators.original_position() - base;
                    let operator = classifier.named.take().ok_or(NotCovered)?;
                    self.resolve(&operator, start, end)?;
                }
                Class::Environment => self.needs_environment = true,
                Class::Everything => self.needs_everything = true,
            }
        }
        operators.finish()?;
        self.scratch.control = operators.into_allocations();
        let rest = &self.bytes[self.copied..];
        self.stencil.extend_from_slice(rest);
        Ok(())
    }

    /// Takes in all that `operator`, which lies at `start..end`, refers to.
    fn resolve(
        &mut self,
        operator: &Operator<'_>,
        start: usize,
        end: usize,
    ) -> Result<(), NotCovered> {
        match operator {
            Operator::Call { function_index } | Operator::ReturnCall { function_index } => {
                self.callee(*function_index, start, end)
            }
            Operator::Block { blockty } | Operator::Loop { blockty } | Operator::If { blockty } => {
                self.block(*blockty, start, end)
            }
            Operator::GlobalGet { global_index } | Operator::GlobalSet { global_index } => {
                self.global(*global_index)
            }
            Operator::CallIndirect {
                type_index,
                table_index,
            }
            | Operator::ReturnCallIndirect {
                type_index,
                table_index,
            } => {
                self.named_type(*type_index)?;
                self.table(*table_index)
            }
            Operator::CallRef { type_index } | Operator::ReturnCallRef { type_index } => {
                self.named_type(*type_index)
            }
            Operator::RefFunc { function_index } => self.function_reference(*function_index),
            Operator::MemorySize { mem }
            | Operator::MemoryGrow { mem }
            | Operator::MemoryFill { mem } => self.memory(*mem),
            Operator::MemoryCopy { dst_mem, src_mem } => {
                self.memory(*dst_mem)?;
                self.memory(*src_mem)
            }
            Operator::MemoryInit { data_index, mem } => {
                self.data_segment(*data_index)?;
                self.memory(*mem)
            }
            Operator::DataDrop { data_index } => self.data_segment(*data_index),
            Operator::TableGet { table }
            | Operator::TableSet { table }
            | Operator::TableGrow { table }
            | Operator::TableSize { table }
            | Operator::TableFill { table } => self.table(*table),
            Operator::TableCopy {
                dst_table,
                src_table,
            } => {
                self.table(*dst_table)?;
                self.table(*src_table)
            }
            Operator::TableInit { elem_index, table } => {
                self.element_segment(*elem_index)?;
                self.table(*table)
            }
            Operator::ElemDrop { elem_index } => self.element_segment(*elem_index),
            Operator::RefNull { hty } => {
                self.heap_type(*hty);
                Ok(())
            }
            Operator::TypedSelect { ty } => {
                self.value_type(*ty);
                Ok(())
            }
            Operator::TypedSelectMulti { tys } => {
                tys.iter().for_each(|ty| self.value_type(*ty));
                Ok(())
            }
            Operator::Throw { tag_index } => self.tag(*tag_index),
            Operator::TryTable { try_table } => {
                match try_table.ty {
                    BlockType::Empty => {}
                    BlockType::Type(ty) => self.value_type(ty),
                    // Its index stays in the stencil's body, with the facts.
                    BlockType::FuncType(index) => self.named_type(index)?,
                }
                try_table.catches.iter().try_for_each(|catch| match catch {
                    Catch::One { tag, .. } | Catch::OneRef { tag, .. } => self.tag(*tag),
                    Catch::All { .. } | Catch::AllRef { .. } => Ok(()),
                })
            }
            // An operator of a known proposal that names something in a way that no
            // rule above follows.
            _ => {
                self.needs_everything = true;
                Ok(())
            }
        }
    }

    fn callee(&mut self, index: u32, start: usize, end: usize) -> Result<(), NotCovered> {
        let next = self.callees.len() as u32;
        let slot = *self.scratch.callee_slots.entry(index).or_insert(next);
        if slot == next {
            self.callees.push(index);
            self.fact(Fact::Callee);
            self.facts.callee(&mut self.out, index).ok_or(NotCovered)?;
        }
        let [a, b, c, high] = slot.to_le_bytes();
        if high != 0 {
            return Err(NotCovered);
        }
        self.replace(start, end, [self.bytes[start], a, b, c]);
        Ok(())
    }

    fn block(&mut self, ty: BlockType, start: usize, end: usize) -> Result<(), NotCovered> {
        match ty {
            BlockType::Empty => {}
            BlockType::Type(ty) => self.value_type(ty),
            BlockType::FuncType(index) => {
                let next = self.scratch.type_slots.len() as u32;
                let slot = *self.scratch.type_slots.entry(index).or_insert(next);
                if slot == next {
                    let digest = self.facts.block_type(index).ok_or(NotCovered)?;
                    self.fact(Fact::BlockType);
                    self.out.fact(KeyFact::BlockType, |out| out.raw(&digest.0));
                }
                let [low, high] = u16::try_from(slot).map_err(|_| NotCovered)?.to_le_bytes();
                self.replace(start, end, [self.bytes[start], 0x3f, low, high]);
            }
        }
        Ok(())
    }

    /// Puts `token` in place of the operator at `start..end`.
    fn replace(&mut self, start: usize, end: usize, token: [u8; 4]) {
        self.stencil
            .extend_from_slice(&self.bytes[self.copied..start]);
        self.stencil.extend_from_slice(&token);
        self.copied = end;
        let delta = end as i64 - self.stencil.len() as i64;
        let delta = i32::try_from(delta).expect("a body is smaller than 2 GiB");
        if delta != self.shifts.last().map_or(0, |shift| shift.delta) {
            let position = self.stencil.len() as u32;
            self.shifts.push(SourceShift { position, delta });
        }
    }

    fn fact(&mut self, fact: Fact) {
        self.out.raw(&[fact as u8]);
    }

    /// Whether this is the first time that the entity is named; if so its mark and
    /// index have been written.
    fn first(&mut self, fact: Fact, index: u32) -> bool {
        let mark = fact as u8;
        let last = &mut self.scratch.last[usize::from(mark)];
        if *last == Some(index) {
            return false;
        }
        *last = Some(index);
        let first = self.scratch.seen.insert((mark, index));
        if first {
            self.out.raw(&[mark]);
            self.out.word(index);
        }
        first
    }

    fn named_type(&mut self, index: u32) -> Result<(), NotCovered> {
        if self.first(Fact::NamedType, index) {
            self.facts
                .named_type(&mut self.out, index)
                .ok_or(NotCovered)?;
        }
        Ok(())
    }

    fn function_reference(&mut self, index: u32) -> Result<(), NotCovered> {
        if self.first(Fact::FunctionReference, index) {
            self.facts
                .function_reference(&mut self.out, index)
                .ok_or(NotCovered)?;
        }
        Ok(())
    }

    fn memory(&mut self, index: u32) -> Result<(), NotCovered> {
        if self.first(Fact::Memory, index) {
            record(&mut self.out, self.facts.memory(index).ok_or(NotCovered)?);
        }
        Ok(())
    }

    fn table(&mut self, index: u32) -> Result<(), NotCovered> {
        if self.first(Fact::Table, index) {
            record(&mut self.out, self.facts.table(index).ok_or(NotCovered)?);
        }
        Ok(())
    }

    fn global(&mut self, index: u32) -> Result<(), NotCovered> {
        if self.first(Fact::Global, index) {
            record(&mut self.out, self.facts.global(index).ok_or(NotCovered)?);
        }
        Ok(())
    }

    fn tag(&mut self, index: u32) -> Result<(), NotCovered> {
        if self.first(Fact::Tag, index) {
            record(&mut self.out, self.facts.tag(index).ok_or(NotCovered)?);
        }
        Ok(())
    }

    fn data_segment(&mut self, index: u32) -> Result<(), NotCovered> {
        if self.first(Fact::Data, index) {
            self.facts
                .data_segment(&mut self.out, index)
                .ok_or(NotCovered)?;
        }
        Ok(())
    }

    fn element_segment(&mut self, index: u32) -> Result<(), NotCovered> {
        if self.first(Fact::Element, index) {
            self.facts
                .element_segment(&mut self.out, index)
                .ok_or(NotCovered)?;
        }
        Ok(())
    }

    fn value_type(&mut self, ty: ValType) {
        if let ValType::Ref(ty) = ty {
            self.ref_type(ty);
        }
    }

    fn ref_type(&mut self, ty: RefType) {
        self.heap_type(ty.heap_type());
    }

    fn heap_type(&mut self, ty: HeapType) {
        match ty {
            HeapType::Abstract { .. } => {}
            HeapType::Concrete(_) | HeapType::Exact(_) => self.needs_environment = true,
        }
    }

    /// Branch hints name operators by their offset in the body, so with them the
    /// widths of the replaced operators are part of the stencil.
    fn branch_hints(
        &mut self,
        hints: Option<SectionLimited<'_, BranchHint>>,
    ) -> Result<(), NotCovered> {
        if hints.is_some() {
            self.fact(Fact::BranchHints);
            let mut written = Writer::default();
            write_hints(&mut written, hints)?;
            let written = written.into_bytes();
            self.out.fact(KeyFact::BranchHints, |out| out.raw(&written));
            self.out.fact(KeyFact::HintedWidths, |out| {
                out.u32(self.shifts.len());
                for shift in &self.shifts {
                    out.word(shift.position);
                    out.word(shift.delta.cast_unsigned());
                }
            });
        }
        Ok(())
    }

    fn finish(mut self) -> Result<(FunctionStencil, FunctionParameters), NotCovered> {
        if self.needs_environment {
            self.fact(Fact::Environment);
            let environment = self.facts.environment();
            self.out
                .fact(KeyFact::Environment, |out| out.raw(&environment.0));
        }
        if self.needs_everything {
            self.fact(Fact::Everything);
            let everything = self.facts.everything();
            self.out
                .fact(KeyFact::Everything, |out| out.raw(&everything.0));
        }
        let base = u32::try_from(self.base()).map_err(|_| NotCovered)?;
        Ok((
            FunctionStencil {
                kind: StencilKind::Function,
                body: self.stencil,
                facts: self.out.into_bytes(),
            },
            FunctionParameters {
                base,
                callees: self.callees,
                shifts: self.shifts,
            },
        ))
    }
}

fn write_hints(
    out: &mut Writer,
    hints: Option<SectionLimited<'_, BranchHint>>,
) -> Result<(), NotCovered> {
    let Some(hints) = hints else {
        out.word(u32::MAX);
        return Ok(());
    };
    out.word(hints.count());
    for hint in hints {
        let BranchHint { func_offset, taken } = hint?;
        out.word(func_offset);
        out.word(u32::from(taken));
    }
    Ok(())
}
