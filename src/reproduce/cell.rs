//! A cell, and the folder that keeps finished ones.

use crate::data::benchmarks;
use crate::data::md5sum::hex;
use crate::experiment::{Experiment, FinishedRun, RunRecord};
use crate::files;
use crate::methods;
use crate::report::manifest::{DeviceRecord, Provenance};
use crate::report::{FolderError, Manifest, ReadError, Results, RunFolder, time};
use crate::settings::{AnchorKind, Knob, Preset, RunSpec, Settings};
use md5::{Digest, Md5};
use serde::Serialize;
use std::fmt::Write;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// One method on one benchmark with one set of settings, for some seeds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cell {
    /// Its benchmark.
    pub benchmark: String,
    /// Its method.
    pub method: String,
    /// Its settings.
    pub settings: Settings,
    /// A run each.
    pub seeds: Vec<u64>,
}

impl Cell {
    /// What is to be run.
    pub fn experiment(&self) -> Experiment {
        let runs = RunSpec::seeds(&self.settings, &self.seeds);
        Experiment { benchmark: self.benchmark.clone(), method: self.method.clone(), runs }
    }

    /// The command that runs this cell by itself: flags where it is not what the paper has for the method.
    pub fn command(&self) -> String {
        let mut text = format!("hindsight run --benchmark {} --method {}", self.benchmark, self.method);
        let method = methods::find(&self.method).expect("a cell's method is registered");
        let benchmark = benchmarks::find(&self.benchmark).expect("a cell's benchmark is registered");
        let (own, paper) = (&self.settings, methods::paper_settings(method, benchmark));
        let mut flag = |name: &str, value: String, usual: String| {
            if value != usual {
                let _ = write!(text, " --{name} {value}");
            }
        };
        flag("memory", own.memory_per_class.to_string(), paper.memory_per_class.to_string());
        flag("tasks", own.tasks.to_string(), paper.tasks.to_string());
        flag("images", own.images_per_task.to_string(), paper.images_per_task.to_string());
        flag("test-images", own.test_images.to_string(), paper.test_images.to_string());
        flag("anchors", own.anchors.to_string(), AnchorKind::Learned.to_string());
        flag("preset", own.preset.to_string(), Preset::Official.to_string());
        for knob in Knob::ALL {
            flag(&knob.to_string(), own.get(knob).to_string(), paper.get(knob).to_string());
        }
        let _ = write!(text, " --seeds {}", self.seeds.len());
        text
    }

    /// That command, one entry an argument.
    pub fn arguments(&self) -> Vec<String> {
        self.command().split(' ').map(String::from).collect()
    }
}

/// The folder of finished cells.
#[derive(Clone, Debug)]
pub struct Cells {
    folder: PathBuf,
    device: DeviceRecord,
    /// Results of other run folders, from which finished cells are taken, too.
    others: Vec<Results>,
}

/// A finished cell that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{}: {}; it is computed anew", files::shown(path), files::shown_text(reason))]
pub struct CellError {
    /// Its `results.json`.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: String,
}

impl Cells {
    /// The cells in `folder` that this device computed, or will.
    pub fn new(folder: &Path, device: DeviceRecord) -> Cells {
        Cells { folder: folder.to_owned(), device, others: vec![] }
    }

    /// What makes a cell, if it is computed now.
    fn made(&self, cell: &Cell) -> Provenance {
        let data = benchmarks::find(&cell.benchmark).and_then(|benchmark| benchmark.data().ok());
        Provenance::here(&self.device, data.map(benchmarks::checksums).unwrap_or_default())
    }

    /// Takes finished cells from the results of another run folder, too, where they were made as they would be now; if
    /// not, says what differs.
    ///
    /// # Errors
    /// Names what differs.
    pub fn reuse(&mut self, results: Results) -> Result<(), Vec<&'static str>> {
        let here = Provenance::here(&self.device, results.manifest.datasets.clone());
        let differences = here.differences(&Provenance::of(&results.manifest));
        if !differences.is_empty() {
            return Err(differences);
        }
        self.others.push(results);
        Ok(())
    }

    /// The runs of a cell in another run folder, if all are there.
    fn elsewhere(&self, cell: &Cell) -> Option<Vec<RunRecord>> {
        let datasets = self.made(cell);
        let of_data = |results: &&Results| datasets.agrees(&Provenance::of(&results.manifest));
        let runs = |seed: &u64| {
            let mut all = self.others.iter().filter(of_data).flat_map(|results| &results.runs);
            all.find(|run| is_of_cell(run, cell, *seed)).cloned()
        };
        cell.seeds.iter().map(runs).collect()
    }

    /// The beginning of the name of a cell's folder, whatever made it: what can be read, and a hash of the cell.
    fn name(cell: &Cell) -> String {
        let text = serde_json::to_string(cell).expect("cells are plain values");
        let hash = hex(&Md5::digest(text)[..5]);
        let Cell { benchmark, method, settings, .. } = cell;
        format!("{benchmark}-{method}-m{}-{hash}-", settings.memory_per_class)
    }

    /// A cell's folder: after its name a hash of what makes its results.
    pub fn path(&self, cell: &Cell) -> PathBuf {
        self.folder.join(Cells::name(cell) + &self.made(cell).key())
    }

    /// Of each finished folder of this cell that something else made, what differs.
    pub fn made_otherwise(&self, cell: &Cell) -> Vec<Vec<&'static str>> {
        let (name, own, made) = (Cells::name(cell), self.path(cell), self.made(cell));
        let folders = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let others = folders.filter(|entry| entry.file_name().to_string_lossy().starts_with(&name));
        let others = others.map(|entry| entry.path()).filter(|path| *path != own);
        let results = others.filter_map(|folder| Results::read(&folder).ok());
        results.map(|results| made.differences(&Provenance::of(&results.manifest))).collect()
    }

    /// A cell's runs, if it is finished.
    ///
    /// # Errors
    /// If it is there, and damaged.
    pub fn find(&self, cell: &Cell) -> Result<Option<Vec<RunRecord>>, CellError> {
        let folder = self.path(cell);
        let damaged = |reason: String| CellError { path: folder.join("results.json"), reason };
        let results = match Results::read(&folder) {
            Ok(results) => results,
            Err(ReadError::Unreadable { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return Ok(self.elsewhere(cell));
            }
            Err(ReadError::Unreadable { source, .. }) => return Err(damaged(source.to_string())),
            Err(ReadError::Damaged { reason, .. }) => {
                return Err(damaged(format!("not a whole results file ({reason})")));
            }
            Err(ReadError::Schema { found, .. }) => return Err(damaged(format!("its format is {found}"))),
        };
        let whole = results.runs.len() == cell.seeds.len()
            && results.runs.iter().zip(&cell.seeds).all(|(run, seed)| is_of_cell(run, cell, *seed));
        if whole { Ok(Some(results.runs)) } else { Err(damaged("not the runs of this cell".into())) }
    }

    /// Keeps a finished cell, which `device` computed.
    ///
    /// # Errors
    /// If its folder cannot be written.
    pub fn keep(
        &self,
        cell: &Cell,
        runs: &[FinishedRun],
        device: DeviceRecord,
        started: SystemTime,
    ) -> Result<(), FolderError> {
        let benchmark = benchmarks::find(&cell.benchmark).expect("a cell's benchmark is registered");
        let data = benchmark.data().expect("the cell was computed from it");
        let manifest = Manifest {
            version: env!("CARGO_PKG_VERSION").into(),
            sources: crate::SOURCES.into(),
            command: cell.arguments(),
            started_at: time::rfc3339(started),
            benchmark: cell.benchmark.clone(),
            methods: vec![cell.method.clone()],
            seeds: cell.seeds.clone(),
            settings: [(cell.method.clone(), cell.settings.clone())].into(),
            device,
            datasets: benchmarks::checksums(data),
        };
        let records = runs.iter().map(|run| run.record.clone()).collect();
        let folder = RunFolder::within_a_claimed(self.path(cell));
        // Last what says that the cell is finished.
        folder.save_details(runs)?;
        let tasks = benchmark.describe_tasks(data, &cell.settings, &cell.seeds).expect("the cell was computed from it");
        folder.save(&Results::new(manifest, records), &tasks)
    }
}

fn is_of_cell(run: &RunRecord, cell: &Cell, seed: u64) -> bool {
    (&run.benchmark, &run.method, &run.settings, run.seed) == (&cell.benchmark, &cell.method, &cell.settings, seed)
}
