//! One method on one benchmark, for a set of runs in lock-step: the protocol of the paper.

pub(crate) mod checkpoint;
mod record;
mod step;
mod trial;

pub use checkpoint::{CheckpointError, Checkpoints, Origin};
pub(crate) use record::finite;
pub use record::{Anchors, DivergedAt, FinishedRun, NotFinite, RunRecord, UnfinishedRun};
pub use step::launches_of_step;

use crate::data::DataError;
use crate::data::benchmarks::{self, Benchmark};
use crate::device::{Device, Room};
use crate::methods::{self, Lab, Learned};
use crate::program::{Cpu, Footprint, Precision, Recorder, SessionState, Stop};
use crate::settings::{AnchorKind, RunSpec};
use checkpoint::{Checkpoint, Keeper};
use hindsight_kernels::{Launch, TooManyIterations, memory};
use trial::Trial;

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
    /// Who is asked, several times a second, whether to stop. None: nobody.
    fn stop(&self) -> Option<Stop> {
        None
    }
    /// Where it is kept how far long runs have come, and read again. None: nowhere.
    fn checkpoints(&self) -> Option<&Checkpoints> {
        None
    }
    /// Runs go on after their first `_done` of `_tasks` tasks, or `_within` the next, as a checkpoint has them.
    fn resumed(&mut self, _method: &str, _done: usize, _tasks: usize, _within: bool) {}
    /// Whether the trained parameters are wanted, of every run to the end: as much memory again as they are trained in, twice.
    fn wants_parameters(&self) -> bool {
        false
    }
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
    /// The observer asked for it. What was known of the runs at hand, and is in their checkpoint, if one could be written.
    #[error("interrupted")]
    Interrupted(Vec<UnfinishedRun>),
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
    /// A launch that the device's driver would not compute to its end.
    #[error(transparent)]
    Loops(#[from] TooManyIterations),
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
    let (footprint, launches) = rehearse(method, Lab::new(&Device::Dry, benchmark, data, &experiment.runs[..1])?);
    device.check_loops(&launches)?;
    let footprint = Footprint { cpu: cpu(device), ..footprint };
    let kept = observer.checkpoints().is_some();
    let at_a_time = fitting(&footprint, device, experiment.runs.len(), kept)?.min(at_most);
    observer.prepared(method.name(), &footprint, at_a_time, experiment.runs.len(), experiment.runs[0].settings.tasks);
    let recorder = observer.recorder().map(|recorder| recorder.of(method.name()));
    let checkpoints = observer.checkpoints().cloned();
    let mut finished: Vec<FinishedRun> = vec![];
    while finished.len() < experiment.runs.len() {
        let (first, rest) = (finished.len(), &experiment.runs[finished.len()..]);
        let begin = |all: &Checkpoints| all.begin(experiment, data, device, footprint.per_run, first, at_a_time);
        let (count, mut keeper, kept) = match &checkpoints {
            Some(all) => begin(all).map(|(count, keeper, kept)| (count, Some(keeper), kept))?,
            None => (at_a_time.min(rest.len()), None, None),
        };
        let runs = &rest[..count];
        let lab = |runs: &[RunSpec]| -> Result<Lab, ExperimentError> {
            let mut lab = Lab::new(device, benchmark, data, runs)?;
            recorder.iter().for_each(|recorder| lab.session.record_with(recorder.clone()));
            Ok(lab)
        };
        let is_oracle = runs[0].settings.anchors == AnchorKind::Oracle && method.name() == "hal";
        let (kept, oracle) = match kept {
            kept if !is_oracle => (kept, None),
            Some(kept @ Checkpoint { future: Some(_), .. }) => {
                let future = kept.future.clone();
                (Some(kept), future)
            }
            first_pass => {
                let mut learned = runs.to_vec();
                learned.iter_mut().for_each(|run| run.settings.anchors = AnchorKind::Learned);
                let lab = lab(&learned)?;
                let state = first_pass.map(|kept| kept.state);
                (None, Some(models_after_all_tasks(method, lab, state, keeper.as_mut(), observer)?))
            }
        };
        let mut lab = lab(runs)?;
        lab.future = oracle;
        let more_follow = first + count < experiment.runs.len();
        match Trial::new(&experiment.benchmark, runs, lab, keeper).run(method, kept, more_follow, observer) {
            Ok(runs) => finished.extend(runs),
            Err(ExperimentError::Interrupted(unfinished)) => {
                let all = finished.iter().map(UnfinishedRun::from).chain(unfinished);
                return Err(ExperimentError::Interrupted(all.collect()));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(finished)
}

/// Tells a recorder of all programs that an experiment compiles. Nothing is computed.
///
/// # Errors
/// If the experiment cannot be run.
pub fn explain(experiment: &Experiment, recorder: &Recorder) -> Result<(), ExperimentError> {
    let (benchmark, method) = find(&experiment.benchmark, &experiment.method)?;
    let mut lab = Lab::new(&Device::Dry, benchmark, benchmark.data()?, &experiment.runs[..1])?;
    lab.session.record_with(recorder.of(method.name()));
    rehearse(method, lab);
    Ok(())
}

/// What one run takes, and all launches that it is compiled to: it is prepared, and goes through
/// its tasks, on a device that computes nothing.
fn rehearse(method: &dyn methods::Method, mut lab: Lab) -> (Footprint, Vec<Launch>) {
    let mut learner = method.start(&mut lab);
    for task in 0..lab.settings.tasks {
        learner.learn(&mut lab, task);
        learner.test(&mut lab, task);
    }
    let (settings, pixels) = (&lab.settings, lab.model.inputs());
    // Images and the map of pixels of a task, and its losses twice, as they are read and in a record.
    let of_task = size_of::<u32>() * (settings.images_per_task + pixels) + 2 * size_of::<f64>() * settings.steps();
    let footprint = Footprint { host: (settings.tasks * of_task) as u64, ..lab.session.footprint() };
    (footprint, lab.session.launches())
}

/// What a CPU's memory is taken by already, and will be shared by.
fn cpu(device: &Device) -> Option<Cpu> {
    let is_cpu = matches!(device, Device::Cpu | Device::Oracle);
    is_cpu.then(|| Cpu { threads: rayon::current_num_threads(), resident: memory::resident().unwrap_or(0) })
}

/// How many of `runs` runs fit on a device, with their checkpoint if one is to be `kept`.
fn fitting(footprint: &Footprint, device: &Device, runs: usize, kept: bool) -> Result<usize, ExperimentError> {
    let room = device.room();
    match (footprint.runs_that_fit(room, runs, kept), room) {
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

/// Of a state that is not of the tasks that its checkpoint has.
const TOO_FAR: &str = "its number of steps is not that of its tasks";

/// What makes a run smaller.
const SMALLER: &str = "take smaller tasks (--images, --test-images), a smaller --memory-batch, or another --device";

fn mib(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}

/// The oracle's first pass: where the parameters end up. It goes on from `kept`, and can be stopped, as the second.
fn models_after_all_tasks(
    method: &dyn methods::Method,
    mut lab: Lab,
    kept: Option<SessionState>,
    mut keeper: Option<&mut Keeper>,
    observer: &mut dyn Observer,
) -> Result<Vec<Learned>, ExperimentError> {
    let mut learner = method.start(&mut lab);
    let stop = observer.stop();
    if let Some((kept, keeper)) = kept.zip(keeper.as_ref()) {
        lab.session.go_on_from(kept).map_err(|other| keeper.unusable(&other))?;
    }
    lab.session.stop_when(stop.clone());
    for task in 0..=lab.settings.tasks {
        let stopped = lab.session.is_stopped() || stop.as_ref().is_some_and(|stop| stop(lab.session.steps()));
        let due = keeper.as_ref().is_some_and(|keeper| keeper.is_due());
        // Until it has come as far as it was, the last checkpoint is the better one.
        let has_moved = lab.session.steps() > 0 && !lab.session.is_behind();
        if let Some(keeper) = keeper.as_mut().filter(|_| has_moved && (stopped || due)) {
            let written =
                keeper.write(Checkpoint::of_first_pass(lab.runs(), lab.session.capture()), lab.session.device());
            written.unwrap_or_else(|error| observer.checkpoint_failed(&error));
        }
        if stopped {
            return Err(ExperimentError::Interrupted(vec![]));
        }
        if task < lab.settings.tasks {
            learner.learn(&mut lab, task);
        }
    }
    if lab.session.is_behind() {
        return Err(keeper.expect("a state was read from its file").unusable(&TOO_FAR).into());
    }
    Ok(lab.learned())
}
