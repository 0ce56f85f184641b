//! One method on one benchmark, for a set of runs in lock-step: the protocol of the paper.

mod checkpoint;
mod record;
mod step;

pub use checkpoint::{CheckpointError, Checkpoints, Origin};
pub use record::{Anchors, DivergedAt, FinishedRun, RunRecord};
pub use step::launches_of_step;

use crate::data::DataError;
use crate::data::benchmarks::{self, Benchmark};
use crate::device::{Device, Room};
use crate::methods::{self, Lab, Learned, Learner, Tested};
use crate::metrics::AccuracyMatrix;
use crate::program::{Footprint, Precision, Recorder};
use crate::settings::{AnchorKind, RunSpec};
use checkpoint::{Checkpoint, Keeper};
use hindsight_kernels::Reading;
use std::time::{Duration, Instant};

/// What is to be run.
pub struct Experiment {
    /// A name of the registry of benchmarks.
    pub benchmark: String,
    /// A name of the registry of methods.
    pub method: String,
    /// The runs, all in lock-step: they differ in seeds and knobs only.
    pub runs: Vec<RunSpec>,
}

/// Said after every task.
pub struct Progress<'a> {
    /// The method's name.
    pub method: &'a str,
    /// Tasks finished.
    pub task: usize,
    /// Tasks in all.
    pub tasks: usize,
    /// Mean accuracy over the tasks seen, one number a run.
    pub accuracy_so_far: &'a [f64],
}

/// Who is told how it goes, and may end it.
pub trait Observer {
    /// What a method's runs take, and how many of them are trained at a time, before any is.
    fn prepared(&mut self, _method: &str, _footprint: &Footprint, _at_a_time: usize, _runs: usize, _tasks: usize) {}
    /// A task was learned and tested.
    fn task_finished(&mut self, progress: &Progress<'_>);
    /// Whether to stop at the next occasion.
    fn stop_requested(&self) -> bool {
        false
    }
    /// Where it is kept how far long runs have come, and read again. None: nowhere.
    fn checkpoints(&self) -> Option<&Checkpoints> {
        None
    }
    /// Runs go on after their first `_done` of `_tasks` tasks, as a checkpoint has them.
    fn resumed(&mut self, _method: &str, _done: usize, _tasks: usize) {}
    /// A checkpoint could not be written; the runs go on.
    fn checkpoint_failed(&mut self, _error: &CheckpointError) {}
    /// Who is told what programs are compiled, and when their launches run.
    fn recorder(&self) -> Option<&Recorder> {
        None
    }
}

/// Why an experiment has no result.
#[derive(Debug, thiserror::Error)]
pub enum ExperimentError {
    /// The observer asked for it.
    #[error("interrupted")]
    Interrupted,
    /// A method on a benchmark whose model it cannot train.
    #[error(
        "{method} is for fully connected networks, as in the paper, and {benchmark} is learned by a convolutional one; \
         leave it out, or take permuted-mnist or rotated-mnist"
    )]
    Untrainable {
        /// The method's title.
        method: &'static str,
        /// The benchmark's title.
        benchmark: &'static str,
    },
    /// A device that has no half precision.
    #[error(
        "the adapter's driver keeps no numbers in half precision (f16 is not among its features in `hindsight devices`); \
         leave --precision out, or take another --device"
    )]
    NoHalf,
    /// Not even one run fits.
    #[error("a single run takes {} MiB, and free are {} MiB; {SMALLER}", mib(*needed), mib(*there))]
    Memory {
        /// Bytes that one run needs.
        needed: u64,
        /// Bytes that there are.
        there: u64,
    },
    /// A buffer of a single run is larger than the device allows.
    #[error(
        "a single run's '{name}' takes {} MiB, and a buffer of this device at most {} MiB; {SMALLER}",
        mib(*needed), mib(*there)
    )]
    Buffer {
        /// What is in it.
        name: String,
        /// Bytes that it needs.
        needed: u64,
        /// Bytes of the largest buffer.
        there: u64,
    },
    /// A buffer that all runs share, of a data set's images, is larger than the device allows.
    #[error(
        "the data set's '{name}' are one buffer of {} MiB, however many of them a run sees, and a buffer of this device holds \
         at most {} MiB; take --device cpu, or an adapter with larger buffers (`hindsight devices` lists them)",
        mib(*needed), mib(*there)
    )]
    SharedBuffer {
        /// What is in it.
        name: String,
        /// Bytes that it needs.
        needed: u64,
        /// Bytes of the largest buffer.
        there: u64,
    },
    /// A checkpoint that runs cannot go on from.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The data set is not there, or damaged.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Not in a registry.
    #[error("there is no {kind} '{name}'; `hindsight run --help` lists what there is")]
    Unknown {
        /// Method or benchmark.
        kind: &'static str,
        /// The name.
        name: String,
    },
}

/// A benchmark and a method that can train its model, by their names.
///
/// # Errors
/// If there is none of that name, or the method cannot.
pub fn find(
    benchmark: &str,
    method: &str,
) -> Result<(&'static dyn Benchmark, &'static dyn methods::Method), ExperimentError> {
    let unknown = |kind, name: &str| ExperimentError::Unknown { kind, name: name.into() };
    let benchmark = benchmarks::find(benchmark).ok_or_else(|| unknown("benchmark", benchmark))?;
    let method = methods::find(method).ok_or_else(|| unknown("method", method))?;
    match method.trains(&benchmark.model()) {
        true => Ok((benchmark, method)),
        false => Err(ExperimentError::Untrainable { method: method.title(), benchmark: benchmark.title() }),
    }
}

/// Runs an experiment: every task learned once, every task tested after each. All runs side by side, or as many at a
/// time as the device has room for. Where the observer keeps [`Checkpoints`], runs go on from there.
pub fn run(
    experiment: &Experiment,
    device: &Device,
    observer: &mut dyn Observer,
) -> Result<Vec<FinishedRun>, ExperimentError> {
    run_in_groups(experiment, device, observer, usize::MAX)
}

/// The same, of at most so many runs at a time. A run's numbers do not depend on that.
pub fn run_in_groups(
    experiment: &Experiment,
    device: &Device,
    observer: &mut dyn Observer,
    at_most: usize,
) -> Result<Vec<FinishedRun>, ExperimentError> {
    let (benchmark, method) = find(&experiment.benchmark, &experiment.method)?;
    if experiment.runs[0].settings.precision == Precision::HalfStorage && !device.has_half() {
        return Err(ExperimentError::NoHalf);
    }
    let data = benchmark.data()?;
    let footprint = footprint(method, Lab::new(&Device::Dry, benchmark, data, &experiment.runs[..1]));
    let at_a_time = fitting(&footprint, device, experiment.runs.len())?.min(at_most);
    observer.prepared(method.name(), &footprint, at_a_time, experiment.runs.len(), experiment.runs[0].settings.tasks);
    let recorder = observer.recorder().map(|recorder| recorder.of(method.name()));
    let checkpoints = observer.checkpoints().cloned();
    let mut finished = vec![];
    for runs in experiment.runs.chunks(at_a_time) {
        let keeper = checkpoints.as_ref().map(|all| all.keeper(benchmark, method.name(), runs, data, device));
        let kept = keeper.as_ref().map_or(Ok(None), Keeper::read)?;
        let lab = |runs: &[RunSpec]| {
            let mut lab = Lab::new(device, benchmark, data, runs);
            recorder.iter().for_each(|recorder| lab.session.record_with(recorder.clone()));
            lab
        };
        let mut oracle = None;
        if runs[0].settings.anchors == AnchorKind::Oracle && method.name() == "hal" {
            let mut learned = runs.to_vec();
            learned.iter_mut().for_each(|run| run.settings.anchors = AnchorKind::Learned);
            oracle = match kept.as_ref().and_then(|kept| kept.future.clone()) {
                Some(future) => Some(future),
                None => Some(models_after_all_tasks(method, lab(&learned), observer)?),
            };
        }
        let mut lab = lab(runs);
        lab.future = oracle;
        finished.extend(Trial::new(&experiment.benchmark, runs, lab, keeper).run(method, kept, observer)?);
    }
    Ok(finished)
}

/// Tells a recorder of all programs that an experiment compiles. Nothing is computed.
///
/// # Errors
/// If the experiment cannot be run.
pub fn explain(experiment: &Experiment, recorder: &Recorder) -> Result<(), ExperimentError> {
    let (benchmark, method) = find(&experiment.benchmark, &experiment.method)?;
    let mut lab = Lab::new(&Device::Dry, benchmark, benchmark.data()?, &experiment.runs[..1]);
    lab.session.record_with(recorder.of(method.name()));
    footprint(method, lab);
    Ok(())
}

/// What one run takes: it is prepared, and goes through its tasks, on a device that computes nothing.
fn footprint(method: &dyn methods::Method, mut lab: Lab) -> Footprint {
    let mut learner = method.start(&mut lab);
    for task in 0..lab.settings.tasks {
        learner.learn(&mut lab, task);
        learner.test(&mut lab, task);
    }
    lab.session.footprint()
}

/// How many of `runs` runs fit on a device.
fn fitting(footprint: &Footprint, device: &Device, runs: usize) -> Result<usize, ExperimentError> {
    let room = device.room();
    match (footprint.runs_that_fit(room, runs), room) {
        (0, Room { buffer: Some(there), .. }) if footprint.largest_shared.0 > there => {
            let (needed, name) = footprint.largest_shared.clone();
            Err(ExperimentError::SharedBuffer { name, needed, there })
        }
        (0, Room { buffer: Some(there), .. }) if footprint.largest_per_run.0 > there => {
            let (needed, name) = footprint.largest_per_run.clone();
            Err(ExperimentError::Buffer { name, needed, there })
        }
        (0, Room { memory: Some(there), .. }) => Err(ExperimentError::Memory { needed: footprint.of_runs(1), there }),
        (fit, _) => Ok(fit),
    }
}

/// What makes a run smaller.
const SMALLER: &str = "take smaller tasks (--images, --test-images), a smaller --memory-batch, or another --device";

fn mib(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}

/// The oracle's first pass: where the parameters end up.
fn models_after_all_tasks(
    method: &dyn methods::Method,
    mut lab: Lab,
    observer: &dyn Observer,
) -> Result<Vec<Learned>, ExperimentError> {
    let mut learner = method.start(&mut lab);
    for task in 0..lab.settings.tasks {
        if observer.stop_requested() {
            return Err(ExperimentError::Interrupted);
        }
        learner.learn(&mut lab, task);
    }
    Ok(lab.learned())
}

struct Trial<'a> {
    benchmark: &'a str,
    specs: &'a [RunSpec],
    lab: Lab,
    matrices: Vec<AccuracyMatrix>,
    /// The losses of each run's steps, task by task.
    losses: Vec<Vec<Vec<f64>>>,
    train: Duration,
    /// What was spent before, where a checkpoint was gone on from.
    earlier: Duration,
    started: Instant,
    /// When the device was done with the last test.
    free: Instant,
    keeper: Option<Keeper>,
}

/// A task that was handed over, to be learned and then tested.
struct Handed {
    task: usize,
    begun: Instant,
    /// What learning took, where the device was done when it had been handed over.
    learned: Option<Duration>,
    losses: Reading,
    tested: Option<Tested>,
}

impl<'a> Trial<'a> {
    fn new(benchmark: &'a str, specs: &'a [RunSpec], lab: Lab, keeper: Option<Keeper>) -> Trial<'a> {
        let matrices = (0..lab.runs()).map(|_| AccuracyMatrix::new(lab.settings.tasks)).collect();
        let (losses, now) = (vec![vec![]; lab.runs()], Instant::now());
        let [train, earlier] = [Duration::ZERO; 2];
        Trial { benchmark, specs, lab, matrices, losses, train, earlier, started: now, free: now, keeper }
    }

    fn run(
        mut self,
        method: &dyn methods::Method,
        kept: Option<Checkpoint>,
        observer: &mut dyn Observer,
    ) -> Result<Vec<FinishedRun>, ExperimentError> {
        let mut learner = method.start(&mut self.lab);
        let (mut done, tasks) = (0, self.lab.settings.tasks);
        if let Some(kept) = kept {
            done = self.go_on_from(kept, &mut *learner)?;
            observer.resumed(method.name(), done, tasks);
        }
        let mut waiting: Option<Handed> = None;
        for task in done..tasks {
            if observer.stop_requested() {
                return Err(ExperimentError::Interrupted);
            }
            let handed = self.hand_over(&mut *learner, task);
            // A GPU has this task to learn while the host waits for what became of the last one.
            if let Some(last) = waiting.take() {
                self.settle(last, &*learner, method, observer);
            }
            if handed.losses.is_coming() {
                waiting = Some(handed);
            } else {
                self.settle(handed, &*learner, method, observer);
            }
            if self.keeper.as_ref().is_some_and(Keeper::is_due) {
                if let Some(last) = waiting.take() {
                    self.settle(last, &*learner, method, observer);
                }
                self.keep(observer);
            }
        }
        if let Some(last) = waiting {
            self.settle(last, &*learner, method, observer);
        }
        let total = self.total();
        let anchors = self.read_anchors(&*learner);
        let theta = self.lab.theta.clone();
        let parameters = self.lab.session.read(&theta);
        Ok(self.finish(method.name(), total, anchors, parameters))
    }

    fn total(&self) -> Duration {
        self.earlier + self.started.elapsed()
    }

    /// Takes up runs where a checkpoint has them: what the host decides in the tasks before, it decides again, and what
    /// the device had computed is read. The number of those tasks.
    fn go_on_from(&mut self, kept: Checkpoint, learner: &mut dyn Learner) -> Result<usize, CheckpointError> {
        self.lab.session.keep_still();
        for task in 0..kept.tasks() {
            learner.learn(&mut self.lab, task);
            // A reading on its way from a GPU may not be dropped before it is there.
            learner.test(&mut self.lab, task).map(Tested::rows);
        }
        let keeper = self.keeper.as_ref().expect("who read it keeps the next");
        self.lab.session.restore(&kept.contents).map_err(|other| keeper.unusable(&other))?;
        (self.train, self.earlier) = (kept.train, kept.total);
        for (matrix, rows) in self.matrices.iter_mut().zip(&kept.rows) {
            rows.iter().for_each(|row| matrix.push(row.clone()));
        }
        let done = kept.tasks();
        self.losses = kept.losses;
        Ok(done)
    }

    /// Writes a checkpoint after all tasks that were settled. Nothing else may have been handed over.
    fn keep(&mut self, observer: &mut dyn Observer) {
        let total = self.total();
        let Trial { lab, matrices, losses, train, keeper, .. } = self;
        let checkpoint = Checkpoint {
            rows: matrices.iter().map(|matrix| matrix.rows().to_vec()).collect(),
            losses: losses.clone(),
            train: *train,
            total,
            future: lab.future.clone(),
            contents: lab.session.contents(),
        };
        if let Some(Err(error)) = keeper.as_mut().map(|keeper| keeper.write(&checkpoint)) {
            observer.checkpoint_failed(&error);
        }
    }

    fn hand_over(&mut self, learner: &mut dyn Learner, task: usize) -> Handed {
        let begun = Instant::now();
        learner.learn(&mut self.lab, task);
        let losses = self.lab.losses.clone();
        let losses = self.lab.session.read_later(&losses);
        let learned = (!losses.is_coming()).then(|| begun.elapsed());
        Handed { task, begun, learned, losses, tested: learner.test(&mut self.lab, task) }
    }

    /// Waits for a task's losses and test, and says how it went.
    fn settle(
        &mut self,
        handed: Handed,
        learner: &dyn Learner,
        method: &dyn methods::Method,
        observer: &mut dyn Observer,
    ) {
        let Handed { task, begun, learned, losses, tested } = handed;
        self.losses.iter_mut().zip(losses.wait()).for_each(|(of_run, of_task)| of_run.push(of_task));
        self.train += learned.unwrap_or_else(|| begun.max(self.free).elapsed());
        let found: Vec<Vec<f64>> = match tested {
            Some(tested) => tested.rows(),
            None => self.matrices.iter().map(|matrix| matrix.rows().last().cloned().unwrap_or_default()).collect(),
        };
        self.free = Instant::now();
        for (matrix, found) in self.matrices.iter_mut().zip(found) {
            matrix.push(learner.row(found, matrix.rows()));
        }
        let mean = |matrix: &AccuracyMatrix| matrix.rows()[task][..=task].iter().sum::<f64>() / (task + 1) as f64;
        let accuracy_so_far: Vec<f64> = self.matrices.iter().map(mean).collect();
        observer.task_finished(&Progress {
            method: method.name(),
            task: task + 1,
            tasks: self.lab.settings.tasks,
            accuracy_so_far: &accuracy_so_far,
        });
    }

    fn read_anchors(&mut self, learner: &dyn Learner) -> Vec<Option<Anchors>> {
        let Some(table) = learner.anchors() else { return vec![None; self.lab.runs()] };
        let (pixels, classes, shape) = (table.shape[0], self.lab.task_classes(), self.lab.image_shape());
        let images = |flat: Vec<f64>| flat.chunks_exact(pixels).map(<[f64]>::to_vec).collect();
        let anchors = |flat: Vec<f64>| Anchors { classes, shape, images: images(flat) };
        self.lab.session.read(table).into_iter().map(|flat| Some(anchors(flat))).collect()
    }

    fn finish(
        self,
        method: &str,
        total: Duration,
        anchors: Vec<Option<Anchors>>,
        parameters: Vec<Vec<f64>>,
    ) -> Vec<FinishedRun> {
        let Trial { benchmark, specs, matrices, losses, train, .. } = self;
        let record = |RunSpec { seed, settings }: &RunSpec, matrix: AccuracyMatrix, losses: &[Vec<f64>]| RunRecord {
            benchmark: benchmark.into(),
            method: method.into(),
            preset: settings.preset,
            memory_per_class: settings.memory_per_class,
            seed: *seed,
            accuracy: matrix.accuracy(),
            forgetting: matrix.forgetting(),
            matrix: matrix.rows().to_vec(),
            train_seconds: train.as_secs_f64(),
            total_seconds: total.as_secs_f64(),
            diverged: diverged_at(losses).is_some(),
            diverged_at: diverged_at(losses),
            settings: settings.clone(),
        };
        let runs = specs.iter().zip(matrices).zip(losses).zip(anchors.into_iter().zip(parameters));
        runs.map(|(((spec, matrix), losses), (anchors, parameters))| FinishedRun {
            record: record(spec, matrix, &losses),
            losses,
            anchors,
            parameters,
        })
        .collect()
    }
}

/// The first loss that is not a number.
fn diverged_at(losses: &[Vec<f64>]) -> Option<DivergedAt> {
    losses.iter().enumerate().find_map(|(task, losses)| {
        let step = losses.iter().position(|loss| !loss.is_finite())?;
        Some(DivergedAt { task: task + 1, step: step + 1 })
    })
}
