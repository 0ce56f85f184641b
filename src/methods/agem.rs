//! A-GEM (Chaudhry et al., 2019): a step may not point against the memory.
//!
//! g the batch's gradient · g_ref the gradient of a batch of the memory.   g·g_ref < 0:  g ← g − (g·g_ref / g_ref·g_ref) g_ref

use super::{BatchStream, Lab, Learner, Method};
use crate::autodiff::{Tape, Var};
use crate::program::Program;
use crate::settings::{Setting, Settings};

/// Averaged gradient episodic memory.
pub struct Agem;

impl Method for Agem {
    fn name(&self) -> &'static str {
        "agem"
    }
    fn title(&self) -> &'static str {
        "A-GEM"
    }
    fn summary(&self) -> &'static str {
        "steps that do not point against the gradient of the memory"
    }
    fn reads(&self) -> &'static [Setting] {
        &[Setting::Rate, Setting::Memory, Setting::MemoryBatch]
    }
    fn paper_settings(&self, settings: &mut Settings) {
        // The released script says 10; Table 1 is what 256 give.
        settings.memory_batch = 256;
    }
    fn start(&self, lab: &mut Lab) -> Box<dyn Learner> {
        let stream = lab.stream("batch", lab.settings.steps(), lab.settings.batch);
        let largest = lab.settings.memory_batch.min(lab.capacity());
        let memory = lab.stream("memory", lab.settings.steps(), largest);
        let first = record(lab, &stream, None);
        Box::new(Work { stream, memory, first, later: None })
    }
}

/// The gradient `g` without its part against `reference`, where it has one.
pub fn project<'t>(g: Var<'t>, reference: Var<'t>) -> Var<'t> {
    let dot = (g * reference).total();
    // Where the memory's gradient vanishes there is nothing to point against.
    let share = (-dot).step() * dot / (reference.squared().total() + 1e-30);
    g - reference.scaled(share)
}

struct Work {
    stream: BatchStream,
    memory: BatchStream,
    /// The step of the first task, which has no memory.
    first: Program,
    /// The step for a number of examples of the memory.
    later: Option<(usize, Program)>,
}

/// Sizes of memory batches for which a step is compiled: their multiples, so that a growing memory needs few.
const SIZES: usize = 64;

fn record(lab: &Lab, stream: &BatchStream, memory: Option<(&BatchStream, usize)>) -> Program {
    let tape = Tape::named(if memory.is_some() { "training step" } else { "first task's step" });
    let theta = tape.load(&lab.theta);
    let batch = lab.batch(&tape, stream);
    let loss = lab.loss(theta, &batch);
    let mut g = tape.grad(loss, theta);
    if let Some((memory, size)) = memory {
        let remembered = lab.loss(theta, &lab.first_of_batch(&tape, memory, size));
        g = project(g, tape.grad(remembered, theta));
    }
    lab.update(theta, theta - g.scaled(lab.rate(&tape)), &batch);
    tape.assign_row(&lab.losses, loss);
    lab.session.compile(&tape)
}

impl Learner for Work {
    fn learn(&mut self, lab: &mut Lab, task: usize) {
        let steps = lab.settings.steps();
        let mut most = 0;
        for run in 0..lab.runs() {
            let batches = lab.draw(run, steps, self.memory.size());
            most = most.max(batches.iter().map(Vec::len).max().unwrap_or(0));
            lab.write_batches(&self.memory, run, &batches);
        }
        lab.feed(&self.stream, task, 0);
        if most == 0 {
            lab.session.run(&self.first, 0..steps);
        } else {
            let size = most.next_multiple_of(SIZES).min(self.memory.size());
            if self.later.as_ref().is_none_or(|(n, _)| *n != size) {
                self.later = Some((size, record(lab, &self.stream, Some((&self.memory, size)))));
            }
            let (_, program) = self.later.as_ref().expect("it was recorded");
            lab.session.run(program, 0..steps);
        }
        lab.end_task();
    }

    fn step(&self) -> &Program {
        self.later.as_ref().map_or(&self.first, |(_, program)| program)
    }
}
