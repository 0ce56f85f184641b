//! Variational Continual Learning (Nguyen et al., 2018): online Bayesian inference, with or without a coreset.
//!
//! q the posterior, a Gaussian a weight · p the prior, which is the last task's q · ε standard normal
//!
//! A step is Adam's on −mean over draws of log-likelihood(μ + ε σ) + KL(q ‖ p) / N. Its draws are replayed one
//! after another, each adding its part to the gradient, so that one draw's parameters are all that is in memory.
//! The first task starts from a maximum-likelihood fit, with a standard normal prior. Predictions are averaged over draws of q. VCL-Random
//! leaves a few random examples of each task out of training; before each test q learns from all of them, and
//! goes back to what it was after it.

mod gaussian;
mod prediction;

pub use gaussian::Gaussian;

use super::adam::Adam;
use super::{BatchStream, Lab, Learner, Method};
use crate::autodiff::{Stored, Tape};
use crate::memory::Example;
use crate::program::Program;
use crate::random::{Generator, Stream};
use crate::settings::Knob;
use gaussian::Kept;
use prediction::{Noise, Prediction};

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
    fn grid(&self) -> Vec<(Knob, &'static [f64])> {
        vec![] // Appendix C has none: the released code's values were taken.
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
    fn grid(&self) -> Vec<(Knob, &'static [f64])> {
        vec![]
    }
    fn start(&self, lab: &mut Lab) -> Box<dyn Learner> {
        Box::new(Work::new(lab, true))
    }
}

/// The released code's learning rate, of Adam.
const RATE: f64 = 1e-3;
/// ln σ² of every weight at first.
const FIRST_LOG_VARIANCE: f64 = -6.0;

struct Work {
    stream: BatchStream,
    optimiser: Adam,
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
    keys: Stored,
    predict: Prediction,
    /// 1 / N
    inverse_size: Stored,
    coreset: Option<Vec<Vec<Example>>>,
}

impl Work {
    fn new(lab: &mut Lab, coreset: bool) -> Work {
        let capacity = lab.capacity().div_ceil(lab.settings.batch);
        let steps = lab.settings.steps().max(if coreset { capacity } else { 0 });
        let weights = [lab.model.parameters()];
        let stream = lab.stream("batch", steps, lab.settings.batch);
        let (q, p) = (Kept::new(lab, "posterior"), Kept::new(lab, "prior"));
        let optimiser = Adam::new(lab, "mean", &weights, steps, RATE);
        let beside = optimiser.beside(lab, "log variance", &weights);
        let (noise, draws) = (Noise::new(lab), lab.settings.samples);
        let keys = lab.session.indices("noise keys", steps * draws, &[3]);
        let inverse_size = lab.session.state("1 / N", &[]);
        // Sums over the draws of a step: of the losses, and of their slopes along μ and σ. σ is kept, too.
        let sum = lab.session.state("sum of losses", &[]);
        let (slopes, deviation) = (Kept::new(lab, "sum of slopes"), lab.session.state("deviation", &weights));

        let fit = Tape::new();
        let theta = fit.load(&lab.theta);
        let loss = lab.loss(theta, &lab.batch(&fit, &stream));
        fit.assign(&lab.theta, theta - optimiser.step(&fit, fit.grad(loss, theta)));

        let begin = Tape::new();
        let log_variance = begin.constant(FIRST_LOG_VARIANCE, &weights);
        let first = Gaussian { mean: begin.load(&lab.theta) + 0.0, log_variance };
        q.assign(&begin, &first);
        begin.assign(&deviation, first.deviation());

        let forget_moments = Tape::new();
        [&optimiser, &beside].into_iter().for_each(|adam| adam.reset(&forget_moments));

        let draw = Tape::new();
        let noise_drawn = draw.row(&keys).normal(&weights);
        let drawn = draw.load(&q.mean) + noise_drawn * draw.load(&deviation);
        let loss = lab.loss(drawn, &lab.batch_every(&draw, &stream, draws));
        let slope = draw.grad(loss, drawn);
        let so_far = slopes.load(&draw);
        draw.assign(&slopes.mean, so_far.mean + slope);
        draw.assign(&slopes.log_variance, so_far.log_variance + slope * noise_drawn);
        draw.assign(&sum, draw.load(&sum) + loss);

        let step = Tape::new();
        let (posterior, prior, total) = (q.load(&step), p.load(&step), slopes.load(&step));
        let share = 1.0 / draws as f64;
        let divergence = posterior.divergence(&prior) * step.load(&inverse_size);
        // dσ/d(ln σ²) = σ / 2
        let along_variance = total.log_variance * step.load(&deviation) * (0.5 * share);
        let mean_slope = total.mean * share + step.grad(divergence, posterior.mean);
        let variance_slope = along_variance + step.grad(divergence, posterior.log_variance);
        let next = Gaussian {
            mean: posterior.mean - optimiser.step(&step, mean_slope),
            log_variance: posterior.log_variance - beside.step(&step, variance_slope),
        };
        q.assign(&step, &next);
        step.assign(&deviation, next.deviation());
        slopes.assign(
            &step,
            &Gaussian { mean: step.constant(0.0, &weights), log_variance: step.constant(0.0, &weights) },
        );
        step.assign_row(&lab.losses, step.load(&sum) * share);
        step.assign(&sum, step.constant(0.0, &[]));

        let (keep, restore) = (Tape::new(), Tape::new());
        p.copy(&keep, &q);
        keep.assign(&lab.theta, keep.load(&q.mean) + 0.0);
        q.copy(&restore, &p);
        restore.assign(&deviation, p.load(&restore).deviation());

        let tapes = [&fit, &begin, &forget_moments, &draw, &step, &keep, &restore];
        let [fit, begin, forget_moments, draw, step, keep, restore] = tapes.map(|tape| lab.session.compile(tape));
        let predict = Prediction::new(lab, &q);
        let coreset = coreset.then(|| vec![vec![]; lab.runs()]);
        Work {
            stream,
            optimiser,
            fit,
            begin,
            forget_moments,
            draw,
            step,
            keep,
            restore,
            noise,
            keys,
            predict,
            inverse_size,
            coreset,
        }
    }

    /// Moves q towards the posterior of `examples`, a list a run.
    fn infer(&mut self, lab: &mut Lab, examples: &[Vec<Example>]) {
        for (run, examples) in examples.iter().enumerate() {
            lab.session.write(&self.inverse_size, run, &[1.0 / examples.len() as f64]);
        }
        let draws = lab.settings.samples;
        lab.session.run(&self.forget_moments, 0..1);
        for epoch in 0..lab.settings.epochs {
            let steps = self.write(lab, examples, epoch);
            self.noise.write(lab, &self.keys, steps * draws);
            for step in 0..steps {
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
            lab.write_batches(&self.stream, run, &batches);
        }
        let steps = examples[0].len().div_ceil(size);
        self.optimiser.write_rates(lab, epoch * steps, steps);
        steps
    }

    /// A task's examples, a list a run; those of the coreset are set apart.
    fn split(&mut self, lab: &Lab, task: usize) -> Vec<Vec<Example>> {
        let size = lab.settings.memory_per_class * lab.classes();
        let split = |run: usize| {
            let mut examples = lab.examples(run, task);
            if let Some(coreset) = &mut self.coreset {
                let mut draws: Generator = lab.generator(run, Stream::Memory, task);
                let kept = draws.sample_without_replacement(size.min(examples.len() - 1), examples.len());
                coreset[run].extend(kept.iter().map(|&i| examples[i]));
                let mut at = 0..;
                examples.retain(|_| !kept.contains(&at.next().expect("it never ends")));
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

    fn test(&mut self, lab: &mut Lab, _: usize) -> Vec<Vec<f64>> {
        if let Some(coreset) = self.coreset.clone() {
            self.infer(lab, &coreset);
        }
        let accuracies = self.predict.test(lab, &mut self.noise);
        lab.session.run(&self.restore, 0..1);
        accuracies
    }

    fn step(&self) -> &Program {
        &self.step
    }
}
