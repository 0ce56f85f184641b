//! The gradient of images that have few channels, on the CPU: what each place sends back to all that it saw, which is
//! one product, added up where places overlap.
//!
//! A filter that slides over slopes computes a pixel's channels as lanes of one vector; of three channels that leaves five of
//! eight lanes idle. What a place sends back to its 27 numbers fills four vectors.

use crate::float::Float;
use crate::frame::Sight;
use crate::slide::Slide;
use pulp::{Simd, WithSimd};

/// Channels up to which it pays.
pub(crate) const FEW_CHANNELS: usize = 4;

/// `images[pixel, :] = Σ what places that see the pixel send back to it`.
pub(crate) struct Fold<'a, F> {
    /// How places see images.
    pub sight: Sight,
    /// `[places of all images, columns]`
    pub slopes: &'a [F],
    /// `[numbers seen from a place, columns]`
    pub filters: &'a [F],
    pub columns: usize,
    pub images: &'a mut [F],
}

/// Numbers that are sent before they are added up: a product prepares itself once for all of them, and they stay in a second-level cache.
const AT_A_TIME: usize = 1 << 16;

/// What a place sends takes a multiple of so many numbers, that no vector is written in part.
const WHOLE: usize = 8;

impl<F: Float> Fold<'_, F> {
    pub fn compute(self) {
        let Fold { sight, slopes, filters, columns, images } = self;
        let Sight { places: [high, wide], size: [height, width], channels, .. } = sight;
        let row = sight.numbers().next_multiple_of(WHOLE);
        let turned = turned(filters, columns, row);
        let (image, pixels) = (high * wide * row, height * width * channels);
        let at_a_time = (AT_A_TIME / image).max(1);
        let mut sent = vec![F::ZERO; at_a_time * image];
        let mut sums = Sums::around(&sight);
        let places = Sight::of_single_pixels([high, wide], columns, row);
        let images = images.chunks_mut(at_a_time * pixels);
        for (slopes, images) in slopes.chunks(at_a_time * high * wide * columns).zip(images) {
            let sent = &mut sent[..images.len() / pixels * image];
            let product = Slide { sight: places, images: slopes, filters: &turned, columns: row, image, out: sent };
            pulp::Arch::new().dispatch(product);
            for (sent, image) in sent.chunks_exact(image).zip(images.chunks_exact_mut(pixels)) {
                pulp::Arch::new().dispatch(AddUp { sums: &mut sums, sent, row });
                sums.read(image);
            }
        }
    }
}

/// The transpose of filters, with zeros behind each row up to so many numbers.
fn turned<F: Float>(filters: &[F], columns: usize, row: usize) -> Vec<F> {
    let mut turned = vec![F::ZERO; columns * row];
    for (number, filters) in filters.chunks_exact(columns).enumerate() {
        filters.iter().enumerate().for_each(|(column, &x)| turned[column * row + number] = x);
    }
    turned
}

/// Adds up what places sent, a row each.
struct AddUp<'a, F> {
    sums: &'a mut Sums<F>,
    sent: &'a [F],
    row: usize,
}

impl<F: Float> WithSimd for AddUp<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let AddUp { sums, sent, row } = self;
        match sums.sight.run() {
            9 => sums.add_up(sent, row, add::<F, 9>), // colour, seen by filters three pixels wide
            _ => sums.add_up(sent, row, |sums, sent| sums.iter_mut().zip(sent).for_each(|(s, &x)| *s += x)),
        }
    }
}

/// Adds so many numbers that the compiler knows it.
#[inline(always)]
fn add<F: Float, const N: usize>(sums: &mut [F], sent: &[F]) {
    let (sums, sent) = (sums.first_chunk_mut::<N>(), sent.first_chunk::<N>());
    let (sums, sent) = sums.zip(sent).expect("there are so many");
    (0..N).for_each(|n| sums[n] += sent[n]);
}

/// An image of sums, with room around it for what places send past its edges.
struct Sums<F> {
    sight: Sight,
    row: usize,
    sums: Vec<F>,
}

impl<F: Float> Sums<F> {
    fn around(sight: &Sight) -> Sums<F> {
        let [high, row] = [0, 1].map(|axis| sight.reach(axis).max(sight.before[axis] + sight.size[axis]));
        let row = row * sight.channels;
        Sums { sight: *sight, row, sums: vec![F::ZERO; high * row] }
    }

    #[inline(always)]
    fn add_up(&mut self, sent: &[F], row: usize, add: impl Fn(&mut [F], &[F])) {
        let Sight { stride, taps, channels, places: [_, wide], .. } = self.sight;
        let (run, step) = (self.sight.run(), stride[1] * channels);
        // Places so far apart that they send to different pixels.
        let apart = taps[1].div_ceil(stride[1]);
        self.sums.fill(F::ZERO);
        for (y, sent) in sent.chunks_exact(wide * row).enumerate() {
            for tap in 0..taps[0] {
                let sums = &mut self.sums[(y * stride[0] + tap) * self.row..][..self.row];
                for first in 0..apart.min(wide) {
                    for x in (first..wide).step_by(apart) {
                        add(&mut sums[x * step..][..run], &sent[x * row + tap * run..][..run]);
                    }
                }
            }
        }
    }

    fn read(&self, image: &mut [F]) {
        let Sight { before: [top, left], channels, size: [_, width], .. } = self.sight;
        for (sums, pixels) in self.sums.chunks_exact(self.row).skip(top).zip(image.chunks_exact_mut(width * channels)) {
            pixels.copy_from_slice(&sums[left * channels..][..width * channels]);
        }
    }
}
