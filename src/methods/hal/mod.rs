//! Hindsight Anchor Learning (Chaudhry et al., 2021).
//!
//! θ theta · θ̃ ahead · e anchors · φ features, phi · α rate · λ lambda · γ gamma · β beta
//!
//! While a task is learned, Eq. 5: a step on the loss of the batch and the memory, plus λ times how far
//! that very step would move the predictions on the anchors. After it, Eq. 9: anchors for the task are
//! sought (see `anchors`).

mod anchors;

use super::choice::Choice;
use super::{Batch, BatchStream, Lab, Learner, Method, RATES};
use crate::autodiff::{Stored, Tape, Var};
use crate::memory::Example;
use crate::nn::{Model, Outcome};
use crate::program::Program;
use crate::random::{Generator, Stream};
use crate::settings::{AnchorKind, AnchorNorm, Knob, Preset, Setting, Settings};
use anchors::Search;

/// HAL.
pub struct Hal;

impl Method for Hal {
    fn name(&self) -> &'static str {
        "hal"
    }
    fn title(&self) -> &'static str {
        "HAL"
    }
    fn summary(&self) -> &'static str {
        "ER-Ring, and anchors learned in hindsight that must not move"
    }
    fn reads(&self) -> &'static [Setting] {
        use Setting::*;
        &[
            Rate,
            Memory,
            MemoryBatch,
            Preset,
            FirstOrder,
            Anchors,
            AnchorNorm,
            Lambda,
            Gamma,
            Beta,
            AnchorSteps,
            FinetuneSteps,
        ]
    }
    fn ignores(&self, setting: Setting, settings: &Settings, model: &Model) -> Option<&'static str> {
        use Setting::{AnchorNorm, AnchorSteps, Beta, FinetuneSteps, Gamma};
        let searches = !matches!(settings.anchors, AnchorKind::Real | AnchorKind::Mean);
        match setting {
            AnchorNorm => (model.statistics() == 0).then_some("its model has no batch normalisation"),
            AnchorSteps | FinetuneSteps | Gamma | Beta if !searches => Some("such --anchors are not searched for"),
            FinetuneSteps | Gamma | Beta if settings.anchor_steps == 0 => {
                Some("--anchor-steps 0 searches for no anchors")
            }
            FinetuneSteps if settings.preset == Preset::Paper => {
                Some("with --preset paper the search looks ahead by one pass over the memory")
            }
            _ => None,
        }
    }
    fn grid(&self) -> Vec<(Knob, &'static [f64])> {
        const STRENGTHS: [f64; 7] = [0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0];
        vec![(Knob::Rate, &RATES), (Knob::Lambda, &STRENGTHS), (Knob::Gamma, &STRENGTHS)]
    }
    fn start(&self, lab: &mut Lab) -> Box<dyn Learner> {
        Box::new(Work::new(lab))
    }
}

/// What is predicted for anchors, and how much it must not move.
pub struct Anchoring<'t> {
    /// f(θ, e): what the model predicts at θ, `[anchors, classes]`.
    pub now: Var<'t>,
    /// How much each anchor counts, `[anchors]`.
    pub weights: Var<'t>,
    /// λ, a single number.
    pub lambda: Var<'t>,
    /// Takes f(θ̃, e) for a constant: no gradient through the look-ahead.
    pub first_order: bool,
}

/// Eq. 5: `loss` at `theta`, plus λ times how far a step of `rate` down its gradient would move what the model
/// predicts for the anchors (`predict`, at any parameters): the squared distance, in the weighted sum.
pub fn objective<'t>(
    predict: impl Fn(Var<'t>) -> Var<'t>,
    theta: Var<'t>,
    loss: Var<'t>,
    rate: Var<'t>,
    anchoring: &Anchoring<'t>,
) -> Var<'t> {
    let mut ahead = theta - theta.tape().grad(loss, theta).scaled(rate); // θ̃ = θ − α∇L(θ)
    if anchoring.first_order {
        ahead = ahead.detach();
    }
    let drift = anchoring.now - predict(ahead);
    loss + (drift.squared().sum(1) * anchoring.weights).total() * anchoring.lambda
}

/// HAL on a set of runs.
struct Work {
    batches: BatchStream,
    phi: Phi,
    anchors: Anchors,
    /// Eq. 5, with the anchors of past tasks; for the first task without.
    first: Program,
    later: Option<(usize, Program)>,
    search: Search,
}

/// The mean embedding, Eq. 8: `official` keeps one a class, `paper` one a task.
struct Phi {
    value: Stored,
    /// What remains of each row at a step.
    decay: Stored,
    /// How much of each example is added to each row.
    share: Stored,
}

/// All anchors so far, and which of them a step looks at.
struct Anchors {
    /// Row task · classes + class: images as the model sees them.
    table: Stored,
    chosen: Choice,
    draws: Vec<Generator>,
}

impl Anchors {
    fn new(lab: &mut Lab) -> Anchors {
        let classes = lab.task_classes();
        let table = lab.session.rows("anchors", lab.settings.tasks * classes, &[lab.model.inputs()]);
        let chosen = Choice::new(lab, "anchors", most_anchors(&lab.settings, classes));
        let draws = (0..lab.runs()).map(|r| lab.generator(r, Stream::Anchors, 0)).collect();
        Anchors { table, chosen, draws }
    }

    /// Draws which of the `known` anchors each step of a task looks at.
    fn choose(&mut self, lab: &mut Lab, known: usize) {
        let official = lab.settings.preset == Preset::Official;
        let most = self.chosen.size();
        let count = most.min(known);
        // The released code takes the mean over the chosen anchors. The text sums over past tasks; what it
        // does with a task's anchors, one a class, it leaves open. Their mean makes λ mean the same in
        // both presets; with their sum every start diverges at the paper's λ.
        let classes = lab.task_classes();
        let weight = 1.0 / if official { count.max(1) } else { classes } as f64;
        let weights: Vec<f64> = (0..most).map(|i| if i < count { weight } else { 0.0 }).collect();
        for (run, draws) in self.draws.iter_mut().enumerate() {
            let mut rows = Vec::new();
            for _ in 0..lab.settings.steps() {
                let chosen = draws.sample_without_replacement(count, known);
                rows.extend(chosen.into_iter().chain(std::iter::repeat(0)).take(most));
            }
            self.chosen.write(lab, run, &rows, &weights.repeat(lab.settings.steps()), classes);
        }
    }
}

/// Anchors that a step may look at: at most a batch of them (`official`), or all.
fn most_anchors(settings: &Settings, classes: usize) -> usize {
    match settings.preset {
        Preset::Official => settings.memory_batch,
        Preset::Paper => settings.tasks * classes,
    }
}

impl Work {
    fn new(lab: &mut Lab) -> Work {
        let (steps, size) = (lab.settings.steps(), lab.settings.batch + lab.settings.memory_batch);
        let batches = lab.stream("batch", steps, size);
        let rows = if lab.settings.preset == Preset::Official { lab.classes() } else { 1 };
        let s = &mut lab.session;
        let phi = Phi {
            value: s.state("phi", &[rows, lab.model.features()]),
            decay: s.rows("phi: decay", steps, &[rows]),
            share: s.rows("phi: share", steps, &[rows, size]),
        };
        let anchors = Anchors::new(lab);
        let search = Search::new(lab, &anchors.table, &phi.value);
        let first = record(lab, &batches, &phi, None);
        Work { batches, phi, anchors, first, later: None, search }
    }

    /// The step for tasks with `known` anchors. All of the paper's anchors take part in a step, so its
    /// program grows with the tasks; the official one is the same for all.
    fn prepare(&mut self, lab: &Lab, known: usize) {
        let most = most_anchors(&lab.settings, lab.task_classes());
        let size = if lab.settings.preset == Preset::Official { most } else { known.min(most) };
        if self.later.as_ref().is_none_or(|(n, _)| *n != size) {
            self.later = Some((size, record(lab, &self.batches, &self.phi, Some((&self.anchors, size)))));
        }
    }

    fn feed_phi(&self, lab: &mut Lab, batches: &[Vec<Vec<Example>>]) {
        let official = lab.settings.preset == Preset::Official;
        let (incoming, rows) = (lab.settings.batch, self.phi.decay.shape[0]);
        let size = self.phi.share.shape[1];
        for (run, batches) in batches.iter().enumerate() {
            let beta = lab.settings_of(run).beta;
            let (mut decay, mut share) = (Vec::new(), Vec::new());
            for batch in batches {
                let counted = if official { &batch[..] } else { &batch[..batch.len().min(incoming)] };
                let row_of = |e: &Example| if official { usize::from(e.label) } else { 0 };
                let part = if official { 1.0 - beta } else { (1.0 - beta) / counted.len() as f64 };
                for row in 0..rows {
                    let own: Vec<bool> = counted.iter().map(|e| row_of(e) == row).collect();
                    decay.push(if own.contains(&true) { beta } else { 1.0 });
                    share.extend((0..size).map(|i| if own.get(i) == Some(&true) { part } else { 0.0 }));
                }
            }
            lab.session.write(&self.phi.decay, run, &decay);
            lab.session.write(&self.phi.share, run, &share);
            if !official {
                lab.session.write(&self.phi.value, run, &vec![0.0; self.phi.value.shape.iter().product()]);
            }
        }
    }
}

/// What a step has of the model.
struct Seen<'l, 't> {
    /// The batch's features at θ, `[rows, features]`.
    features: Var<'t>,
    /// The batch's loss at θ.
    loss: Var<'t>,
    /// What is predicted for anchors at θ, `[anchors, classes]`.
    now: Var<'t>,
    /// What is predicted for them at other parameters.
    predict: Box<dyn Fn(Var<'t>) -> Var<'t> + 'l>,
}

impl<'l, 't: 'l> Seen<'l, 't> {
    fn new(lab: &'l Lab, theta: Var<'t>, batch: &Batch<'t>, anchors: Batch<'t>) -> Seen<'l, 't> {
        // A model without normalisation sees each image by itself, so all of them pass through it together.
        if lab.model.statistics() == 0 {
            let (outcome, now) = together(lab, theta, batch, &anchors);
            let predict = Box::new(move |at| lab.forward(at, &anchors).logits);
            return Seen { features: outcome.features, loss: batch.loss(outcome.logits), now, predict };
        }
        let Outcome { features, logits, .. } = lab.forward(theta, batch);
        let loss = batch.loss(logits);
        match lab.settings.anchor_norm {
            AnchorNorm::Batch => {
                let predict = move |at| lab.forward(at, &anchors).logits;
                Seen { features, loss, now: predict(theta), predict: Box::new(predict) }
            }
            AnchorNorm::Frozen => {
                let predict = move |at| lab.forward_kept(at, lab.statistics.as_ref(), &anchors).logits;
                Seen { features, loss, now: predict(theta), predict: Box::new(predict) }
            }
            AnchorNorm::Joint => {
                let (outcome, now) = together(lab, theta, batch, &anchors);
                let batch = *batch;
                let predict = Box::new(move |at| together(lab, at, &batch, &anchors).1);
                Seen { features, loss: batch.loss(outcome.logits), now, predict }
            }
        }
    }
}

/// What the model makes of a batch, and its logits of anchors, in one pass.
fn together<'t>(lab: &Lab, at: Var<'t>, batch: &Batch<'t>, anchors: &Batch<'t>) -> (Outcome<'t>, Var<'t>) {
    let outcome = lab.forward(at, &batch.beside(anchors));
    let (rows, classes, count) = (batch.labels.elements(), lab.classes(), anchors.labels.elements());
    let now = outcome.logits.slice(rows * classes, &[count, classes]);
    let features = outcome.features.slice(0, &[rows, lab.model.features()]);
    (Outcome { features, logits: outcome.logits.slice(0, &[rows, classes]), ..outcome }, now)
}

/// Records and compiles one step.
fn record(lab: &Lab, batches: &BatchStream, phi: &Phi, anchors: Option<(&Anchors, usize)>) -> Program {
    let tape = Tape::named(if anchors.is_some() { "training step" } else { "first task's step" });
    let theta = tape.load(&lab.theta);
    let batch = lab.batch(&tape, batches);
    let (features, loss, total) = match anchors {
        Some((anchors, count)) => {
            let anchors = anchors.chosen.batch(lab, &tape, &anchors.table, count);
            let weights = anchors.weights;
            let Seen { features, loss, now, predict } = Seen::new(lab, theta, &batch, anchors);
            let (lambda, first_order) = (lab.knob(&tape, Knob::Lambda), lab.settings.first_order);
            let anchoring = Anchoring { now, weights, lambda, first_order };
            (features, loss, objective(predict, theta, loss, lab.rate(&tape), &anchoring))
        }
        None => {
            let Outcome { features, logits, .. } = lab.forward(theta, &batch);
            let loss = batch.loss(logits);
            (features, loss, loss)
        }
    };
    let kept = tape.load(&phi.value) * tape.row(&phi.decay).spread(1, lab.model.features());
    tape.assign(&phi.value, tape.row(&phi.share).matmul(features) + kept);
    lab.update(theta, theta - tape.grad(total, theta).scaled(lab.rate(&tape)), &batch);
    tape.assign_row(&lab.losses, loss);
    lab.session.compile(&tape)
}

impl Learner for Work {
    fn learn(&mut self, lab: &mut Lab, task: usize) {
        let known = task * lab.task_classes();
        let batches = lab.feed(&self.batches, task, lab.settings.memory_batch);
        self.feed_phi(lab, &batches);
        let steps = 0..lab.settings.steps();
        if task == 0 {
            lab.session.run(&self.first, steps);
        } else {
            self.prepare(lab, known);
            self.anchors.choose(lab, known);
            let (_, program) = self.later.as_ref().expect("it was prepared");
            lab.session.run(program, steps);
        }
        if lab.settings.preset == Preset::Paper {
            // Algorithm 1 fine-tunes on the whole memory, the task at hand included.
            lab.end_task();
        }
        let sought =
            lab.settings.anchors != AnchorKind::Real && !(task == 0 && lab.settings.preset == Preset::Official);
        if sought {
            self.search.seek(lab, task);
        } else {
            self.search.keep_last_images(lab, task);
        }
        lab.end_task(); // A second time changes nothing.
    }

    fn anchors(&self) -> Option<&Stored> {
        Some(&self.anchors.table)
    }

    fn step(&self) -> &Program {
        self.later.as_ref().map_or(&self.first, |(_, program)| program)
    }
}
