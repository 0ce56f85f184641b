//! Rotated MNIST: every task shows the digits at its own angle, between 0 and 180 degrees.
//!
//! By default the angles grow from task to task, one in each of T equal parts, the same for every seed.
//! Images are turned about their centre; a pixel shows the original one that is nearest to where it came
//! from, and nothing where that lies outside.

use super::DataError;
use super::benchmarks::Benchmark;
use super::image_set::ImageSet;
use super::mnist::PIXELS;
use super::stream::{BLANK, TUNING_TASKS, TaskPlan, digits, draw_images, refuse_fewer_test_images};
use crate::random::{Stream, generator};
use crate::settings::{Angles, Setting, Settings, TaskSet};

/// Pixels of a side.
const SIDE: usize = 28;
/// The largest angle, in degrees.
const HALF_TURN: f64 = 180.0;
/// The seed of the angles that are the same for every seed.
const COMMON: u64 = 0;

/// The benchmark.
pub struct RotatedMnist;

impl Benchmark for RotatedMnist {
    fn name(&self) -> &'static str {
        "rotated-mnist"
    }
    fn title(&self) -> &'static str {
        "Rotated MNIST"
    }
    fn summary(&self) -> &'static str {
        "one angle a task, growing from 0 to 180 degrees, ten classes"
    }
    fn reads(&self) -> &'static [Setting] {
        &[Setting::Angles]
    }
    fn stream(&self, data: &ImageSet, settings: &Settings, seed: u64) -> Result<Vec<TaskPlan>, DataError> {
        refuse_fewer_test_images(data, settings)?;
        let first = match settings.task_set {
            TaskSet::Tuning => 0,
            TaskSet::Evaluation => TUNING_TASKS,
        };
        let angles = angles(settings, seed);
        let task = |(position, degrees): (usize, f64)| {
            let mut random = generator(seed, Stream::Data, (first + position) as u64);
            let images = draw_images(&mut random, data, settings.images_per_task)?;
            let about = serde_json::json!({ "degrees": degrees });
            Ok(TaskPlan { map: rotation(degrees), images, classes: digits(), test: None, about })
        };
        angles.into_iter().enumerate().map(task).collect()
    }
}

/// The angles of a seed's tasks, in degrees.
pub fn angles(settings: &Settings, seed: u64) -> Vec<f64> {
    let tasks = settings.tasks;
    // Tuning tasks have angles of their own, of which no evaluation task knows.
    let stream = |seed| generator(seed, Stream::Angles, u64::from(settings.task_set == TaskSet::Tuning));
    if settings.angles == Angles::Uniform {
        let mut random = stream(seed);
        return (0..tasks).map(|_| HALF_TURN * random.unit_f64()).collect();
    }
    let mut random = stream(COMMON);
    let part = HALF_TURN / tasks as f64;
    let mut angles: Vec<f64> = (0..tasks).map(|task| part * (task as f64 + random.unit_f64())).collect();
    if settings.angles == Angles::Shuffled {
        // A stream of the seed's own, behind those of the tasks.
        generator(seed, Stream::Angles, 2).shuffle(&mut angles);
    }
    angles
}

/// Where each pixel of an image turned counter-clockwise by `degrees` comes from.
pub fn rotation(degrees: f64) -> Vec<u32> {
    let (sin, cos) = degrees.to_radians().sin_cos();
    let centre = (SIDE - 1) as f64 / 2.0;
    let source = |pixel: usize| {
        let (x, y) = ((pixel % SIDE) as f64 - centre, (pixel / SIDE) as f64 - centre);
        // Rows grow downwards, so a turn back to the original is this one.
        let (from_x, from_y) = (cos * x - sin * y + centre, sin * x + cos * y + centre);
        let nearest = |at: f64| (at.round() >= 0.0 && at.round() < SIDE as f64).then_some(at.round() as usize);
        nearest(from_x).zip(nearest(from_y)).map_or(BLANK, |(x, y)| (y * SIDE + x) as u32)
    };
    (0..PIXELS).map(source).collect()
}
