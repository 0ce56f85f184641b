//! Split benchmarks: which classes and images a task has, masked heads, and every method on a residual network.

use crate::gpu::{adapter, lab_on};
use hindsight::autodiff::{Tape, Var};
use hindsight::data::ImageSet;
use hindsight::data::benchmarks::Benchmark;
use hindsight::data::split::{Prepared, Split, refuse_empty_classes};
use hindsight::device::Device;
use hindsight::methods::{self, Batch, Lab, Tested};
use hindsight::settings::{AnchorNorm, RunSpec, Settings, TaskSet};
use std::sync::OnceLock;

const CLASSES: usize = 14;
const SIDE: usize = 5;
const PIXELS: usize = SIDE * SIDE * 3;

/// Fourteen classes, of which six are for tuning; a class's images are its colour, and noise.
static COLOURS: Split = made_up(&[3, 4]);
/// The same for a network whose layers are alike: a software adapter compiles each shader for seconds.
static COLOURS_IN_ONE_STAGE: Split = made_up(&[3]);

const fn made_up(filters: &'static [usize]) -> Split {
    Split {
        name: "colours",
        title: "Colours",
        summary: "made up",
        image: [SIDE, SIDE, 3],
        filters,
        classes: CLASSES,
        task_classes: 2,
        tuning_classes: 6,
        per_class: [20, 6],
        prepared: Prepared::LessMeanImage,
        lambda: 1.0,
        candidates: 6,
        built_in: true,
        read: |_, _| Ok(colours()),
        kept: OnceLock::new(),
    }
}

fn colours() -> ImageSet {
    let part = |per_class: usize, salt: usize| {
        let mut images = vec![];
        let mut labels = vec![];
        // Classes take turns, so that no part of the set is of one class.
        for n in 0..per_class * CLASSES {
            let class = n % CLASSES;
            labels.push(class as u8);
            images.extend((0..PIXELS).map(|p| {
                let noise = (n * 7919 + p * 104_729 + salt) % 61;
                ((class + 1) * (p % 3 + 2) * 37 % 190 + noise) as u8
            }));
        }
        (images, labels)
    };
    let ((train_images, train_labels), (test_images, test_labels)) = (part(20, 0), part(6, 1));
    ImageSet {
        shape: [SIDE, SIDE, 3],
        classes: CLASSES,
        train_images,
        train_labels,
        test_images,
        test_labels,
        checksums: vec![],
    }
}

fn settings() -> Settings {
    let mut settings = Settings::default();
    COLOURS.paper_settings(&mut settings);
    Settings { tasks: 3, anchor_steps: 4, finetune_steps: 4, ..settings }
}

fn lab(device: &Device, settings: &Settings, seeds: &[u64]) -> Lab {
    lab_on(&COLOURS, device, settings, seeds)
}

#[test]
fn sizes_and_values_are_the_benchmarks() {
    let settings = settings();
    assert_eq!((settings.images_per_task, settings.test_images, settings.rate, settings.lambda), (40, 12, 0.03, 1.0));
    assert_eq!(COLOURS.limits().tasks, 4);
}

#[test]
fn every_class_has_one_task_and_tuning_classes_none() {
    let data = colours();
    let classes = |task_set, tasks, seed| {
        let settings = Settings { task_set, tasks, ..settings() };
        COLOURS.stream(&data, &settings, seed).unwrap().into_iter().map(|task| task.classes).collect::<Vec<_>>()
    };
    let mut all = classes(TaskSet::Evaluation, 4, 5).concat();
    assert_ne!(classes(TaskSet::Evaluation, 4, 6).concat(), all, "a seed has an order of its own");
    all.sort_unstable();
    assert_eq!(all, (6..14).collect::<Vec<_>>());
    assert_eq!(classes(TaskSet::Tuning, 3, 5), [[0, 1], [2, 3], [4, 5]]);
    assert_eq!(classes(TaskSet::Evaluation, 2, 5), classes(TaskSet::Evaluation, 4, 5)[..2]);
}

#[test]
fn a_task_has_the_images_of_its_classes_each_once() {
    let data = colours();
    for task in COLOURS.stream(&data, &settings(), 5).unwrap() {
        let of = |images: &[u32], labels: &[u8], class: u32| {
            images.iter().filter(|&&image| u32::from(labels[image as usize]) == class).count()
        };
        let test = task.test.unwrap();
        for &class in &task.classes {
            assert_eq!((of(&task.images, &data.train_labels, class), of(&test, &data.test_labels, class)), (20, 6));
        }
        let mut images = task.images.clone();
        images.sort_unstable();
        images.dedup();
        assert_eq!(images.len(), 40);
        assert!(!task.images.is_sorted(), "they come in a random order");
    }
    let fewer = Settings { images_per_task: 7, ..settings() };
    let task = &COLOURS.stream(&data, &fewer, 5).unwrap()[1];
    let first = task.images.iter().filter(|&&i| u32::from(data.train_labels[i as usize]) == task.classes[0]);
    assert_eq!((task.images.len(), first.count()), (7, 4));
}

/// Gives `count` images of one class to another.
fn relabel(labels: &mut [u8], from: u8, to: u8, count: usize) {
    labels.iter_mut().filter(|label| **label == from).take(count).for_each(|label| *label = to);
}

#[test]
fn a_class_with_fewer_images_than_a_task_takes_is_refused_with_a_way_out() {
    let mut data = colours();
    relabel(&mut data.train_labels, 9, 10, 2);
    relabel(&mut data.test_labels, 12, 13, 1);
    let all = Settings { tasks: 4, ..settings() };
    let refusal = |data: &ImageSet, settings: &Settings| COLOURS.stream(data, settings, 5).unwrap_err().to_string();
    let said = refusal(&data, &all);
    assert!(said.contains("training images of class 9: expected 20 or more for each task, found 18"), "{said}");
    assert!(said.contains("--per-class 18"), "{said}");
    let fewer = Settings { images_per_task: 36, ..all };
    let said = refusal(&data, &fewer);
    assert!(said.contains("test images of class 12: expected 6 or more for each task, found 5"), "{said}");
    assert!(said.contains("--test-images 10"), "{said}");
    let settings = Settings { test_images: 10, ..fewer };
    for task in COLOURS.stream(&data, &settings, 5).unwrap() {
        assert_eq!((task.images.len(), task.test.unwrap().len()), (36, 10));
    }
    // Tuning tasks have other classes.
    assert!(COLOURS.stream(&data, &Settings { task_set: TaskSet::Tuning, ..self::settings() }, 5).is_ok());
    let data: &'static ImageSet = Box::leak(Box::new(data));
    let lab = |settings: &Settings| Lab::new(&Device::Cpu, &COLOURS, data, &RunSpec::seeds(settings, &[5]));
    assert!(lab(&Settings { images_per_task: 40, ..settings.clone() }).is_err());
    let mut lab = lab(&settings).unwrap();
    let mut learner = methods::find("er").unwrap().start(&mut lab);
    learner.learn(&mut lab, 0);
    assert!(lab.test()[0].iter().all(|found| (0.0..=1.0).contains(found)));
}

#[test]
fn a_class_without_images_is_refused_when_it_is_read_and_when_it_is_dealt() {
    for (of_test, part) in [(false, "training"), (true, "test")] {
        let mut data = colours();
        relabel(if of_test { &mut data.test_labels } else { &mut data.train_labels }, 7, 8, 99);
        let read = refuse_empty_classes("Colours", &data).unwrap_err().to_string();
        assert!(read.contains(&format!("Colours, {part} images of class 7")) && read.contains("found 0"), "{read}");
        let dealt = COLOURS.stream(&data, &Settings { tasks: 4, ..settings() }, 5).unwrap_err().to_string();
        assert!(dealt.contains("class 7") && dealt.contains("found 0") && dealt.contains("complete"), "{dealt}");
    }
    assert!(refuse_empty_classes("Colours", &colours()).is_ok());
}

#[test]
fn the_mean_image_is_taken_away() {
    let data = colours();
    let shift = COLOURS.preparation(&data).unwrap().shift;
    let images = data.train_images.chunks_exact(PIXELS);
    let mean = |p: usize| images.clone().map(|image| f64::from(image[p]) / 255.0 + shift[p]).sum::<f64>();
    assert!((0..PIXELS).all(|p| mean(p).abs() < 1e-9));
}

/// Parameters whose head favours one class by far.
fn favouring(lab: &mut Lab, class: Option<u32>) {
    let theta = lab.theta.clone();
    let mut values = lab.session.read(&theta).remove(0);
    if let Some(class) = class {
        let biases = values.len() - CLASSES;
        values[biases + class as usize] += 100.0;
    }
    lab.session.write(&theta, 0, &values);
}

#[test]
fn an_answer_is_one_of_the_classes_of_the_task() {
    let mut lab = lab(&Device::Oracle, &settings(), &[5]);
    let before = lab.test();
    let outside = *lab.classes_of(0, 2).first().unwrap();
    favouring(&mut lab, Some(outside));
    let after = lab.test();
    assert_eq!(before[0][..2], after[0][..2]);
    assert_eq!(after[0][2], 0.5, "of its own task's two classes it is always the answer");
}

/// The gradient of something about ten examples of a run's second task, for the head's biases, each with whether its
/// class is the task's.
fn of_biases(value: impl for<'t> Fn(&Lab, Var<'t>, &Batch<'t>) -> Var<'t>) -> Vec<(f64, bool)> {
    let mut lab = lab(&Device::Oracle, &settings(), &[5]);
    let stream = lab.stream("batch", 1, 10);
    let gradient = lab.session.state("gradient", &[lab.model.parameters()]);
    let examples = lab.examples(0, 1)[..10].to_vec();
    lab.write_batches(&stream, 0, &[examples]);
    let tape = Tape::new();
    let theta = tape.load(&lab.theta);
    tape.assign(&gradient, tape.grad(value(&lab, theta, &lab.batch(&tape, &stream)), theta));
    let program = lab.session.compile(&tape);
    lab.session.run(&program, 0..1);
    let found = lab.session.read(&gradient).remove(0);
    let of_task = (0..CLASSES as u32).map(|class| lab.classes_of(0, 1).contains(&class));
    found[found.len() - CLASSES..].iter().copied().zip(of_task).collect()
}

#[test]
fn a_loss_has_a_gradient_for_the_classes_of_the_task_alone() {
    let found = of_biases(|lab, theta, batch| lab.loss(theta, batch));
    assert!(found.iter().all(|&(slope, of_task)| (slope != 0.0) == of_task), "{found:?}");
}

#[test]
fn a_masked_logit_depends_on_nothing() {
    // Not that its huge mask absorbs it: gradients are those of exact arithmetic, as are the rules by which a GPU's
    // compiler may reorder sums. One that did let all classes take part in HAL's drift.
    let found = of_biases(|lab, theta, batch| lab.forward(theta, batch).logits.total());
    assert!(found.iter().all(|&(slope, of_task)| slope == if of_task { 10.0 } else { 0.0 }), "{found:?}");
}

/// The parameters and averages of each run after all tasks.
fn trained(method: &str, device: &Device, settings: &Settings, seeds: &[u64]) -> Vec<Vec<f64>> {
    trained_in(lab(device, settings, seeds), method)
}

fn trained_in(mut lab: Lab, method: &str) -> Vec<Vec<f64>> {
    let mut learner = methods::find(method).unwrap().start(&mut lab);
    for task in 0..lab.settings.tasks {
        learner.learn(&mut lab, task);
        let rows = learner.test(&mut lab, task).map(Tested::rows);
        assert!(rows.iter().flatten().flatten().all(|accuracy| (0.0..=1.0).contains(accuracy)));
    }
    lab.learned().into_iter().map(|learned| [learned.theta, learned.statistics].concat()).collect()
}

#[test]
fn every_method_but_vcl_trains_a_network_with_batch_normalisation() {
    for method in methods::registry() {
        let vcl = method.name().starts_with("vcl");
        assert_eq!(method.trains(&COLOURS.model()), !vcl, "{}", method.name());
        if vcl {
            continue;
        }
        let mut settings = settings();
        method.paper_settings(&mut settings);
        let found = trained(method.name(), &Device::Cpu, &settings, &[5]);
        assert!(found[0].iter().all(|x| x.is_finite()), "{}", method.name());
    }
}

#[test]
fn anchors_are_normalised_in_three_ways_that_differ() {
    let ways = [AnchorNorm::Batch, AnchorNorm::Frozen, AnchorNorm::Joint];
    let found = ways.map(|anchor_norm| {
        trained("hal", &Device::Oracle, &Settings { anchor_norm, lambda: 0.1, ..settings() }, &[5]).remove(0)
    });
    assert!(found.iter().flatten().all(|x| x.is_finite()));
    assert!(found[0] != found[1] && found[1] != found[2] && found[0] != found[2]);
}

#[test]
fn learned_anchors_are_images_less_the_mean_image() {
    let settings = settings();
    let mut lab = lab(&Device::Oracle, &settings, &[5]);
    let mut learner = methods::find("hal").unwrap().start(&mut lab);
    (0..2).for_each(|task| learner.learn(&mut lab, task));
    let anchors = lab.session.read(learner.anchors().unwrap()).remove(0);
    let shift = COLOURS.preparation(&colours()).unwrap().shift;
    // The second task's two anchors are scaled to [0, 1] before the mean image is taken away.
    for anchor in anchors.chunks_exact(PIXELS).skip(2).take(2) {
        let image: Vec<f64> = anchor.iter().zip(&shift).map(|(x, shift)| x - shift).collect();
        let (low, high) = (image.iter().copied().fold(1.0, f64::min), image.iter().copied().fold(0.0, f64::max));
        assert!(low.abs() < 1e-12 && (high - 1.0).abs() < 1e-12, "{low} .. {high}");
    }
}

#[test]
fn run_two_of_three_equals_run_two_alone_on_a_residual_network() {
    let settings = Settings { tasks: 2, ..settings() };
    let together = trained("hal", &Device::Cpu, &settings, &[4, 5, 6]);
    assert_eq!(together[1], trained("hal", &Device::Cpu, &settings, &[5])[0]);
}

#[test]
fn an_adapter_trains_a_residual_network_as_the_cpu_does() {
    let Some(gpu) = adapter() else { return };
    let settings = Settings { tasks: 2, images_per_task: 20, lambda: 0.1, ..settings() };
    let [a, b] = [&Device::Cpu, &gpu]
        .map(|device| trained_in(lab_on(&COLOURS_IN_ONE_STAGE, device, &settings, &[5]), "hal").remove(0));
    let distance = a.iter().zip(&b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
    let length = a.iter().map(|a| a * a).sum::<f64>().sqrt();
    // Four steps, of which two look ahead, amplify single-precision rounding.
    assert!(distance < 1e-4 * length, "off by {distance} of {length}");
}
