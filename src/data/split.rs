//! Split benchmarks: a set of images whose classes are dealt out to tasks, each class to one.
//!
//! Class orders: the first 15 classes are those of the three tuning tasks, in order; the others are shuffled by the
//! seed and dealt out in fives. (A set of ten classes has none to spare for tuning, and deals out all in twos.)

use super::DataError;
use super::benchmarks::{Benchmark, Limits};
use super::image_set::ImageSet;
use super::mini_imagenet::Progress;
use super::stream::{Preparation, TUNING_TASKS, TaskPlan};
use crate::nn::{Model, ResNet};
use crate::random::{Stream, generator};
use crate::settings::{Settings, TaskSet};
use std::path::Path;
use std::sync::OnceLock;

/// How a model is to see the images.
#[derive(Clone, Copy)]
pub enum Prepared {
    /// As numbers from 0 to 1.
    Plain,
    /// Less the mean of all training images, pixel by pixel.
    LessMeanImage,
    /// Less a mean and over a deviation, each one a channel.
    Scaled {
        /// Of each channel.
        mean: [f64; 3],
        /// Of each channel.
        deviation: [f64; 3],
    },
}

/// A benchmark of this kind.
pub struct Split {
    /// As the command line has it.
    pub name: &'static str,
    /// As people write it.
    pub title: &'static str,
    /// One line.
    pub summary: &'static str,
    /// Height, width and channels of an image.
    pub image: [usize; 3],
    /// Filters of each stage of the network, which has two blocks a stage.
    pub filters: &'static [usize],
    /// Classes of the set.
    pub classes: usize,
    /// Classes of a task.
    pub task_classes: usize,
    /// Classes that are kept for tuning tasks.
    pub tuning_classes: usize,
    /// Training and test images of a class.
    pub per_class: [usize; 2],
    /// What is done to the images.
    pub prepared: Prepared,
    /// The paper's λ of HAL and candidates of MIR (Appendix C; released code).
    pub lambda: f64,
    /// Candidates of MIR.
    pub candidates: usize,
    /// Whether the set is part of the program.
    pub built_in: bool,
    /// Reads the set.
    pub read: fn(Option<&Path>, Progress<'_>) -> Result<ImageSet, DataError>,
    /// The set, once it is read.
    pub kept: OnceLock<ImageSet>,
}

impl Split {
    /// A seed's classes in the order in which tasks take them.
    fn class_order(&self, task_set: TaskSet, seed: u64) -> Vec<u32> {
        let (tuning, mut others): (Vec<u32>, Vec<u32>) =
            (0..self.classes as u32).partition(|class| (*class as usize) < self.tuning_classes);
        generator(seed, Stream::Classes, 0).shuffle(&mut others);
        if task_set == TaskSet::Tuning { tuning } else { others }
    }
}

impl Benchmark for Split {
    fn name(&self) -> &'static str {
        self.name
    }
    fn title(&self) -> &'static str {
        self.title
    }
    fn summary(&self) -> &'static str {
        self.summary
    }
    fn model(&self) -> Model {
        let filters = self.filters.to_vec();
        Model::ResNet(ResNet { image: self.image, filters, blocks: 2, classes: self.classes })
    }
    fn paper_settings(&self, settings: &mut Settings) {
        let Limits { tasks, images_per_task, test_images } = self.limits();
        *settings = Settings {
            tasks,
            images_per_task,
            test_images,
            rate: 0.03,
            lambda: self.lambda,
            multiplier: 5.0,
            candidates: self.candidates,
            fisher_batches: 50,
            ..settings.clone()
        };
    }
    fn limits(&self) -> Limits {
        let [train, test] = self.per_class.map(|n| n * self.task_classes);
        let tasks = (self.classes - self.tuning_classes) / self.task_classes;
        Limits { tasks, images_per_task: train, test_images: test }
    }
    fn is_built_in(&self) -> bool {
        self.built_in
    }
    fn task_classes(&self) -> usize {
        self.task_classes
    }
    fn has_tuning_tasks(&self) -> bool {
        self.tuning_classes >= TUNING_TASKS * self.task_classes
    }
    fn stream(&self, data: &ImageSet, settings: &Settings, seed: u64) -> Result<Vec<TaskPlan>, DataError> {
        let order = self.class_order(settings.task_set, seed);
        let deal = |part, labels| Deal { part, labels, of: &order, task_classes: self.task_classes };
        let (train, test) = (deal(Part::Training, &data.train_labels), deal(Part::Test, &data.test_labels));
        // Each part has generators of its own, so that a tuning task has nothing to do with an evaluation task.
        let first = if settings.task_set == TaskSet::Tuning { 0 } else { TUNING_TASKS };
        let task = |(position, classes): (usize, &[u32])| {
            let mut random = generator(seed, Stream::Data, (first + position) as u64);
            let mut images = train.taken(classes, settings.images_per_task, |of_class| random.shuffle(of_class))?;
            random.shuffle(&mut images);
            Ok(TaskPlan {
                map: (0..data.pixels() as u32).collect(),
                images,
                classes: classes.to_vec(),
                test: Some(test.taken(classes, settings.test_images, |_| {})?),
                about: serde_json::json!({ "classes": classes }),
            })
        };
        order.chunks_exact(self.task_classes).take(settings.tasks).enumerate().map(task).collect()
    }
    fn load(&'static self, folder: Option<&Path>, progress: Progress<'_>) -> Result<&'static ImageSet, DataError> {
        if let Some(set) = self.kept.get() {
            return Ok(set);
        }
        let set = (self.read)(folder, progress)?;
        refuse_empty_classes(self.title, &set)?;
        Ok(self.kept.get_or_init(|| set))
    }
    fn preparation(&self, data: &ImageSet) -> Option<Preparation> {
        let pixels = data.pixels();
        match self.prepared {
            Prepared::Plain => None,
            Prepared::LessMeanImage => {
                let mut sums = vec![0u64; pixels];
                for image in data.train_images.chunks_exact(pixels) {
                    sums.iter_mut().zip(image).for_each(|(sum, pixel)| *sum += u64::from(*pixel));
                }
                let images = data.train_labels.len() as f64;
                let shift = sums.into_iter().map(|sum| -(sum as f64) / images / 255.0).collect();
                Some(Preparation { scale: vec![1.0; pixels], shift })
            }
            Prepared::Scaled { mean, deviation } => {
                let of = |value: &dyn Fn(usize) -> f64| (0..pixels).map(|p| value(p % 3)).collect();
                let (scale, shift) = (of(&|c| 1.0 / deviation[c]), of(&|c| -mean[c] / deviation[c]));
                Some(Preparation { scale, shift })
            }
        }
    }
}

/// Sees that every class has training and test images.
///
/// # Errors
/// Names the first class that has none.
pub fn refuse_empty_classes(title: &str, set: &ImageSet) -> Result<(), DataError> {
    for (part, labels) in [(Part::Training, &set.train_labels), (Part::Test, &set.test_labels)] {
        if let Some(class) = (0..set.classes as u32).find(|class| count(labels, *class) == 0) {
            let whose = format!("{title}, {} images of class {class}", part.name());
            let remedy = "put back the class's images, or take a fresh copy of the data set".into();
            return Err(DataError::TooFew { whose, found: 0, expected: 1, remedy });
        }
    }
    Ok(())
}

/// A part of a data set.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    Training,
    Test,
}

impl Part {
    fn name(self) -> &'static str {
        if self == Part::Training { "training" } else { "test" }
    }
}

/// What a part's images are dealt out by.
struct Deal<'a> {
    part: Part,
    labels: &'a [u8],
    /// All classes that may be dealt out.
    of: &'a [u32],
    task_classes: usize,
}

impl Deal<'_> {
    /// `count` images of these classes, as many of each as can be, the first of each after `order` has ordered them.
    fn taken(
        &self,
        classes: &[u32],
        count: usize,
        mut order: impl FnMut(&mut Vec<u32>),
    ) -> Result<Vec<u32>, DataError> {
        let mut taken = vec![];
        for (position, &class) in classes.iter().enumerate() {
            let own = |(_, label): &(u32, &u8)| u32::from(**label) == class;
            let mut images: Vec<u32> = (0..).zip(self.labels).filter(own).map(|(image, _)| image).collect();
            let expected = count / classes.len() + usize::from(position < count % classes.len());
            if images.len() < expected {
                return Err(self.too_few(class, images.len(), expected));
            }
            order(&mut images);
            taken.extend(&images[..expected]);
        }
        Ok(taken)
    }

    fn too_few(&self, class: u32, found: usize, expected: usize) -> DataError {
        let least = self.of.iter().map(|&class| count(self.labels, class)).min().unwrap_or(0);
        let remedy = match self.part {
            _ if least == 0 => "a class without images cannot be learned: complete the data set".into(),
            Part::Training => format!("take --per-class {least}, which every class has"),
            Part::Test => format!("take --test-images {}, which every task has", least * self.task_classes),
        };
        DataError::TooFew { whose: format!("{} images of class {class}", self.part.name()), found, expected, remedy }
    }
}

/// Images of a class.
fn count(labels: &[u8], class: u32) -> usize {
    labels.iter().filter(|label| u32::from(**label) == class).count()
}
