//! The images that are kept of past tasks.

use crate::autodiff::{Stored, Tape};
use crate::methods::choice::{Choice, identity};
use crate::methods::{Batch, Lab};
use crate::random::{Generator, Stream};

/// Images as the model sees them, and who they are: number `(task · m + k) · classes + class`, where `class` counts the
/// classes of the task.
pub(super) struct Exemplars {
    /// A row for each task and k.
    pub table: Stored,
    /// Which of them a step looks at, and what each counts.
    chosen: Choice,
    /// What each counts in its class's mean, `[classes, exemplars]`.
    pub shares: Stored,
    /// The numbers of each run's exemplars.
    known: Vec<Vec<usize>>,
    draws: Vec<Generator>,
}

/// Exemplars of a task.
fn of_task(lab: &Lab) -> usize {
    lab.settings.memory_per_class * lab.task_classes()
}

impl Exemplars {
    pub fn new(lab: &mut Lab) -> Exemplars {
        let of_task = lab.task_classes();
        let (rows, classes) = (lab.settings.tasks * lab.settings.memory_per_class, lab.classes());
        let pixels = lab.model.inputs();
        let s = &mut lab.session;
        let table = s.rows("exemplars", rows, &[of_task, pixels]);
        let shares = s.state("shares of exemplars", &[classes, rows * of_task]);
        let draws = (0..lab.runs()).map(|run| lab.generator(run, Stream::Memory, 0)).collect();
        let chosen = Choice::new(lab, "exemplars", lab.settings.memory_batch);
        Exemplars { table, chosen, shares, known: vec![vec![]; lab.runs()], draws }
    }

    /// Those that a step looks at.
    pub fn batch<'t>(&self, lab: &Lab, tape: &'t Tape) -> Batch<'t> {
        self.chosen.batch(lab, tape, &self.table, self.chosen.size())
    }

    /// Draws which exemplars each step of a task looks at.
    pub fn choose(&mut self, lab: &mut Lab) {
        let (steps, size, of_task) = (lab.settings.steps(), self.chosen.size(), of_task(lab));
        for (run, (known, draws)) in self.known.iter().zip(&mut self.draws).enumerate() {
            let count = size.min(known.len());
            let (mut numbers, mut weights) = (vec![], vec![]);
            for _ in 0..steps {
                let drawn = draws.sample_without_replacement(count, known.len());
                numbers.extend(drawn.into_iter().map(|i| known[i]).chain(std::iter::repeat(0)).take(size));
                weights.extend((0..size).map(|i| if i < count { 1.0 / count as f64 } else { 0.0 }));
            }
            self.chosen.write(lab, run, &numbers, &weights, of_task);
        }
    }

    /// A task has been herded: its exemplars are known from now on, as many a class as it has images.
    pub fn add_task(&mut self, lab: &mut Lab, task: usize) {
        let (classes, m) = (lab.task_classes(), lab.settings.memory_per_class);
        for (run, known) in self.known.iter_mut().enumerate() {
            let examples = lab.examples(run, task);
            let of = |class: u32| examples.iter().filter(|e| u32::from(e.label) == class).count();
            let images: Vec<usize> = lab.classes_of(run, task).iter().map(|&class| of(class)).collect();
            for k in 0..m {
                let number = |class: usize| (task * m + k) * classes + class;
                known.extend((0..classes).filter(|&class| k < images[class]).map(number));
            }
            let mut shares = vec![0.0; self.shares.shape.iter().product()];
            let width = self.shares.shape[1];
            for class in 0..lab.classes() {
                let own = |number: &usize| identity(lab, run, *number, of_task(lab)).1 as usize == class;
                let of_class: Vec<usize> = known.iter().copied().filter(own).collect();
                of_class.iter().for_each(|number| shares[class * width + number] = 1.0 / of_class.len() as f64);
            }
            lab.session.write(&self.shares, run, &shares);
        }
    }
}
