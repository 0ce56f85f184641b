//! What needs an adapter. Where HINDSIGHT_REQUIRE_GPU is set, a missing one is a failure.

use hindsight::autodiff::Tape;
use hindsight::data::benchmarks::{self, Benchmark};
use hindsight::device::{Device, DeviceChoice};
use hindsight::methods::hal::{Anchoring, objective};
use hindsight::methods::{self, Lab};
use hindsight::nn::Mlp;
use hindsight::program::{Recorder, Session};
use hindsight::random::{Stream, generator};
use hindsight::settings::{RunSpec, Settings};
use std::sync::OnceLock;

/// The adapter, software included; `None` (and a word about it) where there is none.
pub fn adapter() -> Option<Device> {
    static DEVICE: OnceLock<Option<Device>> = OnceLock::new();
    DEVICE.get_or_init(own_adapter).clone()
}

/// The adapter, opened for the caller alone: what has many shaders to compile doesn't queue with other tests then.
pub fn own_adapter() -> Option<Device> {
    match Device::open(&DeviceChoice::Gpu) {
        Ok(device) => Some(device),
        Err(error) if std::env::var_os("HINDSIGHT_REQUIRE_GPU").is_some() => panic!("{error}"),
        Err(error) => {
            eprintln!("skipped: {error}");
            None
        }
    }
}

pub fn small() -> Settings {
    Settings {
        tasks: 3,
        images_per_task: 60,
        test_images: 100,
        anchor_steps: 3,
        finetune_steps: 3,
        ..Settings::default()
    }
}

pub fn permuted() -> &'static dyn Benchmark {
    benchmarks::find("permuted-mnist").unwrap()
}

pub fn lab(device: &Device, settings: &Settings, seeds: &[u64]) -> Lab {
    lab_on(permuted(), device, settings, seeds)
}

pub fn lab_on(benchmark: &'static dyn Benchmark, device: &Device, settings: &Settings, seeds: &[u64]) -> Lab {
    Lab::new(device, benchmark, benchmark.data().unwrap(), &RunSpec::seeds(settings, seeds)).unwrap()
}

#[test]
fn parameters_after_training_agree_with_the_cpu() {
    let Some(gpu) = adapter() else { return };
    for method in methods::registry() {
        let trained = |device: &Device| {
            let mut lab = lab(device, &small(), &[7]);
            let mut learner = method.start(&mut lab);
            (0..2).for_each(|task| learner.learn(&mut lab, task));
            let theta = lab.theta.clone();
            lab.session.read(&theta).remove(0)
        };
        let (a, b) = (trained(&Device::Cpu), trained(&gpu));
        let distance = a.iter().zip(&b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
        let length = a.iter().map(|a| a * a).sum::<f64>().sqrt();
        // Twelve steps at rate 0.1 amplify single-precision rounding; a wrong kernel is off by orders more.
        assert!(distance < 1e-4 * length, "{}: off by {distance} of {length}", method.name());
    }
}

/// By which training is told from the test after it on a driver that computes while it is handed work.
#[test]
fn what_a_device_has_computed_is_not_said_to_be_coming() {
    let Some(device) = own_adapter() else { return };
    let mut session = Session::new(&device, 2);
    let state = session.state("state", &[3]);
    session.write(&state, 1, &[1.0, 2.0, 3.0]);
    let reading = session.read_later(&state);
    let Device::Gpu(gpu) = &device else { panic!("an adapter is a GPU") };
    gpu.wait();
    assert!(!reading.is_coming());
    assert_eq!(reading.wait(), [[0.0; 3], [1.0, 2.0, 3.0]]);
}

#[test]
fn weights_are_moved_once_for_all_test_images_of_a_task() {
    let Some(gpu) = adapter() else { return };
    let settings = Settings { test_images: 5000, ..small() };
    let recorder = Recorder::explaining(&gpu);
    let tested = |device: &Device| {
        let mut lab = lab(device, &settings, &[3]);
        lab.session.record_with(recorder.of("any"));
        lab.test().remove(0)
    };
    let right = tested(&gpu);
    let programs = recorder.programs();
    let launches = &programs.iter().find(|program| program.explanation.name == "test").unwrap().explanation.launches;
    let count = |kernel: &str| launches.iter().filter(|launch| launch.kernel == kernel).count();
    // Two chunks of 2,500 images, which go through three layers each: too large to be one launch.
    assert_eq!((count("gather_rows"), count("matmul")), (1, 6));
    for (gpu, cpu) in right.into_iter().zip(tested(&Device::Cpu)) {
        // But for images of which two classes have the same logit but for rounding.
        assert!((gpu - cpu).abs() < 1e-3, "{gpu} of images right, {cpu} on the CPU");
    }
}

/// HAL's gradient at the paper's sizes: the step's batch, its memory batch, ten anchors.
fn first_gradient(device: &Device) -> Vec<f64> {
    let model = Mlp::mnist();
    let mut session = Session::new(device, 1);
    let theta = session.state("theta", &[model.parameters()]);
    let gradient = session.state("gradient", &[model.parameters()]);
    let (images, anchors) = (session.state("images", &[20, 784]), session.state("anchors", &[10, 784]));
    let labels = session.indices("labels", 1, &[20]);
    let mut random = generator(5, Stream::Initialisation, 0);
    session.write(&theta, 0, &model.initial(&mut random));
    let mut pixels = |n: usize| (0..n * 784).map(|_| random.normal().max(0.0) * 0.3).collect::<Vec<_>>();
    session.write(&images, 0, &pixels(20));
    session.write(&anchors, 0, &pixels(10));
    session.write_index(&labels, 0, &(0..20).map(|i| i % 10).collect::<Vec<_>>());
    let tape = Tape::new();
    let at = tape.load(&theta);
    let loss = model.logits(at, tape.load(&images)).cross_entropy(tape.load(&labels)).mean(0);
    let predict = |at| model.logits(at, tape.load(&anchors));
    let (now, weights, lambda) = (predict(at), tape.constant(0.1, &[10]), tape.constant(0.1, &[]));
    let anchoring = Anchoring { now, weights, lambda, first_order: false };
    let objective = objective(predict, at, loss, tape.constant(0.1, &[]), &anchoring);
    tape.assign(&gradient, tape.grad(objective, at));
    let program = session.compile(&tape);
    session.run(&program, 0..1);
    session.read(&gradient).remove(0)
}

#[test]
fn the_first_gradient_agrees_with_double_precision_to_1e_4() {
    let expected = first_gradient(&Device::Oracle);
    let length = |g: &[f64]| g.iter().map(|x| x * x).sum::<f64>().sqrt();
    for device in [Some(Device::Cpu), adapter()].into_iter().flatten() {
        let found = first_gradient(&device);
        let apart: Vec<f64> = expected.iter().zip(&found).map(|(a, b)| a - b).collect();
        let (apart, length) = (length(&apart), length(&expected));
        println!("{}: off by {:.1e} of the gradient's length", device.describe(), apart / length);
        assert!(apart < 1e-4 * length, "{}: off by {apart} of {length}", device.describe());
    }
}

#[test]
fn the_next_task_is_handed_over_before_a_test_is_waited_for_and_changes_nothing_that_it_finds() {
    if adapter().is_none() {
        return;
    }
    // A device of its own: other tests count on theirs at the same time.
    let device = Device::open(&DeviceChoice::Gpu).unwrap();
    let Device::Gpu(gpu) = &device else { panic!("an adapter was asked for") };
    let tested = |next: bool| {
        let mut lab = lab(&device, &small(), &[0, 1]);
        let mut learner = methods::find("er").unwrap().start(&mut lab);
        learner.learn(&mut lab, 0);
        let before = gpu.counts();
        let tested = learner.test(&mut lab, 0).unwrap();
        if next {
            learner.learn(&mut lab, 1);
        }
        assert_eq!(gpu.counts().waits, before.waits);
        tested.rows()
    };
    assert_eq!(tested(true), tested(false));
}

#[test]
fn a_task_allocates_nothing_compiles_nothing_and_never_waits() {
    if adapter().is_none() {
        return;
    }
    // A device of its own: other tests count on theirs at the same time.
    let device = Device::open(&DeviceChoice::Gpu).unwrap();
    let Device::Gpu(gpu) = &device else { panic!("an adapter was asked for") };
    for method in methods::registry() {
        let mut lab = lab(&device, &small(), &[0, 1]);
        let mut learner = method.start(&mut lab);
        (0..2).for_each(|task| learner.learn(&mut lab, task));
        let before = gpu.counts();
        learner.learn(&mut lab, 2);
        let after = gpu.counts();
        assert_eq!((after.buffers, after.pipelines, after.waits), (before.buffers, before.pipelines, before.waits));
        // HAL: the steps, three programs that prepare the anchor search, three for each of ten classes.
        let submissions = after.submissions - before.submissions;
        assert!(submissions <= 34, "{}: {submissions} submissions", method.name());
    }
}
