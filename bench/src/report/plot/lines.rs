//! Lines: a linear scale that begins at 0, over a logarithmic one.

use super::axis::{Linear, Logarithmic, label};
use super::svg::{Anchor, Svg};
use crate::targets::three_digits;

/// A plot of lines.
pub(super) struct Lines {
    pub(super) title: String,
    /// What the horizontal axis is of.
    pub(super) x: &'static str,
    /// What the vertical axis is of.
    pub(super) y: &'static str,
    pub(super) lines: Vec<Line>,
}

/// A line.
pub(super) struct Line {
    pub(super) name: String,
    pub(super) points: Vec<(f64, f64)>,
}

const LEFT: f64 = 64.0;
const RIGHT: f64 = 40.0;
const TOP: f64 = 70.0;
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 400.0;
const BOTTOM: f64 = 340.0;
/// As many lines have a colour of their own.
const COLOURS: usize = 4;

impl Lines {
    pub(super) fn draw(&self) -> String {
        let mut svg = Svg::new(WIDTH, HEIGHT);
        let points = || self.lines.iter().flat_map(|line| &line.points);
        let horizontal = Logarithmic::over(points().map(|(x, _)| *x));
        let vertical = Linear::over(points().map(|(_, y)| *y));
        let x = |value: f64| LEFT + (WIDTH - LEFT - RIGHT) * horizontal.place(value);
        let y = |value: f64| BOTTOM - (BOTTOM - TOP) * vertical.place(value);

        svg.text("title", 16.0, 26.0, Anchor::Start, &self.title);
        svg.text("quiet", 16.0, TOP - 14.0, Anchor::Start, self.y);
        svg.text(
            "quiet",
            (LEFT + WIDTH - RIGHT) / 2.0,
            HEIGHT - 16.0,
            Anchor::Middle,
            self.x,
        );
        for tick in vertical.ticks() {
            svg.line("grid", (LEFT, y(tick)), (WIDTH - RIGHT, y(tick)));
            svg.text(
                "quiet",
                LEFT - 10.0,
                y(tick) + 4.5,
                Anchor::End,
                &label(tick),
            );
        }
        for tick in horizontal.ticks() {
            svg.line("grid", (x(tick), TOP), (x(tick), BOTTOM));
            svg.text(
                "quiet",
                x(tick),
                BOTTOM + 20.0,
                Anchor::Middle,
                &label(tick),
            );
        }
        let mut legend = LEFT + 40.0;
        for (number, line) in self.lines.iter().enumerate() {
            let series = format!("s{}", number % COLOURS);
            svg.bar(&format!("{series} dot"), (legend, 40.0), 14.0, 10.0);
            svg.text("label", legend + 20.0, 49.5, Anchor::Start, &line.name);
            legend += 44.0 + 7.5 * line.name.chars().count() as f64;
            let places: Vec<_> = line.points.iter().map(|&(a, b)| (x(a), y(b))).collect();
            svg.path(&format!("{series} line"), &places);
            for (place, (at, value)) in places.iter().zip(&line.points) {
                let says = format!(
                    "{}: {} {} at {} {}",
                    line.name,
                    three_digits(*value),
                    self.y,
                    three_digits(*at),
                    self.x
                );
                svg.dot(&format!("{series} dot"), *place, &says);
            }
        }
        svg.finish()
    }
}
