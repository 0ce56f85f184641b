//! Average accuracy over tasks, a line a method, as an SVG.

use super::{Spread, benchmark_title, by_method, method_title};
use crate::experiment::RunRecord;
use plotters::coord::types::{RangedCoordf64, RangedCoordusize};
use plotters::prelude::*;

type Drawn<T = ()> = Result<T, DrawingAreaErrorKind<std::io::Error>>;
type Canvas<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordusize, RangedCoordf64>>;

const SIZE: (u32, u32) = (860, 520);
const INK: RGBColor = RGBColor(51, 51, 51);
const GRID: RGBColor = RGBColor(232, 232, 232);

/// Okabe and Ito's palette, which the colour-blind can tell apart.
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(213, 94, 0),
    RGBColor(86, 180, 233),
    RGBColor(102, 102, 102),
];

/// A method's curve: mean and deviation over seeds, in percent, after each task.
struct Curve<'a> {
    title: &'a str,
    points: Vec<Spread>,
}

/// The picture: after each task the mean accuracy over the tasks seen so far, with a band of one
/// standard deviation over seeds. Diverged runs are left out.
///
/// # Panics
/// Never for want of a disk: it draws into memory.
pub fn average_accuracy_svg(runs: &[RunRecord]) -> String {
    let mut svg = String::new();
    let canvas = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
    draw(&canvas, runs).expect("drawing into memory does not fail");
    drop(canvas);
    svg
}

fn draw(canvas: &Canvas<'_>, runs: &[RunRecord]) -> Drawn {
    canvas.fill(&WHITE)?;
    let curves = curves(runs);
    let tasks = curves.iter().map(|curve| curve.points.len()).max().unwrap_or(0);
    let title = runs.first().map_or("", |run| benchmark_title(&run.benchmark));
    let mut chart = ChartBuilder::on(canvas)
        .caption(format!("{title}: accuracy on the tasks seen so far"), font(20))
        .margin(16)
        .x_label_area_size(48)
        .y_label_area_size(60)
        .build_cartesian_2d(1..tasks.max(2), axis(&curves))?;
    draw_axes(&mut chart, tasks)?;
    for (curve, colour) in curves.iter().zip(COLOURS.iter().cycle()) {
        draw_curve(&mut chart, curve, *colour)?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerLeft)
        .margin(16)
        .border_style(GRID)
        .background_style(WHITE)
        .label_font(font(15))
        .draw()?;
    canvas.present()
}

fn font(size: u32) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&INK)
}

fn draw_axes(chart: &mut Chart<'_, '_>, tasks: usize) -> Drawn {
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(INK)
        .x_labels(tasks.clamp(2, 20))
        .y_labels(8)
        .y_label_formatter(&|percent| format!("{percent:.0} %"))
        .x_desc("tasks learned")
        .y_desc("average accuracy")
        .label_style(font(14))
        .axis_desc_style(font(15))
        .draw()
}

fn draw_curve(chart: &mut Chart<'_, '_>, curve: &Curve<'_>, colour: RGBColor) -> Drawn {
    let numbered = || curve.points.iter().enumerate().map(|(i, point)| (i + 1, point));
    let upper = numbered().map(|(task, p)| (task, p.mean + p.sd));
    let lower = numbered().map(|(task, p)| (task, p.mean - p.sd)).rev();
    let band: Vec<_> = upper.chain(lower).collect();
    chart.draw_series([Polygon::new(band, colour.mix(0.18))])?;
    let line = LineSeries::new(numbered().map(|(task, p)| (task, p.mean)), colour.stroke_width(2));
    chart
        .draw_series(line)?
        .label(curve.title)
        .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], colour.stroke_width(3)));
    Ok(())
}

/// Percent, from the ten below everything drawn to the ten above.
fn axis(curves: &[Curve<'_>]) -> std::ops::Range<f64> {
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let low = points().map(|p| p.mean - p.sd).fold(90.0, f64::min);
    let high = points().map(|p| p.mean + p.sd).fold(10.0, f64::max);
    (low / 10.0).floor().max(0.0) * 10.0..(high / 10.0).ceil().min(10.0) * 10.0
}

/// A curve for each method that has a run that did not diverge.
fn curves(runs: &[RunRecord]) -> Vec<Curve<'_>> {
    let mut curves = Vec::new();
    for (method, mut members) in by_method(runs) {
        members.retain(|run| !run.diverged);
        let tasks = members.first().map_or(0, |run| run.matrix.len());
        let points: Vec<_> = (0..tasks).filter_map(|task| percent_after(task, &members)).collect();
        if !points.is_empty() {
            curves.push(Curve { title: method_title(method), points });
        }
    }
    curves
}

/// Over runs, the accuracy after a task (counted from zero), averaged over the tasks seen by then.
fn percent_after(task: usize, runs: &[&RunRecord]) -> Option<Spread> {
    let seen = |run: &&RunRecord| run.matrix[task][..=task].iter().sum::<f64>();
    let percents = runs.iter().map(|run| 100.0 * seen(run) / (task + 1) as f64);
    Spread::of(&percents.collect::<Vec<_>>())
}
