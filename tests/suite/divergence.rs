//! Runs whose numbers are no longer finite are said to have diverged, whatever their losses were; and what a run exports are the
//! steps that it took.

use crate::gpu::{adapter, lab, lab_on, small};
use hindsight::autodiff::Tape;
use hindsight::data::benchmarks;
use hindsight::device::Device;
use hindsight::experiment::{
    self, Checkpoints, DivergedAt, Experiment, ExperimentError, FinishedRun, NotFinite, Observer, Origin, Progress,
};
use hindsight::methods::{self, Lab};
use hindsight::program::{Precision, Session, Stop};
use hindsight::report::{export, table};
use hindsight::settings::{RunSpec, Settings};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

struct Silent;

impl Observer for Silent {
    fn task_finished(&mut self, _: &Progress<'_>) {}
}

/// Runs of seeds 3 and 4.
fn trained(method: &str, settings: &Settings, device: &Device) -> Vec<FinishedRun> {
    let runs = RunSpec::seeds(settings, &[3, 4]);
    let experiment = Experiment { benchmark: "permuted-mnist".into(), method: method.into(), runs };
    experiment::run(&experiment, device, &mut Silent).unwrap()
}

fn devices() -> impl Iterator<Item = Device> {
    [Some(Device::Cpu), Some(Device::Oracle), adapter()].into_iter().flatten()
}

/// The only loss of a task of one batch is that of the parameters before its step.
#[test]
fn a_run_whose_last_step_leaves_no_finite_model_has_diverged() {
    let settings = Settings { tasks: 1, images_per_task: 10, rate: 1e30, ..small() };
    let all: Vec<&str> = methods::registry().iter().map(|method| method.name()).collect();
    for (device, names) in [(Some(Device::Cpu), &all[..]), (adapter(), &["finetune"])] {
        let Some(device) = device else { continue };
        // VCL's rate is Adam's own.
        for name in names.iter().filter(|name| !name.starts_with("vcl")) {
            for FinishedRun { record, losses, .. } in trained(name, &settings, &device) {
                assert!(losses.iter().flatten().all(|loss| loss.is_finite()), "{name}: {losses:?}");
                let at = record.diverged_at.unwrap_or_else(|| panic!("{name} is said to be fine"));
                assert_eq!((record.diverged, at.task, at.step), (true, 1, None));
                assert!(record.matrix == [[0.0]] && record.accuracy == 0.0);
            }
        }
    }
}

#[test]
fn such_a_run_is_named_and_left_out_of_the_mean_and_is_kept_as_it_is() {
    let settings = Settings { tasks: 1, images_per_task: 10, rate: 1e30, ..small() };
    let records: Vec<_> = trained("finetune", &settings, &Device::Cpu).into_iter().map(|run| run.record).collect();
    let said = table(&records);
    assert!(said.contains("0 of 2") && said.contains("DIVERGED: Finetune, seed 3 in task 1"), "{said}");
    for record in records {
        let text = serde_json::to_string(&record).unwrap();
        assert_eq!(serde_json::from_str::<experiment::RunRecord>(&text).unwrap(), record);
    }
}

#[test]
fn where_a_run_diverged_is_read_as_earlier_versions_wrote_it() {
    let at: DivergedAt = serde_json::from_str(r#"{"task":3,"step":12}"#).unwrap();
    assert_eq!(at, DivergedAt { task: 3, step: Some(12), found: NotFinite::Loss });
}

/// Keeps a checkpoint after each task, and stops after some.
struct Cut(Checkpoints, Arc<AtomicUsize>);

impl Observer for Cut {
    fn task_finished(&mut self, _: &Progress<'_>) {
        self.1.fetch_sub(1, Relaxed);
    }
    fn stop(&self) -> Option<Stop> {
        let left = self.1.clone();
        Some(Arc::new(move |_| left.load(Relaxed) == 0))
    }
    fn checkpoints(&self) -> Option<&Checkpoints> {
        Some(&self.0)
    }
}

#[test]
fn a_run_gone_on_with_keeps_that_it_has_diverged() {
    let home = tempfile::tempdir().unwrap();
    let settings = Settings { tasks: 2, images_per_task: 10, rate: 1e30, ..small() };
    let runs = RunSpec::seeds(&settings, &[3]);
    let experiment = Experiment { benchmark: "permuted-mnist".into(), method: "finetune".into(), runs };
    let origin = Origin::of(vec![], "then".into());
    let checkpoints = || Checkpoints::new(home.path(), Duration::ZERO, origin.clone());
    let stopped = experiment::run(&experiment, &Device::Cpu, &mut Cut(checkpoints(), Arc::new(1.into())));
    assert!(matches!(stopped, Err(ExperimentError::Interrupted(_))));
    let resumed =
        experiment::run(&experiment, &Device::Cpu, &mut Cut(checkpoints(), Arc::new(9.into()))).unwrap().remove(0);
    let at = resumed.record.diverged_at.unwrap();
    assert_eq!((at.task, at.step), (1, None));
}

/// What a test of two tasks finds when a lab's parameters are changed.
fn found(device: &Device, benchmark: &str, settings: &Settings, change: impl Fn(&Lab, &mut [f64])) -> Vec<f64> {
    let settings = Settings { tasks: 2, test_images: 20, ..settings.clone() };
    let mut lab = lab_on(benchmarks::find(benchmark).unwrap(), device, &settings, &[3, 4]);
    let theta = lab.theta.clone();
    let mut values = lab.session.read(&theta).remove(1);
    change(&lab, &mut values);
    lab.session.write(&theta, 1, &values);
    let rows = lab.test();
    assert!(rows[0].iter().all(|found| (0.0..=1.0).contains(found)), "the other run is as it was: {rows:?}");
    rows[1].clone()
}

/// Gives the weights from `from` of so many features to a class another value, of a model whose last layer comes last; biases are
/// a feature more.
fn set_weights(theta: &mut [f64], features: usize, from: Range<usize>, class: usize, value: f64) {
    let first = theta.len() - 10 * (features + 1);
    from.for_each(|feature| theta[first + 10 * feature + class] = value);
}

#[test]
fn a_parameter_that_is_not_finite_is_found_where_no_answer_shows_it() {
    for device in devices() {
        // A weight of a pixel that is never lit, and one of a unit that is not: its NaN goes no further than that unit.
        for broken in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let found = found(&device, "permuted-mnist", &small(), |_, theta| theta[5] = broken);
            assert_eq!(found, [-2.0, -2.0], "{broken} on {}", device.adapter_name());
        }
        let large = if matches!(device, Device::Oracle) { 1e300 } else { 1e38 };
        let found = found(&device, "permuted-mnist", &small(), |_, theta| theta[5] = large);
        assert_ne!(found, [-2.0, -2.0], "a large number is one on {}", device.adapter_name());
    }
}

#[test]
fn a_logit_that_is_not_finite_is_found_where_all_parameters_are() {
    for device in [Some(Device::Cpu), adapter()].into_iter().flatten() {
        let overflow = |_: &Lab, theta: &mut [f64]| set_weights(theta, 256, 0..257, 4, 3e38);
        let found = found(&device, "permuted-mnist", &small(), overflow);
        assert_eq!(found, [-1.0, -1.0], "{}", device.adapter_name());
    }
}

#[test]
fn a_logit_that_a_mask_keeps_out_is_looked_at_and_the_mask_is_not() {
    let settings = Settings { images_per_task: 20, ..small() };
    for device in [Some(Device::Cpu), adapter()].into_iter().flatten() {
        let overflow = |lab: &Lab, theta: &mut [f64]| {
            let in_a_task = |class: &u32| (0..2).any(|task| lab.classes_of(1, task).contains(class));
            let outside = (0..10).find(|class| !in_a_task(class)).unwrap() as usize;
            set_weights(theta, 160, 0..161, outside, 3e38);
        };
        assert_eq!(found(&device, "split-digits", &settings, overflow), [-1.0, -1.0]);
        let found = found(&device, "split-digits", &settings, |_, _| {});
        assert!(found.iter().all(|found| (0.0..=1.0).contains(found)), "{found:?}");
    }
}

#[test]
fn what_overflows_half_precision_is_found_in_the_logits() {
    for (precision, fine) in [(Precision::Single, true), (Precision::HalfStorage, false)] {
        let settings = Settings { precision, ..small() };
        // The first layer's biases: its units are kept in half precision, which ends at 65,504.
        let large = |_: &Lab, theta: &mut [f64]| theta[784 * 256..785 * 256].fill(1e5);
        let found = found(&Device::Cpu, "permuted-mnist", &settings, large);
        assert_eq!(found.iter().all(|found| *found >= 0.0), fine, "{found:?}");
    }
}

#[test]
fn vcl_looks_at_its_means_its_variances_and_the_logits_of_every_draw() {
    for method in ["vcl", "vcl-random"] {
        let settings = Settings { tasks: 2, images_per_task: 20, samples: 2, test_samples: 3, ..small() };
        let mut lab = lab(&Device::Cpu, &settings, &[3]);
        let mut learner = methods::find(method).unwrap().start(&mut lab);
        learner.learn(&mut lab, 0);
        let found = learner.test(&mut lab, 0).unwrap().rows();
        assert!(found[0].iter().all(|found| *found >= 0.0), "{found:?}");
        // A learning rate that Adam would not survive: the fit before the test is as wild as the training.
        let contents = lab.session.contents();
        let infinite = |name: &str| {
            let mut contents = contents.clone();
            let buffer = contents.iter_mut().find(|content| content.name == name).expect("VCL has this buffer");
            buffer.bytes[..4].copy_from_slice(&f32::INFINITY.to_le_bytes());
            contents
        };
        for name in ["posterior: log variance", "posterior: mean"] {
            lab.session.restore(&infinite(name)).unwrap();
            let found = learner.test(&mut lab, 0).unwrap().rows();
            assert_eq!(found, [[-2.0, -2.0]], "{method}, {name}");
        }
    }
}

#[test]
fn entries_that_are_not_finite_are_counted_wherever_they_are() {
    let elements = 3 * 65_536 + 7;
    for device in devices() {
        let mut session = Session::new(&device, 2);
        let x = session.state("x", &[elements]);
        let count = session.state("count", &[]);
        let mut values = vec![3e38; elements];
        session.write(&x, 0, &values);
        let places = [0, 1, 255, 256, 65_535, 65_536, 131_072, elements - 1];
        for (place, broken) in places.into_iter().zip([f64::NAN, f64::INFINITY, f64::NEG_INFINITY].into_iter().cycle())
        {
            values[place] = broken;
        }
        session.write(&x, 1, &values);
        let tape = Tape::new();
        tape.assign(&count, tape.load(&x).count_not_finite());
        let program = session.compile(&tape);
        session.run(&program, 0..1);
        assert_eq!(session.read(&count), [[0.0], [places.len() as f64]], "{}", device.adapter_name());
    }
}

#[test]
fn exported_losses_are_those_of_the_steps_that_were_taken() {
    // Seven batches of ten and one of five; VCL-Random sets ten of a task's 75 images apart.
    let settings = Settings { tasks: 3, images_per_task: 75, epochs: 2, samples: 2, test_samples: 2, ..small() };
    for method in methods::registry() {
        let run = trained(method.name(), &settings, &Device::Cpu).remove(0);
        let steps: Vec<usize> = run.losses.iter().map(Vec::len).collect();
        let expected = match method.name() {
            "multitask" => [2 * 23, 0, 0],
            "vcl" => [2 * 8; 3],
            "vcl-random" => [2 * 7; 3],
            _ => [8; 3],
        };
        assert_eq!(steps, expected, "{}", method.name());
        let mut all: Vec<f64> = run.losses.concat();
        assert!(all.iter().all(|loss| *loss > 0.0), "{}: {all:?}", method.name());
        all.sort_by(f64::total_cmp);
        assert!(all.windows(2).all(|pair| pair[0] < pair[1]), "{}: no two steps have the same loss", method.name());
        let lines = export::losses_csv(&[run]).lines().count();
        assert_eq!(lines, 1 + expected.iter().sum::<usize>());
    }
}
