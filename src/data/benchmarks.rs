//! The registry of benchmarks.

use super::image_set::ImageSet;
use super::mini_imagenet::{self, Progress};
use super::permuted_mnist::PermutedMnist;
use super::rotated_mnist::RotatedMnist;
use super::split::{Prepared, Split};
use super::stream::{HELD_OUT, Preparation, TaskPlan};
use super::{DataError, cifar100, digits, mnist};
use crate::nn::{Mlp, Model, ResNet};
use crate::settings::{Setting, Settings};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;

/// A stream of tasks.
pub trait Benchmark: Sync {
    /// As the command line has it.
    fn name(&self) -> &'static str;
    /// As people write it.
    fn title(&self) -> &'static str;
    /// One line.
    fn summary(&self) -> &'static str;

    /// The model that is trained on it.
    fn model(&self) -> Model {
        Model::Mlp(Mlp::mnist())
    }

    /// Turns the defaults into the paper's sizes and values for it, where they differ (Experiments, Appendix C).
    fn paper_settings(&self, _: &mut Settings) {}

    /// The settings that it reads beside its sizes.
    fn reads(&self) -> &'static [Setting] {
        &[]
    }

    /// Whether its data set is part of the program, so that none is looked for.
    fn is_built_in(&self) -> bool {
        true
    }

    /// The most tasks, training images a task and test images a task that it can have.
    fn limits(&self) -> Limits {
        Limits { tasks: 1000, images_per_task: mnist::TRAIN_IMAGES - HELD_OUT, test_images: mnist::TEST_IMAGES }
    }

    /// Classes of a task.
    fn task_classes(&self) -> usize {
        mnist::CLASSES
    }

    /// Whether it has tasks for choosing hyper-parameters.
    fn has_tuning_tasks(&self) -> bool {
        true
    }

    /// A seed's tasks, in order: those of `settings.task_set`.
    ///
    /// # Errors
    /// If a task asks for more images than there are to draw from: of a class, where classes are dealt out to tasks; where every
    /// task has all of them, of all together. (Such a task draws whatever classes come, and learns those that do.)
    fn stream(&self, data: &ImageSet, settings: &Settings, seed: u64) -> Result<Vec<TaskPlan>, DataError>;

    /// The images and labels. They are read once, and kept.
    ///
    /// # Errors
    /// If they are not there, or damaged.
    fn data(&'static self) -> Result<&'static ImageSet, DataError> {
        self.load(None, &|_| {})
    }

    /// The same, looked for in `folder` first, then where data sets are kept; says how it goes where that takes long.
    ///
    /// # Errors
    /// If they are not there, or damaged.
    fn load(&'static self, _folder: Option<&Path>, _progress: Progress<'_>) -> Result<&'static ImageSet, DataError> {
        static DATA: OnceLock<ImageSet> = OnceLock::new();
        if let Some(set) = DATA.get() {
            return Ok(set);
        }
        let set = mnist::built_in()?;
        Ok(DATA.get_or_init(|| set))
    }

    /// What is done to every image before a model sees it, besides the division by 255.
    fn preparation(&self, _: &ImageSet) -> Option<Preparation> {
        None
    }

    /// For the manifest: what makes each seed's tasks what they are, a list a seed.
    ///
    /// # Errors
    /// If a task asks for more images than there are.
    fn describe_tasks(
        &self,
        data: &ImageSet,
        settings: &Settings,
        seeds: &[u64],
    ) -> Result<serde_json::Value, DataError> {
        let mut described = serde_json::Map::new();
        for &seed in seeds {
            let tasks = self.stream(data, settings, seed)?;
            let about: Vec<serde_json::Value> = tasks.into_iter().map(|task| task.about).collect();
            described.insert(seed.to_string(), about.into());
        }
        Ok(described.into())
    }
}

/// How large a benchmark can be.
pub struct Limits {
    /// Tasks.
    pub tasks: usize,
    /// Training images a task.
    pub images_per_task: usize,
    /// Test images a task.
    pub test_images: usize,
}

/// MD5 sums of the files that a data set stands on.
pub fn checksums(data: &ImageSet) -> BTreeMap<String, String> {
    data.checksums.iter().map(|c| (c.file.to_string(), format!("md5:{}", c.md5))).collect()
}

/// Split CIFAR-100, as the paper has it.
static SPLIT_CIFAR100: Split = Split {
    name: "split-cifar100",
    title: "Split CIFAR-100",
    summary: "five of 100 classes a task, 32 x 32 in colour, by a residual network",
    image: [32, 32, 3],
    filters: &ResNet::SMALL,
    classes: 100,
    task_classes: 5,
    tuning_classes: 15,
    per_class: [500, 100],
    prepared: Prepared::LessMeanImage,
    lambda: 1.0,
    candidates: 50,
    built_in: false,
    read: |folder, _| cifar100::load(folder),
    kept: OnceLock::new(),
};

/// Split miniImageNet, as the paper has it.
static SPLIT_MINI_IMAGENET: Split = Split {
    name: "split-mini-imagenet",
    title: "Split miniImageNet",
    summary: "five of 100 classes a task, 84 x 84 in colour, by a residual network",
    image: [84, 84, 3],
    filters: &ResNet::SMALL,
    classes: 100,
    task_classes: 5,
    tuning_classes: 15,
    per_class: [500, 100],
    // ImageNet's own, of all its images.
    prepared: Prepared::Scaled { mean: [0.485, 0.456, 0.406], deviation: [0.229, 0.224, 0.225] },
    lambda: 0.3,
    candidates: 25,
    built_in: false,
    read: mini_imagenet::load,
    kept: OnceLock::new(),
};

/// The same in small, with what is part of the program.
static SPLIT_DIGITS: Split = Split {
    name: "split-digits",
    title: "Split Digits",
    summary: "two of ten digits a task, 8 x 8 in colour, by a residual network: a minute, and nothing to fetch",
    image: [digits::SIDE, digits::SIDE, 3],
    filters: &ResNet::SMALL,
    classes: digits::CLASSES,
    task_classes: 2,
    tuning_classes: 0,
    per_class: [digits::TRAIN_PER_CLASS, digits::TEST_PER_CLASS],
    prepared: Prepared::LessMeanImage,
    // The paper's for the digits of MNIST, taken after 1, its value for colour images, had been seen to learn nothing here.
    lambda: 0.1,
    candidates: 50,
    built_in: true,
    read: |_, _| Ok(digits::built_in()),
    kept: OnceLock::new(),
};

/// All benchmarks.
pub fn registry() -> &'static [&'static dyn Benchmark] {
    static ALL: [&dyn Benchmark; 5] =
        [&PermutedMnist, &RotatedMnist, &SPLIT_CIFAR100, &SPLIT_MINI_IMAGENET, &SPLIT_DIGITS];
    &ALL
}

/// The benchmark of that name.
pub fn find(name: &str) -> Option<&'static dyn Benchmark> {
    registry().iter().copied().find(|b| b.name() == name)
}
