//! A run's numbers do not depend on which others share its program, and come out the same again.

use crate::gpu::{adapter, lab, small};
use crate::kernels::numbers;
use hindsight::autodiff::{Padding, Tape};
use hindsight::device::Device;
use hindsight::methods;
use hindsight::program::Session;

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

/// Filters, a bias and images after three steps along their gradients: one run, and so many threads.
fn descend(threads: usize) -> [Vec<f64>; 2] {
    let mut session = Session::new(&Device::Cpu, 1);
    let (images, theta) = (session.state("images", &[20, 16, 16, 8]), session.state("theta", &[9 * 8 * 16 + 16]));
    for (seed, stored) in [&images, &theta].into_iter().enumerate() {
        session.write(stored, 0, &numbers(stored.shape.iter().product(), seed));
    }
    let tape = Tape::new();
    let (x, at) = (tape.load(&images), tape.load(&theta));
    let padding = Padding { rows: [1, 1], columns: [1, 1] };
    let bias = at.slice(9 * 8 * 16, &[16]).spread(0, 20 * 16 * 16).reshape(&[20, 16, 16, 16]);
    let layer = (x.conv(at.slice(0, &[3, 3, 8, 16]), [1, 1], padding) + bias).relu();
    let loss = layer.squared().total();
    tape.assign(&theta, at - tape.grad(loss, at) * 1e-4);
    tape.assign(&images, x - tape.grad(loss, x) * 1e-4);
    let step = session.compile(&tape);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| session.run(&step, 0..3));
    [&images, &theta].map(|stored| session.read(stored).remove(0))
}

#[test]
fn threads_that_share_a_run_compute_the_bits_that_one_computes() {
    let alone = descend(1);
    assert!(alone.iter().flatten().all(|x| x.is_finite()));
    assert!([2, 3, 7].into_iter().all(|threads| descend(threads) == alone));
}
