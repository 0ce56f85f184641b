//! Permuted MNIST: every task, the first too, shows the digits through its own fixed pixel permutation.
//!
//! A seed fixes one endless sequence of tasks. Its first three are for tuning, evaluation starts
//! with the fourth, and each task has a generator of its own, so that neither the number of tasks
//! nor the number of images changes any task's permutation.

use super::mnist::{PIXELS, TRAIN_IMAGES};
use crate::random::{Stream, generator};

/// Tasks of a seed's sequence that are for choosing hyper-parameters only (the paper's K).
pub const TUNING_TASKS: usize = 3;
/// Training images, the first of the files, that no task draws from.
pub const HELD_OUT: usize = 5_000;

/// One task: how it shows an image, and which images it trains on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskPlan {
    /// 784 entries: pixel p of the task's images is pixel `map[p]` of the original.
    pub map: Vec<u32>,
    /// Training images in the order of the one pass over them, as indices into all 60,000.
    pub images: Vec<u32>,
}

/// The evaluation tasks of a seed, in order.
///
/// # Panics
/// If a task asks for more than the 55,000 images there are to draw from.
pub fn stream(seed: u64, tasks: usize, images_per_task: usize) -> Vec<TaskPlan> {
    let positions = TUNING_TASKS..TUNING_TASKS + tasks;
    positions.map(|position| task(seed, position, images_per_task)).collect()
}

/// The three tuning tasks of a seed; none of them is an evaluation task of that seed.
///
/// # Panics
/// If a task asks for more than the 55,000 images there are to draw from.
pub fn tuning_stream(seed: u64, images_per_task: usize) -> Vec<TaskPlan> {
    (0..TUNING_TASKS).map(|position| task(seed, position, images_per_task)).collect()
}

/// The permutation that undoes `map`: `inverse(map)[map[p]] = p`.
///
/// # Panics
/// If an entry of `map` is not below its length.
pub fn inverse(map: &[u32]) -> Vec<u32> {
    let mut inverse = vec![0; map.len()];
    for (new, &old) in (0..).zip(map) {
        inverse[old as usize] = new;
    }
    inverse
}

/// The task at a position of the seed's whole sequence, tuning tasks included.
fn task(seed: u64, position: usize, images: usize) -> TaskPlan {
    let mut random = generator(seed, Stream::Data, position as u64);
    // The permutation is drawn first, so that it does not depend on how many images follow.
    let map = random.sample_without_replacement(PIXELS, PIXELS);
    let images = random.sample_without_replacement(images, TRAIN_IMAGES - HELD_OUT);
    TaskPlan {
        map: map.into_iter().map(|pixel| pixel as u32).collect(),
        images: images.into_iter().map(|image| (HELD_OUT + image) as u32).collect(),
    }
}
