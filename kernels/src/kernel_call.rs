//! Which twin a number type calls: traits with generic methods can't be behind `dyn`.

use crate::float::Float;
use crate::launch::{Input, Kernel};

/// A number type that programs can run in.
pub trait TwinCall: Float {
    /// Calls the kernel's twin for this type.
    fn call(kernel: &dyn Kernel, out: &mut [Self], inputs: &[Input<'_, Self>]);
}

impl TwinCall for f32 {
    fn call(kernel: &dyn Kernel, out: &mut [f32], inputs: &[Input<'_, f32>]) {
        kernel.twin_f32(out, inputs);
    }
}

impl TwinCall for f64 {
    fn call(kernel: &dyn Kernel, out: &mut [f64], inputs: &[Input<'_, f64>]) {
        kernel.twin_f64(out, inputs);
    }
}
