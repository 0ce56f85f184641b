//! Maximally Interfered Retrieval (Aljundi et al., 2019): replay what the coming step would harm most.
//!
//! θ' the parameters after a step on the batch alone. Of some candidates of the memory those ten are replayed
//! whose loss would rise most from θ to θ'; the step follows the sum of both means' gradients.

use super::{BatchStream, Lab, Learner, Method};
use crate::autodiff::{Stored, Tape, Var};
use crate::memory::Reservoir;
use crate::program::Program;
use crate::random::{Generator, Stream};
use crate::settings::Setting;

/// Experience replay of the most interfered.
pub struct Mir;

impl Method for Mir {
    fn name(&self) -> &'static str {
        "mir"
    }
    fn title(&self) -> &'static str {
        "MIR"
    }
    fn summary(&self) -> &'static str {
        "replay of those past examples that the coming step would harm most"
    }
    fn reads(&self) -> &'static [Setting] {
        &[Setting::Rate, Setting::Memory, Setting::MemoryBatch, Setting::Candidates]
    }
    fn start(&self, lab: &mut Lab) -> Box<dyn Learner> {
        Box::new(Work::new(lab))
    }
}

/// 1 for those `count` of the examples `present` whose loss rises most, else 0.
pub fn most_interfered<'t>(before: Var<'t>, after: Var<'t>, present: Var<'t>, count: usize) -> Var<'t> {
    // A place without an example comes last. Its rise is multiplied by 0 and not only outweighed, so that no order of
    // the sum loses the others'.
    let rise = (after - before) * present - (1.0 - present).step() * 1e30;
    let places = rise.elements();
    rise.reshape(&[1, places]).largest(count).reshape(&[places]) * present
}

struct Work {
    stream: BatchStream,
    candidates: BatchStream,
    /// What each replayed example weighs.
    share: Stored,
    first: Program,
    later: Program,
    memories: Vec<(Reservoir, Generator)>,
}

impl Work {
    fn new(lab: &mut Lab) -> Work {
        let (steps, replayed) = (lab.settings.steps(), lab.settings.memory_batch);
        let stream = lab.stream("batch", steps, lab.settings.batch);
        let candidates = lab.stream("candidates", steps, lab.settings.candidates);
        let share = lab.session.rows("share of a replayed example", steps, &[]);
        let memory = |run| (Reservoir::new(lab.capacity()), lab.generator(run, Stream::Memory, 0));
        let memories = (0..lab.runs()).map(memory).collect();
        let record = |replay: bool| {
            let tape = Tape::named(if replay { "training step" } else { "first task's step" });
            let (theta, rate) = (tape.load(&lab.theta), lab.rate(&tape));
            let batch = lab.batch(&tape, &stream);
            let loss = lab.loss(theta, &batch);
            let mut total = loss;
            if replay {
                let remembered = lab.batch(&tape, &candidates);
                let ahead = theta - tape.grad(loss, theta).scaled(rate);
                let (before, after) = (lab.losses_of(theta, &remembered), lab.losses_of(ahead, &remembered));
                let chosen = most_interfered(before, after, remembered.weights, replayed);
                total = total + (before * chosen).total() * tape.row(&share);
            }
            lab.update(theta, theta - tape.grad(total, theta).scaled(rate), &batch);
            tape.assign_row(&lab.losses, total);
            lab.session.compile(&tape)
        };
        let (first, later) = (record(false), record(true));
        Work { stream, candidates, share, first, later, memories }
    }
}

impl Learner for Work {
    fn learn(&mut self, lab: &mut Lab, task: usize) {
        for (run, (memory, draws)) in self.memories.iter_mut().enumerate() {
            let (mut batches, mut candidates) = (vec![], vec![]);
            for batch in lab.examples(run, task).chunks(lab.settings.batch) {
                candidates.push(memory.sample(draws, lab.settings.candidates, |e| (e.task as usize) < task));
                batch.iter().for_each(|&example| memory.push(draws, example));
                batches.push(batch.to_vec());
            }
            lab.write_batches(&self.stream, run, &batches);
            lab.write_examples(&self.candidates, run, &candidates);
            let share = |found: &Vec<_>| 1.0 / found.len().clamp(1, lab.settings.memory_batch) as f64;
            let shares: Vec<f64> = candidates.iter().map(share).collect();
            lab.session.write(&self.share, run, &shares);
        }
        let program = if task == 0 { &self.first } else { &self.later };
        lab.session.run(program, 0..lab.settings.steps());
    }

    fn step(&self) -> &Program {
        &self.later
    }
}
