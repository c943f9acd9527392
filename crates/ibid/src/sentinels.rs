//! Sentinels: what stands in a body for its addresses while it is compiled, and in its code
//! for places in the instance.
//!
//! A function with address slots is compiled once, with a number of its own in place of each
//! address; [`crate::compiled`] finds the numbers in the code. They are of the same class as
//! the addresses: the compiler chooses the same encodings and leaves out the same checks. With
//! place slots it is compiled as a function of the [padded](crate::padded) module.

use crate::fingerprint::EngineCompiler;
use crate::module::Source;
use crate::padded::PADDING;
use crate::stencil::{self, AddressFacts, Class, Place, Scratch, Slots, Substitute};
use std::ops::Range;
use wasmparser::{BinaryReader, FunctionBody};
use wasmtime_environ::DefinedFuncIndex;

/// Sentinels for constants lie in this range: positive as signed 32-bit numbers.
const CONSTANTS: (u32, u32) = (1 << 28, (1 << 31) - (1 << 21));

/// No sentinel is smaller: code holds many small numbers.
const SMALLEST: u32 = 1 << 18;

/// All sentinels have these low bits: no power of two, and no number that code is likely to
/// hold, is near one.
const LOW_BITS: u32 = 0x1ad3;

/// Every sentinel is encoded in as many bytes.
const WIDTH: usize = 5;

/// A body with sentinels for its addresses.
pub(crate) struct Sentinels<'s> {
    body: Vec<u8>,
    base: usize,
    /// Where sentinels lie in the body, and how much further everything behind each lies than
    /// in the input.
    shifts: Vec<(u32, i32)>,
    /// By slot.
    pub(crate) values: Vec<Sentinel>,
    pub(crate) slots: Slots,
    /// How many targets each `br_table` has, besides the default one.
    pub(crate) tables: Vec<u32>,
    /// There is a tail call.
    pub(crate) tail_calls: bool,
    /// By place slot: where in the instance the code finds it now.
    pub(crate) places: Vec<Place>,
    /// All places in the instance that are elsewhere.
    pub(crate) moved: Range<u32>,
    /// What the body is a function of, if it has place slots.
    pub(crate) padded: Option<Source<'s>>,
}

/// What stands for a slot's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sentinel {
    pub(crate) value: u32,
    /// The largest constant that may be folded into it.
    pub(crate) window: u32,
}

impl<'s> Sentinels<'s> {
    /// Puts sentinels into the body of `function`, which was split with these `slots`. `None` if
    /// there is no room for so many sentinels, or in a module for so many imports.
    pub(crate) fn of(
        engine: &EngineCompiler,
        source: Source<'s>,
        function: DefinedFuncIndex,
        mut slots: Slots,
    ) -> Option<Sentinels<'s>> {
        let body = source.body(function);
        let scratch = &mut Scratch::default();
        let found = stencil::substitutions(&source.facts, body, &slots, scratch).ok()?;
        let padded = match found.places.is_empty() {
            true => None,
            false => Some(source.padded(engine)?),
        };
        let facts = padded.map(|padded| &padded.module().facts);
        let in_padded = |place: &Place| Some(facts?.place(place.entity.behind(PADDING)));
        let places: Vec<Place> = found.places.iter().filter_map(in_padded).collect();
        slots.large.extend(places.iter().map(|place| place.offset));
        let mut sentinels = Sentinels {
            body: Vec::with_capacity(body.as_bytes().len() + 4 * found.substitutes.len()),
            base: body.range().start,
            shifts: Vec::new(),
            values: assign(&slots, &source.facts.addresses)?,
            slots,
            tables: found.tables,
            tail_calls: found.tail_calls,
            places,
            moved: facts.map_or(0..0, |facts| facts.moved_places()),
            padded,
        };
        sentinels.write(body.as_bytes(), &found.substitutes);
        Some(sentinels)
    }

    fn write(&mut self, body: &[u8], substitutes: &[(Range<usize>, Substitute)]) {
        let (mut copied, mut further) = (0, 0);
        for (place, substitute) in substitutes {
            self.body.extend_from_slice(&body[copied..place.start]);
            further += WIDTH as i32 - place.len() as i32;
            self.shifts.push((self.body.len() as u32, further));
            let number = match *substitute {
                Substitute::Address(slot, distance) => {
                    let sentinel = self.values[slot as usize].value;
                    sentinel.wrapping_add_signed(distance)
                }
                Substitute::Function(index) => index + PADDING,
            };
            write_wide(&mut self.body, number);
            copied = place.end;
        }
        self.body.extend_from_slice(&body[copied..]);
    }

    /// The place slot that lies at `offset` in the instance, and how far it begins before.
    pub(crate) fn place(&self, offset: u32) -> Option<(u32, u32)> {
        if !self.moved.contains(&offset) {
            return None;
        }
        self.places.iter().zip(0..).find_map(|(place, slot)| {
            let distance = offset.checked_sub(place.offset)?;
            (distance < place.size).then_some((slot, distance))
        })
    }

    /// The body, for the compiler. Its operators are elsewhere than in the input:
    /// [`source_offset`](Self::source_offset) leads back.
    pub(crate) fn body(&self, features: wasmparser::WasmFeatures) -> FunctionBody<'_> {
        FunctionBody::new(BinaryReader::new_features(&self.body, self.base, features))
    }

    /// The offset in the input of what lies at `offset` for the compiler.
    pub(crate) fn source_offset(&self, offset: u32) -> Option<u32> {
        let base = u32::try_from(self.base).ok()?;
        let inside = offset.checked_sub(base)?;
        let before = self.shifts.partition_point(|(place, _)| *place < inside);
        let further = before.checked_sub(1).map_or(0, |last| self.shifts[last].1);
        base.checked_add(inside.checked_add_signed(-further)?)
    }
}

/// A sentinel for each slot, each at a distance from the others and from the body's literals,
/// and of its class. `None` if there is no room.
fn assign(slots: &Slots, addresses: &AddressFacts) -> Option<Vec<Sentinel>> {
    let mut literals = slots.large.clone();
    literals.sort_unstable();
    let [mut constants, mut near, mut far] = [
        (Class::Constant, CONSTANTS),
        (Class::Near, addresses.near_offsets()),
        (Class::Far, addresses.far_offsets()),
    ]
    .map(|(class, range)| {
        let count = slots.classes.iter().filter(|other| **other == class);
        let range = (range.0.max(slots.made), range.1);
        Spread::new(range, count.count(), class.window())
    });
    let sentinel = |class: &Class| {
        let spread = match class {
            Class::Constant => &mut constants,
            Class::Near => &mut near,
            Class::Far => &mut far,
        };
        Some(Sentinel {
            value: spread.as_mut()?.next(&literals)?,
            window: class.window(),
        })
    };
    slots.classes.iter().map(sentinel).collect()
}

/// Numbers that lie apart: one from each of many stretches of equal length, the largest first:
/// code holds more small numbers than large ones.
struct Spread {
    window: u32,
    end: u32,
    length: u32,
}

impl Spread {
    /// `count` numbers in a range; `None` if they would lie too close.
    fn new((first, last): (u32, u32), count: usize, window: u32) -> Option<Spread> {
        let unit = 2 * window;
        let first = first.max(SMALLEST).checked_add(window)?;
        let first = first.checked_next_multiple_of(unit)?;
        let units = last.checked_sub(first)?.checked_sub(window)? / unit;
        let length = units / u32::try_from(count).ok()?.max(1);
        (length > 0).then_some(Spread {
            window,
            end: first + units * unit,
            length: length * unit,
        })
    }

    /// The largest number of the next stretch that no literal is near.
    fn next(&mut self, literals: &[u32]) -> Option<u32> {
        let (end, window) = (self.end, self.window);
        self.end -= self.length;
        (self.end..end)
            .step_by(2 * window as usize)
            .rev()
            .map(|number| number + LOW_BITS % window)
            .find(|number| {
                let above = literals.partition_point(|literal| *literal < number - window);
                literals
                    .get(above)
                    .is_none_or(|literal| *literal > number + window)
            })
    }
}

/// LEB128 of five bytes: what is positive is the same signed and unsigned.
fn write_wide(out: &mut Vec<u8>, value: u32) {
    for position in 0..WIDTH {
        let more = if position + 1 < WIDTH { 0x80 } else { 0 };
        out.push((value >> (7 * position) & 0x7f) as u8 | more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fingerprint::EngineCompiler;
    use crate::program::Program;

    fn slots(class: Class, count: usize, literals: &[u32]) -> Slots {
        Slots {
            classes: vec![class; count],
            large: literals.to_vec(),
            ..Slots::default()
        }
    }

    #[test]
    fn sentinels_lie_apart() {
        let wasm = wat::parse_str("(module (memory 1024))").unwrap();
        let engine = EngineCompiler::of(&wasmtime::Engine::default(), true).unwrap_or_else(|_| {
            panic!("the default engine is covered");
        });
        let program = Program::module(&engine, &wasm).unwrap();
        let addresses = &program.first().facts.addresses;
        let mebibyte = 1 << 20;
        for (class, count, range) in [
            (Class::Constant, 1, CONSTANTS),
            (Class::Constant, 2048, CONSTANTS),
            (Class::Near, 1, (0, 32 * mebibyte)),
            (Class::Near, 1000, (0, 32 * mebibyte)),
            (Class::Far, 1, (32 * mebibyte, 64 * mebibyte)),
            (Class::Far, 1000, (32 * mebibyte, 64 * mebibyte)),
        ] {
            let values = assign(&slots(class, count, &[]), addresses).unwrap();
            let literals: Vec<u32> = values.iter().map(|sentinel| sentinel.value + 100).collect();
            let others = assign(&slots(class, count, &literals), addresses).unwrap();
            for values in [&values, &others] {
                for pair in values.windows(2) {
                    assert!(
                        pair[0].value - pair[1].value >= 2 * pair[0].window,
                        "{pair:?}"
                    );
                }
                let (last, first) = (values[0], values.last().unwrap());
                assert!(first.value - first.window >= range.0);
                assert!(last.value + last.window < range.1);
            }
            for Sentinel { value, window } in &others {
                assert!(
                    literals
                        .iter()
                        .all(|literal| literal.abs_diff(*value) > *window)
                );
            }
        }
        for class in [Class::Near, Class::Far] {
            assert!(assign(&slots(class, 10_000, &[]), addresses).is_none());
        }
    }

    #[test]
    fn wide_numbers_read_as_what_they_are() {
        for value in [0, 1, 1024, 0x1234_5678, (1 << 31) - 1] {
            let mut bytes = Vec::new();
            write_wide(&mut bytes, value);
            let read = |bytes| BinaryReader::new(bytes, 0);
            assert_eq!(read(&bytes).read_var_u32().unwrap(), value);
            assert_eq!(read(&bytes).read_var_i32().unwrap(), value as i32);
            assert_eq!(read(&bytes).read_var_i64().unwrap(), i64::from(value));
            assert_eq!(read(&bytes).read_var_u64().unwrap(), u64::from(value));
        }
    }
}
