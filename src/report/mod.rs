//! What a finished experiment leaves behind: the table on the screen and the run folder on the disk.
//!
//! Everything here is computed from [`RunRecord`]s alone, so a table or a picture can be made again
//! from an old `results.json`. A diverged run is named, and never averaged in.

mod folder;
mod json;
pub mod manifest;
pub mod paper;
mod plot;
mod results;
mod spread;
mod table;
pub mod time;

pub use folder::{FolderError, RunFolder};
pub use manifest::Manifest;
pub use plot::average_accuracy_svg;
pub use results::{Results, SCHEMA};
pub use spread::Spread;
pub use table::{divergences, table};

use crate::experiment::RunRecord;
use crate::{data::benchmarks, methods};

/// The name a method goes by in tables and legends; an unregistered one keeps its own.
fn method_title(name: &str) -> &str {
    let mut known = methods::registry().iter();
    known.find(|m| m.name() == name).map_or(name, |m| m.title())
}

/// The name a benchmark goes by in titles; an unregistered one keeps its own.
fn benchmark_title(name: &str) -> &str {
    let mut known = benchmarks::registry().iter();
    known.find(|b| b.name() == name).map_or(name, |b| b.title())
}

/// The methods of `runs` in the order they first appear, each with its runs.
fn by_method(runs: &[RunRecord]) -> Vec<(&str, Vec<&RunRecord>)> {
    let mut groups: Vec<(&str, Vec<&RunRecord>)> = Vec::new();
    for run in runs {
        match groups.iter_mut().find(|(method, _)| *method == run.method) {
            Some((_, members)) => members.push(run),
            None => groups.push((&run.method, vec![run])),
        }
    }
    groups
}
