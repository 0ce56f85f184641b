//! Images as bytes, shared by all runs: their lit pixels are listed once.

use super::{Dense, GROUP, Lists, PANEL, Pairs, Panel, Part};
use crate::float::Float;
use std::ops::Range;

/// The lit pixels of images.
#[derive(Debug)]
pub(crate) struct Images(Lists<Lit>);

/// A pixel that is lit in either image of a pair.
#[derive(Clone, Copy, Debug)]
struct Lit {
    column: u16,
    bytes: [u8; 2],
}

/// Images, and what each byte stands for.
struct Shades<'a, F> {
    images: &'a Lists<Lit>,
    levels: [F; 256],
}

impl<F: Float> Pairs<F> for Shades<'_, F> {
    type Element = Lit;
    #[inline(always)]
    fn elements(&self, pair: usize, tile: usize) -> &[Lit] {
        self.images.elements(pair, tile)
    }
    #[inline(always)]
    fn values(&self, lit: Lit) -> (usize, [F; 2]) {
        (lit.column.into(), lit.bytes.map(|byte| self.levels[usize::from(byte)]))
    }
}

impl Images {
    /// Lists the pixels that are not zero in images of `width`.
    pub fn list(bytes: &[u8], width: usize) -> Images {
        assert!(width <= 1 << 16, "images of {width} pixels: a pixel's number must fit 16 bits");
        Images(Lists::of(bytes, width, 0, |column, bytes| Lit { column: column as u16, bytes }))
    }

    /// `out[images, n] = images / 255 · weights + bias`.
    pub fn product<F: Float>(&self, images: Range<usize>, dense: Dense<'_, F>, out: &mut [F]) {
        let levels = std::array::from_fn(|byte| F::of(byte as f64 / 255.0));
        let shades = Shades { images: &self.0, levels };
        let pairs = images.start / 2..images.end.div_ceil(2);
        let mut packed = vec![Panel([F::ZERO; PANEL]); dense.weights.len() / dense.n];
        // Panel by panel: all of the weights would not stay in the cache.
        for columns in dense.panels() {
            dense.pack(&columns, &mut packed);
            let initial = dense.initial(&columns);
            let mut part = Part { rows: images.clone(), columns, out, n: dense.n };
            for group in pairs.clone().step_by(GROUP) {
                part.compute(&shades, group..(group + GROUP).min(pairs.end), &packed, initial);
            }
        }
    }
}
