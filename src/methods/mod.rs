//! The continual-learning methods, one file each, and their registry.

mod er;
mod finetune;
pub mod hal;
mod lab;

pub use lab::{Batch, BatchStream, Lab};

use crate::program::Program;

/// A continual-learning method.
pub trait Method: Sync {
    /// As the command line has it.
    fn name(&self) -> &'static str;
    /// As the paper writes it.
    fn title(&self) -> &'static str;
    /// One line.
    fn summary(&self) -> &'static str;
    /// Makes its buffers and programs for a set of runs.
    fn start(&self, lab: &mut Lab) -> Box<dyn Learner>;
}

/// A method at work on a set of runs.
pub trait Learner {
    /// Learns task `task`, seen once. Hands work to the device and does not wait for it.
    fn learn(&mut self, lab: &mut Lab, task: usize);

    /// The program of a training step, as it was last used.
    fn step(&self) -> &Program;
}

/// All methods, in the order in which tables show them.
pub fn registry() -> &'static [&'static dyn Method] {
    &[&finetune::Finetune, &er::ErRing, &hal::Hal]
}

/// The method of that name.
pub fn find(name: &str) -> Option<&'static dyn Method> {
    registry().iter().copied().find(|m| m.name() == name)
}
