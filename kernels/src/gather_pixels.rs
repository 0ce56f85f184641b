//! Images read through a pixel map: how a permuted (or rotated) image comes to be on the device.

use crate::float::Float;
use crate::gpu::Traits;
use crate::kernel::{Cost, Describe, Input, Shader, Twin};
use crate::view::View;

/// `out[b, p] = images[image[b], maps[which[b], p]] / 255`, and 0 where the map says [`BLANK`].
///
/// Inputs: images (bytes, `[any, width]`), image `[rows]`, maps `[any, width]`, which `[rows]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GatherPixels {
    /// Images to read.
    pub rows: usize,
    /// Pixels of an image.
    pub width: usize,
}

/// A map's entry for a pixel that lies outside the image.
pub const BLANK: u32 = u32::MAX;

impl Describe for GatherPixels {
    fn name(&self) -> &'static str {
        "gather_pixels"
    }
    fn elements(&self) -> usize {
        self.rows * self.width
    }
    fn inputs(&self) -> usize {
        4
    }
    fn cost(&self) -> Cost {
        let elements = self.elements() as f64;
        Cost { flops: elements, bytes: 9.0 * elements + 8.0 * self.rows as f64 }
    }
    fn shader(&self, adapter: &Traits, views: &[View]) -> Shader {
        let size = vec![self.rows as u32, self.width as u32];
        if adapter.best_by_four(self.width, &[&views[0], &views[3]]) {
            let text = include_str!("../../shaders/gather_pixels_by_four.wgsl");
            return Shader {
                constants: vec![("WIDTH", self.width as f64)],
                ..Shader::per_element(text, size, self.elements() / 4)
            };
        }
        Shader::per_element(include_str!("../../shaders/gather_pixels.wgsl"), size, self.elements())
    }
}

impl Twin for GatherPixels {
    fn compute<F: Float>(&self, out: &mut [F], inputs: &[Input<'_, F>]) {
        let Input::Bytes(images, offset) = inputs[0] else { panic!("gather_pixels: images must be bytes") };
        let (image, maps, which) = (inputs[1].index(), inputs[2].index(), inputs[3].index());
        let level: Vec<F> = (0..256).map(|b| F::of(f64::from(b) / 255.0)).collect();
        for (b, row) in out.chunks_exact_mut(self.width).take(self.rows).enumerate() {
            let pixels = &images.data()[offset + image[b] as usize * self.width..][..self.width];
            let map = &maps[which[b] as usize * self.width..][..self.width];
            for (out, &p) in row.iter_mut().zip(map) {
                *out = if p == BLANK { F::ZERO } else { level[pixels[p as usize] as usize] };
            }
        }
    }
}
