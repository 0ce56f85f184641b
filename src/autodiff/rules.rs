//! The gradient rules: one table, in the tape's own operations.

use super::op::Op;
use super::var::Var;
use hindsight_kernels::{Binary, Conv, ConvPart, Ones, Unary};

/// Cotangents of an operation's inputs, given that of its output `y`; `None` for an input that has no
/// gradient. The whole is `None` where the operation has no rule.
pub(super) fn rule<'t>(op: Op, x: &[Var<'t>], y: Var<'t>, dy: Var<'t>) -> Option<Vec<Option<Var<'t>>>> {
    let cotangents = match op {
        Op::Load { .. } | Op::Row(..) | Op::Constant(_) | Op::OneHot | Op::GatherPixels | Op::Normal => {
            vec![None; x.len()]
        }
        Op::Detach | Op::Unary(Unary::Step) | Op::Largest { .. } => vec![None],
        Op::Unary(Unary::Neg) => vec![Some(-dy)],
        Op::Unary(Unary::Exp) => vec![Some(dy * y)],
        Op::Unary(Unary::Ln) => vec![Some(dy / x[0])],
        Op::Unary(Unary::Sqrt) => vec![Some(dy * 0.5 / y)],
        // step(relu(x)) = step(x), and the output is what is kept anyway.
        Op::Unary(Unary::Relu) => vec![Some(dy * y.step())],
        Op::Binary(Binary::Add) => vec![Some(dy), Some(dy)],
        Op::Binary(Binary::Sub) => vec![Some(dy), Some(-dy)],
        Op::Binary(Binary::Mul) => vec![Some(dy * x[1]), Some(dy * x[0])],
        Op::Binary(Binary::Div) => vec![Some(dy / x[1]), Some(-(dy * y / x[1]))],
        Op::Reshape => vec![Some(dy.reshape(&x[0].shape()))],
        Op::Slice { offset } => vec![Some(dy.place(offset, x[0].elements()).reshape(&x[0].shape()))],
        Op::Place { offset } => vec![Some(dy.slice(offset, &x[0].shape()))],
        Op::Concat => concat(x, dy),
        Op::Spread { mid, inner } => {
            let outer = x[0].elements() / inner;
            vec![Some(dy.reshape(&[outer, mid, inner]).sum(1).reshape(&x[0].shape()))]
        }
        Op::Sum { mid, inner } => {
            let outer = x[0].elements() / (mid * inner);
            vec![Some(dy.reshape(&[outer, inner]).spread(1, mid).reshape(&x[0].shape()))]
        }
        Op::MatMul { ta, tb, ones } => matmul(ta, tb, ones, x[0], x[1], dy).into(),
        Op::Conv(conv) => conv_rule(conv, x[0], x[1], dy)?.into(),
        Op::LogSoftmax => {
            let total = dy.sum(1).spread(1, x[0].shape()[1]);
            vec![Some(dy - y.exp() * total)]
        }
        Op::CrossEntropy => {
            let classes = x[0].shape()[1];
            vec![Some((x[0].softmax() - x[1].one_hot(classes)) * dy.spread(1, classes)), None]
        }
        Op::GatherRows => vec![Some(dy.scatter_add_rows(x[1], x[0].shape()[0])), None],
        Op::ScatterAddRows => vec![Some(dy.gather_rows(x[1])), None],
        Op::Rescale | Op::Argmax | Op::CountCorrect | Op::CountNotFinite => return None,
    };
    Some(cotangents)
}

fn concat<'t>(parts: &[Var<'t>], dy: Var<'t>) -> Vec<Option<Var<'t>>> {
    let mut offset = 0;
    let mut slice = |part: &Var<'t>| {
        offset += part.elements();
        Some(dy.slice(offset - part.elements(), &part.shape()))
    };
    parts.iter().map(&mut slice).collect()
}

/// Each transposition's rule is two more products; so is that of the products with ones.
fn matmul<'t>(ta: bool, tb: bool, ones: Ones, a: Var<'t>, b: Var<'t>, dy: Var<'t>) -> [Option<Var<'t>>; 2] {
    let first_rows = |v: Var<'t>| {
        let [rows, columns] = [v.shape()[0], v.shape()[1]];
        v.slice(0, &[rows - 1, columns])
    };
    let (da, db) = match (ones, ta, tb) {
        (Ones::Column, _, _) => (dy.matmul_transposed(first_rows(b), false, true), a.affine_weights(dy)),
        (Ones::Row, _, _) => (b.matmul_transposed(first_rows(dy), false, true), a.affine(dy)),
        (_, false, false) => (dy.matmul_transposed(b, false, true), a.matmul_transposed(dy, true, false)),
        (_, true, false) => (b.matmul_transposed(dy, false, true), a.matmul(dy)),
        (_, false, true) => (dy.matmul(b), dy.matmul_transposed(a, true, false)),
        (_, true, true) => (b.matmul_transposed(dy, true, true), dy.matmul_transposed(a, true, true)),
    };
    [Some(da), Some(db)]
}

/// Output, input and filters of a convolution meet in one trilinear form: each of the three is the gradient of the
/// form along one of them, and so are its own gradients.
fn conv_rule<'t>(conv: Conv, a: Var<'t>, b: Var<'t>, dz: Var<'t>) -> Option<[Option<Var<'t>>; 2]> {
    let (da, db) = match conv.part {
        // a: filters, b: input, dz: output
        ConvPart::Output => (dz.conv_filters(b, conv.window), a.conv_input(dz, conv.window)),
        // a: filters, b: output, dz: input
        ConvPart::Input => (b.conv_filters(dz, conv.window), a.conv_output(dz, conv.window)),
        // a: output, b: input, dz: filters
        ConvPart::Filters => (dz.conv_output(b, conv.window), dz.conv_input(a, conv.window)),
        // They are made when gradients have been taken.
        ConvPart::FilterShares(_) => return None,
    };
    Some([Some(da), Some(db)])
}
