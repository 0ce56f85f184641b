//! Kernels that go by element, or by number into a table.

use super::Entry;
use super::attributes::{Values, one_of, size};
use super::operands::{Holds, Operand, axes, bytes, indices, numbers};
use super::promises::{NonFinite, Tolerance};
use super::rows::{PLAIN, ROWS, WIDTH};
use crate::expr::{Access, Binary, Epilogue, Instruction, Unary};
use crate::gather_pixels::GatherPixels;
use crate::gather_rows::GatherRows;
use crate::map::Map;
use crate::normal::Normal;
use crate::scatter_add_rows::ScatterAddRows;
use std::sync::Arc;

pub(super) static ENTRIES: &[Entry] = &[
    Entry {
        name: "gather_pixels",
        computes: "out[r, p] = images[image[r], maps[which[r], p]] / 255, or 0 where the map has none",
        attributes: &[ROWS, WIDTH, size("count", 50, "images to read from"), size("maps", 3, "pixel maps")],
        operands: |_| {
            vec![
                bytes("images", "count, width"),
                indices("image", "rows", "count"),
                Operand { name: "maps", holds: Holds::IndicesOrBlank("width"), shape: axes("maps, width") },
                indices("which", "rows", "maps"),
            ]
        },
        result: |_| axes("rows, width"),
        kernel: |v, _| Arc::new(GatherPixels { rows: v.get("rows"), width: v.get("width") }),
        corners: &[&[("rows", 7), ("width", 333)]],
        tolerance: Tolerance::of_largest(1e-6),
        ..PLAIN
    },
    Entry {
        name: "gather_rows",
        computes: "out[r, c] = table[index[r], c]",
        attributes: &[ROWS, TABLE, WIDTH],
        operands: |_| vec![numbers("table", "table, width"), indices("index", "rows", "table")],
        result: |_| axes("rows, width"),
        kernel: |v, _| Arc::new(GatherRows { rows: v.get("rows"), width: v.get("width") }),
        non_finite: NonFinite::everywhere("copied as they are"),
        corners: &[&[("rows", 7), ("width", 333)]],
        ..PLAIN
    },
    Entry {
        name: "map",
        computes: "a function, element by element; a program's chains of functions are this kernel",
        attributes: &[size("elements", 1000, "elements"), one_of("function", &FUNCTION_NAMES, "the function")],
        operands: |v| {
            let names: &[_] = if matches!(function(v), Of(_)) { &["x"] } else { &["x", "y"] };
            names.iter().map(|name| numbers(name, "elements")).collect()
        },
        result: |_| axes("elements"),
        kernel: |v, _| Arc::new(Map { elements: v.get("elements") }),
        epilogue: chain,
        corners: &[
            &[("elements", 257), ("function", 1)],
            &[("function", 2)],
            &[("function", 3)],
            &[("function", 4)],
            &[("function", 5)],
            &[("function", 6)],
            &[("function", 7)],
            &[("function", 8)],
            &[("function", 9)],
        ],
        tolerance: Tolerance::of_largest(1e-4),
        non_finite: NonFinite::on_cpus("as IEEE 754 has it; relu keeps NaN, step of NaN is 0"),
        ..PLAIN
    },
    Entry {
        name: "normal",
        computes: "out[i] = the i-th standard normal number of a key",
        attributes: &[size("elements", 1000, "numbers")],
        operands: |_| vec![Operand { name: "key", holds: Holds::Words, shape: axes("3") }],
        result: |_| axes("elements"),
        kernel: |v, _| Arc::new(Normal { elements: v.get("elements") }),
        tolerance: Tolerance::of_largest(1e-4),
        corners: &[&[("elements", 257)]],
        ..PLAIN
    },
    Entry {
        name: "scatter_add_rows",
        computes: "out[t, c] = Σ x[r, c] over the rows r with index[r] = t",
        attributes: &[ROWS, TABLE, WIDTH],
        operands: |_| vec![numbers("x", "rows, width"), indices("index", "rows", "table")],
        result: |_| axes("table, width"),
        kernel: |v, _| Arc::new(ScatterAddRows { rows: v.get("rows"), table: v.get("table"), width: v.get("width") }),
        tolerance: Tolerance::of_terms(2e-5),
        non_finite: NonFinite::on_cpus(
            "a sum with NaN among its terms, or both infinities, is NaN; with one infinity, that",
        ),
        corners: &[&[("rows", 7), ("width", 333)]],
        ..PLAIN
    },
];

const TABLE: super::Attribute = size("table", 40, "rows of the table");

#[derive(Clone, Copy)]
enum Function {
    Of(Unary),
    Between(Binary),
}
use Function::{Between, Of};

const FUNCTIONS: [(&str, Function); 10] = [
    ("relu", Of(Unary::Relu)),
    ("step", Of(Unary::Step)),
    ("neg", Of(Unary::Neg)),
    ("exp", Of(Unary::Exp)),
    ("ln", Of(Unary::Ln)),
    ("sqrt", Of(Unary::Sqrt)),
    ("add", Between(Binary::Add)),
    ("sub", Between(Binary::Sub)),
    ("mul", Between(Binary::Mul)),
    ("div", Between(Binary::Div)),
];

const FUNCTION_NAMES: [&str; FUNCTIONS.len()] = {
    let mut names = [""; FUNCTIONS.len()];
    let mut i = 0;
    while i < names.len() {
        names[i] = FUNCTIONS[i].0;
        i += 1;
    }
    names
};

fn function(v: &Values) -> Function {
    FUNCTIONS[v.get("function")].1
}

fn chain(v: &Values) -> Epilogue {
    use Instruction::Extra;
    match function(v) {
        Of(op) => Epilogue { instructions: vec![Extra(0), Instruction::Unary(op, 0)], extras: vec![Access::Full] },
        Between(op) => Epilogue {
            instructions: vec![Extra(0), Extra(1), Instruction::Binary(op, 0, 1)],
            extras: vec![Access::Full; 2],
        },
    }
}
