//! Times on the command line.

use std::time::Duration;

/// A number of seconds, with a fraction if need be.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    let number = text.strip_suffix('s').unwrap_or(text).parse::<f64>().ok();
    number
        .filter(|seconds| (0.001..=3600.0).contains(seconds))
        .map(Duration::from_secs_f64)
        .ok_or_else(|| "a time is a number of seconds, from 0.001 to 3600, as in 2 or 0.5".into())
}

/// A number of days, hours or minutes.
pub(super) fn age(text: &str) -> Result<Duration, String> {
    const UNITS: [(char, u64); 3] = [('d', 24 * 60 * 60), ('h', 60 * 60), ('m', 60)];
    let parse = |(unit, seconds): (char, u64)| {
        let number: u64 = text.strip_suffix(unit)?.trim().parse().ok()?;
        number.checked_mul(seconds).map(Duration::from_secs)
    };
    let age = UNITS.into_iter().find_map(parse);
    age.ok_or_else(|| "an age is a number and a unit, as in 30d, 12h or 90m".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        assert_eq!(seconds("2"), Ok(Duration::from_secs(2)));
        assert_eq!(seconds("0.5s"), Ok(Duration::from_millis(500)));
        for wrong in ["", "0", "-1", "two", "1e9", "NaN"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
        assert_eq!(age("30d"), Ok(Duration::from_secs(30 * 24 * 60 * 60)));
        assert_eq!(age("90 m"), Ok(Duration::from_secs(90 * 60)));
        for wrong in ["", "30", "d", "30y", "-1d"] {
            assert!(age(wrong).is_err(), "{wrong}");
        }
    }
}
