//! The convolutions that ResNet-S is made of, on 32 x 32 images: each, its input's gradient, its filters' gradient.

mod common;

use common::Case;
use hindsight_kernels::*;
use std::sync::Arc;

/// Images at a time: a batch and as many from the memory.
const BATCH: usize = 20;

/// A convolution of the network: its name, and its sizes.
fn layer(name: &'static str, input: usize, channels: usize, filters: usize, taps: usize, stride: usize) -> [Case; 3] {
    let output = input.div_ceil(stride);
    let zeros = ((output - 1) * stride + taps).saturating_sub(input);
    let window = Window {
        batch: BATCH,
        input: [input; 2],
        channels,
        filters,
        taps: [taps; 2],
        stride: [stride; 2],
        padding: [zeros / 2; 2],
        output: [output; 2],
    };
    let case = |part: ConvPart| {
        let (input, kernel, output) = (window.input_elements(), window.filter_elements(), window.output_elements());
        let (operands, terms) = match part {
            ConvPart::Output => ([kernel, input], taps * taps * channels),
            ConvPart::Input => ([kernel, output], taps * taps * filters),
            ConvPart::Filters => ([output, input], output / filters),
        };
        let size = format!("{} {channels} > {filters}", Describe::name(&Conv { window, part }));
        Case { name, size, kernel: Arc::new(Conv { window, part }), operands, terms }
    };
    [ConvPart::Output, ConvPart::Input, ConvPart::Filters].map(case)
}

fn main() {
    let layers = [
        layer("stem, 3 x 3 on 32 x 32", 32, 3, 20, 3, 1),
        layer("stage 1, 3 x 3 on 32 x 32", 32, 20, 20, 3, 1),
        layer("into stage 2, 3 x 3 by 2 on 32 x 32", 32, 20, 40, 3, 2),
        layer("shortcut into stage 2, 1 x 1 by 2", 32, 20, 40, 1, 2),
        layer("stage 2, 3 x 3 on 16 x 16", 16, 40, 40, 3, 1),
        layer("stage 3, 3 x 3 on 8 x 8", 8, 80, 80, 3, 1),
        layer("into stage 4, 3 x 3 by 2 on 8 x 8", 8, 80, 160, 3, 2),
        layer("stage 4, 3 x 3 on 4 x 4", 4, 160, 160, 3, 1),
    ];
    common::run("conv", &layers.into_iter().flatten().collect::<Vec<_>>());
}
