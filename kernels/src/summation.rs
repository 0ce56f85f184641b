//! Sums of many terms on the CPU, to a bound that hardly grows with their number.
//!
//! Added one after another, terms are lost as soon as the sum is large beside them: in single
//! precision 20,000,000 ones are 16,777,216. Here at most [`BLOCK`] terms are added to one another
//! in the type itself, and what blocks add up to in double precision. With u half the distance
//! from 1 to the next number (2^-24 in single precision), the sum of n terms is off by at most
//! (`BLOCK` · u + n · 2^-53) · Σ|x|. Sums of up to `BLOCK` terms are those of a plain loop, to the
//! bit.
//!
//! The order of summation depends on the number of terms alone.

use crate::float::Float;

/// Terms that are added to one another in the type itself.
pub(crate) const BLOCK: usize = 128;

/// Terms of a sum that has more: fewer, as most of them are added in double precision anyway.
const SHORT_BLOCK: usize = 16;

/// Sums that a loop over neighbours keeps side by side, so that the compiler makes vectors of
/// them.
const LANES: usize = 16;

/// Σ x.
pub(crate) fn sum<F: Float>(x: &[F]) -> F {
    if x.len() <= BLOCK {
        return x.iter().fold(F::ZERO, |s, &x| s + x);
    }
    let mut totals = [0.0; LANES];
    let blocks = x.chunks_exact(LANES * SHORT_BLOCK);
    let rest = blocks.remainder();
    for block in blocks {
        let mut lanes = [F::ZERO; LANES];
        for row in block.chunks_exact(LANES) {
            lanes.iter_mut().zip(row).for_each(|(lane, &x)| *lane += x);
        }
        totals.iter_mut().zip(lanes).for_each(|(total, lane)| *total += lane.wide());
    }
    F::of(totals.into_iter().chain(rest.iter().map(|x| x.wide())).sum())
}

/// Σ of terms that are computed one by one.
pub(crate) fn sum_of<F: Float>(terms: impl ExactSizeIterator<Item = F>) -> F {
    match terms.len() {
        0..=BLOCK => terms.fold(F::ZERO, |s, x| s + x),
        _ => F::of(terms.map(|x| x.wide()).sum()),
    }
}

/// `sums[i] = Σ row[i]` over so many rows.
pub(crate) fn sum_rows<'a, F: Float>(rows: impl ExactSizeIterator<Item = &'a [F]>, sums: &mut [F]) {
    let block = if rows.len() > BLOCK { SHORT_BLOCK } else { BLOCK };
    let mut totals = Totals::new(rows.len() > BLOCK, sums);
    for (n, row) in rows.enumerate() {
        sums.iter_mut().zip(row).for_each(|(s, &x)| *s += x);
        if n % block == block - 1 {
            totals.set_aside(sums);
        }
    }
    totals.finish(sums);
}

/// Sums whose terms come in blocks: those of a block are added to `sums`, which are then set
/// aside, in double precision. Where there is one block only, nothing is set aside.
pub(crate) struct Totals(Vec<f64>);

impl Totals {
    /// Fills `sums` with zeros. There are several blocks, or one.
    pub fn new<F: Float>(several: bool, sums: &mut [F]) -> Totals {
        sums.fill(F::ZERO);
        Totals(if several { vec![0.0; sums.len()] } else { vec![] })
    }

    /// A block has ended: `sums` are zero again.
    pub fn set_aside<F: Float>(&mut self, sums: &mut [F]) {
        for (total, sum) in self.0.iter_mut().zip(sums) {
            *total += sum.wide();
            *sum = F::ZERO;
        }
    }

    /// Makes `sums` those of all blocks.
    pub fn finish<F: Float>(self, sums: &mut [F]) {
        self.0.into_iter().zip(sums).for_each(|(total, sum)| *sum = F::of(total + sum.wide()));
    }
}
