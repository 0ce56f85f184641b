//! Models as functions of a flat parameter vector.

mod mlp;

pub use mlp::{Mlp, Unmap};
