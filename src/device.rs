//! Devices, as the command line names them.

pub use hindsight_kernels::{AdapterSummary, Clock, Device, DeviceChoice, DeviceError, Room, Traits};

/// Opens what was asked for.
pub fn open(choice: &DeviceChoice) -> Result<Device, DeviceError> {
    Device::open(choice)
}

/// All adapters of this machine.
pub fn list() -> Vec<AdapterSummary> {
    Device::list()
}
