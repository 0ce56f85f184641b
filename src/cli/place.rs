//! Where a command computes, and which variants of kernels it takes there.

use super::CliError;
use clap::Args;
use hindsight::device::{self, Device, DeviceChoice, Tuning};
use hindsight::files;
use hindsight::report::manifest::kernels_of;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

#[derive(Args)]
pub struct Place {
    /// auto (the best hardware GPU, else cpu), gpu, cpu, or an index or part of a name from `hindsight devices`
    #[arg(long, default_value = "auto", help_heading = "Where")]
    pub device: DeviceChoice,

    /// Do not time variants of kernels on a GPU: take what is likely to be the fastest
    #[arg(long, help_heading = "Where", conflicts_with = "kernels_from")]
    no_autotune: bool,

    /// Take the variants of kernels that a run took, by its manifest.json: the same bits on the same GPU
    #[arg(long, value_name = "MANIFEST", help_heading = "Where")]
    kernels_from: Option<PathBuf>,
}

impl Place {
    /// The files that it names.
    pub fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        self.kernels_from.iter_mut()
    }

    pub fn open(&self) -> Result<Device, CliError> {
        self.open_as(&self.device)
    }

    /// Opens another device than the one asked for.
    pub fn open_as(&self, choice: &DeviceChoice) -> Result<Device, CliError> {
        open(choice, &self.tuning()?)
    }

    fn tuning(&self) -> Result<Tuning, CliError> {
        match &self.kernels_from {
            Some(manifest) => told(manifest).map(Tuning::Told),
            None if self.no_autotune => Ok(Tuning::Off),
            None => Ok(Tuning::Kept(device::kernels_folder())),
        }
    }
}

/// The most bytes of a manifest. It lists the tasks of each seed, a permutation of 784 pixels in 4 KB.
const LARGEST_MANIFEST: u64 = 1 << 28;

/// Opens a device. Where a better one refused, says so.
pub fn open(choice: &DeviceChoice, tuning: &Tuning) -> Result<Device, CliError> {
    let (device, refusals) = Device::open_first(choice, tuning)?;
    if let Some(said) = device::passed_over(&refusals, &device) {
        super::say(format_args!("{said}."));
    }
    Ok(device)
}

/// The variants that a manifest names.
fn told(manifest: &Path) -> Result<BTreeMap<String, String>, CliError> {
    let unusable = |reason: String| CliError::KernelsFrom { path: manifest.into(), reason };
    let bytes = files::read(manifest, LARGEST_MANIFEST).map_err(|error| unusable(error.to_string()))?;
    kernels_of(&bytes).map_err(unusable)
}
