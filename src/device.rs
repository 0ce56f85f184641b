//! Devices, as the command line names them.

use crate::data::locate::cache_folder;
use std::path::PathBuf;

pub use hindsight_kernels::{AdapterSummary, Clock, Device, DeviceChoice, DeviceError, Room, Traits, Tuning};

/// Opens what was asked for, with variants of kernels as `tuning` says.
///
/// # Errors
/// If there is no such device, it refuses, or `tuning` names a variant that there is not.
pub fn open(choice: &DeviceChoice, tuning: &Tuning) -> Result<Device, DeviceError> {
    Device::open_tuned(choice, tuning)
}

/// What to tell a user who gets another device than the best one that was asked for: nothing where none refused.
pub fn passed_over(refusals: &[DeviceError], device: &Device) -> Option<String> {
    let reasons: Vec<String> = refusals.iter().map(DeviceError::to_string).collect();
    (!reasons.is_empty()).then(|| format!("{}. Taking {} instead", reasons.join(". "), device.adapter_name()))
}

/// Where choices of variants are kept, a file an adapter: `kernels` in the folder for what can be computed again, which
/// `HINDSIGHT_CACHE` names.
pub fn kernels_folder() -> Option<PathBuf> {
    cache_folder().map(|folder| folder.join("kernels"))
}

/// All adapters of this machine.
pub fn list() -> Vec<AdapterSummary> {
    Device::list()
}
