//! Choosing hyper-parameters as the paper does: every point of a method's grid (Appendix C) is run on tuning
//! tasks, many side by side in one program, and the one with the highest average accuracy is taken.

use crate::data::md5sum::hex;
use crate::experiment::{Experiment, RunRecord};
use crate::files;
use crate::methods::Method;
use crate::report::figure::{Field, Svg, heat_map};
use crate::report::manifest::Provenance;
use crate::report::{FolderError, check, write_file};
use crate::settings::{Knob, RunSpec, Settings, TaskSet};
use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// A point of a grid.
pub type Configuration = BTreeMap<Knob, f64>;

/// What is to be tried.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// The benchmark.
    pub benchmark: String,
    /// The method.
    pub method: String,
    /// What all configurations have in common, the tuning tasks among it.
    pub settings: Settings,
    /// A run each of every configuration.
    pub seeds: Vec<u64>,
    /// The product of the grid's values.
    pub configurations: Vec<Configuration>,
}

/// A configuration and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The values of the knobs.
    pub knobs: Configuration,
    /// Average accuracy after the last tuning task, mean over seeds.
    pub accuracy: f64,
    /// Forgetting, mean over seeds.
    pub forgetting: f64,
    /// Whether a run diverged: then it is never chosen.
    pub diverged: bool,
}

/// `tuned.json`: the choice, and all that it was made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tuned {
    /// The benchmark that it is for.
    pub benchmark: String,
    /// The method that it is for.
    pub method: String,
    /// The chosen values.
    pub knobs: Configuration,
    /// Its average accuracy on the tuning tasks.
    pub accuracy: f64,
    /// Seeds of every configuration.
    pub seeds: Vec<u64>,
    /// What all configurations had in common; the knobs in it are the method's usual ones.
    pub settings: Settings,
    /// The whole grid.
    pub grid: Vec<Outcome>,
}

/// The product of a method's grid, the first knob slowest.
pub fn configurations(method: &dyn Method) -> Vec<Configuration> {
    method.grid().into_iter().fold(vec![Configuration::new()], |points, (knob, values)| {
        let with = |point: &Configuration, value: f64| {
            let mut point = point.clone();
            point.insert(knob, value);
            point
        };
        points.iter().flat_map(|point| values.iter().map(|value| with(point, *value)).collect::<Vec<_>>()).collect()
    })
}

impl Plan {
    /// Experiments of at most `runs` runs each, all of one program.
    pub fn chunks(&self, runs: usize) -> Vec<Experiment> {
        let specs: Vec<RunSpec> = self.configurations.iter().flat_map(|knobs| self.specs(knobs)).collect();
        // A configuration's seeds stay together.
        let size = (runs / self.seeds.len()).max(1) * self.seeds.len();
        let experiment = |runs: &[RunSpec]| Experiment {
            benchmark: self.benchmark.clone(),
            method: self.method.clone(),
            runs: runs.to_vec(),
        };
        specs.chunks(size).map(experiment).collect()
    }

    fn specs(&self, knobs: &Configuration) -> Vec<RunSpec> {
        let mut settings = self.settings.clone();
        knobs.iter().for_each(|(knob, value)| settings.set(*knob, *value));
        RunSpec::seeds(&settings, &self.seeds)
    }

    /// What came of every configuration, from the records of all chunks in order.
    pub fn outcomes(&self, records: &[RunRecord]) -> Vec<Outcome> {
        let outcome = |(knobs, runs): (&Configuration, &[RunRecord])| {
            let mean = |of: fn(&RunRecord) -> f64| runs.iter().map(of).sum::<f64>() / runs.len() as f64;
            Outcome {
                knobs: knobs.clone(),
                accuracy: mean(|run| run.accuracy),
                forgetting: mean(|run| run.forgetting),
                diverged: runs.iter().any(|run| run.diverged),
            }
        };
        self.configurations.iter().zip(records.chunks(self.seeds.len())).map(outcome).collect()
    }

    /// The choice: the highest accuracy, the first of equals. None where all diverged.
    pub fn choose(&self, grid: Vec<Outcome>) -> Option<Tuned> {
        let sound = grid.iter().filter(|outcome| !outcome.diverged);
        let best = sound.reduce(|best, next| if next.accuracy > best.accuracy { next } else { best })?.clone();
        Some(Tuned {
            benchmark: self.benchmark.clone(),
            method: self.method.clone(),
            knobs: best.knobs,
            accuracy: best.accuracy,
            seeds: self.seeds.clone(),
            settings: self.settings.clone(),
            grid,
        })
    }
}

impl Tuned {
    /// The choice that the bytes of a `tuned.json` are, with values that flags could give.
    ///
    /// # Errors
    /// Says what is wrong with them.
    pub fn parse(bytes: &[u8]) -> Result<Tuned, String> {
        let tuned: Tuned = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        for (knob, value) in &tuned.knobs {
            knob.check(*value).map_err(|wanted| format!("its {knob} is {value:?}, where {wanted} is expected"))?;
        }
        Ok(tuned)
    }

    /// Whether the choice was made on evaluation tasks, on which results are reported: a leak.
    pub fn saw_evaluation_tasks(&self) -> bool {
        self.settings.task_set == TaskSet::Evaluation
    }

    /// `grid.csv`: a line a configuration.
    pub fn csv(&self) -> String {
        let names: String = self.knobs.keys().map(|knob| format!("{knob},")).collect();
        let line = |outcome: &Outcome| {
            let values: String = outcome.knobs.values().map(|value| format!("{value},")).collect();
            format!("{values}{},{},{}\n", outcome.accuracy, outcome.forgetting, outcome.diverged)
        };
        format!("{names}accuracy,forgetting,diverged\n{}", self.grid.iter().map(line).collect::<String>())
    }

    /// A heat map of accuracy for every pair of knobs, the best over the others; of the one, where there is one.
    pub fn heat_maps(&self) -> Vec<(String, Svg)> {
        let knobs: Vec<Knob> = self.knobs.keys().copied().collect();
        let map = |a: Knob, b: Knob| {
            let (rows, columns) = (self.values(a), self.values(b));
            let best = |x: f64, y: f64| {
                let there = self.grid.iter().filter(|o| !o.diverged && o.knobs[&a] == x && o.knobs[&b] == y);
                there.map(|outcome| outcome.accuracy).fold(f64::NAN, f64::max)
            };
            let of_row = |x: &f64| columns.iter().map(|y| best(*x, *y)).collect();
            let field = Field {
                row: a.to_string(),
                column: b.to_string(),
                rows: rows.iter().map(f64::to_string).collect(),
                columns: columns.iter().map(f64::to_string).collect(),
                values: rows.iter().map(of_row).collect(),
            };
            (format!("{a}-{b}"), heat_map(&format!("{} on tuning tasks, %", self.method), &field))
        };
        let mut pairs: Vec<(Knob, Knob)> =
            knobs.iter().enumerate().flat_map(|(i, a)| knobs[i + 1..].iter().map(|b| (*a, *b))).collect();
        if let [only] = knobs[..] {
            pairs.push((only, only));
        }
        pairs.into_iter().map(|(a, b)| map(a, b)).collect()
    }

    fn values(&self, knob: Knob) -> Vec<f64> {
        let mut values: Vec<f64> = self.grid.iter().map(|outcome| outcome.knobs[&knob]).collect();
        values.sort_by(f64::total_cmp);
        values.dedup();
        values
    }
}

/// The folder of a search's finished chunks.
#[derive(Clone, Debug)]
pub struct Chunks {
    folder: PathBuf,
    /// What makes chunks that are computed now.
    made: Provenance,
}

/// A finished chunk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Chunk {
    made: Provenance,
    records: Vec<RunRecord>,
}

/// A finished chunk that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {}; it is computed anew", files::shown(path), files::shown_text(reason))]
pub struct ChunkError {
    /// The file.
    path: PathBuf,
    /// What is wrong with it.
    reason: String,
}

/// Bytes of the largest chunk that is read.
const LARGEST_CHUNK: u64 = 1 << 28;

impl Chunks {
    /// The chunks in `folder`, of which those are used that were made alike.
    pub fn new(folder: &Path, made: Provenance) -> Chunks {
        Chunks { folder: folder.to_owned(), made }
    }

    /// The beginning of the name of a chunk's file, whatever made it.
    fn name(chunk: &Experiment) -> String {
        let Experiment { benchmark, method, runs } = chunk;
        let text = serde_json::to_string(&(benchmark, method, runs)).expect("runs are plain values");
        hex(&Md5::digest(text)[..8]) + "-"
    }

    /// A chunk's file: after its name a hash of what makes its results.
    pub fn path(&self, chunk: &Experiment) -> PathBuf {
        self.folder.join(format!("{}{}.json", Chunks::name(chunk), self.made.key()))
    }

    /// A chunk's records, if it is finished.
    ///
    /// # Errors
    /// If it is there, and damaged.
    pub fn find(&self, chunk: &Experiment) -> Result<Option<Vec<RunRecord>>, ChunkError> {
        let path = self.path(chunk);
        let read = match files::read(&path, LARGEST_CHUNK) {
            Ok(bytes) => read_chunk(&bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => Err(error.to_string()),
        };
        let of_chunk = |Chunk { made, records }: Chunk| {
            let is_of = |(record, spec): (&RunRecord, &RunSpec)| {
                (&record.benchmark, &record.method, record.seed, &record.settings)
                    == (&chunk.benchmark, &chunk.method, spec.seed, &spec.settings)
            };
            let whole = records.len() == chunk.runs.len() && records.iter().zip(&chunk.runs).all(is_of);
            if whole && made.agrees(&self.made) { Ok(Some(records)) } else { Err("not the runs of this chunk".into()) }
        };
        read.and_then(of_chunk).map_err(|reason| ChunkError { path, reason })
    }

    /// Of each finished file of this chunk that something else made, what differs.
    pub fn made_otherwise(&self, chunk: &Experiment) -> Vec<Vec<&'static str>> {
        let (name, own) = (Chunks::name(chunk), self.path(chunk));
        let files_of_folder = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let others = files_of_folder.filter(|entry| entry.file_name().to_string_lossy().starts_with(&name));
        let others = others.map(|entry| entry.path()).filter(|path| *path != own);
        let read = others.filter_map(|path| read_chunk(&files::read(&path, LARGEST_CHUNK).ok()?).ok());
        read.map(|other| self.made.differences(&other.made)).collect()
    }

    /// Keeps a finished chunk.
    ///
    /// # Errors
    /// If its file cannot be written.
    pub fn keep(&self, chunk: &Experiment, records: &[RunRecord]) -> Result<(), FolderError> {
        let kept = Chunk { made: self.made.clone(), records: records.to_vec() };
        write_file(&self.path(chunk), serde_json::to_string(&kept).expect("records have string keys"))
    }
}

fn read_chunk(bytes: &[u8]) -> Result<Chunk, String> {
    let chunk: Chunk = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    chunk.records.iter().try_for_each(check).map(|()| chunk)
}
