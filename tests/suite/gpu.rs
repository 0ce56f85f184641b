//! What needs an adapter. Where HINDSIGHT_REQUIRE_GPU is set, a missing one is a failure.

use hindsight::device::{Device, DeviceChoice};
use hindsight::experiment::Settings;
use hindsight::methods::{self, Lab};
use std::sync::OnceLock;

/// The adapter, software included; `None` (and a word about it) where there is none.
pub fn adapter() -> Option<Device> {
    static DEVICE: OnceLock<Option<Device>> = OnceLock::new();
    let open = || match Device::open(&DeviceChoice::Gpu) {
        Ok(device) => Some(device),
        Err(error) if std::env::var_os("HINDSIGHT_REQUIRE_GPU").is_some() => panic!("{error}"),
        Err(error) => {
            eprintln!("skipped: {error}");
            None
        }
    };
    DEVICE.get_or_init(open).clone()
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

pub fn lab(device: &Device, settings: &Settings, seeds: &[u64]) -> Lab {
    Lab::new(device, hindsight::data::benchmarks::find("permuted-mnist").unwrap(), settings, seeds)
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
