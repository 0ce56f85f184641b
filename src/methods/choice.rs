//! Which images of a table each step looks at: HAL's anchors, iCaRL's exemplars.
//!
//! A table has the images of a task side by side, in which the task's classes take turns.

use super::{Batch, Lab};
use crate::autodiff::{Stored, Tape};

/// Numbers into a table, and what they stand for: a row a step.
pub(super) struct Choice {
    numbers: Stored,
    tasks: Stored,
    labels: Stored,
    weights: Stored,
}

/// Task and class of an image, where a table has `of_task` of a task.
pub(super) fn identity(lab: &Lab, run: usize, number: usize, of_task: usize) -> (usize, u32) {
    let task = number / of_task;
    (task, lab.classes_of(run, task)[number % lab.task_classes()])
}

impl Choice {
    /// Room for `size` images a step.
    pub fn new(lab: &mut Lab, name: &str, size: usize) -> Choice {
        let steps = lab.settings.steps();
        let s = &mut lab.session;
        let mut indices = |what: &str| s.indices(&format!("{what} {name}"), steps, &[size]);
        let (numbers, tasks, labels) = (indices("chosen"), indices("tasks of chosen"), indices("classes of chosen"));
        Choice { numbers, tasks, labels, weights: s.rows(&format!("weights of chosen {name}"), steps, &[size]) }
    }

    /// Images a step.
    pub fn size(&self) -> usize {
        self.numbers.shape[0]
    }

    /// Writes a run's, step after step.
    pub fn write(&self, lab: &mut Lab, run: usize, numbers: &[usize], weights: &[f64], of_task: usize) {
        let (tasks, labels): (Vec<u32>, Vec<u32>) = numbers
            .iter()
            .map(|&number| identity(lab, run, number, of_task))
            .map(|(task, class)| (task as u32, class))
            .unzip();
        let numbers: Vec<u32> = numbers.iter().map(|&number| number as u32).collect();
        lab.session.write_index(&self.numbers, run, &numbers);
        lab.session.write_index(&self.tasks, run, &tasks);
        lab.session.write_index(&self.labels, run, &labels);
        lab.session.write(&self.weights, run, weights);
    }

    /// The first `count` images of a table that a step looks at.
    pub fn batch<'t>(&self, lab: &Lab, tape: &'t Tape, table: &Stored, count: usize) -> Batch<'t> {
        let first = |stored: &Stored| tape.row(stored).slice(0, &[count]);
        let (all, pixels) = (tape.load(table), lab.model.inputs());
        let images = all.reshape(&[all.elements() / pixels, pixels]);
        Batch {
            pixels: images.gather_rows(first(&self.numbers)),
            labels: first(&self.labels),
            weights: first(&self.weights),
            mask: lab.mask(tape, first(&self.tasks)),
        }
    }
}
