//! Multitask, an oracle: all tasks' data at once, shuffled, in one pass (or `epochs` of them).
//!
//! There is no order of tasks to learn them in: everything is learned before the first test, and every row
//! of the accuracy matrix is the same, so that nothing is forgotten. All steps count as the first task's.

use super::er::Sgd;
use super::{Lab, Learner, Method, Tested};
use crate::memory::Example;
use crate::program::Program;
use crate::random::Stream;
use crate::settings::{Setting, Settings};

/// Joint training.
pub struct Multitask;

impl Method for Multitask {
    fn name(&self) -> &'static str {
        "multitask"
    }
    fn title(&self) -> &'static str {
        "Multitask"
    }
    fn summary(&self) -> &'static str {
        "oracle: the data of all tasks, shuffled"
    }
    fn reads(&self) -> &'static [Setting] {
        &[Setting::Rate, Setting::Epochs]
    }
    fn start(&self, lab: &mut Lab) -> Box<dyn Learner> {
        lab.room_for_losses(steps(&lab.settings));
        Box::new(Work { sgd: Sgd::new(lab, 0) })
    }
}

struct Work {
    sgd: Sgd,
}

/// Steps of all epochs.
fn steps(settings: &Settings) -> usize {
    settings.epochs * (settings.tasks * settings.images_per_task).div_ceil(settings.batch)
}

/// All tasks' examples, shuffled anew in each epoch, in batches.
fn batches(lab: &Lab, run: usize) -> Vec<Vec<Example>> {
    let settings = &lab.settings;
    let all: Vec<Example> = (0..settings.tasks).flat_map(|task| lab.examples(run, task)).collect();
    let epoch = |epoch: usize| {
        let mut shuffled = all.clone();
        lab.generator(run, Stream::Order, epoch).shuffle(&mut shuffled);
        shuffled
    };
    (0..settings.epochs)
        .flat_map(|e| epoch(e).chunks(settings.batch).map(<[Example]>::to_vec).collect::<Vec<_>>())
        .collect()
}

impl Learner for Work {
    fn learn(&mut self, lab: &mut Lab, task: usize) {
        if task > 0 {
            return;
        }
        let batches: Vec<Vec<Vec<Example>>> = (0..lab.runs()).map(|run| batches(lab, run)).collect();
        // As many at a time as the stream holds, a task's worth.
        for first in (0..batches[0].len()).step_by(self.sgd.stream.rows()) {
            let end = batches[0].len().min(first + self.sgd.stream.rows());
            for (run, batches) in batches.iter().enumerate() {
                lab.write_batches(&self.sgd.stream, run, &batches[first..end]);
            }
            // Its rows come round again at `first`; those of the losses do not.
            lab.session.run(&self.sgd.step, first..end);
        }
    }

    fn losses(&self, lab: &Lab, task: usize) -> Vec<usize> {
        if task == 0 { (0..steps(&lab.settings)).collect() } else { vec![] }
    }

    /// Parameters do not change after the first.
    fn test(&mut self, lab: &mut Lab, task: usize) -> Option<Tested> {
        (task == 0).then(|| lab.hand_over_test())
    }

    fn step(&self) -> &Program {
        self.sgd.step()
    }
}
