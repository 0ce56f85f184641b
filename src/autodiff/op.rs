//! The tape's operations. They are closed under differentiation.

use hindsight_kernels::{Binary, Conv, Ones, Stride, Unary};

/// What a node computes from its inputs. Shapes are of one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// A stored buffer, or what is in it from an element on.
    Load {
        /// Its number.
        buffer: usize,
        /// First element.
        from: usize,
    },
    /// The row of a stored buffer that this step sees.
    Row(usize, Stride),
    /// A number everywhere; its bits.
    Constant(u64),
    /// An elementwise function.
    Unary(Unary),
    /// An elementwise function of two equal shapes.
    Binary(Binary),
    /// `[outer, inner]` → `[outer, mid, inner]`.
    Spread {
        /// Length of the new axis.
        mid: usize,
        /// Elements behind the new axis.
        inner: usize,
    },
    /// `[outer, mid, inner]` → `[outer, inner]`.
    Sum {
        /// Length of the axis that goes.
        mid: usize,
        /// Elements behind it.
        inner: usize,
    },
    /// The same elements under another shape.
    Reshape,
    /// The same elements, seen as a constant by gradients.
    Detach,
    /// Elements `offset..offset + elements` of the flattened input.
    Slice {
        /// First element.
        offset: usize,
    },
    /// The flattened input at `offset` in a field of zeros: the transpose of `Slice`.
    Place {
        /// Where it begins.
        offset: usize,
    },
    /// Flattened inputs one after another.
    Concat,
    /// Matrix product; see [`hindsight_kernels::MatMul`].
    MatMul {
        /// The left operand is stored transposed.
        ta: bool,
        /// The right operand is stored transposed.
        tb: bool,
        /// Ones appended to the left operand.
        ones: Ones,
    },
    /// A convolution, or one of its gradients; see [`hindsight_kernels::Conv`].
    Conv(Conv),
    /// Logarithm of the softmax of each row.
    LogSoftmax,
    /// Cross-entropy of logits and labels, one number a row.
    CrossEntropy,
    /// Class numbers as rows of zeros with a one.
    OneHot,
    /// Rows of a table by number.
    GatherRows,
    /// Rows added into a table of zeros by number.
    ScatterAddRows,
    /// Images through pixel maps.
    GatherPixels,
    /// Rows scaled to [0, 1].
    Rescale,
    /// 1 for the largest entries of each row, 0 for the others.
    Largest {
        /// How many of a row are chosen.
        count: usize,
    },
    /// Standard normal noise, by key.
    Normal,
    /// Number of the largest entry of each row.
    Argmax,
    /// Rows whose argmax is their label.
    CountCorrect,
    /// Entries of each block that are NaN or infinite; see [`hindsight_kernels::CountNotFinite`].
    CountNotFinite,
}

impl Op {
    /// For messages: `MatMul`, `Relu`, ...
    pub fn name(&self) -> String {
        match self {
            Op::Unary(op) => format!("{op:?}"),
            Op::Binary(op) => format!("{op:?}"),
            op => format!("{op:?}").split([' ', '(']).next().unwrap_or_default().to_string(),
        }
    }

    /// The same elements as the input's, at another place or under another shape: costs no launch.
    pub fn is_view(&self) -> bool {
        matches!(self, Op::Load { .. } | Op::Row(..) | Op::Reshape | Op::Detach | Op::Slice { .. })
    }

    /// Computed element by element: can be fused.
    pub fn is_elementwise(&self) -> bool {
        use Op::*;
        matches!(self, Constant(_) | Unary(_) | Binary(_) | Spread { .. } | Place { .. } | OneHot)
    }
}
