//! The manifest: everything needed to say what a run was, and to run it again.

use crate::device::Device;
use crate::settings::Settings;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How an experiment came about. Written into `results.json`, and with what each task is
/// into `manifest.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of the program.
    pub version: String,
    /// The command line, one entry an argument.
    pub command: Vec<String>,
    /// When it started: UTC, RFC 3339.
    pub started_at: String,
    /// The benchmark's name.
    pub benchmark: String,
    /// The methods asked for, in order. Those that did not finish have no runs.
    pub methods: Vec<String>,
    /// The seeds asked for.
    pub seeds: Vec<u64>,
    /// Every hyper-parameter of each method.
    pub settings: BTreeMap<String, Settings>,
    /// What computed it.
    pub device: DeviceRecord,
    /// Each file of the data set with its checksum.
    pub datasets: BTreeMap<String, String>,
}

/// The device that computed an experiment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeviceRecord {
    /// What was taken and why, in words.
    pub taken: String,
    /// The adapter's name.
    pub adapter: String,
    /// Its driver.
    pub driver: String,
    /// Which variants computed products and convolutions there, by their class; empty where there is one way only, and
    /// for classes that are not named the likeliest.
    #[serde(default)]
    pub kernels: BTreeMap<String, String>,
}

impl DeviceRecord {
    /// The device as it is now: variants are chosen when they are first needed.
    pub fn of(device: &Device) -> DeviceRecord {
        DeviceRecord {
            taken: device.describe(),
            adapter: device.adapter_name(),
            driver: device.driver(),
            kernels: device.choices(),
        }
    }
}

/// All of `manifest.json`: the manifest, and the streams that its seeds stand for.
#[derive(Serialize)]
pub(super) struct FullManifest<'a> {
    #[serde(flatten)]
    pub manifest: &'a Manifest,
    pub tasks: &'a serde_json::Value,
}
