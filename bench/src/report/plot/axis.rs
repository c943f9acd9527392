//! Axes: from values to places.

/// An axis with a logarithmic scale of whole decades.
pub(super) struct Logarithmic {
    from: i32,
    to: i32,
}

impl Logarithmic {
    /// The axis that has all positive `values`.
    pub(super) fn over(values: impl Iterator<Item = f64>) -> Logarithmic {
        let (mut least, mut most) = (f64::INFINITY, 0.0f64);
        for value in values.filter(|value| *value > 0.0 && value.is_finite()) {
            least = least.min(value);
            most = most.max(value);
        }
        if most == 0.0 {
            return Logarithmic { from: 0, to: 1 };
        }
        let from = least.log10().floor() as i32;
        let to = (most.log10().ceil() as i32).max(from + 1);
        Logarithmic { from, to }
    }

    /// Where `value` is: 0 at one end, 1 at the other.
    pub(super) fn place(&self, value: f64) -> f64 {
        let place = (value.log10() - f64::from(self.from)) / f64::from(self.to - self.from);
        place.clamp(0.0, 1.0)
    }

    /// The decades.
    pub(super) fn ticks(&self) -> impl Iterator<Item = f64> {
        (self.from..=self.to).map(|power| 10f64.powi(power))
    }
}

/// An axis with a linear scale that begins at 0.
pub(super) struct Linear {
    step: f64,
    steps: u32,
}

impl Linear {
    /// The axis that has all `values`.
    pub(super) fn over(values: impl Iterator<Item = f64>) -> Linear {
        let most = values.filter(|value| value.is_finite()).fold(0.0, f64::max);
        if most <= 0.0 {
            return Linear {
                step: 1.0,
                steps: 1,
            };
        }
        let decade = 10f64.powf((most / 4.0).log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0]
            .map(|digit| digit * decade)
            .into_iter()
            .find(|step| most / step <= 5.0)
            .unwrap_or(most);
        Linear {
            step,
            steps: (most / step).ceil() as u32,
        }
    }

    /// Where `value` is: 0 at one end, 1 at the other.
    pub(super) fn place(&self, value: f64) -> f64 {
        value / (self.step * f64::from(self.steps))
    }

    /// Round values.
    pub(super) fn ticks(&self) -> impl Iterator<Item = f64> {
        (0..=self.steps).map(|i| self.step * f64::from(i))
    }
}

/// A tick's label.
pub(super) fn label(value: f64) -> String {
    if value >= 1e6 {
        format!("{} M", value / 1e6)
    } else if value >= 1e4 {
        format!("{} k", value / 1e3)
    } else {
        // What is left of a binary fraction behind six digits is noise.
        let text = format!("{value:.6}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decades_hold_all_values() {
        let axis = Logarithmic::over([0.03, 80.0].into_iter());
        let ticks: Vec<_> = axis.ticks().map(label).collect();
        assert_eq!(ticks, ["0.01", "0.1", "1", "10", "100"]);
        assert_eq!(axis.place(0.01), 0.0);
        assert_eq!(axis.place(1.0), 0.5);
        assert_eq!(axis.place(100.0), 1.0);
    }

    #[test]
    fn steps_are_round() {
        let axis = Linear::over([0.0, 8.7].into_iter());
        let ticks: Vec<_> = axis.ticks().map(label).collect();
        assert_eq!(ticks, ["0", "2", "4", "6", "8", "10"]);
        assert_eq!(axis.place(5.0), 0.5);
    }

    #[test]
    fn nothing_has_an_axis_too() {
        assert_eq!(Linear::over(std::iter::empty()).ticks().count(), 2);
        assert_eq!(Logarithmic::over(std::iter::empty()).ticks().count(), 2);
    }
}
