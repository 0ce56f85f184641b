//! What every method works with: the runs' parameters and settings, the model, the episodic memory, and the test. (Batches: see
//! `batch`.)

use super::mask::{masked, masks_of};
use super::test::{Answer, Test, TestBatch, TestImages, Tested};
use super::{Batch, BatchStream};
use crate::autodiff::{Stored, Tape, Var};
use crate::data::benchmarks::Benchmark;
use crate::data::stream::{Preparation, TaskPlan};
use crate::data::{DataError, ImageSet};
use crate::memory::{Example, RingBuffer};
use crate::nn::{KEPT, Mlp, Model, Outcome, Statistics};
use crate::program::Session;
use crate::random::{Generator, Stream, generator};
use crate::settings::{Knob, RunSpec, Settings};
use hindsight_kernels::Device;

/// Runs in lock-step on one device, that differ in their seeds and in the settings that are [`Knob`]s.
pub struct Lab {
    /// Buffers and replay.
    pub session: Session,
    /// What all runs have in common; the knobs are the first run's.
    pub settings: Settings,
    /// The model.
    pub model: Model,
    /// Parameters θ.
    pub theta: Stored,
    /// The running averages of a model with batch normalisation.
    pub statistics: Option<Stored>,
    /// The loss of each step of the task at hand, a row a step: as many as one pass over its images takes, unless a method
    /// has made [`room_for_losses`](Lab::room_for_losses).
    pub losses: Stored,
    /// How often what was trained has been found not to be finite, a single number: see [`Lab::count_not_finite`].
    pub(super) not_finite: Stored,
    /// The models after the last task, where an oracle knows them: one a run.
    pub future: Option<Vec<Learned>>,
    pub(super) test_images: TestImages,
    knobs: Vec<Stored>,
    pub(super) images: Stored,
    pub(super) maps: Stored,
    /// What prepared images are: pixel · scale + shift.
    preparation: Option<[Stored; 2]>,
    /// For each task, what is added to the logits: 0 for its classes, as good as −∞ for the others.
    pub(super) masks: Option<Stored>,
    data: &'static ImageSet,
    runs: Vec<Run>,
    test: Option<Test>,
}

/// A trained model.
#[derive(Clone)]
pub struct Learned {
    /// Parameters θ.
    pub theta: Vec<f64>,
    /// Running averages; empty where the model has none.
    pub statistics: Vec<f64>,
}

/// What the host keeps of a run.
struct Run {
    spec: RunSpec,
    plan: Vec<TaskPlan>,
    memory: RingBuffer,
    draws: Generator,
}

impl Lab {
    /// Places the data of a benchmark on the device, initialises parameters.
    ///
    /// # Errors
    /// If tasks ask for more images than there are.
    ///
    /// # Panics
    /// If the runs' settings differ in more than their knobs.
    pub fn new(
        device: &Device,
        benchmark: &dyn Benchmark,
        data: &'static ImageSet,
        specs: &[RunSpec],
    ) -> Result<Lab, DataError> {
        let settings = &specs[0].settings;
        let common = |spec: &RunSpec| spec.settings.without_knobs() == settings.without_knobs();
        assert!(specs.iter().all(common), "runs of one program may differ in seeds and knobs only");
        let model = benchmark.model();
        let pixels = model.inputs();
        let plans = specs.iter().map(|spec| benchmark.stream(data, settings, spec.seed));
        let plans = plans.collect::<Result<Vec<_>, _>>()?;
        let all_classes = plans[0][0].classes.len() == model.classes();
        let averages = model.initial_statistics();

        let mut s = Session::new(device, specs.len());
        s.keep_in(settings.precision);
        let images = s.images("training images", 1, &[data.train_images.len() / pixels, pixels], &data.train_images);
        let mut lab = Lab {
            maps: s.indices("pixel maps", 1, &[settings.tasks, pixels]),
            theta: s.state("theta", &[model.parameters()]),
            statistics: (!averages.is_empty()).then(|| s.state("running averages", &[averages.len()])),
            knobs: Knob::ALL.iter().map(|knob| s.state(&knob.to_string(), &[])).collect(),
            losses: s.rows("losses", settings.steps(), &[]),
            not_finite: s.state("trained numbers that were not finite", &[]),
            masks: (!all_classes).then(|| s.rows("class masks", settings.tasks, &[model.classes()])),
            preparation: benchmark.preparation(data).map(|preparation| placed(preparation, &mut s)),
            test_images: TestImages::new(&mut s, &model, data, settings, &plans),
            settings: settings.clone(),
            session: s,
            model,
            future: None,
            images,
            data,
            runs: vec![],
            test: None,
        };
        specs.iter().zip(plans).for_each(|(spec, plan)| lab.begin(spec, plan));
        Ok(lab)
    }

    /// Writes what the next run begins with.
    fn begin(&mut self, spec: &RunSpec, plan: Vec<TaskPlan>) {
        let (s, model, run) = (&mut self.session, &self.model, self.runs.len());
        s.write(&self.theta, run, &model.initial(&mut generator(spec.seed, Stream::Initialisation, 0)));
        if let Some(statistics) = &self.statistics {
            s.write(statistics, run, &model.initial_statistics());
        }
        for (stored, knob) in self.knobs.iter().zip(Knob::ALL) {
            s.write(stored, run, &[spec.settings.get(knob)]);
        }
        let maps: Vec<u32> = plan.iter().flat_map(|task| task.map.iter().copied()).collect();
        s.write_index(&self.maps, run, &maps);
        if let Some(masks) = &self.masks {
            s.write(masks, run, &masks_of(&plan, model.classes()));
        }
        let memory = RingBuffer::new(self.settings.memory_per_class, model.classes());
        self.runs.push(Run { spec: spec.clone(), plan, memory, draws: generator(spec.seed, Stream::Memory, 0) });
    }

    /// Gives [`losses`](Lab::losses) a row for each of `steps` steps, where learning a task takes more than one pass over
    /// its images. For a method's start, before it compiles anything.
    pub fn room_for_losses(&mut self, steps: usize) {
        if steps > self.losses.rows {
            self.losses = self.session.rows("losses of all passes", steps, &[]);
        }
    }

    /// Number of runs.
    pub fn runs(&self) -> usize {
        self.runs.len()
    }

    /// Classes of the benchmark.
    pub fn classes(&self) -> usize {
        self.model.classes()
    }

    /// Height, width and channels of an image.
    pub fn image_shape(&self) -> [usize; 3] {
        self.data.shape
    }

    /// The classes of a run's task.
    pub fn classes_of(&self, run: usize, task: usize) -> &[u32] {
        &self.runs[run].plan[task].classes
    }

    /// The place of an example's class among those of its task.
    pub(super) fn place_of(&self, run: usize, example: &Example) -> usize {
        let classes = self.classes_of(run, example.task as usize);
        classes
            .iter()
            .position(|&class| class == u32::from(example.label))
            .expect("an example is of its task's classes")
    }

    /// Classes of a task.
    pub fn task_classes(&self) -> usize {
        self.classes_of(0, 0).len()
    }

    /// The model of the MNIST benchmarks.
    ///
    /// # Panics
    /// If the benchmark has another.
    pub fn mlp(&self) -> &Mlp {
        match &self.model {
            Model::Mlp(mlp) => mlp,
            Model::ResNet(_) => panic!("a fully connected network is wanted, the benchmark has a convolutional one"),
        }
    }

    /// A named random stream of a run.
    pub fn generator(&self, run: usize, stream: Stream, task: usize) -> Generator {
        generator(self.runs[run].spec.seed, stream, task as u64)
    }

    /// A run's settings.
    pub fn settings_of(&self, run: usize) -> &Settings {
        &self.runs[run].spec.settings
    }

    /// A hyper-parameter as a step sees it: a single number, each run's own.
    pub fn knob<'t>(&self, tape: &'t Tape, knob: Knob) -> Var<'t> {
        let at = Knob::ALL.iter().position(|k| *k == knob).expect("it is one of all");
        tape.load(&self.knobs[at])
    }

    /// Learning rate α as a step sees it.
    pub fn rate<'t>(&self, tape: &'t Tape) -> Var<'t> {
        self.knob(tape, Knob::Rate)
    }

    /// Images `[rows, pixels]` of [0, 1] as the model is to see them.
    pub fn prepare<'t>(&self, images: Var<'t>) -> Var<'t> {
        let rows = images.shape()[0];
        let all = |stored: &Stored| images.tape().load(stored).spread(0, rows);
        self.preparation.as_ref().map_or(images, |[scale, shift]| images * all(scale) + all(shift))
    }

    /// The masks of examples of these tasks, if classes of others are kept out: see [`Batch::mask`].
    pub fn mask<'t>(&self, tape: &'t Tape, tasks: Var<'t>) -> Option<Var<'t>> {
        self.masks.as_ref().map(|masks| {
            let classes = self.classes();
            tape.load(masks).reshape(&[self.settings.tasks, classes]).gather_rows(tasks)
        })
    }

    /// What the model makes of a batch in training: normalised by the batch's own statistics.
    pub fn forward<'t>(&self, theta: Var<'t>, batch: &Batch<'t>) -> Outcome<'t> {
        self.forward_by(theta, batch, own_statistics(batch))
    }

    /// What the model makes of a batch out of training: normalised by running averages.
    pub fn forward_kept<'t>(&self, theta: Var<'t>, kept: Option<&Stored>, batch: &Batch<'t>) -> Outcome<'t> {
        self.forward_by(theta, batch, kept_statistics(theta, kept, batch.labels.elements()))
    }

    /// Features phi of images `[rows, pixels]` as the model sees them, out of training.
    pub fn features<'t>(&self, theta: Var<'t>, images: Var<'t>) -> Var<'t> {
        self.evaluate(theta, images).features
    }

    /// What the model makes of images `[rows, pixels]` out of training, whatever their task.
    pub(super) fn evaluate<'t>(&self, theta: Var<'t>, images: Var<'t>) -> Outcome<'t> {
        self.model.forward(theta, images, kept_statistics(theta, self.statistics.as_ref(), images.shape()[0]))
    }

    fn forward_by<'t>(&self, theta: Var<'t>, batch: &Batch<'t>, statistics: Statistics<'t>) -> Outcome<'t> {
        let outcome = self.model.forward(theta, batch.pixels, statistics);
        Outcome { logits: batch.mask.map_or(outcome.logits, |mask| masked(outcome.logits, mask)), ..outcome }
    }

    /// Mean cross-entropy over the batch, Eq. 4.
    pub fn loss<'t>(&self, theta: Var<'t>, batch: &Batch<'t>) -> Var<'t> {
        batch.loss(self.forward(theta, batch).logits)
    }

    /// Cross-entropy of each example of a batch, `[rows]`.
    pub fn losses_of<'t>(&self, theta: Var<'t>, batch: &Batch<'t>) -> Var<'t> {
        self.forward(theta, batch).logits.cross_entropy(batch.labels)
    }

    /// Ends a training step: θ takes the value `next`, and running averages move towards what `batch` has at `theta`.
    pub fn update<'t>(&self, theta: Var<'t>, next: Var<'t>, batch: &Batch<'t>) {
        theta.tape().assign(&self.theta, next);
        self.track(self.statistics.as_ref(), &self.forward(theta, batch));
    }

    /// Moves running averages towards the statistics of an outcome, if there are any.
    pub fn track(&self, kept: Option<&Stored>, outcome: &Outcome<'_>) {
        if let (Some(kept), Some(found)) = (kept, outcome.statistics) {
            let tape = found.tape();
            tape.assign(kept, tape.load(kept) * KEPT + found * (1.0 - KEPT));
        }
    }

    /// Slots of a memory that keeps as many examples of all tasks as a ring buffer does.
    pub fn capacity(&self) -> usize {
        self.settings.memory_per_class * self.task_classes() * self.settings.tasks
    }

    /// The examples of a run's task, in the order of the stream.
    pub fn examples(&self, run: usize, task: usize) -> Vec<Example> {
        let example =
            |&image: &u32| Example { image, label: self.data.train_labels[image as usize], task: task as u32 };
        self.runs[run].plan[task].images.iter().map(example).collect()
    }

    /// Writes a task's batches, each with up to `replayed` examples from the memory of past tasks, and
    /// lets the memory see the task. Returns the batches of each run.
    pub fn feed(&mut self, stream: &BatchStream, task: usize, replayed: usize) -> Vec<Vec<Vec<Example>>> {
        (0..self.runs())
            .map(|r| {
                let examples = self.examples(r, task);
                let run = &mut self.runs[r];
                let mut batches = Vec::new();
                for incoming in examples.chunks(self.settings.batch) {
                    let mut batch = incoming.to_vec();
                    batch.extend(run.memory.sample(&mut run.draws, replayed));
                    incoming.iter().for_each(|&e| run.memory.push(e));
                    batches.push(batch);
                }
                self.write_batches(stream, r, &batches);
                batches
            })
            .collect()
    }

    /// From now on the task's examples in the memory may be replayed.
    pub fn end_task(&mut self) {
        self.runs.iter_mut().for_each(|run| run.memory.end_task());
    }

    /// `count` batches of up to `size` examples of past tasks, drawn from a run's memory.
    pub fn draw(&mut self, run: usize, count: usize, size: usize) -> Vec<Vec<Example>> {
        let run = &mut self.runs[run];
        (0..count).map(|_| run.memory.sample(&mut run.draws, size)).collect()
    }

    /// One pass over a run's memory of past tasks, in a random order, in batches of `size`.
    pub fn pass_over_memory(&mut self, run: usize, size: usize) -> Vec<Vec<Example>> {
        let run = &mut self.runs[run];
        let mut all = run.memory.samplable().to_vec();
        run.draws.shuffle(&mut all);
        all.chunks(size).map(<[Example]>::to_vec).collect()
    }

    /// What the model with parameters θ makes of test images, batch by batch.
    pub fn logits<'t>(&self, theta: Var<'t>, batches: &[TestBatch<'t>]) -> Vec<Var<'t>> {
        batches.iter().map(|batch| self.answer(theta, batch).logits).collect()
    }

    fn answers<'t>(&self, theta: Var<'t>, batches: &[TestBatch<'t>]) -> Vec<Answer<'t>> {
        self.logits(theta, batches).into_iter().map(Answer::of).collect()
    }

    /// The models of all runs as they are. Waits for the device.
    pub fn learned(&mut self) -> Vec<Learned> {
        let theta = self.session.read(&self.theta);
        let statistics = match &self.statistics {
            Some(statistics) => self.session.read(statistics),
            None => vec![vec![]; theta.len()],
        };
        theta.into_iter().zip(statistics).map(|(theta, statistics)| Learned { theta, statistics }).collect()
    }

    /// Tests the parameters θ of every run on every task. Waits for the device. One row a run, as [`Tested::rows`] has them.
    pub fn test(&mut self) -> Vec<Vec<f64>> {
        self.hand_over_test().rows()
    }

    /// The same, without waiting for a GPU.
    pub fn hand_over_test(&mut self) -> Tested {
        let test = self
            .test
            .take()
            .unwrap_or_else(|| self.compile_test(|tape, batches| self.answers(tape.load(&self.theta), batches)));
        let tested = self.run_test(&test);
        self.test = Some(test);
        tested
    }
}

/// Factors and what is added, where each run reads them.
fn placed(preparation: Preparation, session: &mut Session) -> [Stored; 2] {
    [("scale", preparation.scale), ("shift", preparation.shift)].map(|(name, values)| {
        let stored = session.state(&format!("{name} of pixels"), &[values.len()]);
        (0..session.runs()).for_each(|run| session.write(&stored, run, &values));
        stored
    })
}

/// A batch's own statistics: every example counts alike, and what weighs nothing is none.
fn own_statistics<'t>(batch: &Batch<'t>) -> Statistics<'t> {
    let present = batch.weights.step();
    let count = present.total();
    // A batch without an example divides by 1.
    let shares = present.scaled(1.0 / (count + (1.0 - count.step())));
    Statistics::Batch { shares }
}

/// Running averages; for a model that has none, and reads none, what says that `rows` images count alike.
fn kept_statistics<'t>(theta: Var<'t>, kept: Option<&Stored>, rows: usize) -> Statistics<'t> {
    let tape = theta.tape();
    match kept {
        Some(kept) => Statistics::Running(tape.load(kept)),
        None => Statistics::Batch { shares: tape.constant(1.0 / rows as f64, &[rows]) },
    }
}
