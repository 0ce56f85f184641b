//! Files that are damaged, or made to look whole: each is refused, with the reason, and nothing else is lost.

use crate::cli::{hindsight, stderr, stdout};
use crate::gpu::small;
use crate::report::{results, save, whole};
use hindsight::device::Device;
use hindsight::experiment::{self, Checkpoints, Experiment, ExperimentError, Observer, Origin, Progress};
use hindsight::program::Stop;
use hindsight::settings::{AnchorKind, RunSpec, Settings};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

/// Keeps a checkpoint after each task, and stops after the first that it learns.
struct StopAfterOne {
    checkpoints: Checkpoints,
    learned: Arc<AtomicBool>,
}

impl Observer for StopAfterOne {
    fn task_finished(&mut self, _: &Progress<'_>) {
        self.learned.store(true, Relaxed);
    }
    fn stop(&self) -> Option<Stop> {
        let learned = self.learned.clone();
        Some(Arc::new(move |_| learned.load(Relaxed)))
    }
    fn checkpoints(&self) -> Option<&Checkpoints> {
        Some(&self.checkpoints)
    }
}

fn go_on(experiment: &Experiment, folder: &Path) -> Result<(), ExperimentError> {
    let origin = Origin::of(vec!["hindsight".into(), "run".into()], "then".into());
    let checkpoints = Checkpoints::new(folder, Duration::ZERO, origin);
    experiment::run(experiment, &Device::Cpu, &mut StopAfterOne { checkpoints, learned: Arc::default() }).map(|_| ())
}

/// An experiment that was stopped after its first task, and its checkpoint.
fn stopped(folder: &Path, method: &str, settings: Settings) -> (Experiment, PathBuf) {
    let (benchmark, runs) = ("permuted-mnist".into(), RunSpec::seeds(&settings, &[3, 4]));
    let experiment = Experiment { benchmark, method: method.into(), runs };
    go_on(&experiment, folder).unwrap_err();
    (experiment, folder.join(format!("checkpoints/{method}-0.safetensors")))
}

/// That going on from the file as it is now is refused; for what reason.
fn refusal(experiment: &Experiment, folder: &Path) -> String {
    match go_on(experiment, folder) {
        Err(ExperimentError::Checkpoint(error)) => error.to_string(),
        other => panic!("the checkpoint was not refused: {other:?}"),
    }
}

type Tensors = BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>;

/// The checkpoint with its tensors changed, and a checksum that is right.
fn forge(whole: &[u8], change: impl FnOnce(&mut Tensors)) -> Vec<u8> {
    let file = SafeTensors::deserialize(whole).unwrap();
    let tensor =
        |(name, view): (String, TensorView<'_>)| (name, (view.dtype(), view.shape().to_vec(), view.data().to_vec()));
    let mut tensors: Tensors = file.tensors().into_iter().map(tensor).collect();
    change(&mut tensors);
    let (_, metadata) = SafeTensors::read_metadata(whole).unwrap();
    let mut about = metadata.metadata().clone().unwrap();
    about.insert("checksum".into(), "0".repeat(64));
    let views = tensors.iter().map(|(name, (dtype, shape, bytes))| {
        let view = TensorView::new(*dtype, shape.clone(), bytes).unwrap();
        (name.clone(), view)
    });
    sealed(safetensors::serialize(views, Some(about)).unwrap())
}

/// With its zeros in place of a checksum replaced.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let zeros = format!("\"checksum\":\"{}\"", "0".repeat(64));
    let at = bytes.windows(zeros.len()).position(|window| window == zeros.as_bytes()).unwrap() + 12;
    let sum: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    bytes[at..at + 64].copy_from_slice(sum.as_bytes());
    bytes
}

fn of_f64(shape: &[usize], value: f64) -> (Dtype, Vec<usize>, Vec<u8>) {
    let count = shape.iter().product::<usize>();
    (Dtype::F64, shape.to_vec(), value.to_le_bytes().repeat(count))
}

#[test]
fn a_checkpoint_with_one_flipped_bit_or_zeros_in_its_parameters_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (experiment, path) = stopped(folder.path(), "er", small());
    let whole = fs::read(&path).unwrap();
    let file = SafeTensors::deserialize(&whole).unwrap();
    let theta = file.tensors().into_iter().find(|(name, _)| name.ends_with(" theta")).unwrap().1;
    let at = theta.data().as_ptr() as usize - whole.as_ptr() as usize;
    let mut flipped = whole.clone();
    flipped[at + 1001] ^= 4;
    let mut zeroed = whole.clone();
    zeroed[at..at + (120 << 10)].fill(0);
    for damaged in [flipped, zeroed] {
        fs::write(&path, damaged).unwrap();
        let said = refusal(&experiment, folder.path());
        assert!(said.contains("checksum") && said.contains(path.to_str().unwrap()), "{said}");
        assert!(Checkpoints::origin(folder.path()).is_err());
    }
    fs::write(&path, &whole).unwrap();
    assert!(matches!(go_on(&experiment, folder.path()), Err(ExperimentError::Interrupted(_))));
}

#[test]
fn a_checkpoint_that_was_made_up_is_refused_though_its_checksum_is_right() {
    let folder = tempfile::tempdir().unwrap();
    let (experiment, path) = stopped(folder.path(), "er", small());
    let whole = fs::read(&path).unwrap();
    let tasks = small().tasks;
    fs::write(&path, forge(&whole, |_| {})).unwrap();
    assert!(matches!(go_on(&experiment, folder.path()), Err(ExperimentError::Interrupted(_))), "nothing was changed");
    let put = |name: &str, tensor| {
        let name = name.to_string();
        forge(&whole, move |tensors| drop(tensors.insert(name, tensor)))
    };
    let state = |tensors: &Tensors| tensors.keys().find(|name| name.ends_with(" theta")).unwrap().clone();
    let forged = [
        ("'accuracy'", put("accuracy", of_f64(&[2, 1, tasks + 1], 0.5))),
        ("'accuracy'", put("accuracy", of_f64(&[3, 1, tasks], 0.5))),
        ("'accuracy'", put("accuracy", of_f64(&[2, 1, tasks], f64::NAN))),
        ("'accuracy'", put("accuracy", of_f64(&[2, 1, tasks], 1.5))),
        ("'accuracy'", put("accuracy", of_f64(&[2 * tasks], 0.5))),
        ("'accuracy'", put("accuracy", of_f64(&[3, 0, tasks], 0.5))),
        ("tasks", put("accuracy", of_f64(&[2, tasks + 1, tasks], 0.5))),
        ("steps", put("computed", of_f64(&[1], 1e18))),
        ("steps", put("computed", of_f64(&[1], 3.0))),
        ("'steps'", put("steps", of_f64(&[3], 1.0))),
        ("'losses'", put("steps", of_f64(&[2], 1.0))),
        ("'losses'", put("steps", of_f64(&[1], 1e18))),
        ("'losses'", put("losses", of_f64(&[2, 1], 0.5))),
        ("'losses'", forge(&whole, |tensors| tensors.get_mut("losses").unwrap().0 = Dtype::I64)),
        ("'seconds'", put("seconds", of_f64(&[3], 1.0))),
        ("", put("seconds", of_f64(&[2], -1.0))),
        ("", put("seconds", of_f64(&[2], f64::INFINITY))),
        ("", put("state/9999 more", of_f64(&[2, 4], 0.0))),
        ("", put("state/none", of_f64(&[2, 4], 0.0))),
        ("buffers", forge(&whole, |tensors| drop(tensors.remove(&state(tensors))))),
        (
            "buffers",
            forge(&whole, |tensors| {
                let name = state(tensors);
                let (dtype, shape, bytes) = tensors.remove(&name).unwrap();
                tensors.insert(name.replace("theta", "alpha"), (dtype, shape, bytes));
            }),
        ),
        (
            "buffers",
            forge(&whole, |tensors| {
                let (_, shape, bytes) = tensors.get_mut(&state(tensors)).unwrap();
                bytes.truncate(bytes.len() / 2);
                shape[1] /= 2;
            }),
        ),
        ("future", put("future/theta", of_f64(&[2, 5], 0.0))),
    ];
    for (reason, bytes) in forged {
        fs::write(&path, bytes).unwrap();
        let said = refusal(&experiment, folder.path());
        assert!(said.contains(reason) && said.contains(path.to_str().unwrap()), "{reason}: {said}");
    }
}

#[test]
fn a_checkpoint_holds_no_index_that_a_kernel_would_follow() {
    let folder = tempfile::tempdir().unwrap();
    for method in ["er", "mir", "hal"] {
        let (_, path) = stopped(folder.path(), method, small());
        let bytes = fs::read(&path).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let whole_numbers = file.tensors().into_iter().filter(|(_, tensor)| tensor.dtype() == Dtype::U32);
        assert_eq!(whole_numbers.map(|(name, _)| name).collect::<Vec<_>>(), [""; 0], "{method}");
    }
}

#[test]
fn an_oracle_of_another_size_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let oracle = Settings { anchors: AnchorKind::Oracle, ..small() };
    let (experiment, path) = stopped(folder.path(), "hal", oracle);
    let whole = fs::read(&path).unwrap();
    for shape in [[2, 5], [1, 89_610], [0, 89_610]] {
        let bytes = forge(&whole, |tensors| drop(tensors.insert("future/theta".into(), of_f64(&shape, 0.1))));
        fs::write(&path, bytes).unwrap();
        let said = refusal(&experiment, folder.path());
        assert!(said.contains("future/theta"), "{said}");
    }
}

#[test]
fn a_checkpoint_is_no_larger_than_its_runs_and_asks_for_no_more_than_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let (experiment, path) = stopped(folder.path(), "er", small());
    let claim = |bytes: u64| {
        let header = format!(r#"{{"a":{{"dtype":"U8","shape":[{bytes}],"data_offsets":[0,{bytes}]}}}}"#);
        [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat()
    };
    // The file is short; its header speaks of 26 TB, or of nearly all that can be counted.
    for bytes in [26_000_000_000_000, u64::MAX / 8 - 7] {
        fs::write(&path, claim(bytes)).unwrap();
        let said = refusal(&experiment, folder.path());
        assert!(said.contains("cut short"), "{said}");
    }
    fs::write(&path, u64::MAX.to_le_bytes()).unwrap();
    assert!(refusal(&experiment, folder.path()).contains("damaged"));
    // The file itself has 26 TB, none of which is on the disk, where the file system can do that.
    let bytes = 26_000_000_000_000;
    fs::write(&path, claim(bytes)).unwrap();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    if file.set_len(bytes).is_ok() {
        assert!(refusal(&experiment, folder.path()).contains("at most"));
        assert!(Checkpoints::origin(folder.path()).is_err());
    }
}

#[cfg(unix)]
#[test]
fn a_checkpoint_that_is_no_file_is_refused_without_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let (experiment, path) = stopped(folder.path(), "er", small());
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
    assert!(refusal(&experiment, folder.path()).contains("regular file"));
    fs::remove_file(&path).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    assert!(refusal(&experiment, folder.path()).contains("regular file"));
    assert!(Checkpoints::origin(folder.path()).is_err());
}

/// What `report` says of a good folder and one whose results were changed: it must report the first, and name the second.
fn reported(change: impl FnOnce(&Path)) -> (String, String) {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name).to_str().unwrap().to_owned();
    save(&home.path().join("good"), vec![whole("hal", 0, 0.7)]).unwrap();
    save(&home.path().join("bad"), vec![whole("er", 0, 0.6)]).unwrap();
    change(&home.path().join("bad"));
    let output = hindsight(&["report", &at("bad"), &at("good"), "--out", &at("page.html")]);
    assert!(stdout(&output).contains("70.0 ± 0.00"), "the other folder is reported: {}", stderr(&output));
    assert!(home.path().join("page.html").exists());
    let code = output.status.code();
    let said = stderr(&output);
    assert!(code == Some(0) || code == Some(1) && said.contains("1 of 2 folders"), "{code:?}: {said}");
    (said, stdout(&output) + &fs::read_to_string(home.path().join("page.html")).unwrap())
}

/// The same with one value of the first run's record replaced.
fn refused(pointer: &str, value: Value) -> String {
    let (said, _) = reported(|folder| {
        let path = folder.join("results.json");
        let mut all: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        *all.pointer_mut(pointer).unwrap() = value;
        fs::write(&path, all.to_string()).unwrap();
    });
    said
}

#[test]
fn a_report_leaves_out_results_that_cannot_be() {
    let cases = [
        ("/runs/0/matrix", json!([[0.5]]), "20 rows"),
        ("/runs/0/matrix", json!([]), "20 rows"),
        ("/runs/0/matrix/3", json!([0.5]), "20 rows"),
        ("/runs/0/settings/tasks", json!(4_000_000_000_u32), "rows"),
        ("/runs/0/settings/tasks", json!(-1), "invalid"),
        ("/runs/0/matrix/3/3", json!(1e308), "fractions"),
        ("/runs/0/matrix/3/3", json!("half"), "invalid type"),
        ("/runs/0/accuracy", json!(0.9), "accuracy is 0.9"),
        ("/runs/0/forgetting", json!(1e308), "forgetting"),
        ("/runs/0/train_seconds", json!(-1.0), "times"),
        ("/runs/0/seed", json!(-1), "invalid"),
        ("/runs/0/method", json!("er\u{1b}[2J\n"), "name"),
        ("/runs", json!({}), "invalid type"),
        ("/schema", json!(1e300), "invalid type"),
    ];
    for (pointer, value, reason) in cases {
        let said = refused(pointer, value.clone());
        assert!(said.contains("bad") && said.contains(reason), "{pointer} {value}: {said}");
        assert!(!said.contains('\u{1b}'));
    }
}

#[test]
fn a_report_takes_no_losses_that_cannot_be() {
    let line = |change: &dyn Fn(&mut Value)| {
        let mut line = serde_json::to_value(whole("er", 0, 0.6)).unwrap();
        line["losses"] = json!([[2.5, 1.5], [0.5]]);
        change(&mut line);
        line.to_string()
    };
    let with = |text: String| reported(|folder| fs::write(folder.join("runs.jsonl"), &text).unwrap());
    let (said, page) = with(line(&|_| {}) + "\n");
    assert!(said.is_empty() && page.contains("Training loss"), "{said}");
    for text in [
        line(&|line| line["settings"]["tasks"] = json!(4_000_000_000_u32)),
        line(&|line| line["losses"] = json!(vec![vec![0.5]; 21])),
        line(&|line| line["losses"] = json!({"4294967296": 1})),
        "\u{1b}[2J".into(),
        "[".repeat(100_000),
    ] {
        let (said, page) = with(text);
        assert!(said.contains("runs.jsonl: line 1") && said.contains("left out"), "{said}");
        assert!(!said.contains('\u{1b}') && page.contains("60.0 ± 0.00"), "the run itself is reported");
    }
}

#[cfg(unix)]
#[test]
fn a_report_does_not_wait_for_a_pipe() {
    let pipe = |path: &Path| {
        let _ = fs::remove_file(path);
        assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
    };
    let (said, _) = reported(|folder| pipe(&folder.join("results.json")));
    assert!(said.contains("regular file"), "{said}");
    let (said, _) = reported(|folder| pipe(&folder.join("runs.jsonl")));
    assert!(said.contains("regular file"), "{said}");
    let (said, _) = reported(|folder| {
        let path = folder.join("results.json");
        fs::OpenOptions::new().write(true).open(path).unwrap().set_len(1 << 40).unwrap();
    });
    assert!(said.contains("at most"), "{said}");
}

#[test]
fn strings_from_files_are_shown_and_do_nothing_else() {
    let evil = "\u{1b}[2J<script>\u{202e}\n";
    let (said, page) = reported(|folder| {
        let mut bad = results(vec![whole("er", 0, 0.6)]);
        bad.manifest.command = vec![evil.into()];
        bad.manifest.device.taken = evil.into();
        bad.manifest.started_at = evil.into();
        fs::write(folder.join("results.json"), bad.to_json()).unwrap();
    });
    assert!(said.is_empty(), "{said}");
    assert!(page.contains("&lt;script&gt;") && !page.contains("<script>"));
    assert!(!page.contains(['\u{1b}', '\u{202e}']));
}
