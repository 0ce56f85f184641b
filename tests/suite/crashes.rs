//! Programs that are killed, and disks that fail: whoever goes on gets what an uninterrupted run has, to the bit but for times.

use crate::cli::{hindsight, stderr};
use hindsight::experiment::Checkpoints;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Kills in all. A long run in the background has more.
fn kills() -> usize {
    std::env::var("HINDSIGHT_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(30)
}

/// Fields of `results.json` that its schema marks as measured, which no two runs have alike.
fn measured() -> Vec<String> {
    fn collect(value: &Value, found: &mut Vec<String>) {
        let Some(object) = value.as_object() else { return };
        for (name, field) in object {
            if field["x-measured"] == true {
                found.push(name.clone());
            }
            collect(field, found);
        }
    }
    let mut found = vec![];
    collect(&serde_json::from_str(include_str!("../../docs/results.schema.json")).unwrap(), &mut found);
    found
}

fn without(value: &mut Value, names: &[String]) {
    match value {
        Value::Object(object) => {
            object.retain(|name, _| !names.contains(name));
            object.values_mut().for_each(|value| without(value, names));
        }
        Value::Array(list) => list.iter_mut().for_each(|value| without(value, names)),
        _ => {}
    }
}

/// A line of a document without the last two columns of its table, which hold times.
fn without_times(line: &str) -> String {
    let cells: Vec<&str> = line.split('|').collect();
    cells[..cells.len().saturating_sub(3).max(1)].join("|") + "\n"
}

/// Every file below a folder but pages, by its path: JSON and tables without what was measured, and without the command, which names the folder.
fn contents(folder: &Path) -> BTreeMap<String, String> {
    let names = [measured(), vec!["command".into()]].concat();
    assert!(names.len() > 3, "{names:?}");
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap().flatten() {
            let path = entry.path();
            if path.ends_with(".lock") {
                continue; // A killed process leaves it, and holds nothing by it.
            }
            let name = path.strip_prefix(folder).unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = fs::read(&path).unwrap();
            let text = match path.extension().and_then(|extension| extension.to_str()) {
                Some("html") => continue,
                Some("json" | "jsonl") => {
                    let values = serde_json::Deserializer::from_slice(&bytes).into_iter::<Value>();
                    let mut values: Vec<Value> = values.map(|value| value.unwrap()).collect();
                    values.iter_mut().for_each(|value| without(value, &names));
                    format!("{values:?}")
                }
                Some("md") => String::from_utf8_lossy(&bytes).lines().map(without_times).collect(),
                _ => String::from_utf8_lossy(&bytes).into_owned(),
            };
            found.insert(name, text);
        }
    }
    found
}

fn same(found: &Path, whole: &Path, how: &str) {
    let (found, whole) = (contents(found), contents(whole));
    let names = |of: &BTreeMap<String, String>| of.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&found), names(&whole), "{how}");
    for (name, text) in &whole {
        assert!(found[name] == *text, "{how}: {name} differs");
    }
}

/// Pseudo-random parts of 1.
struct Parts(u64);

impl Parts {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as f64 / (1_u64 << 31) as f64
    }
}

/// What goes on with a folder: `run` by its checkpoints, if there are any, all else by the command that began it.
fn going_on<'a>(command: &[&'a str], folder: &'a Path) -> Vec<&'a str> {
    let path = folder.to_str().unwrap();
    match command[0] == "run" && Checkpoints::are_in(folder) {
        true => vec!["run", "--resume", path],
        false => [command, &["--out", path]].concat(),
    }
}

/// Starts a command, kills it after a while, and goes on with it until it ends, again and again.
fn killed_and_gone_on_with(command: &[&str], kills: usize) {
    let home = tempfile::tempdir().unwrap();
    let [whole, cut] = ["whole", "cut"].map(|name| home.path().join(name));
    let started = Instant::now();
    let output = hindsight(&going_on(command, &whole));
    assert!(output.status.success(), "{}", stderr(&output));
    let takes = started.elapsed();
    // It may be killed when all is done: then a run has nothing to be gone on with.
    let is_done = || command[0] == "run" && cut.join("results.json").exists() && !Checkpoints::are_in(&cut);
    let (mut parts, mut killed, mut ended) = (Parts(kills as u64), 0, 0);
    while killed < kills {
        let mut program = Command::new(env!("CARGO_BIN_EXE_hindsight"));
        program.args(going_on(command, &cut)).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = program.spawn().unwrap();
        std::thread::sleep(takes.mul_f64(parts.next()));
        let has_ended = child.try_wait().unwrap().is_some();
        let _ = child.kill();
        let status = child.wait().unwrap();
        killed += usize::from(!has_ended);
        assert!(!has_ended || status.success(), "{command:?} after {killed} kills");
        if has_ended || is_done() {
            same(&cut, &whole, &format!("{command:?} after {killed} kills"));
            fs::remove_dir_all(&cut).unwrap();
            ended += 1;
        }
    }
    let output = hindsight(&going_on(command, &cut));
    assert!(output.status.success(), "{command:?}: {}", stderr(&output));
    same(&cut, &whole, &format!("{command:?} after {killed} kills"));
    println!("{}: {killed} kills, {} ends, all the same", command[0], ended + 1);
}

const TINY: [&str; 4] = ["--device=cpu", "--images=40", "--test-images=50", "--checkpoint-every=0"];

#[test]
fn a_run_that_is_killed_anywhere_is_gone_on_with_to_the_bit() {
    let what = ["run", "--method=er,hal", "--seeds=2", "--tasks=3", "--anchor-steps=2", "--finetune-steps=2"];
    killed_and_gone_on_with(&[&what[..], &TINY].concat(), kills().div_ceil(3));
}

#[test]
fn a_reproduction_that_is_killed_anywhere_is_gone_on_with_to_the_bit() {
    let what = ["reproduce", "table1", "--benchmark=permuted-mnist", "--only=finetune,er", "--seeds=2", "--tasks=3"];
    killed_and_gone_on_with(&[&what[..], &TINY].concat(), kills().div_ceil(3));
}

#[test]
fn a_search_that_is_killed_anywhere_is_gone_on_with_to_the_bit() {
    killed_and_gone_on_with(&[&["tune", "--method=finetune", "--chunk=3"][..], &TINY].concat(), kills().div_ceil(3));
}

/// Lets single changes of files of results fail once: each of them in a long run (`HINDSIGHT_KILLS`), else every third,
/// which hits each of the five calls that write a file, of some file.
#[test]
fn a_disk_that_fails_once_anywhere_loses_nothing() {
    let home = tempfile::tempdir().unwrap();
    let [whole, failed] = ["whole", "failed"].map(|name| home.path().join(name));
    let command = [&["run", "--method=er", "--seeds=1", "--tasks=2"][..], &TINY].concat();
    assert!(hindsight(&going_on(&command, &whole)).status.success());
    let (mut silent, mut call, stride) = (0, 0, if kills() > 30 { 1 } else { 3 });
    while silent < 3 {
        call += stride;
        let mut program = Command::new(env!("CARGO_BIN_EXE_hindsight"));
        program.args(going_on(&command, &failed)).env("HINDSIGHT_FAIL_IO", call.to_string());
        let output = program.output().unwrap();
        let said = stderr(&output);
        assert!(!said.contains("panicked"), "call {call}: {said}");
        silent = if said.contains("HINDSIGHT_FAIL_IO") { 0 } else { silent + 1 };
        match output.status.code() {
            Some(0) => {}
            Some(1) => {
                assert!(said.contains("error: ") && silent == 0, "call {call}: {said}");
                let again = hindsight(&going_on(&command, &failed));
                assert!(again.status.success(), "call {call}: {said}\nthen {}", stderr(&again));
            }
            code => panic!("call {call}: {code:?}: {said}"),
        }
        same(&failed, &whole, &format!("call {call}"));
        fs::remove_dir_all(&failed).unwrap();
    }
    // Each file is made, written, synchronised and renamed, and its folder synchronised.
    assert!(call > 30, "{call} calls");
}

/// The folder is gone before the run ends: results go to a new one of that name.
#[test]
fn a_folder_that_is_removed_meanwhile_is_made_again() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("run");
    let what = ["run", "--device=cpu", "--method=er", "--seeds=1", "--tasks=4", "--images=2000", "--test-images=50"];
    let mut program = Command::new(env!("CARGO_BIN_EXE_hindsight"));
    program.args([&what[..], &["--out", folder.to_str().unwrap()]].concat()).stdout(Stdio::null());
    let mut child = program.stderr(Stdio::null()).spawn().unwrap();
    while !folder.join(".lock").exists() {
        std::thread::sleep(Duration::from_millis(1));
    }
    fs::remove_dir_all(&folder).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(folder.join("results.json").exists() && folder.join("losses.csv").exists());
}
