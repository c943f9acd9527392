//! Random numbers that are the same in every run.

/// A generator of random numbers: SplitMix64.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Random {
        Random(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number of at least 0 and less than 1, each as likely.
    pub(super) fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub(super) fn between(&mut self, least: f64, most: f64) -> f64 {
        least + (most - least) * self.fraction()
    }

    /// A number below `most`.
    pub(super) fn below(&mut self, most: usize) -> usize {
        ((self.fraction() * most as f64) as usize).min(most - 1)
    }

    pub(super) fn chance(&mut self, probability: f64) -> bool {
        self.fraction() < probability
    }

    /// A number of the standard normal distribution, by Box and Muller.
    fn normal(&mut self) -> f64 {
        let (radius, angle) = (1.0 - self.fraction(), self.fraction());
        (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
    }

    /// A number of the lognormal distribution with this median and this 99th percentile.
    pub(super) fn lognormal(&mut self, (median, p99): (f64, f64)) -> f64 {
        /// Where the standard normal distribution has its 99th percentile.
        const P99: f64 = 2.326_348;
        let sigma = (p99 / median).ln() / P99;
        median * (sigma * self.normal()).exp()
    }
}

/// Mixes all bits of a number.
pub(super) fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lognormal_distribution_has_its_quantiles() {
        let mut random = Random::new(1);
        let mut values: Vec<f64> = (0..100_000)
            .map(|_| random.lognormal((20.0, 120.0)))
            .collect();
        values.sort_by(f64::total_cmp);
        assert!((values[50_000] - 20.0).abs() < 0.5, "{}", values[50_000]);
        assert!((values[99_000] - 120.0).abs() < 8.0, "{}", values[99_000]);
    }
}
