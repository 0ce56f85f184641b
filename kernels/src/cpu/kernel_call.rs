//! Which twin a number type calls: traits with generic methods can't be behind `dyn`.

use crate::float::Float;
use crate::kernel::{Input, Kernel};
use std::ops::Range;

/// A number type that programs can run in.
pub trait TwinCall: Float {
    /// Calls the kernel's twin for this type, for some rows of its output.
    fn call(kernel: &dyn Kernel, rows: Range<usize>, out: &mut [Self], inputs: &[Input<'_, Self>]);
}

impl TwinCall for f32 {
    fn call(kernel: &dyn Kernel, rows: Range<usize>, out: &mut [f32], inputs: &[Input<'_, f32>]) {
        kernel.rows_f32(rows, out, inputs);
    }
}

impl TwinCall for f64 {
    fn call(kernel: &dyn Kernel, rows: Range<usize>, out: &mut [f64], inputs: &[Input<'_, f64>]) {
        kernel.rows_f64(rows, out, inputs);
    }
}
