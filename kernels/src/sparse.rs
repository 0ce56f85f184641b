//! Products of images that are mostly blank: only pixels that are not zero are listed and met.
//!
//! What limits such a product is how fast weights come from the cache, so two images meet each weight that is loaded.
//! They share a list: the pixels that are lit in either. Images that look alike are paired, and waste little.

use crate::float::Float;
use std::cmp::Reverse;
use std::ops::Range;

/// Columns of the product whose sums stay in registers, for both images, while their pixels go by.
const PANEL: usize = 32;
/// Rows of the weights that are met in one go: few enough for a cache, and so many that a pair has a long list there.
const TILE: usize = 392;
/// Pairs that meet a tile while it is there.
const GROUP: usize = 32;
/// Images among which each one's partner is sought. (Among more, partners are hardly more alike.)
const NEIGHBOURS: usize = 500;

/// A row of a panel, so aligned that no vector of it lies in two cache lines.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Panel<F>([F; PANEL]);

/// A pixel that at least one of a pair has lit.
#[derive(Clone, Copy, Debug)]
struct Lit {
    column: u16,
    bytes: [u8; 2],
}

/// The pixels that are not zero, pair by pair and in each tile by tile.
#[derive(Debug)]
pub(crate) struct Sparse {
    tiles: usize,
    /// The images of each pair; an odd one out is there twice. Those of the same neighbourhood stand together.
    pairs: Vec<[usize; 2]>,
    /// Where the pixels of each pair's tile begin; one more at the end.
    starts: Vec<u32>,
    pixels: Vec<Lit>,
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
        let pairs = bytes.chunks(NEIGHBOURS * width).enumerate().flat_map(|(neighbourhood, bytes)| {
            let first = neighbourhood * NEIGHBOURS;
            pair_up(bytes, width).into_iter().map(move |pair| pair.map(|image| first + image))
        });
        let mut sparse =
            Sparse { tiles: width.div_ceil(TILE), pairs: pairs.collect(), starts: vec![], pixels: vec![] };
        for pair in &sparse.pairs {
            let images = pair.map(|image| &bytes[image * width..(image + 1) * width]);
            for tile in (0..width).step_by(TILE) {
                sparse.starts.push(sparse.pixels.len() as u32);
                let of_both = |c: usize| Lit { column: c as u16, bytes: images.map(|image| image[c]) };
                let columns = tile..(tile + TILE).min(width);
                sparse.pixels.extend(columns.map(of_both).filter(|lit| lit.bytes != [0, 0]));
            }
        }
        sparse.starts.push(sparse.pixels.len() as u32);
        sparse
    }

    fn tile(&self, pair: usize, tile: usize) -> &[Lit] {
        let at = pair * self.tiles + tile;
        &self.pixels[self.starts[at] as usize..self.starts[at + 1] as usize]
    }

    /// The pairs of which an image is among `images`.
    fn pairs_of(&self, images: &Range<usize>) -> Vec<usize> {
        let neighbourhoods = images.start / NEIGHBOURS..images.end.div_ceil(NEIGHBOURS);
        let pairs_of_each = NEIGHBOURS.div_ceil(2);
        let pairs = neighbourhoods.start * pairs_of_each..(neighbourhoods.end * pairs_of_each).min(self.pairs.len());
        pairs.filter(|&pair| self.pairs[pair].iter().any(|image| images.contains(image))).collect()
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
        let pairs = self.pairs_of(&images);
        let mut packed = vec![Panel([F::ZERO; PANEL]); weights.len() / n];
        let mut sums = [[Panel([F::ZERO; PANEL]); 2]; GROUP];
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
            for group in pairs.chunks(GROUP) {
                sums.fill([initial; 2]);
                for (tile, packed) in packed.chunks(TILE).enumerate() {
                    for (&pair, sums) in group.iter().zip(&mut sums) {
                        *sums = add::<F, FUSED>(*sums, self.tile(pair, tile), &level, packed, tile * TILE);
                    }
                }
                for (&pair, sums) in group.iter().zip(&sums) {
                    for (image, sums) in self.pairs[pair].iter().zip(sums) {
                        if images.contains(image) {
                            let row = &mut out[(image - images.start) * n..][columns.clone()];
                            row.copy_from_slice(&sums.0[..width]);
                        }
                    }
                }
            }
        }
    }
}

/// Adds one tile's part to the sums of both images. They are a value of fixed length here: so they live in registers.
/// A partner's pixel adds nothing: an image's sum is the same to the bit whichever its partner.
#[inline(always)]
fn add<F: Float, const FUSED: bool>(
    mut sums: [Panel<F>; 2],
    pixels: &[Lit],
    level: &[F],
    packed: &[Panel<F>],
    first: usize,
) -> [Panel<F>; 2] {
    for lit in pixels {
        let weights = &packed[usize::from(lit.column) - first].0;
        for (sums, &byte) in sums.iter_mut().zip(&lit.bytes) {
            let x = level[usize::from(byte)];
            for (sum, &w) in sums.0.iter_mut().zip(weights) {
                *sum = if FUSED { x.fused(w, *sum) } else { x * w + *sum };
            }
        }
    }
    sums
}

/// Pairs each image with the one that differs from it in the fewest lit pixels, those with most of them first.
fn pair_up(bytes: &[u8], width: usize) -> Vec<[usize; 2]> {
    let masks: Vec<Vec<u64>> = bytes.chunks_exact(width).map(mask).collect();
    let ones = |words: &mut dyn Iterator<Item = u64>| words.map(u64::count_ones).sum::<u32>();
    let mut alone: Vec<usize> = (0..masks.len()).collect();
    alone.sort_by_key(|&image| Reverse(ones(&mut masks[image].iter().copied())));
    let mut pairs = vec![];
    while !alone.is_empty() {
        let image = alone.remove(0);
        let differ =
            |&other: &usize| ones(&mut masks[image].iter().zip(&masks[other]).map(|(a, b)| a ^ b));
        let nearest = (0..alone.len()).min_by_key(|&at| differ(&alone[at]));
        pairs.push([image, nearest.map_or(image, |at| alone.remove(at))]);
    }
    pairs
}

/// A bit a pixel: whether it is lit.
fn mask(image: &[u8]) -> Vec<u64> {
    let word = |pixels: &[u8]| pixels.iter().enumerate().fold(0, |word, (i, &p)| word | u64::from(p != 0) << i);
    image.chunks(64).map(word).collect()
}
