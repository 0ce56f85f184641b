//! How an epilogue is written in a shader: the bindings of its extra inputs, and `fn epilogue(value, i, run)`; or, where operands of
//! the run begin `at` what `begins(run)` said, `fn epilogue_at(value, i, at)`.

use crate::expr::{Access, Epilogue, Instruction, Unary};
use std::collections::BTreeSet;
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
    /// It is what the output of that part held.
    Also(usize),
    /// It is what that part has computed.
    Computed(usize),
}

impl Lies {
    /// Whether a binding of its own holds it, which no part of the launch writes.
    fn is_in_an_input(self) -> bool {
        !matches!(self, Lies::Output | Lies::Also(_) | Lies::Computed(_))
    }
}

/// An extra input as a shader sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extra {
    pub lies: Lies,
    /// Whether it begins at a multiple of four elements.
    pub by_four: bool,
    /// The number of its view; bindings count from one more.
    pub number: usize,
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

/// An expression of which the result is stored.
pub(crate) struct Part<'a> {
    pub epilogue: &'a Epilogue,
    /// One each.
    pub extras: Vec<Extra>,
    /// Whether the result begins at a multiple of four elements.
    pub by_four: bool,
}

/// An epilogue's text in the making.
pub(crate) struct Writer<'a> {
    /// In their order: what the kernel stores is the last one's.
    pub parts: &'a [Part<'a>],
    /// The number of the view in which the first part's result goes, where there are several; the others' follow.
    pub first_also: usize,
    /// Whether the output is kept in half precision.
    pub half: bool,
    pub width: Width,
}

impl Writer<'_> {
    /// The WGSL.
    pub(crate) fn write(&self) -> String {
        let mut text = String::new();
        let mut declared = vec![];
        for (part, e) in self.parts.iter().flat_map(|part| (0..part.extras.len()).map(move |e| (part, e))) {
            let Extra { lies, number, .. } = part.extras[e];
            if lies.is_in_an_input() && !declared.contains(&number) {
                let _ = writeln!(text, "@group(0) @binding({}) {};", number + 2, self.declaration(part, e));
                declared.push(number);
            }
        }
        let (last, before) = self.parts.split_last().expect("an epilogue has a result");
        for (n, part) in before.iter().enumerate() {
            let (number, kind) = (self.first_also + n, self.stored_at_a_time(part).of_type("f32"));
            let _ =
                writeln!(text, "@group(0) @binding({}) var<storage, read_write> also{n}: array<{kind}>;", number + 2);
        }
        let kind = self.width.of_type("f32");
        let kept = self.width.of_type(if self.half { "f16" } else { "f32" });
        self.write_begins(&mut text);
        let _ = writeln!(text, "fn epilogue(value: {kind}, i: u32, run: u32) -> {kept} {{");
        let _ = writeln!(text, "    return epilogue_at(value, i, begins(run));\n}}");
        let _ = writeln!(text, "fn epilogue_at(value: {kind}, i: u32, at: Begins) -> {kept} {{");
        for (n, part) in before.iter().enumerate() {
            self.write_instructions(n, part, &mut text);
            self.write_store(n, part, &mut text);
        }
        self.write_instructions(before.len(), last, &mut text);
        let _ = writeln!(text, "    return {kept}({});\n}}", self.result(before.len()));
        text
    }

    /// Where the output, what else is written and the extra inputs begin, by the number of the view: found once by a kernel that stores
    /// in a loop.
    fn write_begins(&self, text: &mut String) {
        let also = (0..self.parts.len() - 1).map(|n| self.first_also + n);
        let inputs = self.parts.iter().flat_map(|part| &part.extras).filter(|extra| extra.lies.is_in_an_input());
        let inputs = inputs.map(|extra| extra.number);
        let views: BTreeSet<usize> = std::iter::once(0).chain(also).chain(inputs).collect();
        let list = |line: fn(&usize) -> String| views.iter().map(line).collect::<Vec<_>>().join(", ");
        let _ = writeln!(text, "struct Begins {{ {} }}", list(|view| format!("view{view}: u32")));
        let begins = list(|view| format!("base({view}u, run)"));
        let _ = writeln!(text, "fn begins(run: u32) -> Begins {{\n    return Begins({begins});\n}}");
    }

    /// How the result of an instruction of a part is called.
    fn register(&self, part: usize, n: usize) -> String {
        if part + 1 == self.parts.len() { format!("x{n}") } else { format!("x{part}_{n}") }
    }

    /// How a part's result is called.
    fn result(&self, part: usize) -> String {
        let count = self.parts[part].epilogue.instructions.len();
        if count == 0 { "value".into() } else { self.register(part, count - 1) }
    }

    fn write_instructions(&self, number: usize, part: &Part<'_>, text: &mut String) {
        let kind = self.width.of_type("f32");
        let named = |n: usize| self.register(number, n);
        for (n, instruction) in part.epilogue.instructions.iter().enumerate() {
            let right = match *instruction {
                Instruction::Value => "value".to_string(),
                Instruction::Extra(e) => self.load(part, e),
                // `{:?}` prints the shortest digits that give the number back, always with a point or exponent.
                Instruction::Constant(c) => format!("{kind}({:?})", c as f32),
                Instruction::Unary(op, x) => unary(op, &named(x), &kind),
                Instruction::Binary(op, a, b) => format!("{} {} {}", named(a), op.symbol(), named(b)),
            };
            let _ = writeln!(text, "    let {} = {right};", named(n));
        }
    }

    /// Stores what a part that is not the last one has computed.
    fn write_store(&self, n: usize, part: &Part<'_>, text: &mut String) {
        let (at, result) = (format!("at.view{} + i", self.first_also + n), self.result(n));
        let mut line = |line: String| writeln!(text, "    {line};").expect("a string takes all");
        match (self.width, self.stored_at_a_time(part)) {
            (Width::Four, Width::Four) => line(format!("also{n}[({at}) / 4u] = {result}")),
            (Width::Four, Width::One) => {
                (0..4).for_each(|lane| line(format!("also{n}[{at} + {lane}u] = {result}[{lane}]")));
            }
            (Width::One, _) => line(format!("also{n}[{at}] = {result}")),
        }
    }

    /// Elements that are stored at a time of a part that is not the last one.
    fn stored_at_a_time(&self, part: &Part<'_>) -> Width {
        if part.by_four { self.width } else { Width::One }
    }

    fn declaration(&self, part: &Part<'_>, e: usize) -> String {
        let (width, Extra { lies, number, .. }) = (self.width_of(part, e), part.extras[e]);
        match (lies, part.epilogue.extras[e]) {
            (_, Access::OneHot { .. }) => format!("var<storage, read> extra{number}: array<u32>"),
            (Lies::Mirror, _) => {
                let texel = if width == Width::Four { "rgba32float" } else { "r32float" };
                format!("var extra{number}: texture_storage_2d<{texel}, read>")
            }
            (Lies::Half, _) => format!("var<storage, read> extra{number}: array<{}>", width.of_type("f16")),
            _ => format!("var<storage, read> extra{number}: array<{}>", width.of_type("f32")),
        }
    }

    /// What is loaded of an extra at a time: four numbers, where they are neighbours there, too.
    fn width_of(&self, part: &Part<'_>, e: usize) -> Width {
        let neighbours = match part.epilogue.extras[e] {
            Access::Full => true,
            Access::Spread { inner, .. } => inner.is_multiple_of(4),
            Access::Place { offset, length } => offset.is_multiple_of(4) && length.is_multiple_of(4),
            Access::OneHot { .. } => false,
        };
        if neighbours && part.extras[e].by_four { self.width } else { Width::One }
    }

    /// What the epilogue sees of an extra.
    fn load(&self, part: &Part<'_>, e: usize) -> String {
        match (part.extras[e].lies, self.width, part.epilogue.extras[e]) {
            (Lies::Output, ..) => self.old_value(),
            (Lies::Computed(n), ..) => self.result(n),
            (Lies::Also(n), ..) => self.old_value_of(n),
            _ if self.width_of(part, e) == self.width => self.element(part, e, "i"),
            // The same for all four.
            (_, _, Access::Spread { mid, inner: 1 }) if mid.is_multiple_of(4) => {
                format!("vec4<f32>({})", self.element(part, e, "i"))
            }
            _ => {
                let [a, b, c, d] = [0, 1, 2, 3].map(|n| self.element(part, e, &format!("(i + {n}u)")));
                format!("vec4<f32>({a}, {b}, {c}, {d})")
            }
        }
    }

    fn old_value(&self) -> String {
        let at = if self.width == Width::Four { "(at.view0 + i) / 4u" } else { "at.view0 + i" };
        let load = format!("out[{at}]");
        if self.half { format!("{}({load})", self.width.of_type("f32")) } else { load }
    }

    /// What the output of part number `n` held, which is not the last one.
    fn old_value_of(&self, n: usize) -> String {
        let at = format!("at.view{} + i", self.first_also + n);
        match (self.width, self.stored_at_a_time(&self.parts[n])) {
            (Width::Four, Width::Four) => format!("also{n}[({at}) / 4u]"),
            (Width::Four, Width::One) => {
                let [a, b, c, d] = [0, 1, 2, 3].map(|lane| format!("also{n}[{at} + {lane}u]"));
                format!("vec4<f32>({a}, {b}, {c}, {d})")
            }
            (Width::One, _) => format!("also{n}[{at}]"),
        }
    }

    /// The number that belongs to element `i`, or the four from there on.
    fn element(&self, part: &Part<'_>, e: usize, i: &str) -> String {
        let width = self.width_of(part, e);
        match part.epilogue.extras[e] {
            Access::Full => self.number(part, e, i),
            Access::Spread { mid, inner: 1 } => self.number(part, e, &format!("{i} / {mid}u")),
            Access::Spread { mid, inner } => {
                self.number(part, e, &format!("{i} / {}u * {inner}u + {i} % {inner}u", mid * inner))
            }
            // The address of a zero is clamped into the input, which a select reads all the same.
            Access::Place { offset, length } => {
                let (kind, end) = (width.of_type("f32"), offset + length);
                let last = if width == Width::Four { end - 4 } else { end - 1 };
                let at = self.number(part, e, &format!("clamp({i}, {offset}u, {last}u) - {offset}u"));
                format!("select({kind}(0.0), {at}, {i} >= {offset}u && {i} < {end}u)")
            }
            Access::OneHot { classes } => {
                let number = part.extras[e].number;
                let class = format!("extra{number}[at.view{number} + {i} / {classes}u]");
                format!("select(0.0, 1.0, {class} == {i} % {classes}u)")
            }
        }
    }

    /// The number at a place of an extra, or the four from there on.
    fn number(&self, part: &Part<'_>, e: usize, at: &str) -> String {
        let (width, Extra { lies, number, .. }) = (self.width_of(part, e), part.extras[e]);
        let at = format!("at.view{number} + {at}");
        match (lies, width) {
            (Lies::Mirror, Width::One) => format!("textureLoad(extra{number}, texel({at})).x"),
            (Lies::Mirror, Width::Four) => format!("textureLoad(extra{number}, texel_of_four({at}))"),
            (lies, _) => {
                let at = if width == Width::Four { format!("({at}) / 4u") } else { at };
                let load = format!("extra{number}[{at}]");
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
