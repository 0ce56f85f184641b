//! Variational Continual Learning (Nguyen et al., 2018): online Bayesian inference, with or without a coreset.
//!
//! q the posterior, a Gaussian a weight · p the prior, which is the last task's q · ε standard normal
//!
//! A step is Adam's on −mean over draws of log-likelihood(μ + ε σ) + KL(q ‖ p) / N. Its draws are replayed one
//! after another, each adding its part to the gradient, so that one draw's parameters are all that is in memory.
//! The first task starts from a maximum-likelihood fit, with a standard normal prior. Predictions are averaged over draws of q. VCL-Random
//! leaves a few random examples of each task out of training; before each test q learns from all of them, and
//! goes back to what it was after it.

use super::adam::Adam;
use super::{BatchStream, Lab, Learner, Method, Test};
use crate::autodiff::{Stored, Tape, Var};
use crate::memory::Example;
use crate::program::Program;
use crate::random::{Generator, Stream};
use crate::settings::Knob;

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

/// Independent Gaussians, one a weight.
#[derive(Clone, Copy)]
pub struct Gaussian<'t> {
    /// μ
    pub mean: Var<'t>,
    /// ln σ²
    pub log_variance: Var<'t>,
}

impl<'t> Gaussian<'t> {
    /// μ + ε σ
    pub fn draw(&self, noise: Var<'t>) -> Var<'t> {
        self.mean + noise * self.deviation()
    }

    /// σ
    fn deviation(&self) -> Var<'t> {
        (self.log_variance * 0.5).exp()
    }

    /// KL(self ‖ prior), in closed form: ½ Σ (ln σ_p² − ln σ² + (σ² + (μ − μ_p)²) / σ_p² − 1).
    pub fn divergence(&self, prior: &Gaussian<'t>) -> Var<'t> {
        // A ratio of variances is the exponential of a difference, so that where they are the same its slope is
        // zero exactly: Adam would make full steps of what rounding left.
        let wider = self.log_variance - prior.log_variance;
        let apart = (self.mean - prior.mean).squared() * (-prior.log_variance).exp();
        (wider.exp() - wider + apart - 1.0).total() * 0.5
    }
}

/// Where a Gaussian is kept.
struct Kept {
    mean: Stored,
    log_variance: Stored,
}

impl Kept {
    fn new(lab: &mut Lab, name: &str) -> Kept {
        let weights = [lab.model.parameters()];
        let mut state = |of: &str| lab.session.state(&format!("{name}: {of}"), &weights);
        Kept { mean: state("mean"), log_variance: state("log variance") }
    }

    fn load<'t>(&self, tape: &'t Tape) -> Gaussian<'t> {
        Gaussian { mean: tape.load(&self.mean), log_variance: tape.load(&self.log_variance) }
    }

    fn assign<'t>(&self, tape: &'t Tape, value: &Gaussian<'t>) {
        tape.assign(&self.mean, value.mean);
        tape.assign(&self.log_variance, value.log_variance);
    }

    /// Records that this becomes a copy of another.
    fn copy(&self, tape: &Tape, from: &Kept) {
        let Gaussian { mean, log_variance } = from.load(tape);
        self.assign(tape, &Gaussian { mean: mean + 0.0, log_variance: log_variance + 0.0 });
    }
}

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

/// Keys of the noise: words of a run's own, and a counter that never comes again.
struct Noise {
    words: Vec<[u32; 2]>,
    used: u32,
}

impl Noise {
    fn new(lab: &Lab) -> Noise {
        let words = |run| {
            let word = lab.generator(run, Stream::Noise, 0).next_u64();
            [word as u32, (word >> 32) as u32]
        };
        Noise { words: (0..lab.runs()).map(words).collect(), used: 0 }
    }

    /// Writes `count` new keys.
    fn write(&mut self, lab: &mut Lab, to: &Stored, count: usize) {
        let counters = self.used..self.used + count as u32;
        for (run, [a, b]) in self.words.iter().enumerate() {
            let keys: Vec<u32> = counters.clone().flat_map(|counter| [counter, *a, *b]).collect();
            lab.session.write_index(to, run, &keys);
        }
        self.used = counters.end;
    }
}

/// Answers averaged over draws of q.
struct Prediction {
    keys: Stored,
    draw: Program,
    test: Test,
}

impl Prediction {
    fn new(lab: &mut Lab, q: &Kept) -> Prediction {
        let (draws, weights) = (lab.settings.test_samples, lab.model.parameters());
        let keys = lab.session.indices("test noise keys", draws, &[3]);
        let table = lab.session.rows("drawn parameters", draws, &[weights]);
        let tape = Tape::new();
        tape.assign_row(&table, q.load(&tape).draw(tape.row(&keys).normal(&[weights])));
        let draw = lab.session.compile(&tape);
        let test = lab.compile_test(|tape, batch| {
            let drawn = tape.load(&table);
            let answer = |i: usize| {
                let theta = drawn.slice(i * weights, &[weights]);
                lab.model.forward_unmapped(theta, batch.pictures, &batch.unmap).1.softmax()
            };
            (0..draws).map(answer).reduce(|a, b| a + b).expect("there is at least one draw")
        });
        Prediction { keys, draw, test }
    }
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

    /// Moves q towards the posterior of `examples`, a list a run, in one pass.
    fn infer(&mut self, lab: &mut Lab, examples: &[Vec<Example>]) {
        let steps = self.write(lab, examples);
        for (run, examples) in examples.iter().enumerate() {
            lab.session.write(&self.inverse_size, run, &[1.0 / examples.len() as f64]);
        }
        let draws = lab.settings.samples;
        self.noise.write(lab, &self.keys, steps * draws);
        lab.session.run(&self.forget_moments, 0..1);
        for step in 0..steps {
            lab.session.run(&self.draw, step * draws..(step + 1) * draws);
            lab.session.run(&self.step, step..step + 1);
        }
    }

    /// Writes batches of examples and the rates of their steps; says how many steps there are.
    fn write(&self, lab: &mut Lab, examples: &[Vec<Example>]) -> usize {
        let size = lab.settings.batch;
        for (run, examples) in examples.iter().enumerate() {
            let batches: Vec<_> = examples.chunks(size).map(<[Example]>::to_vec).collect();
            lab.write_batches(&self.stream, run, &batches);
        }
        let steps = examples[0].len().div_ceil(size);
        self.optimiser.write_rates(lab, 0, steps);
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
            let steps = self.write(lab, &examples);
            lab.session.run(&self.fit, 0..steps);
            lab.session.run(&self.begin, 0..1);
        }
        self.infer(lab, &examples);
        lab.session.run(&self.keep, 0..1);
    }

    fn test(&mut self, lab: &mut Lab, _: usize) -> Vec<Vec<f64>> {
        if let Some(coreset) = self.coreset.clone() {
            self.infer(lab, &coreset);
        }
        let draws = lab.settings.test_samples;
        self.noise.write(lab, &self.predict.keys, draws);
        lab.session.run(&self.predict.draw, 0..draws);
        let accuracies = lab.run_test(&self.predict.test);
        lab.session.run(&self.restore, 0..1);
        accuracies
    }

    fn step(&self) -> &Program {
        &self.step
    }
}
