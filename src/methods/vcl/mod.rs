//! Variational Continual Learning (Nguyen et al., 2018): online Bayesian inference, with or without a coreset.
//!
//! q the posterior, a Gaussian a weight · p the prior, which is the last task's q · ε standard normal
//!
//! A step is Adam's on −mean over draws of log-likelihood(μ + ε σ) + KL(q ‖ p) / N. The first task starts from a maximum-likelihood fit, with a standard normal prior. Predictions are averaged over draws of q. VCL-Random
//! leaves a few random examples of each task out of training; before each test q learns from all of them, and
//! goes back to what it was after it.

mod gaussian;
mod prediction;
mod state;

pub use gaussian::Gaussian;

use super::{Lab, Learner, Method, Tested};
use crate::memory::{Coreset, Example};
use crate::nn::Model;
use crate::program::Program;
use crate::random::Stream;
use crate::settings::{Knob, Setting};
use prediction::{Noise, Prediction};
use state::State;

/// VCL.
pub struct Vcl;

/// VCL with a random coreset.
pub struct VclRandom;

impl Method for Vcl {
    fn name(&self) -> &'static str {
        "vcl"
    }
    fn title(&self) -> &'static str {
        "VCL"
    }
    fn summary(&self) -> &'static str {
        "a Gaussian posterior a weight, each task's prior the last one's posterior"
    }
    fn reads(&self) -> &'static [Setting] {
        &[Setting::Samples, Setting::TestSamples, Setting::Epochs]
    }
    fn grid(&self) -> Vec<(Knob, &'static [f64])> {
        vec![] // Appendix C has none: the released code's values were taken.
    }
    fn trains(&self, model: &Model) -> bool {
        matches!(model, Model::Mlp(_)) // As in the paper: its released code "only works for fully-connected networks".
    }
    fn start(&self, lab: &mut Lab) -> Box<dyn Learner> {
        Box::new(Work::new(lab, false))
    }
}

impl Method for VclRandom {
    fn name(&self) -> &'static str {
        "vcl-random"
    }
    fn title(&self) -> &'static str {
        "VCL-Random"
    }
    fn summary(&self) -> &'static str {
        "VCL, and a random coreset that it learns from before each test"
    }
    fn reads(&self) -> &'static [Setting] {
        &[Setting::Samples, Setting::TestSamples, Setting::Epochs, Setting::Memory]
    }
    fn grid(&self) -> Vec<(Knob, &'static [f64])> {
        vec![]
    }
    fn trains(&self, model: &Model) -> bool {
        Vcl.trains(model)
    }
    fn start(&self, lab: &mut Lab) -> Box<dyn Learner> {
        Box::new(Work::new(lab, true))
    }
}

struct Work {
    state: State,
    /// The maximum-likelihood fit of the first task.
    fit: Program,
    /// q from that fit.
    begin: Program,
    forget_moments: Program,
    /// One draw's part of the gradient: step `step · draws + draw`.
    draw: Program,
    /// A step along the gradient that has been added up.
    step: Program,
    /// p ← q, and θ ← μ for those who ask for parameters.
    keep: Program,
    /// q ← p
    restore: Program,
    noise: Noise,
    predict: Prediction,
    coreset: Option<Vec<Coreset>>,
}

impl Work {
    fn new(lab: &mut Lab, coreset: bool) -> Work {
        let capacity = lab.capacity().div_ceil(lab.settings.batch);
        let steps = lab.settings.steps().max(if coreset { capacity } else { 0 });
        lab.room_for_losses(lab.settings.epochs * steps);
        let state = State::new(lab, steps);
        Work {
            fit: state.fit(lab),
            begin: state.begin(lab),
            forget_moments: state.forget_moments(lab),
            draw: state.draw(lab),
            step: state.step(lab),
            keep: state.keep(lab),
            restore: state.restore(lab),
            noise: Noise::new(lab),
            predict: Prediction::new(lab, &state.posterior),
            coreset: coreset.then(|| vec![Coreset::default(); lab.runs()]),
            state,
        }
    }

    /// Moves q towards the posterior of `examples`, a list a run.
    fn infer(&mut self, lab: &mut Lab, examples: &[Vec<Example>]) {
        for (run, examples) in examples.iter().enumerate() {
            lab.session.write(&self.state.inverse_size, run, &[1.0 / examples.len() as f64]);
        }
        let draws = lab.settings.samples;
        lab.session.run(&self.forget_moments, 0..1);
        for epoch in 0..lab.settings.epochs {
            let steps = self.write(lab, examples, epoch);
            self.noise.write(lab, &self.state.keys, steps * draws);
            // Rows of batches come round again each epoch; those of losses do not.
            let first = epoch * self.state.stream.rows();
            for step in first..first + steps {
                lab.session.run(&self.draw, step * draws..(step + 1) * draws);
                lab.session.run(&self.step, step..step + 1);
            }
        }
    }

    /// Writes the batches of an epoch and the rates of their steps; says how many steps there are. The first epoch
    /// takes the examples as they come.
    fn write(&self, lab: &mut Lab, examples: &[Vec<Example>], epoch: usize) -> usize {
        let size = lab.settings.batch;
        for (run, examples) in examples.iter().enumerate() {
            let mut examples = examples.clone();
            if epoch > 0 {
                lab.generator(run, Stream::Order, epoch).shuffle(&mut examples);
            }
            let batches: Vec<_> = examples.chunks(size).map(<[Example]>::to_vec).collect();
            lab.write_batches(&self.state.stream, run, &batches);
        }
        let steps = examples[0].len().div_ceil(size);
        self.state.optimiser.write_rates(lab, epoch * steps, steps);
        steps
    }

    /// Examples of a task that training does not see.
    fn set_apart(&self, lab: &Lab) -> usize {
        let size = lab.settings.memory_per_class * lab.task_classes();
        if self.coreset.is_some() { size.min(lab.settings.images_per_task - 1) } else { 0 }
    }

    /// A task's examples, a list a run; those of the coreset are set apart.
    fn split(&mut self, lab: &Lab, task: usize) -> Vec<Vec<Example>> {
        let size = self.set_apart(lab);
        let split = |run: usize| {
            let mut examples = lab.examples(run, task);
            if let Some(coreset) = &mut self.coreset {
                coreset[run].take(&mut lab.generator(run, Stream::Memory, task), &mut examples, size);
            }
            examples
        };
        (0..lab.runs()).map(split).collect()
    }
}

impl Learner for Work {
    fn learn(&mut self, lab: &mut Lab, task: usize) {
        let examples = self.split(lab, task);
        if task == 0 {
            for epoch in 0..lab.settings.epochs {
                let steps = self.write(lab, &examples, epoch);
                lab.session.run(&self.fit, 0..steps);
            }
            lab.session.run(&self.begin, 0..1);
        }
        self.infer(lab, &examples);
        lab.session.run(&self.keep, 0..1);
    }

    fn test(&mut self, lab: &mut Lab, _: usize) -> Option<Tested> {
        if let Some(coreset) = &self.coreset {
            let examples: Vec<_> = coreset.iter().map(|coreset| coreset.examples().to_vec()).collect();
            self.infer(lab, &examples);
        }
        let tested = self.predict.test(lab, &mut self.noise);
        lab.session.run(&self.restore, 0..1);
        Some(tested)
    }

    /// Those of the steps that move q; the maximum-likelihood fit of the first task and the fits to the coreset before tests
    /// have none.
    fn losses(&self, lab: &Lab, _: usize) -> Vec<usize> {
        let steps = (lab.settings.images_per_task - self.set_apart(lab)).div_ceil(lab.settings.batch);
        (0..lab.settings.epochs)
            .map(|epoch| epoch * self.state.stream.rows())
            .flat_map(|row| row..row + steps)
            .collect()
    }

    fn step(&self) -> &Program {
        &self.step
    }
}
