//! A piece in a field of zeros, as the gradient of a slice is one: what is computed from it is computed from the piece.
//!
//! Images that a method looks at together (a batch, anchors) meet the model in one pass, and a gradient that only some
//! of them have would otherwise run through rows of zeros for the others.

use super::op::Op;
use super::var::Var;
use hindsight_kernels::{Binary, Ones, Unary};
use std::ops::Range;

/// A value that is zero but for a piece.
#[derive(Clone, Copy)]
pub(super) struct Field<'t> {
    /// Where the piece begins in the flattened value.
    pub offset: usize,
    /// The piece, flat or not.
    pub piece: Var<'t>,
}

impl<'t> Field<'t> {
    /// The value as a piece in a field of zeros, if it was recorded as one, or as a multiple of one.
    pub fn of(value: Var<'t>) -> Option<Field<'t>> {
        let (op, inputs) = value.recorded();
        match op {
            Op::Reshape => Field::of(inputs[0]),
            Op::Place { offset } => Some(Field { offset, piece: inputs[0] }),
            Op::Unary(Unary::Neg) => Field::of(inputs[0]).map(|field| Field { piece: -field.piece, ..field }),
            Op::Binary(Binary::Mul) => {
                let (field, factor) = match (Field::of(inputs[0]), Field::of(inputs[1])) {
                    (Some(field), _) => (field, inputs[1]),
                    (None, Some(field)) => (field, inputs[0]),
                    (None, None) => return None,
                };
                Some(Field { piece: field.piece * part(factor, field.offset, &field.piece.shape()), ..field })
            }
            _ => None,
        }
    }

    /// The rows of a matrix of `columns` that the piece fills, if it fills whole ones.
    fn rows(&self, columns: usize) -> Option<Range<usize>> {
        let (start, end) = (self.offset, self.offset + self.piece.elements());
        (start % columns == 0 && end % columns == 0).then_some(start / columns..end / columns)
    }
}

/// Elements of a value from `offset` on: of what it is computed from, where that is no more than numbers and signs.
pub(super) fn part<'t>(value: Var<'t>, offset: usize, shape: &[usize]) -> Var<'t> {
    let (op, inputs) = value.recorded();
    match op {
        Op::Spread { .. } if inputs[0].elements() == 1 => inputs[0].spread_to(shape),
        Op::Reshape => part(inputs[0], offset, shape),
        Op::Unary(op @ Unary::Step) => value.tape().unary(op, part(inputs[0], offset, shape)),
        _ => value.slice(offset, shape),
    }
}

/// A product one of whose operands is a piece in a field of zeros, by the piece alone: as rows of the result, or as those
/// terms of its sums that are not zero.
pub(super) fn product<'t>(a: Var<'t>, b: Var<'t>, ta: bool, tb: bool, ones: Ones) -> Option<Var<'t>> {
    let columns = |x: Var<'t>| x.shape()[1];
    let whole_rows = |x: Var<'t>| {
        let field = Field::of(x)?;
        let rows = field.rows(columns(x))?;
        Some((field.piece.reshape(&[rows.len(), columns(x)]), rows))
    };
    let these = |x: Var<'t>, rows: &Range<usize>| part(x, rows.start * columns(x), &[rows.len(), columns(x)]);
    if !ta {
        // Beside a column of ones no row of the result is zero.
        let (piece, rows) = whole_rows(a).filter(|_| ones == Ones::No)?;
        let (found, height) = (piece.product(b, ta, tb, ones), a.shape()[0]);
        let width = columns(found);
        return Some(found.place(rows.start * width, height * width).reshape(&[height, width]));
    }
    if tb {
        return None;
    }
    if let Some((piece, rows)) = whole_rows(b) {
        return Some(these(a, &rows).product(piece, ta, tb, ones));
    }
    // A row of ones adds up all of b's rows.
    let (piece, rows) = whole_rows(a).filter(|_| ones == Ones::No)?;
    Some(piece.product(these(b, &rows), ta, tb, ones))
}

/// The part of a field from `offset` on, where that is the piece or lies beside it.
pub(super) fn slice<'t>(value: Var<'t>, offset: usize, shape: &[usize]) -> Option<Var<'t>> {
    let field = Field::of(value)?;
    let (length, piece) = (shape.iter().product::<usize>(), field.piece.elements());
    if (offset, length) == (field.offset, piece) {
        return Some(field.piece.reshape(shape));
    }
    let apart = offset + length <= field.offset || field.offset + piece <= offset;
    apart.then(|| value.tape().constant(0.0, shape))
}
