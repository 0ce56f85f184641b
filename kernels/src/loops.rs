//! Drivers that leave a shader's loops before their end, and the launches that they would compute
//! wrong.

use crate::device::Device;
use crate::gpu::Traits;
use crate::launch::Launch;

/// A launch whose loops an adapter's driver would leave before their end, without a word.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{kernel} ({shape}) takes up to {iterations} iterations of loops in one invocation, and {adapter} leaves loops after \
     {budget} without a word, so the result would be wrong; take smaller operands, or another device, such as --device cpu"
)]
pub struct TooManyIterations {
    /// The kernel.
    pub kernel: &'static str,
    /// Its sizes.
    pub shape: String,
    /// Iterations that it takes at most.
    pub iterations: usize,
    /// The adapter.
    pub adapter: String,
    /// Iterations that the driver allows.
    pub budget: usize,
}

impl Device {
    /// Finds a launch that the device's driver would not compute to its end.
    ///
    /// # Errors
    /// The first such launch.
    pub fn check_loops(&self, launches: &[Launch]) -> Result<(), TooManyIterations> {
        match self {
            Device::Gpu(gpu) => launches.iter().try_for_each(|launch| within_budget(launch, gpu.traits())),
            _ => Ok(()),
        }
    }
}

/// Whether an adapter computes a launch to its end.
///
/// # Errors
/// If it does not.
pub(crate) fn within_budget(launch: &Launch, adapter: &Traits) -> Result<(), TooManyIterations> {
    let Some(budget) = adapter.loop_budget else { return Ok(()) };
    let iterations = launch.shader(adapter).iterations;
    if iterations <= budget {
        return Ok(());
    }
    let kernel = launch.kernel.describe();
    let (adapter, shape) = (adapter.name.clone(), kernel.shape());
    Err(TooManyIterations { kernel: kernel.name(), shape, iterations, adapter, budget })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue;
    use crate::gpu::LLVMPIPE_LOOPS;
    use crate::translate::adapter_for;

    fn refused(name: &str, sizes: &[(&str, usize)]) -> Option<usize> {
        let adapter = Traits { loop_budget: Some(LLVMPIPE_LOOPS), ..adapter_for(None, true) };
        let entry = catalogue::find(name).unwrap();
        let launch = entry.launch(&entry.complete(sizes).unwrap(), None);
        within_budget(&launch, &adapter).err().map(|error| error.iterations)
    }

    #[test]
    fn long_rows_are_split_and_what_is_still_too_long_is_refused() {
        assert_eq!(refused("argmax", &[("classes", 4_000_000)]), None);
        assert_eq!(refused("argmax", &[("classes", 4_200_000)]), Some(65_625 + 6));
        assert_eq!(refused("log_softmax", &[("classes", 1_300_000)]), None);
        assert_eq!(refused("cross_entropy", &[("classes", 2_000_000)]), None);
        assert_eq!(refused("count_correct", &[("rows", 10_000), ("classes", 1_000)]), None);
        assert_eq!(refused("count_correct", &[("rows", 10_000), ("classes", 2_000)]), Some(40 * 2_001 + 8));
        assert_eq!(refused("count_correct", &[("rows", 40), ("classes", 400_000)]), None);
        assert_eq!(refused("scatter_add_rows", &[("rows", 4_000_000)]), None);
        assert_eq!(refused("largest", &[("width", 70_000)]), Some(70_000));
        assert_eq!(refused("rescale", &[("width", 2_000_000)]), None);
        assert_eq!(refused("sum", &[("outer", 1), ("mid", 60_000_000)]), None);
        assert_eq!(refused("matmul", &[("k", 16_000_000)]), None);
        assert!(refused("matmul", &[("k", 17_000_000)]).is_some());
    }
}
