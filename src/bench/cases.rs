//! The table of what is measured: every kernel over the shapes that the models use, and a sweep of squares.

use super::case::Operand::{Floats, Images, Indices};
use super::case::{Case, Operand};
use hindsight_kernels::autotune::Tunable;
use hindsight_kernels::*;
use std::sync::Arc;

const LAYERS: &str = "Products of the perceptron";
const SQUARES: &str = "Square products";
const CONVOLUTIONS: &str = "Convolutions of ResNet-S, 20 images";
const LARGE_CONVOLUTIONS: &str = "Convolutions of ResNet-S, 256 images";
const ROWS: &str = "Rows of logits";
const GATHERS: &str = "Gathers and scatters";
const ELEMENTWISE: &str = "Elementwise, sums and noise";

/// The perceptron's layers: what goes in, what comes out.
const PERCEPTRON: [(usize, usize); 3] = [(784, 256), (256, 256), (256, 10)];
/// Its parameters, biases included.
const PARAMETERS: usize = 785 * 256 + 257 * 256 + 257 * 10;
/// Images of a convolution: a batch and as many from the memory.
const BATCH: usize = 20;

/// Images of one that fills large hardware.
const LARGE_BATCH: usize = 256;

/// All cases for a device. What is large is for hardware: elsewhere it takes seconds each.
pub fn all(device: &Device) -> Vec<Case> {
    let hardware = device.is_hardware();
    let large = if hardware { convolutions(LARGE_CONVOLUTIONS, LARGE_BATCH) } else { vec![] };
    let convolutions = convolutions(CONVOLUTIONS, BATCH);
    [layers(), squares(hardware), convolutions, large, rows(), gathers(), elementwise()].concat()
}

fn case(group: &'static str, name: &str, size: String, kernel: impl Kernel + 'static, operands: &[Operand]) -> Case {
    let (kernel, epilogue) = (Arc::new(kernel), Epilogue::default());
    Case { group, name: name.into(), size, kernel, epilogue, operands: operands.to_vec(), terms: 1, has_oracle: true }
}

/// A product as a case.
pub fn product(group: &'static str, name: &str, product: MatMul) -> Case {
    let MatMul { m, n, k, bytes, .. } = product;
    let [a, b] = product.operands();
    let operands = [if bytes { Images(a) } else { Floats(a) }, Floats(b)];
    Case { terms: k, ..case(group, name, format!("{m} x {n} x {k}"), product, &operands) }
}

/// A product of matrices as they are stored, `[m, k] · [k, n]`.
pub fn plain(m: usize, n: usize, k: usize) -> MatMul {
    MatMul { m, n, k, ta: false, tb: false, ones: Ones::No, bytes: false }
}

fn layers() -> Vec<Case> {
    let numbered = || (1..).zip(PERCEPTRON);
    let mut cases = vec![];
    for batch in [1, 10, 20, 1000] {
        let layer = |(number, (k, n))| {
            let layer = MatMul { ones: Ones::Column, ..plain(batch, n, k) };
            product(LAYERS, &format!("layer {number}, batch {batch}"), layer)
        };
        cases.extend(numbered().map(layer));
    }
    for batch in [10, 20] {
        let weights = |(number, (k, n))| {
            let gradient = MatMul { ta: true, ones: Ones::Row, ..plain(k + 1, n, batch) };
            product(LAYERS, &format!("gradient of layer {number}'s weights, batch {batch}"), gradient)
        };
        cases.extend(numbered().map(weights));
        // The first layer's input is the image: nobody asks for its gradient but HAL's search for anchors.
        let input = |(number, (k, n))| {
            let gradient = MatMul { tb: true, ..plain(batch, k, n) };
            product(LAYERS, &format!("gradient of layer {number}'s input, batch {batch}"), gradient)
        };
        cases.extend(numbered().map(input));
    }
    cases.push(product(LAYERS, "layer 1 of 200 anchors", plain(200, 256, 784)));
    let images = MatMul { ones: Ones::Column, bytes: true, ..plain(1000, 256, 784) };
    cases.push(product(LAYERS, "layer 1, 1000 images, blank pixels counted", images));
    cases
}

fn squares(hardware: bool) -> Vec<Case> {
    let sizes: &[usize] = if hardware { &[64, 128, 256, 512, 1024, 2048, 4096] } else { &[64, 128, 256, 512, 1024] };
    sizes.iter().map(|&n| product(SQUARES, &format!("{n} cubed"), plain(n, n, n))).collect()
}

fn convolutions(group: &'static str, batch: usize) -> Vec<Case> {
    // Height and width of the input, its channels, filters, taps, stride.
    let layers = [
        ("stem", 32_usize, 3, 20, 3_usize, 1),
        ("stage 1", 32, 20, 20, 3, 1),
        ("into stage 2", 32, 20, 40, 3, 2),
        ("shortcut into stage 2", 32, 20, 40, 1, 2),
        ("stage 2", 16, 40, 40, 3, 1),
        ("stage 3", 8, 80, 80, 3, 1),
        ("into stage 4", 8, 80, 160, 3, 2),
        ("stage 4", 4, 160, 160, 3, 1),
    ];
    layers
        .into_iter()
        .flat_map(|(name, input, channels, filters, taps, stride)| {
            let output = input.div_ceil(stride);
            let zeros = ((output - 1) * stride + taps).saturating_sub(input);
            convolution(
                group,
                name,
                Window {
                    batch,
                    input: [input; 2],
                    channels,
                    filters,
                    taps: [taps; 2],
                    stride: [stride; 2],
                    padding: [zeros / 2; 2],
                    output: [output; 2],
                },
            )
        })
        .collect()
}

/// A convolution, its input's gradient and its filters' gradient.
fn convolution(group: &'static str, name: &str, window: Window) -> [Case; 3] {
    let (input, filters, output) = (window.input_elements(), window.filter_elements(), window.output_elements());
    let taps = window.taps[0] * window.taps[1];
    let of = if window.stride[0] > 1 { format!(" by {}", window.stride[0]) } else { String::new() };
    let [size, across] = [window.input[0], window.taps[0]];
    let size = format!("{size}² {}>{} {across}x{across}{of}", window.channels, window.filters);
    // What adds shares up is a sum like others.
    let (shares, of_filters) = (window.shares(), window.filters_part());
    let parts = [
        (ConvPart::Output, name.to_string(), [filters, input], taps * window.channels),
        (ConvPart::Input, format!("gradient of {name}'s input"), [filters, output], taps * window.filters),
        (of_filters, format!("gradient of {name}'s filters"), [output, input], output / window.filters / shares),
    ];
    parts.map(|(part, name, operands, terms)| {
        let operands = operands.map(Floats);
        Case { terms, ..case(group, &name, size.clone(), Conv { window, part }, &operands) }
    })
}

fn rows() -> Vec<Case> {
    let mut cases = vec![];
    for (rows, classes) in [(20, 10), (20, 100), (1000, 10)] {
        let size = format!("{rows} x {classes}");
        let x = [Floats(rows * classes)];
        let and_labels = [x[0].clone(), Indices { elements: rows, below: classes }];
        let mut push = |case: Case| cases.push(Case { terms: classes, ..case });
        push(case(ROWS, "log-softmax", size.clone(), LogSoftmax { rows, classes }, &x));
        push(case(ROWS, "cross-entropy", size.clone(), CrossEntropy { rows, classes }, &and_labels));
        if rows == 1000 {
            push(case(ROWS, "the largest entry", size.clone(), Argmax { rows, classes }, &x));
            push(case(ROWS, "right answers", size, CountCorrect { rows, classes }, &and_labels));
        }
    }
    let parameters = 1 << 20;
    let count = CountNotFinite { elements: parameters };
    cases.push(case(ROWS, "not finite", format!("{parameters}"), count, &[Floats(parameters)]));
    let largest = Largest { rows: 1, width: 50, count: 10 };
    cases.push(case(ROWS, "MIR's choice", "10 of 50".into(), largest, &[Floats(50)]));
    let rescale = Rescale { rows: 200, width: 784 };
    cases.push(case(ROWS, "anchors to [0, 1]", "200 x 784".into(), rescale, &[Floats(200 * 784)]));
    cases
}

fn gathers() -> Vec<Case> {
    let mut cases = vec![];
    for (name, rows, width, table) in
        [("a batch of the memory", 20, 784, 200), ("weights permuted for a test", 784, 256, 784)]
    {
        let (size, index) = (format!("{rows} of {table} x {width}"), Indices { elements: rows, below: table });
        let gather = GatherRows { rows, width };
        cases.push(case(GATHERS, name, size.clone(), gather, &[Floats(table * width), index.clone()]));
        let scatter = ScatterAddRows { rows, table, width };
        let gradient = case(GATHERS, &format!("gradient of {name}"), size, scatter, &[Floats(rows * width), index]);
        cases.push(Case { terms: rows, ..gradient });
    }
    for rows in [20, 1000] {
        let index = |elements, below| Indices { elements, below };
        let operands = [Images(1000 * 784), index(rows, 1000), index(20 * 784, 784), index(rows, 20)];
        let (name, size) = (format!("{rows} permuted images"), format!("{rows} x 784"));
        cases.push(case(GATHERS, &name, size, GatherPixels { rows, width: 784 }, &operands));
    }
    cases
}

fn elementwise() -> Vec<Case> {
    let mut cases = chains();
    for (name, outer, mid, inner) in [
        ("bias gradient: sum over rows", 1, 1000, 256),
        ("sum of each row", 1000, 256, 1),
        ("squared length: one sum", 1, PARAMETERS, 1),
        ("batch normalisation: sum a channel", 1, BATCH * 32 * 32, 20),
    ] {
        let operands = [Floats(outer * mid * inner)];
        let sum = case(ELEMENTWISE, name, format!("{outer} x {mid} x {inner}"), Sum { outer, mid, inner }, &operands);
        cases.push(Case { terms: mid, ..sum });
    }
    let normal = Normal { elements: PARAMETERS };
    let key = [Indices { elements: 3, below: 1 << 30 }];
    cases.push(case(ELEMENTWISE, "VCL's noise", PARAMETERS.to_string(), normal, &key));
    cases
}

/// Elementwise chains, as the program compiler fuses them.
fn chains() -> Vec<Case> {
    use Instruction::{Binary as Two, Constant, Extra, Unary as One};
    let chain = |name: &str, elements: usize, operands: &[Operand], extras: &[Access], instructions: &[Instruction]| {
        let epilogue = Epilogue { instructions: instructions.to_vec(), extras: extras.to_vec() };
        Case { epilogue, ..case(ELEMENTWISE, name, elements.to_string(), Map { elements }, operands) }
    };
    let (images, layer) = (1000, 1000 * 256);
    let difference = [Extra(0), Extra(1), Two(Binary::Sub, 0, 1)];
    let step = [Extra(0), Extra(1), Constant(0.1), Two(Binary::Mul, 1, 2), Two(Binary::Sub, 0, 3)];
    let slope = [Extra(0), One(Unary::Exp, 0), Extra(1), Two(Binary::Sub, 1, 2)];
    let normalised = [Extra(0), Extra(1), Two(Binary::Mul, 0, 1), Extra(2), Two(Binary::Add, 2, 3)];
    let channel = Access::Spread { mid: BATCH * 32 * 32, inner: 20 };
    let full = Access::Full;
    vec![
        chain("SGD step of all parameters", PARAMETERS, &[Floats(PARAMETERS), Floats(PARAMETERS)], &[full; 2], &step),
        chain("difference of two layers", layer, &[Floats(layer), Floats(layer)], &[full; 2], &difference),
        chain("ReLU", layer, &[Floats(layer)], &[full], &[Extra(0), One(Unary::Relu, 0)]),
        chain("exponential", layer, &[Floats(layer)], &[full], &[Extra(0), One(Unary::Exp, 0)]),
        chain(
            "slope of the cross-entropy",
            images * 10,
            &[Floats(images * 10), Indices { elements: images, below: 10 }],
            &[full, Access::OneHot { classes: 10 }],
            &slope,
        ),
        chain(
            "batch normalisation: scale and shift",
            BATCH * 32 * 32 * 20,
            &[Floats(BATCH * 32 * 32 * 20), Floats(20), Floats(20)],
            &[full, channel, channel],
            &normalised,
        ),
    ]
}
