//! A cell, and the folder that keeps finished ones.

use crate::data::benchmarks;
use crate::data::md5sum::hex;
use crate::experiment::{Experiment, FinishedRun, RunRecord};
use crate::methods;
use crate::report::manifest::DeviceRecord;
use crate::report::{FolderError, Manifest, Results, RunFolder, time};
use crate::settings::{AnchorKind, Knob, Preset, RunSpec, Settings};
use md5::{Digest, Md5};
use serde::Serialize;
use std::fmt::Write;
use std::fs;
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
#[error("{}: {reason}; it is computed anew", .path.display())]
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

    /// Takes finished cells from the results of another run folder, too, if this version computed them on this
    /// device.
    pub fn reuse(&mut self, results: Results) {
        let Manifest { version, device, .. } = &results.manifest;
        let here = (&self.device.adapter, &self.device.driver);
        if version == env!("CARGO_PKG_VERSION") && (&device.adapter, &device.driver) == here {
            self.others.push(results);
        }
    }

    /// The runs of a cell in another run folder, if all are there.
    fn elsewhere(&self, cell: &Cell) -> Option<Vec<RunRecord>> {
        let runs = |seed: &u64| {
            let mut all = self.others.iter().flat_map(|results| &results.runs);
            all.find(|run| is_of_cell(run, cell, *seed)).cloned()
        };
        cell.seeds.iter().map(runs).collect()
    }

    /// A cell's folder: a name that can be read, and a hash of all that the results depend on.
    pub fn path(&self, cell: &Cell) -> PathBuf {
        let depends = (cell, env!("CARGO_PKG_VERSION"), &self.device.adapter, &self.device.driver);
        let text = serde_json::to_string(&depends).expect("cells are plain values");
        let hash = hex(&Md5::digest(text)[..5]);
        let Cell { benchmark, method, settings, .. } = cell;
        self.folder.join(format!("{benchmark}-{method}-m{}-{hash}", settings.memory_per_class))
    }

    /// A cell's runs, if it is finished.
    ///
    /// # Errors
    /// If it is there, and damaged.
    pub fn find(&self, cell: &Cell) -> Result<Option<Vec<RunRecord>>, CellError> {
        let path = self.path(cell).join("results.json");
        let damaged = |reason: String| CellError { path: path.clone(), reason };
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(self.elsewhere(cell)),
            Err(error) => return Err(damaged(error.to_string())),
        };
        let results: Results =
            serde_json::from_str(&text).map_err(|e| damaged(format!("not a whole results file ({e})")))?;
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
        let folder = RunFolder::create(&self.path(cell), true)?;
        // Last what says that the cell is finished.
        folder.save_details(runs)?;
        folder.save(&Results::new(manifest, records), &benchmark.describe_tasks(data, &cell.settings, &cell.seeds))
    }
}

fn is_of_cell(run: &RunRecord, cell: &Cell, seed: u64) -> bool {
    (&run.benchmark, &run.method, &run.settings, run.seed) == (&cell.benchmark, &cell.method, &cell.settings, seed)
}
