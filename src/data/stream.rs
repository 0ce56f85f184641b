//! What a benchmark is to those who learn it: a sequence of tasks, each a way to show an image and the
//! images that it trains on.

use super::mnist::CLASSES;
use super::{DataError, ImageSet};
use crate::random::Generator;
use crate::settings::Settings;

/// Tasks of a seed's sequence that are for choosing hyper-parameters only (the paper's K).
pub const TUNING_TASKS: usize = 3;
/// Training images, the first of the files, that no task draws from.
pub const HELD_OUT: usize = 5_000;
/// An entry of a map for a pixel that shows nothing.
pub use hindsight_kernels::BLANK;

/// One task: how it shows an image, and which images it trains on.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskPlan {
    /// An entry a pixel (and channel): pixel p of the task's images is pixel `map[p]` of the original, or [`BLANK`].
    pub map: Vec<u32>,
    /// Training images in the order of the one pass over them, as indices into all.
    pub images: Vec<u32>,
    /// Its classes; an answer is one of them.
    pub classes: Vec<u32>,
    /// Test images, as indices into all. None: the first ones, for every task.
    pub test: Option<Vec<u32>>,
    /// What makes the task what it is, for the manifest.
    pub about: serde_json::Value,
}

/// How a model is to see the numbers of an image, which are bytes / 255: times `scale`, plus `shift`, each with an
/// entry a pixel and channel.
pub struct Preparation {
    /// Factors.
    pub scale: Vec<f64>,
    /// What is added.
    pub shift: Vec<f64>,
}

/// `count` training images, drawn from those not held out, whatever their classes.
///
/// # Errors
/// If that is more than there are.
pub(super) fn draw_images(random: &mut Generator, data: &ImageSet, count: usize) -> Result<Vec<u32>, DataError> {
    let there = data.train_labels.len().saturating_sub(HELD_OUT);
    if count > there {
        let whose = format!("the training images after the first {HELD_OUT}, which are held out,");
        return Err(DataError::TooFew {
            whose,
            found: there,
            expected: count,
            remedy: format!("take --images {there}"),
        });
    }
    let drawn = random.sample_without_replacement(count, there);
    Ok(drawn.into_iter().map(|image| (HELD_OUT + image) as u32).collect())
}

/// Sees that there are as many test images as every task is tested on: the first of all.
pub(super) fn refuse_fewer_test_images(data: &ImageSet, settings: &Settings) -> Result<(), DataError> {
    let (found, expected) = (data.test_labels.len(), settings.test_images);
    let remedy = format!("take --test-images {found}");
    let too_few = || DataError::TooFew { whose: "the test images".into(), found, expected, remedy };
    if found < expected { Err(too_few()) } else { Ok(()) }
}

/// What undoes `map`: for each original pixel, where it is shown. A permutation shows each pixel once, a
/// rotation to the nearest neighbour not at all, once or twice. Lists are filled up with [`BLANK`] to the
/// same length.
pub fn shown_at(map: &[u32]) -> Vec<Vec<u32>> {
    let mut places = vec![vec![]; map.len()];
    for (shown, &original) in (0..).zip(map).filter(|(_, original)| **original != BLANK) {
        places[original as usize].push(shown);
    }
    let most = places.iter().map(Vec::len).max().unwrap_or(0).max(1);
    places.iter_mut().for_each(|at| at.resize(most, BLANK));
    places
}

/// The classes of a task that has all of MNIST's.
pub(super) fn digits() -> Vec<u32> {
    (0..CLASSES as u32).collect()
}
