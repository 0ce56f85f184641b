//! Recording computations and differentiating them, to any order.
//!
//! A [`Tape`] is data: operations, their inputs, their shapes. Recording computes nothing. [`Tape::grad`]
//! appends the gradient to the same tape in the tape's own operations, so the gradient of a gradient
//! is the same call again. Every rule is in `rules`; [`gradcheck`] holds them to finite differences.

mod conv;
mod grad;
pub mod gradcheck;
mod op;
mod rules;
mod site;
mod tape;
mod var;
mod zeros;

pub use conv::Padding;
pub use grad::GradError;
pub use op::Op;
pub use site::Site;
pub use tape::{Node, Stored, Tape, Values};
pub use var::Var;
