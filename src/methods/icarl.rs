//! iCaRL (Rebuffi et al., 2017): exemplars chosen by herding, distillation on them, and the nearest mean of
//! exemplars as the answer.
//!
//! φ the features, scaled to length 1 · μ a class's mean of them. After a task each class gets m exemplars, one
//! after another, so that their mean comes as near as can be to μ. A step is one on the cross-entropy of the
//! batch plus that of the predictions on exemplars with those of the last task's model. An image belongs to the
//! class whose exemplars' mean is nearest; where classes come again in later tasks, the mean is over all tasks.

use super::{BatchStream, Lab, Learner, Method, Test};
use crate::autodiff::{Stored, Tape, Var};
use crate::program::Program;
use crate::random::{Generator, Stream};

/// Incremental classifier and representation learning.
pub struct Icarl;

impl Method for Icarl {
    fn name(&self) -> &'static str {
        "icarl"
    }
    fn title(&self) -> &'static str {
        "iCaRL"
    }
    fn summary(&self) -> &'static str {
        "exemplars by herding, distillation on them, nearest mean of exemplars"
    }
    fn start(&self, lab: &mut Lab) -> Box<dyn Learner> {
        Box::new(Work::new(lab))
    }
}

/// Each row of `[rows, width]` scaled to length 1; a row of zeros stays.
fn unit_rows(x: Var<'_>) -> Var<'_> {
    let width = x.shape()[1];
    x / (x.squared().sum(1) + 1e-12).sqrt().spread(1, width)
}

/// Which of the images `available` each class takes next, `[classes, images]` of 0 and 1: the one whose
/// features, beside those chosen before (`sum`, of which this will be the `1 / share`-th), bring their mean
/// nearest to the class's. Features `[images, width]` have length 1; `means` and `sum` are `[classes, width]`.
pub fn herd<'t>(features: Var<'t>, means: Var<'t>, sum: Var<'t>, available: Var<'t>, share: Var<'t>) -> Var<'t> {
    // ‖μ − (s + φ)/k‖² is smallest where (μ − s/k)·φ is largest, as all φ are equally long.
    let wanted = means - sum.scaled(share);
    let nearness = wanted.matmul_transposed(features, false, true);
    (nearness - (1.0 - available) * 1e9).largest(1) * available
}

struct Work {
    stream: BatchStream,
    first: Program,
    later: Program,
    exemplars: Exemplars,
    herding: Herding,
    /// Keeps the model for the next task's distillation.
    snapshot: Program,
    test: Test,
    means: Program,
}

/// Images and who they are: row `(task · m + k) · classes + class`.
struct Exemplars {
    table: Stored,
    /// Which of them a step looks at, and what each counts.
    chosen: Stored,
    weights: Stored,
    /// What each counts in its class's mean, `[classes, exemplars]`.
    shares: Stored,
    /// The rows of each run that hold an image.
    known: Vec<Vec<usize>>,
    draws: Vec<Generator>,
}

/// The choice of exemplars of a task.
struct Herding {
    task: BatchStream,
    /// `[classes, images]`: each image's share in its class's mean.
    shares: Stored,
    /// `[classes, images]`: 1 for a class's own.
    own: Stored,
    begin: Program,
    choose: Program,
}

impl Work {
    fn new(lab: &mut Lab) -> Work {
        let (steps, classes) = (lab.settings.steps(), lab.classes());
        let stream = lab.stream("batch", steps, lab.settings.batch);
        let last = lab.session.state("theta of the last task", &[lab.model.parameters()]);
        let exemplars = Exemplars::new(lab);
        let herding = Herding::new(lab, &exemplars.table);
        let first = record(lab, &stream, None);
        let later = record(lab, &stream, Some((&exemplars, &last)));

        let snapshot = Tape::new();
        snapshot.assign(&last, snapshot.load(&lab.theta) + 0.0);

        let class_means = lab.session.state("means of exemplars", &[classes, lab.model.features()]);
        let means = Tape::new();
        let images = exemplars.images(&means);
        let features = unit_rows(lab.model.forward(means.load(&lab.theta), images).0);
        means.assign(&class_means, unit_rows(means.load(&exemplars.shares).matmul(features)));

        let [snapshot, means] = [&snapshot, &means].map(|tape| lab.session.compile(tape));
        let test = lab.compile_test(|tape, batch| {
            let (features, _) = lab.model.forward_unmapped(tape.load(&lab.theta), batch.pictures, &batch.unmap);
            // The nearest of means of length 1 is the one in whose direction most of φ lies, however long φ is.
            features.matmul_transposed(tape.load(&class_means), false, true)
        });
        Work { stream, first, later, exemplars, herding, snapshot, test, means }
    }
}

fn record(lab: &Lab, stream: &BatchStream, past: Option<(&Exemplars, &Stored)>) -> Program {
    let tape = Tape::new();
    let theta = tape.load(&lab.theta);
    let mut loss = lab.loss(theta, &lab.batch(&tape, stream));
    if let Some((exemplars, last)) = past {
        let table = exemplars.images(&tape);
        let images = table.gather_rows(tape.row(&exemplars.chosen));
        let before = lab.model.logits(tape.load(last), images).softmax();
        let now = lab.model.logits(theta, images).log_softmax();
        // The divergence from the last model's predictions, but for what does not depend on θ.
        loss = loss - ((before * now).sum(1) * tape.row(&exemplars.weights)).total();
    }
    tape.assign(&lab.theta, theta - tape.grad(loss, theta).scaled(lab.rate(&tape)));
    tape.assign_row(&lab.losses, loss);
    lab.session.compile(&tape)
}

impl Exemplars {
    fn new(lab: &mut Lab) -> Exemplars {
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
    fn images<'t>(&self, tape: &'t Tape) -> Var<'t> {
        let [classes, pixels] = [self.table.shape[0], self.table.shape[1]];
        tape.load(&self.table).reshape(&[self.table.rows * classes, pixels])
    }

    /// Draws which exemplars each step of a task looks at.
    fn choose(&mut self, lab: &mut Lab) {
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
    fn add_task(&mut self, lab: &mut Lab, task: usize) {
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

impl Herding {
    fn new(lab: &mut Lab, table: &Stored) -> Herding {
        let (classes, images, width) = (lab.classes(), lab.settings.images_per_task, lab.model.features());
        let task = lab.stream("task images", 1, images);
        let m = lab.settings.memory_per_class;
        let s = &mut lab.session;
        let (shares, own) = (s.state("shares of images", &[classes, images]), s.state("own", &[classes, images]));
        let features = s.state("features", &[images, width]);
        let means = s.state("class means", &[classes, width]);
        let (sum, available) = (s.state("sum of chosen", &[classes, width]), s.state("available", &[classes, images]));
        let share = s.rows("share of the next", lab.settings.tasks * m, &[]);
        let counts: Vec<f64> = (0..lab.settings.tasks * m).map(|row| 1.0 / (row % m + 1) as f64).collect();
        (0..lab.runs()).for_each(|run| lab.session.write(&share, run, &counts));

        let begin = Tape::new();
        let pixels = lab.batch(&begin, &task).pixels;
        let found = unit_rows(lab.model.forward(begin.load(&lab.theta), pixels).0);
        begin.assign(&features, found);
        begin.assign(&means, begin.load(&shares).matmul(found));
        begin.assign(&sum, begin.constant(0.0, &sum.shape));
        begin.assign(&available, begin.load(&own) + 0.0);

        // Step task · m + k: the k-th exemplar of every class.
        let choose = Tape::new();
        let (left, so_far) = (choose.load(&available), choose.load(&sum));
        let phi = choose.load(&features);
        let taken = herd(phi, choose.load(&means), so_far, left, choose.row(&share));
        choose.assign(&sum, so_far + taken.matmul(phi));
        choose.assign(&available, left - taken);
        choose.assign_row(table, taken.matmul(lab.batch(&choose, &task).pixels));

        let [begin, choose] = [&begin, &choose].map(|tape| lab.session.compile(tape));
        Herding { task, shares, own, begin, choose }
    }

    fn run(&self, lab: &mut Lab, task: usize) {
        let (classes, m) = (lab.classes(), lab.settings.memory_per_class);
        for run in 0..lab.runs() {
            let examples = lab.examples(run, task);
            let mut own = vec![0.0; classes * examples.len()];
            for (i, example) in examples.iter().enumerate() {
                own[usize::from(example.label) * examples.len() + i] = 1.0;
            }
            let share = |row: &[f64]| {
                let count: f64 = row.iter().sum();
                row.iter().map(|x| x / count.max(1.0)).collect::<Vec<_>>()
            };
            let shares: Vec<f64> = own.chunks(examples.len()).flat_map(share).collect();
            lab.session.write(&self.shares, run, &shares);
            lab.session.write(&self.own, run, &own);
            lab.write_batches(&self.task, run, &[examples]);
        }
        lab.session.run(&self.begin, 0..1);
        lab.session.run(&self.choose, task * m..(task + 1) * m);
    }
}

impl Learner for Work {
    fn learn(&mut self, lab: &mut Lab, task: usize) {
        lab.write_task(&self.stream, task);
        self.exemplars.choose(lab);
        let program = if task == 0 { &self.first } else { &self.later };
        lab.session.run(program, 0..lab.settings.steps());
        self.herding.run(lab, task);
        self.exemplars.add_task(lab, task);
        lab.session.run(&self.snapshot, 0..1);
    }

    fn test(&mut self, lab: &mut Lab, _: usize) -> Vec<Vec<f64>> {
        lab.session.run(&self.means, 0..1);
        lab.run_test(&self.test)
    }

    fn step(&self) -> &Program {
        &self.later
    }
}
