//! The flags of `hindsight run`. Each default is the paper's, and its help says where it is from.

use super::load::DataFolder;
use super::place::Place;
use super::sizes::SizeArgs;
use super::{CliError, names};
use clap::Args;
use clap::builder::RangedU64ValueParser;
use hindsight::data::benchmarks::{self, Benchmark};
use hindsight::methods;
use hindsight::program::Precision;
use hindsight::settings::{AnchorKind, AnchorNorm, Angles, Preset, Settings};
use hindsight::tune::Tuned;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

/// Seeds beyond this would not survive JSON readers that keep numbers as doubles.
const LARGEST_SEED: u64 = 1 << 52;

/// `hindsight run`: runs as flags say, or those that a folder has checkpoints of.
#[derive(Args)]
#[command(next_line_help = false)]
pub struct RunCommand {
    #[command(flatten)]
    pub run: RunArgs,

    #[command(flatten)]
    pub often: HowOften,

    /// Go on, as its command said, with a run that was cut short after more than a minute; the run folder
    #[arg(long, value_name = "DIR", exclusive = true, help_heading = "Where")]
    pub resume: Option<PathBuf>,
}

/// How often checkpoints are written.
#[derive(Args)]
pub struct HowOften {
    /// Seconds from one checkpoint to the next, which is written when a task ends and removed when all is finished
    #[arg(long, value_name = "SECONDS", default_value_t = 60, help_heading = "Where")]
    checkpoint_every: u64,
}

impl HowOften {
    /// As a time.
    pub fn every(&self) -> Duration {
        Duration::from_secs(self.checkpoint_every)
    }
}

#[derive(Args)]
pub struct RunArgs {
    /// The stream of tasks to learn
    #[arg(long, default_value = "permuted-mnist", value_parser = names::benchmark(), help_heading = "What to run")]
    pub benchmark: &'static str,

    /// Methods to train, separated by commas
    #[arg(long, alias = "methods", value_delimiter = ',', default_value = "finetune,er,hal", value_parser = names::method(), help_heading = "What to run")]
    pub method: Vec<&'static str>,

    /// Which reading of HAL, where the released code and the paper differ
    #[arg(long, default_value_t = defaults().preset, value_parser = names::preset(), help_heading = "What to run")]
    pub preset: Preset,

    /// Runs of each method, trained side by side: seeds 0, 1, 2, ... (the paper has 5)
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = within(1..=1000), help_heading = "What to run")]
    pub seeds: u64,

    /// The first seed
    #[arg(long, value_name = "SEED", default_value_t = 0, value_parser = within(0..=LARGEST_SEED), help_heading = "What to run")]
    pub seed_from: u64,

    #[command(flatten)]
    pub sizes: SizeArgs,

    /// Examples remembered per class and task (Table 1: 1; Tables 5 and 6: 3 and 5)
    #[arg(long, value_name = "M", default_value_t = defaults().memory_per_class, value_parser = count(1..=1000), help_heading = "The protocol")]
    pub memory: usize,

    /// Rotated MNIST: how tasks get their angles
    #[arg(long, value_name = "HOW", default_value_t = defaults().angles, value_parser = names::angles(), help_heading = "The protocol")]
    pub angles: Angles,

    /// Learning rate, alpha (App. C, MNIST: 0.1; MER 0.03)
    #[arg(long, value_name = "ALPHA", value_parser = positive, allow_negative_numbers = true, help_heading = "Hyper-parameters")]
    pub rate: Option<f64>,

    /// Values that `hindsight tune` chose (its tuned.json), for their methods; separated by commas
    #[arg(long, value_name = "FILE", value_delimiter = ',', help_heading = "Hyper-parameters")]
    pub tuned: Vec<PathBuf>,

    /// Examples of the memory in a batch (paper, Experiments: 10; A-GEM 256)
    #[arg(long, value_name = "N", value_parser = count(1..=10_000), allow_negative_numbers = true, help_heading = "Hyper-parameters")]
    pub memory_batch: Option<usize>,

    /// HAL: weight of keeping the anchors' outputs (App. C, MNIST: 0.1); EWC: weight of the penalty (10)
    #[arg(long, value_parser = not_negative, allow_negative_numbers = true, help_heading = "Hyper-parameters")]
    pub lambda: Option<f64>,

    /// HAL: weight of the mean embedding in the anchor search (App. C, MNIST: 0.1)
    #[arg(long, value_parser = not_negative, allow_negative_numbers = true, help_heading = "Hyper-parameters")]
    pub gamma: Option<f64>,

    /// HAL: decay rate of the mean embedding (App. C: 0.5)
    #[arg(long, value_parser = decay, allow_negative_numbers = true, help_heading = "Hyper-parameters")]
    pub beta: Option<f64>,

    /// HAL: gradient steps to learn an anchor, k (App. C: 100)
    #[arg(long, value_name = "K", value_parser = count(0..=100_000), allow_negative_numbers = true, help_heading = "Hyper-parameters")]
    pub anchor_steps: Option<usize>,

    /// HAL: replay steps that the anchor search looks ahead, with preset official (released code: 50)
    #[arg(long, value_name = "N", value_parser = count(0..=100_000), allow_negative_numbers = true, help_heading = "Hyper-parameters")]
    pub finetune_steps: Option<usize>,

    /// HAL: stop the gradient at the look-ahead parameters (off in the paper, Eq. 5)
    #[arg(long, help_heading = "Hyper-parameters")]
    pub first_order: bool,

    /// HAL: what is anchored
    #[arg(long, value_name = "KIND", default_value_t = defaults().anchors, value_parser = names::anchors(), help_heading = "Hyper-parameters")]
    pub anchors: AnchorKind,

    /// HAL: by what anchors are normalised in a step, where the model has batch normalisation
    #[arg(long, value_name = "HOW", default_value_t = defaults().anchor_norm, value_parser = names::anchor_norm(), help_heading = "Hyper-parameters")]
    pub anchor_norm: AnchorNorm,

    /// EWC: mini-batches whose squared gradients make one update of the Fisher information (released code: 10)
    #[arg(long, value_name = "N", value_parser = count(1..=100_000), allow_negative_numbers = true, help_heading = "Hyper-parameters")]
    pub fisher_batches: Option<usize>,

    /// MER: how far a batch moves the parameters towards where its steps led (App. C: 0.1)
    #[arg(long, value_parser = positive, allow_negative_numbers = true, help_heading = "Hyper-parameters")]
    pub interpolation: Option<f64>,

    /// MER: how many times the learning rate the current batch gets (App. C, MNIST: 10)
    #[arg(long, value_parser = positive, allow_negative_numbers = true, help_heading = "Hyper-parameters")]
    pub multiplier: Option<f64>,

    /// MIR: examples of the memory among which the batch is chosen (its released code: 50)
    #[arg(long, value_name = "N", value_parser = count(1..=10_000), allow_negative_numbers = true, help_heading = "Hyper-parameters")]
    pub candidates: Option<usize>,

    /// VCL: draws of the weights a training step (its released code: 10)
    #[arg(long, value_name = "N", value_parser = count(1..=1000), allow_negative_numbers = true, help_heading = "Hyper-parameters")]
    pub samples: Option<usize>,

    /// VCL: draws of the weights that predictions are averaged over (10; its released code: 100)
    #[arg(long, value_name = "N", value_parser = count(1..=1000), allow_negative_numbers = true, help_heading = "Hyper-parameters")]
    pub test_samples: Option<usize>,

    /// Multitask, VCL: passes over the data (1)
    #[arg(long, value_name = "N", value_parser = count(1..=1000), allow_negative_numbers = true, help_heading = "Hyper-parameters")]
    pub epochs: Option<usize>,

    /// In what precision what layers hand on to the next is kept
    #[arg(long, value_name = "HOW", default_value_t = defaults().precision, value_parser = names::precision(), help_heading = "Where")]
    pub precision: Precision,

    #[command(flatten)]
    pub place: Place,

    #[command(flatten)]
    pub data: DataFolder,

    /// The run folder to write [default: runs/<UTC date and time>-<benchmark>]
    #[arg(long, value_name = "DIR", help_heading = "Where")]
    pub out: Option<PathBuf>,

    /// Replace what an earlier run left in --out
    #[arg(long, requires = "out", help_heading = "Where")]
    pub overwrite: bool,

    /// Write event files for TensorBoard, too
    #[arg(long, help_heading = "Where")]
    pub tensorboard: bool,

    /// First print what each program of a method does in a step: its launches, and the lines that recorded them
    #[arg(long, help_heading = "Where")]
    pub explain: bool,

    /// No progress, only the table
    #[arg(long, short, help_heading = "Where")]
    pub quiet: bool,
}

impl RunArgs {
    /// What a method is run with: the paper's values for it, or those that were chosen, but for what the flags say.
    pub fn settings(&self, method: &str, tuned: &[Tuned]) -> Settings {
        let registered = methods::find(method).expect("the command line lets only registered ones pass");
        let mut paper = self.sizes.of(self.benchmark()).of(methods::paper_settings(registered, self.benchmark()));
        for (knob, value) in tuned.iter().filter(|tuned| tuned.method == method).flat_map(|tuned| &tuned.knobs) {
            paper.set(*knob, *value);
        }
        Settings {
            preset: self.preset,
            first_order: self.first_order,
            anchors: self.anchors,
            anchor_norm: self.anchor_norm,
            rate: self.rate.unwrap_or(paper.rate),
            lambda: self.lambda.unwrap_or(paper.lambda),
            gamma: self.gamma.unwrap_or(paper.gamma),
            beta: self.beta.unwrap_or(paper.beta),
            anchor_steps: self.anchor_steps.unwrap_or(paper.anchor_steps),
            finetune_steps: self.finetune_steps.unwrap_or(paper.finetune_steps),
            fisher_batches: self.fisher_batches.unwrap_or(paper.fisher_batches),
            interpolation: self.interpolation.unwrap_or(paper.interpolation),
            multiplier: self.multiplier.unwrap_or(paper.multiplier),
            candidates: self.candidates.unwrap_or(paper.candidates),
            samples: self.samples.unwrap_or(paper.samples),
            test_samples: self.test_samples.unwrap_or(paper.test_samples),
            epochs: self.epochs.unwrap_or(paper.epochs),
            memory_batch: self.memory_batch.unwrap_or(paper.memory_batch),
            memory_per_class: self.memory,
            angles: self.angles,
            precision: self.precision,
            ..paper
        }
    }

    /// The choices of --tuned.
    ///
    /// # Errors
    /// If a file is not one, or is for another benchmark.
    pub fn read_tuned(&self) -> Result<Vec<Tuned>, CliError> {
        let read = |path: &PathBuf| {
            let unusable = |reason: String| CliError::Tuned { path: path.clone(), reason };
            let text = std::fs::read_to_string(path).map_err(|e| unusable(e.to_string()))?;
            let tuned: Tuned = serde_json::from_str(&text).map_err(|e| unusable(e.to_string()))?;
            match tuned.benchmark == self.benchmark {
                true => Ok(tuned),
                false => Err(unusable(format!("it is for {}, and this run is on {}", tuned.benchmark, self.benchmark))),
            }
        };
        self.tuned.iter().map(read).collect()
    }

    pub fn benchmark(&self) -> &'static dyn Benchmark {
        benchmarks::find(self.benchmark).expect("the command line lets only registered ones pass")
    }

    pub fn seeds(&self) -> Vec<u64> {
        (self.seed_from..self.seed_from + self.seeds).collect()
    }

    /// The first method that is named twice, if one is.
    pub fn repeated_method(&self) -> Option<&'static str> {
        let mut named = self.method.iter().enumerate();
        named.find(|(i, name)| self.method[..*i].contains(name)).map(|(_, name)| *name)
    }
}

fn defaults() -> Settings {
    Settings::default()
}

pub fn within(range: RangeInclusive<u64>) -> RangedU64ValueParser<u64> {
    RangedU64ValueParser::new().range(range)
}

pub fn count(range: RangeInclusive<u64>) -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(range)
}

fn positive(text: &str) -> Result<f64, String> {
    number(text, |x| x > 0.0, "a number above 0, such as 0.1")
}

fn not_negative(text: &str) -> Result<f64, String> {
    number(text, |x| x >= 0.0, "a number of 0 or more, such as 0.1")
}

fn decay(text: &str) -> Result<f64, String> {
    number(text, |x| (0.0..1.0).contains(&x), "a number from 0 to below 1, such as 0.5")
}

fn number(text: &str, allowed: fn(f64) -> bool, wanted: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|x| x.is_finite() && allowed(*x));
    number.ok_or_else(|| format!("give {wanted}"))
}
