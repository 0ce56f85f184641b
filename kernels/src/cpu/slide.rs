//! Convolution on the CPU: filters slide over images, and no patch is written out.
//!
//! What a row of a filter sees lies side by side in an image that has its zeros around it: `taps_x · channels`
//! numbers. A tile of sums, a few places by a few vectors, stays in registers while a whole filter goes by; in the
//! filters' gradient it is a few numbers of a filter by a few vectors, and places go by.

use crate::cpu::dots::Dots;
use crate::cpu::vectors;
use crate::float::Float;
use crate::frame::{Frame, Place, Sight};
use crate::matmul::TERMS;
use crate::summation::Totals;
use pulp::{Simd, WithSimd};
use std::ops::Range;

/// `out[place, :] = Σ numbers seen from the place · filters[number, :]`.
pub(crate) struct Slide<'a, F> {
    pub sight: Sight,
    /// Images, without zeros around them.
    pub images: &'a [F],
    /// `[taps_y · taps_x · channels, columns]`
    pub filters: &'a [F],
    pub columns: usize,
    /// Elements of `out` for an image.
    pub image: usize,
    pub out: &'a mut [F],
}

/// `filters[number, :] = Σ numbers seen from a place · slopes[place, :]`.
pub(crate) struct FilterGradient<'a, F> {
    pub sight: Sight,
    /// Images, without zeros around them.
    pub images: &'a [F],
    /// `[places of all images, columns]`
    pub slopes: &'a [F],
    pub columns: usize,
    /// Which numbers of each filter.
    pub numbers: Range<usize>,
    /// `[numbers, columns]`
    pub filters: &'a mut [F],
}

/// Columns that are computed in one go, as vectors of a tile.
struct Panel {
    columns: Range<usize>,
    vectors: usize,
}

/// Cuts columns into panels of three vectors at most, of which four rows fill the registers.
fn panels<F: Float, S: Simd>(columns: usize) -> Vec<Panel> {
    let lanes = F::lanes::<S>();
    let mut panels: Vec<Panel> = vec![];
    let mut start = 0;
    while start < columns {
        // Two and two, rather than three and one.
        let vectors = match (columns - start).div_ceil(lanes) {
            few @ 1..=2 => few,
            4 => 2,
            _ => 3,
        };
        let end = (start + vectors * lanes).min(columns);
        panels.push(Panel { columns: start..end, vectors });
        start = end;
    }
    panels
}

impl Panel {
    /// Its part of what is packed, `rows` rows.
    fn part<F: Float, S: Simd>(&self, rows: usize) -> Range<usize> {
        let first = self.columns.start * rows; // all panels before it are full
        first..first + rows * self.vectors * F::lanes::<S>()
    }
}

/// Numbers that all panels take, for so many rows.
fn packed_length<F: Float, S: Simd>(panels: &[Panel], rows: usize) -> usize {
    panels.last().map_or(0, |panel| panel.part::<F, S>(rows).end)
}

/// Lays a matrix `[rows, columns]` out panel by panel, each row of a panel filled up with zeros.
#[inline(always)]
fn pack<F: Float, S: Simd>(panels: &[Panel], matrix: &[F], columns: usize, packed: &mut [F]) {
    let rows = matrix.len() / columns;
    for panel in panels {
        let width = panel.columns.len();
        let part = &mut packed[panel.part::<F, S>(rows)];
        for (to, from) in part.chunks_exact_mut(panel.vectors * F::lanes::<S>()).zip(matrix.chunks_exact(columns)) {
            to[..width].copy_from_slice(&from[panel.columns.clone()]);
            to[width..].fill(F::ZERO);
        }
    }
}

/// The way back.
fn unpack<F: Float, S: Simd>(panels: &[Panel], packed: &[F], columns: usize, matrix: &mut [F]) {
    let rows = matrix.len() / columns;
    for panel in panels {
        let width = panel.columns.len();
        let part = &packed[panel.part::<F, S>(rows)];
        for (to, from) in matrix.chunks_exact_mut(columns).zip(part.chunks_exact(panel.vectors * F::lanes::<S>())) {
            to[panel.columns.clone()].copy_from_slice(&from[..width]);
        }
    }
}

/// What is seen: numbers from one row to the next, and those that a row of a filter sees.
#[derive(Clone, Copy)]
pub(crate) struct Seen<'a, F> {
    pub seen: &'a [F],
    pub row: usize,
    pub run: usize,
}

impl<F: Float> Slide<'_, F> {
    /// Computes `out`, in the way that fills vectors.
    pub fn compute(self) {
        match Dots::fill_vectors(&self) {
            true => vectors::narrow(Dots(self)),
            false => vectors::fastest(self),
        }
    }
}

impl<F: Float> WithSimd for Slide<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Slide { sight, images, filters, columns, image, out } = self;
        let (numbers, panels) = (sight.numbers(), panels::<F, S>(columns));
        let mut packed = vec![F::ZERO; packed_length::<F, S>(&panels, numbers)];
        // What follows the filters in their buffer is not theirs.
        pack::<F, S>(&panels, &filters[..numbers * columns], columns, &mut packed);
        let mut frame = Frame::new(&sight, columns);
        let (places, row) = (frame.places(image), frame.row());
        for strip in frame.strips(out.len() / image) {
            let (count, first) = frame.lands(&strip, image);
            let (seen, places, out) = (frame.around(&strip, images), &places[..count], &mut out[first..]);
            for panel in &panels {
                let filters = F::vectors::<S>(&packed[panel.part::<F, S>(numbers)]);
                let (seen, columns) = (Seen { seen, row, run: sight.run() }, panel.columns.clone());
                match (panel.vectors, seen.run) {
                    (1, _) => slide::<F, S, 1, 8, ANY>(simd, seen, places, filters, columns, out),
                    (2, _) => slide::<F, S, 2, 5, ANY>(simd, seen, places, filters, columns, out),
                    (_, 9) => slide::<F, S, 3, 3, 9>(simd, seen, places, filters, columns, out), // colour, three pixels wide
                    _ => slide::<F, S, 3, 3, ANY>(simd, seen, places, filters, columns, out),
                }
            }
        }
    }
}

/// Numbers that a row of a filter sees, where they are not a constant.
const ANY: usize = 0;

/// A panel at all places, `P` places at a time. Few numbers a row of a filter, `R`, are a constant: so short a loop costs
/// more than what it computes.
#[inline(always)]
fn slide<F: Float, S: Simd, const V: usize, const P: usize, const R: usize>(
    simd: S,
    Seen { seen, row, run }: Seen<'_, F>,
    places: &[Place],
    filters: &[F::Vector<S>],
    columns: Range<usize>,
    out: &mut [F],
) {
    let run = if R == ANY { run } else { R };
    for places in places.chunks(P) {
        // A tile that is not full computes its last place several times.
        let tile: [Place; P] = std::array::from_fn(|p| places[p.min(places.len() - 1)]);
        let mut sums = [[F::splat(simd, F::ZERO); V]; P];
        for (tap, filters) in filters.chunks_exact(run * V).enumerate() {
            let rows: [&[F]; P] = std::array::from_fn(|p| &seen[tile[p].sees + tap * row..][..run]);
            for (j, filters) in filters.chunks_exact(V).enumerate() {
                for p in 0..P {
                    let x = F::splat(simd, rows[p][j]);
                    for v in 0..V {
                        sums[p][v] = F::multiply_add(simd, x, filters[v], sums[p][v]);
                    }
                }
            }
        }
        for p in 0..P {
            store::<F, S, V>(sums[p], &mut out[tile[p].lands + columns.start..][..columns.len()]);
        }
    }
}

/// Writes vectors, of the last one only what fits.
#[inline(always)]
fn store<F: Float, S: Simd, const V: usize>(vectors: [F::Vector<S>; V], out: &mut [F]) {
    let lanes = F::lanes::<S>();
    let whole = out.len() / lanes;
    for v in 0..V {
        let out = &mut out[v * lanes..];
        if v < whole {
            F::vectors_mut::<S>(out)[0] = vectors[v];
            continue;
        }
        let mut spilled = [F::ZERO; MOST_LANES];
        F::vectors_mut::<S>(&mut spilled)[0] = vectors[v];
        match out.len() == lanes / 2 {
            true => out.copy_from_slice(&spilled[..lanes / 2]), // of a length that the compiler knows: one move
            false => out.iter_mut().zip(&spilled).for_each(|(out, &x)| *out = x),
        }
    }
}

/// Numbers that the widest vectors hold.
pub(crate) const MOST_LANES: usize = 16;

/// Slopes that go by while a tile of a filter stays: they, and what their places see, are in the first-level cache.
const GO_BY: usize = 2560;

impl<F: Float> WithSimd for FilterGradient<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let FilterGradient { sight, images, slopes, columns, numbers, filters } = self;
        let panels = panels::<F, S>(columns);
        let mut sums = vec![F::ZERO; packed_length::<F, S>(&panels, numbers.len())];
        let mut totals = Totals::new(slopes.len() / columns > TERMS, &mut sums);
        let mut terms = 0;
        let mut frame = Frame::new(&sight, columns);
        let (places, row) = (frame.places(0), frame.row());
        let at_a_time = (GO_BY / columns).clamp(32, 128);
        let mut block = vec![F::ZERO; at_a_time * 3 * F::lanes::<S>()];
        for strip in frame.strips(slopes.len() / columns / (sight.places[0] * sight.places[1])) {
            let numbered = frame.numbers(&strip);
            let seen = Seen { seen: frame.around(&strip, images), row, run: sight.run() };
            let slopes = &slopes[numbered.start * columns..numbered.end * columns];
            for (places, slopes) in places.chunks(at_a_time).zip(slopes.chunks(at_a_time * columns)) {
                let places = &places[..slopes.len() / columns];
                if terms + places.len() > TERMS {
                    totals.set_aside(&mut sums);
                    terms = 0;
                }
                terms += places.len();
                for panel in &panels {
                    let sums = F::vectors_mut::<S>(&mut sums[panel.part::<F, S>(numbers.len())]);
                    let slopes = &slopes[panel.columns.start..];
                    let block = F::vectors_mut::<S>(&mut block);
                    match panel.vectors {
                        1 => {
                            let slopes = side_by_side::<F, S, 1>(slopes, columns, places.len(), block);
                            go_by::<F, S, 1, 8>(simd, seen, places, slopes, &numbers, sums);
                        }
                        2 => {
                            let slopes = side_by_side::<F, S, 2>(slopes, columns, places.len(), block);
                            go_by::<F, S, 2, 5>(simd, seen, places, slopes, &numbers, sums);
                        }
                        _ => {
                            let slopes = side_by_side::<F, S, 3>(slopes, columns, places.len(), block);
                            go_by::<F, S, 3, 3>(simd, seen, places, slopes, &numbers, sums);
                        }
                    }
                }
            }
        }
        totals.finish(&mut sums);
        unpack::<F, S>(&panels, &sums, columns, filters);
    }
}

/// The first vectors of each of so many rows, `columns` numbers apart. What they hold beyond a row ends in sums that
/// nobody reads.
#[inline(always)]
fn side_by_side<'a, F: Float, S: Simd, const V: usize>(
    rows: &[F],
    columns: usize,
    count: usize,
    block: &'a mut [F::Vector<S>],
) -> &'a [F::Vector<S>] {
    let width = V * F::lanes::<S>();
    let block = &mut block[..count * V];
    for (i, to) in block.chunks_exact_mut(V).enumerate() {
        let row = &rows[i * columns..];
        if row.len() >= width {
            to.copy_from_slice(&F::vectors::<S>(&row[..width])[..V]);
        } else {
            let mut last = [F::ZERO; 3 * MOST_LANES];
            last[..row.len()].copy_from_slice(row);
            to.copy_from_slice(&F::vectors::<S>(&last)[..V]);
        }
    }
    block
}

/// Adds what places contribute to a panel of the filters, `N` numbers of a filter at a time.
#[inline(always)]
fn go_by<F: Float, S: Simd, const V: usize, const N: usize>(
    simd: S,
    Seen { seen, row, run }: Seen<'_, F>,
    places: &[Place],
    slopes: &[F::Vector<S>],
    numbers: &Range<usize>,
    sums: &mut [F::Vector<S>],
) {
    let mut number = numbers.start;
    while number < numbers.end {
        let (tap, within) = (number / run, number % run);
        let end = ((tap + 1) * run).min(numbers.end);
        let mut at = tap * row + within;
        while number < end {
            let sums = &mut sums[(number - numbers.start) * V..];
            // A tile of one number waits for its sums: rather two of two than one of three and one.
            let size = match end - number {
                left if left >= N && left != N + 1 => N,
                1 => 1,
                _ => 2,
            };
            match size {
                1 => tile::<F, S, V, 1>(simd, &seen[at..], places, slopes, sums),
                2 => tile::<F, S, V, 2>(simd, &seen[at..], places, slopes, sums),
                _ => tile::<F, S, V, N>(simd, &seen[at..], places, slopes, sums),
            }
            (number, at) = (number + size, at + size);
        }
    }
}

/// Adds to the sums of `N` numbers side by side, which begin where a place begins to see `seen`.
#[inline(always)]
fn tile<F: Float, S: Simd, const V: usize, const N: usize>(
    simd: S,
    seen: &[F],
    places: &[Place],
    slopes: &[F::Vector<S>],
    sums: &mut [F::Vector<S>],
) {
    let mut tile = [[F::splat(simd, F::ZERO); V]; N];
    for n in 0..N {
        for v in 0..V {
            tile[n][v] = sums[n * V + v];
        }
    }
    for (place, slope) in places.iter().zip(slopes.chunks_exact(V)) {
        let numbers = &seen[place.sees..][..N];
        for n in 0..N {
            let x = F::splat(simd, numbers[n]);
            for v in 0..V {
                tile[n][v] = F::multiply_add(simd, x, slope[v], tile[n][v]);
            }
        }
    }
    for n in 0..N {
        for v in 0..V {
            sums[n * V + v] = tile[n][v];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sight(columns: usize) -> Sight {
        Sight {
            size: [9, 7],
            channels: 5,
            before: [1, 1],
            first: [0, 0],
            stride: [1, 1],
            taps: [3, 3],
            places: [9, 7],
            lands: (0, [7 * columns, columns]),
        }
    }

    fn numbers(count: usize) -> Vec<f32> {
        (0..count).map(|i| (i * 7919 % 1001) as f32 / 500.0 - 1.0).collect()
    }

    /// In the widest vectors, and in those of 256 bits.
    fn convolution(columns: usize) -> [Vec<f32>; 2] {
        let sight = sight(columns);
        let (images, filters) = (numbers(2 * 9 * 7 * 5), numbers(sight.numbers() * columns));
        let image = 9 * 7 * columns;
        let slide = |out| Slide { sight, images: &images, filters: &filters, columns, image, out };
        let [mut wide, mut narrow] = [(); 2].map(|()| vec![0.0; 2 * image]);
        pulp::Arch::new().dispatch(slide(&mut wide));
        vectors::narrow(slide(&mut narrow));
        [wide, narrow]
    }

    fn filter_gradient(columns: usize) -> [Vec<f32>; 2] {
        let sight = sight(columns);
        let (images, slopes) = (numbers(2 * 9 * 7 * 5), numbers(2 * 9 * 7 * columns));
        let numbers = || 0..sight.numbers();
        let gradient =
            |filters| FilterGradient { sight, images: &images, slopes: &slopes, columns, numbers: numbers(), filters };
        let [mut wide, mut narrow] = [(); 2].map(|()| vec![0.0; sight.numbers() * columns]);
        pulp::Arch::new().dispatch(gradient(&mut wide));
        vectors::narrow(gradient(&mut narrow));
        [wide, narrow]
    }

    /// Which of them are faster is found by timing, and must change nothing else.
    #[test]
    fn the_widest_vectors_and_narrower_ones_have_the_same_bits() {
        for columns in [1, 7, 16, 20, 40, 70] {
            for computed in [convolution, filter_gradient] {
                let [wide, narrow] = computed(columns).map(|out| out.into_iter().map(f32::to_bits).collect::<Vec<_>>());
                assert_eq!(wide, narrow, "{columns} columns");
            }
        }
    }
}
