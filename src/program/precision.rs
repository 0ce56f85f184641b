//! In what precision numbers are kept, and which may be kept in less.

use crate::autodiff::Op;
use hindsight_kernels::{Conv, ConvPart};
use serde::{Deserialize, Serialize};
use std::fmt;

/// In what precision a program keeps what it computes. All arithmetic is single precision, and so are parameters and all
/// else that outlives a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Precision {
    /// All in single precision.
    #[default]
    #[serde(rename = "f32")]
    Single,
    /// What a model's layers hand on to the next (activations) in half precision: 16 bits, of which 11 are digits.
    ///
    /// Not what gradients pass back, much of which is too small for it, nor look-aheads and gradients of parameters: a step
    /// is smaller than such a parameter's last digit.
    #[serde(rename = "f16-storage")]
    HalfStorage,
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Precision::Single => "f32",
            Precision::HalfStorage => "f16-storage",
        })
    }
}

/// Elements from which on a value in half precision is worth it; smaller ones cost nothing to keep whole.
pub(super) const WORTH_HALVING: usize = 1024;

/// Whether an operation computes activations from a layer's weights, or images from bytes. (A product that sums over
/// examples is a gradient.)
pub(super) fn is_activation(op: Op) -> bool {
    matches!(op, Op::GatherPixels | Op::MatMul { ta: false, .. } | Op::Conv(Conv { part: ConvPart::Output, .. }))
}
