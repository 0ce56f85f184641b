//! Convolution, the gradient of its input and that of its filters: three products of a matrix that is never
//! stored (implicit GEMM), each the derivative of the other two.
//!
//! Images are `[batch, height, width, channels]`, filters `[taps_y, taps_x, channels, filters]`.
//! Shaders: those of [`MatMul`], with `patches` for an operand.

use crate::float::Float;
use crate::gemm::{Matrix, gemm};
use crate::gpu::Traits;
use crate::launch::{Cost, Describe, Input, Shader, Twin, View};
use crate::matmul::{MatMul, Ones, Variant};
use crate::matmul_shader::{self, Patches};
use std::ops::Range;

/// How filters move over images: sizes of a convolution. Pairs are (y, x).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// Images.
    pub batch: usize,
    /// Height and width of the input.
    pub input: [usize; 2],
    /// Channels of the input.
    pub channels: usize,
    /// Filters, which are the channels of the output.
    pub filters: usize,
    /// Height and width of a filter.
    pub taps: [usize; 2],
    /// Pixels from one place of a filter to the next.
    pub stride: [usize; 2],
    /// Zeros above and to the left of the input. (Below and to the right: as many as the output asks for.)
    pub padding: [usize; 2],
    /// Height and width of the output.
    pub output: [usize; 2],
}

/// Which of input, filters and output is computed from the other two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConvPart {
    /// The convolution. Inputs: filters, input.
    Output,
    /// The gradient of the input. Inputs: filters, the output's cotangent.
    Input,
    /// The gradient of the filters. Inputs: the output's cotangent, input.
    Filters,
}

/// One of the three at a shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Conv {
    /// The sizes.
    pub window: Window,
    /// What is computed.
    pub part: ConvPart,
}

impl Window {
    /// Places of a filter in all images: rows of the output as a matrix.
    fn places(&self) -> usize {
        self.batch * self.output[0] * self.output[1]
    }

    /// Numbers of a filter: columns of a row of patches.
    fn patch(&self) -> usize {
        self.taps[0] * self.taps[1] * self.channels
    }

    /// Elements of the input.
    pub fn input_elements(&self) -> usize {
        self.batch * self.input[0] * self.input[1] * self.channels
    }

    /// Elements of the filters.
    pub fn filter_elements(&self) -> usize {
        self.patch() * self.filters
    }

    /// Elements of the output.
    pub fn output_elements(&self) -> usize {
        self.places() * self.filters
    }

    /// Whether a place sees one pixel, its own: then the patches are the input as it lies.
    fn is_pointwise(&self) -> bool {
        self.taps == [1, 1] && self.stride == [1, 1] && self.padding == [0, 0] && self.input == self.output
    }

    /// For each place of `places` and each row of a filter: the columns of the place's patch that lie in the input, and
    /// where they begin in it. They lie side by side in both.
    #[inline(always)]
    fn segments(&self, places: Range<usize>, mut visit: impl FnMut(usize, Range<usize>, usize)) {
        let ([height, width], [high, wide]) = (self.input, self.output);
        let ([taps_y, taps_x], [above, left]) = (self.taps, self.padding);
        for (row, place) in places.enumerate() {
            let (x, y, image) =
                (place % wide * self.stride[1], place / wide % high * self.stride[0], place / wide / high);
            // Taps that fall inside: those from `left − x` on, up to the right edge.
            let first = left.saturating_sub(x);
            let end = (width + left).saturating_sub(x).min(taps_x);
            for tap_y in 0..taps_y {
                let Some(y) = (y + tap_y).checked_sub(above).filter(|&y| y < height) else { continue };
                if first < end {
                    let from = ((image * height + y) * width + x + first - left) * self.channels;
                    let column = tap_y * taps_x;
                    visit(row, (column + first) * self.channels..(column + end) * self.channels, from);
                }
            }
        }
    }

    /// Places whose patches are written out at a time: they stay in a core's second-level cache.
    fn block(&self) -> usize {
        const ELEMENTS: usize = 1 << 16;
        (ELEMENTS / self.patch()).clamp(8, 1024).min(self.places())
    }

    /// Calls `visit` with blocks of places and their patches `[places, patch]`.
    fn blocks<F: Float>(&self, input: &[F], mut visit: impl FnMut(Range<usize>, &[F])) {
        let (block, patch) = (self.block(), self.patch());
        let pointwise = self.is_pointwise();
        let mut patches = vec![F::ZERO; if pointwise { 0 } else { block * patch }];
        for start in (0..self.places()).step_by(block) {
            let places = start..(start + block).min(self.places());
            if pointwise {
                visit(places.clone(), &input[places.start * patch..places.end * patch]);
                continue;
            }
            // Segments come in the order in which they lie here: what is between two of them is past an edge.
            let mut done = 0;
            self.segments(places.clone(), |row, columns, from| {
                let (start, length) = (row * patch + columns.start, columns.len());
                patches[done..start].fill(F::ZERO);
                patches[start..start + length].copy_from_slice(&input[from..from + length]);
                done = start + length;
            });
            patches[done..places.len() * patch].fill(F::ZERO);
            visit(places, &patches);
        }
    }

    fn output<F: Float>(&self, filters: &[F], input: &[F], out: &mut [F]) {
        let (patch, n) = (self.patch(), self.filters);
        self.blocks(input, |places, patches| {
            let size = [places.len(), n, patch];
            gemm(size, rows(patches, patch), rows(filters, n), &mut out[places.start * n..places.end * n], false);
        });
    }

    fn filter_gradient<F: Float>(&self, slope: &[F], input: &[F], out: &mut [F]) {
        let (patch, n) = (self.patch(), self.filters);
        self.blocks(input, |places, patches| {
            let transposed = Matrix { data: patches, row: 1, column: patch };
            let keep = places.start > 0;
            gemm([patch, n, places.len()], transposed, rows(&slope[places.start * n..], n), out, keep);
        });
    }

    fn input_gradient<F: Float>(&self, filters: &[F], slope: &[F], out: &mut [F]) {
        let (patch, n) = (self.patch(), self.filters);
        let transposed = Matrix { data: filters, row: 1, column: n };
        if self.is_pointwise() {
            return gemm([self.places(), patch, n], rows(slope, n), transposed, out, false);
        }
        out.fill(F::ZERO);
        let block = self.block();
        let mut patches = vec![F::ZERO; block * patch];
        for start in (0..self.places()).step_by(block) {
            let places = start..(start + block).min(self.places());
            gemm([places.len(), patch, n], rows(&slope[start * n..], n), transposed, &mut patches, false);
            self.segments(places, |row, columns, to| {
                let length = columns.len();
                let seen = &patches[row * patch..][columns];
                out[to..to + length].iter_mut().zip(seen).for_each(|(sum, &x)| *sum += x);
            });
        }
    }
}

/// A matrix whose rows lie one after another.
fn rows<F>(data: &[F], length: usize) -> Matrix<'_, F> {
    Matrix { data, row: length, column: 1 }
}

impl Conv {
    /// The convolution as a product, whose left operand has a row a channel: the tiles of a product are flat and
    /// wide, and there are few channels and many places.
    fn product(&self) -> MatMul {
        let w = &self.window;
        let plain = MatMul { m: 0, n: 0, k: 0, ta: true, tb: true, ones: Ones::No, bytes: false };
        match self.part {
            ConvPart::Output => MatMul { m: w.filters, n: w.places(), k: w.patch(), ..plain },
            ConvPart::Filters => MatMul { m: w.filters, n: w.patch(), k: w.places(), tb: false, ..plain },
            ConvPart::Input => MatMul {
                m: w.channels,
                n: w.batch * w.input[0] * w.input[1],
                k: w.taps[0] * w.taps[1] * w.filters,
                ta: false,
                ..plain
            },
        }
    }

    /// The images that are seen, from which places.
    fn patches(&self) -> Patches {
        let w = &self.window;
        let forward = self.part != ConvPart::Input;
        let (seen, channels, places) =
            if forward { (w.input, w.channels, w.output) } else { (w.output, w.filters, w.input) };
        Patches { forward, seen, channels, places, taps: w.taps, stride: w.stride, padding: w.padding }
    }

    /// The shader that computes it in one of the ways of a product.
    pub fn shader_in(&self, variant: Variant, adapter: &Traits, inputs: &[View]) -> Shader {
        matmul_shader::shader(&self.product(), Some(&self.patches()), variant, adapter, inputs)
    }
}

impl Describe for Conv {
    fn name(&self) -> &'static str {
        match self.part {
            ConvPart::Output => "conv",
            ConvPart::Input => "conv_input",
            ConvPart::Filters => "conv_filters",
        }
    }
    fn elements(&self) -> usize {
        match self.part {
            ConvPart::Output => self.window.output_elements(),
            ConvPart::Input => self.window.input_elements(),
            ConvPart::Filters => self.window.filter_elements(),
        }
    }
    fn inputs(&self) -> usize {
        2
    }
    fn cost(&self) -> Cost {
        let w = &self.window;
        let [places, patch, filters] = [w.places(), w.patch(), w.filters].map(|x| x as f64);
        let elements = w.input_elements() + w.filter_elements() + w.output_elements();
        Cost { flops: 2.0 * places * patch * filters, bytes: 4.0 * elements as f64 }
    }
    fn shader(&self, adapter: &Traits, inputs: &[View]) -> Shader {
        self.shader_in(Variant::for_adapter(adapter), adapter, inputs)
    }
}

impl Twin for Conv {
    fn compute<F: Float>(&self, out: &mut [F], inputs: &[Input<'_, F>]) {
        let (a, b) = (inputs[0].float(), inputs[1].float());
        match self.part {
            ConvPart::Output => self.window.output(a, b, out),
            ConvPart::Input => self.window.input_gradient(a, b, out),
            ConvPart::Filters => self.window.filter_gradient(a, b, out),
        }
    }
}
