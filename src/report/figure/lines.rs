//! Lines over a number, each with a band of one standard deviation.

use super::plot::{Axis, Plot, widened};
use super::svg::{Svg, series};
use crate::report::Spread;
use std::cmp::Ordering;

/// A line.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// For the legend.
    pub name: String,
    /// Where, and what is there.
    pub points: Vec<(f64, Spread)>,
}

/// Draws curves; what is not finite is left out.
pub fn lines(title: &str, x_label: &str, y_label: &str, curves: &[Curve]) -> Svg {
    let finite: Vec<Curve> =
        curves.iter().map(|curve| Curve { name: curve.name.clone(), points: curve.finite() }).collect();
    let count = |curves: &[Curve]| curves.iter().map(|curve| curve.points.len()).sum::<usize>();
    let left_out = count(curves) - count(&finite);
    let curves = &finite[..];
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let (low, high) = points().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), (x, _)| (a.min(*x), b.max(*x)));
    let range = match low.total_cmp(&high) {
        Ordering::Equal if low.abs() < 1e6 => low - 0.5..low + 0.5,
        Ordering::Greater => 0.0..1.0, // nothing to draw: all runs diverged
        _ => widened(low, high),
    };
    let x = Axis::new(x_label, range, 10);
    let x = if points().all(|(x, _)| x.fract() == 0.0) { x.whole() } else { x };
    let y = Axis::around(y_label, points().flat_map(|(_, s)| [s.mean, s.mean - s.sd, s.mean + s.sd]), 7);
    let names: Vec<String> = curves.iter().map(|curve| curve.name.clone()).collect();
    let mut plot = Plot::new(title, x, y, &names);
    plot.say_left_out(left_out);
    // No band lies over a line.
    curves.iter().enumerate().for_each(|(number, curve)| draw_band(&mut plot, number, curve));
    curves.iter().enumerate().for_each(|(number, curve)| draw_line(&mut plot, number, curve));
    plot.svg
}

impl Curve {
    fn finite(&self) -> Vec<(f64, Spread)> {
        self.points.iter().filter(|(x, s)| x.is_finite() && s.mean.is_finite()).copied().collect()
    }
}

fn path(plot: &Plot, values: impl Iterator<Item = (f64, f64)>) -> String {
    let place = |(x, y): (f64, f64)| {
        let (x, y) = plot.at(x, y);
        format!("{x:.1},{y:.1}")
    };
    values.map(place).collect::<Vec<_>>().join(" ")
}

fn draw_band(plot: &mut Plot, number: usize, curve: &Curve) {
    let has_band = |(_, s): &&(f64, Spread)| (s.mean + s.sd).is_finite() && (s.mean - s.sd).is_finite();
    let points: Vec<&(f64, Spread)> = curve.points.iter().filter(has_band).collect();
    if points.iter().all(|(_, s)| s.sd == 0.0) {
        return;
    }
    let upper = points.iter().map(|(x, s)| (*x, s.mean + s.sd));
    let lower = points.iter().rev().map(|(x, s)| (*x, s.mean - s.sd));
    let (band, (colour, _)) = (path(plot, upper.chain(lower)), series(number));
    plot.svg.push(format_args!("<polygon class=\"band\" fill=\"{colour}\" points=\"{band}\"/>"));
}

fn draw_line(plot: &mut Plot, number: usize, curve: &Curve) {
    let (points, (colour, dashed)) = (&curve.points, series(number));
    let line = path(plot, points.iter().map(|(x, s)| (*x, s.mean)));
    plot.svg.push(format_args!("<polyline class=\"line{dashed}\" stroke=\"{colour}\" points=\"{line}\"/>"));
    if points.len() <= 12 {
        for (x, s) in points {
            let (x, y) = plot.at(*x, s.mean);
            plot.svg.push(format_args!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>"));
        }
    }
}
