//! The continual-learning methods, one file each, and their registry.

mod adam;
pub mod agem;
mod batch;
mod choice;
mod clone;
mod er;
pub mod ewc;
mod finetune;
pub mod hal;
pub mod icarl;
mod lab;
mod mask;
mod mer;
pub mod mir;
mod multitask;
mod snapshot;
mod test;
pub mod vcl;

pub use batch::{Batch, BatchStream};
pub use lab::{Lab, Learned};
pub use test::{Answer, Test, Tested};
pub(crate) use test::{PARAMETERS_NOT_FINITE, can_be_found};

use crate::autodiff::Stored;
use crate::data::benchmarks::Benchmark;
use crate::nn::Model;
use crate::program::Program;
use crate::settings::{Knob, Setting, Settings};

/// A continual-learning method.
pub trait Method: Sync {
    /// As the command line has it.
    fn name(&self) -> &'static str;
    /// As the paper writes it.
    fn title(&self) -> &'static str;
    /// One line.
    fn summary(&self) -> &'static str;
    /// Turns the benchmark's usual values into the paper's for this method, where they differ (Appendix C).
    fn paper_settings(&self, _: &mut Settings) {}
    /// Whether it can train this model.
    fn trains(&self, _: &Model) -> bool {
        true
    }
    /// The settings that it reads beside the benchmark's sizes.
    fn reads(&self) -> &'static [Setting] {
        &[Setting::Rate]
    }
    /// Why one of the settings that it reads has no effect together with others, or on this model; none if it has one.
    fn ignores(&self, _: Setting, _: &Settings, _: &Model) -> Option<&'static str> {
        None
    }
    /// The values of Appendix C among which its hyper-parameters are chosen.
    fn grid(&self) -> Vec<(Knob, &'static [f64])> {
        vec![(Knob::Rate, &RATES)]
    }
    /// Makes its buffers and programs for a set of runs.
    fn start(&self, lab: &mut Lab) -> Box<dyn Learner>;
}

/// The learning rates of every grid in Appendix C.
pub const RATES: [f64; 6] = [0.003, 0.01, 0.03, 0.1, 0.3, 1.0];

/// A method at work on a set of runs.
pub trait Learner {
    /// Learns task `task`, seen once. Hands work to the device and does not wait for it.
    fn learn(&mut self, lab: &mut Lab, task: usize);

    /// Hands over a test of every run on every task, after task `task`, and does not wait for it. `None`, where it would
    /// find what the last one found.
    fn test(&mut self, lab: &mut Lab, _task: usize) -> Option<Tested> {
        Some(lab.hand_over_test())
    }

    /// A run's row of the accuracy matrix, made of what a test found (see [`Tested::rows`]), and of the rows `before` it.
    fn row(&self, found: Vec<f64>, _before: &[Vec<f64>]) -> Vec<f64> {
        found
    }

    /// Rows of [`Lab::losses`] that learning task `task` writes, in the order of its steps; none where it trains nothing.
    fn losses(&self, lab: &Lab, _task: usize) -> Vec<usize> {
        (0..lab.settings.steps()).collect()
    }

    /// The program of a training step, as it was last used.
    fn step(&self) -> &Program;

    /// HAL's anchors: images `[tasks · classes, pixels]`, a task's classes side by side.
    fn anchors(&self) -> Option<&Stored> {
        None
    }
}

/// All methods, in the order in which tables show them.
pub fn registry() -> &'static [&'static dyn Method] {
    &[
        &finetune::Finetune,
        &ewc::Ewc,
        &vcl::Vcl,
        &vcl::VclRandom,
        &agem::Agem,
        &mer::Mer,
        &er::ErRing,
        &mir::Mir,
        &icarl::Icarl,
        &hal::Hal,
        &clone::CloneAndFinetune,
        &multitask::Multitask,
    ]
}

/// The method of that name.
pub fn find(name: &str) -> Option<&'static dyn Method> {
    registry().iter().copied().find(|m| m.name() == name)
}

/// The paper's settings for a method on a benchmark.
pub fn paper_settings(method: &dyn Method, benchmark: &dyn Benchmark) -> Settings {
    let mut settings = Settings::default();
    benchmark.paper_settings(&mut settings);
    method.paper_settings(&mut settings);
    settings
}

/// The largest part into which `count` can be divided evenly that is not above `most`.
fn chunk(count: usize, most: usize) -> usize {
    (1..=count.min(most)).rev().find(|c| count.is_multiple_of(*c)).unwrap_or(count)
}
