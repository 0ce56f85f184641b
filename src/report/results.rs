//! `results.json`: the numbers of an experiment, as an interface that others read.
//!
//! `docs/results.md` documents it and `docs/results.schema.json` is its JSON Schema; a test holds
//! what is written here to that schema.

use super::{Manifest, json};
use crate::experiment::RunRecord;
use serde::{Deserialize, Serialize};

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
