//! Independent Gaussians: as values on a tape, and where they are kept.

use crate::autodiff::{Stored, Tape, Var};
use crate::methods::Lab;

/// Independent Gaussians, one a weight.
#[derive(Clone, Copy)]
pub struct Gaussian<'t> {
    /// μ
    pub mean: Var<'t>,
    /// ln σ²
    pub log_variance: Var<'t>,
}

impl<'t> Gaussian<'t> {
    /// μ + ε σ
    pub fn draw(&self, noise: Var<'t>) -> Var<'t> {
        self.mean + noise * self.deviation()
    }

    /// σ
    pub fn deviation(&self) -> Var<'t> {
        (self.log_variance * 0.5).exp()
    }

    /// KL(self ‖ prior), in closed form: ½ Σ (ln σ_p² − ln σ² + (σ² + (μ − μ_p)²) / σ_p² − 1).
    pub fn divergence(&self, prior: &Gaussian<'t>) -> Var<'t> {
        // A ratio of variances is the exponential of a difference, so that where they are the same its slope is
        // zero exactly: Adam would make full steps of what rounding left.
        let wider = self.log_variance - prior.log_variance;
        let apart = (self.mean - prior.mean).squared() * (-prior.log_variance).exp();
        (wider.exp() - wider + apart - 1.0).total() * 0.5
    }
}

/// Where a Gaussian is kept.
pub(super) struct Kept {
    pub mean: Stored,
    pub log_variance: Stored,
}

impl Kept {
    pub fn new(lab: &mut Lab, name: &str) -> Kept {
        let weights = [lab.model.parameters()];
        let mut state = |of: &str| lab.session.state(&format!("{name}: {of}"), &weights);
        Kept { mean: state("mean"), log_variance: state("log variance") }
    }

    pub fn load<'t>(&self, tape: &'t Tape) -> Gaussian<'t> {
        Gaussian { mean: tape.load(&self.mean), log_variance: tape.load(&self.log_variance) }
    }

    pub fn assign<'t>(&self, tape: &'t Tape, value: &Gaussian<'t>) {
        tape.assign(&self.mean, value.mean);
        tape.assign(&self.log_variance, value.log_variance);
    }

    /// Records that this becomes a copy of another.
    pub fn copy(&self, tape: &Tape, from: &Kept) {
        let Gaussian { mean, log_variance } = from.load(tape);
        self.assign(tape, &Gaussian { mean: mean + 0.0, log_variance: log_variance + 0.0 });
    }
}
