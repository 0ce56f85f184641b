//! What a kernel promises of its results: how near they are to its reference in double precision,
//! and what becomes of numbers that are not finite.

use super::Entry;
use crate::device::Device;
use crate::launch::Launch;
use crate::trial::{Elements, Trial, apart};

/// What becomes of NaN and infinities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NonFinite {
    /// The rule, in few words.
    pub rule: &'static str,
    /// Whether it holds on GPUs, too. Where floats are computed with, WGSL lets a driver assume
    /// that all are finite.
    pub on_gpus: bool,
}

impl NonFinite {
    /// A rule that holds on all devices: there it is not floats that are compared or computed
    /// with, but their bits.
    pub(super) const fn everywhere(rule: &'static str) -> NonFinite {
        NonFinite { rule, on_gpus: true }
    }

    /// A rule that holds on the CPU, in either precision.
    pub(super) const fn on_cpus(rule: &'static str) -> NonFinite {
        NonFinite { rule, on_gpus: false }
    }

    /// One line for people.
    pub fn text(&self) -> String {
        let elsewhere = if self.on_gpus { "" } else { "; on a GPU undefined" };
        format!("{}{elsewhere}", self.rule)
    }
}

/// How far a result may be from its reference.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// The largest difference, as a fraction.
    pub fraction: f64,
    /// Of what.
    pub of: Scale,
}

/// What a tolerance is a fraction of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// The largest finite number of operands and result.
    Largest,
    /// For each element, the sum of its terms' absolute values: what rounding a sum costs is a
    /// fraction of that, and the sum itself may be close to 0.
    Terms,
}

impl Tolerance {
    /// A result that is chosen, counted or copied, and so the same on all devices.
    pub(super) const EXACT: Tolerance = Tolerance { fraction: 0.0, of: Scale::Largest };

    pub(super) const fn of_largest(fraction: f64) -> Tolerance {
        Tolerance { fraction, of: Scale::Largest }
    }

    pub(super) const fn of_terms(fraction: f64) -> Tolerance {
        Tolerance { fraction, of: Scale::Terms }
    }

    /// For people: `2e-5 of the sum of its terms' absolute values`.
    pub fn text(&self) -> String {
        match self.of {
            _ if self.fraction == 0.0 => "exact".into(),
            Scale::Largest => format!("{:e} of the largest number of operands and result", self.fraction),
            Scale::Terms => format!("{:e} of the sum of its terms' absolute values", self.fraction),
        }
    }
}

/// An element that is further from its reference than is allowed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Off {
    /// Its number.
    pub element: usize,
    /// What was computed.
    pub found: f64,
    /// What its reference says.
    pub reference: f64,
    /// The largest difference that is allowed.
    pub allowed: f64,
}

impl Entry {
    /// Compares a result with its reference, and finds the first element that is off by more than
    /// `tolerance` allows. NaN in both, or the same infinity, is no difference.
    pub fn first_off(
        &self,
        launch: &Launch,
        operands: &[Elements],
        [found, reference]: [&[f64]; 2],
        tolerance: Tolerance,
    ) -> Option<Off> {
        let scales = match tolerance.of {
            _ if tolerance.fraction == 0.0 => vec![0.0; found.len()],
            Scale::Largest => vec![largest(operands, reference); found.len()],
            Scale::Terms => Trial::new(&Device::Oracle, launch.clone(), &absolute(operands)).result(),
        };
        found.iter().zip(reference).zip(scales).enumerate().find_map(|(element, ((&found, &reference), scale))| {
            // Written so that a scale that is NaN allows nothing but what is the same.
            let (apart, allowed) = (apart(found, reference), tolerance.fraction * scale);
            let near = apart == 0.0 || apart <= allowed;
            (!near).then_some(Off { element, found, reference, allowed })
        })
    }
}

/// Whether all floats among operands are finite.
pub fn are_finite(operands: &[Elements]) -> bool {
    operands.iter().all(|operand| !matches!(operand, Elements::Numbers(x) if x.iter().any(|x| !x.is_finite())))
}

fn largest(operands: &[Elements], reference: &[f64]) -> f64 {
    let numbers = operands.iter().filter_map(|operand| match operand {
        Elements::Numbers(x) => Some(x.as_slice()),
        _ => None,
    });
    let all = numbers.chain([reference]).flatten().filter(|x| x.is_finite());
    all.fold(0.0, |largest, x| x.abs().max(largest))
}

fn absolute(operands: &[Elements]) -> Vec<Elements> {
    let of = |operand: &Elements| match operand {
        Elements::Numbers(x) => Elements::Numbers(x.iter().map(|x| x.abs()).collect()),
        other => other.clone(),
    };
    operands.iter().map(of).collect()
}
