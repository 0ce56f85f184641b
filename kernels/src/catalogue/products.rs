//! Products and convolutions, which a GPU may compute in several ways.

use super::Entry;
use super::attributes::{Attribute, Values, count, flag, follows, one_of, size};
use super::in_variant::in_variant;
use super::operands::{axes, bytes, numbers};
use super::promises::{NonFinite, Tolerance};
use crate::autotune::Tunable;
use crate::conv::{Conv, ConvPart, Window};
use crate::expr::Epilogue;
use crate::matmul::{MatMul, Ones};

pub(super) static ENTRIES: &[Entry] = &[
    Entry {
        name: "matmul",
        computes: "matrix product: out = op(a) · op(b)",
        attributes: &[
            size("m", 64, "rows of the result"),
            size("n", 64, "columns of the result"),
            size("k", 64, "terms of each sum"),
            flag("ta", "op transposes a, which is stored [k, m]"),
            flag("tb", "op transposes b, which is stored [n, k]"),
            one_of(
                "ones",
                &["no", "column", "row"],
                "ones at the end of op(a): a column, so that the last row of b is added to each row; a row, whose product is the sum of b's rows",
            ),
            flag("bytes", "a holds images, uint8 that stand for x / 255"),
        ],
        in_variants: true,
        operands: |v| {
            let a = match (ONES[v.get("ones")], v.is("ta")) {
                (Ones::Row, _) => "k, m - 1",
                (_, true) => "k, m",
                (_, false) => "m, k",
            };
            let b = match (ONES[v.get("ones")], v.is("tb")) {
                (Ones::Column, _) => "k + 1, n",
                (_, true) => "n, k",
                (_, false) => "k, n",
            };
            vec![if v.is("bytes") { bytes("a", a) } else { numbers("a", a) }, numbers("b", b)]
        },
        result: |_| axes("m, n"),
        kernel: |v, variant| in_variant(matmul(v), variant),
        epilogue: |_| Epilogue::default(),
        limits: |v| product_limits(&matmul(v)),
        tolerance: PRODUCTS,
        non_finite: NonFinite::on_cpus(
            "as IEEE 754 has it: a sum with 0 · ∞, NaN or both infinities among its terms is NaN",
        ),
        corners: &[
            &[("m", 130), ("n", 70), ("k", 128)],
            &[("m", 20), ("n", 33), ("k", 17)],
            &[("m", 6), ("n", 64), ("k", 40)],
            &[("m", 1), ("n", 70), ("k", 96)],
            &[("m", 72), ("n", 40), ("k", 24), ("ta", 1)],
            &[("m", 30), ("n", 40), ("k", 12)],
            &[("m", 20), ("n", 24), ("k", 12), ("tb", 1)],
            &[("m", 37), ("n", 19), ("k", 5), ("tb", 1)],
            &[("m", 65), ("n", 64), ("k", 96), ("ta", 1), ("tb", 1)],
            &[("m", 20), ("n", 256), ("k", 784), ("ones", 1)],
            &[("m", 785), ("n", 256), ("k", 20), ("ta", 1), ("ones", 2)],
            &[("m", 30), ("n", 70), ("k", 784), ("bytes", 1)],
            &[("m", 30), ("n", 70), ("k", 784), ("bytes", 1), ("ones", 1)],
        ],
    },
    Entry {
        name: "conv",
        computes: "convolution of images with filters",
        attributes: &CONV,
        in_variants: true,
        operands: |_| vec![numbers("filters", FILTERS), numbers("input", INPUT)],
        result: |_| axes(OUTPUT),
        kernel: |v, variant| in_variant(conv(v, ConvPart::Output), variant),
        epilogue: |_| Epilogue::default(),
        limits: |v| conv_limits(&conv(v, ConvPart::Output)),
        tolerance: PRODUCTS,
        non_finite: BY_AN_EDGE,
        corners: CONV_CORNERS,
    },
    Entry {
        name: "conv_input",
        computes: "gradient of a convolution's input, from the output's cotangent (slope)",
        attributes: &CONV_INPUT,
        in_variants: true,
        operands: |_| vec![numbers("filters", FILTERS), numbers("slope", OUTPUT)],
        result: |_| axes(INPUT),
        kernel: |v, variant| in_variant(conv(v, ConvPart::Input), variant),
        epilogue: |_| Epilogue::default(),
        limits: |v| conv_limits(&conv(v, ConvPart::Input)),
        tolerance: PRODUCTS,
        non_finite: BY_AN_EDGE,
        corners: CONV_INPUT_CORNERS,
    },
    Entry {
        name: "conv_filters",
        computes: "gradient of a convolution's filters, from the output's cotangent (slope)",
        attributes: &CONV_FILTERS,
        in_variants: true,
        operands: |_| vec![numbers("slope", OUTPUT), numbers("input", INPUT)],
        result: |_| axes(FILTERS),
        kernel: |v, variant| in_variant(conv(v, ConvPart::Filters), variant),
        epilogue: |_| Epilogue::default(),
        limits: |v| conv_limits(&conv(v, ConvPart::Filters)),
        tolerance: PRODUCTS,
        non_finite: BY_AN_EDGE,
        corners: CONV_FILTERS_CORNERS,
    },
];

/// Thousands of terms are added to one another in single precision.
const PRODUCTS: Tolerance = Tolerance::of_terms(2e-4);

const BY_AN_EDGE: NonFinite = NonFinite::on_cpus(
    "a sum with NaN or an infinity among its terms, of which some past an edge are 0 · a filter, is NaN or infinite",
);

const ONES: [Ones; 3] = [Ones::No, Ones::Column, Ones::Row];

fn matmul(v: &Values) -> MatMul {
    let [m, n, k] = ["m", "n", "k"].map(|name| v.get(name));
    MatMul { m, n, k, ta: v.is("ta"), tb: v.is("tb"), ones: ONES[v.get("ones")], bytes: v.is("bytes") }
}

const INPUT: &str = "batch, height, width, channels";
const FILTERS: &str = "taps_y, taps_x, channels, filters";
const OUTPUT: &str = "batch, out_height, out_width, filters";

const BATCH: Attribute = size("batch", 2, "images");
const CHANNELS: Attribute = size("channels", 8, "channels of the input");
const FILTER_COUNT: Attribute = size("filters", 8, "filters, the channels of the output");
const STEPS: [Attribute; 4] = [
    size("stride_y", 1, "rows from one place of a filter to the next"),
    size("stride_x", 1, "columns from one place of a filter to the next"),
    count("pad_y", 1, "rows of zeros above and below the input"),
    count("pad_x", 1, "columns of zeros on either side of the input"),
];
const IN_SIZE: [Attribute; 2] = [size("height", 8, "rows of the input"), size("width", 8, "columns of the input")];
const OUT_SIZE: [Attribute; 2] =
    [size("out_height", 8, "rows of the output"), size("out_width", 8, "columns of the output")];
const TAPS: [Attribute; 2] = [size("taps_y", 3, "rows of a filter"), size("taps_x", 3, "columns of a filter")];

/// Of input, filters and output, the sizes of the first two tell those of the third.
static CONV: [Attribute; 13] = convolution(
    IN_SIZE,
    TAPS,
    [
        follows("out_height", |v| places(v, ["height", "taps_y", "stride_y", "pad_y"]), "rows of the output"),
        follows("out_width", |v| places(v, ["width", "taps_x", "stride_x", "pad_x"]), "columns of the output"),
    ],
);
static CONV_INPUT: [Attribute; 13] = convolution(
    OUT_SIZE,
    TAPS,
    [
        follows("height", |v| pixels(v, ["out_height", "taps_y", "stride_y", "pad_y"]), "rows of the input"),
        follows("width", |v| pixels(v, ["out_width", "taps_x", "stride_x", "pad_x"]), "columns of the input"),
    ],
);
static CONV_FILTERS: [Attribute; 13] = convolution(
    IN_SIZE,
    OUT_SIZE,
    [
        follows("taps_y", |v| taps(v, ["height", "out_height", "stride_y", "pad_y"]), "rows of a filter"),
        follows("taps_x", |v| taps(v, ["width", "out_width", "stride_x", "pad_x"]), "columns of a filter"),
    ],
);

const fn convolution(first: [Attribute; 2], second: [Attribute; 2], third: [Attribute; 2]) -> [Attribute; 13] {
    let [stride_y, stride_x, pad_y, pad_x] = STEPS;
    let ([a, b], [c, d], [e, f]) = (first, second, third);
    [BATCH, a, b, CHANNELS, c, d, FILTER_COUNT, stride_y, stride_x, pad_y, pad_x, e, f]
}

/// Places of a filter along an axis; 0 where it does not fit.
fn places(v: &Values, names: [&str; 4]) -> usize {
    let [pixels, taps, stride, padding] = names.map(|name| v.get(name));
    (pixels + 2 * padding + stride).saturating_sub(taps) / stride.max(1)
}

fn pixels(v: &Values, names: [&str; 4]) -> usize {
    let [places, taps, stride, padding] = names.map(|name| v.get(name));
    (places.saturating_sub(1) * stride + taps).saturating_sub(2 * padding)
}

fn taps(v: &Values, names: [&str; 4]) -> usize {
    let [pixels, places, stride, padding] = names.map(|name| v.get(name));
    (pixels + 2 * padding).saturating_sub(places.saturating_sub(1) * stride)
}

fn conv(v: &Values, part: ConvPart) -> Conv {
    let pair = |y: &str, x: &str| [v.get(y), v.get(x)];
    let window = Window {
        batch: v.get("batch"),
        input: pair("height", "width"),
        channels: v.get("channels"),
        filters: v.get("filters"),
        taps: pair("taps_y", "taps_x"),
        stride: pair("stride_y", "stride_x"),
        padding: pair("pad_y", "pad_x"),
        output: pair("out_height", "out_width"),
    };
    Conv { window, part }
}

const CONV_CORNERS: &[&[(&str, usize)]] = &[
    &[("batch", 1), ("height", 5), ("width", 7), ("channels", 3), ("filters", 5)],
    &[("height", 9), ("width", 9), ("channels", 4), ("filters", 20), ("stride_y", 2), ("stride_x", 2)],
    &[("taps_y", 1), ("taps_x", 1), ("pad_y", 0), ("pad_x", 0), ("channels", 20), ("filters", 40)],
    &[("height", 32), ("width", 32), ("channels", 20), ("filters", 80)],
];
const CONV_INPUT_CORNERS: &[&[(&str, usize)]] = &[
    &[("batch", 1), ("out_height", 5), ("out_width", 7), ("channels", 3), ("filters", 5)],
    &[("out_height", 5), ("out_width", 5), ("channels", 20), ("filters", 4), ("stride_y", 2), ("stride_x", 2)],
    &[("taps_y", 1), ("taps_x", 1), ("pad_y", 0), ("pad_x", 0), ("channels", 40), ("filters", 20)],
    &[("out_height", 32), ("out_width", 32), ("channels", 80), ("filters", 20)],
];
const CONV_FILTERS_CORNERS: &[&[(&str, usize)]] = &[
    &[("batch", 1), ("height", 5), ("width", 7), ("out_height", 5), ("out_width", 7), ("channels", 3), ("filters", 5)],
    &[
        ("height", 9),
        ("width", 9),
        ("out_height", 5),
        ("out_width", 5),
        ("channels", 4),
        ("filters", 20),
        ("stride_y", 2),
        ("stride_x", 2),
    ],
    &[("pad_y", 0), ("pad_x", 0), ("channels", 20), ("filters", 40)],
    &[("height", 32), ("width", 32), ("out_height", 32), ("out_width", 32), ("channels", 20), ("filters", 80)],
];

fn product_limits(product: &MatMul) -> Result<(), String> {
    let ones_fit = match product.ones {
        Ones::No => true,
        Ones::Column => !product.ta && !product.tb,
        Ones::Row => product.ta && !product.tb,
    };
    if !ones_fit {
        return Err("ones = column goes without ta and tb, ones = row with ta and without tb".into());
    }
    if product.bytes && (product.ta || product.ones == Ones::Row || product.tb || !product.k.is_multiple_of(4)) {
        return Err("bytes goes without ta, tb and ones = row, and with a k that is a multiple of 4".into());
    }
    launch_limits(product)
}

/// The smallest tile of any variant has 8 x 8 elements, and an axis of a launch 65,535 workgroups.
fn launch_limits(product: &MatMul) -> Result<(), String> {
    const MOST: usize = 8 * 65_535;
    match product.m.max(product.n) <= MOST {
        true => Ok(()),
        false => Err(format!(
            "a product has at most {MOST} rows and columns in one launch, not {} x {}",
            product.m, product.n
        )),
    }
}

fn conv_limits(conv: &Conv) -> Result<(), String> {
    let w = &conv.window;
    let inside = |axis: usize| (w.output[axis] - 1) * w.stride[axis] < w.input[axis] + 2 * w.padding[axis];
    match inside(0) && inside(1) {
        true => {
            let product = conv.product();
            launch_limits(&MatMul { n: product.n * conv.products(), ..product })
        }
        false => {
            Err("every place of a filter must begin within the padded input; take a smaller output or stride".into())
        }
    }
}
