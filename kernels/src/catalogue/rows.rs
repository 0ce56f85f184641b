//! Kernels that go along rows.

use super::Entry;
use super::attributes::{Attribute, size};
use super::operands::{Axis, axes, indices, numbers};
use super::promises::{NonFinite, Tolerance};
use crate::argmax::Argmax;
use crate::count_correct::CountCorrect;
use crate::count_not_finite::CountNotFinite;
use crate::cross_entropy::CrossEntropy;
use crate::expr::Epilogue;
use crate::largest::Largest;
use crate::log_softmax::LogSoftmax;
use crate::rescale::Rescale;
use crate::sum::Sum;
use std::sync::Arc;

pub(super) static ENTRIES: &[Entry] = &[
    Entry {
        name: "argmax",
        computes: "out[r] = number of the largest entry of row r, the first of equals",
        attributes: &[ROWS, CLASSES],
        operands: |_| vec![numbers("x", "rows, classes")],
        result: |_| axes("rows"),
        kernel: |v, _| Arc::new(Argmax { rows: v.get("rows"), classes: v.get("classes") }),
        non_finite: NonFinite::everywhere("NaN counts as the largest entry, as in NumPy; −0 equals 0"),
        corners: RAGGED,
        ..PLAIN
    },
    Entry {
        name: "count_correct",
        computes: "out[0] = rows whose largest entry is at their label",
        attributes: &[ROWS, CLASSES],
        operands: |_| vec![numbers("logits", "rows, classes"), indices("labels", "rows", "classes")],
        result: |_| axes("1"),
        kernel: |v, _| Arc::new(CountCorrect { rows: v.get("rows"), classes: v.get("classes") }),
        non_finite: NonFinite::everywhere("a row with NaN is never right; −0 equals 0"),
        corners: RAGGED,
        ..PLAIN
    },
    Entry {
        name: "count_not_finite",
        computes: "out[b] = entries of block b of x, of 65,536 each, that are NaN or infinite",
        attributes: &[size("elements", 200, "entries of x")],
        operands: |_| vec![numbers("x", "elements")],
        result: |v| vec![Axis { attribute: None, more: v.get("elements").div_ceil(CountNotFinite::BLOCK) as isize }],
        kernel: |v, _| Arc::new(CountNotFinite { elements: v.get("elements") }),
        non_finite: NonFinite::everywhere("each counts"),
        corners: &[&[("elements", 70_000)]],
        ..PLAIN
    },
    Entry {
        name: "cross_entropy",
        computes: "out[r] = ln Σ_c exp(x[r, c]) − x[r, label[r]]",
        attributes: &[ROWS, CLASSES],
        operands: |_| vec![numbers("x", "rows, classes"), indices("label", "rows", "classes")],
        result: |_| axes("rows"),
        kernel: |v, _| Arc::new(CrossEntropy { rows: v.get("rows"), classes: v.get("classes") }),
        tolerance: Tolerance::of_largest(2e-5),
        non_finite: NonFinite::everywhere(
            "a row with NaN or ∞, or of −∞ alone, is NaN; where the label's entry is −∞, ∞",
        ),
        corners: RAGGED,
        ..PLAIN
    },
    Entry {
        name: "largest",
        computes: "out[r, c] = 1 where x[r, c] is one of the largest entries of row r, else 0",
        attributes: &[ROWS, WIDTH, size("count", 3, "entries of a row that are chosen")],
        operands: |_| vec![numbers("x", "rows, width")],
        result: |_| axes("rows, width"),
        kernel: |v, _| Arc::new(Largest { rows: v.get("rows"), width: v.get("width"), count: v.get("count") }),
        non_finite: NonFinite::everywhere("NaN is never chosen; −0 equals 0"),
        corners: WIDE,
        ..PLAIN
    },
    Entry {
        name: "log_softmax",
        computes: "out[r, c] = x[r, c] − ln Σ_c exp(x[r, c])",
        attributes: &[ROWS, CLASSES],
        operands: |_| vec![numbers("x", "rows, classes")],
        result: |_| axes("rows, classes"),
        kernel: |v, _| Arc::new(LogSoftmax { rows: v.get("rows"), classes: v.get("classes") }),
        tolerance: Tolerance::of_largest(2e-5),
        non_finite: NonFinite::everywhere(
            "a row with NaN or ∞, or of −∞ alone, is NaN; −∞ beside finite entries stays −∞",
        ),
        corners: RAGGED,
        ..PLAIN
    },
    Entry {
        name: "rescale",
        computes: "each row scaled to [0, 1], from its least to its largest entry",
        attributes: &[ROWS, WIDTH],
        operands: |_| vec![numbers("x", "rows, width")],
        result: |_| axes("rows, width"),
        kernel: |v, _| Arc::new(Rescale { rows: v.get("rows"), width: v.get("width") }),
        tolerance: Tolerance::of_largest(1e-5),
        non_finite: NonFinite::everywhere("a row with NaN or an infinity is NaN throughout"),
        corners: WIDE,
        ..PLAIN
    },
    Entry {
        name: "sum",
        computes: "out[o, i] = Σ_m x[o, m, i]",
        attributes: &[
            size("outer", 20, "elements before the axis that goes"),
            size("mid", 10, "length of the axis that goes"),
            size("inner", 1, "elements behind it"),
        ],
        operands: |_| vec![numbers("x", "outer, mid, inner")],
        result: |_| axes("outer, inner"),
        kernel: |v, _| Arc::new(Sum { outer: v.get("outer"), mid: v.get("mid"), inner: v.get("inner") }),
        // Long sums of neighbours have a shader of their own.
        tolerance: Tolerance::of_terms(2e-5),
        non_finite: NonFinite::on_cpus(
            "a sum with NaN among its terms, or both infinities, is NaN; with one infinity, that",
        ),
        corners: &[&[("outer", 3), ("mid", 5), ("inner", 7)], &[("outer", 2), ("mid", 300)]],
        ..PLAIN
    },
];

pub(super) const ROWS: Attribute = size("rows", 20, "rows");
pub(super) const WIDTH: Attribute = size("width", 100, "entries of a row");
const CLASSES: Attribute = size("classes", 10, "entries of a row");
const RAGGED: &[&[(&str, usize)]] = &[&[("rows", 70), ("classes", 33)]];
const WIDE: &[&[(&str, usize)]] = &[&[("rows", 1), ("width", 333)]];

/// What most kernels have in common.
pub(super) const PLAIN: Entry = Entry {
    name: "",
    computes: "",
    attributes: &[],
    in_variants: false,
    operands: |_| vec![],
    result: |_| vec![],
    kernel: |_, _| unreachable!("every entry has a kernel of its own"),
    epilogue: |_| Epilogue::default(),
    limits: |_| Ok(()),
    tolerance: Tolerance::EXACT,
    non_finite: NonFinite::everywhere("none is read"),
    corners: &[],
};
