//! The manifest: everything needed to say what a run was, and to run it again.

use crate::SOURCES;
use crate::data::md5sum::hex;
use crate::device::Device;
use crate::settings::Settings;
use hindsight_kernels::processor;
use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How an experiment came about. Written into `results.json`, and with what each task is
/// into `manifest.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of the program.
    pub version: String,
    /// The hash of the sources that computed it, [`SOURCES`]; empty where a version wrote it that recorded none.
    #[serde(default)]
    pub sources: String,
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
    /// The processor, where the CPU computed; empty for a GPU, and where a version wrote it that recorded none.
    #[serde(default)]
    pub processor: String,
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
            processor: if matches!(device, Device::Gpu(_)) { String::new() } else { processor() },
            kernels: device.choices(),
        }
    }
}

/// All that makes a result beside its settings and its seed. Results of which any of this differs are averaged only where
/// that is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    version: String,
    sources: String,
    adapter: String,
    /// Empty for the CPU, whose bits depend on no number of threads.
    driver: String,
    processor: String,
    kernels: BTreeMap<String, String>,
    datasets: BTreeMap<String, String>,
}

impl Provenance {
    /// Of results that were written.
    pub fn of(manifest: &Manifest) -> Provenance {
        let Manifest { version, sources, device, datasets, .. } = manifest;
        Provenance {
            version: version.clone(),
            sources: sources.clone(),
            kernels: device.kernels.clone(),
            ..Provenance::here(device, datasets.clone())
        }
    }

    /// Of results that this program computes on a device, but for the variants of kernels: which it chooses is known when
    /// they are there, and [`of`](Self::of) their manifest.
    pub fn here(device: &DeviceRecord, datasets: BTreeMap<String, String>) -> Provenance {
        let cpu = device.adapter.starts_with("cpu");
        Provenance {
            version: env!("CARGO_PKG_VERSION").into(),
            sources: SOURCES.into(),
            adapter: device.adapter.clone(),
            driver: if cpu { String::new() } else { device.driver.clone() },
            processor: device.processor.clone(),
            kernels: BTreeMap::new(),
            datasets,
        }
    }

    /// Whether results may be averaged. Kernels that only one of them had to choose a variant of are no difference.
    pub fn agrees(&self, other: &Provenance) -> bool {
        self.differences(other).is_empty()
    }

    /// The names of what differs.
    pub fn differences(&self, other: &Provenance) -> Vec<&'static str> {
        let chosen = |class: &String| other.kernels.get(class);
        let variants = self.kernels.iter().any(|(class, own)| chosen(class).is_some_and(|variant| variant != own));
        let own = self.aspects().into_iter().zip(other.aspects());
        let differs = own.filter(|((name, own), (_, other))| if *name == VARIANTS { variants } else { own != other });
        differs.map(|((name, _), _)| name).collect()
    }

    /// What it consists of, by name, in a few characters each.
    pub fn aspects(&self) -> [(&'static str, String); 6] {
        let short = |map: &BTreeMap<String, String>| hex(&Md5::digest(format!("{map:?}"))[..4]);
        let or_unknown = |text: &str, length: usize| match text.get(..length.min(text.len())) {
            None | Some("") => "unknown".to_string(),
            Some(start) => start.to_string(),
        };
        let device = [self.adapter.as_str(), &self.driver].into_iter().filter(|text| !text.is_empty());
        [
            ("version", self.version.clone()),
            (SOURCES_ASPECT, or_unknown(&self.sources, 8)),
            ("device", device.collect::<Vec<_>>().join(", ")),
            ("processor", or_unknown(&self.processor, usize::MAX)),
            (VARIANTS, short(&self.kernels)),
            ("data", short(&self.datasets)),
        ]
    }

    /// The first characters of the hash of the sources, in words where there is none.
    pub fn sources(&self) -> String {
        self.aspects().into_iter().find(|(name, _)| *name == SOURCES_ASPECT).map_or(String::new(), |(_, short)| short)
    }

    /// A few characters that stand for all of it but the variants of kernels, for names of files.
    pub fn key(&self) -> String {
        let Provenance { version, sources, adapter, driver, processor, kernels: _, datasets } = self;
        let text = format!("{:?}", (version, sources, adapter, driver, processor, datasets));
        hex(&Md5::digest(text)[..4])
    }
}

/// The name of the sources among what results consist of.
const SOURCES_ASPECT: &str = "sources";
/// The name of the variants of kernels among what results consist of.
const VARIANTS: &str = "kernel variants";

/// All of `manifest.json`: the manifest, and the streams that its seeds stand for.
#[derive(Serialize)]
pub(super) struct FullManifest<'a> {
    #[serde(flatten)]
    pub manifest: &'a Manifest,
    pub tasks: &'a serde_json::Value,
}

/// The variants of kernels that a `manifest.json` or `results.json` names, by class.
///
/// # Errors
/// Says why it names none.
pub fn kernels_of(manifest: &[u8]) -> Result<BTreeMap<String, String>, String> {
    let value: serde_json::Value = serde_json::from_slice(manifest).map_err(|error| error.to_string())?;
    let kernels = value.pointer("/device/kernels").or_else(|| value.pointer("/manifest/device/kernels"));
    let kernels = kernels.ok_or("it names no variants of kernels")?;
    BTreeMap::deserialize(kernels).map_err(|error| error.to_string())
}
