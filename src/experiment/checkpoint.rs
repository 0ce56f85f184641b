//! Checkpoints: how far long runs have come, in a file from which they go on.
//!
//! No method decides anything on the host by what a device computed, so what the host holds (memories, random streams)
//! comes about again when a method goes through its tasks without computing. The file has the rest: what the runs'
//! buffers hold, and what was measured. It is a safetensors file, which other tools read, too.

use crate::data::ImageSet;
use crate::data::benchmarks::{self, Benchmark};
use crate::device::Device;
use crate::methods::Learned;
use crate::program::Content;
use crate::report::write_file;
use crate::settings::RunSpec;
use hindsight_kernels::Kind;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};
use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Where checkpoints are kept, and how often.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    folder: PathBuf,
    every: Duration,
    origin: Origin,
}

/// How runs came about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// The command line, one entry an argument.
    pub command: Vec<String>,
    /// When it started: UTC, RFC 3339.
    pub started_at: String,
}

/// A checkpoint that cannot be written, or gone on from.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// It cannot be read, is not one, or is of other runs.
    #[error("{}: runs cannot go on from it ({reason}); remove it to begin them anew", .path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The disk is full, read-only, or not ours to write.
    #[error("no checkpoint was written: {0}")]
    Unwritable(String),
}

/// The folder of checkpoints in a run folder.
const FOLDER: &str = "checkpoints";

impl Checkpoints {
    /// Checkpoints in a run folder, written after tasks that end `every` so long after the last checkpoint, or the start.
    pub fn new(run_folder: &Path, every: Duration, origin: Origin) -> Checkpoints {
        Checkpoints { folder: run_folder.join(FOLDER), every, origin }
    }

    /// How the runs came about that a run folder has checkpoints of, if it has any.
    ///
    /// # Errors
    /// If one cannot be read.
    pub fn origin(run_folder: &Path) -> Result<Option<Origin>, CheckpointError> {
        let Some(path) = files(&run_folder.join(FOLDER)).next() else { return Ok(None) };
        let bytes = read(&path)?;
        let origin = header(&bytes, "origin").and_then(|text| serde_json::from_str(&text).map_err(said));
        origin.map(Some).map_err(|reason| CheckpointError::Unusable { path, reason })
    }

    /// Whether a run folder has any.
    pub fn are_in(run_folder: &Path) -> bool {
        files(&run_folder.join(FOLDER)).next().is_some()
    }

    /// Removes those of a run folder: its runs have come to their end, or begin anew.
    pub fn remove(run_folder: &Path) {
        let folder = run_folder.join(FOLDER);
        // One that stays is harmless: it says of which runs it is.
        files(&folder).for_each(|path| drop(fs::remove_file(path)));
        let _ = fs::remove_dir(folder);
    }

    /// Who keeps the checkpoint of some runs.
    pub(super) fn keeper(
        &self,
        benchmark: &dyn Benchmark,
        method: &str,
        runs: &[RunSpec],
        data: &ImageSet,
        device: &Device,
    ) -> Keeper {
        let depends = (
            (env!("CARGO_PKG_VERSION"), device.adapter_name(), device.driver()),
            (benchmark.name(), benchmarks::checksums(data), method, runs),
        );
        let path = self.folder.join(format!("{method}-seed{}.safetensors", runs[0].seed));
        let origin = serde_json::to_string(&self.origin).expect("a command is plain text");
        let runs = serde_json::to_string(&depends).expect("runs are plain values");
        Keeper { path, runs, origin, every: self.every, last: Instant::now() }
    }
}

fn files(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let paths = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "safetensors"))
}

fn read(path: &Path) -> Result<Vec<u8>, CheckpointError> {
    fs::read(path).map_err(|error| CheckpointError::Unusable { path: path.into(), reason: error.to_string() })
}

/// Keeps the checkpoint of some runs.
pub(super) struct Keeper {
    path: PathBuf,
    /// All that the runs depend on.
    runs: String,
    origin: String,
    every: Duration,
    last: Instant,
}

/// Runs after some of their tasks.
pub(super) struct Checkpoint {
    /// The accuracy matrix of each run so far.
    pub rows: Vec<Vec<Vec<f64>>>,
    /// The losses of each run's steps, task by task.
    pub losses: Vec<Vec<Vec<f64>>>,
    /// What training took.
    pub train: Duration,
    /// What all took.
    pub total: Duration,
    /// The models after the last task, where an oracle knows them.
    pub future: Option<Vec<Learned>>,
    /// What the runs' buffers hold.
    pub contents: Vec<Content>,
}

impl Keeper {
    /// Whether a checkpoint should be written.
    pub fn is_due(&self) -> bool {
        self.last.elapsed() >= self.every
    }

    /// Writes a checkpoint in place of the last one.
    pub fn write(&mut self, checkpoint: &Checkpoint) -> Result<(), CheckpointError> {
        let about = [("runs", &self.runs), ("origin", &self.origin)];
        let bytes = checkpoint.to_bytes(&about).map_err(CheckpointError::Unwritable)?;
        write_file(&self.path, bytes).map_err(|error| CheckpointError::Unwritable(error.to_string()))?;
        self.last = Instant::now();
        Ok(())
    }

    /// The checkpoint, if there is one.
    pub fn read(&self) -> Result<Option<Checkpoint>, CheckpointError> {
        if !self.path.exists() {
            return Ok(None);
        }
        let bytes = read(&self.path)?;
        let checkpoint = match header(&bytes, "runs") {
            Ok(runs) if runs == self.runs => Checkpoint::of_bytes(&bytes),
            Ok(_) => Err("it is of other settings, data, device or version".into()),
            Err(reason) => Err(reason),
        };
        checkpoint.map(Some).map_err(|reason| self.unusable(&reason))
    }

    /// That runs cannot go on from it.
    pub fn unusable(&self, reason: &dyn Display) -> CheckpointError {
        CheckpointError::Unusable { path: self.path.clone(), reason: reason.to_string() }
    }
}

fn said(error: impl Display) -> String {
    error.to_string()
}

/// An entry of a file's header.
fn header(bytes: &[u8], name: &str) -> Result<String, String> {
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(said)?;
    let entry = metadata.metadata().as_ref().and_then(|entries| entries.get(name));
    entry.cloned().ok_or_else(|| format!("it does not say its {name}"))
}

/// A tensor to be written.
struct Tensor {
    name: String,
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Tensor {
    /// Numbers, of which all the innermost lists have one length.
    fn of(name: &str, shape: Vec<usize>, values: impl Iterator<Item = f64>) -> Tensor {
        Tensor { name: name.into(), dtype: Dtype::F64, shape, bytes: values.flat_map(f64::to_le_bytes).collect() }
    }

    /// `[runs, tasks, ...]`
    fn by_task(name: &str, lists: &[Vec<Vec<f64>>]) -> Tensor {
        let shape = vec![lists.len(), lists[0].len(), lists[0].first().map_or(0, Vec::len)];
        Tensor::of(name, shape, lists.iter().flatten().flatten().copied())
    }
}

impl Checkpoint {
    /// Tasks that were learned.
    pub fn tasks(&self) -> usize {
        self.rows[0].len()
    }

    fn to_bytes(&self, about: &[(&str, &String)]) -> Result<Vec<u8>, String> {
        let seconds = [self.train, self.total].map(|time| time.as_secs_f64());
        let mut tensors = vec![
            Tensor::by_task("accuracy", &self.rows),
            Tensor::by_task("losses", &self.losses),
            Tensor::of("seconds", vec![2], seconds.into_iter()),
        ];
        if let Some(future) = &self.future {
            let of = |name, part: fn(&Learned) -> &Vec<f64>| {
                let values = future.iter().flat_map(part).copied();
                Tensor::of(name, vec![future.len(), part(&future[0]).len()], values)
            };
            tensors.extend([of("future/theta", |l| &l.theta), of("future/statistics", |l| &l.statistics)]);
        }
        tensors.extend(self.contents.iter().enumerate().map(|(number, content)| self.state(number, content)));
        let views = tensors.iter().map(|tensor| {
            let Tensor { name, dtype, shape, bytes } = tensor;
            Ok((name, TensorView::new(*dtype, shape.clone(), bytes).map_err(said)?))
        });
        let views: Vec<_> = views.collect::<Result<_, String>>()?;
        let about = about.iter().map(|(name, text)| ((*name).into(), (*text).clone())).collect();
        safetensors::serialize(views, Some(about)).map_err(said)
    }

    /// A buffer, by a name that no other has.
    fn state(&self, number: usize, content: &Content) -> Tensor {
        let dtype = match (content.kind, content.width) {
            (Kind::Float, 8) => Dtype::F64,
            (Kind::Float, _) => Dtype::F32,
            _ => Dtype::U32,
        };
        let runs = self.rows.len();
        let shape = vec![runs, content.bytes.len() / content.width / runs];
        Tensor { name: format!("state/{number:04} {}", content.name), dtype, shape, bytes: content.bytes.clone() }
    }

    fn of_bytes(bytes: &[u8]) -> Result<Checkpoint, String> {
        let file = SafeTensors::deserialize(bytes).map_err(said)?;
        let [train, total] = numbers(&file, "seconds")?[..] else { return Err("it has no two times".into()) };
        let time = |seconds| Duration::try_from_secs_f64(seconds).map_err(said);
        let mut states: Vec<_> = file.iter().filter(|(name, _)| name.starts_with("state/")).collect();
        states.sort_by_key(|(name, _)| *name);
        let checkpoint = Checkpoint {
            rows: by_task(&file, "accuracy")?,
            losses: by_task(&file, "losses")?,
            train: time(train)?,
            total: time(total)?,
            future: future(&file)?,
            contents: states.into_iter().map(|(name, tensor)| content(name, &tensor)).collect::<Result<_, _>>()?,
        };
        let runs = checkpoint.rows.len();
        let is_matrix = |rows: &Vec<Vec<f64>>| {
            let is_row = |row: &Vec<f64>| rows.len() <= row.len() && row.iter().all(|a| (0.0..=1.0).contains(a));
            !rows.is_empty() && rows.iter().all(is_row)
        };
        let is_whole = runs > 0 && checkpoint.losses.len() == runs && checkpoint.rows.iter().all(is_matrix);
        if is_whole { Ok(checkpoint) } else { Err("it is damaged".into()) }
    }
}

fn numbers(file: &SafeTensors<'_>, name: &str) -> Result<Vec<f64>, String> {
    let tensor = file.tensor(name).map_err(said)?;
    match tensor.dtype() {
        Dtype::F64 => Ok(bytemuck::pod_collect_to_vec(tensor.data())),
        other => Err(format!("its {name} are {other:?}")),
    }
}

/// What [`Tensor::by_task`] wrote.
fn by_task(file: &SafeTensors<'_>, name: &str) -> Result<Vec<Vec<Vec<f64>>>, String> {
    let values = numbers(file, name)?;
    let &[_, tasks, width] = file.tensor(name).map_err(said)?.shape() else {
        return Err(format!("its {name} are not one list a run and task"));
    };
    let of_run = |run: &[f64]| run.chunks_exact(width.max(1)).map(<[f64]>::to_vec).collect();
    Ok(values.chunks_exact((tasks * width).max(1)).map(of_run).collect())
}

fn future(file: &SafeTensors<'_>) -> Result<Option<Vec<Learned>>, String> {
    let Ok(theta) = file.tensor("future/theta") else { return Ok(None) };
    let runs = theta.shape()[0];
    let part = |name| -> Result<Vec<Vec<f64>>, String> {
        let values = numbers(file, name)?;
        let width = values.len() / runs.max(1);
        Ok((0..runs).map(|run| values[run * width..(run + 1) * width].to_vec()).collect())
    };
    let models = part("future/theta")?.into_iter().zip(part("future/statistics")?);
    Ok(Some(models.map(|(theta, statistics)| Learned { theta, statistics }).collect()))
}

fn content(name: &str, tensor: &TensorView<'_>) -> Result<Content, String> {
    let (kind, width) = match tensor.dtype() {
        Dtype::F32 => (Kind::Float, 4),
        Dtype::F64 => (Kind::Float, 8),
        Dtype::U32 => (Kind::Index, 4),
        other => return Err(format!("'{name}' is {other:?}")),
    };
    let (_, name) = name.split_once(' ').ok_or_else(|| format!("'{name}' has no number"))?;
    Ok(Content { name: name.into(), kind, width, bytes: tensor.data().to_vec() })
}
