//! Rewrites a tape before it is planned, so that long vectors need no pass of their own.
//!
//! Parameters are one vector, and their gradient joins the layers' gradients. Elementwise work on it (a
//! step, a look-ahead) is split here into work on the parts, which can then end in the very kernels that
//! compute them. And a factor that is the same everywhere leaves a product's operand for its result,
//! unless the result is far larger.

use super::chains::{of_a_product, sum_of_products};
use crate::autodiff::{Op, Tape, Var};
use hindsight_kernels::{Binary, BufferId, Conv, ConvPart, Kind, Ones, Unary, View, Window};
use std::ops::Range;

/// A rewritten tape, and where its values are written at the end of a step.
pub(super) struct Split {
    pub tape: Tape,
    pub assignments: Vec<(View, usize)>,
}

/// Rewrites a tape.
pub(super) fn split(recorded: &Tape) -> Split {
    let tape = Tape::new();
    let assignments = {
        let mut new: Vec<Var<'_>> = Vec::new();
        for (node, site) in recorded.nodes().into_iter().zip(recorded.sites()) {
            let inputs: Vec<Var<'_>> = node.inputs.iter().map(|&i| new[i]).collect();
            new.push(tape.standing_for(site, || match node.op {
                // Gradients have been taken: what stopped them is a plain value now.
                Op::Detach => inputs[0],
                Op::Slice { offset } => slice(inputs[0], offset, &node.shape),
                Op::MatMul { ta, tb, ones } => product(inputs[0], inputs[1], ta, tb, ones),
                Op::Spread { .. } | Op::Place { .. } => moved(inputs[0], node.op, node.shape),
                Op::Conv(Conv { window, part: ConvPart::Filters }) => filters(inputs[0], inputs[1], window),
                Op::Binary(op) => binary(op, inputs[0], inputs[1]),
                Op::Sum { .. } if node.elements() == 1 => total(inputs[0], node.op, node.shape),
                op => tape.record(op, &inputs, node.shape, node.values),
            }));
        }
        let pieces = recorded.assignments().into_iter().flat_map(|(stored, step, id)| {
            let value = new[id];
            let place = move |part: Range<usize>| {
                let offset = stored.offset + part.start;
                let to = View { offset, step, ..View::whole(BufferId::Stored(stored.id)) };
                (to, self::part(value, &part).id())
            };
            parts(value).into_iter().map(place).collect::<Vec<_>>()
        });
        pieces.collect()
    };
    Split { tape, assignments }
}

/// `shape` elements from `offset` on, of that part of the value in which they lie.
fn slice<'t>(value: Var<'t>, offset: usize, shape: &[usize]) -> Var<'t> {
    let wanted = offset..offset + shape.iter().product::<usize>();
    let inside = |part: &Range<usize>| part.start <= wanted.start && wanted.end <= part.end;
    match parts(value).into_iter().find(inside) {
        Some(range) => part(value, &range).slice(offset - range.start, shape),
        None => value.slice(offset, shape),
    }
}

/// The ranges of a value's parts: of the first concatenation that it is computed from, element by
/// element; else the whole.
fn parts(value: Var<'_>) -> Vec<Range<usize>> {
    let lengths = joined(value).map_or(vec![value.elements()], |parts| parts.iter().map(Var::elements).collect());
    let range = |end: &mut usize, length: usize| {
        *end += length;
        Some(*end - length..*end)
    };
    lengths.into_iter().scan(0, range).collect()
}

fn joined<'t>(value: Var<'t>) -> Option<Vec<Var<'t>>> {
    let (op, inputs) = value.recorded();
    match op {
        Op::Concat => Some(inputs),
        Op::Unary(_) | Op::Binary(_) | Op::Reshape => inputs.into_iter().find_map(joined),
        _ => None,
    }
}

/// A part of a value, flat, computed from parts of what the value is computed from. It was recorded where the value was.
fn part<'t>(value: Var<'t>, range: &Range<usize>) -> Var<'t> {
    value.tape().standing_for(value.site(), || part_of(value, range))
}

fn part_of<'t>(value: Var<'t>, range: &Range<usize>) -> Var<'t> {
    let flat = [range.len()];
    if range.len() == value.elements() {
        return value.reshape(&flat);
    }
    if let Some(number) = uniform(value) {
        return number.spread_to(&flat);
    }
    let tape = value.tape();
    let (op, inputs) = value.recorded();
    let of = |i: usize| part(inputs[i], range);
    match op {
        Op::Reshape => of(0),
        Op::Slice { offset } => part(inputs[0], &(offset + range.start..offset + range.end)),
        Op::Unary(op) => tape.unary(op, of(0)),
        Op::Binary(op) => binary(op, of(0), of(1)),
        Op::Concat => match parts(value).iter().position(|p| p == range) {
            Some(at) => inputs[at].reshape(&flat),
            None => value.slice(range.start, &flat),
        },
        _ => value.slice(range.start, &flat),
    }
}

/// Elementwise work on two values: products of which the sum is one product are computed as that.
fn binary<'t>(op: Binary, a: Var<'t>, b: Var<'t>) -> Var<'t> {
    let product = if op == Binary::Add { sum_of_products(a, b) } else { None };
    product.unwrap_or_else(|| a.tape().binary(op, a, b))
}

/// A product, with common factors of its operands taken out.
fn product<'t>(a: Var<'t>, b: Var<'t>, ta: bool, tb: bool, ones: Ones) -> Var<'t> {
    let plain = a.product(b, ta, tb, ones);
    // A result that is not much larger costs less than the launch that scales an operand.
    let least = plain.elements() / MUCH_LARGER;
    let (left, right) = (factor(a, least), factor(b, least));
    // The ones beside a are not scaled with it.
    let left = left.filter(|_| ones == Ones::No);
    if left.is_none() && right.is_none() {
        let chained = if tb { None } else { of_a_product(a, b, ta, ones) };
        return chained.unwrap_or(plain);
    }
    let (a, first) = left.map_or((a, None), |(a, factor)| (a, Some(factor)));
    let (b, second) = right.map_or((b, None), |(b, factor)| (b, Some(factor)));
    let bare = product(a, b, ta, tb, ones);
    [first, second].into_iter().flatten().fold(bare, |product, factor| product * factor.spread_to(&bare.shape()))
}

/// The gradient of filters, of shares of the images where there are some, added up.
fn filters<'t>(slope: Var<'t>, input: Var<'t>, window: Window) -> Var<'t> {
    let [y, x] = window.taps;
    let shape = vec![window.shares(), y, x, window.channels, window.filters];
    // The sum of a single share is that share.
    slope
        .tape()
        .record(Op::Conv(Conv { window, part: window.filters_part() }), &[slope, input], shape, Kind::Float)
        .sum(0)
}

/// How many times an operand a product is, from which on its scaling costs more than a launch.
const MUCH_LARGER: usize = 32;

/// A value copied, or placed among zeros, with a common factor taken out: what remains is often stored anyway.
fn moved<'t>(value: Var<'t>, op: Op, shape: Vec<usize>) -> Var<'t> {
    let (bare, by) = factor(value, 2).map_or((value, None), |(bare, by)| (bare, Some(by)));
    let moved = value.tape().record(op, &[bare], shape.clone(), Kind::Float);
    by.map_or(moved, |by| moved * by.spread_to(&shape))
}

/// Terms of a sum up to which a matrix product's kernel is as good.
const FEW_TERMS: usize = 1024;

/// The sum of all elements. That of two values' products is a product of a row and a column: no launch writes its terms.
fn total<'t>(value: Var<'t>, op: Op, shape: Vec<usize>) -> Var<'t> {
    let terms = value.elements();
    match factors(value).filter(|_| terms <= FEW_TERMS) {
        Some([a, b]) => {
            let row = |x: Var<'t>| x.reshape(&[1, terms]);
            product(row(a), row(b), false, true, Ones::No).reshape(&shape)
        }
        None => value.tape().record(op, &[value], shape, Kind::Float),
    }
}

/// The two values, neither of them one number everywhere, whose product this is.
fn factors<'t>(value: Var<'t>) -> Option<[Var<'t>; 2]> {
    let (op, inputs) = value.recorded();
    match op {
        Op::Binary(Binary::Mul) if inputs.iter().all(|&x| uniform(x).is_none()) => Some([inputs[0], inputs[1]]),
        Op::Reshape => factors(inputs[0]),
        _ => None,
    }
}

/// A value of at least `least` elements as another times a single number.
fn factor<'t>(value: Var<'t>, least: usize) -> Option<(Var<'t>, Var<'t>)> {
    if value.elements() < least {
        return None;
    }
    let (op, inputs) = value.recorded();
    match op {
        Op::Unary(Unary::Neg) => Some((inputs[0], value.tape().constant(-1.0, &[]))),
        Op::Binary(Binary::Mul) => match [uniform(inputs[0]), uniform(inputs[1])] {
            [_, Some(by)] => Some((inputs[0], by)),
            [Some(by), None] => Some((inputs[1], by)),
            [None, None] => None,
        },
        Op::Reshape => factor(inputs[0], least).map(|(bare, by)| (bare.reshape(&value.shape()), by)),
        Op::Slice { offset } => factor(inputs[0], least).map(|(bare, by)| (bare.slice(offset, &value.shape()), by)),
        _ => None,
    }
}

/// The single number that all elements of a value are.
fn uniform<'t>(value: Var<'t>) -> Option<Var<'t>> {
    let (op, inputs) = value.recorded();
    match op {
        Op::Constant(bits) => Some(value.tape().constant(f64::from_bits(bits), &[])),
        Op::Spread { .. } if inputs[0].elements() == 1 => Some(inputs[0]),
        Op::Reshape if value.elements() > 1 => uniform(inputs[0]),
        _ => None,
    }
}
