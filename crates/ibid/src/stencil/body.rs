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
//! so that neither the index nor the width of its encoding is part of it. A constant or
//! offset that may be an address ([`super::addresses`]) has its encoding replaced by zeros,
//! four bytes for a constant and three for an offset, which is how wide most are; the facts
//! say where they are, which of them are equal, and which slot each stands for, or its number
//! if it is no slot. The string can be read back in one way
//! only: an opcode of the first kind is always followed by a slot, no block type starts with
//! `0x3f` but a type index, which is always replaced, and the facts name the zeros. The facts
//! of an entity are appended when it is first named, in that
//! order, so that the stencil says which operators name the same entity.
//!
//! All this but which mentions are slots is the body's [`Shape`].

use super::addresses::{self, Asked, Class, Decision, Mention, Slots, Survey};
use super::facts::{ModuleFacts, record};
use super::named::KeyFact;
use super::operators::{Class as OperatorClass, Classifier};
use super::parameters::{FunctionParameters, SourceShift};
use super::places::{Entity, Place};
use super::{FunctionStencil, StencilKind};
use crate::bytes::Writer;
use rustc_hash::{FxHashMap, FxHashSet};
use std::ops::Range;
use wasmparser::{
    BinaryReader, BlockType, BranchHint, Catch, FunctionBody, HeapType, Operator, OperatorsReader,
    OperatorsReaderAllocations, RefType, SectionLimited, ValType,
};

/// The body cannot be split; it is compiled as it is, or refused, by Wasmtime.
///
/// It does not read as operators, or names something that the module does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotCovered;

impl From<wasmparser::BinaryReaderError> for NotCovered {
    fn from(_: wasmparser::BinaryReaderError) -> Self {
        NotCovered
    }
}

/// Marks in the facts what the bytes behind them are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum Fact {
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
    AccessedMemory = 15,
    AddressSlots = 16,
    Places = 17,
    PlaceSlots = 18,
    Mentions = 19,
}

impl Fact {
    /// One more than the largest of them.
    const COUNT: usize = 20;
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
    walk: addresses::Buffers,
    edits: Vec<Edit>,
    body: Vec<u8>,
    facts: Vec<u8>,
}

/// A part of a body that the stencil's body has something else for.
#[derive(Clone, Copy)]
struct Edit {
    start: u32,
    end: u32,
    token: Token,
}

#[derive(Clone, Copy)]
enum Token {
    Operator([u8; 4]),
    /// The next of the places that may be addresses, and what stands there.
    Mention(&'static [u8]),
}

/// What the opcodes of vector operators begin with.
const SIMD: u8 = 0xfd;

/// What those of atomic operators begin with.
const ATOMIC: u8 = 0xfe;

const CALL: u8 = 0x10;
const RETURN_CALL: u8 = 0x12;

/// In the flags of an access: the index of a memory follows.
const HAS_MEMORY_INDEX: u32 = 1 << 6;

/// In bytes: to analyse a shorter body takes no longer than to find a record of it.
const SHORTEST_ON_RECORD: usize = 64;

/// What stands for the encoding of an address.
const CONSTANT: &[u8] = &[0; 4];
const OFFSET: &[u8] = &[0; 3];

/// A body, split.
pub(crate) struct SplitBody {
    pub(crate) stencil: FunctionStencil,
    pub(crate) parameters: FunctionParameters,
    /// Its address slots; their values are among the parameters.
    pub(crate) slots: Slots,
}

/// What a body's split does not depend on which of its mentions are slots for.
pub(crate) struct Shape {
    /// The stencil's body, and its facts so far.
    pub(crate) body: Vec<u8>,
    pub(crate) facts: Vec<u8>,
    mentions: Vec<Mention>,
    survey: Survey,
    /// Places in the instance are parameters, too.
    has_place_slots: bool,
    parameters: FunctionParameters,
}

/// Whether addresses, and places in the instance, may be slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Addresses {
    Slots,
    Literal,
}

impl Scratch {
    /// Takes back the memory of a stencil's body and facts that are not needed any more.
    pub(crate) fn reuse(&mut self, body: Vec<u8>, facts: Vec<u8>) {
        self.body = body;
        self.facts = facts;
    }
}

/// Splits the body of the function with index `index`, but for which mentions are slots.
pub(crate) fn shape(
    facts: &ModuleFacts,
    index: u32,
    body: &FunctionBody<'_>,
    hints: Option<SectionLimited<'_, BranchHint>>,
    addresses: Addresses,
    scratch: &mut Scratch,
) -> Result<Shape, NotCovered> {
    let mut split = Split::new(facts, body, scratch);
    // Hints name operators by their place, which sentinels would move.
    split.literal = addresses == Addresses::Literal || hints.is_some();
    split.signature(index)?;
    split.locals()?;
    split.operators()?;
    split.write_body();
    split.branch_hints(hints)?;
    split.finish()
}

impl Shape {
    /// Whether it pays to keep on record how slots were found.
    pub(crate) fn is_worth_a_record(&self) -> bool {
        !self.mentions.is_empty() && self.body.len() >= SHORTEST_ON_RECORD
    }

    /// Decides which mentions are slots: those of the body that this is the shape of, of the
    /// function `index`. `record` is what was found out of another one with this shape.
    pub(crate) fn decide(
        &self,
        facts: &ModuleFacts,
        index: u32,
        body: &FunctionBody<'_>,
        record: Option<&[u8]>,
        scratch: &mut Scratch,
    ) -> Decision {
        if self.mentions.is_empty() {
            return Decision {
                slots: Slots::default(),
                record: None,
            };
        }
        let asked = Asked {
            facts,
            index,
            body,
            mentions: &self.mentions,
            survey: &self.survey,
        };
        let Scratch { control, walk, .. } = scratch;
        addresses::decide(asked, record, (control, walk))
    }

    /// The facts that say which mentions are slots, and which places; and the parameters.
    pub(crate) fn decided(&mut self, slots: &mut Slots) -> (Vec<u8>, FunctionParameters) {
        let mut out = Writer::default();
        if !self.mentions.is_empty() {
            out.raw(&[Fact::AddressSlots as u8]);
            out.fact(KeyFact::AddressSlots, |out| {
                let classes = slots.classes.iter().map(|class| *class as u8);
                out.u32(classes.len());
                out.raw(&classes.collect::<Vec<u8>>());
                let none = std::iter::repeat(None);
                let of_mentions = slots.of_mentions.iter().copied().chain(none);
                for (mention, slot) in self.mentions.iter().zip(of_mentions) {
                    let (slot, number) = match slot {
                        Some((slot, distance)) => (slot, distance.cast_unsigned()),
                        None => (u32::MAX, mention.value),
                    };
                    out.word(slot);
                    out.word(number);
                }
            });
        }
        let mut parameters = std::mem::take(&mut self.parameters);
        if self.has_place_slots {
            out.raw(&[Fact::PlaceSlots as u8]);
            out.u32(parameters.places.len());
        } else if !parameters.places.is_empty() {
            out.raw(&[Fact::Places as u8]);
            out.fact(KeyFact::Places, |out| {
                let places = parameters.places.iter();
                places.for_each(|offset| out.word(*offset));
            });
            parameters.places.clear();
        }
        parameters.addresses = std::mem::take(&mut slots.values);
        (out.into_bytes(), parameters)
    }

    /// The split, with these slots.
    pub(crate) fn with(mut self, mut slots: Slots) -> SplitBody {
        let (decided, parameters) = self.decided(&mut slots);
        SplitBody {
            stencil: FunctionStencil::new(StencilKind::Function, self.body, self.facts, &decided),
            parameters,
            slots,
        }
    }
}

/// Where a body holds parameters of the function.
pub(crate) struct Substitutions {
    /// In order. Without place slots, functions are not among them.
    pub(crate) substitutes: Vec<(Range<usize>, Substitute)>,
    /// By place slot.
    pub(crate) places: Vec<Place>,
    /// How many targets each `br_table` has, besides the default one.
    pub(crate) tables: Vec<u32>,
    pub(crate) tail_calls: bool,
}

/// What is written at a place in a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Substitute {
    /// An address: its slot, and its distance from the slot's address.
    Address(u32, i32),
    /// The index of a function.
    Function(u32),
}

/// Where the parameters of a body are written that was split with these `slots`.
pub(crate) fn substitutions(
    facts: &ModuleFacts,
    body: &FunctionBody<'_>,
    slots: &Slots,
    scratch: &mut Scratch,
) -> Result<Substitutions, NotCovered> {
    let mut split = Split::new(facts, body, scratch);
    split.locals()?;
    split.operators()?;
    let places = match split.has_place_slots() {
        true => split.instance_places,
        false => Vec::new(),
    };
    let mut of_mentions = slots.of_mentions.iter();
    let substitute = |edit: &Edit| {
        let (start, end) = (edit.start as usize, edit.end as usize);
        match edit.token {
            Token::Mention(_) => {
                let (slot, distance) = (*of_mentions.next()?)?;
                Some((start..end, Substitute::Address(slot, distance)))
            }
            Token::Operator([CALL | RETURN_CALL, a, b, c]) if !places.is_empty() => {
                let slot = u32::from_le_bytes([a, b, c, 0]) as usize;
                // Behind an opcode of one byte.
                Some((start + 1..end, Substitute::Function(split.callees[slot])))
            }
            Token::Operator(_) => None,
        }
    };
    Ok(Substitutions {
        substitutes: split.scratch.edits.iter().filter_map(substitute).collect(),
        places,
        tables: split.survey.tables,
        tail_calls: split.survey.tail_calls,
    })
}

struct Split<'f, 'b> {
    facts: &'f ModuleFacts,
    body: &'f FunctionBody<'b>,
    scratch: &'f mut Scratch,
    bytes: &'b [u8],
    stencil: Vec<u8>,
    survey: Survey,
    mentions: Vec<Mention>,
    /// Where the stencil's body has zeros for each mention.
    zeros: Vec<u32>,
    /// Nothing is a slot but callees and types of blocks.
    literal: bool,
    out: Writer,
    callees: Vec<u32>,
    /// Where in the instance the entities lie that the body names.
    instance_places: Vec<Place>,
    /// The body names something whose place in the instance cannot be a slot.
    pinned: bool,
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
        scratch.edits.clear();
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
            stencil,
            survey: Survey::default(),
            mentions: Vec::new(),
            zeros: Vec::new(),
            literal: false,
            out,
            callees: Vec::new(),
            instance_places: Vec::new(),
            pinned: false,
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
                OperatorClass::Plain => {}
                OperatorClass::Memory => {
                    let (memory, offset) = (classifier.memory, classifier.offset);
                    self.accessed_memory(memory, offset)?;
                    if self.is_candidate(offset) {
                        let class = if self.facts.addresses.is_unchecked(memory, offset) {
                            Class::Near
                        } else {
                            Class::Far
                        };
                        self.offset_mention(start, class, offset as u32)?;
                    }
                }
                OperatorClass::Constant => {
                    let constant = classifier.constant;
                    if self.is_candidate(constant) {
                        let end = operators.original_position() - base;
                        // Behind an opcode of one byte.
                        self.mention(start + 1, end, Class::Constant, constant as u32);
                    }
                }
                OperatorClass::Resolved => {
                    let end = operators.original_position() - base;
                    let operator = classifier.named.take().ok_or(NotCovered)?;
                    self.resolve(&operator, start, end)?;
                }
                OperatorClass::Environment => self.needs_environment = true,
                OperatorClass::Everything => self.needs_everything = true,
            }
        }
        operators.finish()?;
        self.survey = classifier.survey;
        self.scratch.control = operators.into_allocations();
        Ok(())
    }

    fn is_candidate(&self, number: u64) -> bool {
        !self.literal && self.facts.addresses.is_candidate(number)
    }

    fn mention(&mut self, start: usize, end: usize, class: Class, value: u32) {
        let (start, end) = (start as u32, end as u32);
        self.mentions.push(Mention {
            start,
            end,
            class,
            value,
        });
        self.scratch.edits.push(Edit {
            start,
            end,
            token: Token::Mention(match class {
                Class::Constant => CONSTANT,
                Class::Near | Class::Far => OFFSET,
            }),
        });
    }

    /// The offset of the access that starts at `start`: behind the opcode, the flags, and the
    /// memory's index if the flags say that there is one.
    fn offset_mention(
        &mut self,
        start: usize,
        class: Class,
        offset: u32,
    ) -> Result<(), NotCovered> {
        let mut rest = BinaryReader::new(&self.bytes[start..], start);
        if matches!(rest.read_u8()?, SIMD | ATOMIC) {
            rest.read_var_u32()?;
        }
        if rest.read_var_u32()? & HAS_MEMORY_INDEX != 0 {
            rest.read_var_u32()?;
        }
        let first = rest.original_position();
        if rest.read_var_u64()? != u64::from(offset) {
            return Err(NotCovered);
        }
        self.mention(first, rest.original_position(), class, offset);
        Ok(())
    }

    /// Writes the stencil's body: the body with its edits.
    fn write_body(&mut self) {
        let edits = std::mem::take(&mut self.scratch.edits);
        let mut copied = 0;
        for edit in &edits {
            let (start, end) = (edit.start as usize, edit.end as usize);
            self.stencil.extend_from_slice(&self.bytes[copied..start]);
            let token = match &edit.token {
                Token::Operator(token) => &token[..],
                Token::Mention(token) => {
                    self.zeros.push(self.stencil.len() as u32);
                    token
                }
            };
            self.stencil.extend_from_slice(token);
            copied = end;
            let delta = end as i64 - self.stencil.len() as i64;
            let delta = i32::try_from(delta).expect("a body is smaller than 2 GiB");
            if delta != self.shifts.last().map_or(0, |shift| shift.delta) {
                let position = self.stencil.len() as u32;
                self.shifts.push(SourceShift { position, delta });
            }
        }
        self.stencil.extend_from_slice(&self.bytes[copied..]);
        self.scratch.edits = edits;
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
            if self.facts.may_be_another(index) {
                let target = self.facts.target(index);
                let same = |other: &u32| target.is_some() && self.facts.target(*other) == target;
                let first = self.callees.iter().position(same).unwrap_or_default();
                self.out.fact(KeyFact::CalleeTarget, |out| out.u32(first));
            }
            if self.facts.is_imported(index) {
                self.place(Entity::Function(index));
            }
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
        self.scratch.edits.push(Edit {
            start: start as u32,
            end: end as u32,
            token: Token::Operator(token),
        });
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

    /// Code reaches `entity` in the instance.
    fn place(&mut self, entity: Entity) {
        let place = self.facts.place(entity);
        self.pinned |= !self.facts.may_move(place);
        self.instance_places.push(place);
    }

    /// Whether the places are parameters. What else lies behind them in the instance must not
    /// be named: those places are in the facts.
    fn has_place_slots(&self) -> bool {
        let pinned = self.literal || self.pinned || self.needs_environment || self.needs_everything;
        !pinned && !self.instance_places.is_empty()
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
        // Its index is in the code.
        self.pinned = true;
        if self.first(Fact::FunctionReference, index) {
            self.facts
                .function_reference(&mut self.out, index)
                .ok_or(NotCovered)?;
        }
        Ok(())
    }

    fn accessed_memory(&mut self, index: u32, offset: u64) -> Result<(), NotCovered> {
        if !self.facts.addresses.is_unchecked(index, offset) {
            return self.memory(index);
        }
        if self.first(Fact::AccessedMemory, index) {
            let facts = self.facts.accessed_memory(index).ok_or(NotCovered)?;
            record(&mut self.out, facts);
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
            self.place(Entity::Table(index));
        }
        Ok(())
    }

    fn global(&mut self, index: u32) -> Result<(), NotCovered> {
        if self.first(Fact::Global, index) {
            record(&mut self.out, self.facts.global(index).ok_or(NotCovered)?);
            self.place(Entity::Global(index));
        }
        Ok(())
    }

    fn tag(&mut self, index: u32) -> Result<(), NotCovered> {
        self.pinned = true;
        if self.first(Fact::Tag, index) {
            record(&mut self.out, self.facts.tag(index).ok_or(NotCovered)?);
        }
        Ok(())
    }

    fn data_segment(&mut self, index: u32) -> Result<(), NotCovered> {
        self.pinned = true;
        if self.first(Fact::Data, index) {
            self.facts
                .data_segment(&mut self.out, index)
                .ok_or(NotCovered)?;
        }
        Ok(())
    }

    fn element_segment(&mut self, index: u32) -> Result<(), NotCovered> {
        self.pinned = true;
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

    /// Says where the mentions are, of which class each is, and which of them are equal.
    fn write_mentions(&mut self) {
        if self.mentions.is_empty() {
            return;
        }
        self.fact(Fact::Mentions);
        let mut numbers: FxHashMap<u32, u32> = FxHashMap::default();
        let (mentions, zeros) = (&self.mentions, &self.zeros);
        self.out.fact(KeyFact::Mentions, |out| {
            out.u32(mentions.len());
            for (mention, place) in mentions.iter().zip(zeros) {
                let next = numbers.len() as u32;
                let number = *numbers.entry(mention.value).or_insert(next);
                out.word(*place);
                out.word(number << 2 | mention.class as u32);
            }
        });
    }

    fn finish(mut self) -> Result<Shape, NotCovered> {
        self.write_mentions();
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
        let places = self.instance_places.iter();
        Ok(Shape {
            has_place_slots: self.has_place_slots(),
            parameters: FunctionParameters {
                base,
                places: places.map(|place| place.offset).collect(),
                callees: self.callees,
                addresses: Vec::new(),
                shifts: self.shifts,
            },
            body: self.stencil,
            facts: self.out.into_bytes(),
            mentions: self.mentions,
            survey: self.survey,
        })
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
