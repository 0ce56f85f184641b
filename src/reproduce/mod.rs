//! The paper's tables and figures: which experiments each needs, which are finished, and what comes of them.
//!
//! A [`Cell`] is one method on one benchmark with one set of settings, for all seeds in lock-step. Its results
//! are a run folder under `cells/`, so that what one table computed another finds, and a killed reproduction
//! goes on where it was.

mod anchors;
mod cell;
mod render;
mod targets;

pub use anchors::AnchorPicture;
pub use cell::{Cell, CellError, Cells};
pub use render::{Reproduction, markdown, page};
pub use targets::{Entry, Selection, Target};
