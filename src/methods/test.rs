//! The test: every image of every task's test set, shown to the parameters of every run.
//!
//! Images stay as they are, shared by all runs and tasks; what moves is the first layer's weights (see
//! `Mlp::forward_unmapped`).

use super::Lab;
use crate::autodiff::{Stored, Tape, Var};
use crate::data::benchmarks::Benchmark;
use crate::data::stream::{BLANK, TaskPlan, shown_at};
use crate::nn::Unmap;
use crate::program::{Program, Session};
use crate::settings::Settings;

/// How a method answers: a program that counts right answers, a step a chunk of images and a task.
pub struct Test {
    program: Program,
}

/// What every test reads, and where its counts go.
pub(super) struct TestImages {
    pictures: Stored,
    labels: Stored,
    /// For each task, rows of weights that each original pixel meets, and whether it does.
    places: Vec<(Stored, Option<Stored>)>,
    counts: Stored,
    images: usize,
    chunks: usize,
}

/// A chunk of test images as a test's step sees it.
pub struct TestBatch<'t> {
    /// Images as they are, `[rows, pixels]`.
    pub pictures: Var<'t>,
    /// How the task shows them.
    pub unmap: Unmap<'t>,
}

impl TestImages {
    pub(super) fn new(
        session: &mut Session,
        benchmark: &dyn Benchmark,
        settings: &Settings,
        plans: &[Vec<TaskPlan>],
    ) -> TestImages {
        let (data, tasks, images) = (benchmark.data(), settings.tasks, settings.test_images);
        let pixels = data.test_images.len() / data.test_labels.len();
        let chunk = chunk(images);
        let chunks = images / chunk;
        let labels: Vec<u32> = data.test_labels[..images].iter().map(|&l| l.into()).collect();
        let pictures = session.images("test images", chunks, &[chunk, pixels], &data.test_images[..images * pixels]);
        let labels = session.shared_indices("test labels", chunks, &[chunk], &labels);
        let counts = session.rows("right answers", tasks * chunks, &[1]);
        let places = write_places(session, tasks, pixels, plans);
        TestImages { pictures, labels, places, counts, images, chunks }
    }
}

/// Row 0 of every pixel's places, then row 1, ...; with masks where some pixel has none.
fn write_places(
    session: &mut Session,
    tasks: usize,
    pixels: usize,
    plans: &[Vec<TaskPlan>],
) -> Vec<(Stored, Option<Stored>)> {
    let shown: Vec<Vec<Vec<Vec<u32>>>> =
        plans.iter().map(|plan| plan.iter().map(|task| shown_at(&task.map)).collect()).collect();
    let depth = shown.iter().flatten().map(|places| places[0].len()).max().unwrap_or(1);
    let place =
        |run: usize, task: usize, pixel: usize, i: usize| shown[run][task][pixel].get(i).copied().unwrap_or(BLANK);
    let everywhere = |i: usize| {
        let shows = |run: usize| (0..tasks).all(|task| (0..pixels).all(|p| place(run, task, p, i) != BLANK));
        (0..plans.len()).all(shows)
    };
    (0..depth)
        .map(|i| {
            let rows = session.indices(&format!("places of pixels, {i}"), tasks, &[pixels + 1]);
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

/// Images tested at a time: few enough for the hidden layers to stay in a core's cache, and a divisor.
fn chunk(images: usize) -> usize {
    (1..=images.min(1000)).rev().find(|c| images.is_multiple_of(*c)).unwrap_or(images)
}

impl Lab {
    /// Compiles a test in which `scores` answers: one number a class for each image, the largest wins.
    pub fn compile_test(&self, scores: impl for<'t> Fn(&'t Tape, &TestBatch<'t>) -> Var<'t>) -> Test {
        let (at, tasks) = (&self.test_images, self.settings.tasks);
        // Step s: chunk s / tasks of the images, task s % tasks.
        let tape = Tape::new();
        let places = at.places.iter().map(|(rows, mask)| (tape.row(rows), mask.as_ref().map(|m| tape.row(m))));
        let batch =
            TestBatch { pictures: tape.row_every(&at.pictures, tasks), unmap: Unmap { places: places.collect() } };
        let labels = tape.row_every(&at.labels, tasks);
        tape.assign_row(&at.counts, scores(&tape, &batch).count_correct(labels));
        Test { program: self.session.compile(&tape) }
    }

    /// Tests every run on every task. Waits for the device. One row a run, a fraction a task.
    pub fn run_test(&mut self, test: &Test) -> Vec<Vec<f64>> {
        let TestImages { counts, images, chunks, .. } = &self.test_images;
        let tasks = self.settings.tasks;
        self.session.run_independent(&test.program, 0..tasks * chunks);
        let fraction = |counts: Vec<f64>| {
            let right = |task: usize| counts.iter().skip(task).step_by(tasks).sum::<f64>();
            (0..tasks).map(|task| right(task) / *images as f64).collect()
        };
        self.session.read(counts).into_iter().map(fraction).collect()
    }
}
