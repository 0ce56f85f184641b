//! What a kernel reads and writes, as arrays.

use super::attributes::Values;
use crate::gather_pixels::BLANK;
use crate::store::Kind;

/// What an operand holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// Numbers.
    Numbers,
    /// Whole numbers below the value of an attribute.
    Indices(&'static str),
    /// The same, or [`BLANK`].
    IndicesOrBlank(&'static str),
    /// Whole numbers of 32 bits.
    Words,
    /// Images: bytes that stand for b / 255.
    Bytes,
}

/// The length of an axis: the value of an attribute, and so many more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Axis {
    pub(super) attribute: Option<&'static str>,
    pub(super) more: isize,
}

/// An array that a kernel reads.
#[derive(Clone, Debug)]
pub struct Operand {
    /// As its formula names it.
    pub name: &'static str,
    /// What it holds.
    pub holds: Holds,
    /// Its axes.
    pub shape: Vec<Axis>,
}

/// The axes of a shape such as `k + 1, n` or `3`.
pub(super) fn axes(shape: &'static str) -> Vec<Axis> {
    shape.split(", ").map(axis).collect()
}

fn axis(text: &'static str) -> Axis {
    let number = |text: &str| text.parse::<isize>().expect("the catalogue writes whole numbers");
    match (text.split_once(" + "), text.split_once(" - "), text.starts_with(|c: char| c.is_ascii_digit())) {
        (Some((name, more)), ..) => Axis { attribute: Some(name), more: number(more) },
        (_, Some((name, less)), _) => Axis { attribute: Some(name), more: -number(less) },
        (.., true) => Axis { attribute: None, more: number(text) },
        _ => Axis { attribute: Some(text), more: 0 },
    }
}

pub(super) fn numbers(name: &'static str, shape: &'static str) -> Operand {
    Operand { name, holds: Holds::Numbers, shape: axes(shape) }
}

pub(super) fn indices(name: &'static str, shape: &'static str, below: &'static str) -> Operand {
    Operand { name, holds: Holds::Indices(below), shape: axes(shape) }
}

pub(super) fn bytes(name: &'static str, shape: &'static str) -> Operand {
    Operand { name, holds: Holds::Bytes, shape: axes(shape) }
}

impl Axis {
    /// Its length.
    pub fn length(&self, values: &Values) -> usize {
        let base = self.attribute.map_or(0, |name| values.get(name));
        base.checked_add_signed(self.more).expect("the limits of a kernel leave every axis a length")
    }

    fn text(&self) -> String {
        match (self.attribute, self.more) {
            (None, length) => length.to_string(),
            (Some(name), 0) => name.into(),
            (Some(name), more @ 1..) => format!("{name} + {more}"),
            (Some(name), less) => format!("{name} - {}", -less),
        }
    }
}

/// A shape, for people: `[k + 1, n]`.
pub fn shape_text(shape: &[Axis]) -> String {
    format!("[{}]", shape.iter().map(Axis::text).collect::<Vec<_>>().join(", "))
}

impl Operand {
    /// The kind of buffer that holds it.
    pub fn kind(&self) -> Kind {
        match self.holds {
            Holds::Numbers => Kind::Float,
            Holds::Indices(_) | Holds::IndicesOrBlank(_) | Holds::Words => Kind::Index,
            Holds::Bytes => Kind::Bytes,
        }
    }

    /// The type of its elements, as NumPy calls it.
    pub fn dtype(&self) -> &'static str {
        match self.kind() {
            Kind::Float => "float32",
            Kind::Index => "uint32",
            Kind::Bytes => "uint8",
        }
    }

    /// For people: `b float32 [k, n]`.
    pub fn text(&self) -> String {
        format!("{} {} {}{}", self.name, self.dtype(), shape_text(&self.shape), self.bound_text())
    }

    fn bound_text(&self) -> String {
        match self.holds {
            Holds::Indices(below) => format!(" below {below}"),
            Holds::IndicesOrBlank(below) => format!(" below {below}, or {BLANK} for none"),
            _ => String::new(),
        }
    }

    /// What each whole number must be, for people.
    pub fn bound(&self, values: &Values) -> String {
        match self.holds {
            Holds::Indices(below) => format!("from 0 to below {below} = {}", values.get(below)),
            Holds::IndicesOrBlank(below) => format!("from 0 to below {below} = {}, or {BLANK}", values.get(below)),
            _ => "from 0 to below 2^32".into(),
        }
    }

    /// Its lengths.
    pub fn lengths(&self, values: &Values) -> Vec<usize> {
        self.shape.iter().map(|axis| axis.length(values)).collect()
    }

    /// The first element that is not below what it must be, and its place.
    pub fn out_of_bounds(&self, elements: &[u32], values: &Values) -> Option<(usize, u32)> {
        let (below, blank) = match self.holds {
            Holds::Indices(below) => (values.get(below), false),
            Holds::IndicesOrBlank(below) => (values.get(below), true),
            _ => return None,
        };
        let outside = |x: u32| x as usize >= below && !(blank && x == BLANK);
        elements.iter().position(|&x| outside(x)).map(|at| (at, elements[at]))
    }
}
