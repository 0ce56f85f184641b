//! Requests to stop, and outputs that can't be written: neither loses what was computed.
#![cfg(unix)]

use crate::cli::{hindsight, stderr};
use hindsight::experiment::RunRecord;
use hindsight::report::Results;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const RUN: [&str; 6] =
    ["run", "--device=cpu", "--method=er", "--seeds=2", "--test-images=200", "--checkpoint-every=3600"];

/// A run of these sizes, into a folder.
fn run_into(folder: &Path, sizes: &[&str]) -> Vec<String> {
    let out = format!("--out={}", folder.display());
    RUN.iter().chain(sizes).map(|word| word.to_string()).chain([out]).collect()
}

/// All but how long it took.
fn records_in(folder: &Path) -> Vec<RunRecord> {
    let mut runs = Results::read(folder).unwrap().runs;
    runs.iter_mut().for_each(|run| (run.train_seconds, run.total_seconds) = (0.0, 0.0));
    runs
}

/// Starts a shell command that becomes the program, sends it a signal some time after it has said `sign`, and waits for its end.
fn signalled(shell: &str, args: &[String], sign: &str, after: Duration, signal: &str) -> (Option<i32>, String) {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{shell} exec \"$@\""), "sh", env!("CARGO_BIN_EXE_hindsight")]).args(args);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.starts_with(sign) {
        line.clear();
        assert!(lines.read_line(&mut line).unwrap() > 0, "it ended before it said '{sign}'");
    }
    std::thread::sleep(after);
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
    let mut rest = String::new();
    lines.read_to_string(&mut rest).unwrap();
    (child.wait().unwrap().code(), rest)
}

#[test]
fn a_stop_in_the_first_task_of_many_steps_loses_nothing_whoever_asks() {
    let home = tempfile::tempdir().unwrap();
    let sizes = ["--tasks=1", "--images=20000"];
    let whole = home.path().join("whole");
    assert_eq!(writing_to(&run_into(&whole, &sizes), Stdio::null(), Stdio::null()), Some(0));
    for signal in ["-INT", "-TERM", "-HUP"] {
        let cut = home.path().join(signal);
        // Before the first step there is nothing to be lost, nor kept.
        let mut after = Duration::from_millis(100);
        let said = loop {
            let (code, said) = signalled("", &run_into(&cut, &sizes), "er: 2 runs side by side", after, signal);
            assert_eq!(code, Some(130), "{said}");
            if cut.exists() {
                break said;
            }
            assert!(said.contains("no run had finished"), "{said}");
            after *= 2;
        };
        assert!(said.contains(&format!("hindsight run --resume {}", cut.display())), "{said}");
        let resumed = hindsight(&["run", "--resume", cut.to_str().unwrap()]);
        assert!(resumed.status.success(), "{}", stderr(&resumed));
        assert!(stderr(&resumed).contains("er: goes on within task 1 of 1"), "{}", stderr(&resumed));
        assert_eq!(records_in(&cut), records_in(&whole));
        assert_eq!(fs::read(cut.join("losses.csv")).unwrap(), fs::read(whole.join("losses.csv")).unwrap());
    }
}

#[test]
fn a_signal_that_was_ignored_at_the_start_stays_ignored() {
    let home = tempfile::tempdir().unwrap();
    for (shell, signal) in [("trap '' HUP;", "-HUP"), ("trap '' INT;", "-INT")] {
        let folder = home.path().join(signal);
        let args = run_into(&folder, &["--tasks=2", "--images=2000"]);
        let (code, said) = signalled(shell, &args, "er: 2 runs side by side", Duration::ZERO, signal);
        assert_eq!(code, Some(0), "{said}");
        assert_eq!(records_in(&folder).len(), 2);
    }
}

#[test]
fn a_stopped_run_leaves_its_finished_tasks_to_be_read_and_reports_leave_them_out() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("cut");
    let args = run_into(&folder, &["--tasks=3", "--images=10000"]);
    let (code, said) = signalled("", &args, "er: task 1 of 3", Duration::ZERO, "-INT");
    assert_eq!(code, Some(130), "{said}");
    let text = fs::read_to_string(folder.join("unfinished.jsonl")).unwrap();
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    for (seed, line) in lines.iter().enumerate() {
        let count = |name: &str| line[name].as_array().unwrap().len() as u64;
        let done = line["finished_tasks"].as_u64().unwrap();
        assert!(done >= 1 && done == count("matrix") && done == count("losses"), "{line}");
        assert_eq!((line["method"].as_str(), line["seed"].as_u64()), (Some("er"), Some(seed as u64)));
        assert_eq!(line["losses"][0].as_array().unwrap().len(), 1000);
    }
    assert!(!folder.join("results.json").exists());
    assert!(hindsight(&["run", "--resume", folder.to_str().unwrap()]).status.success());
    assert!(!folder.join("unfinished.jsonl").exists() && records_in(&folder).len() == 2);
}

/// The program with these as its standard output and error.
fn writing_to(args: &[impl AsRef<OsStr>], stdout: Stdio, stderr: Stdio) -> Option<i32> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hindsight"));
    command.args(args).stdout(stdout).stderr(stderr).status().unwrap().code()
}

#[test]
fn a_run_whose_messages_can_not_be_written_comes_to_its_end() {
    let home = tempfile::tempdir().unwrap();
    let sizes = ["--tasks=2", "--images=50"];
    let closed = || {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        writer
    };
    let folder = home.path().join("closed");
    assert_eq!(writing_to(&run_into(&folder, &sizes), closed().into(), closed().into()), Some(0));
    assert_eq!(records_in(&folder).len(), 2);
    let Ok(full) = File::options().write(true).open("/dev/full") else { return };
    let folder = home.path().join("full");
    let args = run_into(&folder, &sizes);
    assert_eq!(writing_to(&args, Stdio::null(), full.try_clone().unwrap().into()), Some(0));
    assert_eq!(records_in(&folder).len(), 2);
    // An answer that was asked for and could not be given is a failure; what was computed is there all the same.
    let folder = home.path().join("full output");
    let args = run_into(&folder, &sizes);
    assert_eq!(writing_to(&args, full.try_clone().unwrap().into(), full.into()), Some(1));
    assert_eq!(records_in(&folder).len(), 2);
    assert!(!folder.join("checkpoints").exists());
    // A refusal, too.
    assert_eq!(writing_to(&["run", "--tasks=0"], closed().into(), closed().into()), Some(2));
    assert_eq!(writing_to(&["report", "nowhere"], closed().into(), closed().into()), Some(1));
}
