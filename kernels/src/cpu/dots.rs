//! Convolution to few channels on the CPU, such as the gradient of images in colour: each result is a dot product of
//! numbers that lie side by side.
//!
//! Where filters slide, the channels of a result are the lanes of a vector: of three channels that leaves five lanes of
//! eight idle. Here the lanes are numbers of what a place sees, whose rows are long, and are added up at the end.

use crate::cpu::slide::{MOST_LANES, Seen, Slide};
use crate::float::Float;
use crate::frame::{Frame, Place};
use pulp::{Simd, WithSimd};

/// Columns up to which it pays.
const FEW_COLUMNS: usize = 4;

/// Filters of few columns, moved over images.
pub(crate) struct Dots<'a, F>(pub Slide<'a, F>);

impl<F: Float> Dots<'_, F> {
    /// Whether a row of what these filters see fills vectors better than their columns do.
    pub fn fill_vectors(filters: &Slide<'_, F>) -> bool {
        filters.columns <= FEW_COLUMNS && filters.sight.run() >= MOST_LANES
    }
}

impl<F: Float> WithSimd for Dots<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Slide { sight, images, filters, columns, image, out } = self.0;
        let run = sight.run();
        // What follows the filters in their buffer is not theirs.
        let filters = pack::<F, S>(&filters[..sight.numbers() * columns], run, columns);
        let filters = F::vectors::<S>(&filters);
        let mut frame = Frame::new(&sight, columns);
        let (places, row) = (frame.places(image), frame.row());
        for strip in frame.strips(out.len() / image) {
            let (count, first) = frame.lands(&strip, image);
            let (seen, places, out) = (frame.around(&strip, images), &places[..count], &mut out[first..]);
            let seen = Seen { seen, row, run };
            match columns {
                1 => dots::<F, S, 1, 8>(simd, seen, places, filters, out),
                2 => dots::<F, S, 2, 6>(simd, seen, places, filters, out),
                3 => dots::<F, S, 3, 4>(simd, seen, places, filters, out),
                _ => dots::<F, S, FEW_COLUMNS, 3>(simd, seen, places, filters, out),
            }
        }
    }
}

/// Filters `[rows · run, columns]` as vectors: of each row and each vector that it sees, one a column.
fn pack<F: Float, S: Simd>(filters: &[F], run: usize, columns: usize) -> Vec<F> {
    let lanes = F::lanes::<S>();
    let mut packed = vec![];
    for row in filters.chunks_exact(run * columns) {
        for first in (0..run).step_by(lanes) {
            // A row's last vector ends with it, and begins with numbers of the one before, which are not added twice.
            let start = first.min(run - lanes);
            for column in 0..columns {
                let number = |n: usize| if n < first { F::ZERO } else { row[n * columns + column] };
                packed.extend((start..start + lanes).map(number));
            }
        }
    }
    packed
}

/// `P` places at a time, each of whose `C` results is a vector of sums meanwhile.
#[inline(always)]
fn dots<F: Float, S: Simd, const C: usize, const P: usize>(
    simd: S,
    Seen { seen, row, run }: Seen<'_, F>,
    places: &[Place],
    filters: &[F::Vector<S>],
    out: &mut [F],
) {
    let lanes = F::lanes::<S>();
    let (whole, vectors) = (run / lanes, run.div_ceil(lanes));
    for places in places.chunks(P) {
        // A tile that is not full computes its last place several times.
        let tile: [Place; P] = std::array::from_fn(|p| places[p.min(places.len() - 1)]);
        let mut sums = [[F::splat(simd, F::ZERO); C]; P];
        for (tap, filters) in filters.chunks_exact(vectors * C).enumerate() {
            let rows: [&[F]; P] = std::array::from_fn(|p| &seen[tile[p].sees + tap * row..][..run]);
            let in_whole: [&[F::Vector<S>]; P] = std::array::from_fn(|p| &F::vectors::<S>(rows[p])[..whole]);
            let (filters, of_last) = filters.split_at(whole * C);
            for (j, filters) in filters.chunks_exact(C).enumerate() {
                let numbers = std::array::from_fn(|p| in_whole[p][j]);
                add::<F, S, C, P>(simd, numbers, filters, &mut sums);
            }
            if !of_last.is_empty() {
                let numbers = std::array::from_fn(|p| F::vectors::<S>(&rows[p][run - lanes..])[0]);
                add::<F, S, C, P>(simd, numbers, of_last, &mut sums);
            }
        }
        for p in 0..P {
            let out = &mut out[tile[p].lands..][..C];
            (0..C).for_each(|c| out[c] = F::sum(simd, sums[p][c]));
        }
    }
}

/// Adds a vector of what each place sees, multiplied with each column's filter.
#[inline(always)]
fn add<F: Float, S: Simd, const C: usize, const P: usize>(
    simd: S,
    numbers: [F::Vector<S>; P],
    filters: &[F::Vector<S>],
    sums: &mut [[F::Vector<S>; C]; P],
) {
    for p in 0..P {
        for c in 0..C {
            sums[p][c] = F::multiply_add(simd, numbers[p], filters[c], sums[p][c]);
        }
    }
}
