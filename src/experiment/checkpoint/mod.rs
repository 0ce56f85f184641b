//! Checkpoints: how far long runs have come, in a file from which they go on.
//!
//! No method decides anything on the host by what a device computed, so what the host holds (memories, random streams)
//! comes about again when a method goes through its tasks without computing. The file has the rest: what the runs'
//! buffers hold, and what was measured. It is a safetensors file, which other tools read, too.

pub(crate) mod format;

pub(super) use format::Checkpoint;

use crate::data::ImageSet;
use crate::data::benchmarks::{self, Benchmark};
use crate::device::Device;
use crate::report::write_file;
use crate::settings::RunSpec;
use format::{Expected, header, said};
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

    /// Who keeps the checkpoint of some runs, each of which takes `bytes_a_run` on a device.
    pub(super) fn keeper(
        &self,
        bytes_a_run: u64,
        benchmark: &dyn Benchmark,
        method: &str,
        runs: &[RunSpec],
        data: &ImageSet,
        device: &Device,
    ) -> Keeper {
        let depends = (
            (env!("CARGO_PKG_VERSION"), crate::SOURCES, device.adapter_name(), device.driver()),
            (benchmark.name(), benchmarks::checksums(data), method, runs),
        );
        let path = self.folder.join(format!("{method}-seed{}.safetensors", runs[0].seed));
        let (model, tasks) = (benchmark.model(), runs[0].settings.tasks);
        // Buffers, perhaps in double precision; and the losses of a task, which one of these buffers holds, and its row of the
        // matrix, for every task.
        let bytes = bytes_a_run.saturating_mul(2 * (runs.len() * (1 + tasks)) as u64).saturating_add(1 << 24);
        let expected =
            Expected { runs: runs.len(), tasks, parameters: model.parameters(), statistics: model.statistics(), bytes };
        let origin = serde_json::to_string(&self.origin).expect("a command is plain text");
        let runs = serde_json::to_string(&depends).expect("runs are plain values");
        Keeper { path, runs, origin, expected, every: self.every, last: Instant::now() }
    }
}

fn files(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let paths = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "safetensors"))
}

/// Keeps the checkpoint of some runs.
pub(super) struct Keeper {
    path: PathBuf,
    /// All that the runs depend on.
    runs: String,
    origin: String,
    expected: Expected,
    every: Duration,
    last: Instant,
}

impl Keeper {
    /// Whether a checkpoint should be written.
    pub fn is_due(&self) -> bool {
        self.last.elapsed() >= self.every
    }

    /// Writes a checkpoint in place of the last one.
    pub fn write(&mut self, checkpoint: Checkpoint) -> Result<(), CheckpointError> {
        let about = [("runs", &self.runs), ("origin", &self.origin)];
        let bytes = checkpoint.into_bytes(&about).map_err(CheckpointError::Unwritable)?;
        write_file(&self.path, bytes).map_err(|error| CheckpointError::Unwritable(error.to_string()))?;
        self.last = Instant::now();
        Ok(())
    }

    /// The checkpoint, if there is one.
    pub fn read(&self) -> Result<Option<Checkpoint>, CheckpointError> {
        if !self.path.exists() {
            return Ok(None);
        }
        let bytes = format::read(&self.path, self.expected.bytes).map_err(|reason| self.unusable(&reason))?;
        let checkpoint = match header(&bytes, "runs") {
            Ok(runs) if runs == self.runs => Checkpoint::of_bytes(&bytes, &self.expected),
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
