//! The class with the largest entry.

use crate::float::Float;
use crate::gpu::Traits;
use crate::kernel::{Cost, Describe, Input, Shader, Twin, lanes, levels, spread_groups};
use crate::view::View;

/// `out[r]` = the number of the largest entry of row r, the first of equals, as a float. NaN
/// counts as the largest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Argmax {
    /// Rows.
    pub rows: usize,
    /// Classes.
    pub classes: usize,
}

/// The number of the largest entry, the first of equals; or the number of the first NaN.
pub(crate) fn argmax<F: Float>(row: &[F]) -> usize {
    let mut best = 0;
    for (i, &x) in row.iter().enumerate() {
        if x.is_nan() {
            return i;
        }
        if x > row[best] {
            best = i;
        }
    }
    best
}

impl Describe for Argmax {
    fn name(&self) -> &'static str {
        "argmax"
    }
    fn elements(&self) -> usize {
        self.rows
    }
    fn inputs(&self) -> usize {
        1
    }
    fn cost(&self) -> Cost {
        Cost { flops: 0.0, bytes: 4.0 * (self.rows * (self.classes + 1)) as f64 }
    }
    fn shader(&self, _: &Traits, _: &[View]) -> Shader {
        let source = include_str!("../../shaders/argmax.wgsl").into();
        let size = vec![self.rows as u32, self.classes as u32];
        let lanes = lanes(self.classes, 64);
        Shader {
            constants: vec![("LANES", lanes as f64)],
            iterations: self.classes.div_ceil(lanes) + levels(lanes),
            ..Shader::new(source, size, spread_groups((self.rows * lanes).div_ceil(64)))
        }
    }
}

impl Twin for Argmax {
    fn compute<F: Float>(&self, out: &mut [F], inputs: &[Input<'_, F>]) {
        let rows = inputs[0].float().chunks_exact(self.classes);
        for (out, row) in out.iter_mut().zip(rows).take(self.rows) {
            *out = F::of(argmax(row) as f64);
        }
    }
}
