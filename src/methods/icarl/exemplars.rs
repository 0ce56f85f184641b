//! The images that are kept of past tasks.

use crate::autodiff::{Stored, Tape};
use crate::methods::{Batch, Lab};
use crate::random::{Generator, Stream};

/// Images as the model sees them, and who they are: number `(task · m + k) · classes + class`, where `class` counts the
/// classes of the task.
pub(super) struct Exemplars {
    /// A row for each task and k.
    pub table: Stored,
    /// Which of them a step looks at, and what each counts.
    chosen: Stored,
    tasks: Stored,
    labels: Stored,
    weights: Stored,
    /// What each counts in its class's mean, `[classes, exemplars]`.
    pub shares: Stored,
    /// The numbers of each run's exemplars.
    known: Vec<Vec<usize>>,
    draws: Vec<Generator>,
}

impl Exemplars {
    pub fn new(lab: &mut Lab) -> Exemplars {
        let (steps, of_task, size) = (lab.settings.steps(), lab.task_classes(), lab.settings.memory_batch);
        let (rows, classes) = (lab.settings.tasks * lab.settings.memory_per_class, lab.classes());
        let pixels = lab.model.inputs();
        let s = &mut lab.session;
        let table = s.rows("exemplars", rows, &[of_task, pixels]);
        let mut numbers = |name: &str| s.indices(name, steps, &[size]);
        let (chosen, tasks, labels) =
            (numbers("chosen exemplars"), numbers("tasks of exemplars"), numbers("classes of exemplars"));
        let weights = s.rows("exemplar weights", steps, &[size]);
        let shares = s.state("shares of exemplars", &[classes, rows * of_task]);
        let draws = (0..lab.runs()).map(|run| lab.generator(run, Stream::Memory, 0)).collect();
        Exemplars { table, chosen, tasks, labels, weights, shares, known: vec![vec![]; lab.runs()], draws }
    }

    /// Those that a step looks at.
    pub fn batch<'t>(&self, lab: &Lab, tape: &'t Tape) -> Batch<'t> {
        let [of_task, pixels] = [self.table.shape[0], self.table.shape[1]];
        let all = tape.load(&self.table).reshape(&[self.table.rows * of_task, pixels]);
        Batch {
            pixels: all.gather_rows(tape.row(&self.chosen)),
            labels: tape.row(&self.labels),
            weights: tape.row(&self.weights),
            mask: lab.mask(tape, tape.row(&self.tasks)),
        }
    }

    /// Task and class of an exemplar.
    fn identity(lab: &Lab, run: usize, number: usize) -> (u32, u32) {
        let (of_task, m) = (lab.task_classes(), lab.settings.memory_per_class);
        let task = number / of_task / m;
        (task as u32, lab.classes_of(run, task)[number % of_task])
    }

    /// Draws which exemplars each step of a task looks at.
    pub fn choose(&mut self, lab: &mut Lab) {
        let (steps, size) = (lab.settings.steps(), self.chosen.shape[0]);
        for (run, (known, draws)) in self.known.iter().zip(&mut self.draws).enumerate() {
            let count = size.min(known.len());
            let (mut numbers, mut weights) = (vec![], vec![]);
            for _ in 0..steps {
                let drawn = draws.sample_without_replacement(count, known.len());
                numbers.extend(drawn.into_iter().map(|i| known[i]).chain(std::iter::repeat(0)).take(size));
                weights.extend((0..size).map(|i| if i < count { 1.0 / count as f64 } else { 0.0 }));
            }
            let (tasks, labels): (Vec<u32>, Vec<u32>) =
                numbers.iter().map(|number| Exemplars::identity(lab, run, *number)).unzip();
            let numbers: Vec<u32> = numbers.into_iter().map(|number| number as u32).collect();
            lab.session.write_index(&self.chosen, run, &numbers);
            lab.session.write_index(&self.tasks, run, &tasks);
            lab.session.write_index(&self.labels, run, &labels);
            lab.session.write(&self.weights, run, &weights);
        }
    }

    /// A task has been herded: its exemplars are known from now on, as many a class as it has images.
    pub fn add_task(&mut self, lab: &mut Lab, task: usize) {
        let (of_task, m) = (lab.task_classes(), lab.settings.memory_per_class);
        for (run, known) in self.known.iter_mut().enumerate() {
            let examples = lab.examples(run, task);
            let of = |class: u32| examples.iter().filter(|e| u32::from(e.label) == class).count();
            let images: Vec<usize> = lab.classes_of(run, task).iter().map(|&class| of(class)).collect();
            for k in 0..m {
                let number = |class: usize| (task * m + k) * of_task + class;
                known.extend((0..of_task).filter(|&class| k < images[class]).map(number));
            }
            let mut shares = vec![0.0; self.shares.shape.iter().product()];
            let width = self.shares.shape[1];
            for class in 0..lab.classes() {
                let own = |number: &usize| Exemplars::identity(lab, run, *number).1 as usize == class;
                let of_class: Vec<usize> = known.iter().copied().filter(own).collect();
                of_class.iter().for_each(|number| shares[class * width + number] = 1.0 / of_class.len() as f64);
            }
            lab.session.write(&self.shares, run, &shares);
        }
    }
}
