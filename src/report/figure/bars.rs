//! Bars that lie, so that their names can be read.

use super::svg::{Svg, series};

/// A bar.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    /// Beside it.
    pub name: String,
    /// Its length, and what is drawn darker of it.
    pub value: f64,
    /// Written at its end.
    pub label: String,
}

const WIDTH: f64 = 760.0;
const NAME_WIDTH: f64 = 190.0;
const LABEL_WIDTH: f64 = 90.0;
const PITCH: f64 = 26.0;

/// Draws bars from zero.
pub fn bars(title: &str, bars: &[Bar]) -> Svg {
    let mut svg = Svg::new(WIDTH, 48.0 + PITCH * bars.len() as f64, title);
    svg.text((WIDTH / 2.0, 24.0), "middle", "title", title);
    let most = bars.iter().map(|bar| bar.value).fold(f64::MIN_POSITIVE, f64::max);
    for (number, bar) in bars.iter().enumerate() {
        let y = 40.0 + PITCH * number as f64;
        let length = (WIDTH - NAME_WIDTH - LABEL_WIDTH) * (bar.value / most).max(0.0);
        let (colour, _) = series(0);
        svg.text((NAME_WIDTH - 10.0, y + 14.0), "end", "", &bar.name);
        svg.push(format_args!(
            "<rect x=\"{NAME_WIDTH}\" y=\"{y:.1}\" width=\"{length:.1}\" height=\"18\" fill=\"{colour}\"/>"
        ));
        svg.text((NAME_WIDTH + length + 8.0, y + 14.0), "start", "", &bar.label);
    }
    svg
}
