//! Rate over arithmetic intensity, both on logarithmic axes, below bounds of arithmetic and of bytes: a roofline.

use super::plot::legend_places;
use super::svg::{Svg, series};
use std::ops::Range;

/// Work that was done at a rate.
#[derive(Clone, Debug, PartialEq)]
pub struct Work {
    /// Shown to who points at it.
    pub name: String,
    /// Operations a byte that must be moved.
    pub intensity: f64,
    /// GFLOP/s.
    pub rate: f64,
    /// The area of its circle, as a part of the largest.
    pub weight: f64,
    /// Number of its colour: that name of the legend.
    pub series: usize,
}

/// What no work goes beyond.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// GFLOP/s.
    pub arithmetic: f64,
    /// GB/s.
    pub bytes: f64,
}

const AREA: [f64; 4] = [66.0, 40.0, 670.0, 320.0]; // left, top, width, height
const WIDTH: f64 = 760.0;
const LARGEST: f64 = 18.0;

/// Powers of ten around values.
fn decades(values: impl Iterator<Item = f64>) -> Range<i32> {
    let positive = values.filter(|v| *v > 0.0 && v.is_finite());
    let (low, high) = positive.fold((f64::INFINITY, 0.0_f64), |(a, b), v| (a.min(v), b.max(v)));
    let (low, high) = if low <= high { (low, high) } else { (1.0, 1.0) };
    let first = low.log10().floor() as i32;
    first..(high.log10().ceil() as i32).max(first + 1)
}

/// Where a value lies between powers of ten, from 0 to 1.
fn share(value: f64, range: &Range<i32>) -> f64 {
    (value.log10() - f64::from(range.start)) / f64::from(range.end - range.start)
}

struct Plane {
    x: Range<i32>,
    y: Range<i32>,
}

impl Plane {
    fn at(&self, intensity: f64, rate: f64) -> (f64, f64) {
        let [left, top, width, height] = AREA;
        (left + width * share(intensity, &self.x), top + height * (1.0 - share(rate, &self.y)))
    }
}

/// Draws work as circles. What has no arithmetic, or no finite rate, is left out.
pub fn intensity(title: &str, legend: &[String], work: &[Work], bounds: Bounds) -> Svg {
    let is_shown = |value: f64| value > 0.0 && value.is_finite();
    let work: Vec<&Work> = work.iter().filter(|w| is_shown(w.rate) && is_shown(w.intensity)).collect();
    let ridge = bounds.arithmetic / bounds.bytes;
    let plane = Plane {
        x: decades(work.iter().map(|w| w.intensity).chain([ridge])),
        y: decades(work.iter().map(|w| w.rate).chain([bounds.arithmetic])),
    };
    let places = legend_places(legend);
    let lines = places.last().map_or(0.0, |(_, line)| line + 1.0);
    let mut svg = Svg::new(WIDTH, 424.0 + 20.0 * lines, title);
    svg.text((WIDTH / 2.0, 24.0), "middle", "title", title);
    draw_axes(&mut svg, &plane);
    draw_bounds(&mut svg, &plane, bounds);
    for w in &work {
        let (x, y) = plane.at(w.intensity, w.rate);
        let radius = (LARGEST * w.weight.sqrt()).max(2.0);
        svg.push(format_args!(
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius:.1}\" fill=\"{}\" fill-opacity=\".6\"><title>{}</title></circle>",
            series(w.series).0,
            crate::report::html::escape(&w.name)
        ));
    }
    for (number, (name, (left, line))) in legend.iter().zip(places).enumerate() {
        let y = 420.0 + 20.0 * line;
        svg.block([left, y, 14.0, 12.0], &series(number).0, name);
        svg.text((left + 20.0, y + 11.0), "start", "small", name);
    }
    svg
}

fn draw_axes(svg: &mut Svg, plane: &Plane) {
    let [left, top, width, height] = AREA;
    let power = |exponent: i32| match exponent {
        -6..0 => format!("{}", 10_f64.powi(exponent)),
        0..=12 => 10_i64.pow(exponent as u32).to_string(),
        _ => format!("1e{exponent}"),
    };
    // No more than can be read.
    let exponents = |range: &Range<i32>| (range.start..=range.end).step_by(range.len().div_ceil(20));
    for exponent in exponents(&plane.x) {
        let (x, _) = plane.at(10_f64.powi(exponent), 1.0);
        svg.line((x, top), (x, top + height), "grid");
        svg.text((x, top + height + 18.0), "middle", "soft", &power(exponent));
    }
    for exponent in exponents(&plane.y) {
        let (_, y) = plane.at(1.0, 10_f64.powi(exponent));
        svg.line((left, y), (left + width, y), "grid");
        svg.text((left - 8.0, y + 4.0), "end", "soft", &power(exponent));
    }
    svg.text((left + width / 2.0, top + height + 40.0), "middle", "", "operations a byte");
    let middle = top + height / 2.0;
    svg.push(format_args!(
        "<text x=\"18\" y=\"{middle:.1}\" text-anchor=\"middle\" transform=\"rotate(-90 18 {middle:.1})\">GFLOP/s</text>"
    ));
}

/// Bytes bound what is left of the ridge, arithmetic what is right of it.
fn draw_bounds(svg: &mut Svg, plane: &Plane, bounds: Bounds) {
    let (lowest, highest) = (10_f64.powi(plane.x.start), 10_f64.powi(plane.x.end));
    let ridge = bounds.arithmetic / bounds.bytes;
    // Where the slope enters the plane: at its left edge, or at its bottom.
    let enters = lowest.max(10_f64.powi(plane.y.start) / bounds.bytes).min(ridge);
    let corners = [(enters, enters * bounds.bytes), (ridge, bounds.arithmetic), (highest, bounds.arithmetic)];
    let points: Vec<String> = corners
        .into_iter()
        .map(|(intensity, rate)| plane.at(intensity, rate))
        .map(|(x, y)| format!("{x:.1},{y:.1}"))
        .collect();
    svg.push(format_args!("<polyline class=\"line dashed\" stroke=\"var(--soft)\" points=\"{}\"/>", points.join(" ")));
}
