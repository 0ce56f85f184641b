//! Runs that were cut short and gone on with are those that were not.

use crate::cli::{hindsight, interrupted_at, stderr, stdout};
use crate::gpu::{adapter, small};
use hindsight::device::Device;
use hindsight::experiment::{
    self, Checkpoints, Experiment, ExperimentError, FinishedRun, Observer, Origin, Progress, RunRecord,
};
use hindsight::methods;
use hindsight::program::Stop;
use hindsight::report::Results;
use hindsight::report::manifest::DeviceRecord;
use hindsight::reproduce::{Cell, Cells};
use hindsight::settings::{AnchorKind, RunSpec, Settings};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

/// When to stop.
#[derive(Clone, Copy)]
enum When {
    AfterTask(usize),
    AfterStep(u64),
    /// When it is asked for this time.
    Asked(u64),
    Never,
}

/// Keeps a checkpoint after each task, and may stop.
struct Watch {
    checkpoints: Option<Checkpoints>,
    when: When,
    task: Arc<AtomicUsize>,
    /// How many times it was asked whether to stop.
    asked: Arc<AtomicU64>,
    resumed_after: Option<usize>,
    within: bool,
}

impl Watch {
    fn new(folder: Option<&Path>, when: When) -> Watch {
        let origin = Origin::of(vec!["hindsight".into(), "run".into()], "then".into());
        let checkpoints = folder.map(|folder| Checkpoints::new(folder, Duration::ZERO, origin));
        let (task, asked) = (Arc::default(), Arc::default());
        Watch { checkpoints, when, task, asked, resumed_after: None, within: false }
    }
}

impl Observer for Watch {
    fn task_finished(&mut self, progress: &Progress<'_>) {
        self.task.store(progress.task, Relaxed);
    }
    fn stop(&self) -> Option<Stop> {
        let (task, asked, when) = (self.task.clone(), self.asked.clone(), self.when);
        Some(Arc::new(move |steps| {
            let time = asked.fetch_add(1, Relaxed) + 1;
            match when {
                When::AfterTask(stop_after) => task.load(Relaxed) >= stop_after,
                When::AfterStep(stop_after) => steps >= stop_after,
                When::Asked(stop_at) => time >= stop_at,
                When::Never => false,
            }
        }))
    }
    fn checkpoints(&self) -> Option<&Checkpoints> {
        self.checkpoints.as_ref()
    }
    fn wants_parameters(&self) -> bool {
        true
    }
    fn resumed(&mut self, _: &str, done: usize, _: usize, within: bool) {
        (self.resumed_after, self.within) = (Some(done), within);
    }
}

fn experiment(benchmark: &str, method: &str, settings: &Settings) -> Experiment {
    Experiment { benchmark: benchmark.into(), method: method.into(), runs: RunSpec::seeds(settings, &[3, 4]) }
}

/// All but how long it took.
fn timeless(mut runs: Vec<FinishedRun>) -> Vec<FinishedRun> {
    runs.iter_mut().for_each(|run| (run.record.train_seconds, run.record.total_seconds) = (0.0, 0.0));
    runs
}

/// Runs an experiment at once, and stopped after each task and gone on with.
fn cut_short_is_whole(experiment: &Experiment, device: &Device) {
    let whole = experiment::run(experiment, device, &mut Watch::new(None, When::Never)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let tasks = experiment.runs[0].settings.tasks;
    for task in 1..tasks {
        let mut watch = Watch::new(Some(folder.path()), When::AfterTask(task));
        let stopped = experiment::run(experiment, device, &mut watch);
        assert!(matches!(stopped, Err(ExperimentError::Interrupted(_))), "{}", experiment.method);
        assert_eq!(watch.resumed_after, (task > 1).then(|| task - 1));
    }
    let mut watch = Watch::new(Some(folder.path()), When::Never);
    let resumed = experiment::run(experiment, device, &mut watch).unwrap();
    assert_eq!(watch.resumed_after, Some(tasks - 1));
    assert!(timeless(resumed) == timeless(whole.clone()), "{} differs when it is gone on with", experiment.method);
    // What has come to its end is read, and not computed again.
    let again = experiment::run(experiment, device, &mut Watch::new(Some(folder.path()), When::AfterTask(1))).unwrap();
    assert!(timeless(again) == timeless(whole));
}

/// Runs an experiment at once, and stopped after a while and gone on with, again and again. How many times it went on within a task.
fn cut_short_anywhere_is_whole(experiment: &Experiment, device: &Device) -> usize {
    let whole = experiment::run(experiment, device, &mut Watch::new(None, When::Never)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut within = 0;
    for times in [2, 5, 12, 30, 75, u64::MAX] {
        let mut watch = Watch::new(Some(folder.path()), When::Asked(times));
        let outcome = experiment::run(experiment, device, &mut watch);
        within += usize::from(watch.within);
        match outcome {
            Ok(resumed) => {
                assert!(timeless(resumed) == timeless(whole), "{} differs when it is gone on with", experiment.method);
                return within;
            }
            Err(error) => assert!(matches!(error, ExperimentError::Interrupted(_)), "{}: {error}", experiment.method),
        }
    }
    unreachable!("the last one is not stopped");
}

#[test]
fn every_method_stopped_anywhere_and_gone_on_with_has_the_same_bits() {
    let settings = Settings { images_per_task: 100, samples: 2, test_samples: 2, ..small() };
    for method in methods::registry() {
        let within = cut_short_anywhere_is_whole(&experiment("permuted-mnist", method.name(), &settings), &Device::Cpu);
        assert!(within > 0, "{} was nowhere gone on with within a task", method.name());
    }
}

#[test]
fn hal_stopped_anywhere_and_gone_on_with_has_the_same_bits_by_its_oracle_and_on_an_adapter() {
    let oracle = Settings { anchors: AnchorKind::Oracle, ..small() };
    cut_short_anywhere_is_whole(&experiment("permuted-mnist", "hal", &oracle), &Device::Cpu);
    let Some(gpu) = adapter() else { return };
    assert!(cut_short_anywhere_is_whole(&experiment("permuted-mnist", "hal", &small()), &gpu) > 0);
}

#[test]
fn a_stop_leaves_a_checkpoint_however_soon_it_comes_and_says_what_was_finished() {
    let folder = tempfile::tempdir().unwrap();
    let mut watch = Watch::new(Some(folder.path()), When::AfterStep(14));
    let origin = Origin::of(vec![], "then".into());
    watch.checkpoints = Some(Checkpoints::new(folder.path(), Duration::from_secs(3600), origin));
    let experiment = experiment("permuted-mnist", "er", &small());
    let Err(ExperimentError::Interrupted(unfinished)) = experiment::run(&experiment, &Device::Cpu, &mut watch) else {
        panic!("it was to stop");
    };
    assert!(Checkpoints::are_in(folder.path()));
    let whole = experiment::run(&experiment, &Device::Cpu, &mut Watch::new(None, When::Never)).unwrap();
    for (run, whole) in unfinished.iter().zip(&whole) {
        let done = run.finished_tasks;
        assert!((1..3).contains(&done), "{done} tasks");
        assert_eq!(run.matrix, whole.record.matrix[..done]);
        let losses = |task: &Vec<f64>| task.iter().map(|loss| Some(*loss)).collect::<Vec<_>>();
        assert_eq!(run.losses, whole.losses[..done].iter().map(losses).collect::<Vec<_>>());
    }
}

#[test]
fn runs_are_gone_on_with_in_the_groups_in_which_they_were_begun() {
    let folder = tempfile::tempdir().unwrap();
    let runs = RunSpec::seeds(&small(), &[3, 4, 5]);
    let experiment = Experiment { benchmark: "permuted-mnist".into(), method: "er".into(), runs };
    let whole = experiment::run(&experiment, &Device::Cpu, &mut Watch::new(None, When::Never)).unwrap();
    let run = |when, at_most| {
        let mut watch = Watch::new(Some(folder.path()), when);
        (experiment::run_in_groups(&experiment, &Device::Cpu, &mut watch, at_most), watch.resumed_after)
    };
    // Two side by side, of which the second task is interrupted; then there is room for one alone, then for all.
    assert!(matches!(run(When::AfterTask(1), 2), (Err(ExperimentError::Interrupted(_)), None)));
    assert!(matches!(run(When::AfterTask(2), 1), (Err(ExperimentError::Interrupted(_)), Some(1))));
    let (resumed, after) = run(When::Never, 3);
    assert_eq!(after, Some(2));
    assert!(timeless(resumed.unwrap()) == timeless(whole));
}

#[test]
fn every_method_gone_on_with_has_the_same_bits() {
    for method in methods::registry() {
        cut_short_is_whole(&experiment("permuted-mnist", method.name(), &small()), &Device::Cpu);
    }
}

#[test]
fn hal_gone_on_with_has_the_same_bits_on_an_adapter() {
    let Some(gpu) = adapter() else { return };
    cut_short_is_whole(&experiment("permuted-mnist", "hal", &small()), &gpu);
}

#[test]
fn hal_gone_on_with_has_the_same_bits_by_its_oracle_and_in_double_precision() {
    let oracle = Settings { anchors: AnchorKind::Oracle, ..small() };
    cut_short_is_whole(&experiment("permuted-mnist", "hal", &oracle), &Device::Cpu);
    let tiny = Settings { tasks: 2, images_per_task: 20, test_images: 20, ..small() };
    cut_short_is_whole(&experiment("permuted-mnist", "hal", &tiny), &Device::Oracle);
}

#[test]
fn a_residual_network_gone_on_with_has_the_same_bits() {
    let settings = Settings { tasks: 2, images_per_task: 20, test_images: 20, ..small() };
    cut_short_is_whole(&experiment("split-digits", "hal", &settings), &Device::Cpu);
}

/// The checkpoint of a run that was stopped after its first task.
fn stopped(folder: &Path) -> (Experiment, std::path::PathBuf) {
    let experiment = experiment("permuted-mnist", "er", &small());
    experiment::run(&experiment, &Device::Cpu, &mut Watch::new(Some(folder), When::AfterTask(1))).unwrap_err();
    (experiment, folder.join("checkpoints/er-0.safetensors"))
}

fn refusal(experiment: &Experiment, folder: &Path) -> String {
    experiment::run(experiment, &Device::Cpu, &mut Watch::new(Some(folder), When::Never)).unwrap_err().to_string()
}

#[test]
fn a_checkpoint_of_other_settings_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let (mut experiment, path) = stopped(folder.path());
    experiment.runs[1].settings.rate = 0.2;
    let said = refusal(&experiment, folder.path());
    assert!(
        said.contains(path.to_str().unwrap())
            && said.contains("runs.1.settings.rate was 0.1 and is 0.2")
            && said.contains("remove"),
        "{said}"
    );
}

#[test]
fn a_damaged_checkpoint_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let (experiment, path) = stopped(folder.path());
    let whole = fs::read(&path).unwrap();
    for length in [0, 7, 100, whole.len() / 2, whole.len() - 1] {
        fs::write(&path, &whole[..length]).unwrap();
        let said = refusal(&experiment, folder.path());
        assert!(said.contains(path.to_str().unwrap()) && said.contains("remove"), "{length} bytes: {said}");
        assert!(Checkpoints::origin(folder.path()).is_err() || length >= 100, "{length} bytes have no header");
    }
}

#[test]
fn a_cell_of_a_table_is_gone_on_with_by_the_same_command() {
    let home = tempfile::tempdir().unwrap();
    let (benchmark, method) = ("permuted-mnist", methods::find("er").unwrap());
    let paper = methods::paper_settings(method, hindsight::data::benchmarks::find(benchmark).unwrap());
    let settings = Settings { tasks: 3, images_per_task: 60, test_images: 100, ..paper };
    let cell = Cell { benchmark: benchmark.into(), method: "er".into(), settings, seeds: vec![0] };
    let folder = Cells::new(&home.path().join("cells"), DeviceRecord::of(&Device::Cpu)).path(&cell);
    experiment::run(&cell.experiment(), &Device::Cpu, &mut Watch::new(Some(&folder), When::AfterTask(2))).unwrap_err();
    let sizes = ["--device=cpu", "--tasks=3", "--images=60", "--test-images=100", "--seeds=1", "--only=er"];
    let place = ["--benchmark=permuted-mnist", "--out", home.path().to_str().unwrap()];
    let output = hindsight(&[&["reproduce", "table1"], &sizes[..], &place[..]].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("er: goes on after task 2 of 3"), "{}", stderr(&output));
    assert!(folder.join("results.json").exists() && !folder.join("checkpoints").exists());
}

/// All but how long it took.
fn records_in(folder: &Path) -> Vec<RunRecord> {
    let mut runs = Results::read(folder).unwrap().runs;
    runs.iter_mut().for_each(|run| (run.train_seconds, run.total_seconds) = (0.0, 0.0));
    runs
}

#[cfg(unix)]
#[test]
fn ctrl_c_leaves_what_resume_goes_on_from() {
    let home = tempfile::tempdir().unwrap();
    let [cut, whole] = ["cut", "whole"].map(|name| home.path().join(name));
    let what =
        ["run", "--device=cpu", "--method=er,hal", "--seeds=1", "--tasks=6", "--images=200", "--test-images=200"];
    let place = |folder: &Path| format!("--out={}", folder.display());
    let [cut_place, whole_place] = [place(&cut), place(&whole)];
    let [cut_args, whole_args] =
        [&cut_place, &whole_place].map(|place| [&what[..], &["--checkpoint-every=0", place]].concat());
    let (code, said) = interrupted_at("er: task 6 of 6", &cut_args);
    assert_eq!(code, Some(130), "{said}");
    assert!(said.contains(&format!("hindsight run --resume {}", cut.display())), "{said}");
    let again = hindsight(&cut_args);
    assert!(!again.status.success() && stderr(&again).contains("--resume"), "{}", stderr(&again));
    let resumed = hindsight(&["run", "--resume", cut.to_str().unwrap()]);
    assert!(resumed.status.success() && stdout(&resumed).contains("Written to"), "{}", stderr(&resumed));
    assert!(stderr(&resumed).contains("er: goes on after task 6 of 6"), "{}", stderr(&resumed));
    assert!(hindsight(&whole_args).status.success());
    assert_eq!(records_in(&cut), records_in(&whole));
    assert!(!cut.join("checkpoints").exists() && !whole.join("checkpoints").exists());
    let nothing_left = hindsight(&["run", "--resume", cut.to_str().unwrap()]);
    assert!(stderr(&nothing_left).contains("no checkpoint"), "{}", stderr(&nothing_left));
}
