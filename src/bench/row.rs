//! A measured case under its roofline.

use super::ceilings::{Bound, Ceilings};
use super::measure::Measured;
use serde::{Deserialize, Serialize};

/// What was measured, and what follows from it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// What was measured.
    #[serde(flatten)]
    pub measured: Measured,
    /// The median of the samples, in seconds.
    pub median_s: f64,
    /// From the least to the most of the samples, as a share of the median.
    pub spread: f64,
    /// 10⁹ floating-point operations a second.
    pub gflop_per_s: f64,
    /// 10⁹ bytes a second.
    pub gb_per_s: f64,
    /// Floating-point operations a byte.
    pub intensity: f64,
    /// Of the rate that the ceilings allow at this intensity.
    pub roofline_share: f64,
    /// What it cannot be faster than.
    pub bound: Bound,
}

impl Row {
    /// Puts what was measured under the ceilings.
    pub fn new(measured: Measured, ceilings: &Ceilings) -> Row {
        let median_s = measured.median();
        Row {
            median_s,
            spread: measured.spread(),
            gflop_per_s: measured.flops / median_s / 1e9,
            gb_per_s: measured.bytes / median_s / 1e9,
            intensity: measured.flops / measured.bytes,
            roofline_share: ceilings.roofline_s(&measured) / median_s,
            bound: ceilings.bound(&measured),
            measured,
        }
    }
}
