//! Meta-Experience Replay (Riemer et al., 2019), in the form that the paper runs.
//!
//! θ theta · θ₀ where the batch began · α rate · s multiplier · β interpolation
//!
//! Up to ten examples of a reservoir, one SGD step each; one step on the whole current batch with rate α·s;
//! then only a part of the way: θ ← θ₀ + β (θ − θ₀). By a Taylor expansion this favours steps whose gradients
//! agree.

use super::{Batch, BatchStream, Lab, Learner, Method, RATES};
use crate::autodiff::{Tape, Var};
use crate::memory::{Example, Reservoir};
use crate::program::Program;
use crate::random::{Generator, Stream};
use crate::settings::{Knob, Setting, Settings};

/// Meta-experience replay.
pub struct Mer;

impl Method for Mer {
    fn name(&self) -> &'static str {
        "mer"
    }
    fn title(&self) -> &'static str {
        "MER"
    }
    fn summary(&self) -> &'static str {
        "single-example steps on a reservoir, of which a batch keeps a part"
    }
    fn reads(&self) -> &'static [Setting] {
        &[Setting::Rate, Setting::Memory, Setting::MemoryBatch, Setting::Interpolation, Setting::Multiplier]
    }
    fn paper_settings(&self, settings: &mut Settings) {
        settings.rate = 0.03;
    }
    fn grid(&self) -> Vec<(Knob, &'static [f64])> {
        vec![
            (Knob::Rate, &RATES),
            (Knob::Interpolation, &[0.01, 0.03, 0.1, 0.3, 1.0]),
            (Knob::Multiplier, &[1.0, 2.0, 5.0, 10.0]),
        ]
    }
    fn start(&self, lab: &mut Lab) -> Box<dyn Learner> {
        Box::new(Work::new(lab))
    }
}

/// The examples of a batch, one after another, as batches of one.
fn singly<'t>(batch: &Batch<'t>) -> Vec<Batch<'t>> {
    let [rows, pixels] = [batch.pixels.shape()[0], batch.pixels.shape()[1]];
    let one = |i: usize| Batch {
        pixels: batch.pixels.slice(i * pixels, &[1, pixels]),
        labels: batch.labels.slice(i, &[1]),
        weights: batch.weights.slice(i, &[1]),
        mask: batch.mask.map(|mask| mask.slice(i * mask.shape()[1], &[1, mask.shape()[1]])),
    };
    (0..rows).map(one).collect()
}

/// Where the steps on `replayed`, one example at a time, and then on `batch` lead from `theta`.
fn inner_loop<'t>(lab: &Lab, theta: Var<'t>, replayed: &Batch<'t>, batch: &Batch<'t>) -> Var<'t> {
    let tape = theta.tape();
    let rate = lab.rate(tape);
    let descend = |at: Var<'t>, on: &Batch<'t>, rate: Var<'t>| at - tape.grad(lab.loss(at, on), at).scaled(rate);
    let at = singly(replayed).iter().fold(theta, |at, example| descend(at, example, rate));
    descend(at, batch, rate * lab.knob(tape, Knob::Multiplier))
}

struct Work {
    stream: BatchStream,
    replay: BatchStream,
    step: Program,
    memories: Vec<(Reservoir, Generator)>,
}

impl Work {
    fn new(lab: &mut Lab) -> Work {
        let stream = lab.stream("batch", lab.settings.steps(), lab.settings.batch);
        let replay = lab.stream("replay", lab.settings.steps(), lab.settings.memory_batch);
        let memory = |run| (Reservoir::new(lab.capacity()), lab.generator(run, Stream::Memory, 0));
        let memories = (0..lab.runs()).map(memory).collect();

        let tape = Tape::named("training step");
        let theta = tape.load(&lab.theta);
        let batch = lab.batch(&tape, &stream);
        let there = inner_loop(lab, theta, &lab.batch(&tape, &replay), &batch);
        lab.update(theta, theta + (there - theta).scaled(lab.knob(&tape, Knob::Interpolation)), &batch);
        tape.assign_row(&lab.losses, lab.loss(theta, &batch));
        Work { step: lab.session.compile(&tape), stream, replay, memories }
    }
}

impl Learner for Work {
    fn learn(&mut self, lab: &mut Lab, task: usize) {
        for (run, (memory, draws)) in self.memories.iter_mut().enumerate() {
            let (mut batches, mut replayed) = (vec![], vec![]);
            for batch in lab.examples(run, task).chunks(lab.settings.batch) {
                replayed.push(memory.sample(draws, lab.settings.memory_batch, |_| true));
                batch.iter().for_each(|&example: &Example| memory.push(draws, example));
                batches.push(batch.to_vec());
            }
            lab.write_batches(&self.stream, run, &batches);
            // A place without an example takes a step of length zero.
            lab.write_examples(&self.replay, run, &replayed);
        }
        lab.session.run(&self.step, 0..lab.settings.steps());
    }

    fn step(&self) -> &Program {
        &self.step
    }
}
