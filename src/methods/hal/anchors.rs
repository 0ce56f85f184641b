//! The anchor search, Eq. 9: images on which the model, fine-tuned on the memory of past tasks (θ_M),
//! has lost most of what it knew after the task (θ_t), near the task's mean embedding.
//!
//! `official` searches one anchor after another with one Adam whose moments are never reset, from the
//! class's running mean image; `paper` climbs from noise, all classes at once, with rate α.

use crate::autodiff::{Stored, Tape, Var};
use crate::memory::Example;
use crate::methods::adam::Adam;
use crate::methods::{BatchStream, Lab};
use crate::program::Program;
use crate::random::Stream;
use crate::settings::{AnchorKind, Knob, Preset};

/// Buffers and programs of the search.
pub(super) struct Search {
    /// θ_M.
    tuned: Stored,
    copy: Program,
    memory: BatchStream,
    tune: Program,
    climb: Program,
    adam: Adam,
    adam_steps: usize,
    /// The task's images, and how much of each is in each class's running mean.
    task_images: BatchStream,
    mean_shares: Stored,
    starts: Stored,
    means: Program,
    begin: Program,
    finish: Program,
    last: BatchStream,
    keep_last: Program,
}

/// How much of the running mean an example replaces (the released code's running_alpha is 0.9).
const MEAN_DECAY: f64 = 0.9;

impl Search {
    pub(super) fn new(lab: &mut Lab, table: &Stored, phi: &Stored) -> Search {
        let (pixels, classes, settings) = (lab.model.units[0], lab.classes(), lab.settings.clone());
        let official = settings.preset == Preset::Official;
        let at_once = if official { 1 } else { classes };
        let past = settings.memory_per_class * classes * settings.tasks;
        let tune_steps = settings.finetune_steps.max(past.div_ceil(settings.memory_batch));
        let tuned = lab.session.state("theta M", &[lab.model.parameters()]);
        let memory = lab.stream("fine-tuning", tune_steps, settings.memory_batch);
        let points = lab.session.state("anchors at work", &[at_once, pixels]);
        let adam = Adam::new(lab, "anchors", &[at_once, pixels], classes * settings.anchor_steps.max(1), 1e-3);
        let labels = lab.session.indices("anchor classes", if official { classes } else { 1 }, &[at_once]);
        let one_by_one = lab.session.indices("class by class", classes, &[1]);
        let task_images = lab.stream("task images", 1, settings.images_per_task);
        let mean_shares = lab.session.state("running mean shares", &[classes, settings.images_per_task]);
        let starts = lab.session.state("anchor starts", &[classes, pixels]);
        let last = lab.stream("last image of each class", settings.tasks * classes, 1);
        let classes_in_order: Vec<u32> = (0..classes as u32).collect();
        for run in 0..lab.runs() {
            lab.session.write_index(&labels, run, &classes_in_order);
            lab.session.write_index(&one_by_one, run, &classes_in_order);
        }

        let copy = Tape::new();
        copy.assign(&tuned, copy.load(&lab.theta));

        let tune = Tape::new();
        let theta = tune.load(&tuned);
        let loss = lab.loss(theta, &lab.batch(&tune, &memory));
        tune.assign(&tuned, theta - tune.grad(loss, theta).scaled(lab.rate(&tune)));

        let climb = Tape::new();
        let class = climb.row_every(&labels, settings.anchor_steps.max(1));
        let e = climb.load(&points);
        let phi = climb.load(phi);
        let height = forgetting(lab, &climb, &tuned, e, class, if official { phi.gather_rows(class) } else { phi });
        let slope = climb.grad(height, e);
        climb.assign(&points, e + if official { adam.step(&climb, slope) } else { slope.scaled(lab.rate(&climb)) });

        let means = Tape::new();
        let task = lab.batch(&means, &task_images);
        means.assign(&starts, means.load(&mean_shares).matmul(task.pixels));

        // Step task · classes + class.
        let begin = Tape::new();
        begin.assign(
            &points,
            if official { begin.load(&starts).gather_rows(begin.row(&one_by_one)) } else { begin.load(&starts) + 0.0 },
        );
        let finish = Tape::new();
        let e = if official { finish.load(&points) } else { finish.load(&points).gather_rows(finish.row(&one_by_one)) };
        finish.assign_row(table, if official { e.rescale() } else { e });
        let keep_last = Tape::new();
        let image = lab.batch(&keep_last, &last);
        keep_last.assign_row(table, image.pixels * image.weights.spread(1, pixels));

        let compile = |tape: &Tape| lab.session.compile(tape);
        let [copy, tune, climb, means, begin, finish, keep_last] =
            [&copy, &tune, &climb, &means, &begin, &finish, &keep_last].map(compile);
        Search {
            tuned,
            copy,
            memory,
            tune,
            climb,
            adam,
            adam_steps: 0,
            task_images,
            mean_shares,
            starts,
            means,
            begin,
            finish,
            last,
            keep_last,
        }
    }

    /// The anchors of a task: the last image of each class. A class that was not seen gets a blank one.
    pub(super) fn keep_last_images(&self, lab: &mut Lab, task: usize) {
        let (classes, rows) = (lab.classes(), lab.settings.tasks * lab.classes());
        for run in 0..lab.runs() {
            let examples = lab.examples(run, task);
            let of = |class: usize| examples.iter().rev().find(|e| usize::from(e.label) == class).copied();
            let wanted: Vec<Vec<Example>> = (0..rows).map(|row| of(row % classes).into_iter().collect()).collect();
            lab.write_batches(&self.last, run, &wanted);
        }
        lab.session.run(&self.keep_last, task * classes..(task + 1) * classes);
    }

    /// Seeks the anchors of a task.
    pub(super) fn seek(&mut self, lab: &mut Lab, task: usize) {
        let official = lab.settings.preset == Preset::Official;
        let (classes, steps) =
            (lab.classes(), if lab.settings.anchors == AnchorKind::Mean { 0 } else { lab.settings.anchor_steps });
        if steps > 0 {
            self.find_tuned(lab);
        }
        if official || lab.settings.anchors == AnchorKind::Mean {
            self.write_mean_shares(lab, task);
            lab.session.run(&self.means, 0..1);
        } else {
            self.write_noise(lab, task);
        }
        if official {
            self.adam.write_rates(lab, self.adam_steps, steps * classes);
            self.adam_steps += steps * classes;
            for class in 0..classes {
                lab.session.run(&self.begin, class..class + 1);
                lab.session.run(&self.climb, class * steps..(class + 1) * steps);
                let row = task * classes + class;
                lab.session.run(&self.finish, row..row + 1);
            }
        } else {
            lab.session.run(&self.begin, 0..1);
            lab.session.run(&self.climb, 0..steps);
            lab.session.run(&self.finish, task * classes..(task + 1) * classes);
        }
    }

    /// θ_M: the model after steps on the memory of past tasks; for the oracle, after the last task.
    fn find_tuned(&self, lab: &mut Lab) {
        if let Some(future) = lab.future.clone() {
            future.iter().enumerate().for_each(|(run, theta)| lab.session.write(&self.tuned, run, theta));
            return;
        }
        lab.session.run(&self.copy, 0..1);
        let size = lab.settings.memory_batch;
        let (mut steps, mut runs) = (0, vec![]);
        for run in 0..lab.runs() {
            let batches = match lab.settings.preset {
                Preset::Official => lab.draw(run, lab.settings.finetune_steps, size),
                Preset::Paper => lab.pass_over_memory(run, size),
            };
            steps = steps.max(batches.len());
            runs.push(batches);
        }
        for (run, mut batches) in runs.into_iter().enumerate() {
            // All runs have the same number of past examples unless a tiny task lacks a class; a run
            // with fewer batches takes steps of weight zero.
            batches.resize(steps, vec![]);
            lab.write_batches(&self.memory, run, &batches);
        }
        lab.session.run(&self.tune, 0..steps);
    }

    /// mean ← 0.9 mean + 0.1 x for each example of the class: in the end a weighted sum of the images.
    fn write_mean_shares(&self, lab: &mut Lab, task: usize) {
        let classes = lab.classes();
        for run in 0..lab.runs() {
            let examples = lab.examples(run, task);
            let mut shares = vec![0.0; classes * examples.len()];
            let mut weights = vec![1.0 - MEAN_DECAY; classes];
            for (i, example) in examples.iter().enumerate().rev() {
                let class = usize::from(example.label);
                shares[class * examples.len() + i] = weights[class];
                weights[class] *= MEAN_DECAY;
            }
            lab.session.write(&self.mean_shares, run, &shares);
            lab.write_batches(&self.task_images, run, &[examples]);
        }
    }

    /// The text draws its first anchors from "normal distributions" and gives neither mean nor spread:
    /// these are the ones that the released code declares an anchor with.
    fn write_noise(&self, lab: &mut Lab, task: usize) {
        let elements = self.starts.shape.iter().product();
        for run in 0..lab.runs() {
            // Stream 0 draws which anchors a step looks at.
            let mut noise = lab.generator(run, Stream::Anchors, task + 1);
            let values: Vec<f64> = (0..elements).map(|_| 0.5 + noise.truncated_normal(0.3)).collect();
            lab.session.write(&self.starts, run, &values);
        }
    }
}

/// What an anchor is to maximise: loss(θ_M) − loss(θ_t) − γ · distance of its features from phi, summed
/// over the anchors `e`. `official`: 1 − cos; `paper`: the squared distance.
fn forgetting<'t>(lab: &Lab, tape: &'t Tape, tuned: &Stored, e: Var<'t>, class: Var<'t>, phi: Var<'t>) -> Var<'t> {
    let rows = e.shape()[0];
    let (features, now) = lab.model.forward(tape.load(&lab.theta), e);
    let later = lab.model.logits(tape.load(tuned), e);
    let lost = later.cross_entropy(class) - now.cross_entropy(class);
    let width = lab.model.features();
    let phi = if phi.shape()[0] == rows { phi } else { phi.reshape(&[width]).spread(0, rows) };
    let distance = match lab.settings.preset {
        Preset::Official => {
            // The released code's l2_normalize keeps squared lengths above 1e-12.
            let length = |x: Var<'t>| (x.squared().sum(1) + 1e-12).sqrt();
            1.0 - (features * phi).sum(1) / (length(features) * length(phi))
        }
        Preset::Paper => (features - phi).squared().sum(1),
    };
    (lost - distance.scaled(lab.knob(tape, Knob::Gamma))).total()
}
