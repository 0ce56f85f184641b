//! The registry of benchmarks.

use super::image_set::ImageSet;
use super::permuted_mnist::PermutedMnist;
use super::rotated_mnist::RotatedMnist;
use super::stream::{HELD_OUT, Preparation, TaskPlan};
use super::{DataError, mnist};
use crate::nn::{Mlp, Model};
use crate::settings::Settings;
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

    /// The most tasks, training images a task and test images a task that it can have.
    fn limits(&self) -> Limits {
        Limits { tasks: 1000, images_per_task: mnist::TRAIN_IMAGES - HELD_OUT, test_images: mnist::TEST_IMAGES }
    }

    /// Classes of a task.
    fn task_classes(&self) -> usize {
        mnist::CLASSES
    }

    /// A seed's tasks, in order: those of `settings.task_set`.
    ///
    /// # Panics
    /// If a task asks for more images than there are to draw from.
    fn stream(&self, data: &ImageSet, settings: &Settings, seed: u64) -> Vec<TaskPlan>;

    /// The images and labels. They are read once, and kept: looked for in `folder`, where the first call gives one, else
    /// where data sets are kept.
    ///
    /// # Errors
    /// If they are not there, or damaged.
    fn data(&self, _folder: Option<&Path>) -> Result<&'static ImageSet, DataError> {
        static DATA: OnceLock<ImageSet> = OnceLock::new();
        Ok(DATA.get_or_init(mnist::built_in))
    }

    /// What is done to every image before a model sees it, besides the division by 255.
    fn preparation(&self, _: &ImageSet) -> Option<Preparation> {
        None
    }

    /// For the manifest: what makes each seed's tasks what they are, a list a seed.
    fn describe_tasks(&self, data: &ImageSet, settings: &Settings, seeds: &[u64]) -> serde_json::Value {
        let tasks = |seed| {
            let tasks = self.stream(data, settings, seed);
            tasks.into_iter().map(|task| task.about).collect::<Vec<serde_json::Value>>()
        };
        seeds.iter().map(|&seed| (seed.to_string(), tasks(seed).into())).collect::<serde_json::Map<_, _>>().into()
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

/// All benchmarks.
pub fn registry() -> &'static [&'static dyn Benchmark] {
    &[&PermutedMnist, &RotatedMnist]
}

/// The benchmark of that name.
pub fn find(name: &str) -> Option<&'static dyn Benchmark> {
    registry().iter().copied().find(|b| b.name() == name)
}
