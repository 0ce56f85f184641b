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
        let range = widened(range.start, range.end);
        // Halves, since the whole length may be more than the largest number.
        let rough = (range.end / 2.0 - range.start / 2.0) / (count as f64 / 2.0);
        let power = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|f| f * power).find(|s| *s >= rough * 0.999).unwrap_or(power);
        Axis { range, label: label.into(), step, powers: false }
    }

    /// Numbers are whole, as counts are.
    pub fn whole(mut self) -> Axis {
        self.step = self.step.max(1.0).round();
        self
    }

    /// An axis that begins and ends at its numbers and holds those of `values` that are finite.
    pub fn around(label: &str, values: impl Iterator<Item = f64> + Clone, count: usize) -> Axis {
        let axis = Axis::new(label, span(values), count);
        let multiple = |number: f64| (number * axis.step).clamp(f64::MIN, f64::MAX);
        let [start, end] = [(axis.range.start / axis.step).floor(), (axis.range.end / axis.step).ceil()].map(multiple);
        Axis { range: start..end, ..axis }
    }

    /// An axis of decimal logarithms that holds those of `values` that are finite, from one power of ten to another, which
    /// are written out.
    pub fn powers(label: &str, values: impl Iterator<Item = f64> + Clone) -> Axis {
        let held = span(values);
        let start = held.start.floor().clamp(-LARGEST_POWER, LARGEST_POWER);
        let end = held.end.ceil().clamp(start + 1.0, LARGEST_POWER + 1.0);
        // No more than can be read.
        let step = ((end - start) / 20.0).ceil();
        Axis { range: start..end, label: label.into(), step, powers: true }
    }

    /// The multiples of the step in the range.
    fn numbers(&self) -> Vec<f64> {
        let first = (self.range.start / self.step - 1e-9).ceil();
        let last = (self.range.end / self.step + 1e-9).floor();
        let count = (last - first + 1.0).clamp(0.0, MOST_NUMBERS) as usize;
        // The sum with 0 makes −0 of it.
        (0..count).map(|i| (first + i as f64) * self.step + 0.0).filter(|number| number.is_finite()).collect()
    }

    /// A number as it stands at the axis.
    fn written(&self, number: f64) -> String {
        let decimals = |power: f64| (-power).clamp(0.0, 6.0) as usize;
        if self.powers {
            let short = number.abs() <= 6.0;
            return if short { format!("{:.*}", decimals(number), 10_f64.powf(number)) } else { format!("1e{number}") };
        }
        let largest = self.range.start.abs().max(self.range.end.abs());
        if largest < 1e7 && self.step >= 1e-6 {
            return format!("{number:.*}", decimals(self.step.log10().floor()));
        }
        // As many digits as tell one number from the next.
        let digits = (largest.log10().floor() - self.step.log10().floor()).clamp(0.0, 16.0) as usize;
        if number == 0.0 { "0".into() } else { format!("{number:.digits$e}") }
    }

    fn share(&self, value: f64) -> f64 {
        let Range { start, end } = self.range;
        (value / 2.0 - start / 2.0) / (end / 2.0 - start / 2.0)
    }
}

/// Powers of ten beyond those that numbers have.
const LARGEST_POWER: f64 = 400.0;
/// Numbers at one axis: many times those that are asked for.
const MOST_NUMBERS: f64 = 200.0;
/// A range that is shorter, beside its numbers, would have labels that differ in their last digits only.
const SHORTEST: f64 = 1e-6;

/// From the least to the most of what is finite.
fn span(values: impl Iterator<Item = f64> + Clone) -> Range<f64> {
    let finite = values.filter(|v| v.is_finite());
    let (low, high) = (finite.clone().fold(f64::INFINITY, f64::min), finite.fold(f64::NEG_INFINITY, f64::max));
    if low <= high { widened(low, high) } else { 0.0..1.0 }
}

/// A range that is long enough for numbers at an axis to differ: this one, or a longer one around it.
pub(super) fn widened(low: f64, high: f64) -> Range<f64> {
    let size = low.abs().max(high.abs());
    if high / 2.0 - low / 2.0 >= (size * SHORTEST).max(1e-300) {
        return low..high;
    }
    let more = if size < 1e-290 { 0.5 } else { 0.05 * size };
    (low - more).max(f64::MIN)..(high + more).min(f64::MAX)
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

    /// Says how many values are not on the drawing, if any are not.
    pub fn say_left_out(&mut self, count: usize) {
        if count > 0 {
            let text = format!("not shown: {count} values that are not finite numbers");
            self.svg.text((WIDTH / 2.0, 37.0), "middle", "small soft", &text);
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Numbers of all sizes, many of them equal or next to each other.
    fn values() -> impl Strategy<Value = Vec<f64>> {
        let special = [0.0, -0.0, 1e9, 1e9 + 1e-6, 5e-324, -5e-324, f64::MIN, f64::MAX, 1e-300, 1e17, f64::NAN];
        let near =
            (prop::sample::select(special.to_vec()), 0..3_i32).prop_map(|(x, n)| x * (1.0 + f64::from(n) * 1e-16));
        prop::collection::vec(prop_oneof![any::<f64>(), near, -1e3..1e3], 0..6)
    }

    fn ends_and_can_be_read(axis: &Axis) {
        let numbers = axis.numbers();
        assert!(axis.range.start < axis.range.end && axis.range.start.is_finite() && axis.range.end.is_finite());
        assert!((2..=30).contains(&numbers.len()), "{} numbers from {:?} by {}", numbers.len(), axis.range, axis.step);
        assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
        let texts: Vec<String> = numbers.iter().map(|number| axis.written(*number)).collect();
        assert!(texts.is_sorted_by(|a, b| a != b) && texts.iter().all(|text| text.len() < 28), "{texts:?}");
    }

    proptest! {
        #[test]
        fn axes_of_any_numbers_end(values in values(), count in 4..12_usize) {
            let axis = Axis::around("", values.iter().copied(), count);
            ends_and_can_be_read(&axis);
            for value in values.iter().filter(|value| value.is_finite()) {
                prop_assert!((-1e-9..=1.0 + 1e-9).contains(&axis.share(*value)), "{value} in {:?}", axis.range);
            }
            ends_and_can_be_read(&Axis::powers("", values.iter().copied()));
            ends_and_can_be_read(&Axis::powers("", values.iter().map(|value| value.abs().log10())));
        }
    }

    #[test]
    fn numbers_are_round_and_written_in_few_digits() {
        let written = |low: f64, high: f64| {
            let axis = Axis::around("", [low, high].into_iter(), 5);
            axis.numbers().iter().map(|number| axis.written(*number)).collect::<Vec<_>>()
        };
        assert_eq!(written(0.0, 1.0), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(written(-3.0, 7.0), ["-4", "-2", "0", "2", "4", "6", "8"]);
        assert_eq!(
            written(1e9, 1e9),
            ["9.4e8", "9.6e8", "9.8e8", "1.00e9", "1.02e9", "1.04e9", "1.06e9"]
                .map(|text| { format!("{:.2e}", text.parse::<f64>().unwrap()) })
        );
    }
}
