//! Parts of parts of a whole, each as wide as its share, below what it is part of.

use super::svg::{Svg, series};

/// A whole and its parts.
#[derive(Clone, Debug, PartialEq)]
pub struct Flame {
    /// On it, as far as there is room.
    pub name: String,
    /// Shown with the name to who points at it.
    pub detail: String,
    /// Its width.
    pub value: f64,
    /// Number of its colour; grey without.
    pub series: Option<usize>,
    /// The widest first.
    pub parts: Vec<Flame>,
}

const WIDTH: f64 = 760.0;
const MARGIN: f64 = 8.0;
const PITCH: f64 = 22.0;
/// Width of a letter, on average.
const LETTER: f64 = 6.0;
/// A part that is narrower is left out with its own parts.
const LEAST: f64 = 0.4;

/// Draws a whole over its parts.
pub fn flame(title: &str, whole: &Flame) -> Svg {
    let mut svg = Svg::new(WIDTH, 44.0 + PITCH * depth(whole) as f64, title);
    svg.text((WIDTH / 2.0, 24.0), "middle", "title", title);
    draw(&mut svg, whole, (MARGIN, 36.0), (WIDTH - 2.0 * MARGIN) / whole.value.max(f64::MIN_POSITIVE));
    svg
}

fn depth(flame: &Flame) -> usize {
    1 + flame.parts.iter().map(depth).max().unwrap_or(0)
}

fn draw(svg: &mut Svg, flame: &Flame, (x, y): (f64, f64), scale: f64) {
    let width = flame.value * scale;
    if width < LEAST {
        return;
    }
    let title = format!("{}\n{}", flame.name, flame.detail);
    let colour = flame.series.map_or("var(--soft)".into(), |number| series(number).0);
    svg.block([x, y, (width - 0.5).max(LEAST), PITCH - 2.0], &colour, &title);
    let room = ((width - 8.0) / LETTER).max(0.0) as usize;
    let letters = flame.name.chars().count();
    if room >= letters.min(4) {
        let shown: String = match letters <= room {
            true => flame.name.clone(),
            false => flame.name.chars().take(room - 1).chain(['…']).collect(),
        };
        svg.text((x + 4.0, y + 14.0), "start", "small", &shown);
    }
    let mut left = x;
    for part in &flame.parts {
        draw(svg, part, (left, y + PITCH), scale);
        left += part.value * scale;
    }
}
