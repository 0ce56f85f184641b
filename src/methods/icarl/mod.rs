//! iCaRL (Rebuffi et al., 2017): exemplars chosen by herding, distillation on them, and the nearest mean of
//! exemplars as the answer.
//!
//! φ the features, scaled to length 1 · μ a class's mean of them. After a task each class gets m exemplars, one
//! after another, so that their mean comes as near as can be to μ. A step is one on the cross-entropy of the
//! batch plus that of the predictions on exemplars with those of the last task's model. An image belongs to the
//! class whose exemplars' mean is nearest; where classes come again in later tasks, the mean is over all tasks.

mod exemplars;
mod herding;

pub use herding::herd;

use super::snapshot::Snapshot;
use super::{Answer, BatchStream, Lab, Learner, Method, Test, Tested};
use crate::autodiff::Tape;
use crate::program::Program;
use crate::settings::Setting;
use exemplars::Exemplars;
use herding::{Herding, unit_rows};

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
    fn reads(&self) -> &'static [Setting] {
        &[Setting::Rate, Setting::Memory, Setting::MemoryBatch]
    }
    fn start(&self, lab: &mut Lab) -> Box<dyn Learner> {
        Box::new(Work::new(lab))
    }
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
    embed: Program,
    means: Program,
}

impl Work {
    fn new(lab: &mut Lab) -> Work {
        let (steps, classes) = (lab.settings.steps(), lab.classes());
        let stream = lab.stream("batch", steps, lab.settings.batch);
        let last = Snapshot::new(lab, "of the last task");
        let exemplars = Exemplars::new(lab);
        let herding = Herding::new(lab, &exemplars.table);
        let first = record(lab, &stream, None);
        let later = record(lab, &stream, Some((&exemplars, &last)));

        let snapshot = Tape::named("copy the model");
        last.take(lab, &snapshot);

        // Step task · m + k, as the exemplars' rows.
        let width = lab.model.features();
        let (rows, of_task) = (exemplars.table.rows, lab.task_classes());
        let features = lab.session.rows("features of exemplars", rows, &[of_task, width]);
        let class_means = lab.session.state("means of exemplars", &[classes, width]);
        let embed = Tape::named("embed exemplars");
        let found = lab.features(embed.load(&lab.theta), embed.row(&exemplars.table));
        embed.assign_row(&features, unit_rows(found));
        let means = Tape::named("class means");
        let all = means.load(&features).reshape(&[rows * of_task, width]);
        means.assign(&class_means, unit_rows(means.load(&exemplars.shares).matmul(all)));

        let [snapshot, embed, means] = [&snapshot, &embed, &means].map(|tape| lab.session.compile(tape));
        let test = lab.compile_test(|tape, batches| {
            let features = |batch| lab.answer(tape.load(&lab.theta), batch).features;
            // The nearest of means of length 1 is the one in whose direction most of φ lies, however long φ is.
            let nearness = |batch| features(batch).matmul_transposed(tape.load(&class_means), false, true);
            batches.iter().map(nearness).map(Answer::of).collect()
        });
        Work { stream, first, later, exemplars, herding, snapshot, test, embed, means }
    }
}

fn record(lab: &Lab, stream: &BatchStream, past: Option<(&Exemplars, &Snapshot)>) -> Program {
    let tape = Tape::named(if past.is_some() { "training step" } else { "first task's step" });
    let theta = tape.load(&lab.theta);
    let batch = lab.batch(&tape, stream);
    let mut loss = lab.loss(theta, &batch);
    if let Some((exemplars, last)) = past {
        let kept = exemplars.batch(lab, &tape);
        let before = lab.forward_kept(tape.load(&last.theta), last.statistics.as_ref(), &kept).logits.softmax();
        let now = lab.forward(theta, &kept).logits.log_softmax();
        // The divergence from the last model's predictions, but for what does not depend on θ.
        loss = loss - ((before * now).sum(1) * kept.weights).total();
    }
    lab.update(theta, theta - tape.grad(loss, theta).scaled(lab.rate(&tape)), &batch);
    tape.assign_row(&lab.losses, loss);
    lab.session.compile(&tape)
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

    fn test(&mut self, lab: &mut Lab, task: usize) -> Option<Tested> {
        lab.session.run_independent(&self.embed, 0..(task + 1) * lab.settings.memory_per_class);
        lab.session.run(&self.means, 0..1);
        Some(lab.run_test(&self.test))
    }

    fn step(&self) -> &Program {
        &self.later
    }
}
