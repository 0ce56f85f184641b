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
        let own = vec![vec![]; lab.runs()];
        Box::new(Work { sgd: Sgd::new(lab, 0), own })
    }
}

struct Work {
    sgd: Sgd,
    /// For each run, what the model of each task could do on its task.
    own: Vec<Vec<f64>>,
}

impl Learner for Work {
    fn learn(&mut self, lab: &mut Lab, task: usize) {
        self.sgd.learn(lab, task);
    }

    fn test(&mut self, lab: &mut Lab, task: usize) -> Vec<Vec<f64>> {
        let mut rows = lab.test();
        for (row, own) in rows.iter_mut().zip(&mut self.own) {
            own.push(row[task]);
            row[..=task].copy_from_slice(own);
        }
        rows
    }

    fn step(&self) -> &Program {
        self.sgd.step()
    }
}
