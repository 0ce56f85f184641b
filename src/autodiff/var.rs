//! A value on a tape, and what can be done with it. No operation broadcasts silently.

use super::op::Op;
use super::site::Site;
use super::tape::{Tape, Values};
use super::zeros;
use hindsight_kernels::{Binary, CountNotFinite, Kind, Ones, Unary};
use std::ops::{Add, Div, Mul, Neg, Sub};

/// A node of a tape. A wrong shape is a programmer's error and panics, naming operation and shapes.
#[derive(Clone, Copy)]
pub struct Var<'t> {
    pub(super) tape: &'t Tape,
    pub(super) id: usize,
}

impl std::fmt::Debug for Var<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "%{} {:?}", self.id, self.shape())
    }
}

impl<'t> Var<'t> {
    /// Shape of one run's value.
    pub fn shape(&self) -> Vec<usize> {
        self.tape.node(self.id).shape
    }

    /// Elements of one run's value.
    pub fn elements(&self) -> usize {
        self.tape.node(self.id).elements()
    }

    /// The tape that it is recorded on.
    pub fn tape(&self) -> &'t Tape {
        self.tape
    }

    /// Its number on the tape.
    pub(crate) fn id(&self) -> usize {
        self.id
    }

    /// The operation that it is the result of, and that operation's inputs.
    pub(crate) fn recorded(&self) -> (Op, Vec<Var<'t>>) {
        let node = self.tape.node(self.id);
        (node.op, node.inputs.into_iter().map(|i| self.tape.var(i)).collect())
    }

    /// Where it was recorded.
    pub(crate) fn site(&self) -> Site {
        self.tape.site(self.id)
    }

    pub(super) fn values(&self) -> Values {
        self.tape.node(self.id).values
    }

    #[track_caller]
    pub(super) fn float(self, op: Op, inputs: &[Var<'t>], shape: Vec<usize>) -> Var<'t> {
        self.tape.record(op, inputs, shape, Kind::Float)
    }

    fn matrix(&self, what: &str) -> [usize; 2] {
        let shape = self.shape();
        shape.try_into().unwrap_or_else(|shape| panic!("{what}: a matrix is wanted, the shape is {shape:?}"))
    }

    /// The same number in this value's shape.
    #[track_caller]
    pub fn constant_like(self, value: f64) -> Var<'t> {
        self.tape.constant(value, &self.shape())
    }

    /// e^x.
    #[track_caller]
    pub fn exp(self) -> Var<'t> {
        self.tape.unary(Unary::Exp, self.here())
    }

    /// ln x.
    #[track_caller]
    pub fn ln(self) -> Var<'t> {
        self.tape.unary(Unary::Ln, self.here())
    }

    /// √x.
    #[track_caller]
    pub fn sqrt(self) -> Var<'t> {
        self.tape.unary(Unary::Sqrt, self.here())
    }

    /// max(x, 0). Its slope at 0 is 0.
    #[track_caller]
    pub fn relu(self) -> Var<'t> {
        self.tape.unary(Unary::Relu, self.here())
    }

    /// 1 where x > 0, else 0. A leaf for gradients: curvature stops here.
    #[track_caller]
    pub fn step(self) -> Var<'t> {
        self.tape.unary(Unary::Step, self.here())
    }

    /// x².
    #[track_caller]
    pub fn squared(self) -> Var<'t> {
        self * self
    }

    fn here(self) -> Var<'t> {
        assert!(self.values() == Kind::Float, "arithmetic wants numbers, this is {:?}", self.values());
        self
    }

    /// The same elements, seen as a constant by gradients.
    #[track_caller]
    pub fn detach(self) -> Var<'t> {
        self.tape.record(Op::Detach, &[self], self.shape(), self.values())
    }

    /// The same elements under another shape.
    #[track_caller]
    pub fn reshape(self, shape: &[usize]) -> Var<'t> {
        let want: usize = shape.iter().product();
        assert_eq!(want, self.elements(), "reshape: {:?} into {shape:?}", self.shape());
        if self.shape() == shape {
            return self;
        }
        if let Op::Constant(bits) = self.tape.node(self.id).op {
            return self.tape.constant(f64::from_bits(bits), shape);
        }
        self.tape.record(Op::Reshape, &[self], shape.to_vec(), self.values())
    }

    /// Elements from `offset` on, as many as `shape` has, of the flattened value.
    #[track_caller]
    pub fn slice(self, offset: usize, shape: &[usize]) -> Var<'t> {
        let end = offset + shape.iter().product::<usize>();
        assert!(end <= self.elements(), "slice: {offset}..{end} of {:?}", self.shape());
        if offset == 0 && end == self.elements() {
            return self.reshape(shape);
        }
        if let Some(part) = zeros::slice(self, offset, shape) {
            return part;
        }
        self.tape.record(Op::Slice { offset }, &[self], shape.to_vec(), self.values())
    }

    /// This value at `offset` in a flat field of zeros of `total` elements.
    #[track_caller]
    pub fn place(self, offset: usize, total: usize) -> Var<'t> {
        assert!(offset + self.elements() <= total, "place: {:?} at {offset} of {total}", self.shape());
        if offset == 0 && self.elements() == total {
            return self.reshape(&[total]);
        }
        self.float(Op::Place { offset }, &[self], vec![total])
    }

    /// Copies along a new axis before axis `axis`: `[2, 3]` spread by 5 at 1 is `[2, 5, 3]`.
    #[track_caller]
    pub fn spread(self, axis: usize, length: usize) -> Var<'t> {
        let mut shape = self.shape();
        assert!(axis <= shape.len(), "spread: axis {axis} of {shape:?}");
        let inner = shape[axis..].iter().product();
        shape.insert(axis, length);
        if let Op::Constant(bits) = self.tape.node(self.id).op {
            return self.tape.constant(f64::from_bits(bits), &shape);
        }
        self.float(Op::Spread { mid: length, inner }, &[self], shape)
    }

    /// A single number, copied into `shape`.
    #[track_caller]
    pub fn spread_to(self, shape: &[usize]) -> Var<'t> {
        assert_eq!(self.elements(), 1, "spread_to: {:?} is not a single number", self.shape());
        if self.shape() == shape {
            return self;
        }
        self.reshape(&[]).spread(0, shape.iter().product()).reshape(shape)
    }

    /// This value times a single number that may differ from run to run.
    #[track_caller]
    pub fn scaled(self, factor: Var<'t>) -> Var<'t> {
        self * factor.spread_to(&self.shape())
    }

    /// Sum over axis `axis`, which goes.
    #[track_caller]
    pub fn sum(self, axis: usize) -> Var<'t> {
        let mut shape = self.shape();
        assert!(axis < shape.len(), "sum: axis {axis} of {shape:?}");
        let inner = shape[axis + 1..].iter().product();
        let mid = shape.remove(axis);
        match self.tape.node(self.id).op {
            Op::Constant(bits) => self.tape.constant(f64::from_bits(bits) * mid as f64, &shape),
            _ if mid == 1 => self.reshape(&shape),
            _ => self.float(Op::Sum { mid, inner }, &[self], shape),
        }
    }

    /// Sum of all elements, shape `[]`.
    #[track_caller]
    pub fn total(self) -> Var<'t> {
        self.reshape(&[self.elements()]).sum(0)
    }

    /// Mean over axis `axis`, which goes.
    #[track_caller]
    pub fn mean(self, axis: usize) -> Var<'t> {
        let length = self.shape()[axis];
        self.sum(axis) * (1.0 / length as f64)
    }

    /// `self[m, k] · other[k, n]`.
    #[track_caller]
    pub fn matmul(self, other: Var<'t>) -> Var<'t> {
        self.product(other, false, false, Ones::No)
    }

    /// `op(self) · op(other)`, where op transposes if `ta` or `tb` says so.
    #[track_caller]
    pub fn matmul_transposed(self, other: Var<'t>, ta: bool, tb: bool) -> Var<'t> {
        self.product(other, ta, tb, Ones::No)
    }

    /// `[self, 1] · weights`: a layer whose bias is the last row of `weights[k + 1, n]`.
    #[track_caller]
    pub fn affine(self, weights: Var<'t>) -> Var<'t> {
        self.product(weights, false, false, Ones::Column)
    }

    /// `[self, 1]ᵀ · dy`: the gradient of [`Var::affine`]'s weights.
    #[track_caller]
    pub fn affine_weights(self, dy: Var<'t>) -> Var<'t> {
        self.product(dy, true, false, Ones::Row)
    }

    #[track_caller]
    pub(crate) fn product(self, other: Var<'t>, ta: bool, tb: bool, ones: Ones) -> Var<'t> {
        let (a, b) = (self.matrix("matmul"), other.matrix("matmul"));
        let ([m, ka], [kb, n]) = (if ta { [a[1], a[0]] } else { a }, if tb { [b[1], b[0]] } else { b });
        let fits = if ones == Ones::Column { ka + 1 == kb } else { ka == kb };
        assert!(fits, "matmul: {a:?} (transposed: {ta}) and {b:?} (transposed: {tb}), ones: {ones:?}");
        if let Some(product) = zeros::product(self, other, ta, tb, ones) {
            return product;
        }
        let m = if ones == Ones::Row { m + 1 } else { m };
        self.float(Op::MatMul { ta, tb, ones }, &[self, other], vec![m, n])
    }

    /// Logarithm of the softmax of each row of `[rows, classes]`.
    #[track_caller]
    pub fn log_softmax(self) -> Var<'t> {
        let shape = self.matrix("log_softmax");
        self.float(Op::LogSoftmax, &[self], shape.to_vec())
    }

    /// Softmax of each row of `[rows, classes]`.
    #[track_caller]
    pub fn softmax(self) -> Var<'t> {
        self.log_softmax().exp()
    }

    /// Cross-entropy of logits `[rows, classes]` with labels `[rows]`: `[rows]`.
    #[track_caller]
    pub fn cross_entropy(self, labels: Var<'t>) -> Var<'t> {
        let [rows, _] = self.matrix("cross_entropy");
        labels.must_index(rows, "cross_entropy");
        self.float(Op::CrossEntropy, &[self, labels], vec![rows])
    }

    fn must_index(&self, rows: usize, what: &str) {
        assert!(self.values() == Kind::Index, "{what}: indices are wanted, this is {:?}", self.values());
        assert_eq!(self.elements(), rows, "{what}: {rows} rows and {} indices", self.elements());
    }

    /// Class numbers `[rows]` as `[rows, classes]`.
    #[track_caller]
    pub fn one_hot(self, classes: usize) -> Var<'t> {
        let rows = self.elements();
        self.must_index(rows, "one_hot");
        self.float(Op::OneHot, &[self], vec![rows, classes])
    }

    /// Rows `index` of this table `[any, width]`.
    #[track_caller]
    pub fn gather_rows(self, index: Var<'t>) -> Var<'t> {
        let [_, width] = self.matrix("gather_rows");
        let rows = index.elements();
        index.must_index(rows, "gather_rows");
        self.float(Op::GatherRows, &[self, index], vec![rows, width])
    }

    /// These rows `[rows, width]` added into a table of zeros `[table, width]` at `index`.
    #[track_caller]
    pub fn scatter_add_rows(self, index: Var<'t>, table: usize) -> Var<'t> {
        let [rows, width] = self.matrix("scatter_add_rows");
        index.must_index(rows, "scatter_add_rows");
        self.float(Op::ScatterAddRows, &[self, index], vec![table, width])
    }

    /// These images (bytes `[any, width]`) at `image`, each through map `which` of `maps [any, width]`.
    #[track_caller]
    pub fn gather_pixels(self, image: Var<'t>, maps: Var<'t>, which: Var<'t>) -> Var<'t> {
        let [_, width] = self.matrix("gather_pixels");
        assert!(self.values() == Kind::Bytes, "gather_pixels: images must be bytes");
        let rows = image.elements();
        image.must_index(rows, "gather_pixels");
        which.must_index(rows, "gather_pixels");
        self.float(Op::GatherPixels, &[self, image, maps, which], vec![rows, width])
    }

    /// Each row of `[rows, width]` scaled to [0, 1]; 0 where a row is all the same.
    #[track_caller]
    pub fn rescale(self) -> Var<'t> {
        let shape = self.matrix("rescale");
        self.float(Op::Rescale, &[self], shape.to_vec())
    }

    /// 1 where an entry of `[rows, width]` is one of its row's `count` largest, else 0. A leaf for gradients.
    #[track_caller]
    pub fn largest(self, count: usize) -> Var<'t> {
        let shape = self.matrix("largest");
        self.float(Op::Largest { count }, &[self], shape.to_vec())
    }

    /// Standard normal noise of a key `[3]` of indices: the same key, the same noise.
    #[track_caller]
    pub fn normal(self, shape: &[usize]) -> Var<'t> {
        self.must_index(3, "normal");
        self.float(Op::Normal, &[self], shape.to_vec())
    }

    /// Number of the largest entry of each row of `[rows, classes]`, as numbers `[rows]`.
    #[track_caller]
    pub fn argmax(self) -> Var<'t> {
        let [rows, _] = self.matrix("argmax");
        self.float(Op::Argmax, &[self], vec![rows])
    }

    /// Rows of logits `[rows, classes]` whose argmax is their label: a count, `[1]`.
    #[track_caller]
    pub fn count_correct(self, labels: Var<'t>) -> Var<'t> {
        let [rows, _] = self.matrix("count_correct");
        labels.must_index(rows, "count_correct");
        self.float(Op::CountCorrect, &[self, labels], vec![1])
    }

    /// Number of entries that are NaN or infinite, a single number. Told by their bits, since a shader's compiler may take it
    /// that there are none.
    #[track_caller]
    pub fn count_not_finite(self) -> Var<'t> {
        let blocks = self.elements().div_ceil(CountNotFinite::BLOCK);
        let counts = self.float(Op::CountNotFinite, &[self], vec![blocks]);
        if blocks == 1 { counts.reshape(&[]) } else { counts.total() }
    }
}

macro_rules! arithmetic {
    ($trait:ident, $method:ident, $op:ident) => {
        impl<'t> $trait for Var<'t> {
            type Output = Var<'t>;
            #[track_caller]
            fn $method(self, other: Var<'t>) -> Var<'t> {
                self.tape.binary(Binary::$op, self.here(), other.here())
            }
        }
        impl<'t> $trait<f64> for Var<'t> {
            type Output = Var<'t>;
            #[track_caller]
            fn $method(self, other: f64) -> Var<'t> {
                self.tape.binary(Binary::$op, self.here(), self.constant_like(other))
            }
        }
        impl<'t> $trait<Var<'t>> for f64 {
            type Output = Var<'t>;
            #[track_caller]
            fn $method(self, other: Var<'t>) -> Var<'t> {
                other.tape.binary(Binary::$op, other.constant_like(self), other.here())
            }
        }
    };
}
arithmetic!(Add, add, Add);
arithmetic!(Sub, sub, Sub);
arithmetic!(Mul, mul, Mul);
arithmetic!(Div, div, Div);

impl<'t> Neg for Var<'t> {
    type Output = Var<'t>;
    #[track_caller]
    fn neg(self) -> Var<'t> {
        self.tape.unary(Unary::Neg, self.here())
    }
}
