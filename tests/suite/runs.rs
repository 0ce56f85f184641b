//! A run's numbers do not depend on which others share its program, and come out the same again.

use crate::gpu::{adapter, lab, small};
use hindsight::device::Device;
use hindsight::methods;

/// Parameters and accuracies after two tasks of HAL.
fn train(device: &Device, seeds: &[u64]) -> Vec<(Vec<f64>, Vec<f64>)> {
    let mut lab = lab(device, &small(), seeds);
    let mut learner = methods::find("hal").unwrap().start(&mut lab);
    (0..2).for_each(|task| learner.learn(&mut lab, task));
    let theta = lab.theta.clone();
    let accuracies = lab.test();
    lab.session.read(&theta).into_iter().zip(accuracies).collect()
}

fn run_two_of_three_equals_run_two_alone(device: &Device) {
    let together = train(device, &[4, 5, 6]);
    let alone = train(device, &[5]);
    assert!(together[1] == alone[0], "run 2 of 3 differs from run 2 alone");
    assert!(together[0] != alone[0], "two seeds gave one result");
}

#[test]
fn run_two_of_three_equals_run_two_alone_on_the_cpu() {
    run_two_of_three_equals_run_two_alone(&Device::Cpu);
}

#[test]
fn run_two_of_three_equals_run_two_alone_on_an_adapter() {
    if let Some(gpu) = adapter() {
        run_two_of_three_equals_run_two_alone(&gpu);
    }
}

#[test]
fn a_second_run_gives_identical_numbers() {
    assert!(train(&Device::Cpu, &[9]) == train(&Device::Cpu, &[9]));
}
