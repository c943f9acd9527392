//! Where the addresses and places of a function lie in its code.
//!
//! The code was compiled with a sentinel for each address, and for an instance whose parts lie
//! elsewhere ([`crate::sentinels`]). It is decoded instruction by instruction. Addresses are
//! looked for in 32-bit immediates and displacements, places in displacements from the
//! instance ([`super::instance`]), nowhere else. Code that holds one in any other way has no
//! slots.

use super::instance::{Follow, Holds};
use crate::bytes::Words;
use crate::sentinels::{Sentinel, Sentinels};
use crate::stencil::SMALLEST_PLACE;
use iced_x86::{
    Code, ConstantOffsets, Decoder, DecoderOptions, EncodingKind, FlowControl, Instruction,
    Mnemonic, Register,
};
use std::cmp::Ordering;

/// A place in the code that holds a parameter and a constant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Hole {
    /// Offset in the code, in bytes; four bytes lie there.
    pub(crate) offset: u32,
    pub(crate) slot: u32,
    pub(crate) addend: i32,
    pub(crate) kind: HoleKind,
}

/// What a hole holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub(crate) enum HoleKind {
    /// The sum of an address and a constant.
    Address = 0,
    /// The complement of the sum: 2^32 less it.
    Complement = 1,
    /// An offset in the instance.
    Place = 2,
}

impl HoleKind {
    /// How many bits of a word say which it is.
    pub(crate) const BITS: u32 = 2;

    /// What the low bits of `word` say.
    pub(crate) fn of(word: u32) -> Option<HoleKind> {
        match word & ((1 << Self::BITS) - 1) {
            0 => Some(HoleKind::Address),
            1 => Some(HoleKind::Complement),
            2 => Some(HoleKind::Place),
            _ => None,
        }
    }
}

/// The holes of a function's code.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Holes {
    /// In order of their place.
    pub(crate) holes: Vec<Hole>,
    /// Other numbers that the code holds, sorted: an address that is one of them may share
    /// what the compiler made for the number.
    pub(crate) taken: Vec<u32>,
}

/// Why code cannot be patched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoHoles {
    /// Bytes that are no instruction.
    Undecodable,
    /// A jump whose table's size is not known.
    JumpTable,
    /// A sentinel where none should be.
    Unexpected,
    /// A sentinel is nowhere: it may have been folded into something else.
    Missing,
    /// What may be an offset in the instance, from a register that may hold something else.
    Untraced,
}

/// Numbers below this are not compared with addresses.
const SMALLEST: u32 = 1 << 10;

/// Finds the holes of `code`, which was compiled with `sentinels`. Exceptions are handled at
/// `handlers`, offsets in the code.
pub(crate) fn find(
    code: &[u8],
    sentinels: &Sentinels<'_>,
    handlers: &[u32],
) -> Result<Holes, NoHoles> {
    let mut search = Search::new(code, sentinels);
    search.instructions()?;
    search.constants()?;
    search.places(handlers)?;
    let Search {
        mut holes,
        mut taken,
        ..
    } = search;
    taken.sort_unstable();
    taken.dedup();
    let mut found = vec![false; sentinels.values.len()];
    for hole in holes.iter().filter(|hole| hole.kind != HoleKind::Place) {
        found[hole.slot as usize] = true;
    }
    if !found.iter().all(|found| *found) {
        return Err(NoHoles::Missing);
    }
    holes.sort_unstable();
    Ok(Holes { holes, taken })
}

/// Whether the holes can hold `values`: distinct addresses stay distinct, and none becomes
/// a number that the code holds for another reason.
pub(crate) fn fit(
    holes: impl Iterator<Item = Hole>,
    taken: Words<'_>,
    values: impl Fn(Hole) -> Option<u32>,
) -> bool {
    let mut numbers: Vec<(u32, (u32, i32))> = Vec::new();
    for hole in holes {
        match values(hole).and_then(|value| fill(value, hole)) {
            // The compiler does not share displacements.
            Some(_) if hole.kind == HoleKind::Place => {}
            Some(value) if is_among(taken, value) || is_among(taken, value.wrapping_neg()) => {
                return false;
            }
            Some(value) => numbers.push((value, (hole.slot, hole.addend))),
            None => return false,
        }
    }
    numbers.sort_unstable();
    numbers.dedup();
    numbers.windows(2).all(|pair| pair[0].0 != pair[1].0)
}

/// Whether `number` is one of `sorted`.
fn is_among(sorted: Words<'_>, number: u32) -> bool {
    let (mut start, mut end) = (0, sorted.len());
    while start < end {
        let middle = start.midpoint(end);
        match sorted.at(middle).cmp(&number) {
            Ordering::Less => start = middle + 1,
            Ordering::Greater => end = middle,
            Ordering::Equal => return true,
        }
    }
    false
}

/// What a hole holds for `value`; `None` if the code could not hold it there.
pub(crate) fn fill(value: u32, hole: Hole) -> Option<u32> {
    let sum = i64::from(value) + i64::from(hole.addend);
    let sum = i32::try_from(sum).ok()?;
    let smallest = match hole.kind {
        HoleKind::Address | HoleKind::Complement => SMALLEST_VALUE,
        HoleKind::Place => SMALLEST_PLACE as i32,
    };
    let sum = (sum >= smallest).then_some(sum)?;
    let filling = match hole.kind {
        HoleKind::Address | HoleKind::Place => sum,
        HoleKind::Complement => -sum,
    };
    Some(filling.cast_unsigned())
}

/// Smaller addresses may be encoded in one byte.
const SMALLEST_VALUE: i32 = 256;

/// No constant is aligned to more, in bytes.
const LARGEST_ALIGNMENT: usize = 64;

/// No instruction is shorter that has a number of four bytes in it.
const SHORTEST: usize = 1 + 4;

/// How far back a table's size may have been put into a register.
const BACK: usize = 12;

struct Search<'s> {
    code: &'s [u8],
    sentinels: &'s Sentinels<'s>,
    /// Sentinels with their slots, sorted.
    sorted: Vec<(u32, u32)>,
    /// Where instructions end, and constants begin.
    end: u64,
    /// Constants that instructions refer to: where they lie, and how large they are.
    constants: Vec<(u64, usize)>,
    holes: Vec<Hole>,
    taken: Vec<u32>,
    /// Follows the instance through the code, if there are places to be found.
    follow: Option<Follow>,
    /// Displacements that may be from the instance, in the order in which `follow` saw them.
    displaced: Vec<Displaced>,
}

/// A displacement from a register that may hold the instance.
struct Displaced {
    /// Where it lies in the code.
    at: u32,
    /// The place slot and the distance from the place, if it is near one that the function names.
    place: Option<(u32, u32)>,
}

impl<'s> Search<'s> {
    fn new(code: &'s [u8], sentinels: &'s Sentinels<'s>) -> Search<'s> {
        let mut sorted: Vec<(u32, u32)> = sentinels
            .values
            .iter()
            .zip(0..)
            .map(|(sentinel, slot)| (sentinel.value, slot))
            .collect();
        sorted.sort_unstable();
        Search {
            code,
            sentinels,
            sorted,
            end: code.len() as u64,
            constants: Vec::new(),
            holes: Vec::new(),
            taken: Vec::new(),
            follow: (!sentinels.places.is_empty()).then(Follow::new),
            displaced: Vec::new(),
        }
    }

    /// Looks at every instruction, from the first on. Between instructions there are jump
    /// tables (`Inst::JmpTableSeq` in `isa/x64/inst/emit.rs`), behind them constants.
    fn instructions(&mut self) -> Result<(), NoHoles> {
        let mut at = 0;
        let mut sizes = Recent::default();
        // Where an instruction takes the address of what may be a jump table.
        let mut table = None;
        while at < self.end {
            let mut decoder =
                Decoder::with_ip(64, &self.code[at as usize..], at, DecoderOptions::NONE);
            let mut instruction = Instruction::default();
            loop {
                if at >= self.end || self.is_padding(at) {
                    at = at.max(self.end);
                    break;
                }
                decoder.decode_out(&mut instruction);
                if instruction.code() == Code::INVALID {
                    return Err(NoHoles::Undecodable);
                }
                if instruction.len() >= SHORTEST {
                    let offsets = decoder.get_constant_offsets(&instruction);
                    self.look(&instruction, &offsets)?;
                }
                if let Some(follow) = &mut self.follow {
                    follow.step(&instruction);
                }
                let next = instruction.next_ip();
                if instruction.code() == Code::Mov_r32_imm32 {
                    sizes.push(Some(instruction.immediate32()));
                } else {
                    sizes.push(None);
                }
                if instruction.is_ip_rel_memory_operand() {
                    let target = instruction.ip_rel_memory_address();
                    if instruction.mnemonic() == Mnemonic::Lea {
                        table = Some(target);
                    } else if target >= next {
                        self.end = self.end.min(target);
                        self.constants
                            .push((target, instruction.memory_size().size()));
                    }
                }
                at = next;
                if instruction.flow_control() == FlowControl::IndirectBranch {
                    if table != Some(next) {
                        if self.sentinels.tail_calls {
                            continue;
                        }
                        return Err(NoHoles::JumpTable);
                    }
                    // The default target comes last.
                    let size = sizes
                        .find(&self.sentinels.tables)
                        .ok_or(NoHoles::JumpTable)?;
                    at += 4 * (u64::from(size) + 1);
                    if at > self.end {
                        return Err(NoHoles::JumpTable);
                    }
                    self.check_table(next, at)?;
                    break;
                }
            }
        }
        if at > self.end {
            Err(NoHoles::Undecodable)
        } else {
            Ok(())
        }
    }

    /// Whether nothing but zeros lies between here and the constants, which are aligned.
    fn is_padding(&self, at: u64) -> bool {
        let rest = &self.code[at as usize..self.end as usize];
        rest.len() < LARGEST_ALIGNMENT && rest.iter().all(|byte| *byte == 0)
    }

    /// Whether every word at `start..end` leads to an instruction.
    fn check_table(&mut self, start: u64, end: u64) -> Result<(), NoHoles> {
        let table = &self.code[start as usize..end as usize];
        for word in table.as_chunks::<4>().0 {
            let target = start.cast_signed() + i64::from(i32::from_le_bytes(*word));
            if !(0..self.end.cast_signed()).contains(&target) {
                return Err(NoHoles::JumpTable);
            }
            if let Some(follow) = &mut self.follow {
                follow.may_jump(target as u32);
            }
        }
        Ok(())
    }

    fn look(
        &mut self,
        instruction: &Instruction,
        offsets: &ConstantOffsets,
    ) -> Result<(), NoHoles> {
        let at = instruction.ip() as usize;
        if offsets.has_displacement() && !instruction.is_ip_rel_memory_operand() {
            let place = at + offsets.displacement_offset();
            let size = offsets.displacement_size();
            if !self.displacement(instruction, place, size) {
                let before = self.holes.len();
                self.field(place, size, Form::Sum)?;
                // Such a displacement has a short form for multiples of the operand's size.
                if self.holes.len() > before && instruction.code().encoding() == EncodingKind::EVEX
                {
                    return Err(NoHoles::Unexpected);
                }
            }
        }
        let is_branch = !matches!(
            instruction.flow_control(),
            FlowControl::Next | FlowControl::Interrupt | FlowControl::Exception
        );
        if offsets.has_immediate() && !is_branch {
            let place = at + offsets.immediate_offset();
            let form = match instruction.mnemonic() {
                Mnemonic::Add => Form::Sum,
                Mnemonic::Mov | Mnemonic::Cmp => Form::Constant,
                _ => Form::Other,
            };
            if form == Form::Sum {
                self.addition(instruction);
            }
            self.field(place, offsets.immediate_size(), form)?;
        }
        Ok(())
    }

    /// Takes a displacement that may be from the instance. Whether it is nothing else.
    fn displacement(&mut self, instruction: &Instruction, at: usize, size: usize) -> bool {
        let (Some(follow), Some(bytes)) = (&mut self.follow, self.code[at..].first_chunk::<4>())
        else {
            return false;
        };
        let offset = u32::from_le_bytes(*bytes);
        if size != 4 || !self.sentinels.moved.contains(&offset) {
            return false;
        }
        // These lead to the frame and nowhere else: `create_reg_env_systemv` in Cranelift's
        // `isa/x64/abi.rs` gives neither to the register allocator.
        if matches!(instruction.memory_base(), Register::RSP | Register::RBP) {
            return false;
        }
        // Code reaches a place by an access with nothing but the instance in its address.
        let [base, index] = [instruction.memory_base(), instruction.memory_index()];
        let is_plain_access = index == Register::None
            && instruction.mnemonic() != Mnemonic::Lea
            && instruction.code().encoding() != EncodingKind::EVEX;
        let place = self.sentinels.place(offset).filter(|_| is_plain_access);
        for register in [base, index] {
            follow.uses(instruction.ip(), register);
            self.displaced.push(Displaced {
                at: at as u32,
                place: place.filter(|_| register == base),
            });
        }
        place.is_some()
    }

    /// Sorts out which displacements are from the instance. Those that name a place must be,
    /// no others may.
    fn places(&mut self, handlers: &[u32]) -> Result<(), NoHoles> {
        let Some(follow) = self.follow.take() else {
            return Ok(());
        };
        for (Displaced { at, place }, holds) in self.displaced.iter().zip(follow.finish(handlers)) {
            match (place, holds) {
                (Some((slot, distance)), Holds::Always) => self.holes.push(Hole {
                    offset: *at,
                    slot: *slot,
                    addend: distance.cast_signed(),
                    kind: HoleKind::Place,
                }),
                (None, Holds::Never) => {}
                (Some(_), _) => return Err(NoHoles::Untraced),
                (None, _) => return Err(NoHoles::Unexpected),
            }
        }
        Ok(())
    }

    /// Takes the addition of a number that may be from the instance. It must not be added to that.
    fn addition(&mut self, instruction: &Instruction) {
        let Some(follow) = &mut self.follow else {
            return;
        };
        let number = u32::try_from(instruction.immediate(1));
        if number.is_ok_and(|number| self.sentinels.moved.contains(&number)) {
            follow.uses(instruction.ip(), instruction.op0_register());
            self.displaced.push(Displaced {
                at: instruction.ip() as u32,
                place: None,
            });
        }
    }

    fn field(&mut self, place: usize, size: usize, form: Form) -> Result<(), NoHoles> {
        match size {
            4 => {
                let word = self.code[place..]
                    .first_chunk::<4>()
                    .map(|bytes| i32::from_le_bytes(*bytes))
                    .ok_or(NoHoles::Undecodable)?;
                self.word(place, word, form)
            }
            8 => {
                let word = self.code[place..]
                    .first_chunk::<8>()
                    .map(|bytes| i64::from_le_bytes(*bytes))
                    .ok_or(NoHoles::Undecodable)?;
                if self.is_near_wide(word) {
                    Err(NoHoles::Unexpected)
                } else {
                    Ok(())
                }
            }
            _ => Ok(()),
        }
    }

    /// Whether a number of 64 bits, or its negative, ends in one that is near a sentinel.
    fn is_near_wide(&self, word: i64) -> bool {
        [word, word.wrapping_neg()]
            .iter()
            .any(|word| self.near(*word as u32).is_some())
    }

    fn word(&mut self, place: usize, word: i32, form: Form) -> Result<(), NoHoles> {
        let magnitude = word.unsigned_abs();
        let Some((slot, addend)) = self.near(magnitude) else {
            if magnitude >= SMALLEST {
                self.taken.push(magnitude);
            }
            return Ok(());
        };
        let kind = if word < 0 {
            HoleKind::Complement
        } else {
            HoleKind::Address
        };
        let is_among = |list: &[(u32, i32)]| list.binary_search(&(slot, addend)).is_ok();
        let allowed = match (form, kind) {
            (Form::Sum, HoleKind::Address) => {
                addend == 0
                    || addend.unsigned_abs() <= self.sentinels.slots.reach[slot as usize]
                    || is_among(&self.sentinels.slots.constants)
                    || is_among(&self.sentinels.slots.folded)
            }
            (Form::Constant, HoleKind::Address) => is_among(&self.sentinels.slots.constants),
            (Form::Constant, HoleKind::Complement) => is_among(&self.sentinels.slots.checked),
            _ => false,
        };
        if !allowed {
            return Err(NoHoles::Unexpected);
        }
        self.holes.push(Hole {
            offset: place as u32,
            slot,
            addend,
            kind,
        });
        Ok(())
    }

    /// The slot whose sentinel is near `value`, and the distance.
    fn near(&self, value: u32) -> Option<(u32, i32)> {
        let after = self
            .sorted
            .partition_point(|(sentinel, _)| *sentinel < value);
        let around = after.saturating_sub(1)..(after + 1).min(self.sorted.len());
        self.sorted[around]
            .iter()
            .filter(|(sentinel, slot)| {
                let Sentinel { window, .. } = self.sentinels.values[*slot as usize];
                value.abs_diff(*sentinel) <= window
            })
            .min_by_key(|(sentinel, _)| value.abs_diff(*sentinel))
            .map(|(sentinel, slot)| (*slot, value.wrapping_sub(*sentinel).cast_signed()))
    }

    /// Looks at the constants behind the instructions. The compiler loads some addresses from
    /// there, as numbers of 64 bits.
    fn constants(&mut self) -> Result<(), NoHoles> {
        let mut constants = std::mem::take(&mut self.constants);
        constants.sort_unstable();
        constants.dedup();
        for (at, size) in constants {
            let bytes = self.code.get(at as usize..).unwrap_or_default();
            if let (4 | 8, Some(word)) = (size, bytes.first_chunk::<4>()) {
                let wide = bytes.first_chunk::<8>().filter(|_| size == 8);
                match wide.map(|bytes| i64::from_le_bytes(*bytes)) {
                    Some(wide) if u32::try_from(wide).is_err() => {
                        if self.is_near_wide(wide) {
                            return Err(NoHoles::Unexpected);
                        }
                    }
                    _ => self.word(at as usize, i32::from_le_bytes(*word), Form::Constant)?,
                }
            }
        }
        // Anywhere else there is none.
        let words = self.code[self.end as usize..].as_chunks::<4>().0;
        for (word, at) in words.iter().zip((self.end as u32..).step_by(4)) {
            let word = u32::from_le_bytes(*word);
            let is_hole = self.holes.iter().any(|hole| hole.offset == at);
            let sorted = &self.sorted;
            let is_sentinel = sorted.binary_search_by_key(&word, |(sentinel, _)| *sentinel);
            if is_sentinel.is_ok() && !is_hole {
                return Err(NoHoles::Unexpected);
            }
        }
        Ok(())
    }
}

/// What a number is in an instruction.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// It is added to something: constants may have been folded into it.
    Sum,
    /// It stands alone.
    Constant,
    Other,
}

/// What the last instructions put into registers.
#[derive(Default)]
struct Recent {
    numbers: [Option<u32>; BACK],
    next: usize,
}

impl Recent {
    fn push(&mut self, number: Option<u32>) {
        self.numbers[self.next % BACK] = number;
        self.next += 1;
    }

    /// The last number that is one of `sizes`.
    fn find(&self, sizes: &[u32]) -> Option<u32> {
        if let [size] = sizes {
            return Some(*size);
        }
        (0..BACK)
            .filter_map(|back| self.numbers[(self.next + BACK - 1 - back) % BACK])
            .find(|number| sizes.contains(number))
    }
}
