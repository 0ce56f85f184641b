//! Adam (Kingma and Ba, 2015), as TensorFlow computes it: the corrections of the moments are in the rate.

use super::Lab;
use crate::autodiff::{Stored, Tape, Var};

/// The moments of one set of parameters, and the rates of the steps to come.
pub(super) struct Adam {
    first: Stored,
    second: Stored,
    /// One a step; several sets may share them.
    rates: Stored,
    rate: f64,
}

const FIRST_DECAY: f64 = 0.9;
const SECOND_DECAY: f64 = 0.999;

impl Adam {
    /// Moments for parameters of `shape`, and room for the rates of `steps` steps.
    pub(super) fn new(lab: &mut Lab, name: &str, shape: &[usize], steps: usize, rate: f64) -> Adam {
        let rates = lab.session.rows(&format!("{name}: rates"), steps, &[]);
        let mut moment = |which: &str| lab.session.state(&format!("{name}: {which} moment"), shape);
        Adam { first: moment("first"), second: moment("second"), rates, rate }
    }

    /// Moments of further parameters that take the same steps.
    pub(super) fn beside(&self, lab: &mut Lab, name: &str, shape: &[usize]) -> Adam {
        let mut moment = |which: &str| lab.session.state(&format!("{name}: {which} moment"), shape);
        Adam { first: moment("first"), second: moment("second"), rates: self.rates.clone(), rate: self.rate }
    }

    /// Updates the moments by a gradient, and gives the step along it: add it to climb, subtract it to descend.
    pub(super) fn step<'t>(&self, tape: &'t Tape, gradient: Var<'t>) -> Var<'t> {
        let m = tape.load(&self.first) * FIRST_DECAY + gradient * (1.0 - FIRST_DECAY);
        let v = tape.load(&self.second) * SECOND_DECAY + gradient.squared() * (1.0 - SECOND_DECAY);
        tape.assign(&self.first, m);
        tape.assign(&self.second, v);
        (m / (v.sqrt() + 1e-8)).scaled(tape.row(&self.rates))
    }

    /// Records that the moments are forgotten.
    pub(super) fn reset(&self, tape: &Tape) {
        for moment in [&self.first, &self.second] {
            tape.assign(moment, tape.constant(0.0, &moment.shape));
        }
    }

    /// Writes the rates of `steps` steps that follow on `taken`.
    pub(super) fn write_rates(&self, lab: &mut Lab, taken: usize, steps: usize) {
        let corrected = |t: i32| self.rate * (1.0 - SECOND_DECAY.powi(t)).sqrt() / (1.0 - FIRST_DECAY.powi(t));
        let rates: Vec<f64> = (1..=steps).map(|s| corrected((taken + s) as i32)).collect();
        for run in 0..lab.runs() {
            lab.session.write(&self.rates, run, &rates);
        }
    }
}
