//! Horizontal bars on a logarithmic scale.

use super::axis::{Logarithmic, label};
use super::svg::{Anchor, Svg};
use crate::figures::Figure;
use crate::targets::three_digits;

/// A plot of bars.
pub(super) struct Bars {
    pub(super) title: String,
    /// What is behind each number.
    pub(super) unit: &'static str,
    pub(super) bars: Vec<Bar>,
}

/// A bar: as long as the median of its values, with a dot for each.
pub(super) struct Bar {
    pub(super) label: String,
    /// Values with names.
    pub(super) values: Vec<(String, f64)>,
    /// A value that is marked.
    pub(super) target: Option<f64>,
}

const LEFT: f64 = 200.0;
const RIGHT: f64 = 70.0;
const TOP: f64 = 64.0;
const WIDTH: f64 = 820.0;
const LANE: f64 = 28.0;
const BAR: f64 = 16.0;

impl Bars {
    pub(super) fn draw(&self) -> String {
        let bottom = TOP + LANE * self.bars.len() as f64;
        let mut svg = Svg::new(WIDTH, bottom + 34.0);
        let values = self.bars.iter().flat_map(|bar| {
            let values = bar.values.iter().map(|(_, value)| *value);
            values.chain(bar.target)
        });
        let axis = Logarithmic::over(values);
        let x = |value: f64| LEFT + (WIDTH - LEFT - RIGHT) * axis.place(value);

        svg.text("title", 16.0, 26.0, Anchor::Start, &self.title);
        let legend = "bar: median of the modules; dot: a module; red: target; logarithmic";
        svg.text("quiet", 16.0, 46.0, Anchor::Start, legend);
        for tick in axis.ticks() {
            svg.line("grid", (x(tick), TOP), (x(tick), bottom));
            let text = format!("{}{}", label(tick), self.unit);
            svg.text("quiet", x(tick), bottom + 20.0, Anchor::Middle, &text);
        }
        for (number, bar) in self.bars.iter().enumerate() {
            let middle = TOP + LANE * (number as f64 + 0.5);
            svg.text("label", LEFT - 10.0, middle + 4.5, Anchor::End, &bar.label);
            let values = bar.values.iter().map(|(_, value)| *value).collect();
            if let Some(figure) = Figure::of(values) {
                let length = x(figure.median) - LEFT;
                svg.bar("s0 bar", (LEFT, middle - BAR / 2.0), length, BAR);
                let text = format!("{}{}", three_digits(figure.median), self.unit);
                // Beside all that is drawn.
                let marks = bar.target.iter().chain(&figure.runs);
                let most = marks.copied().fold(figure.median, f64::max);
                svg.text("label", x(most) + 9.0, middle + 4.5, Anchor::Start, &text);
            }
            for (name, value) in &bar.values {
                let says = format!("{name}: {}{}", three_digits(*value), self.unit);
                svg.dot("s0 dot", (x(*value), middle), &says);
            }
            if let Some(target) = bar.target {
                let (top, end) = (middle - BAR / 2.0 - 3.0, middle + BAR / 2.0 + 3.0);
                svg.line("target", (x(target), top), (x(target), end));
            }
        }
        svg.finish()
    }
}
