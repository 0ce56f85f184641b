//! `results.json`: the numbers of an experiment, as an interface that others read.
//!
//! `docs/results.md` documents it and `docs/results.schema.json` is its JSON Schema; a test holds
//! what is written here to that schema.

use super::{Manifest, json};
use crate::experiment::RunRecord;
use crate::files;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::io;
use std::path::{Path, PathBuf};

/// The version of the format. It grows when a reader of the last one would be misled.
pub const SCHEMA: u32 = 2;

/// Bytes of the largest `results.json` that is read: ten thousand runs of twenty tasks have a quarter of it.
const LARGEST: u64 = 1 << 28;

/// All of `results.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// The version of the format, [`SCHEMA`].
    pub schema: u32,
    /// What ran, on what, and how to run it again.
    pub manifest: Manifest,
    /// One record for each method and seed.
    pub runs: Vec<RunRecord>,
}

impl Results {
    /// Results in this version's format.
    pub fn new(manifest: Manifest, runs: Vec<RunRecord>) -> Self {
        Self { schema: SCHEMA, manifest, runs }
    }

    /// The text of `results.json`.
    pub fn to_json(&self) -> String {
        json::to_text(self)
    }
}

/// Results that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Not there, or not ours to read.
    #[error(
        "{}: cannot be read ({source}); name a folder that `hindsight run` or `reproduce` wrote",
        files::shown(path)
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Not a whole results file.
    #[error(
        "{}: not a whole results.json ({}); run the experiment again, or leave the folder out",
        files::shown(path),
        files::shown_text(reason)
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Written by a version that this one does not know.
    #[error(
        "{}: its format is {found}, and this version reads 1 to {SCHEMA}; read it with a newer version",
        files::shown(path)
    )]
    Schema {
        /// The file.
        path: PathBuf,
        /// Its `schema`.
        found: u64,
    },
}

impl Results {
    /// Reads the `results.json` of a run folder, in this format or an earlier one.
    ///
    /// # Errors
    /// If it is missing, damaged, or of a later format.
    pub fn read(folder: &Path) -> Result<Results, ReadError> {
        let path = folder.join("results.json");
        match files::read(&path, LARGEST) {
            Ok(bytes) => Results::parse(&path, &bytes),
            Err(source) => Err(ReadError::Unreadable { path, source }),
        }
    }

    /// Reads the bytes of a `results.json`, which `path` had.
    ///
    /// # Errors
    /// If they are damaged, or of a later format.
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Results, ReadError> {
        let damaged = |reason: String| ReadError::Damaged { path: path.into(), reason };
        let Format { schema } = serde_json::from_slice(bytes).map_err(|e| damaged(e.to_string()))?;
        let results: Results = match schema {
            1 => serde_json::from_slice(bytes).and_then(|mut value: Value| {
                update_from_1(&mut value);
                serde_json::from_value(value)
            }),
            found if found > u64::from(SCHEMA) => return Err(ReadError::Schema { path: path.into(), found }),
            _ => serde_json::from_slice(bytes),
        }
        .map_err(|e| damaged(e.to_string()))?;
        results.runs.iter().try_for_each(check).map_err(damaged)?;
        Ok(results)
    }
}

/// What is read first.
#[derive(Deserialize)]
struct Format {
    schema: u64,
}

/// Whether the numbers of a run can be those of a run; if not, why.
///
/// # Errors
/// Says what is wrong, and of which run.
pub fn check(run: &RunRecord) -> Result<(), String> {
    let RunRecord { benchmark, method, seed, accuracy, forgetting, matrix, settings, .. } = run;
    let wrong = |what: String| Err(format!("{method}, seed {seed}: {what}"));
    let tasks = settings.tasks;
    if matrix.is_empty() || matrix.len() != tasks || matrix.iter().any(|row| row.len() != tasks) {
        let rows = matrix.len();
        return wrong(format!("the matrix has {rows} rows, and {tasks} rows of {tasks} fractions are expected"));
    }
    if !matrix.iter().flatten().all(|fraction| (0.0..=1.0).contains(fraction)) {
        return wrong("not all of the matrix are fractions, from 0 to 1".into());
    }
    let mean = matrix[tasks - 1].iter().sum::<f64>() / tasks as f64;
    if (mean - accuracy).abs() > 1e-9 {
        return wrong(format!("the accuracy is {accuracy}, and the mean of the matrix's last row is {mean}"));
    }
    if !(-1.0..=1.0).contains(forgetting) {
        return wrong(format!("the forgetting is {forgetting}, which is no difference of two fractions"));
    }
    if ![run.train_seconds, run.total_seconds].iter().all(|seconds| (0.0..1e12).contains(seconds)) {
        return wrong(format!("{} and {} s are no times", run.train_seconds, run.total_seconds));
    }
    let unprintable = |name: &&String| name.is_empty() || files::shown_text(name).to_string() != **name;
    match [benchmark, method].into_iter().find(unprintable) {
        Some(name) => wrong(format!("'{name}' is no name of a benchmark or method")),
        None => Ok(()),
    }
}

/// Format 1 had one set of settings for all methods.
fn update_from_1(value: &mut Value) {
    let settings = value["manifest"]["settings"].take();
    let methods = value["manifest"]["methods"].as_array().cloned().unwrap_or_default();
    let each = methods.iter().filter_map(Value::as_str).map(|method| (method.to_owned(), settings.clone()));
    value["manifest"]["settings"] = each.collect::<serde_json::Map<_, _>>().into();
    value["schema"] = SCHEMA.into();
}
