//! Rows of blocks along time.

use super::plot::legend_places;
use super::svg::{Svg, series};
use std::ops::Range;

/// Something that lasted.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// From where to where, as parts of the row's width.
    pub range: Range<f64>,
    /// Number of its colour: that name of the legend.
    pub series: usize,
    /// Shown to who points at it.
    pub name: String,
}

/// A row of blocks.
#[derive(Clone, Debug, PartialEq)]
pub struct Strip {
    /// Above it.
    pub name: String,
    /// Above its end: how long it is.
    pub label: String,
    /// In order.
    pub blocks: Vec<Block>,
}

const WIDTH: f64 = 760.0;
const MARGIN: f64 = 12.0;
const PITCH: f64 = 46.0;
const HEIGHT: f64 = 20.0;
/// What is narrower could not be seen.
const LEAST: f64 = 0.5;

/// Draws rows, and the colours' names below.
pub fn strips(title: &str, legend: &[String], strips: &[Strip]) -> Svg {
    let places = legend_places(legend);
    let lines = places.last().map_or(0.0, |(_, line)| line + 1.0);
    let bottom = 44.0 + PITCH * strips.len() as f64;
    let mut svg = Svg::new(WIDTH, bottom + 20.0 * lines + 8.0, title);
    svg.text((WIDTH / 2.0, 24.0), "middle", "title", title);
    for (number, strip) in strips.iter().enumerate() {
        let y = 44.0 + PITCH * number as f64;
        svg.text((MARGIN, y + 12.0), "start", "small", &strip.name);
        svg.text((WIDTH - MARGIN, y + 12.0), "end", "small soft", &strip.label);
        svg.line((MARGIN, y + 18.0 + HEIGHT), (WIDTH - MARGIN, y + 18.0 + HEIGHT), "grid");
        for Block { range, series: number, name } in &strip.blocks {
            let (x, width) = (MARGIN + range.start * (WIDTH - 2.0 * MARGIN), range.end - range.start);
            svg.block([x, y + 18.0, (width * (WIDTH - 2.0 * MARGIN)).max(LEAST), HEIGHT], &series(*number).0, name);
        }
    }
    for (number, (name, (left, line))) in legend.iter().zip(places).enumerate() {
        let y = bottom + 20.0 * line;
        svg.block([left - 54.0, y, 14.0, 12.0], &series(number).0, name);
        svg.text((left - 34.0, y + 11.0), "start", "small", name);
    }
    svg
}
