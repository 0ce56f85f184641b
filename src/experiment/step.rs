//! What a method's training step is compiled to.

use super::{ExperimentError, find};
use crate::device::Device;
use crate::methods::{Lab, paper_settings};
use crate::settings::RunSpec;
use hindsight_kernels::Launch;

/// The launches of a method's training step on a benchmark, with the paper's settings, as it is in the second task, when
/// there is something to replay. It is compiled and run nowhere.
///
/// # Errors
/// If there is no such benchmark or method, the method cannot train its model, or its data set is not here.
pub fn launches_of_step(benchmark: &str, method: &str) -> Result<Vec<Launch>, ExperimentError> {
    let (benchmark, method) = find(benchmark, method)?;
    let runs = RunSpec::seeds(&paper_settings(method, benchmark), &[0]);
    let mut lab = Lab::new(&Device::Dry, benchmark, benchmark.data()?, &runs)?;
    let mut learner = method.start(&mut lab);
    for task in 0..lab.settings.tasks.min(2) {
        learner.learn(&mut lab, task);
        learner.test(&mut lab, task);
    }
    Ok(learner.step().launches().to_vec())
}
