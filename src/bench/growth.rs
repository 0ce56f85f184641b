//! How the cost of HAL grows with its sizes, beside what its launches and the device's ceilings say.
//!
//! Each point is a small experiment on Permuted MNIST, in which one size is moved. What it took is the time of its
//! launches and of the gaps between them, first steps left out, since drivers compile in them. The prediction adds up, for
//! the same launches, what none can be faster than: its arithmetic at the rate of multiply-adds, its bytes at that of
//! copies, or being launched.

use super::Ceilings;
use crate::data::benchmarks;
use crate::device::Device;
use crate::experiment::{self, Experiment, ExperimentError, Observer, Progress};
use crate::methods;
use crate::profile::Profile;
use crate::program::Recorder;
use crate::settings::{Preset, RunSpec, Settings};
use serde::{Deserialize, Serialize};

/// A size that is moved.
#[derive(Clone, Copy)]
pub struct Axis {
    /// What it is.
    pub name: &'static str,
    /// How an experiment holds it.
    pub what: &'static str,
    /// The smallest first.
    pub values: &'static [usize],
    set: fn(&mut Sizes, usize),
}

/// The sizes of an experiment.
struct Sizes {
    settings: Settings,
    runs: usize,
}

/// An experiment at one value of an axis.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// The value.
    pub value: usize,
    /// Seconds of a training step of one run, inside launches, in the last task.
    pub training_step_s: f64,
    /// Seconds of a step of the anchor search of one run.
    pub search_step_s: f64,
    /// Seconds of all launches of the experiment and of the gaps between them.
    pub measured_s: f64,
    /// What the device's ceilings give those launches.
    pub predicted_s: f64,
}

/// What is moved on a device.
pub fn axes() -> Vec<Axis> {
    let axis = |name, what, values, set| Axis { name, what, values, set };
    vec![
        axis("runs side by side", "seeds trained in lock-step", &[1, 2, 4, 8, 16, 32], |at, runs| at.runs = runs),
        axis("tasks", "each tested after each: tests grow with the square", &[2, 4, 8, 16], |at, tasks| {
            at.settings.tasks = tasks;
        }),
        axis("batch", "new examples a step; as many steps", &[10, 20, 40, 80, 160], |at, batch| {
            at.settings.images_per_task *= batch / at.settings.batch;
            at.settings.batch = batch;
        }),
        axis("memory", "examples kept of each class and task: more to draw from", &[1, 4, 16, 64], |at, examples| {
            at.settings.memory_per_class = examples;
        }),
        axis("replayed", "examples and anchors that a step draws, in task 9", &[10, 20, 40, 80], |at, examples| {
            at.settings.tasks = 9;
            at.settings.memory_batch = examples;
        }),
        axis(
            "anchors",
            "all of them in every step, ten a past task (preset paper)",
            &[10, 40, 90, 190],
            |at, anchors| {
                at.settings.preset = Preset::Paper;
                at.settings.tasks = anchors / 10 + 1;
            },
        ),
    ]
}

impl Sizes {
    fn base() -> Sizes {
        let benchmark = benchmarks::find(BENCHMARK).expect("it is in the registry");
        let method = methods::find(METHOD).expect("it is in the registry");
        let mut settings = methods::paper_settings(method, benchmark);
        (settings.tasks, settings.images_per_task, settings.test_images) = (3, 400, 1000);
        (settings.anchor_steps, settings.finetune_steps) = (20, 20);
        Sizes { settings, runs: 2 }
    }
}

const BENCHMARK: &str = "permuted-mnist";
const METHOD: &str = "hal";

impl Axis {
    /// Measures a point: the median of so many experiments.
    ///
    /// # Errors
    /// If an experiment fails: for lack of memory, as a rule.
    pub fn measure(
        &self,
        device: &Device,
        ceilings: &Ceilings,
        value: usize,
        samples: usize,
    ) -> Result<Point, ExperimentError> {
        let mut points = (0..samples).map(|_| self.sample(device, ceilings, value)).collect::<Result<Vec<_>, _>>()?;
        points.sort_by(|a, b| a.measured_s.total_cmp(&b.measured_s));
        Ok(points[points.len() / 2])
    }

    fn sample(&self, device: &Device, ceilings: &Ceilings, value: usize) -> Result<Point, ExperimentError> {
        let mut sizes = Sizes::base();
        (self.set)(&mut sizes, value);
        let seeds: Vec<u64> = (0..sizes.runs as u64).collect();
        let runs = RunSpec::seeds(&sizes.settings, &seeds);
        let experiment = Experiment { benchmark: BENCHMARK.into(), method: METHOD.into(), runs };
        let recorder = Recorder::timing(device, 1);
        experiment::run(&experiment, device, &mut LookingOn(recorder.clone()))?;
        let profile = Profile::of(&recorder).expect("programs ran").under(ceilings.clone());
        let [measured_s, predicted_s] = profile.measured_and_predicted_s();
        let step_s = |name: &str| profile.last_step_of_a_run_s(name).unwrap_or(0.0);
        let (training_step_s, search_step_s) = (step_s("training step"), step_s("anchor search"));
        Ok(Point { value, training_step_s, search_step_s, measured_s, predicted_s })
    }
}

struct LookingOn(Recorder);

impl Observer for LookingOn {
    fn task_finished(&mut self, _: &Progress<'_>) {}
    fn recorder(&self) -> Option<&Recorder> {
        Some(&self.0)
    }
}
