//! A roofline: rates over intensity, both on logarithmic axes, under what a device can do at all.

use super::plot::{Axis, Plot};
use super::points::{Cloud, circles};
use super::svg::Svg;

/// What a device can do at all. Names are for the labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Roof {
    /// The flat part: 10⁹ operations a second.
    pub peak: (String, f64),
    /// The slopes before it: 10⁹ bytes a second.
    pub slopes: Vec<(String, f64)>,
}

/// Draws clouds of (operations a byte, 10⁹ operations a second) under a roof; what is not positive is left out.
pub fn roofline(title: &str, roof: &Roof, clouds: &[Cloud]) -> Svg {
    let positive = |(x, y): &(f64, f64)| *x > 0.0 && *y > 0.0 && x.is_finite() && y.is_finite();
    let clouds: Vec<Cloud> = clouds
        .iter()
        .map(|cloud| Cloud {
            points: cloud.points.iter().copied().filter(positive).map(log).collect(),
            ..cloud.clone()
        })
        .collect();
    let points = || clouds.iter().flat_map(|cloud| &cloud.points);
    let ridges = roof.slopes.iter().map(|(_, rate)| (roof.peak.1 / rate).log10());
    let x = Axis::powers("FLOP a byte", points().map(|p| p.0).chain(ridges.map(|ridge| ridge + 0.5)));
    let y = Axis::powers("GFLOP/s", points().map(|p| p.1).chain([roof.peak.1.log10()]));
    let (range, floor) = (x.range.clone(), y.range.start);
    let names: Vec<String> = clouds.iter().map(|cloud| cloud.name.clone()).collect();
    let mut plot = Plot::new(title, x, y, &names);
    draw_roof(&mut plot, roof, range, floor);
    clouds.iter().enumerate().for_each(|(number, cloud)| circles(&mut plot, number, &cloud.points, "", 3.5));
    plot.svg
}

fn log((x, y): (f64, f64)) -> (f64, f64) {
    (x.log10(), y.log10())
}

fn draw_roof(plot: &mut Plot, roof: &Roof, x: std::ops::Range<f64>, floor: f64) {
    let peak = roof.peak.1.log10();
    let mut first_ridge = x.end;
    for (name, rate) in &roof.slopes {
        // On the line log y = log rate + log x, from the left or lower edge to the peak.
        let (rate, ridge) = (rate.log10(), peak - rate.log10());
        let left = x.start.max(floor - rate);
        let (from, to) = (plot.at(left, rate + left), plot.at(ridge, peak));
        plot.svg.line(from, to, "whisker");
        let (at_x, at_y) = plot.at(left, rate + left);
        let slope = (to.1 - from.1).atan2(to.0 - from.0).to_degrees();
        plot.svg.push(format_args!(
            "<text class=\"small soft\" transform=\"translate({:.1} {:.1}) rotate({slope:.1})\">{}</text>",
            at_x + 16.0,
            at_y - 22.0,
            crate::report::html::escape(name)
        ));
        first_ridge = first_ridge.min(ridge);
    }
    let (from, to) = (plot.at(first_ridge, peak), plot.at(x.end, peak));
    plot.svg.line(from, to, "whisker");
    plot.svg.text((to.0, to.1 - 7.0), "end", "small soft", &roof.peak.0);
}
