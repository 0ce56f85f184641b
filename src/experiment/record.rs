//! What is known of a run when it has ended.

use crate::settings::{Preset, Settings};
use serde::{Deserialize, Serialize};

/// Where a number was first found that is not finite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DivergedAt {
    /// Task, from 1: while it was learned, or in the test after it.
    pub task: usize,
    /// Step within the task, from 1, whose loss it was; none if it was found after the task.
    pub step: Option<usize>,
    /// What it was.
    #[serde(default)]
    pub found: NotFinite,
}

/// Numbers by which a run has diverged when they are not finite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NotFinite {
    /// The loss of a training step.
    #[default]
    Loss,
    /// A logit of a test, or what a method answers by in its place.
    Logits,
    /// A parameter, a running average, or what was sought with them, as they were when a test began.
    Parameters,
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
    /// Accuracy on every task after every task; 0 where `diverged` says that there was none.
    pub matrix: Vec<Vec<f64>>,
    /// Seconds of training, of all runs in lock-step.
    pub train_seconds: f64,
    /// Seconds of training and testing, of all runs in lock-step.
    pub total_seconds: f64,
    /// Whether a loss, a logit of a test or a trained parameter was not finite.
    pub diverged: bool,
    /// Where, if so.
    pub diverged_at: Option<DivergedAt>,
    /// All hyper-parameters.
    pub settings: Settings,
}

/// A run that has come to its end: its record, and what is too long for it.
#[derive(Clone, Debug, PartialEq)]
pub struct FinishedRun {
    /// The numbers that tables are made of.
    pub record: RunRecord,
    /// The loss of every training step, task by task.
    pub losses: Vec<Vec<f64>>,
    /// HAL's anchors after the last task.
    pub anchors: Option<Anchors>,
    /// The parameters θ after the last task, where the observer wants them.
    pub parameters: Vec<f64>,
}

/// Anchors of a run, task by task and in each class by class.
#[derive(Clone, Debug, PartialEq)]
pub struct Anchors {
    /// Classes of a task.
    pub classes: usize,
    /// Height, width and channels of an image.
    pub shape: [usize; 3],
    /// `[tasks · classes]` images, row by row, as the network saw them: in the task's own order of pixels, and prepared.
    pub images: Vec<Vec<f64>>,
}

/// A run that was stopped before its end: what is known of it. It belongs into no mean.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UnfinishedRun {
    /// Its benchmark.
    pub benchmark: String,
    /// Its method.
    pub method: String,
    /// Its seed.
    pub seed: u64,
    /// Tasks that it learned and was tested after.
    pub finished_tasks: usize,
    /// Accuracy on every task after each of those.
    pub matrix: Vec<Vec<f64>>,
    /// The loss of every training step of those, task by task; none where it was not finite.
    pub losses: Vec<Vec<Option<f64>>>,
    /// All hyper-parameters.
    pub settings: Settings,
}

impl From<&FinishedRun> for UnfinishedRun {
    /// A run that has come to its end, among others that have not.
    fn from(FinishedRun { record, losses, .. }: &FinishedRun) -> UnfinishedRun {
        UnfinishedRun {
            benchmark: record.benchmark.clone(),
            method: record.method.clone(),
            seed: record.seed,
            finished_tasks: record.matrix.len(),
            matrix: record.matrix.clone(),
            losses: losses.iter().map(|losses| finite(losses)).collect(),
            settings: record.settings.clone(),
        }
    }
}

/// JSON has no NaN: a loss that is not finite is null there.
pub(crate) fn finite(losses: &[f64]) -> Vec<Option<f64>> {
    losses.iter().map(|loss| Some(*loss).filter(|loss| loss.is_finite())).collect()
}
