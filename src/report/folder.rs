//! The run folder: what an experiment leaves on the disk, and never over something else.

use super::manifest::FullManifest;
use super::{Results, average_accuracy_svg, export, json, tensorboard, time};
use crate::experiment::{FinishedRun, RunRecord};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write};
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

/// A folder that may be written: it was free, or the user said to replace what is in it.
#[derive(Clone, Debug)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// Claims a folder for a run, refusing one that has something in it unless `overwrite`.
    ///
    /// Nothing is created or removed before [`save`](Self::save): an experiment that never
    /// finishes leaves no trace, and no earlier results are gone before there are new ones.
    pub fn create(path: &Path, overwrite: bool) -> Result<Self, FolderError> {
        let occupied = || fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some());
        if path.exists() && !path.is_dir() {
            return Err(FolderError::NotAFolder(path.to_owned()));
        }
        if !overwrite && occupied() {
            return Err(FolderError::Occupied(path.to_owned()));
        }
        Ok(Self { path: path.to_owned() })
    }

    /// A free folder `runs/<date-time>-<benchmark>`, numbered when two start in one second.
    pub fn default_for(benchmark: &str, now: SystemTime) -> Self {
        let name = format!("{}-{benchmark}", time::for_a_name(now));
        let numbered = (2..).map(|n| format!("{name}-{n}"));
        let mut paths = std::iter::once(name.clone()).chain(numbered).map(|n| Path::new("runs").join(n));
        let path = paths.find(|path| !path.exists()).expect("there are endless numbers");
        Self { path }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes everything: results, manifest with what each task is, matrices, picture.
    ///
    /// Each file is written under another name and renamed when it is whole. It may be called
    /// again with more runs: what is finished is then safe while the rest goes on.
    pub fn save(&self, results: &Results, tasks: &serde_json::Value) -> Result<(), FolderError> {
        let manifest = FullManifest { manifest: &results.manifest, tasks };
        self.write("results.json", results.to_json())?;
        self.write("manifest.json", json::to_text(&manifest))?;
        self.write("average-accuracy.svg", average_accuracy_svg(&results.runs))?;
        let names: Vec<String> = results.runs.iter().map(matrix_name).collect();
        for (run, name) in results.runs.iter().zip(&names) {
            self.write(&format!("matrices/{name}"), matrix_csv(&run.matrix))?;
        }
        self.remove_other_matrices(&names);
        Ok(())
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
        write_file(&self.path.join(name), content)
    }

    /// After `--overwrite`, matrices of methods and seeds that did not run would be taken for
    /// this run's. One that cannot be removed is harmless: `results.json` does not list it.
    fn remove_other_matrices(&self, ours: &[String]) {
        let Ok(entries) = fs::read_dir(self.path.join("matrices")) else {
            return;
        };
        let csv = |path: &Path| path.extension() == Some(OsStr::new("csv"));
        for entry in entries.flatten() {
            let other = !ours.iter().any(|name| entry.file_name() == OsStr::new(name));
            if other && csv(&entry.path()) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// Writes a file so that a reader sees all of it or nothing.
///
/// # Errors
/// If it cannot be written.
pub fn write_file(path: &Path, content: impl AsRef<[u8]>) -> Result<(), FolderError> {
    write_whole(path, content.as_ref()).map_err(|source| FolderError::Unwritable { path: path.to_owned(), source })
}

/// Writes to a temporary name beside `path` and renames: a reader sees all of it or nothing.
fn write_whole(path: &Path, content: &[u8]) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let written = File::create(&part)
        .and_then(|mut file| file.write_all(content).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&part, path));
    if written.is_err() {
        let _ = fs::remove_file(&part); // the first error is the one to tell
    }
    written
}

fn matrix_name(run: &RunRecord) -> String {
    format!("{}-seed{}.csv", run.method, run.seed)
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
