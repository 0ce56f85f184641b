//! What a launch is: a kernel, where its operands lie, and where its result goes.

use crate::autotune::Tunable;
use crate::bytes::Bytes;
use crate::epilogue_wgsl::{Extra, Lies, Part, Width, Writer};
use crate::expr::{Access, Epilogue};
use crate::float::Float;
use crate::gpu::Traits;
use std::borrow::Cow;
use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;

/// A buffer: one that outlives a replay (in the [`Store`](crate::Store)), or one of the program's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BufferId {
    /// Number in the store.
    Stored(usize),
    /// Number among the program's temporaries.
    Temporary(usize),
    /// The same, of one whose numbers are kept in half precision.
    Half(usize),
}

impl BufferId {
    /// Whether its numbers are kept in half precision.
    pub fn is_half(self) -> bool {
        self.half().is_some()
    }

    /// Its number among the temporaries, where it is one in half precision.
    pub(crate) fn half(self) -> Option<usize> {
        if let BufferId::Half(id) = self { Some(id) } else { None }
    }
}

/// Which row of a per-step buffer a step sees: `(step / every) % period`, times `stride` elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stride {
    /// Elements from one row to the next; 0: every step sees the same.
    pub stride: usize,
    /// Steps that see the same row.
    pub every: usize,
    /// Rows before the first one comes again.
    pub period: usize,
}

impl Stride {
    /// Every step sees the same elements.
    pub const FIXED: Stride = Stride { stride: 0, every: 1, period: 1 };

    /// Elements to skip at `step`.
    pub fn at(&self, step: usize) -> usize {
        step / self.every % self.period * self.stride
    }
}

/// Where an operand begins: elements into a buffer, in every run alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct View {
    /// The buffer.
    pub buffer: BufferId,
    /// Elements (for bytes: bytes) from the start of the run's part.
    pub offset: usize,
    /// Movement with the step.
    pub step: Stride,
    /// Elements from here to where the operand of the next of several launches abreast begins ([`Launch::abreast`]); 0: it
    /// is the same for all.
    pub apart: usize,
}

impl View {
    /// The view from the start of a buffer, the same at every step.
    pub fn whole(buffer: BufferId) -> View {
        View { buffer, offset: 0, step: Stride::FIXED, apart: 0 }
    }

    /// The number of the temporary in which it lies, if it lies in one.
    pub fn temporary(&self) -> Option<usize> {
        if let BufferId::Temporary(id) = self.buffer { Some(id) } else { None }
    }

    /// Whether it begins at a multiple of four elements, in every run and at every step. (Runs lie [`aligned`].)
    pub(crate) fn is_by_four(&self) -> bool {
        self.is_by(4)
    }

    /// The same of so many elements, up to sixteen.
    pub(crate) fn is_by(&self, many: usize) -> bool {
        [self.offset, self.step.stride, self.apart].iter().all(|elements| elements.is_multiple_of(many))
    }
}

/// Elements, rounded up, from one to the next of several that lie in one buffer, such as the parts of a GPU's runs: each then begins
/// where four neighbours can be loaded at a time, on a boundary of 64.
pub fn aligned(elements: usize) -> usize {
    elements.next_multiple_of(64)
}

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
}

impl Shader {
    /// A shader without constants whose entry point is `main`.
    pub fn new(source: Cow<'static, str>, size: Vec<u32>, groups: [u32; 2]) -> Shader {
        Shader { source, entry: "main", kind: "", constants: vec![], size, groups, over_zeros: false }
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

/// One entry of a compiled program.
#[derive(Clone, Debug)]
pub struct Launch {
    /// What is computed.
    pub kernel: Arc<dyn Kernel>,
    /// What is done to each element before it is written.
    pub epilogue: Epilogue,
    /// The kernel's inputs, then the epilogue's extras.
    pub inputs: Vec<View>,
    /// Where the result goes.
    pub output: View,
    /// How many launches it stands for, which do the same to operands that lie apart.
    pub abreast: usize,
    /// Of a map: others of as many elements, which are computed before it, element by element. What they write it may read.
    pub before: Vec<Launch>,
}

/// An operand of a launch: where it lies; its elements, where they are known; and how an epilogue reads it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operand {
    pub view: View,
    pub elements: Option<usize>,
    access: Option<Access>,
}

impl Launch {
    /// One that stands for itself alone.
    pub fn new(kernel: Arc<dyn Kernel>, epilogue: Epilogue, inputs: Vec<View>, output: View) -> Launch {
        Launch { kernel, epilogue, inputs, output, abreast: 1, before: vec![] }
    }

    /// What it computes, in order: what is before it, and itself.
    pub fn parts(&self) -> impl Iterator<Item = &Launch> {
        self.before.iter().chain([self])
    }

    /// All that it reads and writes; some of it several times.
    pub fn views(&self) -> impl Iterator<Item = &View> {
        self.parts().flat_map(|part| std::iter::once(&part.output).chain(&part.inputs))
    }

    /// The same, to be moved.
    pub fn views_mut(&mut self) -> impl Iterator<Item = &mut View> {
        let Launch { inputs, output, before, .. } = self;
        let before = before.iter_mut().flat_map(|part| part.inputs.iter_mut().chain([&mut part.output]));
        inputs.iter_mut().chain([output]).chain(before)
    }

    /// Its operands in the order in which a shader numbers them: the output, the inputs, the outputs of what is before it, and
    /// what that reads besides.
    pub(crate) fn operands(&self) -> Vec<Operand> {
        let output = |part: &Launch| {
            let elements = part.kernel.describe().elements();
            Operand { view: part.output, elements: Some(elements), access: None }
        };
        let own = (0..self.inputs.len()).map(|n| self.input(n));
        let mut all: Vec<_> = std::iter::once(output(self)).chain(own).chain(self.before.iter().map(output)).collect();
        for part in &self.before {
            for input in (0..part.inputs.len()).map(|n| part.input(n)) {
                if number_of(&all, &input).is_none() {
                    all.push(input);
                }
            }
        }
        all
    }

    fn input(&self, n: usize) -> Operand {
        let extra = n.checked_sub(self.kernel.describe().inputs());
        let access = extra.map(|extra| self.epilogue.extras[extra]);
        Operand { view: self.inputs[n], elements: self.elements_of(n), access }
    }

    /// What the kernel asks of an adapter.
    pub(crate) fn shader(&self, adapter: &Traits) -> Shader {
        let kernel = self.kernel.describe();
        let views: Vec<View> = self.operands().iter().map(|operand| operand.view).collect();
        let can_be_cleared = self.epilogue.is_identity() && self.abreast == 1 && self.output.step == Stride::FIXED;
        let can_be_cleared = can_be_cleared && !self.output.buffer.is_half();
        let over_zeros = if can_be_cleared { kernel.shader_over_zeros(adapter, &views) } else { None };
        let mut shader = over_zeros.unwrap_or_else(|| kernel.shader(adapter, &views));
        shader.constants.extend((self.abreast > 1).then_some(("ABREAST", self.abreast as f64)));
        shader
    }

    /// Elements of input number `n`, where they are known.
    fn elements_of(&self, n: usize) -> Option<usize> {
        let kernel = self.kernel.describe();
        let Some(extra) = n.checked_sub(kernel.inputs()) else {
            return kernel.as_tunable().map(|product| product.operands()[n]);
        };
        Some(match self.epilogue.extras[extra] {
            Access::Full => kernel.elements(),
            Access::Spread { mid, .. } => kernel.elements() / mid,
            Access::OneHot { classes } => kernel.elements() / classes,
            Access::Place { length, .. } => length,
        })
    }

    /// The epilogue in WGSL, behind a kernel's text. It finds numbers in mirrors of their buffers, if `mirrored`.
    pub(crate) fn epilogue_wgsl(&self, kernel: &str, mirrored: bool) -> String {
        let operands = self.operands();
        let parts: Vec<Part<'_>> =
            self.parts().enumerate().map(|(n, part)| self.written(n, part, &operands, mirrored)).collect();
        let (half, first_also) = (self.output.buffer.is_half(), 1 + self.inputs.len());
        Writer { parts: &parts, first_also, half, width: Width::of(kernel) }.write()
    }

    /// Part number `n` as a shader has it.
    fn written<'a>(&self, n: usize, part: &'a Launch, operands: &[Operand], mirrored: bool) -> Part<'a> {
        let own = part.kernel.describe().inputs();
        let number = |e: usize| match n < self.before.len() {
            true => number_of(operands, &part.input(e)).expect("it is among the operands"),
            false => 1 + own + e,
        };
        let extra = |(e, (view, access)): (usize, (&View, &Access))| Extra {
            lies: self.lies(n, view, access, mirrored),
            by_four: view.is_by_four(),
            number: number(e),
        };
        let extras = part.inputs[own..].iter().zip(&part.epilogue.extras).enumerate().map(extra).collect();
        Part { epilogue: &part.epilogue, extras, by_four: part.output.is_by_four() }
    }

    /// Where part number `n` finds an extra.
    fn lies(&self, n: usize, view: &View, access: &Access, mirrored: bool) -> Lies {
        let full = *access == Access::Full;
        let also = self.before.iter().position(|part| full && part.output == *view);
        let is_old_value = full && *view == self.output;
        match view.buffer {
            BufferId::Half(_) if is_old_value => Lies::Output,
            BufferId::Half(_) => Lies::Half,
            _ if also.is_some_and(|also| also < n) => Lies::Computed(also.expect("it is one")),
            _ if mirrored && !matches!(access, Access::OneHot { .. }) => Lies::Mirror,
            _ if is_old_value => Lies::Output,
            _ => also.map_or(Lies::Buffer, Lies::Also),
        }
    }

    /// Work for one run, epilogue included.
    pub fn cost(&self) -> Cost {
        let kernel = self.kernel.describe();
        let elements = kernel.elements() as f64;
        let cost = kernel.cost();
        let flops = cost.flops + elements * self.epilogue.operations() as f64;
        let bytes = cost.bytes + 4.0 * elements * self.epilogue.extras.len() as f64 - self.saved_bytes();
        let (abreast, before) = (self.abreast as f64, self.before.iter().map(Launch::cost));
        let own = Cost { flops: abreast * flops, bytes: abreast * bytes };
        let all = before.fold(own, |a, b| Cost { flops: a.flops + b.flops, bytes: a.bytes + b.bytes });
        Cost { bytes: all.bytes - self.read_again_bytes(), ..all }
    }

    /// Bytes that a map reads which one before it has read or written.
    fn read_again_bytes(&self) -> f64 {
        let (mut known, mut again): (Vec<&View>, usize) = (vec![], 0);
        for part in self.parts().filter(|_| !self.before.is_empty()) {
            again += part.inputs.iter().filter(|view| known.contains(view)).count();
            known.extend(part.inputs.iter().chain([&part.output]));
        }
        4.0 * (again * self.kernel.describe().elements()) as f64
    }

    /// Bytes that are not read and written, since results, and operands of products and epilogues, are kept in half precision.
    fn saved_bytes(&self) -> f64 {
        let kernel = self.kernel.describe();
        let operands = kernel.as_tunable().map_or([0; 2], |product| product.operands());
        let sizes = operands.into_iter().take(kernel.inputs()).chain(std::iter::repeat(kernel.elements()));
        let read = self.inputs.iter().zip(sizes).chain([(&self.output, kernel.elements())]);
        read.filter(|(view, _)| view.buffer.is_half()).map(|(_, elements)| 2.0 * elements as f64).sum()
    }
}

/// Which of the operands is this one, which an epilogue reads.
fn number_of(operands: &[Operand], input: &Operand) -> Option<usize> {
    operands.iter().position(|known| known.access == input.access && known.view == input.view)
}
