//! The run folder: what an experiment leaves on the disk, and never over something else.

use super::lock::{LOCK, Lock};
use super::manifest::FullManifest;
use super::{Results, average_accuracy_svg, export, json, tensorboard, time};
use crate::disk;
use crate::experiment::{FinishedRun, UnfinishedRun};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A run folder that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// There is something in it already.
    #[error(
        "{} exists and is not empty: choose another folder with --out, or replace what is in it with --overwrite",
        .0.display()
    )]
    Occupied(PathBuf),
    /// Another process writes to it.
    #[error("{} is in use by {holder}; wait for its end, or choose another folder with --out", .path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
        /// Which process, where, since when, and its command.
        holder: String,
    },
    /// A file has its name.
    #[error("{} is a file, not a folder: choose another folder with --out", .0.display())]
    NotAFolder(PathBuf),
    /// A file that would be replaced.
    #[error("{} is there already: choose another with --out, or replace it with --overwrite", .0.display())]
    FileExists(PathBuf),
    /// The disk is full, read-only, or not ours to write.
    #[error(
        "cannot write {}: {source}; make room or rights there, or choose another folder with --out",
        .path.display()
    )]
    Unwritable {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// What runs leave in their folders.
const OURS: [&str; 12] = [
    "results.json", // first, so that none is there while others go
    "manifest.json",
    "average-accuracy.svg",
    "runs.jsonl",
    "losses.csv",
    UNFINISHED,
    "profile.html",
    "trace.json",
    "matrices",
    "anchors",
    "tensorboard",
    "checkpoints",
];
const UNFINISHED: &str = "unfinished.jsonl";

/// In a run folder: a run that is to replace what is beside it, at its end. It is a run folder itself.
const STAGE: &str = ".overwrite";
/// In that folder: it is finished, and what is beside it is being removed.
const REMOVING: &str = ".removing";
/// In that folder: what was beside it is gone, and what is in it is being moved there.
const MOVING: &str = ".moving";

/// A folder that this process alone may write to: it was free, or the user said to replace what is in it.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    /// Where files are written until all is finished.
    stage: Option<PathBuf>,
    _lock: Option<Lock>,
}

impl RunFolder {
    /// Claims a folder for a run, refusing one that has something in it unless `overwrite`. Then all is written to a folder in it,
    /// and takes the place of what an earlier run left at the [end](Self::finish): a run that never finishes removes nothing.
    ///
    /// What a run leaves that was killed before its first checkpoint counts as nothing.
    ///
    /// # Errors
    /// If it has something in it, another process has it, or it cannot be written to.
    pub fn create(path: &Path, overwrite: bool) -> Result<Self, FolderError> {
        let folder = Self::claim(path)?;
        let stage = path.join(STAGE);
        let is_there = |entry: &fs::DirEntry| ![OsStr::new(LOCK), OsStr::new(STAGE)].contains(&&*entry.file_name());
        let occupied = fs::read_dir(path).is_ok_and(|entries| entries.flatten().any(|entry| is_there(&entry)));
        if !overwrite && (occupied || stage.exists()) {
            return Err(FolderError::Occupied(path.to_owned()));
        }
        disk::remove(&stage).map_err(|source| FolderError::Unwritable { path: stage.clone(), source })?;
        Ok(Self { stage: occupied.then_some(stage), ..folder })
    }

    /// Claims the folder of a run that was cut short.
    ///
    /// # Errors
    /// If another process has it, or it cannot be written to.
    pub fn resume(path: &Path) -> Result<Self, FolderError> {
        let folder = Self::claim(path)?;
        Ok(Self { stage: Some(path.join(STAGE)).filter(|stage| stage.exists()), ..folder })
    }

    /// A new folder `runs/<date-time>-<benchmark>`, numbered when several start in one second.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn default_for(benchmark: &str, now: SystemTime) -> Result<Self, FolderError> {
        let name = format!("{}-{benchmark}", time::for_a_name(now));
        let numbered = (2..).map(|n| format!("{name}-{n}"));
        for name in std::iter::once(name.clone()).chain(numbered) {
            let path = Path::new("runs").join(name);
            match Lock::take_new(&path)? {
                Some(lock) => return Ok(Self { path, stage: None, _lock: Some(lock) }),
                None => continue,
            }
        }
        unreachable!("there are endless numbers")
    }

    /// A folder in one that is claimed. What is written to it replaces what is there.
    pub fn within_a_claimed(path: PathBuf) -> Self {
        Self { path, stage: None, _lock: None }
    }

    /// Takes the lock, goes on with what another was about to do at its end, and removes what holds nothing.
    fn claim(path: &Path) -> Result<Self, FolderError> {
        let lock = Lock::take(path)?;
        let stage = path.join(STAGE);
        if stage.join(REMOVING).exists() || stage.join(MOVING).exists() {
            replace(path, &stage)?;
        }
        for empty in [stage.join("checkpoints"), stage, path.join("checkpoints")] {
            let _ = fs::remove_dir(empty);
        }
        Ok(Self { path: path.to_owned(), stage: None, _lock: Some(lock) })
    }

    /// Where files are written now.
    pub fn place(&self) -> &Path {
        self.stage.as_deref().unwrap_or(&self.path)
    }

    /// What was written takes the place of what an earlier run left. Nothing of that run stays, and nothing else is touched.
    ///
    /// # Errors
    /// If that fails; whoever claims the folder next goes on with it.
    pub fn finish(&mut self) -> Result<(), FolderError> {
        if let Some(stage) = &self.stage {
            self.write(REMOVING, "")?;
            replace(&self.path, stage)?;
            self.stage = None;
        }
        Ok(())
    }

    /// Where unfinished runs of a run folder are: in it, or where they are to replace what is in it.
    pub fn place_of_unfinished(path: &Path) -> PathBuf {
        Some(path.join(STAGE)).filter(|stage| stage.exists()).unwrap_or_else(|| path.to_owned())
    }

    /// Where it is: what the user calls it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes everything: results, manifest with what each task is, matrices, picture.
    ///
    /// Each file is written under another name and renamed when it is whole. It may be called
    /// again with more runs: what is finished is then safe while the rest goes on.
    pub fn save(&self, results: &Results, tasks: &serde_json::Value) -> Result<(), FolderError> {
        let manifest = FullManifest { manifest: &results.manifest, tasks };
        self.write("manifest.json", json::to_text(&manifest))?;
        self.write("average-accuracy.svg", average_accuracy_svg(&results.runs))?;
        for run in &results.runs {
            self.write(&format!("matrices/{}-seed{}.csv", run.method, run.seed), matrix_csv(&run.matrix))?;
        }
        // Last: a folder that has it has all of the above, whenever its writer is killed.
        self.write("results.json", results.to_json())
    }

    /// Writes what is known of runs that were stopped, and says where. Where none had finished a task, removes what was.
    pub fn save_unfinished(&self, runs: &[UnfinishedRun]) -> Result<Option<PathBuf>, FolderError> {
        let path = self.place().join(UNFINISHED);
        if runs.iter().any(|run| run.finished_tasks > 0) {
            write_file(&path, export::unfinished_jsonl(runs))?;
            return Ok(Some(path));
        }
        disk::remove(&path).map_err(|source| FolderError::Unwritable { path, source })?;
        Ok(None)
    }

    /// Writes what is too long for the results: losses of every step, and HAL's anchors.
    pub fn save_details(&self, runs: &[FinishedRun]) -> Result<(), FolderError> {
        self.write("runs.jsonl", export::runs_jsonl(runs))?;
        self.write("losses.csv", export::losses_csv(runs))?;
        for run in runs {
            let Some(anchors) = &run.anchors else { continue };
            let stem = format!("anchors/{}-seed{}", run.record.method, run.record.seed);
            self.write(&format!("{stem}.npy"), export::anchors_npy(anchors))?;
            self.write(&format!("{stem}.png"), export::anchors_png(anchors))?;
        }
        Ok(())
    }

    /// Writes an event file a run for TensorBoard.
    pub fn save_events(&self, runs: &[FinishedRun]) -> Result<(), FolderError> {
        for run in runs {
            let name = format!("{}-seed{}", run.record.method, run.record.seed);
            self.write(&format!("tensorboard/{name}/events.out.tfevents.0"), tensorboard::events(run))?;
        }
        Ok(())
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> Result<(), FolderError> {
        write_file(&self.place().join(name), content)
    }
}

/// Puts a finished run in the place of what is in `path`, or goes on with it. A reader may find a part of it, and no mixture: what
/// was there is gone before anything is moved, and `results.json` is moved last.
fn replace(path: &Path, stage: &Path) -> Result<(), FolderError> {
    let unwritable = |path: PathBuf| move |source| FolderError::Unwritable { path, source };
    let (removing, moving) = (stage.join(REMOVING), stage.join(MOVING));
    if removing.exists() {
        for name in OURS {
            disk::remove(&path.join(name)).map_err(unwritable(path.join(name)))?;
        }
        disk::rename(&removing, &moving).map_err(unwritable(moving.clone()))?;
    }
    for name in OURS.iter().rev().filter(|name| stage.join(name).exists()) {
        disk::rename(&stage.join(name), &path.join(name)).map_err(unwritable(path.join(name)))?;
    }
    disk::remove(stage).map_err(unwritable(stage.to_owned()))
}

/// Writes a file so that a reader sees all of it or nothing.
///
/// # Errors
/// If it cannot be written.
pub fn write_file(path: &Path, content: impl AsRef<[u8]>) -> Result<(), FolderError> {
    let unwritable = |source| FolderError::Unwritable { path: path.to_owned(), source };
    disk::write(path, content.as_ref()).map_err(unwritable)
}

/// A row after each task, a column for each task tested.
fn matrix_csv(matrix: &[Vec<f64>]) -> String {
    let header: String = (1..=matrix.len()).map(|task| format!(",task_{task}")).collect();
    let mut text = format!("after_task{header}\n");
    for (task, row) in matrix.iter().enumerate() {
        let cells: String = row.iter().map(|accuracy| format!(",{accuracy}")).collect();
        text += &format!("{}{cells}\n", task + 1);
    }
    text
}
