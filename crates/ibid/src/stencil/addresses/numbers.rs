//! Constants that a value may turn out to be, or shows to the rules of the compiler.

use super::value::{ANY, magnitude};

/// No more than this many are told apart.
const MOST: usize = 24;

/// A few constants.
#[derive(Clone, Copy, Debug)]
pub(super) struct Few {
    numbers: [i64; MOST],
    count: u8,
}

/// Constants of a value: a few, or all up to a bound.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shown {
    Few(Few),
    Bound(u32),
}

/// The constants of all values that may turn out to be one.
#[derive(Debug)]
pub(super) struct Sets(Vec<Few>);

impl Few {
    pub(super) const fn none() -> Few {
        Few {
            numbers: [0; MOST],
            count: 0,
        }
    }

    pub(super) fn of(numbers: impl IntoIterator<Item = i64>) -> Shown {
        let mut few = Few::none();
        let mut largest = 0;
        let mut all = true;
        for number in numbers {
            largest = largest.max(magnitude(number));
            all = all && few.insert(number);
        }
        if all {
            Shown::Few(few)
        } else {
            Shown::Bound(largest)
        }
    }

    /// Whether there was room.
    fn insert(&mut self, number: i64) -> bool {
        if self.numbers().contains(&number) {
            return true;
        }
        let Some(place) = self.numbers.get_mut(usize::from(self.count)) else {
            return false;
        };
        *place = number;
        self.count += 1;
        true
    }

    pub(super) fn numbers(&self) -> &[i64] {
        &self.numbers[..usize::from(self.count)]
    }
}

impl Shown {
    /// A bound on the constants.
    pub(super) fn bound(&self) -> u32 {
        match self {
            Shown::Few(few) => few
                .numbers()
                .iter()
                .map(|n| magnitude(*n))
                .max()
                .unwrap_or(0),
            Shown::Bound(bound) => *bound,
        }
    }
}

impl Default for Sets {
    fn default() -> Sets {
        let few = |numbers: &[i64]| match Few::of(numbers.iter().copied()) {
            Shown::Few(few) => few,
            Shown::Bound(_) => Few::none(),
        };
        Sets(vec![few(&[0]), few(&[0, 1]), few(&[0, -1]), few(&[-1])])
    }
}

impl Sets {
    /// The sets of zero, of zero and one, of zero and minus one, and of minus one.
    pub(super) const ZERO: u32 = 0;
    pub(super) const FLAG: u32 = 1;
    pub(super) const NONE_OR_ALL: u32 = 2;
    pub(super) const ALL: u32 = 3;

    /// Forgets all sets but those.
    pub(super) fn clear(&mut self) {
        self.0.truncate(4);
    }

    pub(super) fn get(&self, set: u32) -> Shown {
        let few = self.0.get(set as usize);
        few.map_or(Shown::Bound(ANY), |few| Shown::Few(*few))
    }

    pub(super) fn push(&mut self, few: Few) -> u32 {
        if let [0] = few.numbers() {
            return Sets::ZERO;
        }
        self.0.push(few);
        self.0.len() as u32 - 1
    }
}
