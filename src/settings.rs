//! Hyper-parameters and the size of a benchmark: all that, with a seed, makes a run what it is.

use crate::program::Precision;
use serde::{Deserialize, Serialize};
use std::fmt;

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

/// HAL: by what the anchors are normalised in a training step, where the model has batch normalisation. (The paper does
/// not say.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AnchorNorm {
    /// The statistics of the anchors of the step.
    Batch,
    /// Running averages.
    Frozen,
    /// The statistics of the batch and the anchors together.
    Joint,
}

/// How Rotated MNIST's tasks get their angles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Angles {
    /// One in each of T equal parts of 0 to 180 degrees, growing; the same for every seed.
    Sorted,
    /// Those, in an order of the seed's own.
    Shuffled,
    /// Anywhere in 0 to 180 degrees, the seed's own.
    Uniform,
}

/// Which tasks of a seed's sequence are learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskSet {
    /// Those that results are reported on.
    Evaluation,
    /// The K = 3 that hyper-parameters are chosen on; none of them is an evaluation task.
    Tuning,
}

macro_rules! lowercase_names {
    ($($kind:ty),*) => {$(
        impl fmt::Display for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&format!("{self:?}").to_lowercase())
            }
        }
    )*};
}
lowercase_names!(Preset, AnchorKind, AnchorNorm, Angles, TaskSet, Knob);

/// A hyper-parameter that may differ from run to run of one program: it is a value on the device, not
/// part of what is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Knob {
    /// [`Settings::rate`]
    Rate,
    /// [`Settings::lambda`]
    Lambda,
    /// [`Settings::gamma`]
    Gamma,
    /// [`Settings::beta`]
    Beta,
    /// [`Settings::interpolation`]
    Interpolation,
    /// [`Settings::multiplier`]
    Multiplier,
}

impl Knob {
    /// All of them.
    pub const ALL: [Knob; 6] =
        [Knob::Rate, Knob::Lambda, Knob::Gamma, Knob::Beta, Knob::Interpolation, Knob::Multiplier];
}

impl Knob {
    /// Whether it may have this value: a number that single precision has, too, in the knob's range. If not, what it may have.
    ///
    /// # Errors
    /// Says what is allowed.
    pub fn check(self, value: f64) -> Result<(), &'static str> {
        let single = value as f32;
        let (allowed, wanted) = match self {
            Knob::Rate | Knob::Interpolation | Knob::Multiplier => {
                (single > 0.0, "a number above 0 and below 3.4e38, such as 0.1")
            }
            Knob::Lambda | Knob::Gamma => (value >= 0.0, "a number of 0 or more, below 3.4e38, such as 0.1"),
            Knob::Beta => ((0.0..1.0).contains(&value), "a number from 0 to below 1, such as 0.5"),
        };
        if allowed && single.is_finite() { Ok(()) } else { Err(wanted) }
    }
}

/// A setting that some methods or benchmarks read, and others do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// [`Settings::preset`]
    Preset,
    /// [`Settings::first_order`]
    FirstOrder,
    /// [`Settings::anchors`]
    Anchors,
    /// [`Settings::anchor_norm`]
    AnchorNorm,
    /// [`Settings::rate`]
    Rate,
    /// [`Settings::lambda`]
    Lambda,
    /// [`Settings::gamma`]
    Gamma,
    /// [`Settings::beta`]
    Beta,
    /// [`Settings::anchor_steps`]
    AnchorSteps,
    /// [`Settings::finetune_steps`]
    FinetuneSteps,
    /// [`Settings::fisher_batches`]
    FisherBatches,
    /// [`Settings::interpolation`]
    Interpolation,
    /// [`Settings::multiplier`]
    Multiplier,
    /// [`Settings::candidates`]
    Candidates,
    /// [`Settings::samples`]
    Samples,
    /// [`Settings::test_samples`]
    TestSamples,
    /// [`Settings::epochs`]
    Epochs,
    /// [`Settings::memory_batch`]
    MemoryBatch,
    /// [`Settings::memory_per_class`]
    Memory,
    /// [`Settings::angles`]
    Angles,
}

impl Setting {
    /// The flag of `hindsight run` that sets it.
    pub fn flag(self) -> &'static str {
        match self {
            Setting::Preset => "--preset",
            Setting::FirstOrder => "--first-order",
            Setting::Anchors => "--anchors",
            Setting::AnchorNorm => "--anchor-norm",
            Setting::Rate => "--rate",
            Setting::Lambda => "--lambda",
            Setting::Gamma => "--gamma",
            Setting::Beta => "--beta",
            Setting::AnchorSteps => "--anchor-steps",
            Setting::FinetuneSteps => "--finetune-steps",
            Setting::FisherBatches => "--fisher-batches",
            Setting::Interpolation => "--interpolation",
            Setting::Multiplier => "--multiplier",
            Setting::Candidates => "--candidates",
            Setting::Samples => "--samples",
            Setting::TestSamples => "--test-samples",
            Setting::Epochs => "--epochs",
            Setting::MemoryBatch => "--memory-batch",
            Setting::Memory => "--memory",
            Setting::Angles => "--angles",
        }
    }
}

/// All hyper-parameters and the size of the benchmark. A method reads those that it knows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// HAL: which description of it.
    pub preset: Preset,
    /// HAL: stops the gradient through the look-ahead.
    pub first_order: bool,
    /// HAL: where anchors come from.
    pub anchors: AnchorKind,
    /// HAL: by what anchors are normalised.
    pub anchor_norm: AnchorNorm,
    /// Learning rate α. (VCL has its own, Adam's 0.001.)
    pub rate: f64,
    /// HAL: weight λ of the anchors' drift. EWC: weight of the penalty.
    pub lambda: f64,
    /// HAL: weight γ of the mean embedding in the anchor search.
    pub gamma: f64,
    /// HAL: decay β of the mean embedding.
    pub beta: f64,
    /// HAL: steps k of the search for one anchor.
    pub anchor_steps: usize,
    /// HAL: steps on the memory that lead to θ_M (`official`).
    pub finetune_steps: usize,
    /// EWC: mini-batches whose squared gradients make one update of the Fisher information.
    pub fisher_batches: usize,
    /// MER: how far from where the batch began towards where its steps led.
    pub interpolation: f64,
    /// MER: the step on the current batch has this many times the learning rate.
    pub multiplier: f64,
    /// MIR: examples of the memory among which the batch is chosen.
    pub candidates: usize,
    /// VCL: draws of the parameters a training step.
    pub samples: usize,
    /// VCL: draws of the parameters over which predictions are averaged.
    pub test_samples: usize,
    /// Multitask: passes over the data of all tasks. VCL: passes over that of each task.
    pub epochs: usize,
    /// Examples of the stream in a batch.
    pub batch: usize,
    /// Examples of the memory in a batch.
    pub memory_batch: usize,
    /// Slots of the memory a class and task.
    pub memory_per_class: usize,
    /// Which tasks.
    pub task_set: TaskSet,
    /// Tasks T.
    pub tasks: usize,
    /// Training images a task.
    pub images_per_task: usize,
    /// Test images of each task; where all tasks have the same, the first of the test set.
    pub test_images: usize,
    /// Rotated MNIST: how tasks get their angles.
    pub angles: Angles,
    /// In what precision values are kept within a step.
    pub precision: Precision,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            preset: Preset::Official,
            first_order: false,
            anchors: AnchorKind::Learned,
            anchor_norm: AnchorNorm::Batch,
            rate: 0.1,
            lambda: 0.1,
            gamma: 0.1,
            beta: 0.5,
            anchor_steps: 100,
            finetune_steps: 50,
            fisher_batches: 10,
            interpolation: 0.1,
            multiplier: 10.0,
            candidates: 50,
            samples: 10,
            test_samples: 10,
            epochs: 1,
            batch: 10,
            memory_batch: 10,
            memory_per_class: 1,
            task_set: TaskSet::Evaluation,
            tasks: 20,
            images_per_task: 1000,
            test_images: 10_000,
            angles: Angles::Sorted,
            precision: Precision::Single,
        }
    }
}

impl Settings {
    /// Steps of a task: one pass over its images.
    pub fn steps(&self) -> usize {
        self.images_per_task.div_ceil(self.batch)
    }

    /// The value of a knob.
    pub fn get(&self, knob: Knob) -> f64 {
        match knob {
            Knob::Rate => self.rate,
            Knob::Lambda => self.lambda,
            Knob::Gamma => self.gamma,
            Knob::Beta => self.beta,
            Knob::Interpolation => self.interpolation,
            Knob::Multiplier => self.multiplier,
        }
    }

    /// Turns a knob.
    pub fn set(&mut self, knob: Knob, value: f64) {
        *match knob {
            Knob::Rate => &mut self.rate,
            Knob::Lambda => &mut self.lambda,
            Knob::Gamma => &mut self.gamma,
            Knob::Beta => &mut self.beta,
            Knob::Interpolation => &mut self.interpolation,
            Knob::Multiplier => &mut self.multiplier,
        } = value;
    }

    /// These settings with all knobs at zero: runs for which they are equal can share a program.
    pub fn without_knobs(&self) -> Settings {
        let mut settings = self.clone();
        Knob::ALL.into_iter().for_each(|knob| settings.set(knob, 0.0));
        settings
    }
}

/// The size of a benchmark, where it is not the usual one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Tasks T.
    pub tasks: Option<usize>,
    /// Training images a task.
    pub images_per_task: Option<usize>,
    /// Test images of each task.
    pub test_images: Option<usize>,
}

impl Sizes {
    /// These settings at this size.
    pub fn of(&self, settings: Settings) -> Settings {
        Settings {
            tasks: self.tasks.unwrap_or(settings.tasks),
            images_per_task: self.images_per_task.unwrap_or(settings.images_per_task),
            test_images: self.test_images.unwrap_or(settings.test_images),
            ..settings
        }
    }
}

/// One run: a seed, and its settings.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunSpec {
    /// Where all its randomness comes from.
    pub seed: u64,
    /// Its hyper-parameters.
    pub settings: Settings,
}

impl RunSpec {
    /// Runs that differ in nothing but their seeds.
    pub fn seeds(settings: &Settings, seeds: &[u64]) -> Vec<RunSpec> {
        seeds.iter().map(|&seed| RunSpec { seed, settings: settings.clone() }).collect()
    }
}
