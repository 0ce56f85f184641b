//! Clouds of points, as t-SNE leaves them.

use super::plot::{Axis, Plot};
use super::svg::{Svg, series};

/// Points of one colour.
#[derive(Clone, Debug, PartialEq)]
pub struct Cloud {
    /// For the legend.
    pub name: String,
    /// Where they are.
    pub points: Vec<(f64, f64)>,
    /// Points that are drawn larger, with an outline.
    pub large: Vec<(f64, f64)>,
}

/// Draws clouds; large points lie above all others.
pub fn points(title: &str, clouds: &[Cloud]) -> Svg {
    let finite = |points: &[(f64, f64)]| -> Vec<(f64, f64)> {
        points.iter().copied().filter(|(x, y)| x.is_finite() && y.is_finite()).collect()
    };
    let shown =
        |cloud: &Cloud| Cloud { name: cloud.name.clone(), points: finite(&cloud.points), large: finite(&cloud.large) };
    let count = |clouds: &[Cloud]| clouds.iter().map(|cloud| cloud.points.len() + cloud.large.len()).sum::<usize>();
    let all_there = count(clouds);
    let clouds: Vec<Cloud> = clouds.iter().map(shown).collect();
    let all = || clouds.iter().flat_map(|cloud| cloud.points.iter().chain(&cloud.large));
    let (x, y) = (Axis::around("", all().map(|p| p.0), 8), Axis::around("", all().map(|p| p.1), 6));
    let names: Vec<String> = clouds.iter().map(|cloud| cloud.name.clone()).collect();
    let mut plot = Plot::new(title, x, y, &names);
    plot.say_left_out(all_there - count(&clouds));
    for (class, radius) in [("", 2.5), ("outline", 7.0)] {
        for (number, cloud) in clouds.iter().enumerate() {
            circles(&mut plot, number, if class.is_empty() { &cloud.points } else { &cloud.large }, class, radius);
        }
    }
    plot.svg
}

/// Points of one colour, each a circle.
pub(super) fn circles(plot: &mut Plot, number: usize, points: &[(f64, f64)], class: &str, radius: f64) {
    let (colour, _) = series(number);
    for (x, y) in points {
        let (x, y) = plot.at(*x, *y);
        plot.svg.push(format_args!(
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\" class=\"{class}\" fill=\"{colour}\"/>"
        ));
    }
}
