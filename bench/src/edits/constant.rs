//! An edit: another constant in the body of one function.

use super::sections::Sections;
use anyhow::{Result, ensure};
use std::ops::{Range, RangeInclusive};
use wasm_encoder::{Encode as _, Instruction, SectionId};
use wasmparser::{FunctionBody, Operator};

/// Constants of these values are changed: an address is never that small.
const SMALL: RangeInclusive<i32> = 2..=31;

/// Changes one `i32.const` in the body of a function of middling size near the middle of the
/// module.
///
/// The new value takes one byte more than the old one, so that the body's length changes and all
/// that lies behind it moves. Middling is a size between half and twice the mean of all bodies.
/// Each variant is of another function, as long as there are any; then of other values.
///
/// # Errors
///
/// If the module cannot be read, or no body has a small constant.
pub fn change_constant(wasm: &[u8], variant: u32) -> Result<Vec<u8>> {
    let mut sections = Sections::read(wasm)?;
    let bodies = sections.bodies()?;
    let (place, round) = place(&bodies, variant as usize)?;

    let mut items = Vec::with_capacity(wasm.len());
    for (index, body) in bodies.iter().enumerate() {
        let bytes = body.as_bytes();
        if index == place.body {
            let mut edited = bytes[..place.range.start].to_vec();
            Instruction::I32Const(two_byte_value(place.value, round)).encode(&mut edited);
            edited.extend_from_slice(&bytes[place.range.end..]);
            edited.encode(&mut items);
        } else {
            bytes.encode(&mut items);
        }
    }
    let count = bodies.len() as u32;
    sections.set_items(SectionId::Code, count, &items);
    Ok(sections.finish())
}

/// A value of 64 to 127, of which one byte of LEB128 holds none and two hold all.
fn two_byte_value(old: i32, round: usize) -> i32 {
    64 + (old + 13 * (round % 64) as i32) % 64
}

/// Where a constant is.
struct Place {
    body: usize,
    /// The instruction's bytes in the body.
    range: Range<usize>,
    value: i32,
}

/// The place of the edit number `variant`, and how often all places have had one before.
fn place(bodies: &[FunctionBody<'_>], variant: usize) -> Result<(Place, usize)> {
    let total: usize = bodies.iter().map(|body| body.as_bytes().len()).sum();
    let mean = total / bodies.len().max(1);
    let middling = |index: &usize| {
        let bytes = bodies[*index].as_bytes().len();
        (mean / 2..=2 * mean).contains(&bytes)
    };
    // From the middle outwards, those of middling size first.
    let mut order: Vec<usize> = (0..bodies.len()).collect();
    order.sort_by_key(|index| (!middling(index), index.abs_diff(bodies.len() / 2)));

    let mut places = 0;
    for index in order.iter().copied() {
        if let Some(place) = constant(index, &bodies[index])? {
            if places == variant {
                return Ok((place, 0));
            }
            places += 1;
        }
    }
    ensure!(places > 0, "no function has a small constant to change");
    let (mut wanted, round) = (variant % places, variant / places);
    for index in order {
        if let Some(place) = constant(index, &bodies[index])? {
            if wanted == 0 {
                return Ok((place, round));
            }
            wanted -= 1;
        }
    }
    unreachable!("there are as many places as were counted")
}

/// The first small constant of a body.
fn constant(index: usize, body: &FunctionBody<'_>) -> Result<Option<Place>> {
    let base = body.range().start;
    let mut operators = body.get_operators_reader()?;
    while !operators.eof() {
        let start = operators.original_position() - base;
        if let Operator::I32Const { value } = operators.read()?
            && SMALL.contains(&value)
        {
            return Ok(Some(Place {
                body: index,
                range: start..operators.original_position() - base,
                value,
            }));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_module::{binary, test_module};

    #[test]
    fn one_body_changes_and_gets_longer() {
        let original = test_module();
        for variant in [0, 1, 7, 1000] {
            let edited = change_constant(&original, variant).unwrap();
            let (before, after) = (
                Sections::read(&original).unwrap(),
                Sections::read(&edited).unwrap(),
            );
            let (before, after) = (before.bodies().unwrap(), after.bodies().unwrap());
            let changed: Vec<_> = before
                .iter()
                .zip(&after)
                .filter(|(before, after)| before.as_bytes() != after.as_bytes())
                .collect();
            assert_eq!(changed.len(), 1);
            let (before, after) = changed[0];
            assert_eq!(before.as_bytes().len() + 1, after.as_bytes().len());
        }
    }

    #[test]
    fn every_round_over_the_places_has_another_value() {
        let mut values: Vec<i32> = (0..64).map(|round| two_byte_value(3, round)).collect();
        values.sort();
        values.dedup();
        assert_eq!(values.len(), 64);
        assert!(values.iter().all(|value| (64..128).contains(value)));
    }

    #[test]
    fn a_module_without_small_constants_is_refused() {
        let wasm = binary("(module (func (result i32) i32.const 70000))");
        let error = change_constant(&wasm, 0).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no function has a small constant to change"
        );
    }
}
