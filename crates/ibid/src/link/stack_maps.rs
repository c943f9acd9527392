//! The section `.wasmtime.stackmap`, as `StackMapSection` of `wasmtime-environ` 48.0.8
//! writes it, little-endian words:
//!
//! ```text
//! number of stack maps
//! offset in the text, each     where its data begins, in words, each
//! data: frame size │ number of words of bits │ bits, a slot of four bytes each
//! ```

use super::{Linkable, Misfit};
use crate::bytes::Writer;

/// The section; `None` if no stack map holds a reference.
pub(super) fn section(
    functions: &[Linkable<'_>],
    starts: &[u32],
) -> Result<Option<Vec<u8>>, Misfit> {
    let (mut offsets, mut positions, mut data) = (Vec::new(), Vec::new(), Vec::new());
    for (function, start) in functions.iter().zip(starts) {
        for map in function.code.stack_maps() {
            let (offset, frame_size, frame_offsets) = map?;
            if frame_offsets.is_empty() {
                continue;
            }
            offsets.push(start.wrapping_add(offset));
            positions.push(data.len() as u32);
            data.push(frame_size);
            let mut bits: Vec<u32> = Vec::new();
            for slot in frame_offsets.iter() {
                let (word, bit) = ((slot / 128) as usize, slot / 4 % 32);
                if !slot.is_multiple_of(4) || word >= LARGEST_FRAME_WORDS {
                    return Err(Misfit);
                }
                if bits.len() <= word {
                    bits.resize(word + 1, 0);
                }
                bits[word] |= 1 << bit;
            }
            data.push(bits.len() as u32);
            data.extend(bits);
        }
    }
    if offsets.is_empty() {
        return Ok(None);
    }
    let mut out = Writer::with_capacity(4 + 4 * (2 * offsets.len() + data.len()));
    out.u32(offsets.len());
    for column in [offsets, positions, data] {
        column.into_iter().for_each(|word| out.word(word));
    }
    Ok(Some(out.into_bytes()))
}

/// Beyond any frame: bits of 64 MiB of it.
const LARGEST_FRAME_WORDS: usize = 1 << 19;
