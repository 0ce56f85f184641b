//! Batch normalisation (Ioffe and Szegedy, 2015).
//!
//! A channel's mean μ and variance σ² over all places of all images fold into a scale and a shift,
//! y = γ (x − μ) / √(σ² + ε) + β = x · s + (β − μ s) with s = γ / √(σ² + ε), so that the images are read once for the
//! statistics and once for the result. Everything is recorded in the tape's own operations, and differentiates as they do.

use crate::autodiff::Var;

/// Keeps the square root away from zero (the released code's).
const EPSILON: f64 = 1e-3;

/// What a training step leaves of the running averages.
pub const KEPT: f64 = 0.9;

/// By what images are normalised.
#[derive(Clone, Copy)]
pub enum Statistics<'t> {
    /// By their own. Each image counts by its share, `[rows]`; shares add up to 1, and a row without an image has 0.
    Batch {
        /// `[rows]`
        shares: Var<'t>,
    },
    /// By averages kept from training: of each normalisation the means, then the variances.
    Running(Var<'t>),
}

/// A normalisation, folded.
pub(super) struct Folded<'t> {
    scale: Var<'t>,
    shift: Var<'t>,
    /// Means and variances, each `[channels]`.
    pub moments: [Var<'t>; 2],
}

/// The normalisation of `x [rows, places, channels]` with gain γ and bias β, both `[channels]`; running averages of
/// this normalisation begin at `offset`.
pub(super) fn fold<'t>(
    x: Var<'t>,
    gain: Var<'t>,
    bias: Var<'t>,
    statistics: Statistics<'t>,
    offset: usize,
) -> Folded<'t> {
    let channels = gain.elements();
    let moments = match statistics {
        Statistics::Batch { shares } => moments(x, shares),
        Statistics::Running(kept) => [kept.slice(offset, &[channels]), kept.slice(offset + channels, &[channels])],
    };
    let [mean, variance] = moments;
    let scale = gain / (variance + EPSILON).sqrt();
    Folded { scale, shift: bias - mean * scale, moments }
}

/// Mean and variance of each channel.
fn moments<'t>(x: Var<'t>, shares: Var<'t>) -> [Var<'t>; 2] {
    let [rows, places, channels] = [x.shape()[0], x.shape()[1], x.shape()[2]];
    let over_images =
        |sums: Var<'t>| shares.reshape(&[1, rows]).matmul(sums).reshape(&[channels]) * (1.0 / places as f64);
    let (mean, square) = (over_images(x.sum(1)), over_images(x.squared().sum(1)));
    // E x² − μ² rounds to a few 1e-7 of μ², and may come out below 0: ε is larger by orders.
    [mean, (square - mean.squared()).relu()]
}

impl<'t> Folded<'t> {
    /// `x [rows, places, channels]`, normalised.
    pub fn apply(&self, x: Var<'t>) -> Var<'t> {
        let spread = |channel: Var<'t>| channel.spread(0, x.elements() / channel.elements()).reshape(&x.shape());
        x * spread(self.scale) + spread(self.shift)
    }
}
