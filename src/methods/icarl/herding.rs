//! The choice of exemplars of a task.

use crate::autodiff::{Stored, Tape, Var};
use crate::methods::{BatchStream, Lab, chunk};
use crate::program::Program;

/// Each row of `[rows, width]` scaled to length 1; a row of zeros stays.
pub(super) fn unit_rows(x: Var<'_>) -> Var<'_> {
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

/// Buffers and programs of the choice.
pub(super) struct Herding {
    /// The task's images: in one row, and a part of them a row.
    task: BatchStream,
    parts: BatchStream,
    /// `[classes, images]`: each image's share in its class's mean.
    shares: Stored,
    /// `[classes, images]`: 1 for a class's own.
    own: Stored,
    embed: Program,
    begin: Program,
    choose: Program,
}

impl Herding {
    pub fn new(lab: &mut Lab, table: &Stored) -> Herding {
        let (classes, images, width) = (lab.task_classes(), lab.settings.images_per_task, lab.model.features());
        let part = chunk(images, lab.model.at_a_time());
        let task = lab.stream("task images", 1, images);
        let parts = lab.stream("parts of the task's images", images / part, part);
        let m = lab.settings.memory_per_class;
        let s = &mut lab.session;
        let (shares, own) = (s.state("shares of images", &[classes, images]), s.state("own", &[classes, images]));
        let features = s.rows("features", images / part, &[part, width]);
        let means = s.state("class means", &[classes, width]);
        let (sum, available) = (s.state("sum of chosen", &[classes, width]), s.state("available", &[classes, images]));
        let share = s.rows("share of the next", lab.settings.tasks * m, &[]);
        let counts: Vec<f64> = (0..lab.settings.tasks * m).map(|row| 1.0 / (row % m + 1) as f64).collect();
        (0..lab.runs()).for_each(|run| lab.session.write(&share, run, &counts));

        let embed = Tape::named("herding: embed");
        let images_of_part = lab.batch(&embed, &parts);
        let found = lab.forward_kept(embed.load(&lab.theta), lab.statistics.as_ref(), &images_of_part).features;
        embed.assign_row(&features, unit_rows(found));

        let begin = Tape::named("herding: begin");
        let all = begin.load(&features).reshape(&[images, width]);
        begin.assign(&means, begin.load(&shares).matmul(all));
        begin.assign(&sum, begin.constant(0.0, &sum.shape));
        begin.assign(&available, begin.load(&own) + 0.0);

        // Step task · m + k: the k-th exemplar of every class.
        let choose = Tape::named("herding: choose");
        let (left, so_far) = (choose.load(&available), choose.load(&sum));
        let phi = choose.load(&features).reshape(&[images, width]);
        let taken = herd(phi, choose.load(&means), so_far, left, choose.row(&share));
        choose.assign(&sum, so_far + taken.matmul(phi));
        choose.assign(&available, left - taken);
        choose.assign_row(table, taken.matmul(lab.batch(&choose, &task).pixels));

        let [embed, begin, choose] = [&embed, &begin, &choose].map(|tape| lab.session.compile(tape));
        Herding { task, parts, shares, own, embed, begin, choose }
    }

    pub fn run(&self, lab: &mut Lab, task: usize) {
        let (classes, m) = (lab.task_classes(), lab.settings.memory_per_class);
        for run in 0..lab.runs() {
            let examples = lab.examples(run, task);
            let mut own = vec![0.0; classes * examples.len()];
            for (i, example) in examples.iter().enumerate() {
                own[lab.place_of(run, example) * examples.len() + i] = 1.0;
            }
            let share = |row: &[f64]| {
                let count: f64 = row.iter().sum();
                row.iter().map(|x| x / count.max(1.0)).collect::<Vec<_>>()
            };
            let shares: Vec<f64> = own.chunks(examples.len()).flat_map(share).collect();
            lab.session.write(&self.shares, run, &shares);
            lab.session.write(&self.own, run, &own);
            let parts: Vec<_> = examples.chunks(self.parts.size()).map(<[_]>::to_vec).collect();
            lab.write_batches(&self.parts, run, &parts);
            lab.write_batches(&self.task, run, &[examples]);
        }
        lab.session.run_independent(&self.embed, 0..self.parts.rows());
        lab.session.run(&self.begin, 0..1);
        lab.session.run(&self.choose, task * m..(task + 1) * m);
    }
}
