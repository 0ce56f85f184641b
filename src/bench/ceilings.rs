//! What a device can do at all, measured by kernels that do nothing else.

use super::case::{Case, Operand};
use super::measure::{Effort, Measured, Wrong, measure};
use hindsight_kernels::{CeilingCopy, CeilingFma, Device, Epilogue, Instruction, Kernel, Map};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A device's ceilings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ceilings {
    /// Floating-point operations a second in multiply-adds, which are two each.
    pub fma_flops_per_s: f64,
    /// Copies, the smallest first: what fits a cache is moved faster.
    pub copies: Vec<CopyRate>,
    /// Seconds of a launch that has nothing to do, in a row of such that wait for one another.
    pub launch_s: f64,
}

/// How fast so much is copied.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CopyRate {
    /// Bytes read and written by a copy, of one run.
    pub bytes: f64,
    /// Bytes a second read and written, of all runs.
    pub bytes_per_s: f64,
}

/// What a launch cannot be faster than.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Bound {
    /// Its arithmetic.
    Compute,
    /// Its bytes.
    Memory,
    /// Being launched.
    Launch,
}

impl Ceilings {
    /// Measures a device.
    ///
    /// # Errors
    /// If it computes something wrong.
    pub fn measure(device: &Device, effort: Effort) -> Result<Ceilings, Wrong> {
        let measured = |case: Case| measure(device, &case, effort);
        let fma = measured(fma(device))?;
        let copy = |elements: usize| {
            let Measured { bytes, runs, seconds, .. } = measured(copy(elements))?;
            Ok(CopyRate { bytes: bytes / runs as f64, bytes_per_s: bytes / seconds[0] })
        };
        let copies = copy_sizes(device).into_iter().map(copy).collect::<Result<_, Wrong>>()?;
        let launch_s = measured(nothing())?.seconds[0];
        Ok(Ceilings { fma_flops_per_s: fma.flops / fma.seconds[0], copies, launch_s })
    }

    /// Bytes a second that a launch can move which touches so many, of one run: as fast as the best copy of so many or
    /// more.
    pub fn bandwidth(&self, bytes: f64) -> f64 {
        let larger = self.copies.iter().filter(|copy| copy.bytes >= bytes).map(|copy| copy.bytes_per_s);
        let largest = self.copies.last().map_or(0.0, |copy| copy.bytes_per_s);
        larger.fold(largest, f64::max)
    }

    /// Seconds that the roofline gives a launch: FLOP at the rate of multiply-adds, or bytes at that of copies,
    /// whichever take longer.
    pub fn roofline_s(&self, launch: &Measured) -> f64 {
        let [compute, memory] = self.shares(launch);
        compute.max(memory)
    }

    /// What a launch cannot be faster than.
    pub fn bound(&self, launch: &Measured) -> Bound {
        let [compute, memory] = self.shares(launch);
        match () {
            () if self.launch_s >= compute.max(memory) => Bound::Launch,
            () if compute >= memory => Bound::Compute,
            () => Bound::Memory,
        }
    }

    fn shares(&self, launch: &Measured) -> [f64; 2] {
        let bandwidth = self.bandwidth(launch.bytes / launch.runs as f64);
        [launch.flops / self.fma_flops_per_s, launch.bytes / bandwidth]
    }
}

fn ceiling(name: &str, kernel: impl Kernel + 'static, operands: Vec<Operand>, terms: usize) -> Case {
    let (kernel, epilogue) = (Arc::new(kernel), Epilogue::default());
    Case {
        group: "Ceilings",
        name: name.into(),
        size: String::new(),
        kernel,
        epilogue,
        operands,
        terms,
        has_oracle: true,
    }
}

fn fma(device: &Device) -> Case {
    // As many threads as fill a large GPU some times over; on a CPU, what takes a millisecond.
    let elements = if device.is_hardware() { 1 << 20 } else { 1 << 13 };
    let kernel = CeilingFma { elements, rounds: 1024 };
    ceiling("multiply-adds", kernel, vec![Operand::Floats(elements), Operand::Values(vec![1.0, 1.0])], kernel.rounds)
}

/// From what a first-level cache holds to what no cache does.
fn copy_sizes(device: &Device) -> Vec<usize> {
    let mut sizes = vec![1 << 12, 1 << 15, 1 << 18, 1 << 21, 1 << 23];
    sizes.extend(device.is_hardware().then_some(1 << 25));
    sizes
}

fn copy(elements: usize) -> Case {
    ceiling("copy", CeilingCopy { elements }, vec![Operand::Floats(elements)], 1)
}

/// One element that is one.
fn nothing() -> Case {
    let epilogue = Epilogue { instructions: vec![Instruction::Constant(1.0)], extras: vec![] };
    Case { epilogue, ..ceiling("launch", Map { elements: 1 }, vec![], 1) }
}
