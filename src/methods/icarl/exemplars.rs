//! The images that are kept of past tasks.

use crate::autodiff::{Stored, Tape, Var};
use crate::methods::Lab;
use crate::random::{Generator, Stream};

/// Images and who they are: row `(task · m + k) · classes + class`.
pub(super) struct Exemplars {
    pub table: Stored,
    /// Which of them a step looks at, and what each counts.
    pub chosen: Stored,
    pub weights: Stored,
    /// What each counts in its class's mean, `[classes, exemplars]`.
    pub shares: Stored,
    /// The rows of each run that hold an image.
    known: Vec<Vec<usize>>,
    draws: Vec<Generator>,
}

impl Exemplars {
    pub fn new(lab: &mut Lab) -> Exemplars {
        let (steps, classes, size) = (lab.settings.steps(), lab.classes(), lab.settings.memory_batch);
        let (rows, pixels) = (lab.settings.tasks * lab.settings.memory_per_class, lab.model.units[0]);
        let s = &mut lab.session;
        let table = s.rows("exemplars", rows, &[classes, pixels]);
        let chosen = s.indices("chosen exemplars", steps, &[size]);
        let weights = s.rows("exemplar weights", steps, &[size]);
        let shares = s.state("shares of exemplars", &[classes, rows * classes]);
        let draws = (0..lab.runs()).map(|run| lab.generator(run, Stream::Memory, 0)).collect();
        Exemplars { table, chosen, weights, shares, known: vec![vec![]; lab.runs()], draws }
    }

    /// All of them, `[exemplars, pixels]`.
    pub fn images<'t>(&self, tape: &'t Tape) -> Var<'t> {
        let [classes, pixels] = [self.table.shape[0], self.table.shape[1]];
        tape.load(&self.table).reshape(&[self.table.rows * classes, pixels])
    }

    /// Draws which exemplars each step of a task looks at.
    pub fn choose(&mut self, lab: &mut Lab) {
        let (steps, size) = (lab.settings.steps(), self.chosen.shape[0]);
        for (run, (known, draws)) in self.known.iter().zip(&mut self.draws).enumerate() {
            let count = size.min(known.len());
            let (mut rows, mut weights) = (vec![], vec![]);
            for _ in 0..steps {
                let drawn = draws.sample_without_replacement(count, known.len());
                rows.extend(drawn.into_iter().map(|i| known[i] as u32).chain(std::iter::repeat(0)).take(size));
                weights.extend((0..size).map(|i| if i < count { 1.0 / count as f64 } else { 0.0 }));
            }
            lab.session.write_index(&self.chosen, run, &rows);
            lab.session.write(&self.weights, run, &weights);
        }
    }

    /// A task has been herded: its rows are known from now on, as many a class as it has images.
    pub fn add_task(&mut self, lab: &mut Lab, task: usize) {
        let (classes, m) = (lab.classes(), lab.settings.memory_per_class);
        for (run, known) in self.known.iter_mut().enumerate() {
            let mut images = vec![0; classes];
            lab.examples(run, task).iter().for_each(|e| images[usize::from(e.label)] += 1);
            for k in 0..m {
                let row = |class: usize| (task * m + k) * classes + class;
                known.extend((0..classes).filter(|&class| k < images[class]).map(row));
            }
            let mut shares = vec![0.0; self.shares.shape.iter().product()];
            let width = self.shares.shape[1];
            for class in 0..classes {
                let of_class: Vec<usize> = known.iter().copied().filter(|row| row % classes == class).collect();
                of_class.iter().for_each(|row| shares[class * width + row] = 1.0 / of_class.len() as f64);
            }
            lab.session.write(&self.shares, run, &shares);
        }
    }
}
