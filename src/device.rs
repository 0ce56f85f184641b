//! Devices, as the command line names them.

use etcetera::base_strategy::{BaseStrategy, choose_native_strategy};
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

/// Where choices of variants are kept, a file an adapter: `hindsight/kernels` in the platform's folder for caches.
pub fn kernels_folder() -> Option<PathBuf> {
    choose_native_strategy().ok().map(|folders| folders.cache_dir().join("hindsight").join("kernels"))
}

/// All adapters of this machine.
pub fn list() -> Vec<AdapterSummary> {
    Device::list()
}
