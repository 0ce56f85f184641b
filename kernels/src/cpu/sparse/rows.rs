//! Rows of any matrix, listed where they are mostly zeros.

use super::{Dense, GROUP, Lists, PANEL, Pairs, Panel, Part};
use crate::float::Float;

/// In what part of all columns a pair may have an element for its list to pay: there a dense product is as fast, which
/// loads less for each of them.
const WORTH_LISTING: f64 = 0.65;
/// Fewer rows do not pay for the weights' rearrangement.
const FEWEST_ROWS: usize = 128;

/// Column and values.
struct Numbers<F>(Lists<(u32, [F; 2])>);

impl<F: Float> Pairs<F> for Numbers<F> {
    type Element = (u32, [F; 2]);
    #[inline(always)]
    fn elements(&self, pair: usize, tile: usize) -> &[Self::Element] {
        self.0.elements(pair, tile)
    }
    #[inline(always)]
    fn values(&self, (column, values): Self::Element) -> (usize, [F; 2]) {
        (column as usize, values)
    }
}

/// `out[m, n] = a[m, k] · weights + bias`, if `a` has so many zeros that this is the fast way; whether it has. Weights that
/// are not finite are left to others: a zero that meets them is no zero.
pub(crate) fn product_of_mostly_zeros<F: Float>(a: &[F], k: usize, dense: Dense<'_, F>, out: &mut [F]) -> bool {
    let n = dense.n;
    let m = out.len() / n;
    let a = &a[..m * k];
    if m < FEWEST_ROWS || n < 2 * PANEL || !mostly_zeros(a, k) || !all_finite(dense.weights) {
        return false;
    }
    let panels: Vec<_> = dense.panels().collect();
    let mut packed = vec![Panel([F::ZERO; PANEL]); k * panels.len()];
    panels.iter().zip(packed.chunks_exact_mut(k)).for_each(|(columns, packed)| dense.pack(columns, packed));
    // Group by group: their lists stay in the cache, as all of the weights do.
    for (a, out) in a.chunks(2 * GROUP * k).zip(out.chunks_mut(2 * GROUP * n)) {
        let group = Numbers(Lists::of(a, k, F::ZERO, |column, values| (column as u32, values)));
        for (columns, packed) in panels.iter().zip(packed.chunks_exact(k)) {
            let mut part = Part { rows: 0..out.len() / n, columns: columns.clone(), out, n };
            part.compute(&group, 0..group.0.pairs(), packed, dense.initial(columns));
        }
    }
    true
}

/// Whether pairs of rows (some of them: they are alike) have few enough columns in which either is not zero.
fn mostly_zeros<F: Float>(a: &[F], k: usize) -> bool {
    let met = |pair: &[F]| {
        let (row, other) = pair.split_at(k);
        row.iter().zip(other).map(|(&x, &y)| u32::from((x != F::ZERO) | (y != F::ZERO))).sum::<u32>()
    };
    let looked_at: Vec<u32> = a.chunks_exact(2 * k).step_by(8).map(met).collect();
    f64::from(looked_at.iter().sum::<u32>()) < WORTH_LISTING * (looked_at.len() * k) as f64
}

/// Whether no number is NaN or infinite.
pub(crate) fn all_finite<F: Float>(x: &[F]) -> bool {
    x.iter().map(|&x| u32::from(!x.is_finite())).sum::<u32>() == 0
}
