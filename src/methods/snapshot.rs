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
        let [snapshot] = Snapshot::abreast(lab, name);
        snapshot
    }

    /// Room for several that lie side by side: what does the same with each of them is one launch.
    pub fn abreast<const N: usize>(lab: &mut Lab, name: &str) -> [Snapshot; N] {
        let (parameters, averages) = (lab.model.parameters(), lab.model.statistics());
        let mut states = |what: &str, length: usize| lab.session.states_abreast(&format!("{what} {name}"), &[length]);
        let thetas: [Stored; N] = states("theta", parameters);
        let statistics: Option<[Stored; N]> = (averages > 0).then(|| states("running averages of theta", averages));
        std::array::from_fn(|n| Snapshot {
            theta: thetas[n].clone(),
            statistics: statistics.as_ref().map(|statistics| statistics[n].clone()),
        })
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
