//! What a kernel is: a shader, what it costs, and its twin in plain Rust.

use crate::autotune::Tunable;
use crate::bytes::Bytes;
use crate::float::Float;
use crate::gpu::Traits;
use crate::view::View;
use std::borrow::Cow;
use std::fmt::Debug;
use std::ops::Range;

/// An operand as a CPU twin sees it; slices begin at the view and may be longer than the operand.
#[derive(Clone, Copy)]
pub enum Input<'a, F> {
    /// Numbers.
    Float(&'a [F]),
    /// Indices or class numbers.
    Index(&'a [u32]),
    /// Images, and the byte at which the operand begins.
    Bytes(&'a Bytes, usize),
    /// The output itself: an update in place.
    Out,
}

impl<'a, F> Input<'a, F> {
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Input::Float(_) => "float",
            Input::Index(_) => "index",
            Input::Bytes(..) => "bytes",
            Input::Out => "output",
        }
    }

    /// The numbers; panics on another kind, which is an error in the program that was compiled.
    pub fn float(&self) -> &'a [F] {
        match *self {
            Input::Float(x) => x,
            _ => panic!("expected an operand of floats, found {}", self.kind()),
        }
    }

    /// The indices; panics on another kind.
    pub fn index(&self) -> &'a [u32] {
        match *self {
            Input::Index(x) => x,
            _ => panic!("expected an operand of indices, found {}", self.kind()),
        }
    }
}

/// Work of one launch for one run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// Floating-point operations; a multiply-add is two.
    pub flops: f64,
    /// Bytes that must be read and written at least once.
    pub bytes: f64,
}

/// What a kernel asks of the GPU.
pub struct Shader {
    /// WGSL between the prelude and the epilogue.
    pub source: Cow<'static, str>,
    /// Its entry point.
    pub entry: &'static str,
    /// Which of several kinds of the text it is; empty where there is one.
    pub kind: &'static str,
    /// Pipeline-overridable constants.
    pub constants: Vec<(&'static str, f64)>,
    /// Up to eight numbers in `params.size` and `params.more`.
    pub size: Vec<u32>,
    /// Workgroups in x and y; z counts the runs.
    pub groups: [u32; 2],
    /// Whether it leaves alone what would be zero, so that the output must hold zeros before.
    pub over_zeros: bool,
    /// Iterations of loops that an invocation takes at most, nested ones counted together; 0 where
    /// no loop's length depends on the shape. Some drivers leave loops after so many (see
    /// [`Traits::loop_budget`]).
    pub iterations: usize,
}

impl Shader {
    /// A shader without constants whose entry point is `main`.
    pub fn new(source: Cow<'static, str>, size: Vec<u32>, groups: [u32; 2]) -> Shader {
        let (entry, kind, constants) = ("main", "", vec![]);
        Shader { source, entry, kind, constants, size, groups, over_zeros: false, iterations: 0 }
    }

    /// A shader with one thread an element, 256 a workgroup, for `elements` elements.
    pub fn per_element(source: &'static str, size: Vec<u32>, elements: usize) -> Shader {
        Shader::new(source.into(), size, spread_groups(elements.div_ceil(256)))
    }

    /// The stem of its file, with which every shader's first line begins; its kind and its entry point where there are several.
    pub fn variant(&self) -> String {
        let first = self.source.trim_start_matches(['/', ' ']);
        let stem = first.split([':', '\n']).next().unwrap_or_default();
        let entry = if self.entry == "main" { "" } else { self.entry };
        [stem, self.kind, entry].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
    }
}

/// Elements of a row from which on several threads of a workgroup share it.
const LONG_ROW: usize = 512;

/// How many threads of a workgroup share rows of so many elements: one, or, where rows are long,
/// so many.
pub(crate) fn lanes(row: usize, several: usize) -> usize {
    if row < LONG_ROW { 1 } else { several }
}

/// Steps in which a workgroup's tree joins what so many threads have.
pub(crate) fn levels(lanes: usize) -> usize {
    lanes.ilog2() as usize
}

/// Splits a count of workgroups over x and y: an axis holds at most 65,535 on every adapter.
pub fn spread_groups(groups: usize) -> [u32; 2] {
    let x = groups.clamp(1, 65_535);
    [x as u32, groups.div_ceil(x).max(1) as u32]
}

/// A kernel at a shape: the shader, its cost, and the CPU twin that it must equal.
///
/// Implement [`Twin`] and [`Describe`]; `Kernel` follows.
pub trait Kernel: Debug + Send + Sync {
    /// The description shared by all devices.
    fn describe(&self) -> &dyn Describe;
    /// The twin in single precision.
    fn twin_f32(&self, out: &mut [f32], inputs: &[Input<'_, f32>]);
    /// The twin in double precision: the oracle.
    fn twin_f64(&self, out: &mut [f64], inputs: &[Input<'_, f64>]);
    /// Some rows of the twin in single precision; see [`Describe::rows`].
    fn rows_f32(&self, rows: Range<usize>, out: &mut [f32], inputs: &[Input<'_, f32>]) {
        assert!(rows == (0..1), "the twin computes all or nothing, not rows {rows:?}");
        self.twin_f32(out, inputs);
    }
    /// Some rows of the twin in double precision.
    fn rows_f64(&self, rows: Range<usize>, out: &mut [f64], inputs: &[Input<'_, f64>]) {
        assert!(rows == (0..1), "the twin computes all or nothing, not rows {rows:?}");
        self.twin_f64(out, inputs);
    }
}

/// Name, cost and shader of a kernel at a shape.
pub trait Describe: Debug + Send + Sync {
    /// The stem of its files.
    fn name(&self) -> &'static str;
    /// Its sizes, in few words.
    fn shape(&self) -> String {
        sizes(&format!("{self:?}"))
    }
    /// Elements of the output, for one run.
    fn elements(&self) -> usize;
    /// Work for one run, without the epilogue.
    fn cost(&self) -> Cost;
    /// Number of its own inputs, before the epilogue's extras.
    fn inputs(&self) -> usize;
    /// The shader for an adapter, where the output, the kernel's own inputs and the epilogue's lie as `views` say.
    fn shader(&self, adapter: &Traits, views: &[View]) -> Shader;
    /// The shader for an output that holds zeros already and has no epilogue, where the adapter is faster at filling a buffer
    /// with zeros than at computing the many that there are.
    fn shader_over_zeros(&self, _adapter: &Traits, _views: &[View]) -> Option<Shader> {
        None
    }
    /// Rows that the output consists of, each of which the twin can compute by itself, to the same bits: threads may share
    /// them. One, where it can't.
    fn rows(&self) -> usize {
        1
    }
    /// The kernel as one that comes in variants, of which the fastest is chosen on an adapter; if it is such.
    fn as_tunable(&self) -> Option<&dyn Tunable> {
        None
    }
    /// Whether the twin leaves `out` alone, because the epilogue computes everything.
    fn only_epilogue(&self) -> bool {
        false
    }
}

/// The numbers among a kernel's fields as `Debug` prints them: `Sum { outer: 2, mid: 3, inner: 1 }` is
/// `outer 2, mid 3, inner 1`.
fn sizes(printed: &str) -> String {
    let fields = printed.split_once('{').map_or("", |(_, fields)| fields.trim_end_matches(['}', ' ']));
    let number = |field: &&str| field.ends_with(|c: char| c.is_ascii_digit());
    fields.split(", ").map(str::trim).filter(number).map(|field| field.replace(':', "")).collect::<Vec<_>>().join(", ")
}

/// The plain-Rust meaning of a kernel.
pub trait Twin {
    /// Computes `out` (already at its view) from `inputs`.
    fn compute<F: Float>(&self, out: &mut [F], inputs: &[Input<'_, F>]);
    /// Computes some rows of the output, all that `out` holds; needed where [`Describe::rows`] says that there are several.
    fn compute_rows<F: Float>(&self, rows: Range<usize>, out: &mut [F], inputs: &[Input<'_, F>]) {
        assert!(rows == (0..1), "the twin computes all or nothing, not rows {rows:?}");
        self.compute(out, inputs);
    }
}

impl<K: Twin + Describe> Kernel for K {
    fn describe(&self) -> &dyn Describe {
        self
    }
    fn twin_f32(&self, out: &mut [f32], inputs: &[Input<'_, f32>]) {
        self.compute(out, inputs);
    }
    fn twin_f64(&self, out: &mut [f64], inputs: &[Input<'_, f64>]) {
        self.compute(out, inputs);
    }
    fn rows_f32(&self, rows: Range<usize>, out: &mut [f32], inputs: &[Input<'_, f32>]) {
        self.compute_rows(rows, out, inputs);
    }
    fn rows_f64(&self, rows: Range<usize>, out: &mut [f64], inputs: &[Input<'_, f64>]) {
        self.compute_rows(rows, out, inputs);
    }
}
