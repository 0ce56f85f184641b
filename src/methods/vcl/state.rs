//! What VCL keeps on the device, and the programs that change it.
//!
//! The draws of a step are replayed one after another, each adding its part to the gradient, so that one draw's
//! parameters are all that is in memory.

use super::gaussian::{Gaussian, Kept};
use crate::autodiff::{Stored, Tape};
use crate::methods::adam::Adam;
use crate::methods::{BatchStream, Lab};
use crate::program::Program;

/// The released code's learning rate, of Adam.
const RATE: f64 = 1e-3;
/// ln σ² of every weight at first.
const FIRST_LOG_VARIANCE: f64 = -6.0;

/// Posterior, prior, and what a step needs beside them.
pub(super) struct State {
    pub stream: BatchStream,
    pub posterior: Kept,
    prior: Kept,
    /// σ of the posterior.
    deviation: Stored,
    /// Sums over a step's draws so far: of slopes along μ and σ, and of losses.
    slopes: Kept,
    losses: Stored,
    pub optimiser: Adam,
    /// The moments of ln σ²; the rates are `optimiser`'s.
    optimiser_of_variance: Adam,
    /// Keys of the noise of every draw of every step.
    pub keys: Stored,
    /// 1 / N
    pub inverse_size: Stored,
    weights: [usize; 1],
}

impl State {
    /// Room for `steps` steps in one go.
    pub fn new(lab: &mut Lab, steps: usize) -> State {
        let weights = [lab.model.parameters()];
        let optimiser = Adam::new(lab, "mean", &weights, steps, RATE);
        State {
            stream: lab.stream("batch", steps, lab.settings.batch),
            posterior: Kept::new(lab, "posterior"),
            prior: Kept::new(lab, "prior"),
            deviation: lab.session.state("deviation", &weights),
            slopes: Kept::new(lab, "sum of slopes"),
            losses: lab.session.state("sum of losses", &[]),
            optimiser_of_variance: optimiser.beside(lab, "log variance", &weights),
            optimiser,
            keys: lab.session.indices("noise keys", steps * lab.settings.samples, &[3]),
            inverse_size: lab.session.state("1 / N", &[]),
            weights,
        }
    }

    /// A step of the maximum-likelihood fit, in θ.
    pub fn fit(&self, lab: &Lab) -> Program {
        let tape = Tape::named("maximum-likelihood step");
        let theta = tape.load(&lab.theta);
        let loss = lab.loss(theta, &lab.batch(&tape, &self.stream));
        tape.assign(&lab.theta, theta - self.optimiser.step(&tape, tape.grad(loss, theta)));
        lab.session.compile(&tape)
    }

    /// μ ← θ, with small variances.
    pub fn begin(&self, lab: &Lab) -> Program {
        let tape = Tape::named("begin the posterior");
        let log_variance = tape.constant(FIRST_LOG_VARIANCE, &self.weights);
        let first = Gaussian { mean: tape.load(&lab.theta) + 0.0, log_variance };
        self.become_posterior(&tape, &first);
        lab.session.compile(&tape)
    }

    /// A task starts Adam anew.
    pub fn forget_moments(&self, lab: &Lab) -> Program {
        let tape = Tape::named("forget moments");
        self.optimiser.reset(&tape);
        self.optimiser_of_variance.reset(&tape);
        lab.session.compile(&tape)
    }

    /// Adds one draw's loss and slopes: dL/dμ = dL/dw, dL/dσ = ε dL/dw.
    pub fn draw(&self, lab: &Lab) -> Program {
        let tape = Tape::named("draw of a step");
        let noise = tape.row(&self.keys).normal(&self.weights);
        let weights = tape.load(&self.posterior.mean) + noise * tape.load(&self.deviation);
        let loss = lab.loss(weights, &lab.batch_every(&tape, &self.stream, lab.settings.samples));
        let slope = tape.grad(loss, weights);
        let so_far = self.slopes.load(&tape);
        tape.assign(&self.slopes.mean, so_far.mean + slope);
        tape.assign(&self.slopes.log_variance, so_far.log_variance + slope * noise);
        tape.assign(&self.losses, tape.load(&self.losses) + loss);
        lab.session.compile(&tape)
    }

    /// A step along what the draws have added up, which then starts from zero again.
    pub fn step(&self, lab: &Lab) -> Program {
        let tape = Tape::named("training step");
        let (posterior, prior, total) = (self.posterior.load(&tape), self.prior.load(&tape), self.slopes.load(&tape));
        let share = 1.0 / lab.settings.samples as f64;
        let divergence = posterior.divergence(&prior) * tape.load(&self.inverse_size);
        // dσ/d(ln σ²) = σ / 2
        let along_variance = total.log_variance * tape.load(&self.deviation) * (0.5 * share);
        let mean_slope = total.mean * share + tape.grad(divergence, posterior.mean);
        let variance_slope = along_variance + tape.grad(divergence, posterior.log_variance);
        let next = Gaussian {
            mean: posterior.mean - self.optimiser.step(&tape, mean_slope),
            log_variance: posterior.log_variance - self.optimiser_of_variance.step(&tape, variance_slope),
        };
        self.become_posterior(&tape, &next);
        let nothing = tape.constant(0.0, &self.weights);
        self.slopes.assign(&tape, &Gaussian { mean: nothing, log_variance: nothing });
        tape.assign_row(&lab.losses, tape.load(&self.losses) * share);
        tape.assign(&self.losses, tape.constant(0.0, &[]));
        lab.session.compile(&tape)
    }

    /// The next task's prior is this task's posterior; θ becomes its mean.
    pub fn keep(&self, lab: &Lab) -> Program {
        let tape = Tape::named("keep the posterior");
        self.prior.copy(&tape, &self.posterior);
        tape.assign(&lab.theta, tape.load(&self.posterior.mean) + 0.0);
        lab.session.compile(&tape)
    }

    /// The posterior as it was when it was kept.
    pub fn restore(&self, lab: &Lab) -> Program {
        let tape = Tape::named("restore the posterior");
        self.posterior.copy(&tape, &self.prior);
        tape.assign(&self.deviation, self.prior.load(&tape).deviation());
        lab.session.compile(&tape)
    }

    fn become_posterior<'t>(&self, tape: &'t Tape, next: &Gaussian<'t>) {
        self.posterior.assign(tape, next);
        tape.assign(&self.deviation, next.deviation());
    }
}
