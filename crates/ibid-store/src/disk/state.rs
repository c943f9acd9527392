//! Which generation is current.
//!
//! One record in the table `state`, under the key `state`:
//!
//! ```text
//! offset  size  field
//!      0     1  format version, 1
//!      1     1  current generation, 0 or 1: the table `small-0` or `small-1`
//!      2     8  how often generations have changed so far, little-endian
//! ```
//!
//! A record that is missing or makes no sense counts as one of zeros. Nothing can go wrong by
//! that, for a lookup looks into both generations whichever is current.

use super::environment::{Table, Tables};
use heed::{RoTxn, RwTxn};

const FORMAT_VERSION: u8 = 1;
const KEY: &[u8] = b"state";

/// Which generation is current.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct State {
    current: bool,
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
            current: !self.current,
            rotations: self.rotations.wrapping_add(1),
        }
    }

    /// The generation that entries are added to.
    pub(super) fn current(&self, tables: &Tables) -> Table {
        tables.small[usize::from(self.current)]
    }

    /// The generation that is cleared next.
    pub(super) fn older(&self, tables: &Tables) -> Table {
        tables.small[usize::from(!self.current)]
    }

    fn encode(&self) -> [u8; 10] {
        let mut bytes = [0; 10];
        bytes[0] = FORMAT_VERSION;
        bytes[1] = self.current.into();
        bytes[2..].copy_from_slice(&self.rotations.to_le_bytes());
        bytes
    }
}

fn decode(bytes: &[u8]) -> State {
    match bytes {
        [FORMAT_VERSION, current @ (0 | 1), rotations @ ..] if rotations.len() == 8 => State {
            current: *current == 1,
            rotations: u64::from_le_bytes(rotations.try_into().expect("8 bytes")),
        },
        _ => State::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_as_drawn() {
        let state = State {
            current: true,
            rotations: 0x0102,
        };
        assert_eq!(state.encode(), [1, 1, 2, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(decode(&state.encode()), state);
        assert_eq!(decode(&State::default().encode()), State::default());
    }

    #[test]
    fn nonsense_counts_as_zeros() {
        for bytes in [
            &[][..],
            &[1, 2, 0, 0, 0, 0, 0, 0, 0, 0],
            &[2, 1, 0, 0, 0, 0, 0, 0, 0, 0],
            &[1, 1, 0],
        ] {
            assert_eq!(decode(bytes), State::default());
        }
    }
}
