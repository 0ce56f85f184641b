//! The anchor search, Eq. 9: images on which the model, fine-tuned on the memory of past tasks (θ_M),
//! has lost most of what it knew after the task (θ_t), near the task's mean embedding.
//!
//! `official` searches one anchor after another with one Adam whose moments are never reset, from the
//! class's running mean image; `paper` climbs from noise, all classes at once, with rate α. A model with batch
//! normalisation sees anchors by its running averages; θ_M has its own.

use crate::autodiff::{Stored, Tape, Var};
use crate::memory::Example;
use crate::methods::adam::Adam;
use crate::methods::snapshot::Snapshot;
use crate::methods::{Batch, BatchStream, Lab, chunk};
use crate::program::Program;
use crate::random::Stream;
use crate::settings::{AnchorKind, Knob, Preset, Settings};

/// Buffers and programs of the search.
pub(super) struct Search {
    tuning: Tuning,
    points: Points,
    climb: Program,
    adam: Adam,
    adam_steps: usize,
    starts: Starts,
    begin: Program,
    finish: Program,
    last: BatchStream,
    keep_last: Program,
}

/// The two models, and the way from one to the other.
struct Tuning {
    /// θ_t, as it is when the search begins.
    now: Snapshot,
    /// θ_M.
    later: Snapshot,
    copy: Program,
    memory: BatchStream,
    step: Program,
}

/// The anchors that are being sought, and what they are to be.
struct Points {
    images: Stored,
    /// Their classes: a row a search.
    labels: Stored,
    /// Their task, once for each.
    task: Stored,
    /// `official`: the mean embeddings of their classes, of length 1.
    directions: Stored,
    /// 0, 1, 2, ...: a task's classes one by one.
    one_by_one: Stored,
}

/// Where the search starts: the running mean image of each class, or noise.
struct Starts {
    images: Stored,
    /// The task's images, a part of them a row, and how much of each is in each class's running mean.
    task: BatchStream,
    shares: Stored,
    /// What remains of the sum so far: nothing at the first part.
    keep: Stored,
    add: Program,
}

/// How much of the running mean an example replaces (the released code's running_alpha is 0.9).
const MEAN_DECAY: f64 = 0.9;
/// Images that are added up at a time.
const MOST_IMAGES: usize = 1000;

impl Search {
    pub(super) fn new(lab: &mut Lab, table: &Stored, phi: &Stored) -> Search {
        let (pixels, classes, settings) = (lab.model.inputs(), lab.task_classes(), lab.settings.clone());
        let official = settings.preset == Preset::Official;
        let tuning = Tuning::new(lab);
        let points = Points::new(lab, if official { 1 } else { classes });
        let shape = points.images.shape.clone();
        let adam = Adam::new(lab, "anchors", &shape, classes * settings.anchor_steps.max(1), 1e-3);
        let starts = Starts::new(lab);
        let last = lab.stream("last image of each class", settings.tasks * classes, 1);

        let climb = Tape::named("anchor search");
        let slope = climb.grad(forgetting(lab, &climb, &tuning, &points, phi), climb.load(&points.images));
        let step = if official { adam.step(&climb, slope) } else { slope.scaled(lab.rate(&climb)) };
        climb.assign(&points.images, climb.load(&points.images) + step);

        // Step task · classes + class.
        let begin = Tape::named("begin an anchor");
        let all = begin.load(&starts.images);
        let start = if official { all.gather_rows(begin.row(&points.one_by_one)) } else { all + 0.0 };
        begin.assign(&points.images, start);
        lab.count_not_finite(&begin, &[begin.load(&tuning.later.theta)]);
        if official {
            let of_class = begin.load(phi).gather_rows(begin.row(&points.labels));
            begin.assign(&points.directions, of_class / length(of_class).spread(1, lab.model.features()));
        }
        let finish = Tape::named("keep an anchor");
        let found = finish.load(&points.images);
        lab.count_not_finite(&finish, &[found]);
        finish.assign_row(
            table,
            if official { lab.prepare(found.rescale()) } else { found.gather_rows(finish.row(&points.one_by_one)) },
        );
        let keep_last = Tape::named("keep last images");
        let image = lab.batch(&keep_last, &last);
        keep_last.assign_row(table, image.pixels * image.weights.spread(1, pixels));

        let [climb, begin, finish, keep_last] =
            [&climb, &begin, &finish, &keep_last].map(|tape| lab.session.compile(tape));
        Search { tuning, points, climb, adam, adam_steps: 0, starts, begin, finish, last, keep_last }
    }

    /// The anchors of a task: the last image of each class. A class that was not seen gets a blank one.
    pub(super) fn keep_last_images(&self, lab: &mut Lab, task: usize) {
        let (classes, rows) = (lab.task_classes(), lab.settings.tasks * lab.task_classes());
        for run in 0..lab.runs() {
            let examples = lab.examples(run, task);
            let of = |class: u32| examples.iter().rev().find(|e| u32::from(e.label) == class).copied();
            let of_task = lab.classes_of(run, task);
            let wanted: Vec<Vec<Example>> =
                (0..rows).map(|row| of(of_task[row % classes]).into_iter().collect()).collect();
            lab.write_batches(&self.last, run, &wanted);
        }
        lab.session.run(&self.keep_last, task * classes..(task + 1) * classes);
    }

    /// Seeks the anchors of a task.
    pub(super) fn seek(&mut self, lab: &mut Lab, task: usize) {
        let official = lab.settings.preset == Preset::Official;
        let (classes, steps) =
            (lab.task_classes(), if lab.settings.anchors == AnchorKind::Mean { 0 } else { lab.settings.anchor_steps });
        if steps > 0 {
            self.tuning.run(lab);
        }
        self.points.write(lab, task);
        if official || lab.settings.anchors == AnchorKind::Mean {
            self.starts.take_means(lab, task);
        } else {
            self.starts.write_noise(lab, task);
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
}

impl Tuning {
    fn new(lab: &mut Lab) -> Tuning {
        let settings = &lab.settings;
        let steps = settings.finetune_steps.max(lab.capacity().div_ceil(settings.memory_batch));
        let size = settings.memory_batch;
        let [now, later] = Snapshot::abreast(lab, "t and M");
        let memory = lab.stream("fine-tuning", steps, size);

        let copy = Tape::named("copy the model");
        now.take(lab, &copy);
        later.take(lab, &copy);

        let step = Tape::named("fine-tuning on the memory");
        let (at, batch) = (step.load(&later.theta), lab.batch(&step, &memory));
        let slope = step.grad(lab.loss(at, &batch), at);
        step.assign(&later.theta, at - slope.scaled(lab.rate(&step)));
        lab.track(later.statistics.as_ref(), &lab.forward(at, &batch));

        let [copy, step] = [&copy, &step].map(|tape| lab.session.compile(tape));
        Tuning { now, later, copy, memory, step }
    }

    /// θ_M: the model after steps on the memory of past tasks; for the oracle, after the last task.
    fn run(&self, lab: &mut Lab) {
        lab.session.run(&self.copy, 0..1);
        if let Some(future) = lab.future.clone() {
            for (run, learned) in future.iter().enumerate() {
                self.later.write(&mut lab.session, run, learned);
            }
            return;
        }
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
        lab.session.run(&self.step, 0..steps);
    }
}

impl Points {
    fn new(lab: &mut Lab, at_once: usize) -> Points {
        let (pixels, classes, features) = (lab.model.inputs(), lab.task_classes(), lab.model.features());
        let s = &mut lab.session;
        let points = Points {
            images: s.state("anchors at work", &[at_once, pixels]),
            labels: s.indices("anchor classes", classes / at_once, &[at_once]),
            task: s.indices("anchor task", 1, &[at_once]),
            directions: s.state("directions of mean embeddings", &[at_once, features]),
            one_by_one: s.indices("class by class", classes, &[1]),
        };
        let in_order: Vec<u32> = (0..classes as u32).collect();
        (0..lab.runs()).for_each(|run| lab.session.write_index(&points.one_by_one, run, &in_order));
        points
    }

    fn write(&self, lab: &mut Lab, task: usize) {
        for run in 0..lab.runs() {
            let classes = lab.classes_of(run, task).to_vec();
            lab.session.write_index(&self.labels, run, &classes);
            lab.session.write_index(&self.task, run, &vec![task as u32; self.task.shape[0]]);
        }
    }

    /// As a batch, in which a search of `steps` steps has one row of classes.
    fn batch<'t>(&self, lab: &Lab, tape: &'t Tape, steps: usize) -> Batch<'t> {
        let pixels = tape.load(&self.images);
        let labels = tape.row_every(&self.labels, steps);
        let rows = labels.elements();
        let weights = tape.constant(1.0, &[rows]);
        Batch { pixels, labels, weights, mask: lab.mask(tape, tape.load(&self.task)) }
    }
}

impl Starts {
    fn new(lab: &mut Lab) -> Starts {
        let (pixels, classes, count) = (lab.model.inputs(), lab.task_classes(), lab.settings.images_per_task);
        let part = chunk(count, MOST_IMAGES);
        let task = lab.stream("task images", count / part, part);
        let s = &mut lab.session;
        let images = s.state("anchor starts", &[classes, pixels]);
        let shares = s.rows("running mean shares", count / part, &[classes, part]);
        let keep = s.rows("kept of the sum so far", count / part, &[]);
        let kept: Vec<f64> = (0..count / part).map(|p| f64::from(u8::from(p > 0))).collect();
        (0..lab.runs()).for_each(|run| lab.session.write(&keep, run, &kept));

        let add = Tape::named("mean images");
        let so_far = add.load(&images).scaled(add.row(&keep));
        add.assign(&images, add.row(&shares).matmul(lab.batch(&add, &task).pixels) + so_far);
        Starts { add: lab.session.compile(&add), images, task, shares, keep }
    }

    /// mean ← 0.9 mean + 0.1 x for each example of the class: in the end a weighted sum of the images.
    fn take_means(&self, lab: &mut Lab, task: usize) {
        let (classes, part) = (lab.task_classes(), self.task.size());
        for run in 0..lab.runs() {
            let examples = lab.examples(run, task);
            let mut shares = vec![0.0; classes * examples.len()];
            let mut weights = vec![1.0 - MEAN_DECAY; classes];
            for (i, example) in examples.iter().enumerate().rev() {
                let class = lab.place_of(run, example);
                shares[(i / part * classes + class) * part + i % part] = weights[class];
                weights[class] *= MEAN_DECAY;
            }
            let parts: Vec<Vec<Example>> = examples.chunks(part).map(<[Example]>::to_vec).collect();
            lab.session.write(&self.shares, run, &shares);
            lab.write_batches(&self.task, run, &parts);
        }
        lab.session.run(&self.add, 0..self.keep.rows);
    }

    /// The text draws its first anchors from "normal distributions" and gives neither mean nor spread:
    /// these are the ones that the released code declares an anchor with.
    fn write_noise(&self, lab: &mut Lab, task: usize) {
        let elements = self.images.shape.iter().product();
        for run in 0..lab.runs() {
            // Stream 0 draws which anchors a step looks at.
            let mut noise = lab.generator(run, Stream::Anchors, task + 1);
            let values: Vec<f64> = (0..elements).map(|_| 0.5 + noise.truncated_normal(0.3)).collect();
            lab.session.write(&self.images, run, &values);
        }
    }
}

/// What an anchor is to maximise: loss(θ_M) − loss(θ_t) − γ · distance of its features from phi, summed
/// over the anchors. `official`: 1 − cos, and a phi a class; `paper`: the squared distance, and one phi.
fn forgetting<'t>(lab: &Lab, tape: &'t Tape, tuning: &Tuning, points: &Points, phi: &Stored) -> Var<'t> {
    let Settings { preset, anchor_steps, .. } = lab.settings;
    let e = points.batch(lab, tape, anchor_steps.max(1));
    let [now, later] = [&tuning.now, &tuning.later]
        .map(|model| lab.forward_kept(tape.load(&model.theta), model.statistics.as_ref(), &e));
    let lost = later.logits.cross_entropy(e.labels) - now.logits.cross_entropy(e.labels);
    let features = now.features;
    let distance = match preset {
        Preset::Official => 1.0 - (features * tape.load(&points.directions)).sum(1) / length(features),
        Preset::Paper => {
            let [rows, width] = [features.shape()[0], features.shape()[1]];
            (features - tape.load(phi).reshape(&[width]).spread(0, rows)).squared().sum(1)
        }
    };
    (lost - distance.scaled(lab.knob(tape, Knob::Gamma))).total()
}

/// The length of each row. (The released code's l2_normalize keeps squared lengths above 1e-12.)
fn length<'t>(rows: Var<'t>) -> Var<'t> {
    (rows.squared().sum(1) + 1e-12).sqrt()
}
