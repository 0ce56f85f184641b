//! One method on one benchmark, for a set of seeds in lock-step: the protocol of the paper.

use crate::data::benchmarks;
use crate::device::Device;
use crate::methods::{self, Lab};
use crate::metrics::AccuracyMatrix;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::{Duration, Instant};

/// Which of the paper's two descriptions of HAL is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// What the released code does.
    Official,
    /// The text's pseudo-code, word for word.
    Paper,
}

/// Where HAL's anchors come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AnchorKind {
    /// Learned, Eq. 9.
    Learned,
    /// The last image of each class (Table 4).
    Real,
    /// The class's running mean image.
    Mean,
    /// Learned with the parameters after the last task, which a first pass finds (Table 3).
    Oracle,
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format!("{self:?}").to_lowercase())
    }
}

impl fmt::Display for AnchorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format!("{self:?}").to_lowercase())
    }
}

/// All hyper-parameters and the size of the benchmark.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Which description of HAL.
    pub preset: Preset,
    /// Stops the gradient through the look-ahead.
    pub first_order: bool,
    /// Where anchors come from.
    pub anchors: AnchorKind,
    /// Learning rate α.
    pub rate: f64,
    /// Weight λ of the anchors' drift.
    pub lambda: f64,
    /// Weight γ of the mean embedding in the anchor search.
    pub gamma: f64,
    /// Decay β of the mean embedding.
    pub beta: f64,
    /// Steps k of the search for one anchor.
    pub anchor_steps: usize,
    /// Steps on the memory that lead to θ_M (`official`).
    pub finetune_steps: usize,
    /// Examples of the stream in a batch.
    pub batch: usize,
    /// Examples of the memory in a batch.
    pub memory_batch: usize,
    /// Slots of the memory a class and task.
    pub memory_per_class: usize,
    /// Tasks T.
    pub tasks: usize,
    /// Training images a task.
    pub images_per_task: usize,
    /// Test images, the first of the 10,000.
    pub test_images: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            preset: Preset::Official,
            first_order: false,
            anchors: AnchorKind::Learned,
            rate: 0.1,
            lambda: 0.1,
            gamma: 0.1,
            beta: 0.5,
            anchor_steps: 100,
            finetune_steps: 50,
            batch: 10,
            memory_batch: 10,
            memory_per_class: 1,
            tasks: 20,
            images_per_task: 1000,
            test_images: 10_000,
        }
    }
}

impl Settings {
    /// Steps of a task: one pass over its images.
    pub fn steps(&self) -> usize {
        self.images_per_task.div_ceil(self.batch)
    }
}

/// What is to be run.
pub struct Experiment {
    /// A name of the registry of benchmarks.
    pub benchmark: String,
    /// A name of the registry of methods.
    pub method: String,
    /// Hyper-parameters and sizes.
    pub settings: Settings,
    /// One run a seed, all in lock-step.
    pub seeds: Vec<u64>,
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
    /// A task was learned and tested.
    fn task_finished(&mut self, progress: &Progress<'_>);
    /// Whether to stop at the next occasion.
    fn stop_requested(&self) -> bool {
        false
    }
}

/// Where a loss was no longer a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DivergedAt {
    /// Task, from 1.
    pub task: usize,
    /// Step within the task, from 1.
    pub step: usize,
}

/// The result of one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Its benchmark.
    pub benchmark: String,
    /// Its method.
    pub method: String,
    /// Which description of HAL.
    pub preset: Preset,
    /// Slots of the memory a class and task.
    pub memory_per_class: usize,
    /// Its seed.
    pub seed: u64,
    /// Final average accuracy, Eq. 2, a fraction.
    pub accuracy: f64,
    /// Final maximum forgetting, Eq. 3.
    pub forgetting: f64,
    /// Accuracy on every task after every task.
    pub matrix: Vec<Vec<f64>>,
    /// Seconds of training, of all runs in lock-step.
    pub train_seconds: f64,
    /// Seconds of training and testing, of all runs in lock-step.
    pub total_seconds: f64,
    /// Whether a loss was not a number.
    pub diverged: bool,
    /// Where, if so.
    pub diverged_at: Option<DivergedAt>,
    /// All hyper-parameters.
    pub settings: Settings,
}

/// Why an experiment has no result.
#[derive(Debug, thiserror::Error)]
pub enum ExperimentError {
    /// The observer asked for it.
    #[error("interrupted")]
    Interrupted {
        /// Runs that came to their end.
        finished: Vec<RunRecord>,
    },
    /// Not in a registry.
    #[error("there is no {kind} '{name}'; `hindsight run --help` lists what there is")]
    Unknown {
        /// Method or benchmark.
        kind: &'static str,
        /// The name.
        name: String,
    },
}

/// Runs an experiment: every task learned once, every task tested after each.
pub fn run(
    experiment: &Experiment,
    device: &Device,
    observer: &mut dyn Observer,
) -> Result<Vec<RunRecord>, ExperimentError> {
    let unknown = |kind, name: &str| ExperimentError::Unknown { kind, name: name.into() };
    let benchmark =
        benchmarks::find(&experiment.benchmark).ok_or_else(|| unknown("benchmark", &experiment.benchmark))?;
    let method = methods::find(&experiment.method).ok_or_else(|| unknown("method", &experiment.method))?;
    let settings = &experiment.settings;
    let lab = |settings: &Settings| Lab::new(device, benchmark, settings, &experiment.seeds);
    let mut oracle = None;
    if settings.anchors == AnchorKind::Oracle && method.name() == "hal" {
        let learned = Settings { anchors: AnchorKind::Learned, ..settings.clone() };
        oracle = Some(parameters_after_all_tasks(method, lab(&learned), observer)?);
    }
    let mut lab = lab(settings);
    lab.future = oracle;
    Trial::new(experiment, lab).run(method, observer)
}

/// The oracle's first pass: where the parameters end up.
fn parameters_after_all_tasks(
    method: &dyn methods::Method,
    mut lab: Lab,
    observer: &dyn Observer,
) -> Result<Vec<Vec<f64>>, ExperimentError> {
    let mut learner = method.start(&mut lab);
    for task in 0..lab.settings.tasks {
        if observer.stop_requested() {
            return Err(ExperimentError::Interrupted { finished: vec![] });
        }
        learner.learn(&mut lab, task);
    }
    let theta = lab.theta.clone();
    Ok(lab.session.read(&theta))
}

struct Trial<'a> {
    experiment: &'a Experiment,
    lab: Lab,
    matrices: Vec<AccuracyMatrix>,
    diverged: Vec<Option<DivergedAt>>,
    train: Duration,
}

impl<'a> Trial<'a> {
    fn new(experiment: &'a Experiment, lab: Lab) -> Trial<'a> {
        let matrices = (0..lab.runs()).map(|_| AccuracyMatrix::new(experiment.settings.tasks)).collect();
        let diverged = vec![None; lab.runs()];
        Trial { experiment, lab, matrices, diverged, train: Duration::ZERO }
    }

    fn run(
        mut self,
        method: &dyn methods::Method,
        observer: &mut dyn Observer,
    ) -> Result<Vec<RunRecord>, ExperimentError> {
        let start = Instant::now();
        let mut learner = method.start(&mut self.lab);
        let tasks = self.experiment.settings.tasks;
        for task in 0..tasks {
            if observer.stop_requested() {
                return Err(ExperimentError::Interrupted { finished: vec![] });
            }
            let begun = Instant::now();
            learner.learn(&mut self.lab, task);
            self.look_for_divergence(task);
            self.train += begun.elapsed();
            let rows = self.lab.test();
            let so_far: Vec<f64> =
                rows.iter().map(|row| row[..=task].iter().sum::<f64>() / (task + 1) as f64).collect();
            self.matrices.iter_mut().zip(rows).for_each(|(matrix, row)| matrix.push(row));
            observer.task_finished(&Progress {
                method: method.name(),
                task: task + 1,
                tasks,
                accuracy_so_far: &so_far,
            });
        }
        Ok(self.records(method.name(), start.elapsed()))
    }

    /// Reads the losses of a task, which waits for the device.
    fn look_for_divergence(&mut self, task: usize) {
        let losses = self.lab.losses.clone();
        for (run, losses) in self.lab.session.read(&losses).iter().enumerate() {
            let step = losses.iter().position(|loss| !loss.is_finite());
            let at = step.map(|step| DivergedAt { task: task + 1, step: step + 1 });
            self.diverged[run] = self.diverged[run].or(at);
        }
    }

    fn records(&self, method: &str, total: Duration) -> Vec<RunRecord> {
        let settings = &self.experiment.settings;
        let record = |(run, &seed): (usize, &u64)| RunRecord {
            benchmark: self.experiment.benchmark.clone(),
            method: method.into(),
            preset: settings.preset,
            memory_per_class: settings.memory_per_class,
            seed,
            accuracy: self.matrices[run].accuracy(),
            forgetting: self.matrices[run].forgetting(),
            matrix: self.matrices[run].rows().to_vec(),
            train_seconds: self.train.as_secs_f64(),
            total_seconds: total.as_secs_f64(),
            diverged: self.diverged[run].is_some(),
            diverged_at: self.diverged[run],
            settings: settings.clone(),
        };
        self.experiment.seeds.iter().enumerate().map(record).collect()
    }
}
