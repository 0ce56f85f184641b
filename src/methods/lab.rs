//! What every method works with: the runs' parameters, the stream of tasks as index streams on the
//! device, the episodic memory, and the test.

use super::mask::{masked, masks_of};
use super::test::{Test, TestBatch, TestImages, Tested};
use crate::autodiff::{Stored, Tape, Var};
use crate::data::ImageSet;
use crate::data::benchmarks::Benchmark;
use crate::data::stream::TaskPlan;
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
    /// The loss of each step of the task at hand.
    pub losses: Stored,
    /// The models after the last task, where an oracle knows them: one a run.
    pub future: Option<Vec<Learned>>,
    pub(super) test_images: TestImages,
    knobs: Vec<Stored>,
    images: Stored,
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

/// Index streams from which a step's batch is read, row by row.
pub struct BatchStream {
    image: Stored,
    task: Stored,
    label: Stored,
    weight: Stored,
}

impl BatchStream {
    /// Batches that it holds.
    pub fn rows(&self) -> usize {
        self.image.rows
    }

    /// Places of a batch.
    pub fn size(&self) -> usize {
        self.image.shape[0]
    }
}

/// A batch as a step sees it.
#[derive(Clone, Copy)]
pub struct Batch<'t> {
    /// `[rows, pixels]`
    pub pixels: Var<'t>,
    /// `[rows]`
    pub labels: Var<'t>,
    /// `[rows]`; as a rule they add up to 1, and a place without an example has 0.
    pub weights: Var<'t>,
    /// Where an example may only be one of its task's classes, `[rows, classes]`: 0 for those, as good as −∞ for others.
    pub mask: Option<Var<'t>>,
}

impl<'t> Batch<'t> {
    /// These images and others in one pass. The labels are of these alone.
    pub fn beside(&self, others: &Batch<'t>) -> Batch<'t> {
        let tape = self.pixels.tape();
        let rows = self.labels.elements() + others.labels.elements();
        let join = |a: Var<'t>, b: Var<'t>| {
            let width = a.elements() / self.labels.elements();
            tape.join(&[a, b]).reshape(&[rows, width])
        };
        Batch {
            pixels: join(self.pixels, others.pixels),
            labels: self.labels,
            weights: join(self.weights, others.weights).reshape(&[rows]),
            mask: self.mask.zip(others.mask).map(|(a, b)| join(a, b)),
        }
    }

    /// The weighted sum of its examples' cross-entropies, given their logits `[rows, classes]`.
    #[track_caller]
    pub fn loss(&self, logits: Var<'t>) -> Var<'t> {
        (logits.cross_entropy(self.labels) * self.weights).total()
    }
}

impl Lab {
    /// Places the data of a benchmark on the device, initialises parameters.
    ///
    /// # Panics
    /// If the runs' settings differ in more than their knobs.
    pub fn new(device: &Device, benchmark: &dyn Benchmark, data: &'static ImageSet, specs: &[RunSpec]) -> Lab {
        let settings = &specs[0].settings;
        let common = |spec: &RunSpec| spec.settings.without_knobs() == settings.without_knobs();
        assert!(specs.iter().all(common), "runs of one program may differ in seeds and knobs only");
        let model = benchmark.model();
        let pixels = model.inputs();
        let mut session = Session::new(device, specs.len());
        session.keep_in(settings.precision);
        let images =
            session.images("training images", 1, &[data.train_images.len() / pixels, pixels], &data.train_images);
        let maps = session.indices("pixel maps", 1, &[settings.tasks, pixels]);
        let theta = session.state("theta", &[model.parameters()]);
        let averages = model.initial_statistics();
        let statistics = (!averages.is_empty()).then(|| session.state("running averages", &[averages.len()]));
        let knobs: Vec<Stored> = Knob::ALL.iter().map(|knob| session.state(&knob.to_string(), &[])).collect();
        let losses = session.rows("losses", settings.steps(), &[]);
        let plans: Vec<_> = specs.iter().map(|spec| benchmark.stream(data, settings, spec.seed)).collect();
        let masks = (plans[0][0].classes.len() < model.classes())
            .then(|| session.rows("class masks", settings.tasks, &[model.classes()]));
        let preparation = benchmark.preparation(data).map(|preparation| {
            let values = [("scale", preparation.scale), ("shift", preparation.shift)];
            values.map(|(name, values)| {
                let stored = session.state(&format!("{name} of pixels"), &[pixels]);
                (0..specs.len()).for_each(|run| session.write(&stored, run, &values));
                stored
            })
        });
        let test_images = TestImages::new(&mut session, &model, data, settings, &plans);
        let mut runs = Vec::new();
        for (r, (spec, plan)) in specs.iter().zip(plans).enumerate() {
            session.write(&theta, r, &model.initial(&mut generator(spec.seed, Stream::Initialisation, 0)));
            for (stored, knob) in knobs.iter().zip(Knob::ALL) {
                session.write(stored, r, &[spec.settings.get(knob)]);
            }
            session.write_index(&maps, r, &plan.iter().flat_map(|t| t.map.iter().copied()).collect::<Vec<_>>());
            if let Some(statistics) = &statistics {
                session.write(statistics, r, &averages);
            }
            if let Some(masks) = &masks {
                session.write(masks, r, &masks_of(&plan, model.classes()));
            }
            let memory = RingBuffer::new(settings.memory_per_class, model.classes());
            runs.push(Run { spec: spec.clone(), plan, memory, draws: generator(spec.seed, Stream::Memory, 0) });
        }
        Lab {
            session,
            settings: settings.clone(),
            model,
            theta,
            statistics,
            losses,
            future: None,
            test_images,
            knobs,
            images,
            maps,
            preparation,
            masks,
            data,
            runs,
            test: None,
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

    /// A stream of `rows` batches of `size`.
    pub fn stream(&mut self, name: &str, rows: usize, size: usize) -> BatchStream {
        let s = &mut self.session;
        BatchStream {
            image: s.indices(&format!("{name}: image"), rows, &[size]),
            task: s.indices(&format!("{name}: task"), rows, &[size]),
            label: s.indices(&format!("{name}: label"), rows, &[size]),
            weight: s.rows(&format!("{name}: weight"), rows, &[size]),
        }
    }

    /// The batch of a step: images are permuted, or turned, on the device.
    pub fn batch<'t>(&self, tape: &'t Tape, stream: &BatchStream) -> Batch<'t> {
        self.first_of_batch(tape, stream, stream.size())
    }

    /// The batch of a step where `every` steps see the same one.
    pub fn batch_every<'t>(&self, tape: &'t Tape, stream: &BatchStream, every: usize) -> Batch<'t> {
        self.read_batch(tape, stream, |stored| tape.row_every(stored, every))
    }

    /// The first `count` examples of a step's batch.
    pub fn first_of_batch<'t>(&self, tape: &'t Tape, stream: &BatchStream, count: usize) -> Batch<'t> {
        self.read_batch(tape, stream, |stored| tape.row(stored).slice(0, &[count]))
    }

    fn read_batch<'t>(&self, tape: &'t Tape, stream: &BatchStream, first: impl Fn(&Stored) -> Var<'t>) -> Batch<'t> {
        let (image, task) = (first(&stream.image), first(&stream.task));
        let pixels = self.prepare(tape.load(&self.images).gather_pixels(image, tape.load(&self.maps), task));
        Batch { pixels, labels: first(&stream.label), weights: first(&stream.weight), mask: self.mask(tape, task) }
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

    /// Writes batches into a stream, from row 0 on. Each example has its share of the batch; a place without
    /// one weighs nothing.
    pub fn write_batches(&mut self, stream: &BatchStream, run: usize, batches: &[Vec<Example>]) {
        self.write_weighted(stream, run, batches, |count| 1.0 / count as f64);
    }

    /// Writes batches in which each example weighs 1.
    pub fn write_examples(&mut self, stream: &BatchStream, run: usize, batches: &[Vec<Example>]) {
        self.write_weighted(stream, run, batches, |_| 1.0);
    }

    fn write_weighted(
        &mut self,
        stream: &BatchStream,
        run: usize,
        batches: &[Vec<Example>],
        weight: impl Fn(usize) -> f64,
    ) {
        let size = stream.size();
        let blank = Example { image: 0, label: 0, task: 0 };
        let padded: Vec<Example> =
            batches.iter().flat_map(|b| b.iter().copied().chain(std::iter::repeat(blank)).take(size)).collect();
        let weights: Vec<f64> =
            batches.iter().flat_map(|b| (0..size).map(|i| if i < b.len() { weight(b.len()) } else { 0.0 })).collect();
        let s = &mut self.session;
        s.write_index(&stream.image, run, &padded.iter().map(|e| e.image).collect::<Vec<_>>());
        s.write_index(&stream.task, run, &padded.iter().map(|e| e.task).collect::<Vec<_>>());
        s.write_index(&stream.label, run, &padded.iter().map(|e| e.label.into()).collect::<Vec<_>>());
        s.write(&stream.weight, run, &weights);
    }

    /// Writes a task's batches as they come.
    pub fn write_task(&mut self, stream: &BatchStream, task: usize) {
        for run in 0..self.runs() {
            let batches: Vec<_> =
                self.examples(run, task).chunks(self.settings.batch).map(<[Example]>::to_vec).collect();
            self.write_batches(stream, run, &batches);
        }
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

    /// The models of all runs as they are. Waits for the device.
    pub fn learned(&mut self) -> Vec<Learned> {
        let theta = self.session.read(&self.theta);
        let statistics = match &self.statistics {
            Some(statistics) => self.session.read(statistics),
            None => vec![vec![]; theta.len()],
        };
        theta.into_iter().zip(statistics).map(|(theta, statistics)| Learned { theta, statistics }).collect()
    }

    /// Tests the parameters θ of every run on every task. Waits for the device. One row a run, a fraction a
    /// task.
    pub fn test(&mut self) -> Vec<Vec<f64>> {
        self.hand_over_test().rows()
    }

    /// The same, without waiting for a GPU.
    pub fn hand_over_test(&mut self) -> Tested {
        let test = self
            .test
            .take()
            .unwrap_or_else(|| self.compile_test(|tape, batches| self.logits(tape.load(&self.theta), batches)));
        let tested = self.run_test(&test);
        self.test = Some(test);
        tested
    }
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
