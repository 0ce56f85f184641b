//! Products of matrices that are mostly zeros, whose other elements are listed and met: images of the MNIST kind are blank
//! in four places of five, and a layer after a ReLU is silent in two of three.
//!
//! What limits such a product is how fast weights come from the cache, so two rows meet each weight that is loaded: rows
//! 2p and 2p + 1, which share a list of the columns in which either is not zero. The more alike they are, the shorter it
//! is. (The last row of an odd number is its own partner.)

mod images;
mod rows;

pub(crate) use images::Images;
pub(crate) use rows::{all_finite, product_of_mostly_zeros};

use crate::cpu::vectors;
use crate::float::Float;
use pulp::{Simd, WithSimd};
use std::ops::Range;

/// Columns of the product whose sums stay in registers, for both rows, while their elements go by.
const PANEL: usize = 32;
/// Rows of the weights that are met in one go: few enough for a cache, and so many that a pair has a long list there.
const TILE: usize = 392;
/// Pairs that meet a tile while it is there.
const GROUP: usize = 32;

/// A row of a panel, so aligned that no vector of it lies in two cache lines.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Panel<F>([F; PANEL]);

/// What pairs of rows have in the columns where they are not zero.
trait Pairs<F> {
    /// Of a pair in a column.
    type Element: Copy;
    /// A pair's elements in a tile.
    fn elements(&self, pair: usize, tile: usize) -> &[Self::Element];
    /// The column of an element, and both values.
    fn values(&self, element: Self::Element) -> (usize, [F; 2]);
}

/// Elements, pair by pair and in each tile by tile.
#[derive(Debug)]
struct Lists<E> {
    /// Where the elements of each pair's tile begin; one more at the end.
    starts: Vec<u32>,
    elements: Vec<E>,
    tiles: usize,
}

impl<E: Copy> Lists<E> {
    /// Lists the rows of a matrix, by `element`: what it makes of two values that are not both zero.
    fn of<T: Copy + PartialEq>(matrix: &[T], width: usize, zero: T, element: impl Fn(usize, [T; 2]) -> E) -> Lists<E> {
        let mut lists = Lists { starts: vec![0], elements: vec![], tiles: width.div_ceil(TILE) };
        let mut columns = [0; TILE];
        for rows in matrix.chunks(2 * width) {
            let (row, other) = (&rows[..width], &rows[rows.len() - width..]);
            for tile in (0..width).step_by(TILE) {
                let mut count = 0;
                for column in tile..(tile + TILE).min(width) {
                    // Written in any case, and overwritten where there was nothing: a branch would be missed half the time.
                    columns[count] = column;
                    count += usize::from((row[column] != zero) | (other[column] != zero));
                }
                lists.elements.extend(columns[..count].iter().map(|&c| element(c, [row[c], other[c]])));
                lists.starts.push(lists.elements.len() as u32);
            }
        }
        lists
    }

    fn pairs(&self) -> usize {
        (self.starts.len() - 1) / self.tiles
    }

    fn elements(&self, pair: usize, tile: usize) -> &[E] {
        let at = pair * self.tiles + tile;
        &self.elements[self.starts[at] as usize..self.starts[at + 1] as usize]
    }
}

/// The right side of a product: `weights[width, n]`, and what is added to every row.
#[derive(Clone, Copy)]
pub(crate) struct Dense<'a, F> {
    pub weights: &'a [F],
    pub n: usize,
    pub bias: Option<&'a [F]>,
}

impl<F: Float> Dense<'_, F> {
    fn panels(&self) -> impl Iterator<Item = Range<usize>> {
        let n = self.n;
        (0..n).step_by(PANEL).map(move |start| start..(start + PANEL).min(n))
    }

    fn pack(&self, columns: &Range<usize>, packed: &mut [Panel<F>]) {
        for (p, w) in packed.iter_mut().zip(self.weights.chunks_exact(self.n)) {
            p.0[..columns.len()].copy_from_slice(&w[columns.clone()]);
        }
    }

    fn initial(&self, columns: &Range<usize>) -> Panel<F> {
        let mut initial = Panel([F::ZERO; PANEL]);
        if let Some(bias) = self.bias {
            initial.0[..columns.len()].copy_from_slice(&bias[columns.clone()]);
        }
        initial
    }
}

/// Rows `rows` of a product, of which `out` is to hold panel `columns`.
struct Part<'a, F> {
    rows: Range<usize>,
    columns: Range<usize>,
    out: &'a mut [F],
    n: usize,
}

impl<F: Float> Part<'_, F> {
    /// Computes it for a group of pairs: what they meet of the packed weights, on top of the initial sums.
    fn compute(&mut self, pairs: &impl Pairs<F>, group: Range<usize>, packed: &[Panel<F>], initial: Panel<F>) {
        let mut sums = [[initial; 2]; GROUP];
        let sums = &mut sums[..group.len()];
        vectors::narrow(AddTiles { pairs, first: group.start, packed, sums });
        let width = self.columns.len();
        for (row, sums) in (2 * group.start..).zip(sums.as_flattened()) {
            if self.rows.contains(&row) {
                let out = &mut self.out[(row - self.rows.start) * self.n + self.columns.start..][..width];
                out.copy_from_slice(&sums.0[..width]);
            }
        }
    }
}

/// Adds all tiles' parts to the sums of pairs, from `first` on.
struct AddTiles<'a, F, P> {
    pairs: &'a P,
    first: usize,
    packed: &'a [Panel<F>],
    sums: &'a mut [[Panel<F>; 2]],
}

impl<F: Float, P: Pairs<F>> WithSimd for AddTiles<'_, F, P> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        // A fused multiply-add is a library call where the processor has none.
        match F::lanes::<S>() {
            1 => self.add::<false>(),
            _ => self.add::<true>(),
        }
    }
}

impl<F: Float, P: Pairs<F>> AddTiles<'_, F, P> {
    #[inline(always)]
    fn add<const FUSED: bool>(self) {
        for (tile, packed) in self.packed.chunks(TILE).enumerate() {
            for (pair, sums) in self.sums.iter_mut().enumerate() {
                *sums = add::<F, FUSED>(self.pairs, (self.first + pair, tile), *sums, packed);
            }
        }
    }
}

/// Adds one tile's part to the sums of both rows. They are a value of fixed length here: so they live in registers.
/// A partner's element adds nothing: a row's sum is the same to the bit whichever its partner.
#[inline(always)]
fn add<F: Float, const FUSED: bool>(
    pairs: &impl Pairs<F>,
    (pair, tile): (usize, usize),
    mut sums: [Panel<F>; 2],
    packed: &[Panel<F>],
) -> [Panel<F>; 2] {
    for &element in pairs.elements(pair, tile) {
        let (column, values) = pairs.values(element);
        let weights = &packed[column - tile * TILE].0;
        for (sums, x) in sums.iter_mut().zip(values) {
            for (sum, &w) in sums.0.iter_mut().zip(weights) {
                *sum = if FUSED { x.fused(w, *sum) } else { x * w + *sum };
            }
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDTH: usize = 500;
    const N: usize = 70;
    const ROWS: usize = 301;

    fn weights() -> Vec<f32> {
        (0..WIDTH * N + N).map(|i| (i * 7919 % 1001) as f32 / 500.0 - 1.0).collect()
    }

    /// One pixel in five is lit.
    fn images() -> Vec<u8> {
        let noise = |i: usize| (i as u32).wrapping_mul(2_654_435_761) >> 7;
        (0..ROWS * WIDTH).map(|i| if noise(i) % 5 == 0 { (noise(i) / 5 % 256) as u8 } else { 0 }).collect()
    }

    fn dense(weights: &[f32]) -> Dense<'_, f32> {
        Dense { weights: &weights[..WIDTH * N], n: N, bias: Some(&weights[WIDTH * N..]) }
    }

    fn must_be_product(found: &[f32], a: &[f32], weights: &[f32]) {
        for (i, &x) in found.iter().enumerate() {
            let (row, column) = (&a[i / N * WIDTH..][..WIDTH], i % N);
            let met = row.iter().enumerate().map(|(k, &x)| f64::from(x) * f64::from(weights[k * N + column]));
            let wanted = met.sum::<f64>() + f64::from(weights[WIDTH * N + column]);
            assert!((f64::from(x) - wanted).abs() < 1e-4, "element {i}: {x} instead of {wanted}");
        }
    }

    #[test]
    fn images_and_rows_that_are_mostly_zeros_have_the_product_of_any_others() {
        let (images, weights) = (images(), weights());
        let a: Vec<f32> = images.iter().map(|&byte| f32::from(byte) / 255.0).collect();
        let mut out = vec![0.0; ROWS * N];
        Images::list(&images, WIDTH).product(0..ROWS, dense(&weights), &mut out);
        must_be_product(&out, &a, &weights);
        out.fill(0.0);
        assert!(product_of_mostly_zeros(&a, WIDTH, dense(&weights), &mut out));
        must_be_product(&out, &a, &weights);
    }

    #[test]
    fn an_images_sums_do_not_depend_on_which_others_are_asked_for() {
        let weights = weights();
        let listed = Images::list(&images(), WIDTH);
        let mut all = vec![0.0; ROWS * N];
        listed.product(0..ROWS, dense(&weights), &mut all);
        for range in [0..1, 37..200, 99..101, 300..301] {
            let mut some = vec![0.0; range.len() * N];
            listed.product(range.clone(), dense(&weights), &mut some);
            assert_eq!(some, all[range.start * N..range.end * N], "{range:?}");
        }
    }

    #[test]
    fn zeros_are_not_skipped_where_they_meet_what_is_not_finite() {
        let (a, mut weights) = (vec![0.0; 200 * WIDTH], weights());
        let mut out = vec![0.0; 200 * N];
        assert!(product_of_mostly_zeros(&a, WIDTH, dense(&weights), &mut out));
        weights[5] = f32::INFINITY;
        assert!(!product_of_mostly_zeros(&a, WIDTH, dense(&weights), &mut out));
    }
}
