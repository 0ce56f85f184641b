//! The test: every image of every task's test set, shown to the parameters of every run.
//!
//! Where all tasks show the same images to a fully connected network, each in its own order of pixels, images stay as
//! they are, shared by all runs and tasks, and what moves is the first layer's weights (see `Mlp::forward_unmapped`).
//! Where each task has images of its own, they are gathered by number.

use super::Lab;
use super::mask::masked;
use crate::autodiff::{Stored, Tape, Var};
use crate::data::ImageSet;
use crate::data::alike::{by_use, in_groups};
use crate::data::stream::{BLANK, TaskPlan, shown_at};
use crate::device::Device;
use crate::nn::{Model, Outcome, Unmap};
use crate::program::{Program, Session};
use crate::settings::Settings;
use hindsight_kernels::Reading;

/// How a method answers: a program that counts right answers, a step a task and some chunks of images.
pub struct Test {
    program: Program,
    /// Looks, before each test, for parameters that are not finite.
    check: Program,
}

/// What a method answers to a batch of test images.
pub struct Answer<'t> {
    /// One number a class for each image, `[rows, classes]`: the largest of those of the task wins.
    pub scores: Var<'t>,
    /// How many of the numbers that make up the scores are not finite, a single number.
    pub not_finite: Var<'t>,
}

impl<'t> Answer<'t> {
    /// Scores, of which those of other tasks' classes must be finite, too.
    pub fn of(scores: Var<'t>) -> Answer<'t> {
        Answer { scores, not_finite: scores.count_not_finite() }
    }
}

/// What a test finds, in place of a fraction of right answers, where the scores of a task's images are not all finite.
pub(crate) const SCORES_NOT_FINITE: f64 = -1.0;
/// What a test finds where the parameters that it tests, or those that made them, are not all finite.
pub(crate) const PARAMETERS_NOT_FINITE: f64 = -2.0;

/// Whether a test can find this.
pub(crate) fn can_be_found(value: f64) -> bool {
    (0.0..=1.0).contains(&value) || [SCORES_NOT_FINITE, PARAMETERS_NOT_FINITE].contains(&value)
}

/// What every test reads, and where its counts go.
pub(super) struct TestImages {
    pictures: Stored,
    labels: Stored,
    shown: Shown,
    counts: Stored,
    /// Of a task.
    images: usize,
    /// Of so many images each, of which a step sees `at_once`.
    chunks: usize,
    at_once: usize,
}

/// How tasks show test images.
enum Shown {
    /// All the same. For each task, rows of weights that each original pixel meets, and whether it does.
    Moved(Vec<(Stored, Option<Stored>)>),
    /// Each its own: their numbers and the task's, a row a step.
    Chosen { images: Stored, tasks: Stored },
}

/// A chunk of test images as a test's step sees it.
pub struct TestBatch<'t> {
    /// Images as they are, `[rows, pixels]`; prepared where they are a task's own.
    pub pictures: Var<'t>,
    /// How the task shows them, where all tasks have the same ones.
    unmap: Option<Unmap<'t>>,
}

impl TestImages {
    pub(super) fn new(
        session: &mut Session,
        model: &Model,
        data: &'static ImageSet,
        settings: &Settings,
        plans: &[Vec<TaskPlan>],
    ) -> TestImages {
        let (tasks, images) = (settings.tasks, settings.test_images);
        let moved = matches!(model, Model::Mlp(_)) && plans.iter().flatten().all(|task| task.test.is_none());
        let chunk = super::chunk(images, model.at_a_time());
        let chunks = images / chunk;
        let at_once = if moved { at_once(session.device(), chunks) } else { 1 };
        let counts = session.rows("right answers", tasks * (chunks / at_once), &[1]);
        let (pictures, labels, shown) = match moved {
            true => moved_weights(session, data, [chunks / at_once, at_once, chunk], tasks, plans),
            false => chosen_images(session, data, [chunks, chunk], tasks, plans),
        };
        TestImages { pictures, labels, shown, counts, images, chunks, at_once }
    }
}

/// Images that all tasks show, by steps, chunks of a step, and images of a chunk; their labels; and where each task meets their pixels.
fn moved_weights(
    session: &mut Session,
    data: &'static ImageSet,
    [steps, at_once, chunk]: [usize; 3],
    tasks: usize,
    plans: &[Vec<TaskPlan>],
) -> (Stored, Stored, Shown) {
    let (images, pixels) = (steps * at_once * chunk, data.pixels());
    let tested = &data.test_images[..images * pixels];
    // All are tested, in whichever order; where nothing is computed, none is worth its search.
    let (order, seen) = match session.device() {
        Device::Dry => ((0..images).collect(), (0..pixels).collect()),
        _ => (in_groups(tested, pixels, chunk), by_use(tested, pixels)),
    };
    let labels: Vec<u32> = order.iter().map(|&image| data.test_labels[image].into()).collect();
    let image = |&image: &usize| seen.iter().map(move |pixel| tested[image * pixels + pixel]);
    let bytes: Vec<u8> = order.iter().flat_map(image).collect();
    let pictures = session.images("test images", steps, &[at_once, chunk, pixels], &bytes);
    let labels = session.shared_indices("test labels", steps, &[at_once, chunk], &labels);
    (pictures, labels, Shown::Moved(write_places(session, tasks, &seen, plans)))
}

/// All images there are; and, a row a step, of chunks of each task's own, labels, numbers and the task's.
fn chosen_images(
    session: &mut Session,
    data: &'static ImageSet,
    [chunks, chunk]: [usize; 2],
    tasks: usize,
    plans: &[Vec<TaskPlan>],
) -> (Stored, Stored, Shown) {
    let images = chunks * chunk;
    let pictures = session.images("test images", 1, &[data.test_labels.len(), data.pixels()], &data.test_images);
    let mut rows = |name: &str| session.indices(name, tasks * chunks, &[1, chunk]);
    let (labels, chosen, shown) = (rows("test labels"), rows("chosen test images"), rows("tasks of test images"));
    let all_tasks: Vec<u32> = (0..(tasks * images) as u32).map(|i| i / chunk as u32 % tasks as u32).collect();
    for (run, plan) in plans.iter().enumerate() {
        let of = |task: &TaskPlan| task.test.clone().unwrap_or_else(|| (0..images as u32).collect());
        let numbers: Vec<Vec<u32>> = plan.iter().map(of).collect();
        let rows = (0..chunks).flat_map(|c| numbers.iter().flat_map(move |n| &n[c * chunk..(c + 1) * chunk]));
        let rows: Vec<u32> = rows.copied().collect();
        session.write_index(&chosen, run, &rows);
        session.write_index(&shown, run, &all_tasks);
        let label = |&image: &u32| u32::from(data.test_labels[image as usize]);
        session.write_index(&labels, run, &rows.iter().map(label).collect::<Vec<_>>());
    }
    (pictures, labels, Shown::Chosen { images: chosen, tasks: shown })
}

/// How many of the chunks a step sees: on a GPU, where steps follow one another, all of them, so that weights are moved once for all; on
/// the CPU one, as threads take a step each.
fn at_once(device: &Device, chunks: usize) -> usize {
    match device {
        Device::Cpu | Device::Oracle => 1,
        Device::Gpu(_) | Device::Dry => chunks,
    }
}

/// Row 0 of every pixel's places, pixels in the order in which they are `seen`, then row 1, ...; with masks where some pixel has none.
fn write_places(
    session: &mut Session,
    tasks: usize,
    seen: &[usize],
    plans: &[Vec<TaskPlan>],
) -> Vec<(Stored, Option<Stored>)> {
    let pixels = seen.len();
    let shown: Vec<Vec<Vec<Vec<u32>>>> =
        plans.iter().map(|plan| plan.iter().map(|task| shown_at(&task.map)).collect()).collect();
    let depth = shown.iter().flatten().map(|places| places[0].len()).max().unwrap_or(1);
    let place = |run: usize, task: usize, pixel: usize, i: usize| {
        shown[run][task][seen[pixel]].get(i).copied().unwrap_or(BLANK)
    };
    let everywhere = |i: usize| {
        let shows = |run: usize| (0..tasks).all(|task| (0..pixels).all(|p| place(run, task, p, i) != BLANK));
        (0..plans.len()).all(shows)
    };
    (0..depth)
        .map(|i| {
            let rows = session.indices(&format!("rows that pixels meet, {i}"), tasks, &[pixels + 1]);
            let mask = (!everywhere(i)).then(|| session.rows(&format!("pixels shown, {i}"), tasks, &[pixels + 1]));
            for run in 0..plans.len() {
                // The bias is met once, in the first row.
                let bias = if i == 0 { pixels as u32 } else { BLANK };
                let of = |task: usize| (0..pixels).map(move |p| place(run, task, p, i)).chain([bias]);
                let places: Vec<u32> = (0..tasks).flat_map(of).collect();
                if let Some(mask) = &mask {
                    let met: Vec<f64> = places.iter().map(|&at| f64::from(u8::from(at != BLANK))).collect();
                    session.write(mask, run, &met);
                }
                let rows_met: Vec<u32> = places.iter().map(|&at| if at == BLANK { 0 } else { at }).collect();
                session.write_index(&rows, run, &rows_met);
            }
            (rows, mask)
        })
        .collect()
}

impl Lab {
    /// What the model makes of test images.
    pub fn answer<'t>(&self, theta: Var<'t>, batch: &TestBatch<'t>) -> Outcome<'t> {
        if let Some(unmap) = &batch.unmap {
            let (features, logits) = self.mlp().forward_unmapped(theta, batch.pictures, unmap);
            return Outcome { features, logits, statistics: None };
        }
        self.evaluate(theta, batch.pictures)
    }

    /// Compiles a test in which `answer` answers, batch by batch.
    pub fn compile_test(&self, answer: impl for<'t> Fn(&'t Tape, &[TestBatch<'t>]) -> Vec<Answer<'t>>) -> Test {
        let tape = Tape::named("test");
        let (batches, labels): (Vec<TestBatch<'_>>, Vec<Var<'_>>) = self.test_batches(&tape).into_iter().unzip();
        let counted = answer(&tape, &batches).into_iter().zip(labels).map(|(answer, labels)| {
            let Answer { scores, not_finite } = answer;
            let scores = match &self.masks {
                Some(masks) => masked(scores, tape.row(masks).spread(0, scores.shape()[0])),
                None => scores,
            };
            (scores.count_correct(labels).reshape(&[]), not_finite)
        });
        let (right, scores) = counted.reduce(|a, b| (a.0 + b.0, a.1 + b.1)).expect("a step sees images");
        let parameters = tape.load(&self.not_finite);
        // Right answers; or -1, or -2, as what is found then is called.
        let found = right - (right + 1.0) * (scores + parameters).step() - parameters.step();
        tape.assign_row(&self.test_images.counts, found.reshape(&[1]));

        let check = Tape::named("look for parameters that are not finite");
        let trained = [Some(&self.theta), self.statistics.as_ref()].into_iter().flatten().map(|kept| check.load(kept));
        self.count_not_finite(&check, &trained.collect::<Vec<_>>());
        let [program, check] = [&tape, &check].map(|tape| self.session.compile(tape));
        Test { program, check }
    }

    /// Records that values are looked through for numbers that are not finite. Tests find from then on that there were some:
    /// for what training or a method's own search arrives at, and what no test would show.
    pub fn count_not_finite<'t>(&self, tape: &'t Tape, values: &[Var<'t>]) {
        let found = values.iter().map(|values| values.count_not_finite());
        tape.assign(&self.not_finite, found.fold(tape.load(&self.not_finite), |sum, count| sum + count));
    }

    /// What step s sees: of task s % tasks the chunks of images that are next after every task has seen those before, each
    /// with its labels.
    fn test_batches<'t>(&self, tape: &'t Tape) -> Vec<(TestBatch<'t>, Var<'t>)> {
        let (at, tasks) = (&self.test_images, self.settings.tasks);
        match &at.shown {
            Shown::Moved(places) => {
                let places = || places.iter().map(|(rows, mask)| (tape.row(rows), mask.as_ref().map(|m| tape.row(m))));
                let [pictures, labels] = [&at.pictures, &at.labels].map(|all| tape.row_every(all, tasks));
                let batch = |n: usize| {
                    let unmap = Some(Unmap { places: places().collect() });
                    (TestBatch { pictures: part(pictures, n), unmap }, part(labels, n))
                };
                (0..at.at_once).map(batch).collect()
            }
            Shown::Chosen { images, tasks } => {
                let (images, tasks, labels) = (tape.row(images), tape.row(tasks), tape.row(&at.labels));
                let pictures =
                    tape.load(&at.pictures).gather_pixels(part(images, 0), tape.load(&self.maps), part(tasks, 0));
                vec![(TestBatch { pictures: self.prepare(pictures), unmap: None }, part(labels, 0))]
            }
        }
    }

    /// Hands over a test of every run on every task. Does not wait for a GPU.
    pub fn run_test(&mut self, test: &Test) -> Tested {
        let TestImages { counts, images, chunks, at_once, .. } = &self.test_images;
        let tasks = self.settings.tasks;
        self.session.run(&test.check, 0..1);
        self.session.run_independent(&test.program, 0..tasks * chunks / at_once);
        Tested { counts: self.session.read_later(counts), tasks, images: *images }
    }
}

/// Number `n` of values that lie one behind another.
fn part(of: Var<'_>, n: usize) -> Var<'_> {
    let shape = of.shape();
    let elements: usize = shape[1..].iter().product();
    of.slice(n * elements, &shape[1..])
}

/// A test that was handed over.
pub struct Tested {
    counts: Reading,
    tasks: usize,
    images: usize,
}

impl Tested {
    /// What it found: one row a run, for each task the fraction of right answers; -1 where scores of its images were not
    /// finite, and -2 where parameters were not. Waits for the test, and for nothing that was handed over after it.
    pub fn rows(self) -> Vec<Vec<f64>> {
        let Tested { counts, tasks, images } = self;
        let found = |counts: &[f64], task: usize| {
            let of_task = || counts.iter().skip(task).step_by(tasks).copied();
            let least = of_task().fold(0.0, f64::min);
            if least < 0.0 { least } else { of_task().sum::<f64>() / images as f64 }
        };
        counts.wait().iter().map(|counts| (0..tasks).map(|task| found(counts, task)).collect()).collect()
    }
}
