//! Random numbers that are the same everywhere.

/// A generator of random numbers (SplitMix64): one seed, one sequence, on every machine.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The sequence of `seed`.
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`; 0 if `bound` is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        match bound as u64 {
            0 => 0,
            bound => (self.number() % bound) as usize,
        }
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// One of `choices`.
    ///
    /// # Panics
    ///
    /// Panics if there are none.
    pub fn pick<'c, T>(&mut self, choices: &'c [T]) -> &'c T {
        &choices[self.below(choices.len())]
    }

    /// One of `choices`, to be changed.
    ///
    /// # Panics
    ///
    /// Panics if there are none.
    pub fn pick_mut<'c, T>(&mut self, choices: &'c mut [T]) -> &'c mut T {
        &mut choices[self.below(choices.len())]
    }

    /// `length` random bytes.
    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        let words = std::iter::repeat_with(|| self.number().to_le_bytes());
        words
            .take(length.div_ceil(8))
            .flatten()
            .take(length)
            .collect()
    }

    /// Bytes for one case of a target.
    pub fn case(&mut self) -> Vec<u8> {
        let length = 64 << self.below(7);
        let more = self.below(length);
        self.bytes(length + more)
    }

    /// Puts `items` into another order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

/// What the bytes of a case are used for: the first eight decide everything but the
/// module, the rest is the module's.
pub(crate) fn split(data: &[u8]) -> (Random, &[u8]) {
    let (seed, rest) = data.split_at(data.len().min(8));
    let mut word = [0; 8];
    word[..seed.len()].copy_from_slice(seed);
    (Random::new(u64::from_le_bytes(word)), rest)
}
