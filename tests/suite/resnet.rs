//! Batch normalisation and the residual network: what they compute, and their gradients.

use crate::hal::numbers;
use hindsight::autodiff::Tape;
use hindsight::autodiff::gradcheck::gradcheck;
use hindsight::device::Device;
use hindsight::methods::hal::{Anchoring, objective};
use hindsight::nn::{ResNet, Statistics};
use hindsight::program::Session;

/// Two stages, so that a shortcut changes its shape; sides that are not even, so that padding differs by side.
pub fn tiny() -> ResNet {
    ResNet { image: [5, 4, 2], filters: vec![3, 4], blocks: 1, classes: 3 }
}

/// What the network makes of images, in double precision: features, logits, statistics.
fn computed(model: &ResNet, theta: &[f64], images: &[f64], shares: Option<&[f64]>, kept: &[f64]) -> [Vec<f64>; 3] {
    let rows = images.len() / model.image.iter().product::<usize>();
    let mut session = Session::new(&Device::Oracle, 1);
    let mut input = |shape: &[usize], values: &[f64]| {
        let stored = session.state("input", shape);
        session.write(&stored, 0, values);
        stored
    };
    let parameters = input(&[theta.len()], theta);
    let pixels = input(&[rows, images.len() / rows], images);
    let kept_averages = input(&[kept.len()], kept);
    let weights = input(&[rows], shares.unwrap_or(&vec![0.0; rows]));
    let features = session.state("features", &[rows, model.features()]);
    let logits = session.state("logits", &[rows, model.classes]);
    let own = session.state("statistics", &[kept.len()]);
    let tape = Tape::new();
    let by = match shares {
        Some(_) => Statistics::Batch { shares: tape.load(&weights) },
        None => Statistics::Running(tape.load(&kept_averages)),
    };
    let outcome = model.forward(tape.load(&parameters), tape.load(&pixels), by);
    tape.assign(&features, outcome.features);
    tape.assign(&logits, outcome.logits);
    if let Some(statistics) = outcome.statistics {
        tape.assign(&own, statistics);
    }
    let program = session.compile(&tape);
    session.run(&program, 0..1);
    [&features, &logits, &own].map(|stored| session.read(stored).remove(0))
}

fn near(a: &[f64], b: &[f64]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-9)
}

#[test]
fn the_papers_network_has_1_109_240_parameters() {
    assert_eq!(ResNet::small([32, 32, 3], 100).parameters(), 1_109_240);
}

#[test]
fn a_batch_is_normalised_by_its_own_moments_and_kept_ones_say_the_same() {
    let model = tiny();
    let (theta, images) = (numbers(model.parameters(), 0.3), numbers(3 * 40, 1.1));
    let kept = model.initial_statistics();
    let [features, logits, own] = computed(&model, &theta, &images, Some(&[1.0 / 3.0; 3]), &kept);
    let [again, logits_again, _] = computed(&model, &theta, &images, None, &own);
    assert!(near(&features, &again) && near(&logits, &logits_again));
}

#[test]
fn a_place_without_an_image_has_no_part_in_the_statistics() {
    let model = tiny();
    let (theta, kept) = (numbers(model.parameters(), 0.3), model.initial_statistics());
    let images = numbers(3 * 40, 1.1);
    let [_, alone, own] = computed(&model, &theta, &images[..80], Some(&[0.5; 2]), &kept);
    let [_, beside, with_blank] = computed(&model, &theta, &images, Some(&[0.5, 0.5, 0.0]), &kept);
    assert!(near(&alone, &beside[..alone.len()]) && near(&own, &with_blank));
}

#[test]
fn the_network_matches_finite_differences_to_second_order() {
    let model = tiny();
    let n = model.parameters();
    for own in [true, false] {
        gradcheck(&numbers(n, 0.2), &numbers(n, 1.7), |scene, theta| {
            let x = scene.input(&[3, 40], &numbers(120, 0.5));
            let labels = scene.index(&[1, 0, 2]);
            let by = match own {
                true => Statistics::Batch { shares: scene.input(&[3], &[0.5, 0.25, 0.25]) },
                false => Statistics::Running(scene.input(&[model.statistics()], &vec![0.4; model.statistics()])),
            };
            model.forward(theta, x, by).logits.cross_entropy(labels).mean(0)
        })
        .unwrap();
    }
}

#[test]
fn images_have_gradients_through_the_network_to_second_order() {
    let model = tiny();
    gradcheck(&numbers(80, 0.2), &numbers(80, 1.7), |scene, x| {
        let theta = scene.input(&[model.parameters()], &numbers(model.parameters(), 0.4));
        let by = Statistics::Running(scene.input(&[model.statistics()], &vec![0.4; model.statistics()]));
        model.forward(theta, x.reshape(&[2, 40]), by).logits.squared().total() * 0.1
    })
    .unwrap();
}

#[test]
fn hals_whole_objective_on_the_network_matches_finite_differences_to_second_order() {
    let model = tiny();
    let n = model.parameters();
    gradcheck(&numbers(n, 0.2), &numbers(n, 1.7), |scene, theta| {
        let x = scene.input(&[3, 40], &numbers(120, 0.5));
        let labels = scene.index(&[1, 0, 2]);
        let anchors = scene.input(&[2, 40], &numbers(80, 3.1));
        let (shares, anchor_shares) = (scene.input(&[3], &[1.0 / 3.0; 3]), scene.input(&[2], &[0.5; 2]));
        let logits = |theta, x, shares| model.forward(theta, x, Statistics::Batch { shares }).logits;
        let (weights, lambda) = (scene.input(&[2], &[0.5, 0.3]), scene.input(&[], &[0.7]));
        let loss = logits(theta, x, shares).cross_entropy(labels).mean(0);
        let rate = scene.input(&[], &[0.1]);
        let predict = |theta| logits(theta, anchors, anchor_shares);
        let anchoring = Anchoring { now: predict(theta), weights, lambda, first_order: false };
        objective(predict, theta, loss, rate, &anchoring)
    })
    .unwrap();
}

#[test]
fn hals_gradient_on_the_network_is_the_one_that_another_framework_finds() {
    // Written by `python benches/peers/resnet_torch.py --golden`.
    let golden: serde_json::Value = serde_json::from_str(include_str!("../golden/resnet-hal.json")).unwrap();
    let model = tiny();
    let n = model.parameters();
    let mut session = Session::new(&Device::Oracle, 1);
    let mut input = |shape: &[usize], values: &[f64]| {
        let stored = session.state("input", shape);
        session.write(&stored, 0, values);
        stored
    };
    let theta = input(&[n], &numbers(n, 0.2));
    let (images, anchors) = (input(&[3, 40], &numbers(120, 0.5)), input(&[2, 40], &numbers(80, 3.1)));
    let (weights, found) = (input(&[2], &[0.5, 0.3]), input(&[n + 1], &vec![0.0; n + 1]));
    let labels = session.indices("labels", 1, &[3]);
    session.write_index(&labels, 0, &[1, 0, 2]);
    let tape = Tape::new();
    let at = tape.load(&theta);
    let logits = |theta, x: &_, rows: usize| {
        let shares = tape.constant(1.0 / rows as f64, &[rows]);
        model.forward(theta, tape.load(x), Statistics::Batch { shares }).logits
    };
    let loss = logits(at, &images, 3).cross_entropy(tape.load(&labels)).mean(0);
    let predict = |theta| logits(theta, &anchors, 2);
    let (now, weights, lambda) = (predict(at), tape.load(&weights), tape.constant(0.7, &[]));
    let anchoring = Anchoring { now, weights, lambda, first_order: false };
    let total = objective(predict, at, loss, tape.constant(0.1, &[]), &anchoring);
    tape.assign(&found, tape.join(&[total, tape.grad(total, at)]));
    let program = session.compile(&tape);
    session.run(&program, 0..1);
    let found = session.read(&found).remove(0);
    let number = |value: &serde_json::Value| value.as_f64().unwrap();
    let expected: Vec<f64> =
        std::iter::once(&golden["objective"]).chain(golden["gradient"].as_array().unwrap()).map(number).collect();
    assert_eq!(expected.len(), n + 1);
    for (i, (a, b)) in expected.iter().zip(&found).enumerate() {
        // Both are double precision; E x² − μ² loses a few digits more than a two-pass variance.
        assert!((a - b).abs() < 1e-9 * (1.0 + a.abs()), "element {i}: {b}, and the other says {a}");
    }
}
