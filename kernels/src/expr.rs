//! Elementwise expressions: one description that becomes WGSL in a shader (`gpu/epilogue.rs`) and a loop over blocks in
//! its CPU twin. Every kernel with a float output can end in one (its epilogue), so that chains of
//! elementwise operations cost no launch of their own.

use crate::float::Float;
use crate::kernel::Input;
use std::ops::Range;

/// An elementwise function of one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unary {
    /// -x
    Neg,
    /// e^x
    Exp,
    /// ln x
    Ln,
    /// √x
    Sqrt,
    /// max(x, 0)
    Relu,
    /// 1 where x > 0, else 0: the slope of `Relu`, and 0 at 0
    Step,
}

/// An elementwise function of two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Binary {
    /// a + b
    Add,
    /// a - b
    Sub,
    /// a · b
    Mul,
    /// a / b
    Div,
}

impl Unary {
    /// The function itself.
    #[inline(always)]
    pub fn apply<F: Float>(self, x: F) -> F {
        match self {
            Unary::Neg => -x,
            Unary::Exp => x.exp(),
            Unary::Ln => x.ln(),
            Unary::Sqrt => x.sqrt(),
            // Written so that NaN stays NaN: a divergence must not be hidden by an activation.
            Unary::Relu => {
                if x < F::ZERO {
                    F::ZERO
                } else {
                    x
                }
            }
            Unary::Step => {
                if x > F::ZERO {
                    F::ONE
                } else {
                    F::ZERO
                }
            }
        }
    }
}

impl Binary {
    /// The function itself.
    #[inline(always)]
    pub fn apply<F: Float>(self, a: F, b: F) -> F {
        match self {
            Binary::Add => a + b,
            Binary::Sub => a - b,
            Binary::Mul => a * b,
            Binary::Div => a / b,
        }
    }

    /// How it is written between two values.
    pub fn symbol(self) -> char {
        match self {
            Binary::Add => '+',
            Binary::Sub => '-',
            Binary::Mul => '*',
            Binary::Div => '/',
        }
    }
}

/// One instruction; operands are the results of earlier ones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Instruction {
    /// What the kernel itself computed for this element.
    Value,
    /// Extra input number `.0`, read through its [`Access`].
    Extra(usize),
    /// A number.
    Constant(f64),
    /// A function of one earlier result.
    Unary(Unary, usize),
    /// A function of two earlier results.
    Binary(Binary, usize, usize),
}

/// How element `i` of the output reads an extra input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// Element `i`.
    Full,
    /// A broadcast `[outer, inner]` → `[outer, mid, inner]`: element `i / (mid·inner) · inner + i % inner`.
    Spread {
        /// Length of the new axis.
        mid: usize,
        /// Elements behind the new axis.
        inner: usize,
    },
    /// The input is `[rows]` of class numbers: 1 where `i % classes` is the class of row `i / classes`.
    OneHot {
        /// Number of classes.
        classes: usize,
    },
    /// The input stands at `offset` in a field of zeros.
    Place {
        /// First element that is not zero.
        offset: usize,
        /// Elements of the input.
        length: usize,
    },
}

/// An expression over the kernel's value and extra inputs; the last instruction is the result.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Epilogue {
    /// In order; empty means the value as it is.
    pub instructions: Vec<Instruction>,
    /// How each extra input is read.
    pub extras: Vec<Access>,
}

/// Elements evaluated at a time: a few registers of this length stay in the first-level cache.
const BLOCK: usize = 512;

impl Epilogue {
    /// Whether the value passes through unchanged.
    pub fn is_identity(&self) -> bool {
        self.instructions.is_empty()
    }

    /// Arithmetic operations per element.
    pub fn operations(&self) -> usize {
        let arithmetic = |i: &&Instruction| matches!(i, Instruction::Unary(..) | Instruction::Binary(..));
        self.instructions.iter().filter(arithmetic).count()
    }

    /// Writes the expression over a part of the output, which begins with element `first`. The kernel's values are
    /// `computed`, or, where that is `None`, what the part holds, as is what an [`Input::Out`] among the extras reads.
    pub(crate) fn apply<F: Float>(
        &self,
        out: &mut [F],
        first: usize,
        computed: Option<&[F]>,
        extras: &[Input<'_, F>],
        registers: &mut Vec<F>,
    ) {
        if self.is_identity() {
            return;
        }
        let last = self.instructions.len() - 1;
        registers.resize(last * BLOCK, F::ZERO);
        for (block, values) in out.chunks_mut(BLOCK).enumerate() {
            let computed = computed.map(|computed| &computed[block * BLOCK..][..values.len()]);
            let start = first + block * BLOCK;
            let elements = start..start + values.len();
            for n in (0..last).filter(|&n| self.takes_register(n, extras, block)) {
                let (earlier, rest) = registers.split_at_mut(n * BLOCK);
                let operand = |r: usize| {
                    let found = self.source(r, extras, computed, elements.clone(), earlier);
                    Some(found.unwrap_or(values))
                };
                self.evaluate(n, operand, extras, elements.start, &mut rest[..values.len()]);
            }
            // The result is written over the values, which may be what it is computed from.
            let operand = |r: usize| self.source(r, extras, computed, elements.clone(), registers);
            self.evaluate(last, operand, extras, elements.start, values);
        }
    }

    /// Writes what an instruction yields; an operand that is `None` is the target itself.
    fn evaluate<'a, F: Float>(
        &self,
        n: usize,
        operand: impl Fn(usize) -> Option<&'a [F]>,
        extras: &[Input<'_, F>],
        start: usize,
        target: &mut [F],
    ) {
        match self.instructions[n] {
            Instruction::Constant(c) => target.fill(F::of(c)),
            Instruction::Unary(op, x) => unary(op, operand(x), target),
            Instruction::Binary(op, a, b) => binary(op, operand(a), operand(b), target),
            Instruction::Extra(e) if self.lies_as_read(e, &extras[e]) => {
                if let Some(x) = operand(n) {
                    target.copy_from_slice(x);
                }
            }
            Instruction::Extra(e) => read(self.extras[e], &extras[e], start, target),
            Instruction::Value => {}
        }
    }

    /// Whether an instruction's result has to be written for a block: not where it lies somewhere already.
    fn takes_register<F>(&self, n: usize, extras: &[Input<'_, F>], block: usize) -> bool {
        match self.instructions[n] {
            Instruction::Value => false,
            Instruction::Constant(_) => block == 0, // it stays what it is, and no block is longer than the first
            Instruction::Extra(e) => !self.lies_as_read(e, &extras[e]),
            Instruction::Unary(..) | Instruction::Binary(..) => true,
        }
    }

    /// Whether an extra is read element by element, from where it is.
    fn lies_as_read<F>(&self, e: usize, input: &Input<'_, F>) -> bool {
        matches!((self.extras[e], input), (Access::Full, Input::Out | Input::Float(_)))
    }

    /// Where the result of an instruction is for a block of elements: with what was computed, among the extras, in the
    /// registers, or, if `None`, in the output.
    fn source<'a, F: Float>(
        &self,
        n: usize,
        extras: &'a [Input<'_, F>],
        computed: Option<&'a [F]>,
        elements: Range<usize>,
        registers: &'a [F],
    ) -> Option<&'a [F]> {
        match self.instructions[n] {
            Instruction::Value => computed,
            Instruction::Extra(e) => match (self.extras[e], &extras[e]) {
                (Access::Full, Input::Out) => None,
                (Access::Full, Input::Float(x)) => Some(&x[elements]),
                _ => Some(&registers[n * BLOCK..][..elements.len()]),
            },
            _ => Some(&registers[n * BLOCK..][..elements.len()]),
        }
    }
}

/// Reads a block of an extra that is not laid out as the output is.
fn read<F: Float>(access: Access, input: &Input<'_, F>, start: usize, target: &mut [F]) {
    let end = start + target.len();
    match (access, input) {
        (Access::Spread { mid, inner: 1 }, Input::Float(x)) => {
            each_run(start..end, mid, |row, _, run| target[run].fill(x[row]));
        }
        (Access::Spread { mid, inner }, Input::Float(x)) => {
            each_run(start..end, inner, |row, within, run| {
                let from = row / mid * inner + within;
                target[run.clone()].copy_from_slice(&x[from..from + run.len()]);
            });
        }
        (Access::Place { offset, length }, Input::Float(x)) => {
            target.fill(F::ZERO);
            let (from, to) = (start.max(offset), end.min(offset + length));
            if from < to {
                target[from - start..to - start].copy_from_slice(&x[from - offset..to - offset]);
            }
        }
        (Access::OneHot { classes }, Input::Index(x)) => {
            each_run(start..end, classes, |row, within, run| {
                for (class, t) in (within..).zip(&mut target[run]) {
                    *t = if x[row] as usize == class { F::ONE } else { F::ZERO };
                }
            });
        }
        (access, input) => panic!("epilogue: an input of kind {} can't be read as {access:?}", input.kind()),
    }
}

/// Cuts a range of elements at the ends of rows of `width`: for each piece its row, where in the row it
/// begins, and its elements counted from the range's start. (A division an element would cost more than
/// the arithmetic.)
fn each_run(elements: Range<usize>, width: usize, mut piece: impl FnMut(usize, usize, Range<usize>)) {
    let (mut at, mut row, mut within) = (elements.start, elements.start / width, elements.start % width);
    while at < elements.end {
        let next = (at + width - within).min(elements.end);
        piece(row, within, at - elements.start..next - elements.start);
        (at, row, within) = (next, row + 1, 0);
    }
}

// One loop an operator, so that each is vectorised: a match inside the loop would not be. An operand that is `None` is
// the target itself.
fn unary<F: Float>(op: Unary, x: Option<&[F]>, target: &mut [F]) {
    macro_rules! each {
        ($op:expr) => {
            match x {
                Some(x) => target.iter_mut().zip(x).for_each(|(t, &x)| *t = $op.apply(x)),
                None => target.iter_mut().for_each(|t| *t = $op.apply(*t)),
            }
        };
    }
    match op {
        Unary::Neg => each!(Unary::Neg),
        Unary::Exp => each!(Unary::Exp),
        Unary::Ln => each!(Unary::Ln),
        Unary::Sqrt => each!(Unary::Sqrt),
        Unary::Relu => each!(Unary::Relu),
        Unary::Step => each!(Unary::Step),
    }
}

fn binary<F: Float>(op: Binary, a: Option<&[F]>, b: Option<&[F]>, target: &mut [F]) {
    macro_rules! each {
        ($op:expr) => {
            match (a, b) {
                (Some(a), Some(b)) => {
                    target.iter_mut().zip(a.iter().zip(b)).for_each(|(t, (&a, &b))| *t = $op.apply(a, b))
                }
                (Some(a), None) => target.iter_mut().zip(a).for_each(|(t, &a)| *t = $op.apply(a, *t)),
                (None, Some(b)) => target.iter_mut().zip(b).for_each(|(t, &b)| *t = $op.apply(*t, b)),
                (None, None) => target.iter_mut().for_each(|t| *t = $op.apply(*t, *t)),
            }
        };
    }
    match op {
        Binary::Add => each!(Binary::Add),
        Binary::Sub => each!(Binary::Sub),
        Binary::Mul => each!(Binary::Mul),
        Binary::Div => each!(Binary::Div),
    }
}
