//! Held to the oracle first, then warmed up and timed.

use super::case::Case;
use hindsight_kernels::{BufferId, BufferInfo, Device, Executable, Kind, Order, Store, View};
use serde::{Deserialize, Serialize};
use std::time::Instant;

/// How long a case is measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Effort {
    /// Samples of a case.
    pub samples: usize,
    /// Seconds that a sample takes at least.
    pub sample_seconds: f64,
    /// Seconds of work before a GPU is timed: its clock rests while the host computes what the oracle says. (0 in older files.)
    #[serde(default)]
    pub warm_up_seconds: f64,
}

impl Effort {
    /// As it should be.
    pub const FULL: Effort = Effort { samples: 7, sample_seconds: 0.05, warm_up_seconds: 0.2 };
    /// To see whether it works.
    pub const QUICK: Effort = Effort { samples: 3, sample_seconds: 0.005, warm_up_seconds: 0.02 };
}

/// How long a case took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The kernel's name.
    pub kernel: String,
    /// The heading it stands under.
    pub group: String,
    /// What a model does with it.
    pub name: String,
    /// Its sizes.
    pub size: String,
    /// Runs side by side: what the CPU's threads share.
    pub runs: usize,
    /// Floating-point operations of a launch, of all runs; a multiply-add is two.
    pub flops: f64,
    /// Bytes that a launch reads and writes at least once, of all runs.
    pub bytes: f64,
    /// Seconds a launch, least first.
    pub seconds: Vec<f64>,
    /// Whether its result was compared with the oracle's.
    pub verified: bool,
}

impl Measured {
    /// The median of the samples.
    pub fn median(&self) -> f64 {
        self.seconds[self.seconds.len() / 2]
    }

    /// From the least to the most of the samples, as a share of the median.
    pub fn spread(&self) -> f64 {
        (self.seconds[self.seconds.len() - 1] - self.seconds[0]) / self.median()
    }
}

/// A result that is not the oracle's.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("run {run}, element {element} is {found}, the oracle says {expected}")]
pub struct Wrong {
    /// Which run.
    pub run: usize,
    /// Which element of it.
    pub element: usize,
    /// What the device computed.
    pub found: f64,
    /// What it is in double precision.
    pub expected: f64,
}

/// Compares a case with its oracle, where it has one, then times it, of as many runs side by side as [`usual_runs`] says.
///
/// # Errors
/// If the result is another: a wrong kernel is not timed.
pub fn measure(device: &Device, case: &Case, effort: Effort) -> Result<Measured, Wrong> {
    measure_runs(device, case, usual_runs(device), effort)
}

/// The same of so many runs side by side.
///
/// # Errors
/// If the result of one is another.
pub fn measure_runs(device: &Device, case: &Case, runs: usize, effort: Effort) -> Result<Measured, Wrong> {
    let mut rig = Rig::of_runs(device, case, runs);
    let results = rig.result(); // warms up, too
    if case.has_oracle {
        let expected = Rig::of_runs(&Device::Oracle, case, 1).result().remove(0);
        results.iter().enumerate().try_for_each(|(run, found)| compare(case, run, found, &expected))?;
    }
    Ok(rig.measured(effort))
}

fn compare(case: &Case, run: usize, found: &[f64], expected: &[f64]) -> Result<(), Wrong> {
    let terms = case.terms as f64;
    for (element, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        // Terms are up to about 1, and each addition rounds the sum so far, which may end larger than they are.
        let tolerance = 2e-5 * (1.0 + expected.abs()) + 1e-6 * (terms + terms.sqrt() * expected.abs());
        // Written so that what is not a number is wrong.
        let near = (found - expected).abs() <= tolerance;
        if !near {
            return Err(Wrong { run, element, found, expected });
        }
    }
    Ok(())
}

/// Copies of a short launch in one step on a GPU, whose step is counted by a launch of its own.
const COPIES: usize = 64;
/// A launch of so many seconds hides what comes with a step and a submission.
const LONG_S: f64 = 1e-3;

/// How many runs side by side are measured where nothing else is asked for: one, but on a CPU as many as there are threads. Runs are what
/// these share, so all of it is busy then.
pub fn usual_runs(device: &Device) -> usize {
    if matches!(device, Device::Cpu) { rayon::current_num_threads() } else { 1 }
}

/// Seconds a step, least first, of something of which `time` does so many steps and tells how long they took.
pub(super) fn samples(effort: Effort, hardware: bool, time: &mut dyn FnMut(usize) -> f64) -> Vec<f64> {
    if hardware {
        let start = Instant::now();
        while start.elapsed().as_secs_f64() < effort.warm_up_seconds {
            time(1);
        }
    }
    let steps = steps_that_take(effort.sample_seconds, time);
    let mut seconds: Vec<f64> = (0..effort.samples).map(|_| time(steps) / steps as f64).collect();
    seconds.sort_by(f64::total_cmp);
    seconds
}

fn steps_that_take(seconds: f64, time: &mut dyn FnMut(usize) -> f64) -> usize {
    let mut steps = 1;
    loop {
        let taken = time(steps);
        if taken >= 0.5 * seconds {
            return (steps as f64 * (seconds / taken).max(1.0)).ceil() as usize;
        }
        steps *= 2;
    }
}

/// A case on a device: its buffers, and its launch made ready.
pub struct Rig<'a> {
    device: &'a Device,
    case: &'a Case,
    store: Store,
    inputs: Vec<View>,
    out: usize,
    executable: Executable,
    /// Launches of a step.
    copies: usize,
}

impl<'a> Rig<'a> {
    /// Makes it ready for as many runs side by side as [`usual_runs`] says.
    pub fn new(device: &'a Device, case: &'a Case) -> Self {
        Self::of_runs(device, case, usual_runs(device))
    }

    /// Makes it ready for so many runs side by side.
    pub fn of_runs(device: &'a Device, case: &'a Case, runs: usize) -> Self {
        let mut store = Store::new(device, runs);
        let view = |id| View::whole(BufferId::Stored(id));
        let operands = case.operands.iter().enumerate();
        let inputs: Vec<View> = operands.map(|(n, operand)| view(operand.allocate(&mut store, n))).collect();
        let elements = case.kernel.describe().elements();
        let out = store.allocate(BufferInfo { name: "out".into(), kind: Kind::Float, elements, shared: false });
        let executable = Executable::new(device, &store, vec![case.launch(inputs.clone(), view(out))], vec![]);
        Rig { device, case, store, inputs, out, executable, copies: 1 }
    }

    /// The output of one launch, of each run.
    fn result(&mut self) -> Vec<Vec<f64>> {
        self.executable.run(&mut self.store, 0..1, Order::Sequential);
        self.store.read(self.out)
    }

    fn measured(&mut self, effort: Effort) -> Measured {
        if matches!(self.device, Device::Gpu(_)) && self.time(1) < LONG_S {
            self.repeat(COPIES);
        }
        let mut seconds = samples(effort, self.device.is_hardware(), &mut |steps| self.time(steps));
        seconds.iter_mut().for_each(|seconds| *seconds /= self.copies as f64);
        let (case, runs, cost) = (self.case, self.store.runs(), self.case.cost());
        Measured {
            kernel: case.kernel.describe().name().into(),
            group: case.group.into(),
            name: case.name.clone(),
            size: case.size.clone(),
            runs,
            flops: cost.flops * runs as f64,
            bytes: cost.bytes * runs as f64,
            seconds,
            verified: case.has_oracle,
        }
    }

    fn repeat(&mut self, copies: usize) {
        let launch = self.case.launch(self.inputs.clone(), View::whole(BufferId::Stored(self.out)));
        self.executable = Executable::new(self.device, &self.store, vec![launch; copies], vec![]);
        self.copies = copies;
    }

    /// Work of a step, of all runs.
    pub fn flops(&self) -> f64 {
        self.case.cost().flops * (self.store.runs() * self.copies) as f64
    }

    /// How many steps take so many seconds. Found by doubling, which warms up, too.
    pub fn steps_that_take(&mut self, seconds: f64) -> usize {
        steps_that_take(seconds, &mut |steps| self.time(steps))
    }

    /// Seconds until `steps` steps are done.
    pub fn time(&mut self, steps: usize) -> f64 {
        let start = Instant::now();
        self.executable.run(&mut self.store, 0..steps, Order::Sequential);
        if let Device::Gpu(gpu) = self.device {
            gpu.wait();
        }
        start.elapsed().as_secs_f64()
    }
}
