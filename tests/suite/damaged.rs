//! Files that are damaged, or made to look whole: each is refused, with the reason, and nothing else is lost.

use crate::gpu::small;
use hindsight::device::Device;
use hindsight::experiment::{self, Checkpoints, Experiment, ExperimentError, Observer, Origin, Progress};
use hindsight::settings::{AnchorKind, RunSpec, Settings};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Keeps a checkpoint after each task, and stops after the first that it learns.
struct StopAfterOne {
    checkpoints: Checkpoints,
    learned: bool,
}

impl Observer for StopAfterOne {
    fn task_finished(&mut self, _: &Progress<'_>) {
        self.learned = true;
    }
    fn stop_requested(&self) -> bool {
        self.learned
    }
    fn checkpoints(&self) -> Option<&Checkpoints> {
        Some(&self.checkpoints)
    }
}

fn go_on(experiment: &Experiment, folder: &Path) -> Result<(), ExperimentError> {
    let origin = Origin { command: vec!["hindsight".into(), "run".into()], started_at: "then".into() };
    let checkpoints = Checkpoints::new(folder, Duration::ZERO, origin);
    experiment::run(experiment, &Device::Cpu, &mut StopAfterOne { checkpoints, learned: false }).map(|_| ())
}

/// An experiment that was stopped after its first task, and its checkpoint.
fn stopped(folder: &Path, method: &str, settings: Settings) -> (Experiment, PathBuf) {
    let (benchmark, runs) = ("permuted-mnist".into(), RunSpec::seeds(&settings, &[3, 4]));
    let experiment = Experiment { benchmark, method: method.into(), runs };
    go_on(&experiment, folder).unwrap_err();
    (experiment, folder.join(format!("checkpoints/{method}-seed3.safetensors")))
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
    assert!(matches!(go_on(&experiment, folder.path()), Err(ExperimentError::Interrupted)));
}

#[test]
fn a_checkpoint_that_was_made_up_is_refused_though_its_checksum_is_right() {
    let folder = tempfile::tempdir().unwrap();
    let (experiment, path) = stopped(folder.path(), "er", small());
    let whole = fs::read(&path).unwrap();
    let tasks = small().tasks;
    fs::write(&path, forge(&whole, |_| {})).unwrap();
    assert!(matches!(go_on(&experiment, folder.path()), Err(ExperimentError::Interrupted)), "nothing was changed");
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
        ("tasks", put("accuracy", of_f64(&[2, tasks + 1, tasks], 0.5))),
        ("tasks", put("accuracy", of_f64(&[2, 0, tasks], 0.5))),
        ("'steps'", put("steps", of_f64(&[2], 1.0))),
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
