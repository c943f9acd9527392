//! The use analysis: which constants of a body reach nothing but uses for which the shape
//! of the code cannot depend on their value.
//!
//! One structured walk over the body, flow-sensitive, with the rules of `docs/keys.md`
//! ("Address slots"), where each has its reason. What the walk does not know makes a
//! constant literal.

use super::AddressFacts;
use super::arithmetic::{Arithmetic, Binary};
use super::fates::Fates;
use super::fold::fold;
use super::numbers::{Few, Sets, Shown};
use super::record::Span;
use super::survey::{Loop, global_bit};
use super::value::{ANY, Value, magnitude};
use crate::stencil::facts::{GlobalRead, ModuleFacts};
use rustc_hash::FxHashSet;
use std::ops::Range;
use std::rc::Rc;
use wasmparser::{BlockType, BrTable, MemArg, Operator, VisitOperator, VisitSimdOperator};

/// The walk gives up after this many rounds.
pub(super) const ROUNDS: usize = 4;

/// ... or when it would copy more values than this where control flow meets.
const LARGEST_STATE: usize = 1 << 22;

/// Copies of at most so many bytes are not calls (`raw_bulk_memory_operation`).
const INLINE_COPY: i64 = 128;

/// The walk cannot go on: every constant is literal.
pub(super) struct GaveUp;

/// Loops and their locals for which the first round assumed too little.
pub(super) type Unchanged = FxHashSet<(usize, u32)>;

/// Working memory of walks, kept from one to the next.
#[derive(Default)]
pub(crate) struct Buffers {
    stack: Vec<Value>,
    locals: Vec<Value>,
    spare: Vec<Arrival>,
    sets: Sets,
}

/// The addresses of candidates. What a walk finds out depends on what it asks of them alone.
pub(super) struct Values<'w> {
    numbers: &'w [u32],
    /// The largest constant that may be folded into each.
    windows: &'w [u32],
    /// Where each may lie, as far as was asked.
    holds: &'w mut [Span],
}

impl<'w> Values<'w> {
    /// `windows` and `holds` have a place for each of `numbers`.
    pub(super) fn new(numbers: &'w [u32], windows: &'w [u32], holds: &'w mut [Span]) -> Values<'w> {
        Values {
            numbers,
            windows,
            holds,
        }
    }

    fn read(&mut self, slot: u32) -> u32 {
        let number = self.numbers[slot as usize];
        self.holds[slot as usize] = number..=number;
        number
    }

    /// Whether the address lies in `span`, and not where it lies there. One that does not is
    /// read.
    fn lies_in(&mut self, slot: u32, span: Span) -> bool {
        if !span.contains(&self.numbers[slot as usize]) {
            self.read(slot);
            return false;
        }
        let holds = &mut self.holds[slot as usize];
        *holds = *holds.start().max(span.start())..=*holds.end().min(span.end());
        true
    }
}

/// What a walk has found out.
pub(super) struct Walked {
    pub(super) fates: Fates,
    /// It has to be repeated.
    pub(super) again: bool,
    pub(super) buffers: Buffers,
}

/// The walk over one body.
pub(super) struct Walk<'w> {
    facts: &'w ModuleFacts,
    addresses: &'w AddressFacts,
    /// By mention.
    slots: &'w [u32],
    /// By slot: its address.
    values: Values<'w>,
    loops: &'w [Loop],
    unchanged: &'w mut Unchanged,
    pub(super) fates: Fates,
    next_mention: usize,
    next_loop: usize,
    frames: Vec<Frame>,
    /// Of the innermost frame: code is reachable; values on the stack below its own.
    live: bool,
    height: usize,
    pub(super) stack: Vec<Value>,
    pub(super) sets: Sets,
    state: State,
    /// Those that are not needed any more, for their memory.
    spare: Vec<Arrival>,
    copied: usize,
    rounds: u32,
    failed: bool,
    again: bool,
}

/// What is known at a point of the body, besides the stack.
#[derive(Clone, Default)]
struct State {
    locals: Vec<Value>,
    /// The last store of the first memory that a load may see.
    stored: Stored,
    /// Which globals were set since the last call: [`global_bit`] of each.
    globals_set: u64,
    /// What they were set to, or memory holds.
    global: Value,
}

/// What is known where control arrives: the state, and values on the stack.
#[derive(Clone, Default)]
struct Arrival {
    state: State,
    values: Vec<Value>,
}

/// The last store to the first memory since the last call.
#[derive(Clone, Copy, Default, PartialEq)]
enum Stored {
    /// Nothing that a load can be given.
    #[default]
    Nothing,
    Value {
        wide: bool,
        offset: Offset,
        /// The address may be a constant.
        fixed: bool,
        value: Value,
    },
    /// A copy: a load may be given this, or what the copy read from memory.
    Copied(Value),
}

/// The offset of an access. A candidate is never equal to what is none.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Offset {
    Known(u64),
    Candidate(u32),
}

/// The immediates of an access.
#[derive(Clone, Copy)]
struct Access {
    memory: u32,
    offset: Offset,
    /// No bounds are checked, whatever the index is. Of candidates, their class says so.
    unchecked: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum FrameKind {
    Block,
    Loop(usize),
    If,
    Else,
}

struct Frame {
    kind: FrameKind,
    /// Values on the stack below the block's parameters.
    height: usize,
    parameters: usize,
    results: usize,
    /// Code was reachable where the block began.
    live: bool,
    /// What reaches the block's end.
    end: Option<Rc<Arrival>>,
    /// What the `else` branch begins with.
    otherwise: Option<Rc<Arrival>>,
    /// Locals that a loop is assumed to change.
    assumed: Vec<Assumed>,
}

/// A local that a loop is assumed to change.
struct Assumed {
    local: u32,
    /// What it holds before the loop.
    before: Value,
    /// What it holds when a round begins.
    round: Value,
}

impl<'w> Walk<'w> {
    pub(super) fn new(
        facts: &'w ModuleFacts,
        slots: &'w [u32],
        values: Values<'w>,
        range: Range<i64>,
        loops: &'w [Loop],
        unchanged: &'w mut Unchanged,
        buffers: Buffers,
    ) -> Walk<'w> {
        let candidates = values.numbers.len();
        let Buffers {
            stack,
            locals,
            spare,
            sets,
        } = buffers;
        Walk {
            facts,
            addresses: &facts.addresses,
            slots,
            values,
            loops,
            unchanged,
            fates: Fates::new(candidates, range),
            next_mention: 0,
            next_loop: 0,
            frames: Vec::new(),
            live: true,
            height: 0,
            stack,
            sets,
            state: State {
                locals,
                ..State::default()
            },
            spare,
            copied: 0,
            rounds: 0,
            failed: false,
            again: false,
        }
    }

    /// Walks over a body of the function `index`, whose operators `visit` brings up one by
    /// one.
    pub(super) fn run(
        mut self,
        index: u32,
        locals: impl Iterator<Item = u32>,
        visit: impl FnOnce(&mut Self) -> bool,
    ) -> Result<Walked, GaveUp> {
        let (parameters, results) = self.facts.function_arity(index).ok_or(GaveUp)?;
        self.state.locals.resize(parameters, Value::Plain);
        for count in locals {
            let all = self.state.locals.len() + count as usize;
            if all > 50_000 {
                return Err(GaveUp);
            }
            self.state.locals.resize(all, Value::Const(0));
        }
        self.frames
            .push(Frame::new(FrameKind::Block, 0, 0, results, true));
        self.change_frame();
        let read = visit(&mut self);
        if !read || self.failed {
            return Err(GaveUp);
        }
        let Walk {
            fates,
            again,
            mut stack,
            mut state,
            spare,
            mut sets,
            ..
        } = self;
        stack.clear();
        state.locals.clear();
        sets.clear();
        Ok(Walked {
            fates,
            again,
            buffers: Buffers {
                stack,
                locals: state.locals,
                spare,
                sets,
            },
        })
    }

    pub(super) fn live(&self) -> bool {
        self.live
    }

    /// The innermost frame is another one.
    fn change_frame(&mut self) {
        let last = self.frames.last();
        self.live = last.is_some_and(|frame| frame.live);
        self.height = last.map_or(0, |frame| frame.height);
    }

    fn fail(&mut self) {
        self.failed = true;
    }

    pub(super) fn push(&mut self, value: Value) {
        self.stack.push(value);
    }

    pub(super) fn pop(&mut self) -> Value {
        self.take().used()
    }

    fn take(&mut self) -> Value {
        if self.stack.len() <= self.height {
            self.fail();
            return Value::Derived(ANY);
        }
        self.stack.pop().unwrap_or(Value::Derived(ANY))
    }

    /// A use that code may depend on.
    pub(super) fn literal(&mut self, value: Value) {
        if let Some(slot) = value.slot() {
            self.fates.literal(slot);
        }
    }

    /// Takes the next mention's slot.
    fn mention(&mut self) -> u32 {
        let Some(slot) = self.slots.get(self.next_mention) else {
            self.fail();
            return 0;
        };
        self.next_mention += 1;
        *slot
    }

    /// A constant; `bits` is what it is as an unsigned number.
    fn constant(&mut self, value: i64, bits: u64) {
        let candidate = self.addresses.is_candidate(bits);
        let slot = candidate.then(|| self.mention());
        if !self.live() {
            if let Some(slot) = slot {
                self.fates.literal(slot);
            }
            return;
        }
        let value = match slot {
            Some(slot) => self.address(slot, 0),
            None => {
                self.fates.number(value);
                Value::Direct(value)
            }
        };
        self.push(value);
    }

    pub(super) fn address(&mut self, slot: u32, addend: i64) -> Value {
        match i32::try_from(addend) {
            Ok(addend) if addend.unsigned_abs() <= self.window(slot) => {
                self.fates.add(slot, addend);
                Value::Address { slot, addend }
            }
            _ => {
                self.fates.literal(slot);
                let address = self.value(slot);
                self.number(address.wrapping_add(addend))
            }
        }
    }

    /// The slot's address, on which what the walk finds out depends from now on.
    pub(super) fn value(&mut self, slot: u32) -> i64 {
        self.values.read(slot).into()
    }

    /// The same of an offset.
    fn offset(&mut self, offset: Offset) -> u64 {
        match offset {
            Offset::Known(offset) => offset,
            Offset::Candidate(slot) => self.values.read(slot).into(),
        }
    }

    /// Takes the mention of an access, if its offset is one.
    fn immediates(&mut self, memarg: &MemArg) -> Access {
        let candidate = self.addresses.is_candidate(memarg.offset);
        Access {
            memory: memarg.memory,
            offset: if candidate {
                Offset::Candidate(self.mention())
            } else {
                Offset::Known(memarg.offset)
            },
            unchecked: self.addresses.is_unchecked(memarg.memory, memarg.offset),
        }
    }

    /// The largest constant that may be folded into any slot of the same fate.
    fn window(&self, slot: u32) -> u32 {
        self.values.windows.get(slot as usize).copied().unwrap_or(0)
    }

    /// A slot's address and something else, in which a constant of up to `bound` may be, all
    /// together `exact` if that is known.
    pub(super) fn sum(&mut self, slot: u32, bound: u32, exact: Option<i64>) -> Value {
        if bound <= self.window(slot) {
            self.fates.reach(slot, bound);
            let exact = exact.and_then(|exact| i16::try_from(exact).ok());
            return Value::Sum { slot, bound, exact };
        }
        self.fates.literal(slot);
        let address = self.values.read(slot);
        if let Some(exact) = exact {
            return self.made([exact.wrapping_add(address.into())].into_iter());
        }
        let bound = address.saturating_add(bound);
        self.fates.made(bound);
        Value::Derived(bound)
    }

    /// What a branch or a `select` looks at: a comparison, or whether a number is zero.
    fn condition(&mut self) -> Value {
        let condition = self.pop();
        if condition.linear().is_some() {
            self.literal(condition);
        }
        condition
    }

    fn select(&mut self) {
        let condition = self.condition();
        let (b, a) = (self.pop(), self.pop());
        let is_condition = |value| matches!(value, Value::Condition(_));
        if condition.linear().is_some() || [condition, a, b].into_iter().any(is_condition) {
            self.literal(a);
            self.literal(b);
        }
        let bound = self.bound(a).max(self.bound(b));
        let value = match (a.linear(), b.linear()) {
            (Some(a), Some(b)) => {
                self.fates.unite(a, b);
                if self.window(a) != self.window(b) {
                    self.fates.literal(a);
                }
                self.sum(a, bound, None)
            }
            (Some(slot), None) | (None, Some(slot)) => self.sum(slot, bound, None),
            (None, None) => self.either(a, b),
        };
        self.push(value);
    }

    /// One of two values that are no slots'.
    fn either(&mut self, a: Value, b: Value) -> Value {
        a.either(b, &mut self.sets)
    }

    /// The value, or what memory holds in its place.
    pub(super) fn forwarded(&mut self, value: Value) -> Value {
        match value.constant() {
            Some(constant) => Value::showing(Few::of([constant]), &mut self.sets),
            None => value,
        }
    }

    /// The bound on constants in a value that addition may bring together with others.
    pub(super) fn bound(&self, value: Value) -> u32 {
        value.bound(&self.sets)
    }

    /// The address of an access. Returns whether it may be a constant.
    fn access(&mut self, address: Value, access: Access, size: Option<i32>) -> bool {
        let Access {
            memory, unchecked, ..
        } = access;
        let offset_slot = match access.offset {
            Offset::Known(_) => None,
            Offset::Candidate(slot) => Some(slot),
        };
        if !self.live() {
            if let Some(slot) = offset_slot {
                self.fates.literal(slot);
            }
            return true;
        }
        let fits = match address {
            Value::Address { slot, .. } | Value::Sum { slot, .. } => {
                let window = u64::from(self.window(slot));
                let bound = self.bound(address);
                let offset = self.offset(access.offset);
                let near = offset.saturating_add(bound.into()) <= window;
                if !unchecked || !near {
                    self.literal(address);
                } else if let Value::Address { addend, .. } = address {
                    self.fates.fold(slot, addend + offset as i32);
                } else {
                    self.fates.reach(slot, bound + offset as u32);
                }
                false
            }
            Value::Condition(_) => {
                self.literal(address);
                false
            }
            Value::Plain
            | Value::Round(_)
            | Value::Over { .. }
            | Value::Set(Sets::ZERO | Sets::FLAG) => {
                let checked = size
                    .zip(offset_slot)
                    .filter(|_| !unchecked && self.is_complement_checked(access));
                if let Some((size, slot)) = checked {
                    self.fates.check(slot, size);
                }
                unchecked || checked.is_some()
            }
            Value::Set(set) => {
                if let Shown::Few(few) = self.sets.get(set) {
                    let offset = self.offset(access.offset).cast_signed();
                    for number in few.numbers() {
                        self.fates.number(number.wrapping_add(offset));
                    }
                }
                false
            }
            Value::Derived(_) => false,
            // As an index it is not negative.
            Value::Const(value) | Value::Direct(value) => {
                if let Offset::Known(offset) = access.offset {
                    self.fates.number(value.wrapping_add(offset.cast_signed()));
                }
                let near = offset_slot.filter(|slot| magnitude(value) <= self.window(*slot));
                if let Some(slot) = near {
                    self.fates.fold(slot, value as i32);
                }
                let direct = matches!(address, Value::Direct(_));
                value >= 0
                    && near.is_some()
                    && (unchecked || direct && self.is_within(access, value))
            }
        };
        if let Some(slot) = offset_slot
            && !fits
        {
            self.fates.literal(slot);
        }
        let is_slot = fits && offset_slot.is_some();
        if !unchecked && !is_slot {
            self.number_of_check(access, size);
        }
        // An access that needs no check lies within the largest memory.
        let beyond = if unchecked || self.is_settled(access, 0) {
            Some(false)
        } else {
            let offset = self.offset(access.offset);
            self.addresses.is_beyond(memory, offset)
        };
        match beyond {
            Some(false) => {}
            Some(true) => self.stop(),
            None => self.fail(),
        }
        !address.is_never_constant()
    }

    /// Whether the offset is a candidate of which all that follows is known already: it is checked
    /// how all large offsets are, and every memory has what lies there at indices up to this
    /// constant one.
    fn is_settled(&mut self, access: Access, index: i64) -> bool {
        let Offset::Candidate(slot) = access.offset else {
            return false;
        };
        let settled = self.addresses.settled(access.memory, index);
        settled.is_some_and(|settled| self.values.lies_in(slot, settled))
    }

    fn is_complement_checked(&mut self, access: Access) -> bool {
        if self.is_settled(access, 0) {
            return self.addresses.has_complements(access.memory);
        }
        let offset = self.offset(access.offset);
        self.addresses.is_complement_checked(access.memory, offset)
    }

    fn is_within(&mut self, access: Access, index: i64) -> bool {
        if self.is_settled(access, index) {
            return true;
        }
        let offset = self.offset(access.offset);
        self.addresses.is_within(access.memory, offset, index)
    }

    /// What a check of bounds compares with, or adds.
    fn number_of_check(&mut self, access: Access, size: Option<i32>) {
        let sizes: &[i64] = match &size.map(i64::from) {
            Some(size) => &[*size],
            None => &[1, 2, 4, 8, 16],
        };
        let offset = self.offset(access.offset).cast_signed();
        for size in sizes {
            let end = offset.wrapping_add(*size);
            if self.is_complement_checked(access) {
                self.fates.complement(end);
            } else {
                self.fates.number(end);
            }
        }
    }

    fn load(&mut self, wide: Option<bool>, size: i32, memarg: &MemArg) {
        let address = self.pop_if_live();
        let access = self.immediates(memarg);
        let fixed = self.access(address, access, Some(size));
        if !self.live() {
            return;
        }
        let value = match (self.state.stored, wide) {
            _ if access.memory != 0 => Value::Plain,
            (Stored::Nothing, _) | (_, None) => Value::Plain,
            (Stored::Copied(value), Some(_)) => value,
            (
                Stored::Value {
                    wide: stored_wide,
                    offset,
                    fixed: stored_fixed,
                    value,
                },
                Some(wide),
            ) => {
                let same = fixed || stored_fixed || offset == access.offset;
                if wide == stored_wide && (same || !self.is_narrow_memory()) {
                    self.forwarded(value)
                } else {
                    Value::Plain
                }
            }
        };
        self.push(value);
    }

    /// Whether the first memory's addresses are 32 bits wide, so that an offset is never
    /// folded into an address that is not a constant.
    fn is_narrow_memory(&self) -> bool {
        self.addresses.is_first_unchecked()
    }

    fn store(&mut self, wide: Option<bool>, size: i32, memarg: &MemArg) {
        let value = self.pop_if_live();
        let address = self.pop_if_live();
        let access = self.immediates(memarg);
        let fixed = self.access(address, access, Some(size));
        if !self.live() {
            return;
        }
        // A part of an address is stored from a register; with a sum, a load, an addition and
        // a store may become one instruction, which has room for small numbers only.
        let whole = wide.is_some() || matches!(value, Value::Address { .. });
        if !whole || access.memory != 0 {
            self.literal(value);
        }
        if access.memory == 0 {
            self.state.stored = match wide {
                Some(wide) => Stored::Value {
                    wide,
                    offset: access.offset,
                    fixed,
                    value,
                },
                None => Stored::Nothing,
            };
        }
    }

    fn pop_if_live(&mut self) -> Value {
        if self.live() {
            self.pop()
        } else {
            Value::Plain
        }
    }

    fn call(&mut self, arity: Option<(usize, usize)>) {
        let Some((parameters, results)) = arity else {
            return self.fail();
        };
        for _ in 0..parameters {
            self.pop();
        }
        self.state.stored = Stored::Nothing;
        self.state.globals_set = 0;
        for _ in 0..results {
            self.push(Value::Plain);
        }
    }

    fn block_arity(&self, ty: BlockType) -> Option<(usize, usize)> {
        match ty {
            BlockType::Empty => Some((0, 0)),
            BlockType::Type(_) => Some((0, 1)),
            BlockType::FuncType(index) => self.facts.type_arity(index),
        }
    }

    fn enter(&mut self, kind: FrameKind, ty: BlockType) {
        let live = self.live();
        let Some((parameters, results)) = self.block_arity(ty) else {
            return self.fail();
        };
        if live && kind == FrameKind::If {
            self.condition();
        }
        let taken = if live { parameters } else { 0 };
        let Some(height) = self.stack.len().checked_sub(taken) else {
            return self.fail();
        };
        if live && height < self.height {
            return self.fail();
        }
        let mut frame = Frame::new(kind, height, parameters, results, live);
        if live {
            let parameters = &mut self.stack[height..];
            parameters
                .iter_mut()
                .for_each(|value| *value = value.kept());
            match kind {
                FrameKind::If => {
                    frame.otherwise = Some(self.arrival(height));
                }
                FrameKind::Loop(number) => self.enter_loop(&mut frame, number),
                FrameKind::Block | FrameKind::Else => {}
            }
        }
        self.frames.push(frame);
        self.change_frame();
    }

    fn enter_loop(&mut self, frame: &mut Frame, number: usize) {
        let Some(this) = self.loops.get(number) else {
            return self.fail();
        };
        for index in frame.height..self.stack.len() {
            self.literal(self.stack[index]);
            self.stack[index] = Value::Derived(ANY);
        }
        if self.state.globals_set == 0 {
            self.state.global = Value::Plain;
        }
        self.state.globals_set |= this.globals_set;
        for local in &this.assigned {
            let Some(value) = self.state.locals.get(*local as usize).copied() else {
                return self.fail();
            };
            // Where the loop brings another value around, there is a parameter of a block.
            // Where it does not, the local keeps its value.
            let changed = !self.unchanged.contains(&(number, *local));
            self.state.locals[*local as usize] = match value {
                Value::Plain
                | Value::Round(_)
                | Value::Over { .. }
                | Value::Set(_)
                | Value::Derived(_) => value,
                Value::Const(_) | Value::Direct(_) if !changed => self.forwarded(value),
                _ if !changed => value,
                _ => {
                    self.rounds += 1;
                    let round = Value::Round(self.rounds);
                    frame.assumed.push(Assumed {
                        local: *local,
                        before: value,
                        round,
                    });
                    round
                }
            };
        }
    }

    /// The state, and the values on the stack from `first` on.
    fn arrival(&mut self, first: usize) -> Rc<Arrival> {
        self.count_copy();
        let mut arrival = self.spare.pop().unwrap_or_default();
        let Arrival { state, values } = &mut arrival;
        let mut locals = std::mem::take(&mut state.locals);
        locals.clone_from(&self.state.locals);
        *state = State {
            locals,
            ..self.state
        };
        values.clear();
        values.extend_from_slice(&self.stack[first..]);
        Rc::new(arrival)
    }

    /// Keeps the memory of what is not needed any more.
    fn spare(&mut self, arrival: Rc<Arrival>) {
        self.spare.extend(Rc::try_unwrap(arrival));
    }

    /// Gives up if states are copied too often.
    fn count_copy(&mut self) {
        self.copied += self.state.locals.len();
        if self.copied > LARGEST_STATE {
            self.fail();
        }
    }

    /// The current state reaches the label `depth`.
    fn branch(&mut self, depth: u32) {
        self.branch_sharing(depth, &mut None);
    }

    /// The same; `shared` is the arrival that is already at other labels, or will be.
    fn branch_sharing(&mut self, depth: u32, shared: &mut Option<Rc<Arrival>>) {
        let Some(index) = self.frames.len().checked_sub(1 + depth as usize) else {
            return self.fail();
        };
        if let FrameKind::Loop(_) = self.frames[index].kind {
            let parameters = self.frames[index].parameters;
            self.top(parameters);
            for position in self.stack.len().saturating_sub(parameters)..self.stack.len() {
                self.literal(self.stack[position]);
            }
            let locals = &self.state.locals;
            self.frames[index].assumed.retain(|assumed| {
                let value = locals[assumed.local as usize];
                value == assumed.round || value.may_be(assumed.before)
            });
            return;
        }
        if index == 0 {
            // To return: nothing is read there.
            return;
        }
        let results = self.frames[index].results;
        if !self.top(results) {
            return;
        }
        let first = self.stack.len() - results;
        if let Some(known) = &mut self.frames[index].end {
            Rc::make_mut(known).join(&self.state, &self.stack[first..], &mut self.sets);
            self.count_copy();
        } else {
            let arrival = match shared.take() {
                Some(arrival) => arrival,
                None => self.arrival(first),
            };
            self.frames[index].end = Some(Rc::clone(&arrival));
            *shared = Some(arrival);
        }
    }

    /// Whether there are `count` values on top of the stack.
    fn top(&mut self, count: usize) -> bool {
        let there = self.stack.len() >= self.height + count;
        if !there {
            self.fail();
        }
        there
    }

    /// What follows is not reached.
    fn stop(&mut self) {
        if let Some(frame) = self.frames.last_mut() {
            frame.live = false;
            self.stack.truncate(frame.height);
        }
        self.live = false;
    }

    fn otherwise(&mut self) {
        if self.live() {
            self.branch(0);
        }
        let Some(frame) = self.frames.last_mut() else {
            return self.fail();
        };
        frame.kind = FrameKind::Else;
        self.stack.truncate(frame.height);
        if let Some(arrival) = frame.otherwise.take() {
            frame.live = true;
            self.live = true;
            self.go_on(arrival);
        }
    }

    /// Control arrives here.
    fn go_on(&mut self, arrival: Rc<Arrival>) {
        let mut arrival = Rc::unwrap_or_clone(arrival);
        std::mem::swap(&mut self.state, &mut arrival.state);
        let values = arrival.values.iter();
        self.stack.extend(values.map(|value| value.kept()));
        self.spare.push(arrival);
    }

    fn end(&mut self) {
        let live = self.live();
        let Some(frame) = self.frames.pop() else {
            return self.fail();
        };
        self.change_frame();
        self.check_assumed(&frame);
        if self.frames.is_empty() {
            return;
        }
        // Without `else` the parameters are the results.
        let otherwise = frame.otherwise.filter(|_| frame.kind == FrameKind::If);
        let mut arrivals = frame.end.into_iter().chain(otherwise);
        if !live {
            self.stack.truncate(frame.height);
            match arrivals.next() {
                Some(arrival) => self.go_on(arrival),
                None => return self.stop(),
            }
        }
        if self.stack.len() != frame.height + frame.results {
            return self.fail();
        }
        let results = &mut self.stack[frame.height..];
        results.iter_mut().for_each(|value| *value = value.kept());
        for arrival in arrivals {
            self.count_copy();
            self.state.join(&arrival.state, &mut self.sets);
            let results = &mut self.stack[frame.height..];
            for (known, value) in results.iter_mut().zip(&arrival.values) {
                *known = known.join(*value, &mut self.sets);
            }
            self.spare(arrival);
        }
    }

    /// Whether the locals of a loop that were taken for parameters of its block are such.
    fn check_assumed(&mut self, frame: &Frame) {
        if let FrameKind::Loop(number) = frame.kind {
            for assumed in &frame.assumed {
                self.again = true;
                self.unchanged.insert((number, assumed.local));
            }
        }
    }

    /// Bulk operations compare the sum of each address and the length with the memory's size,
    /// and call a builtin; copies of few bytes become loads and stores.
    fn bulk(&mut self, addresses: &[Value], length: Value, slots: bool) {
        self.literal(length);
        let constant = length.constant();
        // A length that was taken for an address is a large constant.
        let slots = slots && self.addresses.is_first_unchecked() && length.slot().is_none();
        for address in addresses {
            let window = address.linear().map_or(0, |slot| self.window(slot));
            // What is added is never negative.
            let small = constant.is_none_or(|length| (0..=i64::from(window)).contains(&length))
                && self.bound(length).saturating_add(self.bound(*address)) <= window;
            match *address {
                Value::Address { slot, addend } if slots && small => {
                    if let Some(length) = constant {
                        self.fates.add(slot, addend + length as i32);
                        for chunk in (0..=length.min(INLINE_COPY)).step_by(8) {
                            self.fates.fold(slot, addend + chunk as i32);
                        }
                    }
                }
                Value::Sum { slot, bound, .. } if slots && small => {
                    let copied = if constant.is_some() {
                        INLINE_COPY as u32
                    } else {
                        0
                    };
                    let added = self.bound(length).max(copied);
                    self.fates.reach(slot, bound.saturating_add(added));
                }
                address => self.literal(address),
            }
        }
        let is_call = length.is_never_constant()
            || matches!(length, Value::Direct(length) if length > INLINE_COPY);
        if is_call {
            self.state.stored = Stored::Nothing;
            return;
        }
        // The copy loads, and stores what it loaded: that may be what was stored before.
        self.state.stored = match self.state.stored {
            Stored::Value { value, .. } | Stored::Copied(value) => {
                Stored::Copied(match value.slot() {
                    Some(slot) => Value::Sum {
                        slot,
                        bound: self.window(slot),
                        exact: None,
                    },
                    None => self.forwarded(value),
                })
            }
            Stored::Nothing => Stored::Nothing,
        };
    }

    fn br_table(&mut self, targets: &BrTable<'_>) {
        let index = self.pop();
        self.literal(index);
        let mut depths: Vec<u32> = Vec::with_capacity(targets.len() as usize + 1);
        depths.push(targets.default());
        for depth in targets.targets() {
            match depth {
                Ok(depth) => depths.push(depth),
                Err(_) => return self.fail(),
            }
        }
        depths.sort_unstable();
        depths.dedup();
        // All labels take as many values.
        let mut shared = None;
        for depth in depths {
            self.branch_sharing(depth, &mut shared);
        }
        self.stop();
    }

    /// Operators with rules of their own. Inlined where the operator is known: what is left
    /// is its own rule.
    #[inline(always)]
    fn special(&mut self, operator: &Operator<'_>) {
        match operator {
            Operator::Block { blockty } => return self.enter(FrameKind::Block, *blockty),
            Operator::Loop { blockty } => {
                let number = self.next_loop;
                self.next_loop += 1;
                return self.enter(FrameKind::Loop(number), *blockty);
            }
            Operator::If { blockty } => return self.enter(FrameKind::If, *blockty),
            Operator::Else => return self.otherwise(),
            Operator::End => return self.end(),
            Operator::I32Const { value } => {
                return self.constant(i64::from(*value), u64::from(value.cast_unsigned()));
            }
            Operator::I64Const { value } => {
                return self.constant(*value, value.cast_unsigned());
            }
            _ => {}
        }
        if !self.live() {
            return;
        }
        match operator {
            Operator::LocalGet { local_index } => {
                match self.state.locals.get(*local_index as usize) {
                    Some(value) => self.stack.push(*value),
                    None => self.fail(),
                }
            }
            Operator::LocalSet { local_index } | Operator::LocalTee { local_index } => {
                let value = self.take();
                match self.state.locals.get_mut(*local_index as usize) {
                    Some(local) => *local = value.kept(),
                    None => return self.fail(),
                }
                if matches!(operator, Operator::LocalTee { .. }) {
                    self.push(value);
                }
            }
            Operator::GlobalGet { global_index } => {
                let is_set = self.state.globals_set & global_bit(*global_index) != 0;
                let value = match self.facts.global_read(*global_index) {
                    Some(GlobalRead::Constant(value)) => Value::Const(value),
                    Some(GlobalRead::Opaque) if !is_set => Value::Plain,
                    Some(GlobalRead::Opaque) => self.state.global,
                    Some(_) => Value::Derived(ANY),
                    None => return self.fail(),
                };
                self.push(value);
            }
            Operator::GlobalSet { global_index } => {
                let value = self.pop();
                let value = self.seen(value);
                self.state.global = match self.state.globals_set {
                    0 => self.forwarded(value),
                    _ => self.either(self.state.global, value),
                };
                self.state.globals_set |= global_bit(*global_index);
            }
            Operator::Br { relative_depth } => {
                self.branch(*relative_depth);
                self.stop();
            }
            Operator::BrIf { relative_depth } => {
                self.condition();
                self.branch(*relative_depth);
            }
            Operator::BrTable { targets } => self.br_table(targets),
            Operator::Return | Operator::Unreachable => self.stop(),
            Operator::Call { function_index } => {
                self.call(self.facts.function_arity(*function_index));
            }
            Operator::ReturnCall { .. } => self.stop(),
            Operator::CallIndirect { type_index, .. } => {
                let index = self.pop();
                self.literal(index);
                self.call(self.facts.type_arity(*type_index));
            }
            Operator::ReturnCallIndirect { .. } => {
                let index = self.pop();
                self.literal(index);
                self.stop();
            }
            Operator::Drop => {
                self.pop();
            }
            Operator::Select | Operator::TypedSelect { .. } => self.select(),
            Operator::I32WrapI64 | Operator::I64ExtendI32S | Operator::I64ExtendI32U => {
                self.convert(operator);
            }
            Operator::I32Eqz | Operator::I64Eqz => {
                let value = match self.pop() {
                    Value::Condition(slot) => Value::Condition(slot),
                    Value::Const(value) | Value::Direct(value) => {
                        Value::Const(i64::from(value == 0))
                    }
                    value => self.compare(value, Value::Const(0)),
                };
                self.push(value);
            }
            Operator::MemoryCopy { dst_mem, src_mem } => {
                let (length, source, target) = (self.pop(), self.pop(), self.pop());
                let plain = *dst_mem == 0 && *src_mem == 0;
                self.bulk(&[source, target], length, plain);
            }
            Operator::MemoryFill { mem } => {
                let (length, value, target) = (self.pop(), self.pop(), self.pop());
                self.literal(value);
                self.bulk(&[target], length, *mem == 0);
            }
            Operator::MemoryInit { .. } => {
                let (length, source, target) = (self.pop(), self.pop(), self.pop());
                self.literal(source);
                self.bulk(&[target], length, false);
            }
            _ => self.fail(),
        }
    }

    /// Folds an operator whose operands are all constants; says whether it has done so. What
    /// comes of addresses in this way depends on them.
    fn fold(&mut self, operator: &Operator<'_>, takes: usize) -> bool {
        let first = self.stack.len().saturating_sub(takes);
        if !self.live() || takes > 2 || first < self.height || self.stack.len() < takes {
            return false;
        }
        let is_constant = |value: &Value| {
            matches!(
                value,
                Value::Const(_) | Value::Direct(_) | Value::Address { .. }
            )
        };
        if !self.stack[first..].iter().all(is_constant) {
            return false;
        }
        let mut constants = [0; 2];
        for (constant, value) in constants.iter_mut().zip(&self.stack[first..]) {
            *constant = match value {
                Value::Address { slot, addend } => {
                    i64::from(self.values.read(*slot)) + i64::from(*addend)
                }
                value => value.constant().unwrap_or_default(),
            };
        }
        let Some(folded) = fold(operator, &constants[..takes]) else {
            return false;
        };
        for index in first..self.stack.len() {
            self.seen(self.stack[index]);
        }
        self.stack.truncate(first);
        let folded = self.number(folded);
        self.push(folded);
        true
    }

    /// Operators that use their operands in any way, and give something new.
    fn generic(&mut self, takes: u32, gives: u32, result: Value) {
        if !self.live() {
            return;
        }
        for _ in 0..takes {
            let value = self.pop();
            self.literal(value);
        }
        for _ in 0..gives {
            self.push(result);
        }
    }

    /// Atomic accesses check that the address is aligned. They are fences.
    fn atomic(&mut self, takes: u32, gives: u32, memarg: Option<&MemArg>) {
        let access = memarg.map(|memarg| self.immediates(memarg));
        if let Some(Access {
            offset: Offset::Candidate(slot),
            ..
        }) = access
        {
            self.fates.literal(slot);
        }
        self.generic(takes, gives, Value::Plain);
        if self.live() {
            self.state.stored = Stored::Nothing;
            if let Some(access) = access {
                let offset = self.offset(access.offset);
                if self.addresses.is_beyond(access.memory, offset) != Some(false) {
                    self.fail();
                }
            }
        }
    }

    /// Accesses with a lane, and others of which only the address can be one.
    fn other_access(&mut self, takes: u32, gives: u32, memarg: &MemArg) {
        let (mut address, live) = (Value::Plain, self.live());
        if live {
            for _ in 0..takes {
                address = self.pop();
            }
        }
        let access = self.immediates(memarg);
        self.access(address, access, None);
        if !self.live() {
            return;
        }
        if gives == 0 && access.memory == 0 {
            self.state.stored = Stored::Nothing;
        }
        for _ in 0..gives {
            self.push(Value::Plain);
        }
    }
}

impl State {
    fn join(&mut self, other: &State, sets: &mut Sets) {
        for (known, value) in self.locals.iter_mut().zip(&other.locals) {
            *known = known.join(*value, sets);
        }
        if self.stored != other.stored {
            self.stored = Stored::Nothing;
        }
        self.global = match (self.globals_set, other.globals_set) {
            (_, 0) => self.global,
            (0, _) => other.global,
            _ => self.global.either(other.global, sets),
        };
        self.globals_set |= other.globals_set;
    }
}

impl Arrival {
    /// Control arrives with this state, too, and these values on the stack.
    fn join(&mut self, state: &State, values: &[Value], sets: &mut Sets) {
        self.state.join(state, sets);
        for (known, value) in self.values.iter_mut().zip(values) {
            *known = known.join(*value, sets);
        }
    }
}

impl Frame {
    fn new(kind: FrameKind, height: usize, parameters: usize, results: usize, live: bool) -> Frame {
        Frame {
            kind,
            height,
            parameters,
            results,
            live,
            end: None,
            otherwise: None,
            assumed: Vec::new(),
        }
    }
}

/// What the walk does at an operator.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// By its arity; every operand is used in some way.
    Generic,
    /// The result is opaque, whatever the operands are.
    Opaque,
    /// No rule sees a constant of the operands through it, and it never gives one.
    Hidden,
    /// The result is a small number.
    Small,
    Special,
    /// An operator on two integers, with 64 bits or 32.
    Binary(Arithmetic, bool),
    /// An operator on an integer that needs no rule but that for constants.
    Unary,
    /// A load or store; `wide` is whether it has 64 bits, or 32, and nothing for others.
    Load {
        wide: Option<bool>,
        size: i32,
    },
    Store {
        wide: Option<bool>,
        size: i32,
    },
    /// Any other access.
    Access,
    /// An atomic access or fence.
    Atomic,
    /// The body has no slots.
    GiveUp,
}

const fn starts_with(name: &[u8], prefix: &[u8]) -> bool {
    if name.len() < prefix.len() {
        return false;
    }
    let mut i = 0;
    while i < prefix.len() {
        if name[i] != prefix[i] {
            return false;
        }
        i += 1;
    }
    true
}

const fn contains(name: &[u8], part: &[u8]) -> bool {
    let mut start = 0;
    while start + part.len() <= name.len() {
        let mut i = 0;
        while i < part.len() && name[start + i] == part[i] {
            i += 1;
        }
        if i == part.len() {
            return true;
        }
        start += 1;
    }
    false
}

const fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && starts_with(a, b)
}

/// What an access is, by its operator's name: whether it is one of a whole integer of 64 bits,
/// or 32, and its size in bytes.
const fn size(name: &[u8]) -> (Option<bool>, i32) {
    if same(name, b"I32Load") || same(name, b"I32Store") {
        (Some(false), 4)
    } else if same(name, b"I64Load") || same(name, b"I64Store") {
        (Some(true), 8)
    } else if same(name, b"F32Load") || same(name, b"F32Store") {
        (None, 4)
    } else if same(name, b"F64Load") || same(name, b"F64Store") {
        (None, 8)
    } else if contains(name, b"e8") || contains(name, b"d8") {
        (None, 1)
    } else if contains(name, b"e16") || contains(name, b"d16") {
        (None, 2)
    } else {
        // I64Load32S, I64Load32U, I64Store32
        (None, 4)
    }
}

/// What an operator's immediate is, as far as it matters here.
const fn has_memarg(arguments: &[&str]) -> bool {
    !arguments.is_empty() && starts_with(arguments[0].as_bytes(), b"memarg")
}

/// The proposals whose operators the rules know.
const fn is_known(proposal: &str) -> bool {
    matches!(
        proposal.as_bytes(),
        b"mvp"
            | b"sign_extension"
            | b"saturating_float_to_int"
            | b"bulk_memory"
            | b"reference_types"
            | b"simd"
            | b"relaxed_simd"
            | b"tail_call"
            | b"threads"
    )
}

const fn binary(name: &[u8], arithmetic: Arithmetic) -> Rule {
    Rule::Binary(arithmetic, starts_with(name, b"I64"))
}

const fn rule(proposal: &str, name: &str, arguments: &[&str]) -> Rule {
    if !is_known(proposal) {
        return Rule::GiveUp;
    }
    if same(proposal.as_bytes(), b"threads") {
        return Rule::Atomic;
    }
    let name = name.as_bytes();
    match name {
        b"I32Add" | b"I64Add" => return binary(name, Arithmetic::Add),
        b"I32Sub" | b"I64Sub" => return binary(name, Arithmetic::Subtract),
        b"I32Mul" | b"I64Mul" => return binary(name, Arithmetic::Multiply),
        b"I32And" | b"I64And" => return binary(name, Arithmetic::And),
        b"I32Or" | b"I64Or" => return binary(name, Arithmetic::Or),
        b"I32Xor" | b"I64Xor" => return binary(name, Arithmetic::Xor),
        b"I32Shl" | b"I64Shl" => return binary(name, Arithmetic::ShiftLeft),
        b"I32ShrS" | b"I64ShrS" | b"I32ShrU" | b"I64ShrU" => {
            return binary(name, Arithmetic::ShiftRight);
        }
        b"I32Rotl" | b"I64Rotl" | b"I32Rotr" | b"I64Rotr" => {
            return binary(name, Arithmetic::Rotate);
        }
        b"I32DivS" | b"I64DivS" | b"I32DivU" | b"I64DivU" => {
            return binary(name, Arithmetic::Divide);
        }
        b"I32RemS" | b"I64RemS" | b"I32RemU" | b"I64RemU" => {
            return binary(name, Arithmetic::Remainder);
        }
        b"I32Eq" | b"I32Ne" | b"I32LtS" | b"I32LtU" | b"I32GtS" | b"I32GtU" | b"I32LeS"
        | b"I32LeU" | b"I32GeS" | b"I32GeU" | b"I64Eq" | b"I64Ne" | b"I64LtS" | b"I64LtU"
        | b"I64GtS" | b"I64GtU" | b"I64LeS" | b"I64LeU" | b"I64GeS" | b"I64GeU" => {
            return binary(name, Arithmetic::Compare);
        }
        b"F32Eq" | b"F32Ne" | b"F32Lt" | b"F32Gt" | b"F32Le" | b"F32Ge" | b"F64Eq" | b"F64Ne"
        | b"F64Lt" | b"F64Gt" | b"F64Le" | b"F64Ge" | b"I32ReinterpretF32"
        | b"I64ReinterpretF64" => return Rule::Hidden,
        b"I32Clz" | b"I32Ctz" | b"I32Popcnt" | b"I64Clz" | b"I64Ctz" | b"I64Popcnt" => {
            return Rule::Small;
        }
        b"I32Extend8S" | b"I32Extend16S" | b"I64Extend8S" | b"I64Extend16S" | b"I64Extend32S" => {
            return Rule::Unary;
        }
        b"Nop" => return Rule::Generic,
        b"Block"
        | b"Loop"
        | b"If"
        | b"Else"
        | b"End"
        | b"Br"
        | b"BrIf"
        | b"BrTable"
        | b"Return"
        | b"Unreachable"
        | b"Call"
        | b"ReturnCall"
        | b"CallIndirect"
        | b"ReturnCallIndirect"
        | b"Drop"
        | b"Select"
        | b"TypedSelect"
        | b"LocalGet"
        | b"LocalSet"
        | b"LocalTee"
        | b"GlobalGet"
        | b"GlobalSet"
        | b"I32Const"
        | b"I64Const"
        | b"I32WrapI64"
        | b"I64ExtendI32S"
        | b"I64ExtendI32U"
        | b"I32Eqz"
        | b"I64Eqz"
        | b"MemoryCopy"
        | b"MemoryFill"
        | b"MemoryInit" => return Rule::Special,
        _ => {}
    }
    if has_memarg(arguments) {
        if contains(name, b"Lane") || contains(name, b"V128") {
            return Rule::Access;
        }
        let (wide, size) = size(name);
        return if contains(name, b"Load") {
            Rule::Load { wide, size }
        } else if contains(name, b"Store") {
            Rule::Store { wide, size }
        } else {
            Rule::GiveUp
        };
    }
    if starts_with(name, b"I32Trunc") || starts_with(name, b"I64Trunc") {
        return Rule::Opaque;
    }
    Rule::Generic
}

macro_rules! define_visits {
    ($( @$proposal:ident $op:ident $({ $($arg:ident: $argty:ty),* })? => $visit:ident ($($ann:tt)*) )*) => {
        $(
            #[inline]
            fn $visit(&mut self $($(, $arg: $argty)*)?) {
                const RULE: Rule = rule(
                    stringify!($proposal),
                    stringify!($op),
                    &[$($(stringify!($arg)),*)?],
                );
                define_visits!(@body self $op [$($($arg)*)?] [$($($arg)*)?] ($($ann)*))
            }
        )*
    };
    (@body $self:ident $op:ident [$memarg:ident $($rest:ident)*] [memarg $($_rest:ident)*] (arity $takes:literal -> $gives:literal)) => {{
        $( let _ = $rest; )*
        match RULE {
            Rule::Load { wide, size } => $self.load(wide, size, &$memarg),
            Rule::Store { wide, size } => $self.store(wide, size, &$memarg),
            Rule::Atomic => $self.atomic($takes, $gives, Some(&$memarg)),
            Rule::Access => $self.other_access($takes, $gives, &$memarg),
            _ => $self.fail(),
        }
    }};
    (@body $self:ident $op:ident [$($arg:ident)*] [$($_arg:ident)*] (arity $takes:literal -> $gives:literal)) => {
        match RULE {
            Rule::Special => $self.special(&Operator::$op { $($arg),* }),
            Rule::Binary(arithmetic, wide) => {
                if !arithmetic.divides()
                    && !$self.keeps_address(arithmetic)
                    && $self.fold(&Operator::$op { $($arg),* }, $takes)
                {
                    return;
                }
                $self.binary(Binary {
                    arithmetic,
                    wide,
                    operator: &Operator::$op { $($arg),* },
                });
            }
            Rule::Unary | Rule::Small if $self.fold(&Operator::$op { $($arg),* }, $takes) => {}
            rule => {
                $( let _ = $arg; )*
                match rule {
                    Rule::Generic => $self.generic($takes, $gives, Value::Derived(ANY)),
                    Rule::Hidden => $self.generic($takes, $gives, Value::opaque()),
                    Rule::Unary => $self.extend(&Operator::$op { $($arg),* }),
                    Rule::Opaque => $self.generic($takes, $gives, Value::Plain),
                    Rule::Atomic => $self.atomic($takes, $gives, None),
                    Rule::Small => $self.count(),
                    _ => $self.fail(),
                }
            }
        }
    };
    (@body $self:ident $op:ident [$($arg:ident)*] [$($_arg:ident)*] ($($ann:tt)*)) => {
        match RULE {
            Rule::Special => $self.special(&Operator::$op { $($arg),* }),
            _ => {
                $( let _ = $arg; )*
                $self.fail()
            }
        }
    };
}

impl<'a> VisitOperator<'a> for Walk<'_> {
    type Output = ();

    fn simd_visitor(&mut self) -> Option<&mut dyn VisitSimdOperator<'a, Output = ()>> {
        Some(self)
    }

    wasmparser::for_each_visit_operator!(define_visits);
}

impl<'a> VisitSimdOperator<'a> for Walk<'_> {
    wasmparser::for_each_visit_simd_operator!(define_visits);
}
