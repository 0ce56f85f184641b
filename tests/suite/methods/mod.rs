//! Every method's step, against an independent one in plain loops and double precision; and the silent bugs
//! that other libraries are known for.

mod golden; // ten losses of each method
mod reference; // the independent perceptron
mod replay; // ER-Ring, A-GEM, MER, MIR, iCaRL
mod vcl; // variational inference

use crate::gpu::permuted;
use crate::gpu::{lab, small};
use hindsight::autodiff::{Stored, Tape, Var};
use hindsight::device::Device;
use hindsight::methods;
use hindsight::program::Session;
use hindsight::settings::Settings;
use reference::{Vector, World, gradient, moved};

/// Two batches a task.
pub fn tiny() -> Settings {
    Settings { tasks: 2, images_per_task: 20, ..small() }
}

/// The paper's settings of a method, at that size.
pub fn tiny_for(method: &str) -> Settings {
    let Settings { tasks, images_per_task, test_images, anchor_steps, finetune_steps, .. } = tiny();
    let paper = methods::paper_settings(methods::find(method).unwrap(), permuted());
    Settings { tasks, images_per_task, test_images, anchor_steps, finetune_steps, ..paper }
}

const SEED: u64 = 3;

/// The parameters that a method starts from, and those after each task, in double precision.
pub fn trained(method: &str, settings: &Settings) -> Vec<Vector> {
    let mut lab = lab(&Device::Oracle, settings, &[SEED]);
    let theta = lab.theta.clone();
    let mut found = vec![lab.session.read(&theta).remove(0)];
    let mut learner = methods::find(method).unwrap().start(&mut lab);
    for task in 0..settings.tasks {
        learner.learn(&mut lab, task);
        found.push(lab.session.read(&theta).remove(0));
    }
    found
}

/// Both follow the same steps in double precision: what is left is rounding.
pub fn assert_same(found: &[f64], expected: &[f64]) {
    let apart = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(apart < 1e-10, "off by {apart}");
}

/// The value of a function of some inputs, in double precision.
pub fn computed(inputs: &[(&[usize], &[f64])], f: impl for<'t> Fn(&'t Tape, &[Var<'t>]) -> Var<'t>) -> Vector {
    let tape = Tape::new();
    let mut session = Session::new(&Device::Oracle, 1);
    let mut input = |(shape, values): &(&[usize], &[f64])| {
        let stored: Stored = session.state("input", shape);
        session.write(&stored, 0, values);
        tape.load(&stored)
    };
    let inputs: Vec<Var<'_>> = inputs.iter().map(&mut input).collect();
    let value = f(&tape, &inputs);
    let result = session.state("result", &value.shape());
    tape.assign(&result, value);
    let program = session.compile(&tape);
    session.run(&program, 0..1);
    session.read(&result).remove(0)
}

#[test]
fn finetune_follows_the_gradient_of_each_batch() {
    let settings = tiny();
    let found = trained("finetune", &settings);
    let world = World::new(&settings, SEED);
    let mut theta = found[0].clone();
    for task in 0..2 {
        for batch in world.examples(task).chunks(10) {
            theta = moved(&theta, -0.1, &gradient(&theta, &world.mean(batch)));
        }
        assert_same(&found[task + 1], &theta);
    }
}

/// EWC in plain loops: a Fisher update after every batch, so that tiny tasks have some.
fn ewc(settings: &Settings, start: &[f64]) -> Vec<Vector> {
    let world = World::new(settings, SEED);
    let mut theta = start.to_vec();
    let weights = theta.len();
    let (mut fisher, mut scaled, mut last) = (vec![0.0; weights], vec![0.0; weights], vec![0.0; weights]);
    let mut found = vec![];
    for task in 0..settings.tasks {
        for batch in world.examples(task).chunks(10) {
            let g = gradient(&theta, &world.mean(batch));
            let push = |i: usize| g[i] + 2.0 * settings.lambda * scaled[i] * (theta[i] - last[i]);
            let push: Vector = (0..weights).map(push).collect();
            theta = moved(&theta, -settings.rate, &push);
            fisher = fisher.iter().zip(&g).map(|(f, g)| 0.1 * f + 0.9 * g * g).collect();
        }
        let low = fisher.iter().copied().fold(f64::INFINITY, f64::min);
        let high = fisher.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        scaled = fisher.iter().map(|f| (f - low) / (high - low)).collect();
        last = theta.clone();
        found.push(theta.clone());
    }
    found
}

#[test]
fn ewc_is_held_by_a_running_mean_of_squared_gradients_from_the_second_task_on() {
    let settings = Settings { fisher_batches: 1, ..tiny_for("ewc") };
    let found = trained("ewc", &settings);
    let expected = ewc(&settings, &found[0]);
    assert_same(&found[1], &expected[0]);
    assert_same(&found[2], &expected[1]);
    // Its penalty is not one that stays zero: it holds back the weight that mattered most.
    let free = trained("ewc", &Settings { lambda: 0.0, ..settings });
    let way = |theta: &[Vector]| moved(&theta[2], -1.0, &theta[1]);
    let (held, free) = (way(&found), way(&free));
    let apart = moved(&held, -1.0, &free).iter().fold(0.0, |most: f64, x| most.max(x.abs()));
    assert!(apart > 1e-3, "the penalty moves no weight by more than {apart}");
}

#[test]
fn fisher_information_of_ten_batches_is_the_mean_of_their_squares_not_the_square_of_their_mean() {
    let two = trained("ewc", &Settings { fisher_batches: 2, ..tiny_for("ewc") });
    let settings = tiny_for("ewc");
    let world = World::new(&settings, SEED);
    let mut theta = two[0].clone();
    let mut squares = vec![0.0; theta.len()];
    for batch in world.examples(0).chunks(10) {
        let g = gradient(&theta, &world.mean(batch));
        squares = squares.iter().zip(&g).map(|(s, g)| s + g * g).collect();
        theta = moved(&theta, -0.1, &g);
    }
    // Scaled to [0, 1], constant factors do not matter.
    let (last, high) = (theta.clone(), squares.iter().copied().fold(0.0, f64::max));
    for batch in world.examples(1).chunks(10) {
        let g = gradient(&theta, &world.mean(batch));
        let push = |i: usize| g[i] + 2.0 * 10.0 * squares[i] / high * (theta[i] - last[i]);
        let push: Vector = (0..theta.len()).map(push).collect();
        theta = moved(&theta, -0.1, &push);
    }
    assert_same(&two[2], &theta);
}

/// Squares of the gradients of each of three batches in the first task, and where they lead.
fn three_batches(settings: &Settings, start: &[f64]) -> (Vec<Vector>, Vector) {
    let world = World::new(settings, SEED);
    let mut theta = start.to_vec();
    let mut squares = vec![];
    for batch in world.examples(0).chunks(10) {
        let g = gradient(&theta, &world.mean(batch));
        squares.push(g.iter().map(|g| g * g).collect());
        theta = moved(&theta, -settings.rate, &g);
    }
    (squares, theta)
}

#[test]
fn fisher_information_is_of_the_batches_that_there_are_at_a_tasks_end() {
    for fisher_batches in [2, 10] {
        let settings = Settings { images_per_task: 30, fisher_batches, ..tiny_for("ewc") };
        let found = trained("ewc", &settings);
        let (squares, last) = three_batches(&settings, &found[0]);
        assert_same(&found[1], &last);
        let mean = |of: &[Vector], i: usize| of.iter().map(|s| s[i]).sum::<f64>() / of.len() as f64;
        let renewed = |f: f64, by: f64| 0.1 * f + 0.9 * by;
        let fisher: Vector = match fisher_batches {
            2 => (0..last.len()).map(|i| renewed(renewed(0.0, mean(&squares[..2], i)), squares[2][i])).collect(),
            _ => (0..last.len()).map(|i| renewed(0.0, mean(&squares, i))).collect(),
        };
        let high = fisher.iter().copied().fold(0.0, f64::max);
        let world = World::new(&settings, SEED);
        let mut theta = last.clone();
        for batch in world.examples(1).chunks(10) {
            let g = gradient(&theta, &world.mean(batch));
            let push = |i: usize| g[i] + 2.0 * settings.lambda * fisher[i] / high * (theta[i] - last[i]);
            let push: Vector = (0..theta.len()).map(push).collect();
            theta = moved(&theta, -settings.rate, &push);
        }
        assert_same(&found[2], &theta);
    }
}

#[test]
fn nothing_of_a_tasks_last_batches_is_added_to_the_next_tasks() {
    // Were they carried along, the third task would see other squares when the first task's batches are others.
    let settings = Settings { tasks: 3, images_per_task: 30, fisher_batches: 2, ..tiny_for("ewc") };
    let mut lab = lab(&Device::Oracle, &settings, &[SEED]);
    let mut learner = methods::find("ewc").unwrap().start(&mut lab);
    for task in 0..3 {
        learner.learn(&mut lab, task);
        let contents = lab.session.contents();
        let squares = contents.iter().find(|content| content.name == "squared gradients").unwrap();
        assert!(squares.bytes.iter().all(|byte| *byte == 0), "after task {task}");
    }
}

/// A run's accuracy on every task after every task.
fn matrix(method: &str, settings: &Settings) -> Vec<Vec<f64>> {
    crate::hal::trained(method, settings).matrix
}

#[test]
fn multitask_learns_every_task_before_the_first_test() {
    let settings = Settings { images_per_task: 1000, test_images: 500, ..tiny() };
    let matrix = matrix("multitask", &settings);
    assert!(matrix[0].iter().all(|accuracy| *accuracy > 0.5), "{matrix:?}");
    assert!(matrix.iter().all(|row| *row == matrix[0]), "and nothing after it: {matrix:?}");
}

#[test]
fn multitask_sees_every_image_once_an_epoch() {
    let once = trained("multitask", &tiny());
    let twice = trained("multitask", &Settings { epochs: 2, ..tiny() });
    assert_eq!(once[1], once[2]);
    assert_ne!(once[1], twice[1]);
}

#[test]
fn clone_and_finetune_keeps_what_each_tasks_own_model_could() {
    let settings = Settings { images_per_task: 100, tasks: 3, ..tiny() };
    let (clone, finetune) = (matrix("clone", &settings), matrix("finetune", &settings));
    for after in 0..3 {
        for task in 0..3 {
            let expected = if task < after { finetune[task][task] } else { finetune[after][task] };
            assert_eq!(clone[after][task], expected);
        }
    }
}
