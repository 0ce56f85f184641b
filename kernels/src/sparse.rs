//! Products of images that are mostly blank: only pixels that are not zero are listed and met.

use crate::float::Float;
use std::ops::Range;

/// Columns of the product whose sums stay in registers while a row's pixels go by.
const PANEL: usize = 64;
/// Rows of the weights that are met in one go: few enough for a cache, and so many that an image has some work in each.
const TILE: usize = 196;
/// Images that meet a tile while it is there.
const GROUP: usize = 64;

/// A row of a panel, so aligned that no vector of it lies in two cache lines.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Panel<F>([F; PANEL]);

/// The pixels that are not zero, image by image and in each tile by tile.
#[derive(Debug)]
pub(crate) struct Sparse {
    tiles: usize,
    /// Where the pixels of each image's tile begin; one more at the end.
    starts: Vec<u32>,
    /// Column and byte.
    pixels: Vec<(u16, u8)>,
}

/// The right side of a product: `weights[width, n]`, and what is added to every row.
#[derive(Clone, Copy)]
pub(crate) struct Dense<'a, F> {
    pub weights: &'a [F],
    pub n: usize,
    pub bias: Option<&'a [F]>,
}

impl Sparse {
    /// Lists the pixels that are not zero in images of `width`.
    pub fn list(bytes: &[u8], width: usize) -> Sparse {
        assert!(width <= 1 << 16, "images of {width} pixels: a pixel's number must fit 16 bits");
        let mut sparse = Sparse { tiles: width.div_ceil(TILE), starts: vec![], pixels: vec![] };
        for image in bytes.chunks_exact(width) {
            let lit = |c: &usize| image[*c] != 0;
            for tile in (0..width).step_by(TILE) {
                sparse.starts.push(sparse.pixels.len() as u32);
                let columns = (tile..(tile + TILE).min(width)).filter(lit);
                sparse.pixels.extend(columns.map(|c| (c as u16, image[c])));
            }
        }
        sparse.starts.push(sparse.pixels.len() as u32);
        sparse
    }

    fn tile(&self, image: usize, tile: usize) -> &[(u16, u8)] {
        let at = image * self.tiles + tile;
        &self.pixels[self.starts[at] as usize..self.starts[at + 1] as usize]
    }

    /// `out[images, n] = images / 255 · weights + bias`.
    pub fn product<F: Float>(&self, images: Range<usize>, dense: Dense<'_, F>, out: &mut [F]) {
        let arch = pulp::Arch::new();
        // A fused multiply-add is a library call where the processor has none.
        if matches!(arch, pulp::Arch::Scalar) {
            self.panels::<F, false>(images, dense, out);
        } else {
            arch.dispatch(
                #[inline(always)]
                || self.panels::<F, true>(images, dense, out),
            );
        }
    }

    #[inline(always)]
    fn panels<F: Float, const FUSED: bool>(&self, images: Range<usize>, dense: Dense<'_, F>, out: &mut [F]) {
        let Dense { weights, n, bias } = dense;
        let level: Vec<F> = (0..256).map(|b| F::of(f64::from(b) / 255.0)).collect();
        let mut packed = vec![Panel([F::ZERO; PANEL]); weights.len() / n];
        let mut sums = [Panel([F::ZERO; PANEL]); GROUP];
        for start in (0..n).step_by(PANEL) {
            let columns = start..(start + PANEL).min(n);
            let width = columns.len();
            for (p, w) in packed.iter_mut().zip(weights.chunks_exact(n)) {
                p.0[..width].copy_from_slice(&w[columns.clone()]);
            }
            let mut initial = Panel([F::ZERO; PANEL]);
            if let Some(bias) = bias {
                initial.0[..width].copy_from_slice(&bias[columns.clone()]);
            }
            for (group, out) in out.chunks_mut(GROUP * n).enumerate() {
                let first = images.start + group * GROUP;
                sums.fill(initial);
                for (tile, packed) in packed.chunks(TILE).enumerate() {
                    for (image, sums) in (first..images.end).zip(&mut sums) {
                        *sums = add::<F, FUSED>(*sums, self.tile(image, tile), &level, packed, tile * TILE);
                    }
                }
                for (out, sums) in out.chunks_exact_mut(n).zip(&sums) {
                    out[columns.clone()].copy_from_slice(&sums.0[..width]);
                }
            }
        }
    }
}

/// Adds one tile's part to an image's sums. They are a value of fixed length here: so they live in registers.
#[inline(always)]
fn add<F: Float, const FUSED: bool>(
    mut sums: Panel<F>,
    pixels: &[(u16, u8)],
    level: &[F],
    packed: &[Panel<F>],
    first: usize,
) -> Panel<F> {
    for &(column, byte) in pixels {
        let x = level[usize::from(byte)];
        for (sum, &w) in sums.0.iter_mut().zip(&packed[usize::from(column) - first].0) {
            *sum = if FUSED { x.fused(w, *sum) } else { x * w + *sum };
        }
    }
    sums
}
