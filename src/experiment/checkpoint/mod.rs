//! Checkpoints: how far long runs have come, in a file from which they go on.
//!
//! No method decides anything on the host by what a device computed, so what the host holds (memories, random streams)
//! comes about again when a method goes through its tasks without computing. The file has the rest: what the runs'
//! buffers hold, and what was measured. It is a safetensors file, which other tools read, too.

pub(crate) mod format;
mod identity;
mod origin;

pub(super) use format::Checkpoint;
pub use origin::Origin;

use super::Experiment;
use crate::data::ImageSet;
use crate::data::benchmarks;
use crate::device::Device;
use crate::report::write_file;
use crate::settings::RunSpec;
use format::{Expected, header, said};
use identity::differences;
use serde_json::{Value, json};
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
    ends: bool,
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
        Checkpoints { folder: run_folder.join(FOLDER), every, origin, ends: false }
    }

    /// Whether one is also written of runs that have come to their end, as others follow before all is finished.
    pub fn keeping_ends(self, ends: bool) -> Checkpoints {
        Checkpoints { ends, ..self }
    }

    /// How the runs came about that a run folder has checkpoints of, if it has any.
    ///
    /// # Errors
    /// If one cannot be read.
    pub fn origin(run_folder: &Path) -> Result<Option<Origin>, CheckpointError> {
        let Some(path) = files(&run_folder.join(FOLDER)).next() else { return Ok(None) };
        // How large it may be is not known before it is known what it is of.
        let bytes = format::read(&path, Device::Cpu.room().memory.unwrap_or(u64::MAX));
        let origin = bytes.and_then(|bytes| header(&bytes, "origin"));
        let origin = origin.and_then(|text| serde_json::from_str(&text).map_err(said));
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

    /// How many of an experiment's runs to train next, `first` and those after it, who keeps their checkpoint, and the
    /// checkpoint, if there is one: then they are as many as it has, and the device takes the variants of kernels that
    /// computed it. Each takes `bytes_a_run` on a device. Else they are `at_a_time` at most, and no run of which there is another checkpoint.
    pub(super) fn begin(
        &self,
        experiment: &Experiment,
        data: &ImageSet,
        device: &Device,
        bytes_a_run: u64,
        first: usize,
        at_a_time: usize,
    ) -> Result<(usize, Keeper, Option<Checkpoint>), CheckpointError> {
        let benchmark = benchmarks::find(&experiment.benchmark).expect("whoever has its data has found it");
        let path = |first: usize| self.folder.join(format!("{}-{first}.safetensors", experiment.method));
        let rest = &experiment.runs[first..];
        let identity = |runs: &[RunSpec]| {
            json!({
                "version": env!("CARGO_PKG_VERSION"),
                "sources": crate::SOURCES,
                "device": device.identity(),
                "benchmark": benchmark.name(),
                "data": benchmarks::checksums(data),
                "method": experiment.method,
                "runs": runs,
            })
        };
        let (model, tasks) = (benchmark.model(), rest[0].settings.tasks);
        // Buffers, perhaps in double precision; and the losses of a task, which one of these buffers holds, and its row of the
        // matrix, for every task.
        let bytes = |runs: usize| bytes_a_run.saturating_mul(2 * (runs * (1 + tasks)) as u64).saturating_add(1 << 24);
        let expected = |runs: usize| Expected {
            runs,
            tasks,
            parameters: model.parameters(),
            statistics: model.statistics(),
            bytes: bytes(runs),
        };
        let keeper = |runs: &[RunSpec]| Keeper {
            path: path(first),
            identity: identity(runs),
            expected: expected(runs.len()),
            origin: serde_json::to_string(&self.origin).expect("a command is plain text"),
            every: self.every,
            ends: self.ends,
            last: Instant::now(),
        };
        if !path(first).exists() {
            let is_free = |count: &usize| !path(first + count).exists();
            let count = 1 + (1..at_a_time.min(rest.len())).take_while(is_free).count();
            return Ok((count, keeper(&rest[..count]), None));
        }
        let unusable = |reason| CheckpointError::Unusable { path: path(first), reason };
        let bytes = format::read(&path(first), bytes(rest.len())).map_err(unusable)?;
        let read = |name| {
            let text = header(&bytes, name).map_err(unusable)?;
            serde_json::from_str::<Value>(&text).map_err(|error| unusable(error.to_string()))
        };
        let then = read("identity")?;
        let count = then["runs"].as_array().map_or(0, Vec::len).clamp(1, rest.len());
        let keeper = keeper(&rest[..count]);
        let differences = differences(&then, &keeper.identity);
        if !differences.is_empty() {
            return Err(unusable(differences.join("; ")));
        }
        let kernels = serde_json::from_value(read("kernels")?).map_err(|error| unusable(error.to_string()))?;
        device.choose(&kernels).map_err(|error| unusable(error.to_string()))?;
        let kept = Checkpoint::of_bytes(&bytes, &keeper.expected).map_err(unusable)?;
        Ok((count, keeper, Some(kept)))
    }
}

fn files(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let paths = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "safetensors"))
}

/// Keeps the checkpoint of some runs.
pub(super) struct Keeper {
    path: PathBuf,
    /// All that the runs depend on, but for variants of kernels.
    identity: Value,
    origin: String,
    expected: Expected,
    every: Duration,
    ends: bool,
    last: Instant,
}

impl Keeper {
    /// Whether a checkpoint should be written.
    pub fn is_due(&self) -> bool {
        self.last.elapsed() >= self.every
    }

    /// Whether one should also be written at the end.
    pub fn keeps_ends(&self) -> bool {
        self.ends
    }

    /// Writes a checkpoint in place of the last one.
    pub fn write(&mut self, checkpoint: Checkpoint, device: &Device) -> Result<(), CheckpointError> {
        let kernels = serde_json::to_string(&device.choices()).expect("names are plain text");
        let about = [("identity", &self.identity.to_string()), ("kernels", &kernels), ("origin", &self.origin)];
        let bytes = checkpoint.into_bytes(&about).map_err(CheckpointError::Unwritable)?;
        write_file(&self.path, bytes).map_err(|error| CheckpointError::Unwritable(error.to_string()))?;
        self.last = Instant::now();
        Ok(())
    }

    /// That runs cannot go on from it.
    pub fn unusable(&self, reason: &dyn Display) -> CheckpointError {
        CheckpointError::Unusable { path: self.path.clone(), reason: reason.to_string() }
    }
}
