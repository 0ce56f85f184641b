//! `hindsight tune`: the whole grid on tuning tasks only, many runs in one program.

use crate::cli::{hindsight, stderr, stdout};
use hindsight::data::benchmarks::{self, Benchmark};
use hindsight::device::Device;
use hindsight::experiment::{self, Observer, Progress};
use hindsight::methods;
use hindsight::settings::{Knob, Settings, TaskSet};
use hindsight::tune::{Outcome, Plan, Tuned, configurations};
use std::fs;
use std::path::Path;
use std::process::Output;

struct Silent;
impl Observer for Silent {
    fn task_finished(&mut self, _: &Progress<'_>) {}
}

fn tune(out: &Path, more: &[&str]) -> Output {
    let tiny = ["tune", "--device=cpu", "--images", "30", "--test-images", "50"];
    hindsight(&[&tiny[..], &["--out", out.to_str().unwrap()], more].concat())
}

fn permuted() -> &'static dyn Benchmark {
    benchmarks::find("permuted-mnist").unwrap()
}

fn plan(method: &str, configurations: Vec<hindsight::tune::Configuration>) -> Plan {
    let settings = Settings {
        task_set: TaskSet::Tuning,
        tasks: 3,
        images_per_task: 30,
        test_images: 50,
        anchor_steps: 3,
        finetune_steps: 3,
        ..methods::paper_settings(methods::find(method).unwrap(), permuted())
    };
    Plan { benchmark: "permuted-mnist".into(), method: method.into(), settings, seeds: vec![0, 1], configurations }
}

#[test]
fn grids_are_those_of_appendix_c() {
    let sizes = ["finetune", "ewc", "mer", "hal", "vcl"].map(|name| configurations(methods::find(name).unwrap()).len());
    assert_eq!(sizes, [6, 6 * 5, 6 * 5 * 4, 6 * 7 * 7, 1]);
}

#[test]
fn a_configuration_among_many_is_that_configuration_alone() {
    let some = configurations(methods::find("hal").unwrap()).into_iter().step_by(60).take(3).collect::<Vec<_>>();
    let records = |plan: &Plan, chunk: usize| {
        let run = |experiment| experiment::run(&experiment, &Device::Cpu, &mut Silent).unwrap();
        plan.chunks(chunk).into_iter().flat_map(run).map(|run| run.record).collect::<Vec<_>>()
    };
    let all = plan("hal", some.clone());
    assert_eq!(all.chunks(100).len(), 1, "one program for all");
    assert_eq!(all.chunks(3).len(), 3, "a configuration's seeds stay together");
    let together = all.outcomes(&records(&all, 100));
    let alone = plan("hal", vec![some[1].clone()]);
    assert_eq!(alone.outcomes(&records(&alone, 100))[0], together[1]);
    assert_ne!(together[0].accuracy, together[1].accuracy);
}

#[test]
fn the_best_that_did_not_diverge_is_chosen_and_the_first_of_equals() {
    let plan = plan("ewc", configurations(methods::find("ewc").unwrap()));
    let outcome = |i: usize, accuracy: f64, diverged: bool| Outcome {
        knobs: plan.configurations[i].clone(),
        accuracy,
        forgetting: 0.0,
        diverged,
    };
    let grid = vec![outcome(0, 0.5, false), outcome(1, 0.9, true), outcome(2, 0.7, false), outcome(3, 0.7, false)];
    assert_eq!(plan.choose(grid).unwrap().knobs, plan.configurations[2]);
    assert_eq!(plan.choose(vec![outcome(0, 0.5, true)]), None);
}

#[test]
fn a_choice_is_written_and_used_and_a_killed_search_goes_on() {
    let home = tempfile::tempdir().unwrap();
    let out = home.path().join("tuned");
    let more = ["--method", "finetune", "--chunk", "2"];
    let first = tune(&out, &more);
    assert!(first.status.success(), "{}", stderr(&first));
    assert!(stderr(&first).contains("3 of 3 chunks to compute"), "{}", stderr(&first));
    let tuned: Tuned = serde_json::from_str(&fs::read_to_string(out.join("tuned.json")).unwrap()).unwrap();
    assert_eq!((tuned.grid.len(), tuned.settings.task_set), (6, TaskSet::Tuning));
    assert_eq!(fs::read_to_string(out.join("grid.csv")).unwrap().lines().count(), 7);
    assert!(out.join("heat-map-rate-rate.svg").exists());
    // As if it had been killed before the second chunk.
    let chunks: Vec<_> = fs::read_dir(out.join("chunks")).unwrap().flatten().collect();
    fs::remove_file(chunks[1].path()).unwrap();
    let second = tune(&out, &more);
    assert!(stderr(&second).contains("1 of 3 chunks to compute"), "{}", stderr(&second));
    assert_eq!(stdout(&first), stdout(&second));

    let file = out.join("tuned.json");
    let run = |more: &[&str]| {
        let base =
            ["run", "--device=cpu", "--method=finetune", "--tasks=2", "--images=20", "--test-images=50", "--seeds=1"];
        let folder = home.path().join(format!("run{}", more.len()));
        let output = hindsight(
            &[&base[..], &["--tuned", file.to_str().unwrap(), "--out", folder.to_str().unwrap()], more].concat(),
        );
        assert!(output.status.success(), "{}", stderr(&output));
        hindsight::report::Results::read(&folder).unwrap().runs[0].settings.rate
    };
    assert_eq!(run(&[]), tuned.knobs[&Knob::Rate]);
    assert_eq!(run(&["--rate", "0.125"]), 0.125, "a flag wins");
}

#[test]
fn a_choice_made_on_evaluation_tasks_says_so_when_it_is_made_and_when_it_is_taken() {
    let home = tempfile::tempdir().unwrap();
    let out = home.path().join("tuned");
    let output = tune(&out, &["--method=finetune", "--leak", "--quiet"]);
    assert!(stdout(&output).contains("never report on them"), "{}", stdout(&output));
    let file = out.join("tuned.json");
    let run = ["run", "--device=cpu", "--method=finetune", "--tasks=2", "--images=20", "--test-images=20", "--seeds=1"];
    let folder = home.path().join("run");
    let place = ["--quiet", "--tuned", file.to_str().unwrap(), "--out", folder.to_str().unwrap()];
    let said = stderr(&hindsight(&[&run[..], &place].concat()));
    assert!(said.contains("warning") && said.contains("evaluation tasks"), "{said}");
}

#[test]
fn a_choice_for_another_benchmark_or_no_choice_at_all_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("tuned.json");
    fs::write(&file, "{}").unwrap();
    let run = || hindsight(&["run", "--benchmark=rotated-mnist", "--tuned", file.to_str().unwrap()]);
    assert!(stderr(&run()).contains("tuned.json") && run().status.code() == Some(1), "{}", stderr(&run()));
    let plan = plan("finetune", configurations(methods::find("finetune").unwrap()));
    let outcome = Outcome { knobs: plan.configurations[0].clone(), accuracy: 0.5, forgetting: 0.0, diverged: false };
    fs::write(&file, serde_json::to_string(&plan.choose(vec![outcome]).unwrap()).unwrap()).unwrap();
    assert!(stderr(&run()).contains("it is for permuted-mnist"), "{}", stderr(&run()));
    let none = hindsight(&["tune", "--method", "vcl"]);
    assert!(stderr(&none).contains("no grid"), "{}", stderr(&none));
}

#[test]
fn values_of_a_file_are_held_to_the_ranges_of_the_flags() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("tuned.json");
    let plan = plan("finetune", configurations(methods::find("finetune").unwrap()));
    let run = |rate: f64, of_file: bool| {
        let knobs = [(Knob::Rate, rate)].into();
        let outcome = Outcome { knobs, accuracy: 0.5, forgetting: 0.0, diverged: false };
        fs::write(&file, serde_json::to_string(&plan.choose(vec![outcome]).unwrap()).unwrap()).unwrap();
        let (rate, file) = (format!("--rate={rate:?}"), format!("--tuned={}", file.display()));
        let out = home.path().join("run");
        let sizes = ["run", "--device=cpu", "--method=finetune", "--tasks=1", "--images=10", "--test-images=50"];
        let rest = ["--seeds=1", "--overwrite", "--out", out.to_str().unwrap(), if of_file { &file } else { &rate }];
        hindsight(&[&sizes[..], &rest[..]].concat())
    };
    for rate in [-1.0, 0.0, 1e308, 1e-320, f64::from(f32::MAX) * 2.0] {
        for (of_file, code) in [(true, 1), (false, 2)] {
            let output = run(rate, of_file);
            assert_eq!(output.status.code(), Some(code), "{rate}: {}", stderr(&output));
            assert!(stderr(&output).contains("a number above 0"), "{rate}: {}", stderr(&output));
        }
    }
    assert!(run(0.03, true).status.success() && run(0.03, false).status.success());
}
