//! Figures as SVG whose colours follow the reader's scheme: lines with bands, bars, points, heat maps, strips of time,
//! flames, rates over intensity, rooflines.

mod bars;
mod flame;
mod heat_map;
mod intensity;
mod lines;
mod plot;
mod points;
mod roofline;
mod strips;
mod svg;

pub use bars::{Bar, bars};
pub use flame::{Flame, flame};
pub use heat_map::{Field, heat_map};
pub use intensity::{Bounds, Work, intensity};
pub use lines::{Curve, lines};
pub use points::{Cloud, points};
pub use roofline::{Roof, roofline};
pub use strips::{Block, Strip, strips};
pub use svg::{STYLE, Svg};
