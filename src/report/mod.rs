//! What a finished experiment leaves behind: the table on the screen and the run folder on the disk.
//!
//! Everything here is computed from [`RunRecord`](crate::experiment::RunRecord)s alone, so a table or a picture can be made again
//! from an old `results.json`. A diverged run is named, and never averaged in.

mod curves;
pub mod export;
pub mod figure;
mod folder;
mod grid;
pub mod groups;
pub mod html;
mod json;
mod lock;
pub mod manifest;
pub mod number;
pub mod paper;
mod results;
mod spread;
mod summary;
pub mod table;
pub mod tensorboard;
pub mod time;
mod tsne;

pub use curves::{accuracy_after, average_accuracy, average_accuracy_svg, matrix_figures};
pub use folder::{FolderError, RunFolder, write_file};
pub use grid::Grid;
pub use lock::Lock;
pub use manifest::Manifest;
pub use results::{ReadError, Results, SCHEMA, check};
pub use spread::Spread;
pub use summary::{Source, Summary};
pub use table::{divergences, table};
pub use tsne::tsne;

use crate::{data::benchmarks, methods};

/// The name a method goes by in tables and legends; an unregistered one keeps its own.
pub fn method_title(name: &str) -> &str {
    let mut known = methods::registry().iter();
    known.find(|m| m.name() == name).map_or(name, |m| m.title())
}

/// The name a benchmark goes by in titles; an unregistered one keeps its own.
pub fn benchmark_title(name: &str) -> &str {
    let mut known = benchmarks::registry().iter();
    known.find(|b| b.name() == name).map_or(name, |b| b.title())
}
