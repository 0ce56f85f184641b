//! The flags of `hindsight run`. Each default is the paper's, and its help says where it is from.

use super::load::DataFolder;
use super::place::Place;
use super::sizes::SizeArgs;
use super::{CliError, names};
use clap::Args;
use clap::builder::RangedU64ValueParser;
use hindsight::data::benchmarks::{self, Benchmark};
use hindsight::files;
use hindsight::methods;
use hindsight::program::Precision;
use hindsight::settings::{AnchorKind, AnchorNorm, Angles, Knob, Preset, Setting, Settings};
use hindsight::tune::Tuned;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
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

    /// Go on, as its command said, with a run that was cut short; the run folder
    #[arg(long, value_name = "DIR", exclusive = true, help_heading = "Where")]
    pub resume: Option<PathBuf>,
}

/// How often checkpoints are written.
#[derive(Args)]
pub struct HowOften {
    /// Seconds from one checkpoint to the next, which is written when a task ends and removed when all is finished (a run that is
    /// to stop writes one first)
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

    /// Which reading of HAL, where the released code and the paper differ [default: official]
    #[arg(long, value_parser = names::preset(), help_heading = "What to run")]
    pub preset: Option<Preset>,

    /// Runs of each method, trained side by side: seeds 0, 1, 2, ... (the paper has 5)
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = within(1..=1000), help_heading = "What to run")]
    pub seeds: u64,

    /// The first seed
    #[arg(long, value_name = "SEED", default_value_t = 0, value_parser = within(0..=LARGEST_SEED), help_heading = "What to run")]
    pub seed_from: u64,

    #[command(flatten)]
    pub sizes: SizeArgs,

    /// Examples remembered per class and task (Table 1: 1; Tables 5 and 6: 3 and 5) [default: 1]
    #[arg(long, value_name = "M", value_parser = count(1..=1000), help_heading = "The protocol")]
    pub memory: Option<usize>,

    /// Rotated MNIST: how tasks get their angles [default: sorted]
    #[arg(long, value_name = "HOW", value_parser = names::angles(), help_heading = "The protocol")]
    pub angles: Option<Angles>,

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

    /// HAL: what is anchored [default: learned]
    #[arg(long, value_name = "KIND", value_parser = names::anchors(), help_heading = "Hyper-parameters")]
    pub anchors: Option<AnchorKind>,

    /// HAL: by what anchors are normalised in a step, where the model has batch normalisation [default: batch]
    #[arg(long, value_name = "HOW", value_parser = names::anchor_norm(), help_heading = "Hyper-parameters")]
    pub anchor_norm: Option<AnchorNorm>,

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
        // What neither the method nor the benchmark reads stays as it is: it says nothing about the method's runs.
        let benchmark = self.benchmark();
        let reads = |setting| registered.reads().contains(&setting) || benchmark.reads().contains(&setting);
        macro_rules! set {
            ($($setting:ident: $field:ident = $flag:expr;)*) => {$(
                if let Some(value) = $flag.filter(|_| reads(Setting::$setting)) {
                    paper.$field = value;
                }
            )*};
        }
        set! {
            Preset: preset = self.preset;
            FirstOrder: first_order = Some(self.first_order);
            Anchors: anchors = self.anchors;
            AnchorNorm: anchor_norm = self.anchor_norm;
            Rate: rate = self.rate;
            Lambda: lambda = self.lambda;
            Gamma: gamma = self.gamma;
            Beta: beta = self.beta;
            AnchorSteps: anchor_steps = self.anchor_steps;
            FinetuneSteps: finetune_steps = self.finetune_steps;
            FisherBatches: fisher_batches = self.fisher_batches;
            Interpolation: interpolation = self.interpolation;
            Multiplier: multiplier = self.multiplier;
            Candidates: candidates = self.candidates;
            Samples: samples = self.samples;
            TestSamples: test_samples = self.test_samples;
            Epochs: epochs = self.epochs;
            MemoryBatch: memory_batch = self.memory_batch;
            Memory: memory_per_class = self.memory;
            Angles: angles = self.angles;
        }
        Settings { precision: self.precision, ..paper }
    }

    /// The settings that flags set.
    fn given(&self) -> impl Iterator<Item = Setting> {
        let flags = [
            (Setting::Preset, self.preset.is_some()),
            (Setting::FirstOrder, self.first_order),
            (Setting::Anchors, self.anchors.is_some()),
            (Setting::AnchorNorm, self.anchor_norm.is_some()),
            (Setting::Rate, self.rate.is_some()),
            (Setting::Lambda, self.lambda.is_some()),
            (Setting::Gamma, self.gamma.is_some()),
            (Setting::Beta, self.beta.is_some()),
            (Setting::AnchorSteps, self.anchor_steps.is_some()),
            (Setting::FinetuneSteps, self.finetune_steps.is_some()),
            (Setting::FisherBatches, self.fisher_batches.is_some()),
            (Setting::Interpolation, self.interpolation.is_some()),
            (Setting::Multiplier, self.multiplier.is_some()),
            (Setting::Candidates, self.candidates.is_some()),
            (Setting::Samples, self.samples.is_some()),
            (Setting::TestSamples, self.test_samples.is_some()),
            (Setting::Epochs, self.epochs.is_some()),
            (Setting::MemoryBatch, self.memory_batch.is_some()),
            (Setting::Memory, self.memory.is_some()),
            (Setting::Angles, self.angles.is_some()),
        ];
        flags.into_iter().filter(|(_, given)| *given).map(|(setting, _)| setting)
    }

    /// Which flag would change nothing, and why, if one would not.
    pub fn without_effect(&self) -> Option<String> {
        let of_setting = |setting: Setting| {
            let why = self.why_unread(setting)?;
            Some(format!("{} would change nothing: {why}", setting.flag()))
        };
        self.given().find_map(of_setting).or_else(|| self.data.without_effect(&[self.benchmark()]))
    }

    /// Why nothing that is to be run reads a setting; none if something does.
    fn why_unread(&self, setting: Setting) -> Option<String> {
        let benchmark = self.benchmark();
        if benchmark.reads().contains(&setting) {
            return None;
        }
        let model = benchmark.model();
        let chosen = self.method.iter().filter_map(|name| methods::find(name));
        let reasons: Vec<(&str, Option<&str>)> = chosen
            .filter(|method| method.reads().contains(&setting))
            .map(|method| (method.name(), method.ignores(setting, &self.settings(method.name(), &[]), &model)))
            .collect();
        match reasons.first() {
            _ if reasons.iter().any(|(_, why)| why.is_none()) => None,
            Some((method, why)) => Some(format!("{method} does not read it, as {}", why.unwrap_or_default())),
            None => Some(format!(
                "{} on {} does not read it; it is read by {}",
                self.method.join(", "),
                benchmark.name(),
                readers(setting).join(", ")
            )),
        }
    }

    /// Makes relative paths those of the folder where the command was typed. (The run folder is where it is found.)
    pub fn resolve(&mut self, directory: &Path) {
        self.tuned
            .iter_mut()
            .chain(self.place.paths())
            .chain(self.data.paths())
            .for_each(|path| *path = directory.join(&path));
    }

    /// The choices of --tuned.
    ///
    /// # Errors
    /// If a file is not one, or is for another benchmark, for a method that is not run, or for one that another file is for.
    pub fn read_tuned(&self) -> Result<Vec<Tuned>, CliError> {
        let mut chosen: Vec<Tuned> = vec![];
        for path in &self.tuned {
            let unusable = |reason: String| CliError::Tuned { path: path.clone(), reason };
            let tuned = self.read_tuned_file(path)?;
            if !self.method.contains(&&*tuned.method) {
                let reason = format!("it is for {}, and this run is of {}", tuned.method, self.method.join(", "));
                return Err(unusable(reason));
            }
            if chosen.iter().any(|other| other.method == tuned.method) {
                return Err(unusable(format!("another file is for {}, too", tuned.method)));
            }
            chosen.push(tuned);
        }
        Ok(chosen)
    }

    fn read_tuned_file(&self, path: &Path) -> Result<Tuned, CliError> {
        let unusable = |reason: String| CliError::Tuned { path: path.into(), reason };
        let bytes = files::read(path, LARGEST_TUNED).map_err(|e| unusable(e.to_string()))?;
        let tuned = Tuned::parse(&bytes).map_err(unusable)?;
        match tuned.benchmark == self.benchmark {
            true => Ok(tuned),
            false => Err(unusable(format!("it is for {}, and this run is on {}", tuned.benchmark, self.benchmark))),
        }
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

/// The methods and benchmarks that read a setting.
fn readers(setting: Setting) -> Vec<&'static str> {
    let methods = methods::registry().iter().filter(|method| method.reads().contains(&setting)).map(|m| m.name());
    let benchmarks = benchmarks::registry().iter().filter(|b| b.reads().contains(&setting)).map(|b| b.name());
    methods.chain(benchmarks).collect()
}

/// Bytes of the largest tuned.json that is read.
const LARGEST_TUNED: u64 = 1 << 26;

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
    number(text, Knob::Rate)
}

fn not_negative(text: &str) -> Result<f64, String> {
    number(text, Knob::Lambda)
}

fn decay(text: &str) -> Result<f64, String> {
    number(text, Knob::Beta)
}

/// A number that a knob, and those of the same range, may have.
fn number(text: &str, knob: Knob) -> Result<f64, String> {
    let number = text.parse().unwrap_or(f64::NAN);
    knob.check(number).map(|()| number).map_err(|wanted| format!("give {wanted}"))
}
