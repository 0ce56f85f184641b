//! `results.json`: the numbers of an experiment, as an interface that others read.
//!
//! `docs/results.md` documents it and `docs/results.schema.json` is its JSON Schema; a test holds
//! what is written here to that schema.

use super::{Manifest, json};
use crate::experiment::RunRecord;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// The version of the format. It grows when a reader of the last one would be misled.
pub const SCHEMA: u32 = 2;

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
    #[error("{}: cannot be read ({source}); name a folder that `hindsight run` or `reproduce` wrote", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Not a whole results file.
    #[error("{}: not a whole results.json ({reason}); run the experiment again, or leave the folder out", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Written by a version that this one does not know.
    #[error("{}: its format is {found}, and this version reads 1 to {SCHEMA}; read it with a newer version", .path.display())]
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
        match fs::read(&path) {
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
        let mut value: Value = serde_json::from_slice(bytes).map_err(|e| damaged(e.to_string()))?;
        match value["schema"].as_u64() {
            Some(1) => update_from_1(&mut value),
            Some(found) if found > u64::from(SCHEMA) => return Err(ReadError::Schema { path: path.into(), found }),
            Some(_) => {}
            None => return Err(damaged("it has no schema".into())),
        }
        serde_json::from_value(value).map_err(|e| damaged(e.to_string()))
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
