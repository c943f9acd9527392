//! What a module says that decides which of its constants may be addresses.

use super::SMALLEST;
use crate::bytes::Writer;
use crate::stencil::Digest;
use std::ops::RangeInclusive;
use target_lexicon::Architecture;
use wasmtime_environ::{Memory, MemoryKind, MemoryTunables, Module, Tunables};

/// Constants from here on are no addresses: with what is folded into them they must stay
/// positive as signed 32-bit numbers.
const HIGHEST: u64 = (1 << 31) - (1 << 20);

/// No access is larger than this, in bytes.
const LARGEST_ACCESS: u64 = 16;

/// Which constants of a module's bodies may be addresses.
#[derive(Debug)]
pub(crate) struct AddressFacts {
    /// Addresses are no smaller than this, and below the end.
    start: u64,
    end: u64,
    memories: Vec<MemoryFacts>,
    /// Of what is said of the memories here.
    pub(crate) digest: Digest,
}

/// What decides how an access to a memory is checked.
#[derive(Debug)]
struct MemoryFacts {
    /// The smallest size, in bytes, and the largest.
    least: u64,
    largest: u64,
    /// The largest offset of an access whose bounds are not checked, whatever its index is.
    unchecked: Option<u32>,
    /// With a larger offset, the index is compared with 2^32 less offset and size.
    complement: bool,
}

impl AddressFacts {
    /// The facts of `module`. `slots` is the address at which its data begins; without it,
    /// and for targets whose rules are not known, no constant is an address.
    pub(crate) fn new(
        module: &Module,
        tunables: &Tunables,
        architecture: Architecture,
        page_size_log2: u8,
        slots: Option<u64>,
    ) -> AddressFacts {
        let tunables = MemoryTunables::new(tunables, MemoryKind::LinearMemory);
        let memories: Vec<MemoryFacts> = module
            .memories
            .values()
            .map(|memory| MemoryFacts::new(memory, &tunables, page_size_log2))
            .collect();
        let end = memories
            .iter()
            .map(|memory| memory.least)
            .max()
            .filter(|_| slots.is_some() && architecture == Architecture::X86_64);
        AddressFacts {
            start: slots.unwrap_or(0).max(SMALLEST.into()),
            end: end.unwrap_or(0).min(HIGHEST),
            digest: digest(&memories),
            memories,
        }
    }

    /// Whether a constant, or the offset of an access, may be an address.
    #[inline]
    pub(crate) fn is_candidate(&self, value: u64) -> bool {
        (self.start..self.end).contains(&value) && !is_mask(value)
    }

    /// Whether accesses with this offset need no check of bounds, whatever is accessed.
    pub(crate) fn is_unchecked(&self, memory: u32, offset: u64) -> bool {
        let facts = self.memories.get(memory as usize);
        facts.is_some_and(|memory| memory.unchecked.is_some_and(|limit| offset <= limit.into()))
    }

    /// Whether an access always traps, whatever its index is: what follows is not translated.
    /// `None` if that depends on its size.
    pub(crate) fn is_beyond(&self, memory: u32, offset: u64) -> Option<bool> {
        let memory = self.memories.get(memory as usize)?;
        if offset >= memory.largest {
            Some(true)
        } else {
            let end = offset.checked_add(LARGEST_ACCESS)?;
            (end <= memory.largest).then_some(false)
        }
    }

    /// Whether an access to the memory at a constant index needs no check of bounds: the
    /// memory is never smaller.
    pub(crate) fn is_within(&self, memory: u32, offset: u64, index: i64) -> bool {
        let Some(memory) = self.memories.get(memory as usize) else {
            return false;
        };
        u64::try_from(index)
            .ok()
            .and_then(|index| index.checked_add(offset)?.checked_add(LARGEST_ACCESS))
            .is_some_and(|end| end <= memory.least)
    }

    /// Whether a check of an access with a larger offset than those that need none compares
    /// the index with the offset's complement.
    pub(crate) fn is_complement_checked(&self, memory: u32, offset: u64) -> bool {
        let facts = self.memories.get(memory as usize);
        // Near the limit it depends on the size of the access.
        let far = |limit: u32| offset > u64::from(limit) + LARGEST_ACCESS;
        facts.is_some_and(|memory| memory.complement && memory.unchecked.is_some_and(far))
            && self.is_within(memory, offset, 0)
    }

    /// Whether checks of such offsets compare with their complements.
    pub(crate) fn has_complements(&self, memory: u32) -> bool {
        let facts = self.memories.get(memory as usize);
        facts.is_some_and(|memory| memory.complement && memory.unchecked.is_some())
    }

    /// From where to where every offset of an access, with any index up to this constant one, is
    /// [within](Self::is_within) the memory, not [beyond](Self::is_beyond) it, and
    /// [checked by its complement](Self::is_complement_checked) as all of them are.
    pub(crate) fn settled(&self, memory: u32, index: i64) -> Option<RangeInclusive<u32>> {
        let memory = self.memories.get(memory as usize)?;
        let first = memory
            .unchecked
            .map_or(0, |limit| u64::from(limit) + LARGEST_ACCESS + 1);
        let least = memory.least.min(memory.largest);
        let last = least.checked_sub(LARGEST_ACCESS)?;
        let last = last.checked_sub(u64::try_from(index).ok()?)?.min(HIGHEST);
        let [first, last] = [first, last].map(|end| u32::try_from(end).ok());
        Some(first?..=last?).filter(|settled| !settled.is_empty())
    }

    /// Whether indices of the first memory are 32 bits wide and its accesses mostly unchecked.
    pub(crate) fn is_first_unchecked(&self) -> bool {
        self.is_unchecked(0, 0)
    }

    /// The numbers that may stand for offsets of accesses that need no check, to any memory.
    pub(crate) fn near_offsets(&self) -> (u32, u32) {
        let limits = self.memories.iter().filter_map(|memory| memory.unchecked);
        (0, limits.min().unwrap_or(0))
    }

    /// The numbers that may stand for larger offsets; with an index of zero every memory
    /// always has what lies there.
    pub(crate) fn far_offsets(&self) -> (u32, u32) {
        let memories = self.memories.iter();
        let first = memories.clone().filter_map(|memory| memory.unchecked).max();
        let least = memories.map(|memory| memory.least).min().unwrap_or(0);
        let last = least.min(HIGHEST).saturating_sub(LARGEST_ACCESS);
        let first = first.map_or(0, |limit| limit + LARGEST_ACCESS as u32 + 1);
        (first, last as u32)
    }
}

fn digest(memories: &[MemoryFacts]) -> Digest {
    let mut out = Writer::default();
    for memory in memories {
        let MemoryFacts {
            least,
            largest,
            unchecked,
            complement,
        } = memory;
        out.raw(&least.to_le_bytes());
        out.raw(&largest.to_le_bytes());
        out.raw(&[u8::from(unchecked.is_some()), u8::from(*complement)]);
        out.word(unchecked.unwrap_or(0));
    }
    Digest::of("memories", out.as_bytes())
}

/// Whether a number's ones are all next to each other: the compiler makes such numbers of its
/// own, for masks and shifts.
#[inline]
fn is_mask(value: u64) -> bool {
    let lowest = value & value.wrapping_neg();
    value & value.wrapping_add(lowest) == 0
}

impl MemoryFacts {
    /// The cases of `bounds_check_field_access` in `bounds_checks.rs`.
    fn new(memory: &Memory, tunables: &MemoryTunables<'_>, page_size_log2: u8) -> MemoryFacts {
        let elided = memory.can_elide_bounds_check(tunables, page_size_log2)
            && tunables.tunables().signals_based_traps;
        let largest = memory.maximum_byte_size().unwrap_or(u64::MAX);
        let limit = (tunables.reservation() + tunables.guard_size())
            .checked_sub(u64::from(u32::MAX))
            .and_then(|slack| slack.min(largest).min(HIGHEST).checked_sub(LARGEST_ACCESS));
        let least = memory.minimum_byte_size().unwrap_or(0);
        MemoryFacts {
            least,
            largest,
            unchecked: limit.filter(|_| elided).map(|limit| limit as u32),
            // Its case for memories whose bound is their reservation.
            complement: elided
                && tunables.reservation() == 1 << 32
                && least <= tunables.reservation()
                && !memory.memory_may_move(tunables),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_settled_is_what_the_checks_say() {
        const MEBIBYTE: u64 = 1 << 20;
        let mut asked = 0;
        for (least, unchecked, complement) in [
            (64 * MEBIBYTE, Some(32 << 20), true),
            (64 * MEBIBYTE, Some(32 << 20), false),
            (64 * MEBIBYTE, Some(0), true),
            (64 * MEBIBYTE, None, false),
            (16 * MEBIBYTE, Some(32 << 20), true),
            (0, None, true),
            (1 << 32, Some(32 << 20), true),
        ] {
            let memory = MemoryFacts {
                least,
                largest: least.max(1 << 16),
                unchecked,
                complement,
            };
            let facts = AddressFacts {
                start: 0,
                end: HIGHEST,
                memories: vec![memory],
                digest: Digest::default(),
            };
            let limit = u64::from(unchecked.unwrap_or(0));
            for index in [0, 1, 4096] {
                let ends = [limit, limit + 17, least, least.saturating_sub(16), HIGHEST];
                for offset in ends.into_iter().flat_map(|end| {
                    let around = [0, 1, 15, 16, 17, 4095, 4096, 4097];
                    around
                        .into_iter()
                        .flat_map(move |by| [end.saturating_sub(by), end + by])
                }) {
                    let settled = facts.settled(0, index).is_some_and(|settled| {
                        u32::try_from(offset).is_ok_and(|offset| settled.contains(&offset))
                    });
                    if settled {
                        asked += 1;
                        assert!(facts.is_within(0, offset, index));
                        assert!(!facts.is_unchecked(0, offset) || unchecked.is_none());
                        assert_eq!(facts.is_beyond(0, offset), Some(false));
                        assert_eq!(
                            facts.is_complement_checked(0, offset),
                            facts.has_complements(0)
                        );
                    }
                }
            }
        }
        assert!(asked > 100, "{asked}");
    }
}
