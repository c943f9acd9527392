//! Edits: static data that moves.

use super::patch::{Patch, patched};
use super::sections::Sections;
use anyhow::{Context, Result};
use std::convert::Infallible;
use std::ops::Range;
use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_encoder::{ConstExpr, DataSection, Encode as _, Instruction, SectionId};
use wasmparser::{BinaryReader, Data, DataKind, DataSectionReader, MemArg, Operator};

/// Moves static data, and nothing else: 16 bytes (twice, three times as many in the next
/// variants) are put in front of the contents of the segment with the lowest address, and the
/// addresses of all other active segments of that memory grow by as much. Segments are active and
/// have a constant address, or stay what they are.
///
/// No body changes, so the code goes on to look for the data where it was: a module for
/// compilers, not to be run. It shows what data costs that the code does not mention.
///
/// # Errors
///
/// If the module cannot be read or has no active data segment with a constant address.
pub fn move_data(wasm: &[u8], variant: u32) -> Result<Vec<u8>> {
    let mut sections = Sections::read(wasm)?;
    shift_segments(&mut sections, variant)?;
    Ok(sections.finish())
}

/// Moves static data as [`move_data`] does, and adapts what looks like an address of it in the
/// code: constants, and the static offsets of loads and stores, of a value between the lowest and
/// the highest address of data.
///
/// That is what a linker does when a static variable is added before all others, but for the
/// numbers that are no addresses and lie in that range by chance. It is the worst case of data
/// that moves: all of it does.
///
/// # Errors
///
/// Those of [`move_data`], and if the module defines no functions.
pub fn move_addresses(wasm: &[u8], variant: u32) -> Result<Vec<u8>> {
    let mut sections = Sections::read(wasm)?;
    let (shift, range) = shift_segments(&mut sections, variant)?;
    let mut addresses = Addresses {
        range,
        shift,
        changed: false,
    };
    let mut items = Vec::with_capacity(wasm.len());
    let bodies = sections.bodies()?;
    for body in &bodies {
        patched(&mut addresses, body, &[])?.encode(&mut items);
    }
    let count = bodies.len() as u32;
    sections.set_items(SectionId::Code, count, &items);
    Ok(sections.finish())
}

/// Moves the active segments of the memory that the lowest one is of. Returns by how much, and
/// which addresses they had.
fn shift_segments(sections: &mut Sections<'_>, variant: u32) -> Result<(u64, Range<u64>)> {
    let content = sections
        .get(SectionId::Data)
        .context("the module has no data")?;
    let reader = DataSectionReader::new(BinaryReader::new(content, 0))?;
    let segments: Vec<Data<'_>> = reader.into_iter().collect::<Result<_, _>>()?;
    let lowest = segments
        .iter()
        .filter_map(address)
        .min_by_key(|segment| segment.address)
        .context("the module has no data at a constant address")?;
    let shift = 16 * (u64::from(variant) + 1);

    let mut data = DataSection::new();
    let mut end = lowest.address;
    let mut grown = false;
    for segment in &segments {
        let Some(place) = address(segment).filter(|place| place.memory == lowest.memory) else {
            data.raw(&content[segment.range.clone()]);
            continue;
        };
        end = end.max(place.address.saturating_add(segment.data.len() as u64));
        if place.address == lowest.address && !grown {
            grown = true;
            let inserted = std::iter::repeat_n(0x69, shift as usize);
            let bytes: Vec<u8> = inserted.chain(segment.data.iter().copied()).collect();
            data.active(place.memory, &place.expression(0), bytes);
        } else {
            let bytes = segment.data.iter().copied();
            data.active(place.memory, &place.expression(shift), bytes);
        }
    }
    let range = lowest.address..end;
    sections.set_section(&data);
    Ok((shift, range))
}

/// Where an active segment lies.
#[derive(Clone, Copy)]
struct Place {
    memory: u32,
    address: u64,
    wide: bool,
}

impl Place {
    fn expression(self, shift: u64) -> ConstExpr {
        let address = self.address.wrapping_add(shift);
        if self.wide {
            ConstExpr::i64_const(address as i64)
        } else {
            ConstExpr::i32_const(address as u32 as i32)
        }
    }
}

/// The place of an active segment whose address is a constant.
fn address(segment: &Data<'_>) -> Option<Place> {
    let DataKind::Active {
        memory_index: memory,
        offset_expr,
    } = &segment.kind
    else {
        return None;
    };
    let mut operators = offset_expr.get_operators_reader();
    let (address, wide) = match operators.read().ok()? {
        Operator::I32Const { value } => (u64::from(value as u32), false),
        Operator::I64Const { value } => (value as u64, true),
        _ => return None,
    };
    matches!(operators.read(), Ok(Operator::End)).then_some(Place {
        memory: *memory,
        address,
        wide,
    })
}

/// Adds `shift` to all that looks like an address in `range`.
struct Addresses {
    range: Range<u64>,
    shift: u64,
    changed: bool,
}

impl Addresses {
    fn moved(&mut self, address: u64) -> u64 {
        if self.range.contains(&address) {
            self.changed = true;
            address + self.shift
        } else {
            address
        }
    }
}

impl Reencode for Addresses {
    type Error = Infallible;

    fn instruction<'a>(&mut self, operator: Operator<'a>) -> Result<Instruction<'a>, Error> {
        Ok(match operator {
            Operator::I32Const { value } => {
                Instruction::I32Const(self.moved(u64::from(value as u32)) as u32 as i32)
            }
            Operator::I64Const { value } => Instruction::I64Const(self.moved(value as u64) as i64),
            operator => utils::instruction(self, operator)?,
        })
    }

    fn mem_arg(&mut self, mut argument: MemArg) -> Result<wasm_encoder::MemArg, Error> {
        argument.offset = self.moved(argument.offset);
        utils::mem_arg(self, argument)
    }
}

impl Patch for Addresses {
    fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_module::binary;

    const DATA: &str = r#"
        (module
            (memory 1)
            (data (i32.const 2000) "late")
            (data (i32.const 1000) "early")
            (data "passive")
            (global $g (export "g") i32 (i32.const 1000))
            (func (export "constant") (result i32) i32.const 2001)
            (func (export "offset") (result i32) i32.const 0 i32.load8_u offset=1000)
            (func (export "neither") (result i32) i32.const 999))"#;

    fn segments(wasm: &[u8]) -> Vec<(Option<u64>, Vec<u8>)> {
        let sections = Sections::read(wasm).unwrap();
        let content = sections.get(SectionId::Data).unwrap();
        DataSectionReader::new(BinaryReader::new(content, 0))
            .unwrap()
            .into_iter()
            .map(|segment| {
                let segment = segment.unwrap();
                let place = address(&segment).map(|place| place.address);
                (place, segment.data.to_vec())
            })
            .collect()
    }

    #[test]
    fn all_segments_move_and_the_lowest_one_grows_at_its_front() {
        let original = binary(DATA);
        let edited = move_data(&original, 1).unwrap();
        let mut grown = vec![0x69; 32];
        grown.extend_from_slice(b"early");
        assert_eq!(
            segments(&edited),
            [
                (Some(2032), b"late".to_vec()),
                (Some(1000), grown),
                (None, b"passive".to_vec()),
            ]
        );
        let code = |wasm: &[u8]| {
            let sections = Sections::read(wasm).unwrap();
            sections.get(SectionId::Code).unwrap().to_vec()
        };
        assert_eq!(code(&edited), code(&original));
    }

    #[test]
    fn addresses_follow_and_other_numbers_do_not() {
        let edited = move_addresses(&binary(DATA), 0).unwrap();
        let expected = binary(
            &DATA
                .replace("i32.const 2001", "i32.const 2017")
                .replace("offset=1000", "offset=1016"),
        );
        let code = |wasm: &[u8]| {
            let sections = Sections::read(wasm).unwrap();
            sections.get(SectionId::Code).unwrap().to_vec()
        };
        assert_eq!(code(&edited), code(&expected));
        assert_eq!(segments(&edited)[0].0, Some(2016));
    }

    #[test]
    fn data_without_a_constant_address_is_refused() {
        let passive = binary(r#"(module (memory 1) (data "passive"))"#);
        assert!(move_data(&passive, 0).is_err());
    }
}
