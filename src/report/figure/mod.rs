//! Figures as SVG whose colours follow the reader's scheme: lines with bands, bars, points, heat maps.

mod bars;
mod heat_map;
mod lines;
mod plot;
mod points;
mod svg;

pub use bars::{Bar, bars};
pub use heat_map::{Field, heat_map};
pub use lines::{Curve, lines};
pub use points::{Cloud, points};
pub use svg::{STYLE, Svg};
