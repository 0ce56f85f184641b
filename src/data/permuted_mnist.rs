//! Permuted MNIST: every task, the first too, shows the digits through its own fixed pixel permutation.
//!
//! A seed fixes one endless sequence of tasks. Its first three are for tuning, evaluation starts
//! with the fourth, and each task has a generator of its own, so that neither the number of tasks
//! nor the number of images changes any task's permutation.

use super::DataError;
use super::benchmarks::Benchmark;
use super::image_set::ImageSet;
use super::mnist::PIXELS;
use super::stream::{TUNING_TASKS, TaskPlan, digits, draw_images, refuse_fewer_test_images};
use crate::random::{Stream, generator};
use crate::settings::{Settings, TaskSet};

/// The benchmark.
pub struct PermutedMnist;

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
    fn stream(&self, data: &ImageSet, settings: &Settings, seed: u64) -> Result<Vec<TaskPlan>, DataError> {
        refuse_fewer_test_images(data, settings)?;
        let first = match settings.task_set {
            TaskSet::Tuning => 0,
            TaskSet::Evaluation => TUNING_TASKS,
        };
        (first..first + settings.tasks).map(|position| task(data, seed, position, settings.images_per_task)).collect()
    }
}

/// The task at a position of the seed's whole sequence, tuning tasks included.
fn task(data: &ImageSet, seed: u64, position: usize, images: usize) -> Result<TaskPlan, DataError> {
    let mut random = generator(seed, Stream::Data, position as u64);
    // The permutation is drawn first, so that it does not depend on how many images follow.
    let map = random.sample_without_replacement(PIXELS, PIXELS);
    let map: Vec<u32> = map.into_iter().map(|pixel| pixel as u32).collect();
    let images = draw_images(&mut random, data, images)?;
    Ok(TaskPlan { about: serde_json::json!({ "permutation": map }), map, images, classes: digits(), test: None })
}
