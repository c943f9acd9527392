//! How long functions take to compile, as far as it was seen.
//!
//! The value of the entry, 8 bytes: nanoseconds on one thread for a byte of a function's body, a
//! 64-bit floating-point number, little-endian. It is a mean that forgets: a compile counts for as
//! much of it as it compiled, beside what a megabyte compiled before counts for.

/// Compiles of less than this do not count, in bytes of bodies: their time is mostly chance.
const LEAST_BYTES: u64 = 4096;

/// What all earlier compiles count for together, in bytes of bodies.
const MEMORY_BYTES: f64 = 1e6;

/// Rates above this are no rates: a second for a byte.
const MOST: f64 = 1e9;

/// Nanoseconds on one thread for a byte of a function's body.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rate(f64);

impl Rate {
    /// The rate after a compile of `bytes` in `nanoseconds`; `None` if that was too little to tell.
    pub(crate) fn after(before: Option<Rate>, bytes: u64, nanoseconds: u64) -> Option<Rate> {
        if bytes < LEAST_BYTES {
            return None;
        }
        let now = nanoseconds as f64 / bytes as f64;
        let weight = bytes as f64 / (bytes as f64 + MEMORY_BYTES);
        let rate = before.map_or(now, |Rate(before)| before + (now - before) * weight);
        is_sound(rate).then_some(Rate(rate))
    }

    pub(crate) fn write(self) -> Vec<u8> {
        self.0.to_le_bytes().to_vec()
    }

    pub(crate) fn read(bytes: &[u8]) -> Option<Rate> {
        let rate = f64::from_le_bytes(bytes.try_into().ok()?);
        is_sound(rate).then_some(Rate(rate))
    }

    /// How many milliseconds functions of these lengths take on `threads` threads: no less than the
    /// longest one.
    pub(crate) fn milliseconds(self, total_bytes: u64, longest: u64, threads: usize) -> f64 {
        let shared = total_bytes as f64 / threads.max(1) as f64;
        shared.max(longest as f64) * self.0 / 1e6
    }
}

fn is_sound(rate: f64) -> bool {
    rate > 0.0 && rate <= MOST
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_mean_of_what_was_seen() {
        assert_eq!(Rate::after(None, 4095, 1_000_000), None);
        let first = Rate::after(None, 10_000, 2_000_000).unwrap();
        assert_eq!(first, Rate(200.0));
        let second = Rate::after(Some(first), 1_000_000, 400_000_000).unwrap();
        assert_eq!(second, Rate(300.0));
        assert_eq!(Rate::read(&second.write()), Some(second));
    }

    #[test]
    fn nonsense_is_no_rate() {
        for rate in [f64::NAN, f64::INFINITY, -1.0, 0.0, 1e300] {
            assert_eq!(Rate::read(&rate.to_le_bytes()), None);
        }
        assert_eq!(Rate::read(b"short"), None);
    }

    #[test]
    fn the_longest_function_bounds_the_time() {
        let rate = Rate(1000.0);
        assert_eq!(rate.milliseconds(8_000, 1_000, 4), 2.0);
        assert_eq!(rate.milliseconds(8_000, 6_000, 4), 6.0);
        assert_eq!(rate.milliseconds(8_000, 1_000, 0), 8.0);
    }
}
