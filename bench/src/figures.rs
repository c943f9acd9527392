//! Times and ratios.

use serde::Serialize;
use std::time::Instant;

/// What was measured several times, in the order of the rounds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// The median.
    pub median: f64,
    /// Each value.
    pub runs: Vec<f64>,
}

impl Figure {
    /// The figure of `runs`; `None` if there are none.
    ///
    /// ```
    /// use ibid_bench::figures::Figure;
    ///
    /// assert_eq!(Figure::of(vec![3.0, 1.0, 2.0]).unwrap().median, 2.0);
    /// assert_eq!(Figure::of(vec![4.0, 1.0]).unwrap().median, 2.5);
    /// assert_eq!(Figure::of(vec![]), None);
    /// ```
    pub fn of(runs: Vec<f64>) -> Option<Figure> {
        let mut sorted = runs.clone();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().checked_sub(1)?;
        let median = (sorted[last / 2] + sorted[last.div_ceil(2)]) / 2.0;
        Some(Figure { median, runs })
    }

    /// The ratio of this to `other`: the median of the rounds' ratios.
    ///
    /// If the other was measured in fewer rounds, the same inputs came again in that order, so
    /// that its first value belongs to the next round.
    ///
    /// ```
    /// use ibid_bench::figures::Figure;
    ///
    /// let edited = Figure::of(vec![1.0, 4.0, 2.0, 4.0]).unwrap();
    /// let cold = Figure::of(vec![10.0, 20.0]).unwrap();
    /// assert_eq!(edited.ratio(&cold), 0.2);
    /// ```
    pub fn ratio(&self, other: &Figure) -> f64 {
        let others = other.runs.iter().cycle();
        let ratios = self.runs.iter().zip(others).map(|(a, b)| a / b).collect();
        Figure::of(ratios).map_or(f64::NAN, |ratios| ratios.median)
    }
}

/// Does `work`, and says how many milliseconds that took.
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let start = Instant::now();
    let result = work();
    (result, start.elapsed().as_secs_f64() * 1e3)
}
