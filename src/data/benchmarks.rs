//! The registry of benchmarks.

use super::{mnist::Mnist, permuted_mnist};
use crate::experiment::Settings;
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
    /// MD5 sums of the files it stands on.
    fn checksums(&self) -> BTreeMap<String, String>;
    /// For the manifest: each seed's pixel maps, a list a task.
    fn permutations(&self, settings: &Settings, seeds: &[u64]) -> serde_json::Value;
    /// The images and labels.
    fn data(&self) -> &'static Mnist;
    /// A seed's evaluation tasks, in order.
    fn stream(&self, settings: &Settings, seed: u64) -> Vec<permuted_mnist::TaskPlan>;
}

struct PermutedMnist;

impl Benchmark for PermutedMnist {
    fn name(&self) -> &'static str {
        "permuted-mnist"
    }
    fn title(&self) -> &'static str {
        "Permuted MNIST"
    }
    fn summary(&self) -> &'static str {
        "one fixed shuffle of the pixels a task, ten classes"
    }
    fn checksums(&self) -> BTreeMap<String, String> {
        self.data().checksums().iter().map(|c| (c.file.to_string(), format!("md5:{}", c.md5))).collect()
    }
    fn permutations(&self, settings: &Settings, seeds: &[u64]) -> serde_json::Value {
        let maps = |seed| {
            self.stream(settings, seed).into_iter().map(|task| task.map.into()).collect::<Vec<serde_json::Value>>()
        };
        seeds.iter().map(|&seed| (seed.to_string(), maps(seed).into())).collect::<serde_json::Map<_, _>>().into()
    }
    fn data(&self) -> &'static Mnist {
        static DATA: OnceLock<Mnist> = OnceLock::new();
        DATA.get_or_init(Mnist::built_in)
    }
    fn stream(&self, settings: &Settings, seed: u64) -> Vec<permuted_mnist::TaskPlan> {
        permuted_mnist::stream(seed, settings.tasks, settings.images_per_task)
    }
}

/// All benchmarks.
pub fn registry() -> &'static [&'static dyn Benchmark] {
    &[&PermutedMnist]
}

/// The benchmark of that name.
pub fn find(name: &str) -> Option<&'static dyn Benchmark> {
    registry().iter().copied().find(|b| b.name() == name)
}
