//! How an epilogue is written in a shader: the bindings of its extra inputs, and `fn epilogue(value, i, run)`.

use crate::expr::{Access, Epilogue, Instruction, Unary};
use std::fmt::Write;

/// Where a shader finds an extra input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lies {
    /// It is what the output held.
    Output,
    /// In a buffer of numbers or indices.
    Buffer,
    /// In a buffer of numbers in half precision.
    Half,
    /// In a mirror of its buffer.
    Mirror,
}

/// An extra input as a shader sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extra {
    pub lies: Lies,
    /// Whether it begins at a multiple of four elements.
    pub by_four: bool,
}

/// Elements that a shader hands over at a time: neighbours, of which the first is `i`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    One,
    /// `i` is a multiple of four, and so is where the output begins.
    Four,
}

impl Width {
    /// As a kernel's text declares its output.
    pub(crate) fn of(kernel: &str) -> Width {
        if kernel.contains("out: array<vec4<") { Width::Four } else { Width::One }
    }

    /// The type of what is handed over, of numbers of such a type.
    fn of_type(self, number: &str) -> String {
        match self {
            Width::One => number.to_string(),
            Width::Four => format!("vec4<{number}>"),
        }
    }
}

/// An epilogue's text in the making.
pub(crate) struct Writer<'a> {
    pub epilogue: &'a Epilogue,
    /// One each.
    pub extras: &'a [Extra],
    /// The number of the first extra's binding, and of its view.
    pub first: [usize; 2],
    /// Whether the output is kept in half precision.
    pub half: bool,
    pub width: Width,
}

impl Writer<'_> {
    /// The WGSL.
    pub(crate) fn write(&self) -> String {
        let mut text = String::new();
        for e in (0..self.extras.len()).filter(|&e| self.extras[e].lies != Lies::Output) {
            let _ = writeln!(text, "@group(0) @binding({}) {};", self.first[0] + e, self.declaration(e));
        }
        let kind = self.width.of_type("f32");
        let kept = self.width.of_type(if self.half { "f16" } else { "f32" });
        let _ = writeln!(text, "fn epilogue(value: {kind}, i: u32, run: u32) -> {kept} {{");
        for (n, instruction) in self.epilogue.instructions.iter().enumerate() {
            let right = match *instruction {
                Instruction::Value => "value".to_string(),
                Instruction::Extra(e) => self.load(e),
                // `{:?}` prints the shortest digits that give the number back, always with a point or exponent.
                Instruction::Constant(c) => format!("{kind}({:?})", c as f32),
                Instruction::Unary(op, x) => unary(op, &format!("x{x}"), &kind),
                Instruction::Binary(op, a, b) => format!("x{a} {} x{b}", op.symbol()),
            };
            let _ = writeln!(text, "    let x{n} = {right};");
        }
        let last = self.epilogue.instructions.len();
        let result = if last == 0 { "value".into() } else { format!("x{}", last - 1) };
        let _ = writeln!(text, "    return {kept}({result});\n}}");
        text
    }

    fn declaration(&self, e: usize) -> String {
        let width = self.width_of(e);
        match (self.extras[e].lies, self.epilogue.extras[e]) {
            (_, Access::OneHot { .. }) => format!("var<storage, read> extra{e}: array<u32>"),
            (Lies::Mirror, _) => {
                let texel = if width == Width::Four { "rgba32float" } else { "r32float" };
                format!("var extra{e}: texture_storage_2d<{texel}, read>")
            }
            (Lies::Half, _) => format!("var<storage, read> extra{e}: array<{}>", width.of_type("f16")),
            (Lies::Buffer | Lies::Output, _) => format!("var<storage, read> extra{e}: array<{}>", width.of_type("f32")),
        }
    }

    /// What is loaded of an extra at a time: four numbers, where they are neighbours there, too.
    fn width_of(&self, e: usize) -> Width {
        let neighbours = match self.epilogue.extras[e] {
            Access::Full => true,
            Access::Spread { inner, .. } => inner.is_multiple_of(4),
            Access::Place { offset, length } => offset.is_multiple_of(4) && length.is_multiple_of(4),
            Access::OneHot { .. } => false,
        };
        if neighbours && self.extras[e].by_four { self.width } else { Width::One }
    }

    /// What the epilogue sees of an extra.
    fn load(&self, e: usize) -> String {
        match (self.width, self.epilogue.extras[e]) {
            _ if self.extras[e].lies == Lies::Output => self.old_value(),
            _ if self.width_of(e) == self.width => self.element(e, "i"),
            // The same for all four.
            (_, Access::Spread { mid, inner: 1 }) if mid.is_multiple_of(4) => {
                format!("vec4<f32>({})", self.element(e, "i"))
            }
            _ => {
                let [a, b, c, d] = [0, 1, 2, 3].map(|n| self.element(e, &format!("(i + {n}u)")));
                format!("vec4<f32>({a}, {b}, {c}, {d})")
            }
        }
    }

    fn old_value(&self) -> String {
        let at = if self.width == Width::Four { "(base(0u, run) + i) / 4u" } else { "base(0u, run) + i" };
        let load = format!("out[{at}]");
        if self.half { format!("{}({load})", self.width.of_type("f32")) } else { load }
    }

    /// The number that belongs to element `i`, or the four from there on.
    fn element(&self, e: usize, i: &str) -> String {
        let width = self.width_of(e);
        match self.epilogue.extras[e] {
            Access::Full => self.number(e, i),
            Access::Spread { mid, inner: 1 } => self.number(e, &format!("{i} / {mid}u")),
            Access::Spread { mid, inner } => {
                self.number(e, &format!("{i} / {}u * {inner}u + {i} % {inner}u", mid * inner))
            }
            // The address of a zero is clamped into the input, which a select reads all the same.
            Access::Place { offset, length } => {
                let (kind, end) = (width.of_type("f32"), offset + length);
                let last = if width == Width::Four { end - 4 } else { end - 1 };
                let at = self.number(e, &format!("clamp({i}, {offset}u, {last}u) - {offset}u"));
                format!("select({kind}(0.0), {at}, {i} >= {offset}u && {i} < {end}u)")
            }
            Access::OneHot { classes } => {
                let class = format!("extra{e}[base({}u, run) + {i} / {classes}u]", self.first[1] + e);
                format!("select(0.0, 1.0, {class} == {i} % {classes}u)")
            }
        }
    }

    /// The number at a place of an extra, or the four from there on.
    fn number(&self, e: usize, at: &str) -> String {
        let (width, at) = (self.width_of(e), format!("base({}u, run) + {at}", self.first[1] + e));
        match (self.extras[e].lies, width) {
            (Lies::Mirror, Width::One) => format!("textureLoad(extra{e}, texel({at})).x"),
            (Lies::Mirror, Width::Four) => format!("textureLoad(extra{e}, texel_of_four({at}))"),
            (lies, _) => {
                let at = if width == Width::Four { format!("({at}) / 4u") } else { at };
                let load = format!("extra{e}[{at}]");
                if lies == Lies::Half { format!("{}({load})", width.of_type("f32")) } else { load }
            }
        }
    }
}

/// A function of a value of that kind.
fn unary(op: Unary, x: &str, kind: &str) -> String {
    match op {
        Unary::Neg => format!("-{x}"),
        Unary::Exp => format!("exp({x})"),
        Unary::Ln => format!("log({x})"),
        Unary::Sqrt => format!("sqrt({x})"),
        Unary::Relu => format!("select({x}, {kind}(0.0), {x} < {kind}(0.0))"),
        Unary::Step => format!("select({kind}(0.0), {kind}(1.0), {x} > {kind}(0.0))"),
    }
}
