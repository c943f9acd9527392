//! What becomes of each slot while its uses are found out.

use std::ops::Range;

/// Which slots stay slots. Slots that one value may hold alike share their fate.
pub(super) struct Fates {
    /// By slot: another one of the same fate, or itself.
    same: Vec<u32>,
    literal: Vec<bool>,
    /// Constants that were added to addresses, where the compiler sees a constant.
    addends: Vec<(u32, i32)>,
    /// Constants that were added to addresses where they are accessed.
    folded: Vec<(u32, i32)>,
    /// What is added to addresses whose complements indices are compared with.
    checked: Vec<(u32, i32)>,
    /// From where to where constants lie that are no slot's, of those in the range in which
    /// slots' are.
    others: Vec<(i64, i64)>,
    range: Range<i64>,
    /// Of those that are elsewhere, the ones that a sentinel could be.
    large: Vec<u32>,
    /// The compiler may make constants up to this of others, in ways that are not followed.
    made: u32,
    /// By slot: the largest constant that may be folded into it besides these.
    reach: Vec<u32>,
}

/// The constants that the compiler may see of slots: slot and what is added to its address,
/// sorted.
pub(super) struct Numbers {
    /// Where it sees a constant.
    pub(super) constants: Vec<(u32, i32)>,
    /// In addresses of accesses.
    pub(super) folded: Vec<(u32, i32)>,
    /// Where it sees the complement.
    pub(super) checked: Vec<(u32, i32)>,
    /// From where to where constants lie that are no slot's.
    pub(super) others: Vec<(i64, i64)>,
    /// Those that a sentinel could be.
    pub(super) large: Vec<u32>,
    /// Any constant up to this may be there.
    pub(super) made: u32,
}

/// No address is larger than this.
const HIGHEST: i64 = 1 << 31;

impl Fates {
    /// Of slots whose numbers are all in `range`.
    pub(super) fn new(slots: usize, range: Range<i64>) -> Fates {
        Fates {
            range,
            large: Vec::new(),
            made: 0,
            same: (0..slots as u32).collect(),
            literal: vec![false; slots],
            addends: Vec::new(),
            folded: Vec::new(),
            checked: Vec::new(),
            others: Vec::new(),
            reach: vec![0; slots],
        }
    }

    /// What was found out before, without the numbers.
    pub(super) fn found(same: Vec<u32>, literal: Vec<bool>, reach: Vec<u32>) -> Fates {
        Fates {
            same,
            literal,
            reach,
            ..Fates::new(0, 0..0)
        }
    }

    /// The slot that stands for all of the same fate.
    pub(super) fn root(&self, mut slot: u32) -> u32 {
        while self.same[slot as usize] != slot {
            slot = self.same[slot as usize];
        }
        slot
    }

    /// The slot's value is part of the stencil.
    pub(super) fn literal(&mut self, slot: u32) {
        let root = self.root(slot);
        self.literal[root as usize] = true;
    }

    pub(super) fn unite(&mut self, a: u32, b: u32) {
        let (a, b) = (self.root(a), self.root(b));
        if a != b {
            self.same[b as usize] = a;
            self.literal[a as usize] |= self.literal[b as usize];
            self.reach[a as usize] = self.reach[a as usize].max(self.reach[b as usize]);
        }
    }

    pub(super) fn is_literal(&self, slot: u32) -> bool {
        self.literal[self.root(slot) as usize]
    }

    /// The compiler may see the constant that is the slot's value and `addend`.
    pub(super) fn add(&mut self, slot: u32, addend: i32) {
        if self.addends.last() != Some(&(slot, addend)) {
            self.addends.push((slot, addend));
        }
    }

    /// Memory is accessed at the slot's value and `addend`.
    pub(super) fn fold(&mut self, slot: u32, addend: i32) {
        if self.folded.last() != Some(&(slot, addend)) {
            self.folded.push((slot, addend));
        }
    }

    /// A constant of up to `bound` may be folded into the slot's value.
    pub(super) fn reach(&mut self, slot: u32, bound: u32) {
        let root = self.root(slot) as usize;
        self.reach[root] = self.reach[root].max(bound);
    }

    pub(super) fn reach_of(&self, slot: u32) -> u32 {
        self.reach[self.root(slot) as usize]
    }

    /// An index is compared with the complement of the slot's value and `addend`.
    pub(super) fn check(&mut self, slot: u32, addend: i32) {
        self.checked.push((slot, addend));
    }

    pub(super) fn numbers(&mut self) -> Numbers {
        let [constants, folded, checked] = [&mut self.addends, &mut self.folded, &mut self.checked]
            .map(|list| {
                let mut list = std::mem::take(list);
                list.sort_unstable();
                list.dedup();
                list
            });
        let mut others = std::mem::take(&mut self.others);
        let made = i64::from(self.made);
        others.push((-made, made));
        join_overlapping(&mut others);
        self.large.sort_unstable();
        self.large.dedup();
        Numbers {
            constants,
            folded,
            checked,
            others,
            large: std::mem::take(&mut self.large),
            made: self.made,
        }
    }

    /// The compiler may make a constant of this magnitude, or any smaller one, of others that
    /// are no slots'.
    pub(super) fn made(&mut self, bound: u32) {
        self.made = self.made.max(bound);
    }

    /// The compiler sees a constant that is no slot's. As a number of 32 bits it is another one,
    /// and the compiler makes its negative and its complement of it, and what is next to it.
    pub(super) fn number(&mut self, value: i64) {
        let narrow = value as u32;
        let mut number = |number: i64| {
            if self.range.contains(&number) {
                let around = (number - 1, number + 1);
                if self.others.last() != Some(&around) {
                    self.others.push(around);
                }
            }
            if (super::LARGE.into()..HIGHEST).contains(&number) {
                self.large.push(number as u32);
            }
        };
        number(value);
        number(value.wrapping_neg());
        if i64::from(narrow) != value {
            number(narrow.into());
        }
        number(narrow.wrapping_neg().into());
    }

    /// The compiler sees the complement of a number that is no slot's.
    pub(super) fn complement(&mut self, number: i64) {
        let complement = number.wrapping_neg();
        self.others.push((complement, complement));
    }
}

/// Makes ranges that overlap one, and sorts them.
fn join_overlapping(ranges: &mut Vec<(i64, i64)>) {
    ranges.sort_unstable();
    ranges.dedup_by(|next, kept| {
        let overlap = next.0 <= kept.1;
        if overlap {
            kept.1 = kept.1.max(next.1);
        }
        overlap
    });
}
