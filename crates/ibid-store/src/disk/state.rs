//! Which generation is current.
//!
//! One record in the table `state`, under the key `state`:
//!
//! ```text
//! offset  size  field
//!      0     1  format version, 2
//!      1     1  current generation, 0, 1 or 2: the table `small-0`, `small-1` or `small-2`
//!      2     8  how often generations have changed so far, little-endian
//! ```
//!
//! The table before it, in a circle, is the older generation, and the one after it is being
//! cleared. A record that is missing or makes no sense counts as one of zeros. Nothing can go wrong
//! by that: what is in no generation that is looked into is a miss.

use super::environment::{Table, Tables};
use heed::{RoTxn, RwTxn};

const FORMAT_VERSION: u8 = 2;
const GENERATIONS: u8 = 3;
const KEY: &[u8] = b"state";

/// Which generation is current.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct State {
    current: u8,
    /// How often generations have changed so far.
    pub(super) rotations: u64,
}

impl State {
    pub(super) fn read(tables: &Tables, txn: &RoTxn<'_>) -> heed::Result<Self> {
        Ok(tables.state.get(txn, KEY)?.map(decode).unwrap_or_default())
    }

    pub(super) fn write(&self, tables: &Tables, txn: &mut RwTxn<'_>) -> heed::Result<()> {
        tables.state.put(txn, KEY, &self.encode())
    }

    /// The state after a change of generations.
    pub(super) fn rotated(&self) -> Self {
        State {
            current: (self.current + 1) % GENERATIONS,
            rotations: self.rotations.wrapping_add(1),
        }
    }

    /// The generation that entries are added to.
    pub(super) fn current(&self, tables: &Tables) -> Table {
        tables.small[usize::from(self.current)]
    }

    /// The generation before the current one.
    pub(super) fn older(&self, tables: &Tables) -> Table {
        tables.small[usize::from((self.current + 2) % GENERATIONS)]
    }

    /// The generation that is being cleared, and becomes the current one next.
    pub(super) fn dying(&self, tables: &Tables) -> Table {
        tables.small[usize::from((self.current + 1) % GENERATIONS)]
    }

    fn encode(&self) -> [u8; 10] {
        let mut bytes = [0; 10];
        bytes[0] = FORMAT_VERSION;
        bytes[1] = self.current;
        bytes[2..].copy_from_slice(&self.rotations.to_le_bytes());
        bytes
    }
}

fn decode(bytes: &[u8]) -> State {
    match bytes {
        [FORMAT_VERSION, current @ 0..GENERATIONS, rotations @ ..] if rotations.len() == 8 => {
            State {
                current: *current,
                rotations: u64::from_le_bytes(rotations.try_into().expect("8 bytes")),
            }
        }
        _ => State::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_as_drawn() {
        let state = State {
            current: 1,
            rotations: 0x0102,
        };
        assert_eq!(state.encode(), [2, 1, 2, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(decode(&state.encode()), state);
        assert_eq!(decode(&State::default().encode()), State::default());
    }

    #[test]
    fn nonsense_counts_as_zeros() {
        for bytes in [
            &[][..],
            &[2, 3, 0, 0, 0, 0, 0, 0, 0, 0],
            &[1, 1, 0, 0, 0, 0, 0, 0, 0, 0],
            &[2, 1, 0],
        ] {
            assert_eq!(decode(bytes), State::default());
        }
    }
}
