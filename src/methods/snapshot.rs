//! Models beside the one that is trained: parameters, and the running averages that belong to them.

use super::{Lab, Learned};
use crate::autodiff::{Stored, Tape};
use crate::program::Session;

/// Where such a model is kept.
pub(super) struct Snapshot {
    pub theta: Stored,
    pub statistics: Option<Stored>,
}

impl Snapshot {
    /// Room for one, of every run.
    pub fn new(lab: &mut Lab, name: &str) -> Snapshot {
        let (parameters, averages) = (lab.model.parameters(), lab.model.statistics());
        let mut state = |what: &str, length: usize| lab.session.state(&format!("{what} {name}"), &[length]);
        Snapshot {
            theta: state("theta", parameters),
            statistics: (averages > 0).then(|| state("running averages of theta", averages)),
        }
    }

    /// Records that it takes what the trained model is.
    pub fn take(&self, lab: &Lab, tape: &Tape) {
        tape.assign(&self.theta, tape.load(&lab.theta));
        if let Some((to, from)) = self.statistics.as_ref().zip(lab.statistics.as_ref()) {
            tape.assign(to, tape.load(from));
        }
    }

    /// Writes what is known of a run.
    pub fn write(&self, session: &mut Session, run: usize, learned: &Learned) {
        session.write(&self.theta, run, &learned.theta);
        if let Some(statistics) = &self.statistics {
            session.write(statistics, run, &learned.statistics);
        }
    }
}
