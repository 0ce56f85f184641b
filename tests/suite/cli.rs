//! The program as a person meets it: it answers, it refuses with a way out, and it loses nothing.

use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const TINY: [&str; 9] = ["run", "--device=cpu", "--tasks", "2", "--images", "50", "--test-images", "200", "--seeds=1"];

pub fn hindsight(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hindsight")).args(args).output().unwrap()
}

/// Where no data set lies but in `home`.
pub fn hindsight_at(home: &Path, args: &[&str]) -> Output {
    let nowhere_else = [("HINDSIGHT_DATA", home), ("XDG_DATA_HOME", home)];
    Command::new(env!("CARGO_BIN_EXE_hindsight")).args(args).envs(nowhere_else).output().unwrap()
}

fn tiny_run(out: &Path, more: &[&str]) -> Output {
    let out = ["--out", out.to_str().unwrap()];
    hindsight(&[&TINY, &out[..], more].concat())
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// That `args` are refused as a wrong command line, with `hint` in the message.
fn refused(args: &[&str], hint: &str) {
    let output = hindsight(args);
    assert_eq!(output.status.code(), Some(2), "{args:?}: {}", stderr(&output));
    assert!(stderr(&output).contains(hint), "{args:?}: {}", stderr(&output));
}

fn methods_in(folder: &Path) -> Vec<String> {
    let text = fs::read_to_string(folder.join("results.json")).unwrap();
    let results: Value = serde_json::from_str(&text).unwrap();
    let runs = results["runs"].as_array().unwrap().iter();
    runs.map(|run| run["method"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_program_alone_prints_a_short_help_with_three_examples() {
    let output = hindsight(&[]);
    assert!(output.status.success());
    let examples = stdout(&output).lines().filter(|l| l.starts_with("  hindsight ")).count();
    assert_eq!(examples, 3, "{}", stdout(&output));
    assert!(stdout(&output).lines().count() < 25);
}

#[test]
fn the_help_of_run_lists_every_method_and_benchmark() {
    let help = stdout(&hindsight(&["run", "--help"]));
    let methods = hindsight::methods::registry().iter().map(|m| m.name());
    let benchmarks = hindsight::data::benchmarks::registry().iter().map(|b| b.name());
    for name in methods.chain(benchmarks) {
        assert!(help.contains(&format!("- {name}:")), "{name} is not in\n{help}");
    }
}

#[test]
fn a_run_prints_the_table_and_writes_the_folder() {
    let home = tempfile::tempdir().unwrap();
    let out = home.path().join("run");
    let output = tiny_run(&out, &[]);
    assert!(output.status.success(), "{}", stderr(&output));
    for title in ["Finetune", "ER-Ring", "HAL"] {
        assert!(stdout(&output).lines().any(|line| line.starts_with(title)), "{title}");
    }
    assert!(stderr(&output).contains("task 2 of 2"), "{}", stderr(&output));
    assert_eq!(methods_in(&out), ["finetune", "er", "hal"]);
}

#[test]
fn a_run_leaves_losses_and_anchors_and_for_those_who_ask_events() {
    let home = tempfile::tempdir().unwrap();
    let out = home.path().join("run");
    let output = tiny_run(&out, &["--method", "er,hal", "--tensorboard"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let losses = fs::read_to_string(out.join("losses.csv")).unwrap();
    // Two methods, two tasks, five batches.
    assert_eq!(losses.lines().count(), 1 + 2 * 2 * 5);
    assert!(losses.starts_with("method,seed,task,step,loss\ner,0,1,1,"), "{losses}");
    assert_eq!(fs::read_to_string(out.join("runs.jsonl")).unwrap().lines().count(), 2);
    for file in ["anchors/hal-seed0.npy", "anchors/hal-seed0.png", "tensorboard/er-seed0/events.out.tfevents.0"] {
        assert!(fs::metadata(out.join(file)).unwrap().len() > 100, "{file}");
    }
    assert!(!out.join("anchors/er-seed0.npy").exists());
}

#[test]
fn quiet_prints_the_table_and_nothing_else() {
    let home = tempfile::tempdir().unwrap();
    let output = tiny_run(&home.path().join("run"), &["--quiet", "--method", "finetune"]);
    assert!(output.status.success() && stderr(&output).is_empty(), "{}", stderr(&output));
}

#[test]
fn an_unknown_method_suggests_the_nearest_name() {
    refused(&["run", "--method", "hall"], "'hal'");
    refused(&["run", "--benchmark", "permuted_mnist"], "'permuted-mnist'");
    refused(&["run", "--seed", "1"], "'--seeds'");
}

#[test]
fn values_that_make_no_sense_are_refused_before_anything_starts() {
    refused(&["reproduce", "table9"], "table1");
    refused(&["run", "--tasks", "0"], "--tasks");
    refused(&["run", "--seeds", "0"], "--seeds");
    refused(&["run", "--rate", "0"], "--rate");
    refused(&["run", "--rate", "-0.1"], "above 0");
    refused(&["run", "--rate", "inf"], "--rate");
    refused(&["run", "--beta", "1"], "--beta");
    refused(&["run", "--lambda", "NaN"], "--lambda");
    refused(&["run", "--images", "55001"], "55000");
    refused(&["run", "--test-images", "10001"], "10000");
    refused(&["run", "--method", "er,hal,er"], "'er' is named twice");
    refused(&["run", "--benchmark", "split-digits", "--tasks", "6"], "at most 5 tasks");
    refused(&["run", "--benchmark", "split-digits", "--per-class", "141"], "at most 280 training images a task");
    refused(&["run", "--images", "10", "--per-class", "1"], "cannot be used with");
}

#[test]
fn a_residual_network_learns_a_benchmark_that_is_built_in() {
    let home = tempfile::tempdir().unwrap();
    let out = home.path().join("digits");
    let what = ["run", "--benchmark=split-digits", "--device=cpu", "--method=finetune,hal", "--seeds=1"];
    let size = ["--tasks=2", "--per-class=10", "--test-images=20", "--anchor-steps=2", "--out", out.to_str().unwrap()];
    let output = hindsight(&[&what[..], &size].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("hal: 1 run side by side, "), "{}", stderr(&output));
    let results: Value = serde_json::from_str(&fs::read_to_string(out.join("results.json")).unwrap()).unwrap();
    assert_eq!(results["runs"][0]["settings"]["images_per_task"], 20);
    let manifest: Value = serde_json::from_str(&fs::read_to_string(out.join("manifest.json")).unwrap()).unwrap();
    assert_eq!(manifest["tasks"]["0"][1]["classes"].as_array().unwrap().len(), 2);
    let npy = fs::read(out.join("anchors/hal-seed0.npy")).unwrap();
    assert!(String::from_utf8_lossy(&npy).contains("(2, 2, 8, 8, 3)"));
}

#[test]
fn what_a_benchmark_cannot_do_is_said_with_a_way_out() {
    refused(&["run", "--benchmark", "split-digits", "--method", "er,vcl"], "VCL is for fully connected networks");
    let tune = hindsight(&["tune", "--benchmark", "split-digits", "--device", "cpu"]);
    assert_eq!(tune.status.code(), Some(1));
    assert!(stderr(&tune).contains("no tasks to spare for tuning"), "{}", stderr(&tune));
    let home = tempfile::tempdir().unwrap();
    for (benchmark, remedy) in
        [("split-cifar100", "data fetch cifar-100"), ("split-mini-imagenet", "cannot be fetched")]
    {
        let run = ["run", "--device=cpu", "--benchmark", benchmark, "--data", home.path().to_str().unwrap()];
        let output = hindsight_at(home.path(), &run);
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        assert!(stderr(&output).contains(remedy), "{}", stderr(&output));
    }
}

#[test]
fn an_existing_run_folder_stops_the_run_before_it_starts() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("notes.txt"), "precious").unwrap();
    let output = tiny_run(home.path(), &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("--overwrite"), "{}", stderr(&output));
    assert!(stdout(&output).is_empty() && !home.path().join("results.json").exists());
    let again = tiny_run(home.path(), &["--overwrite", "--method", "finetune"]);
    assert!(again.status.success(), "{}", stderr(&again));
    assert!(home.path().join("notes.txt").exists());
}

/// Below a regular file nobody can write, not even root.
#[test]
fn a_folder_that_cannot_be_made_stops_the_run_before_it_starts() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("file"), "").unwrap();
    let output = tiny_run(&home.path().join("file/run"), &["--method", "finetune"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("cannot write") && stderr(&output).contains("--out"), "{}", stderr(&output));
    assert!(stdout(&output).is_empty() && !stderr(&output).contains("task 1 of 2"), "{}", stderr(&output));
}

#[test]
fn an_adapter_that_is_not_there_is_an_error_that_says_what_to_do() {
    let output = hindsight(&["run", "--device", "no such adapter"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("hindsight devices"), "{}", stderr(&output));
}

#[test]
fn devices_always_answers_and_names_cpu() {
    let output = hindsight(&["devices"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stdout(&output).contains("cpu"));
}

/// Starts the program, sends it Ctrl-C once a line that begins with `sign` has appeared, and waits for its end: the
/// exit code, and what it said after that.
#[cfg(unix)]
pub fn interrupted_at(sign: &str, args: &[&str]) -> (Option<i32>, String) {
    use std::io::{BufRead, BufReader, Read};
    use std::process::Stdio;
    let mut program = Command::new(env!("CARGO_BIN_EXE_hindsight"));
    let mut child = program.args(args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.starts_with(sign) {
        line.clear();
        assert!(lines.read_line(&mut line).unwrap() > 0, "it ended before it said '{sign}'");
    }
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let mut rest = String::new();
    lines.read_to_string(&mut rest).unwrap();
    (child.wait().unwrap().code(), rest)
}

/// Finetune has finished when its last line appears; HAL is then interrupted.
#[cfg(unix)]
#[test]
fn ctrl_c_keeps_what_is_finished_and_exits_with_130() {
    let home = tempfile::tempdir().unwrap();
    let out = home.path().join("run");
    let what = ["run", "--device=cpu", "--method=finetune,hal", "--seeds=1", "--tasks=10", "--images=400"];
    let where_to = ["--test-images=200", "--out", out.to_str().unwrap()];
    let (code, rest) = interrupted_at("finetune: task 10 of 10", &[&what[..], &where_to[..]].concat());
    assert_eq!(code, Some(130), "{rest}");
    assert!(rest.contains("interrupted: 1 finished run"), "{rest}");
    assert_eq!(methods_in(&out), ["finetune"]);
}
