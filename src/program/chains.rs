//! Products of products, computed in the order that costs less.
//!
//! The gradient of a layer's weights is as large as these, and a product of few terms: one a row of the batch. A second
//! derivative multiplies it by other rows, and a step adds it to another gradient. Neither needs it written out.

use crate::autodiff::{Op, Var};
use hindsight_kernels::Ones;

/// `op(a) · op(b)` as it was recorded.
struct Product<'t> {
    a: Var<'t>,
    b: Var<'t>,
    ta: bool,
    tb: bool,
    ones: Ones,
}

impl<'t> Product<'t> {
    /// The product that a value is, in whichever shape.
    fn of(value: Var<'t>) -> Option<Product<'t>> {
        let (op, inputs) = value.recorded();
        match op {
            Op::MatMul { ta, tb, ones } => Some(Product { a: inputs[0], b: inputs[1], ta, tb, ones }),
            Op::Reshape => Product::of(inputs[0]),
            _ => None,
        }
    }

    /// Terms of its sums.
    fn terms(&self) -> usize {
        self.b.shape()[usize::from(self.tb)]
    }
}

/// Operations for which a launch more is worth it, even if c · d is computed for others: as many as an adapter, or two cores
/// of a CPU, computes in the time that a launch costs it.
const LEAST_SAVED: usize = 1 << 22;

/// `op(a) · b` where b is a product (c · d) of few terms: as (op(a) · c) · d, where that is less work.
/// The ones that stand beside a and below c are a term of its own, 1 · 1.
pub(super) fn of_a_product<'t>(a: Var<'t>, b: Var<'t>, ta: bool, ones: Ones) -> Option<Var<'t>> {
    let inner = Product::of(b).filter(|inner| inner.ones != Ones::Column)?;
    if (ones == Ones::Column) != (inner.ones == Ones::Row) {
        return None;
    }
    let (shape, n, terms) = (a.shape(), b.shape()[1], inner.terms());
    let [m, k] = if ta { [shape[1], shape[0]] } else { [shape[0], shape[1]] };
    if 2 * m * terms * (k + n) + LEAST_SAVED > 2 * m * k * n {
        return None;
    }
    let met = a.product(inner.a, ta, inner.ta, Ones::No);
    let met = if ones == Ones::Column { met + 1.0 } else { met };
    Some(met.product(inner.b, false, inner.tb, Ones::No))
}

/// The sum of two gradients of weights, aᵀ · x and bᵀ · y, where a is rows of b: as bᵀ · (x in its rows + y).
pub(super) fn sum_of_products<'t>(left: Var<'t>, right: Var<'t>) -> Option<Var<'t>> {
    let (p, q) = (Product::of(left)?, Product::of(right)?);
    if !(p.ta && q.ta) || p.tb || q.tb || p.ones != q.ones {
        return None;
    }
    let (few, many, row) = match (row_of(p.a, q.a), row_of(q.a, p.a)) {
        (Some(row), _) => (p, q, row),
        (None, Some(row)) => (q, p, row),
        (None, None) => return None,
    };
    let columns = many.b.shape()[1];
    let all = few.b.place(row * columns, many.b.elements()).reshape(&many.b.shape()) + many.b;
    Some(many.a.product(all, true, false, many.ones).reshape(&left.shape()))
}

/// In which row of `whole` those of `part` begin, if they are rows of it.
fn row_of<'t>(part: Var<'t>, whole: Var<'t>) -> Option<usize> {
    let (part, joined) = (flat(part), flat(whole));
    let (op, inputs) = joined.recorded();
    if op != Op::Concat || part.elements() == 1 {
        return None;
    }
    let at = inputs.iter().position(|&input| flat(input).id() == part.id())?;
    let before: usize = inputs[..at].iter().map(Var::elements).sum();
    before.is_multiple_of(whole.shape()[1]).then(|| before / whole.shape()[1])
}

/// A value in the shape that it was computed in.
fn flat<'t>(value: Var<'t>) -> Var<'t> {
    let (op, inputs) = value.recorded();
    if op == Op::Reshape { flat(inputs[0]) } else { value }
}
