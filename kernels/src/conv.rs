//! Convolution, the gradient of its input and that of its filters: three products of a matrix that is never
//! stored (implicit GEMM), each the derivative of the other two.
//!
//! Images are `[batch, height, width, channels]`, filters `[taps_y, taps_x, channels, filters]`.
//! Shaders: those of [`MatMul`], with `patches` for an operand.

use crate::autotune::Tunable;
use crate::catalogue::InVariant;
use crate::cpu::slide::{FilterGradient, Slide};
use crate::cpu::vectors;
use crate::float::Float;
use crate::frame::Sight;
use crate::gpu::Traits;
use crate::kernel::{Cost, Describe, Input, Kernel, Shader, Twin};
use crate::matmul::shader::{self, Patches};
use crate::matmul::{MatMul, Ones, Variant};
use crate::view::View;
use std::ops::Range;
use std::sync::Arc;

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
    /// The gradient of the filters, of each of so many equal shares of the images: `[shares, filters..]`, which add up to
    /// that of all. Inputs: the output's cotangent, input.
    FilterShares(usize),
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

    /// How the output's places see the input.
    fn sight(&self) -> Sight {
        Sight {
            size: self.input,
            channels: self.channels,
            before: self.padding,
            first: [0, 0],
            stride: self.stride,
            taps: self.taps,
            places: self.output,
            lands: (0, [self.output[1] * self.filters, self.filters]),
        }
    }

    /// The outputs of some images.
    fn output<F: Float>(&self, images: Range<usize>, filters: &[F], input: &[F], out: &mut [F]) {
        let (image, pixels) = (out.len() / images.len(), self.input_elements() / self.batch);
        let input = &input[images.start * pixels..images.end * pixels];
        Slide { sight: self.sight(), images: input, filters, columns: self.filters, image, out }.compute();
    }

    /// The gradients of some numbers of each filter.
    fn filter_gradient<F: Float>(&self, numbers: Range<usize>, slopes: &[F], input: &[F], out: &mut [F]) {
        let slopes = &slopes[..self.output_elements()];
        let gradient =
            FilterGradient { sight: self.sight(), images: input, slopes, columns: self.filters, numbers, filters: out };
        vectors::fastest(gradient);
    }

    /// The gradients of some numbers of each filter, of shares of the images: rows of all shares.
    fn filter_gradients<F: Float>(&self, rows: Range<usize>, shares: usize, a: &[F], b: &[F], out: &mut [F]) {
        let of_share = Window { batch: self.batch / shares, ..*self };
        let (numbers, mut done) = (self.patch(), rows.start);
        while done < rows.end {
            let share = done / numbers;
            let end = rows.end.min((share + 1) * numbers);
            let part = (done - rows.start) * self.filters..(end - rows.start) * self.filters;
            let (slopes, input) = (&a[share * of_share.output_elements()..], &b[share * of_share.input_elements()..]);
            of_share.filter_gradient(done - share * numbers..end - share * numbers, slopes, input, &mut out[part]);
            done = end;
        }
    }

    /// Into how many equal shares images are divided, of which the filters' gradients are computed apart and then added up:
    /// so many that sums are not too short for it, and that a GPU, which computes results in tiles, has enough of them. By
    /// one run's sizes, since the order of summation must not depend on how many runs there are.
    pub fn shares(&self) -> usize {
        let tiles = self.filters.div_ceil(TILE) * self.patch().div_ceil(TILE);
        let wanted = (ENOUGH_TILES / tiles).min(self.places() / FEWEST_TERMS);
        (1..=self.batch.min(wanted)).rev().find(|&shares| self.batch.is_multiple_of(shares)).unwrap_or(1)
    }

    /// The filters' gradient as a step computes it: where images are divided, of shares that are still to be added up.
    pub fn filters_part(&self) -> ConvPart {
        match self.shares() {
            1 => ConvPart::Filters,
            shares => ConvPart::FilterShares(shares),
        }
    }

    /// The gradients of some images. Pixels that lie a stride apart meet the same taps, in the other direction: for each such set a convolution of
    /// the output's cotangent by those taps, by steps of one.
    fn input_gradient<F: Float>(&self, images: Range<usize>, filters: &[F], slopes: &[F], out: &mut [F]) {
        let (image, places) = (out.len() / images.len(), self.output_elements() / self.batch);
        let slopes = &slopes[images.start * places..images.end * places];
        let sets = self.stride[0] * self.stride[1];
        if (0..2).any(|axis| self.taps[axis] < self.stride[axis]) {
            out.fill(F::ZERO); // some pixels meet no tap
        }
        for set in 0..sets {
            let set = [set / self.stride[1], set % self.stride[1]];
            let Some(sight) = self.sight_back(set) else { continue };
            let filters = self.turned(set, sight.taps, filters);
            Slide { sight, images: slopes, filters: &filters, columns: self.channels, image, out }.compute();
        }
    }

    /// How the pixels that meet tap `set`, and those a stride further on, see the output; if any do.
    fn sight_back(&self, set: [usize; 2]) -> Option<Sight> {
        let Window { input, stride, taps, padding, .. } = self;
        let along = |i: usize| {
            let pixel = (set[i] + padding[i].next_multiple_of(stride[i]) - padding[i]) % stride[i];
            let taps = taps[i].checked_sub(set[i]).filter(|&left| left > 0)?.div_ceil(stride[i]);
            let pixels = input[i].checked_sub(pixel).filter(|&left| left > 0)?.div_ceil(stride[i]);
            Some((pixel, taps, pixels, (pixel + padding[i] - set[i]) / stride[i]))
        };
        let [(top, taps_y, high, first_y), (left, taps_x, wide, first_x)] = [along(0)?, along(1)?];
        let row = input[1] * self.channels;
        Some(Sight {
            size: self.output,
            channels: self.filters,
            before: [taps_y - 1, taps_x - 1],
            first: [first_y, first_x],
            stride: [1, 1],
            taps: [taps_y, taps_x],
            places: [high, wide],
            lands: (top * row + left * self.channels, [stride[0] * row, stride[1] * self.channels]),
        })
    }

    /// The filters at the taps of a set, the last one first, as filters from the output's channels to the input's.
    fn turned<F: Float>(&self, set: [usize; 2], taps: [usize; 2], filters: &[F]) -> Vec<F> {
        let mut turned = Vec::with_capacity(taps[0] * taps[1] * self.filters * self.channels);
        for (y, x) in (0..taps[0]).rev().flat_map(|y| (0..taps[1]).rev().map(move |x| (y, x))) {
            let tap = (set[0] + y * self.stride[0]) * self.taps[1] + set[1] + x * self.stride[1];
            let of_tap = &filters[tap * self.channels * self.filters..][..self.channels * self.filters];
            for filter in 0..self.filters {
                turned.extend(of_tap.iter().skip(filter).step_by(self.filters));
            }
        }
        turned
    }
}

/// Rows and columns of a usual tile, and how many tiles keep a large GPU busy.
const TILE: usize = 32;
const ENOUGH_TILES: usize = 1024;
/// Terms of a share's sums, at least. (Of 20 images, shares of 1,024 terms cost software Vulkan a quarter of stage 1's rate for
/// what else comes with a workgroup; shares of 2,048 cost neither it nor the CPU anything, and gain an H200 up to four fifths.)
const FEWEST_TERMS: usize = 2048;

impl Conv {
    /// The convolution as a product, whose left operand has a row a channel: the tiles of a product are flat and
    /// wide, and there are few channels and many places. Of the input's gradient, one set of pixels: those that lie a stride
    /// apart, and meet the same taps; of all sets none meets more.
    pub(crate) fn product(&self) -> MatMul {
        let w = &self.window;
        let plain = MatMul { m: 0, n: 0, k: 0, ta: true, tb: true, ones: Ones::No, bytes: false };
        match self.part {
            ConvPart::Output => MatMul { m: w.filters, n: w.places(), k: w.patch(), ..plain },
            ConvPart::Filters | ConvPart::FilterShares(_) => {
                MatMul { m: w.filters, n: w.patch(), k: w.places() / self.shares(), tb: false, ..plain }
            }
            ConvPart::Input => {
                let patches = self.patches();
                let ([high, wide], [taps_y, taps_x]) = (patches.places_of_set(), patches.taps_of_set());
                MatMul { m: w.channels, n: w.batch * high * wide, k: taps_y * taps_x * w.filters, ta: false, ..plain }
            }
        }
    }

    fn shares(&self) -> usize {
        if let ConvPart::FilterShares(shares) = self.part { shares } else { 1 }
    }

    /// The images that are seen, from which places.
    fn patches(&self) -> Patches {
        let w = &self.window;
        let forward = self.part != ConvPart::Input;
        let (seen, channels, places) =
            if forward { (w.input, w.channels, w.output) } else { (w.output, w.filters, w.input) };
        let shares = self.shares();
        let share = w.places() / shares;
        let (taps, stride, padding) = (w.taps, w.stride, w.padding);
        Patches { forward, seen, channels, places, taps, stride, padding, shares, share, over_zeros: false }
    }

    /// Whether there are pixels of the input that no filter meets.
    fn passes_pixels_over(&self) -> bool {
        let Window { taps, stride, .. } = self.window;
        self.part == ConvPart::Input && (0..2).any(|axis| taps[axis] < stride[axis])
    }

    /// The shader that computes it in one of the ways of a product.
    pub fn shader_in(&self, variant: Variant, views: &[View]) -> Shader {
        shader::shader(&self.product(), Some(&self.patches()), variant, views)
    }
}

impl Describe for Conv {
    fn name(&self) -> &'static str {
        match self.part {
            ConvPart::Output => "conv",
            ConvPart::Input => "conv_input",
            ConvPart::Filters | ConvPart::FilterShares(_) => "conv_filters",
        }
    }
    fn shape(&self) -> String {
        let Window { batch, input: [height, width], channels, filters, taps: [y, x], stride, .. } = self.window;
        let stride = if stride == [1, 1] { String::new() } else { format!(" / {}", stride[0]) };
        let shares = if self.shares() > 1 { format!(" in {}", self.shares()) } else { String::new() };
        format!("[{batch}{shares}, {height}, {width}, {channels}] * [{y}, {x}, {channels}, {filters}]{stride}")
    }
    fn elements(&self) -> usize {
        match self.part {
            ConvPart::Output => self.window.output_elements(),
            ConvPart::Input => self.window.input_elements(),
            ConvPart::Filters | ConvPart::FilterShares(_) => self.shares() * self.window.filter_elements(),
        }
    }
    fn inputs(&self) -> usize {
        2
    }
    fn rows(&self) -> usize {
        match self.part {
            ConvPart::Output | ConvPart::Input => self.window.batch,
            ConvPart::Filters | ConvPart::FilterShares(_) => self.shares() * self.window.patch(),
        }
    }
    fn cost(&self) -> Cost {
        let w = &self.window;
        let [places, patch, filters] = [w.places(), w.patch(), w.filters].map(|x| x as f64);
        let elements = w.input_elements() + self.shares() * w.filter_elements() + w.output_elements();
        Cost { flops: 2.0 * places * patch * filters, bytes: 4.0 * elements as f64 }
    }
    fn as_tunable(&self) -> Option<&dyn Tunable> {
        Some(self)
    }
    fn shader(&self, adapter: &Traits, views: &[View]) -> Shader {
        self.shader_in(Variant::chosen(self.name(), self, adapter, views), views)
    }
    fn shader_over_zeros(&self, adapter: &Traits, views: &[View]) -> Option<Shader> {
        // A store costs a software adapter more than the terms of a short sum; hardware would lose more at the end of a pass.
        let variant = (adapter.software && self.passes_pixels_over())
            .then(|| Variant::chosen(self.name(), self, adapter, views))?;
        let patches = Patches { over_zeros: true, ..self.patches() };
        Some(shader::shader(&self.product(), Some(&patches), variant, views))
    }
}

impl Tunable for Conv {
    fn product(&self) -> MatMul {
        Conv::product(self)
    }
    fn products(&self) -> usize {
        self.patches().products()
    }
    fn operands(&self) -> [usize; 2] {
        let w = &self.window;
        match self.part {
            ConvPart::Output => [w.filter_elements(), w.input_elements()],
            ConvPart::Input => [w.filter_elements(), w.output_elements()],
            ConvPart::Filters | ConvPart::FilterShares(_) => [w.output_elements(), w.input_elements()],
        }
    }
    fn in_variant(&self, variant: Variant) -> Arc<dyn Kernel> {
        Arc::new(InVariant(*self, variant))
    }
}

impl Twin for Conv {
    fn compute<F: Float>(&self, out: &mut [F], inputs: &[Input<'_, F>]) {
        self.compute_rows(0..self.rows(), out, inputs);
    }

    fn compute_rows<F: Float>(&self, rows: Range<usize>, out: &mut [F], inputs: &[Input<'_, F>]) {
        let (a, b) = (inputs[0].float(), inputs[1].float());
        match self.part {
            ConvPart::Output => self.window.output(rows, a, b, out),
            ConvPart::Input => self.window.input_gradient(rows, a, b, out),
            ConvPart::Filters | ConvPart::FilterShares(_) => {
                self.window.filter_gradients(rows, self.shares(), a, b, out)
            }
        }
    }
}
