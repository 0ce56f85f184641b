//! Which kernel computes a node.

use crate::autodiff::{Node, Op};
use hindsight_kernels as k;
use std::sync::Arc;

/// The kernel of a node that is neither a view nor elementwise.
pub(super) fn kernel(node: &Node, inputs: &[&Node]) -> Arc<dyn k::Kernel> {
    let shape = |i: usize| &inputs[i].shape;
    match node.op {
        Op::MatMul { ta, tb, ones } => {
            let [m, n] = [node.shape[0], node.shape[1]];
            let k = if ta { shape(0)[0] } else { shape(0)[1] };
            Arc::new(k::MatMul { m, n, k, ta, tb, ones, bytes: inputs[0].values == k::Kind::Bytes })
        }
        Op::Sum { mid, inner } => Arc::new(k::Sum { outer: inputs[0].elements() / (mid * inner), mid, inner }),
        Op::Conv(conv) => Arc::new(conv),
        Op::LogSoftmax => Arc::new(k::LogSoftmax { rows: node.shape[0], classes: node.shape[1] }),
        Op::CrossEntropy => Arc::new(k::CrossEntropy { rows: shape(0)[0], classes: shape(0)[1] }),
        Op::GatherRows => Arc::new(k::GatherRows { rows: node.shape[0], width: node.shape[1] }),
        Op::ScatterAddRows => {
            Arc::new(k::ScatterAddRows { rows: shape(0)[0], table: node.shape[0], width: node.shape[1] })
        }
        Op::GatherPixels => Arc::new(k::GatherPixels { rows: node.shape[0], width: node.shape[1] }),
        Op::Rescale => Arc::new(k::Rescale { rows: node.shape[0], width: node.shape[1] }),
        Op::Largest { count } => Arc::new(k::Largest { rows: node.shape[0], width: node.shape[1], count }),
        Op::Normal => Arc::new(k::Normal { elements: node.elements() }),
        Op::Argmax => Arc::new(k::Argmax { rows: shape(0)[0], classes: shape(0)[1] }),
        Op::CountCorrect => Arc::new(k::CountCorrect { rows: shape(0)[0], classes: shape(0)[1] }),
        Op::CountNotFinite => Arc::new(k::CountNotFinite { elements: inputs[0].elements() }),
        op => panic!("{} needs no kernel of its own", op.name()),
    }
}
