//! Each covered ONNX operator in the tape's own operations. What an operator gives is paired with what is published
//! for it, in the same order of elements.

use super::case::{Case, Tensor};
use super::window::Window;
use hindsight::autodiff::{Tape, Var};
use hindsight::program::Session;

/// A session and the tape that a case is recorded on.
pub struct Bench<'t> {
    pub session: Session,
    pub tape: &'t Tape,
}

impl<'t> Bench<'t> {
    fn load(&mut self, tensor: &Tensor) -> Var<'t> {
        let stored = self.session.state("input", &tensor.shape);
        self.session.write(&stored, 0, &tensor.numbers);
        self.tape.load(&stored)
    }

    fn index(&mut self, labels: &[u32]) -> Var<'t> {
        let stored = self.session.indices("labels", 1, &[labels.len()]);
        self.session.write_index(&stored, 0, labels);
        self.tape.load(&stored)
    }

    /// This value, written to memory. What follows is then no part of its shader, so cases share shaders: a product's
    /// takes a software Vulkan a second or two to compile.
    fn stored(&mut self, value: Var<'t>) -> Var<'t> {
        let stored = self.session.state("stored", &value.shape());
        self.tape.assign(&stored, value);
        value
    }
}

type Outcome<'t> = Vec<(Var<'t>, Tensor)>;

pub fn record<'t>(case: &Case, bench: &mut Bench<'t>) -> Outcome<'t> {
    match case.node.op_type.as_str() {
        "Conv" => conv(case, bench),
        "ConvTranspose" => conv_transpose(case, bench),
        "AveragePool" => average_pool(case, bench),
        "GlobalAveragePool" => global_average_pool(case, bench),
        "BatchNormalization" => batch_normalization(case, bench),
        "Relu" => vec![(bench.load(&case.inputs[0]).relu(), case.outputs[0].clone())],
        "Softmax" => softmax(case, bench, Var::softmax),
        "LogSoftmax" => softmax(case, bench, Var::log_softmax),
        "SoftmaxCrossEntropyLoss" | "NegativeLogLikelihoodLoss" => loss(case, bench),
        "Gemm" => gemm(case, bench),
        "MatMul" => matmul(case, bench),
        other => panic!("no covered operator is called {other}"),
    }
}

/// Filters `[.., .., taps_y, taps_x]` as `[taps_y, taps_x, .., ..]`, the other two exchanged: of `Conv` they are filters
/// and channels, of `ConvTranspose`, which goes the other way, channels and filters.
fn filters(tensor: &Tensor) -> Tensor {
    tensor.clone().flat().permuted(&[2, 3, 1, 0])
}

fn conv<'t>(case: &Case, bench: &mut Bench<'t>) -> Outcome<'t> {
    let images = case.inputs[0].clone().flat();
    let window = Window::of(case, [images.shape[2], images.shape[3]]);
    let (x, w) = (bench.load(&images.with_last(1)), bench.load(&filters(&case.inputs[1])));
    let y = x.conv(w, window.stride, window.padding);
    vec![(biased(case, bench, y), case.outputs[0].with_last(1))]
}

/// The gradient of a convolution's input: the tape's own operation under the name that generative models use.
fn conv_transpose<'t>(case: &Case, bench: &mut Bench<'t>) -> Outcome<'t> {
    let (small, large) = (case.inputs[0].clone().flat(), case.outputs[0].clone().flat().with_last(1));
    let window = Window::of_transpose(case, [small.shape[2], small.shape[3]]);
    let (slope, w) = (bench.load(&small.with_last(1)), bench.load(&filters(&case.inputs[1])));
    // A convolution is linear, so its gradient doesn't depend on this point.
    let zeros = bench.load(&Tensor { numbers: vec![0.0; large.numbers.len()], shape: large.shape.clone() });
    let y = bench.tape.grad(zeros.conv(w, window.stride, window.padding) * slope, zeros);
    vec![(biased(case, bench, y), large)]
}

/// The third input, if there is one, added to every place of `[.., channels]`.
fn biased<'t>(case: &Case, bench: &mut Bench<'t>, y: Var<'t>) -> Var<'t> {
    let Some(bias) = case.inputs.get(2) else { return y };
    let (bias, y) = (bench.load(bias), bench.stored(y));
    y + bias.spread(0, y.elements() / bias.elements()).reshape(&y.shape())
}

/// Sums under a filter of ones. Channels don't mix, so they pass as images; one more image, of ones, counts the pixels
/// that each place meets.
fn average_pool<'t>(case: &Case, bench: &mut Bench<'t>) -> Outcome<'t> {
    let mut images = case.inputs[0].clone().flat();
    let [n, c, h, w] = images.shape[..] else { unreachable!("flat images have four axes") };
    let window = Window::of(case, [h, w]);
    images.numbers.extend(vec![1.0; h * w]);
    images.shape = vec![n * c + 1, h, w, 1];
    let [taps_y, taps_x] = window.taps;
    let filter = bench.load(&Tensor { shape: vec![taps_y, taps_x, 1, 1], numbers: vec![1.0; taps_y * taps_x] });
    let sums = bench.load(&images).conv(filter, window.stride, window.padding);
    let places = sums.elements() / (n * c + 1);
    let [images, ones] = [(0, n * c), (n * c, 1)].map(|(first, many)| sums.slice(first * places, &[many, places]));
    let mean = if case.flag("count_include_pad") {
        images * (1.0 / (taps_y * taps_x) as f64)
    } else {
        images / ones.reshape(&[places]).spread(0, n * c)
    };
    vec![(mean, case.outputs[0].clone())]
}

fn global_average_pool<'t>(case: &Case, bench: &mut Bench<'t>) -> Outcome<'t> {
    let images = &case.inputs[0];
    let rows = images.shape[0] * images.shape[1];
    let mean = bench.load(images).reshape(&[rows, images.numbers.len() / rows]).mean(1);
    vec![(mean, case.outputs[0].clone())]
}

fn batch_normalization<'t>(case: &Case, bench: &mut Bench<'t>) -> Outcome<'t> {
    let [n, c] = case.inputs[0].shape[..2] else { unreachable!("slices of two") };
    let places = case.inputs[0].numbers.len() / (n * c);
    let [x, scale, bias, mean, variance] = [0, 1, 2, 3, 4].map(|i| bench.load(&case.inputs[i]));
    let x = x.reshape(&[n, c, places]);
    let everywhere = |channels: Var<'t>| channels.spread(1, places).spread(0, n);
    let of_channels = |x: Var<'t>| x.mean(2).mean(0);
    let normal = |mean: Var<'t>, variance: Var<'t>| {
        let deviation = (variance + case.float("epsilon", 1e-5)).sqrt();
        (x - everywhere(mean)) * everywhere(scale / deviation) + everywhere(bias)
    };
    if !case.flag("training_mode") {
        return vec![(normal(mean, variance), case.outputs[0].clone())];
    }
    let batch_mean = of_channels(x);
    let batch_variance = of_channels((x - everywhere(batch_mean)).squared());
    let momentum = case.float("momentum", 0.9);
    let moved = |old: Var<'t>, new: Var<'t>| old * momentum + new * (1.0 - momentum);
    let found = [normal(batch_mean, batch_variance), moved(mean, batch_mean), moved(variance, batch_variance)];
    found.into_iter().zip(case.outputs.clone()).collect()
}

/// Rows of `[.., classes]`.
fn rows<'t>(scores: Var<'t>) -> Var<'t> {
    let classes = *scores.shape().last().expect("scores have classes");
    scores.reshape(&[scores.elements() / classes, classes])
}

fn softmax<'t>(case: &Case, bench: &mut Bench<'t>, of_rows: fn(Var<'t>) -> Var<'t>) -> Outcome<'t> {
    let axes = case.inputs[0].shape.len() as i64;
    let axis = case.int("axis").unwrap_or(-1).rem_euclid(axes) as usize;
    let scores = rows(bench.load(&case.inputs[0].with_last(axis)));
    vec![(of_rows(scores), case.outputs[0].with_last(axis))]
}

fn loss<'t>(case: &Case, bench: &mut Bench<'t>) -> Outcome<'t> {
    let scores = rows(bench.load(&case.inputs[0].with_last(1)));
    let classes = scores.shape()[1];
    // A label to be ignored may be no class at all: it becomes the first class, at weight zero.
    let labels = &case.inputs[1].numbers;
    let counts = |label: f64| case.int("ignore_index").is_none_or(|ignored| label != ignored as f64);
    let classes_of_rows: Vec<u32> = labels.iter().map(|&l| if counts(l) { l as u32 } else { 0 }).collect();
    let counted = labels.iter().map(|&l| f64::from(u8::from(counts(l)))).collect();
    let labels = bench.index(&classes_of_rows);
    let mut weights = bench.load(&Tensor { shape: vec![classes_of_rows.len()], numbers: counted });
    if let Some(of_classes) = case.inputs.get(2) {
        let of_classes = bench.load(of_classes).reshape(&[classes, 1]);
        weights = weights * of_classes.gather_rows(labels).reshape(&weights.shape());
    }
    let losses = match case.node.op_type.as_str() {
        "SoftmaxCrossEntropyLoss" => scores.cross_entropy(labels),
        _ => -(scores * labels.one_hot(classes)).sum(1),
    };
    let weighted = losses * weights;
    let reduced = match case.text("reduction").unwrap_or("mean") {
        "none" => weighted,
        "sum" => weighted.total(),
        _ => weighted.total() / weights.total(),
    };
    // SoftmaxCrossEntropyLoss may also give the logarithms of probabilities.
    let log_probabilities = case.outputs.get(1).map(|published| (scores.log_softmax(), published.with_last(1)));
    [(reduced, case.outputs[0].clone())].into_iter().chain(log_probabilities).collect()
}

fn gemm<'t>(case: &Case, bench: &mut Bench<'t>) -> Outcome<'t> {
    let (a, b) = (bench.load(&case.inputs[0]), bench.load(&case.inputs[1]));
    let product = bench.stored(a.matmul_transposed(b, case.flag("transA"), case.flag("transB")));
    let [m, n] = product.shape()[..] else { unreachable!("a product is a matrix") };
    let mut sum = product * case.float("alpha", 1.0);
    if let Some(c) = case.inputs.get(2).map(|c| bench.load(c)) {
        let c = match c.elements() {
            1 => c.spread_to(&[m, n]),
            row if row == n => c.reshape(&[n]).spread(0, m),
            _ => c,
        };
        sum = sum + c * case.float("beta", 1.0);
    }
    vec![(sum, case.outputs[0].clone())]
}

/// The last two axes are matrices, the others number them.
fn matmul<'t>(case: &Case, bench: &mut Bench<'t>) -> Outcome<'t> {
    let (a, b) = (bench.load(&case.inputs[0]), bench.load(&case.inputs[1]));
    let matrix = |v: Var<'t>, i: usize| {
        let shape = v.shape();
        let matrix = &shape[shape.len() - 2..];
        v.slice(i * matrix[0] * matrix[1], matrix)
    };
    let published = &case.outputs[0];
    let size: usize = published.shape[published.shape.len() - 2..].iter().product();
    let total = published.numbers.len();
    let placed = (0..total / size).map(|i| matrix(a, i).matmul(matrix(b, i)).place(i * size, total));
    vec![(placed.reduce(|sum, one| sum + one).expect("at least one matrix"), published.clone())]
}
