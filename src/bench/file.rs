//! A file of measurements: `docs/bench.schema.json` is its JSON Schema, held to it by a test.

use super::ceilings::Ceilings;
use super::measure::{Effort, Wrong};
use super::row::Row;
use crate::files::{self, shown, shown_text};
use crate::report::time;
use hindsight_kernels::{Device, processor};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The version of the format. It grows when a reader of the last one would be misled.
pub const SCHEMA: u32 = 1;
/// The most bytes of a file that is read. All cases, measured for long, take some 100 KB.
const LARGEST: u64 = 1 << 26;

/// What was measured on a device, in one run of the program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measurements {
    /// The version of the format, [`SCHEMA`].
    pub schema: u32,
    /// The version of the program.
    pub version: String,
    /// The command line, one entry an argument.
    pub command: Vec<String>,
    /// When it started: UTC, RFC 3339.
    pub started_at: String,
    /// What computed.
    pub machine: Machine,
    /// How long each case was measured.
    pub effort: Effort,
    /// What the device can do at all.
    pub ceilings: Ceilings,
    /// What was measured, in order.
    pub cases: Vec<Row>,
}

/// What computes, as far as times depend on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The processor's name.
    pub processor: String,
    /// Threads of the CPU.
    pub threads: usize,
    /// The adapter's name, or `cpu`.
    pub adapter: String,
    /// Its driver and version.
    pub driver: String,
}

impl Machine {
    /// This one, with a device of it.
    pub fn of(device: &Device) -> Machine {
        let threads = rayon::current_num_threads();
        Machine { processor: processor(), threads, adapter: device.adapter_name(), driver: device.driver() }
    }
}

/// A file of measurements that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Not there, or not ours to read.
    #[error("{}: cannot be read ({source}); name a file that `hindsight bench --out` wrote", shown(.path))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Something else, or not whole.
    #[error("{}: not a file of measurements ({reason}); name one that `hindsight bench --out` wrote", shown(.path))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl Measurements {
    /// Measures a device's ceilings, which is what comes before all cases.
    ///
    /// # Errors
    /// If it computes something wrong.
    pub fn begin(device: &Device, effort: Effort) -> Result<Measurements, Wrong> {
        Ok(Measurements {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION").into(),
            command: std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect(),
            started_at: time::rfc3339(SystemTime::now()),
            machine: Machine::of(device),
            effort,
            ceilings: Ceilings::measure(device, effort)?,
            cases: vec![],
        })
    }

    /// The text of the file.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("measurements are numbers and text") + "\n"
    }

    /// Reads a file.
    ///
    /// # Errors
    /// If it is missing, damaged, or of another format.
    pub fn read(path: &Path) -> Result<Measurements, FileError> {
        let unreadable = |source| FileError::Unreadable { path: path.to_owned(), source };
        Measurements::parse(path, &files::read(path, LARGEST).map_err(unreadable)?)
    }

    /// Reads the bytes of a file, which `path` had.
    ///
    /// # Errors
    /// If they are damaged, or of another format.
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Measurements, FileError> {
        let damaged = |reason: String| FileError::Damaged { path: path.to_owned(), reason };
        let value: serde_json::Value = serde_json::from_slice(bytes).map_err(|e| damaged(e.to_string()))?;
        match value["schema"].as_u64() {
            Some(found) if found == u64::from(SCHEMA) => {}
            Some(found) => return Err(damaged(format!("its format is {found}, this version reads {SCHEMA}"))),
            None => return Err(damaged("it has no schema".into())),
        }
        let read: Measurements = serde_json::from_value(value).map_err(|e| damaged(e.to_string()))?;
        match read.cases.iter().find(|row| row.measured.seconds.is_empty()) {
            Some(row) => Err(damaged(format!("'{}' has no samples", shown_text(&row.measured.name)))),
            None => Ok(read),
        }
    }
}
