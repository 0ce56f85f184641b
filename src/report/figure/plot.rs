//! Axes, and where a value lies between them.

use super::svg::{Svg, series};
use std::ops::Range;

/// A range of values with round numbers on it.
pub(super) struct Axis {
    pub range: Range<f64>,
    pub label: String,
    /// Distance between two numbers.
    step: f64,
    /// Values are logarithms: 3 is written 1000.
    powers: bool,
}

impl Axis {
    /// Numbers at multiples of 1, 2 or 5 times a power of ten, about `count` of them.
    pub fn new(label: &str, range: Range<f64>, count: usize) -> Axis {
        let length = (range.end - range.start).max(1e-12);
        let rough = length / count as f64;
        let power = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|f| f * power).find(|s| *s >= rough * 0.999).unwrap_or(power);
        Axis { range, label: label.into(), step, powers: false }
    }

    /// Numbers are whole, as counts are.
    pub fn whole(mut self) -> Axis {
        self.step = self.step.max(1.0).round();
        self
    }

    /// An axis that begins and ends at its numbers and holds `values`.
    pub fn around(label: &str, values: impl Iterator<Item = f64> + Clone, count: usize) -> Axis {
        let held = span(values);
        let axis = Axis::new(label, held.clone(), count);
        Axis { range: (held.start / axis.step).floor() * axis.step..(held.end / axis.step).ceil() * axis.step, ..axis }
    }

    /// An axis of decimal logarithms that holds `values`, from one power of ten to another, which are written out.
    pub fn powers(label: &str, values: impl Iterator<Item = f64> + Clone) -> Axis {
        let held = span(values);
        Axis { range: held.start.floor()..held.end.ceil(), label: label.into(), step: 1.0, powers: true }
    }

    fn numbers(&self) -> Vec<f64> {
        let first = (self.range.start / self.step - 1e-9).ceil();
        (0..)
            .map(|i| (first + f64::from(i)) * self.step)
            .take_while(|n| *n <= self.range.end + 1e-9 * self.step)
            .collect()
    }

    /// A number as it stands at the axis.
    fn written(&self, number: f64) -> String {
        let decimals = |power: f64| (-power).clamp(0.0, 6.0) as usize;
        match self.powers {
            true => format!("{:.*}", decimals(number), 10_f64.powf(number)),
            false => format!("{number:.*}", decimals(self.step.log10().floor())),
        }
    }

    fn share(&self, value: f64) -> f64 {
        (value - self.range.start) / (self.range.end - self.range.start)
    }
}

/// From the least to the most of what is finite.
fn span(values: impl Iterator<Item = f64> + Clone) -> Range<f64> {
    let finite = values.filter(|v| v.is_finite());
    let (low, high) = (finite.clone().fold(f64::INFINITY, f64::min), finite.fold(f64::NEG_INFINITY, f64::max));
    if low <= high { low..high.max(low + 1e-9) } else { 0.0..1.0 }
}

/// A drawing with two axes.
pub(super) struct Plot {
    pub svg: Svg,
    x: Axis,
    y: Axis,
    /// Left, top, width, height of what is between the axes.
    area: [f64; 4],
}

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 420.0;
/// Height of a line of the legend.
const LEGEND_LINE: f64 = 20.0;

impl Plot {
    /// A titled plot with a legend below, and its axes drawn.
    pub fn new(title: &str, x: Axis, y: Axis, legend: &[String]) -> Plot {
        let places = legend_places(legend);
        let lines = places.last().map_or(0.0, |(_, line)| line + 1.0);
        let mut svg = Svg::new(WIDTH, HEIGHT + lines * LEGEND_LINE, title);
        svg.text((WIDTH / 2.0, 24.0), "middle", "title", title);
        for (number, (name, (left, line))) in legend.iter().zip(places).enumerate() {
            let (colour, dashed) = series(number);
            let y = HEIGHT + line * LEGEND_LINE;
            svg.push(format_args!(
                "<line x1=\"{left:.1}\" y1=\"{0:.1}\" x2=\"{1:.1}\" y2=\"{0:.1}\" class=\"line{dashed}\" stroke=\"{colour}\"/>",
                y - 4.0,
                left + 22.0
            ));
            svg.text((left + 28.0, y), "start", "", name);
        }
        let mut plot = Plot { svg, x, y, area: [66.0, 40.0, WIDTH - 90.0, HEIGHT - 100.0] };
        plot.draw_axes();
        plot
    }

    /// Where a value lies on the drawing.
    pub fn at(&self, x: f64, y: f64) -> (f64, f64) {
        let [left, top, width, height] = self.area;
        (left + width * self.x.share(x), top + height * (1.0 - self.y.share(y)))
    }

    fn draw_axes(&mut self) {
        let [left, top, width, height] = self.area;
        for number in self.y.numbers() {
            let (_, y) = self.at(self.x.range.start, number);
            self.svg.line((left, y), (left + width, y), "grid");
            let text = self.y.written(number);
            self.svg.text((left - 8.0, y + 4.0), "end", "soft", &text);
        }
        for number in self.x.numbers() {
            let (x, _) = self.at(number, self.y.range.start);
            self.svg.line((x, top + height), (x, top + height + 5.0), "axis");
            let text = self.x.written(number);
            self.svg.text((x, top + height + 20.0), "middle", "soft", &text);
        }
        self.svg.line((left, top + height), (left + width, top + height), "axis");
        let (x_label, y_label) = (self.x.label.clone(), self.y.label.clone());
        self.svg.text((left + width / 2.0, top + height + 42.0), "middle", "", &x_label);
        let middle = top + height / 2.0;
        let label = crate::report::html::escape(&y_label);
        self.svg.push(format_args!(
            "<text x=\"18\" y=\"{middle:.1}\" text-anchor=\"middle\" transform=\"rotate(-90 18 {middle:.1})\">{label}</text>"
        ));
    }
}

/// Left edge and line of each name of a legend, as wide as text is on average.
pub(super) fn legend_places(names: &[String]) -> Vec<(f64, f64)> {
    let (mut left, mut line) = (66.0, 0.0);
    let mut place = |name: &String| {
        let width = 46.0 + 7.2 * name.chars().count() as f64;
        if left + width > WIDTH && left > 66.0 {
            (left, line) = (66.0, line + 1.0);
        }
        left += width;
        (left - width, line)
    };
    names.iter().map(&mut place).collect()
}
