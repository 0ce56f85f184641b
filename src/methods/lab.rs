//! What every method works with: the runs' parameters, the stream of tasks as index streams on the
//! device, the episodic memory, and the test.

use crate::autodiff::{Stored, Tape, Var};
use crate::data::benchmarks::Benchmark;
use crate::data::permuted_mnist::{TaskPlan, inverse};
use crate::experiment::Settings;
use crate::memory::{Example, RingBuffer};
use crate::nn::Mlp;
use crate::program::{Program, Session};
use crate::random::{Generator, Stream, generator};
use hindsight_kernels::Device;

/// Runs in lock-step, one a seed, on one device.
pub struct Lab {
    /// Buffers and replay.
    pub session: Session,
    /// Hyper-parameters.
    pub settings: Settings,
    /// The model.
    pub model: Mlp,
    /// Parameters θ.
    pub theta: Stored,
    /// Learning rate α, one number a run.
    pub rate: Stored,
    /// The loss of each step of the task at hand.
    pub losses: Stored,
    /// Parameters after the last task, where an oracle knows them: one vector a run.
    pub future: Option<Vec<Vec<f64>>>,
    images: Stored,
    maps: Stored,
    labels: &'static [u8],
    runs: Vec<Run>,
    test: Test,
}

/// What the host keeps of a run.
struct Run {
    seed: u64,
    plan: Vec<TaskPlan>,
    memory: RingBuffer,
    draws: Generator,
}

struct Test {
    program: Program,
    counts: Stored,
    images: usize,
    chunks: usize,
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
}

/// A batch as a step sees it.
#[derive(Clone, Copy)]
pub struct Batch<'t> {
    /// `[rows, pixels]`
    pub pixels: Var<'t>,
    /// `[rows]`
    pub labels: Var<'t>,
    /// `[rows]`; they add up to 1, and a place without an example has 0.
    pub weights: Var<'t>,
}

const CLASSES: usize = 10;

impl Lab {
    /// Loads data, initialises parameters, compiles the test.
    pub fn new(device: &Device, benchmark: &dyn Benchmark, settings: &Settings, seeds: &[u64]) -> Lab {
        let data = benchmark.data();
        let model = Mlp::mnist();
        let pixels = model.units[0];
        let mut session = Session::new(device, seeds.len());
        let images =
            session.images("training images", 1, &[data.train_images.len() / pixels, pixels], &data.train_images);
        let maps = session.indices("pixel maps", 1, &[settings.tasks, pixels]);
        let theta = session.state("theta", &[model.parameters()]);
        let rate = session.state("rate", &[]);
        let losses = session.rows("losses", settings.steps(), &[]);
        let plans: Vec<_> = seeds.iter().map(|&seed| benchmark.stream(settings, seed)).collect();
        let test = Test::new(&mut session, &model, &theta, benchmark, settings, &plans);
        let mut runs = Vec::new();
        for (r, (&seed, plan)) in seeds.iter().zip(plans).enumerate() {
            session.write(&theta, r, &model.initial(&mut generator(seed, Stream::Initialisation, 0)));
            session.write(&rate, r, &[settings.rate]);
            session.write_index(&maps, r, &plan.iter().flat_map(|t| t.map.iter().copied()).collect::<Vec<_>>());
            let memory = RingBuffer::new(settings.memory_per_class, CLASSES);
            runs.push(Run { seed, plan, memory, draws: generator(seed, Stream::Memory, 0) });
        }
        Lab {
            session,
            settings: settings.clone(),
            model,
            theta,
            rate,
            losses,
            future: None,
            images,
            maps,
            labels: &data.train_labels,
            runs,
            test,
        }
    }

    /// Number of runs.
    pub fn runs(&self) -> usize {
        self.runs.len()
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        CLASSES
    }

    /// A named random stream of a run.
    pub fn generator(&self, run: usize, stream: Stream, task: usize) -> Generator {
        generator(self.runs[run].seed, stream, task as u64)
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

    /// The batch of a step: images are permuted on the device.
    pub fn batch<'t>(&self, tape: &'t Tape, stream: &BatchStream) -> Batch<'t> {
        let pixels = tape.load(&self.images).gather_pixels(
            tape.row(&stream.image),
            tape.load(&self.maps),
            tape.row(&stream.task),
        );
        Batch { pixels, labels: tape.row(&stream.label), weights: tape.row(&stream.weight) }
    }

    /// Mean cross-entropy over the batch, Eq. 4.
    pub fn loss<'t>(&self, theta: Var<'t>, batch: &Batch<'t>) -> Var<'t> {
        let logits = self.model.logits(theta, batch.pixels);
        (logits.cross_entropy(batch.labels) * batch.weights).total()
    }

    /// The examples of a run's task, in the order of the stream.
    pub fn examples(&self, run: usize, task: usize) -> Vec<Example> {
        let example = |&image: &u32| Example { image, label: self.labels[image as usize], task: task as u32 };
        self.runs[run].plan[task].images.iter().map(example).collect()
    }

    /// Writes batches into a stream, from row 0 on. A place without an example weighs nothing.
    pub fn write_batches(&mut self, stream: &BatchStream, run: usize, batches: &[Vec<Example>]) {
        let size = stream.image.shape[0];
        let blank = Example { image: 0, label: 0, task: 0 };
        let padded: Vec<Example> =
            batches.iter().flat_map(|b| b.iter().copied().chain(std::iter::repeat(blank)).take(size)).collect();
        let weights: Vec<f64> = batches
            .iter()
            .flat_map(|b| (0..size).map(|i| if i < b.len() { 1.0 / b.len() as f64 } else { 0.0 }))
            .collect();
        let s = &mut self.session;
        s.write_index(&stream.image, run, &padded.iter().map(|e| e.image).collect::<Vec<_>>());
        s.write_index(&stream.task, run, &padded.iter().map(|e| e.task).collect::<Vec<_>>());
        s.write_index(&stream.label, run, &padded.iter().map(|e| e.label.into()).collect::<Vec<_>>());
        s.write(&stream.weight, run, &weights);
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

    /// Tests every run on every task. Waits for the device. One row a run, a fraction a task.
    pub fn test(&mut self) -> Vec<Vec<f64>> {
        let Test { program, counts, images, chunks } = &self.test;
        let tasks = self.settings.tasks;
        self.session.run_independent(program, 0..tasks * chunks);
        let fraction = |counts: Vec<f64>| {
            let right = |task: usize| counts.iter().skip(task).step_by(tasks).sum::<f64>();
            (0..tasks).map(|task| right(task) / *images as f64).collect()
        };
        self.session.read(counts).into_iter().map(fraction).collect()
    }
}

impl Test {
    fn new(
        session: &mut Session,
        model: &Mlp,
        theta: &Stored,
        benchmark: &dyn Benchmark,
        settings: &Settings,
        plans: &[Vec<TaskPlan>],
    ) -> Test {
        let (data, pixels, tasks, images) = (benchmark.data(), model.units[0], settings.tasks, settings.test_images);
        let chunk = chunk(images);
        let chunks = images / chunk;
        let labels: Vec<u32> = data.test_labels[..images].iter().map(|&l| l.into()).collect();
        let pictures = session.images("test images", chunks, &[chunk, pixels], &data.test_images[..images * pixels]);
        let labels = session.shared_indices("test labels", chunks, &[chunk], &labels);
        let inverses = session.indices("inverse pixel maps", tasks, &[pixels + 1]);
        let counts = session.rows("right answers", tasks * chunks, &[1]);
        for (r, plan) in plans.iter().enumerate() {
            let with_bias = |t: &TaskPlan| inverse(&t.map).into_iter().chain([pixels as u32]).collect::<Vec<_>>();
            let rows: Vec<u32> = plan.iter().flat_map(with_bias).collect();
            session.write_index(&inverses, r, &rows);
        }
        // Step s: chunk s / tasks of the images, task s % tasks.
        let tape = Tape::new();
        let (pictures, labels) = (tape.row_every(&pictures, tasks), tape.row_every(&labels, tasks));
        let logits = model.logits_unmapped(tape.load(theta), pictures, tape.row(&inverses));
        tape.assign_row(&counts, logits.count_correct(labels));
        Test { program: session.compile(&tape), counts, images, chunks }
    }
}

/// Images tested at a time: few enough for the hidden layers to stay in a core's cache, and a divisor.
fn chunk(images: usize) -> usize {
    (1..=images.min(1000)).rev().find(|c| images.is_multiple_of(*c)).unwrap_or(images)
}
