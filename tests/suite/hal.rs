//! HAL's objective: what its gradient contains, and what a step costs.

use crate::gpu::{lab, small};
use hindsight::autodiff::gradcheck::gradcheck;
use hindsight::device::Device;
use hindsight::experiment::{self, Experiment, Observer, Progress, RunRecord};
use hindsight::methods;
use hindsight::methods::hal::{Anchoring, objective};
use hindsight::nn::Mlp;
use hindsight::settings::{AnchorKind, Preset, RunSpec, Settings};

struct Silent;
impl Observer for Silent {
    fn task_finished(&mut self, _: &Progress<'_>) {}
}

/// Seed 1 of a method on Permuted MNIST.
pub fn trained(method: &str, settings: &Settings) -> RunRecord {
    let runs = RunSpec::seeds(settings, &[1]);
    let experiment = Experiment { benchmark: "permuted-mnist".into(), method: method.into(), runs };
    experiment::run(&experiment, &Device::Cpu, &mut Silent).unwrap().remove(0).record
}

pub fn numbers(n: usize, seed: f64) -> Vec<f64> {
    (0..n).map(|i| ((i as f64 + 1.0) * 7.233 + seed).sin() * 0.8).collect()
}

#[test]
fn the_whole_objective_matches_finite_differences_to_second_order() {
    let model = Mlp { units: vec![5, 4, 4, 3] };
    let n = model.parameters();
    gradcheck(&numbers(n, 0.2), &numbers(n, 1.7), |scene, theta| {
        let x = scene.input(&[3, 5], &numbers(15, 0.5));
        let labels = scene.index(&[1, 0, 2]);
        let anchors = scene.input(&[2, 5], &numbers(10, 3.1));
        let loss = model.logits(theta, x).cross_entropy(labels).mean(0);
        let rate = scene.input(&[], &[0.1]);
        let weights = scene.input(&[2], &[0.5, 0.3]);
        let lambda = scene.input(&[], &[0.7]);
        let now = model.logits(theta, anchors);
        let anchoring = Anchoring { now, weights, lambda, first_order: false };
        objective(|theta| model.logits(theta, anchors), theta, loss, rate, &anchoring)
    })
    .unwrap();
}

#[test]
fn lookahead_gradient_includes_the_second_order_term() {
    let trained = |first_order| {
        let settings = Settings { first_order, ..small() };
        let mut lab = lab(&Device::Cpu, &settings, &[3]);
        let mut learner = methods::find("hal").unwrap().start(&mut lab);
        (0..2).for_each(|task| learner.learn(&mut lab, task));
        let theta = lab.theta.clone();
        lab.session.read(&theta)
    };
    let (second, first) = (trained(false), trained(true));
    let apart = second[0].iter().zip(&first[0]).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
    assert!(apart > 1e-4, "first and second order end {apart} apart");
}

#[test]
fn every_preset_and_kind_of_anchor_learns() {
    for preset in [Preset::Official, Preset::Paper] {
        for anchors in [AnchorKind::Learned, AnchorKind::Real, AnchorKind::Mean, AnchorKind::Oracle] {
            let settings = Settings { preset, anchors, images_per_task: 200, ..small() };
            let record = trained("hal", &settings);
            // Chance is 0.1.
            assert!(record.accuracy > 0.3 && !record.diverged, "{preset} {anchors}: {}", record.accuracy);
        }
    }
}

/// Launches of a step.
pub fn launches(method: &str, first_order: bool) -> usize {
    let mut lab = lab(&Device::Cpu, &Settings { first_order, ..small() }, &[0]);
    let mut learner = methods::find(method).unwrap().start(&mut lab);
    (0..2).for_each(|task| learner.learn(&mut lab, task));
    let step = learner.step();
    let launches = step.launches().len();
    println!("{method}, first order {first_order}: {launches} launches, {:.1} MFLOP a step", step.cost().flops / 1e6);
    launches
}

#[test]
fn a_hal_step_is_at_most_40_launches_and_fewer_in_first_order() {
    let (second, first, er) = (launches("hal", false), launches("hal", true), launches("er", false));
    // One fewer than are wanted.
    assert!(second < 40 && first < second && er < first, "HAL {second}, first order {first}, ER-Ring {er}");
}

#[test]
fn a_divergence_is_reported_with_its_task_and_step() {
    let settings = Settings { rate: 1e6, ..small() };
    let record = trained("finetune", &settings);
    assert!(record.diverged);
    assert_eq!(record.diverged_at.unwrap().task, 1);
}
