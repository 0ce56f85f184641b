//! Clone-and-finetune, an oracle: one model a task, started from the last task's.
//!
//! The models are what Finetune is after each task, so nothing is trained that Finetune would not train;
//! only the test differs: a task that has been learned is tested with the model that was its own.

use super::er::Sgd;
use super::{Lab, Learner, Method};
use crate::program::Program;

/// A model of its own for every task.
pub struct CloneAndFinetune;

impl Method for CloneAndFinetune {
    fn name(&self) -> &'static str {
        "clone"
    }
    fn title(&self) -> &'static str {
        "Clone-and-finetune"
    }
    fn summary(&self) -> &'static str {
        "oracle: a model of its own for every task, started from the last task's"
    }
    fn start(&self, lab: &mut Lab) -> Box<dyn Learner> {
        Box::new(Work { sgd: Sgd::new(lab, 0) })
    }
}

struct Work {
    sgd: Sgd,
}

impl Learner for Work {
    fn learn(&mut self, lab: &mut Lab, task: usize) {
        self.sgd.learn(lab, task);
    }

    /// Each task that came before is as its own model, which is kept, was found to be on it.
    fn row(&self, mut found: Vec<f64>, before: &[Vec<f64>]) -> Vec<f64> {
        for (task, row) in before.iter().enumerate() {
            found[task] = row[task];
        }
        found
    }

    fn step(&self) -> &Program {
        self.sgd.step()
    }
}
