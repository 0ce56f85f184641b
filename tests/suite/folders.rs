//! Run folders that several processes want, and those that are to replace others.

use crate::cli::{hindsight, stderr};
use hindsight::report::{FolderError, Lock, Results, RunFolder};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::UNIX_EPOCH;

fn start(args: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hindsight"));
    command.args(args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn two_that_start_in_one_second_have_two_folders() {
    // The folder is relative to where the program is started.
    let home = tempfile::tempdir().unwrap();
    let args = ["run", "--device=cpu", "--method=er", "--tasks=1", "--images=20", "--test-images=20", "--seeds=1"];
    let start = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hindsight"));
        command.args(args).current_dir(home.path()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let children: Vec<Child> = (0..4).map(|_| start()).collect();
    children.into_iter().for_each(|mut child| assert!(child.wait().unwrap().success()));
    let folders = names_in(&home.path().join("runs"));
    assert_eq!(folders.len(), 4, "{folders:?}");
    for folder in folders {
        assert_eq!(Results::read(&home.path().join("runs").join(folder)).unwrap().runs.len(), 1);
    }
    assert_eq!(RunFolder::default_for("no such benchmark", UNIX_EPOCH).unwrap().place().file_name().unwrap().len(), 35);
}

#[test]
fn who_has_a_folder_is_named_and_a_holder_that_is_gone_holds_nothing() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("shared");
    let lock = Lock::take(&folder).unwrap();
    let said = RunFolder::create(&folder, true).unwrap_err().to_string();
    let own = format!("process {} on ", std::process::id());
    assert!(said.contains(&own) && said.contains(" since 20") && said.contains("--out"), "{said}");
    for command in [
        &["run", "--device=cpu", "--out"][..],
        &["run", "--device=cpu", "--overwrite", "--out"],
        &["run", "--resume"],
        &["tune", "--device=cpu", "--method=finetune", "--out"],
        &["reproduce", "table1", "--device=cpu", "--benchmark=permuted-mnist", "--out"],
    ] {
        let output = hindsight(&[command, &[folder.to_str().unwrap()]].concat());
        assert_eq!(output.status.code(), Some(1), "{command:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(&own), "{command:?}: {}", stderr(&output));
    }
    drop(lock);
    assert!(!folder.exists(), "an empty folder is nobody's");

    // A killed holder.
    let args = ["run", "--device=cpu", "--method=hal", "--images=2000", "--out", folder.to_str().unwrap()];
    let mut child = start(&args);
    while !folder.join(".lock").exists() {
        assert!(child.try_wait().unwrap().is_none());
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(folder.join(".lock").exists());
    fs::write(folder.join(".results.json.123-0.part"), "half").unwrap();
    fs::create_dir_all(folder.join("checkpoints")).unwrap();
    fs::write(folder.join("checkpoints/.hal-0.safetensors.123-0.part"), "half").unwrap();
    // It was killed before its first checkpoint, or while that was written: the same command takes the folder.
    let resumed = hindsight(&["run", "--resume", folder.to_str().unwrap()]);
    assert!(stderr(&resumed).contains("give the same command again"), "{}", stderr(&resumed));
    let claimed = RunFolder::create(&folder, false).unwrap();
    assert_eq!(names_in(&folder), [".lock"]);
    drop(claimed);
}

fn run(out: &Path, method: &str, more: &[&str]) -> std::process::Output {
    let what = ["run", "--device=cpu", "--tasks=2", "--images=40", "--test-images=50", "--seeds=1", "--method", method];
    hindsight(&[&what[..], &["--out", out.to_str().unwrap()], more].concat())
}

fn methods_in(folder: &Path) -> Vec<String> {
    Results::read(folder).unwrap().runs.into_iter().map(|run| run.method).collect()
}

#[test]
fn overwriting_replaces_all_of_the_old_run_and_touches_nothing_else() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("run");
    assert!(run(&folder, "hal,er", &["--tensorboard"]).status.success());
    fs::write(folder.join("notes.txt"), "precious").unwrap();
    let output = run(&folder, "finetune", &["--overwrite"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(methods_in(&folder), ["finetune"]);
    let fresh = home.path().join("fresh");
    assert!(run(&fresh, "finetune", &[]).status.success());
    let mut expected = names_in(&fresh);
    expected.push("notes.txt".into());
    expected.sort();
    assert_eq!(names_in(&folder), expected);
    assert_eq!(names_in(&folder.join("matrices")), ["finetune-seed0.csv"]);
}

#[cfg(unix)]
#[test]
fn an_interrupted_overwrite_keeps_the_old_results_and_can_be_gone_on_with() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("run");
    assert!(run(&folder, "finetune", &[]).status.success());
    let what = ["run", "--device=cpu", "--method=er", "--seeds=1", "--tasks=4", "--images=10000", "--test-images=200"];
    let place = ["--overwrite", "--out", folder.to_str().unwrap()];
    let (code, said) = crate::cli::interrupted_at("er: task", &[&what[..], &place].concat());
    assert_eq!(code, Some(130), "{said}");
    assert!(said.contains(&format!("hindsight run --resume {}", folder.display())), "{said}");
    assert_eq!(methods_in(&folder), ["finetune"]);
    // Neither is taken for free.
    let again = run(&folder, "er", &[]);
    assert!(!again.status.success() && stderr(&again).contains("--resume"), "{}", stderr(&again));
    let resumed = hindsight(&["run", "--resume", folder.to_str().unwrap()]);
    assert!(resumed.status.success(), "{}", stderr(&resumed));
    assert_eq!(methods_in(&folder), ["er"]);
    assert!(!folder.join(".overwrite").exists() && !folder.join("checkpoints").exists());
}

/// A folder with an old run's files, and a finished one's that is to replace them.
fn replacing(home: &Path, marker: &str, old: &[&str], new: &[&str]) -> PathBuf {
    let folder = home.join("run");
    fs::create_dir_all(folder.join(".overwrite")).unwrap();
    let write = |path: PathBuf, name: &str| {
        fs::create_dir_all(path.join(name).parent().unwrap()).unwrap();
        fs::write(path.join(name), name).unwrap();
    };
    old.iter().for_each(|name| write(folder.clone(), name));
    new.iter().chain([&marker]).for_each(|name| write(folder.join(".overwrite"), name));
    folder
}

#[test]
fn a_replacement_that_was_cut_short_is_gone_on_with_by_whoever_comes_next() {
    for (marker, old, new) in [
        (
            ".removing",
            &["anchors/old.npy", "losses.csv", "notes.txt"][..],
            &["losses.csv", "matrices/new.csv", "results.json"][..],
        ),
        (".moving", &["losses.csv", "notes.txt"], &["matrices/new.csv", "results.json"]),
        (".moving", &["losses.csv", "matrices/new.csv", "notes.txt", "results.json"], &[]),
    ] {
        let home = tempfile::tempdir().unwrap();
        let folder = replacing(home.path(), marker, old, new);
        assert!(matches!(RunFolder::create(&folder, false), Err(FolderError::Occupied(_))));
        assert_eq!(names_in(&folder), ["losses.csv", "matrices", "notes.txt", "results.json"], "{marker}");
        assert_eq!(names_in(&folder.join("matrices")), ["new.csv"]);
    }
}
