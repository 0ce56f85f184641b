//! ER-Ring (Chaudhry et al., 2019): SGD on the stream and a ring buffer.   θ ← θ − α ∇CE(B ∪ B_M)

use super::{BatchStream, Lab, Learner, Method};
use crate::autodiff::Tape;
use crate::program::Program;
use crate::settings::Setting;

/// Experience replay from a ring buffer.
pub struct ErRing;

impl Method for ErRing {
    fn name(&self) -> &'static str {
        "er"
    }
    fn title(&self) -> &'static str {
        "ER-Ring"
    }
    fn summary(&self) -> &'static str {
        "experience replay from a ring buffer"
    }
    fn reads(&self) -> &'static [Setting] {
        &[Setting::Rate, Setting::Memory, Setting::MemoryBatch]
    }
    fn start(&self, lab: &mut Lab) -> Box<dyn Learner> {
        let replayed = lab.settings.memory_batch;
        Box::new(Sgd::new(lab, replayed))
    }
}

/// SGD on each batch together with `replayed` examples from the memory.
pub struct Sgd {
    pub(super) stream: BatchStream,
    pub(super) step: Program,
    replayed: usize,
}

impl Sgd {
    /// Compiles the step.
    pub fn new(lab: &mut Lab, replayed: usize) -> Sgd {
        let stream = lab.stream("batch", lab.settings.steps(), lab.settings.batch + replayed);
        let tape = Tape::named("training step");
        let theta = tape.load(&lab.theta);
        let batch = lab.batch(&tape, &stream);
        let loss = lab.loss(theta, &batch);
        lab.update(theta, theta - tape.grad(loss, theta).scaled(lab.rate(&tape)), &batch);
        tape.assign_row(&lab.losses, loss);
        Sgd { step: lab.session.compile(&tape), stream, replayed }
    }
}

impl Learner for Sgd {
    fn learn(&mut self, lab: &mut Lab, task: usize) {
        lab.feed(&self.stream, task, self.replayed);
        lab.session.run(&self.step, 0..lab.settings.steps());
        lab.end_task();
    }

    fn step(&self) -> &Program {
        &self.step
    }
}
