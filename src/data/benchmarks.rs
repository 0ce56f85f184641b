//! The registry of benchmarks.

use super::image_set::ImageSet;
use super::mnist;
use super::permuted_mnist::PermutedMnist;
use super::rotated_mnist::RotatedMnist;
use super::stream::TaskPlan;
use crate::settings::Settings;
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// A stream of tasks.
pub trait Benchmark: Sync {
    /// As the command line has it.
    fn name(&self) -> &'static str;
    /// As people write it.
    fn title(&self) -> &'static str;
    /// One line.
    fn summary(&self) -> &'static str;
    /// A seed's tasks, in order: those of `settings.task_set`.
    ///
    /// # Panics
    /// If a task asks for more than the 55,000 images there are to draw from.
    fn stream(&self, settings: &Settings, seed: u64) -> Vec<TaskPlan>;

    /// The images and labels.
    fn data(&self) -> &'static ImageSet {
        static DATA: OnceLock<ImageSet> = OnceLock::new();
        DATA.get_or_init(mnist::built_in)
    }

    /// MD5 sums of the files it stands on.
    fn checksums(&self) -> BTreeMap<String, String> {
        self.data().checksums.iter().map(|c| (c.file.to_string(), format!("md5:{}", c.md5))).collect()
    }

    /// For the manifest: what makes each seed's tasks what they are, a list a seed.
    fn describe_tasks(&self, settings: &Settings, seeds: &[u64]) -> serde_json::Value {
        let tasks =
            |seed| self.stream(settings, seed).into_iter().map(|task| task.about).collect::<Vec<serde_json::Value>>();
        seeds.iter().map(|&seed| (seed.to_string(), tasks(seed).into())).collect::<serde_json::Map<_, _>>().into()
    }
}

/// All benchmarks.
pub fn registry() -> &'static [&'static dyn Benchmark] {
    &[&PermutedMnist, &RotatedMnist]
}

/// The benchmark of that name.
pub fn find(name: &str) -> Option<&'static dyn Benchmark> {
    registry().iter().copied().find(|b| b.name() == name)
}
