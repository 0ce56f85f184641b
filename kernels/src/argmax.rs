//! The class with the largest entry.

use crate::float::Float;
use crate::gpu::Traits;
use crate::kernel::{Cost, Describe, Input, Shader, Twin, spread_groups};
use crate::view::View;

/// `out[r]` = the number of the largest entry of row r, the first of equals, as a float.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Argmax {
    /// Rows.
    pub rows: usize,
    /// Classes.
    pub classes: usize,
}

/// `None` when an entry is NaN: a diverged model has no opinion.
pub(crate) fn argmax<F: Float>(row: &[F]) -> Option<usize> {
    let mut best = 0;
    for (i, &x) in row.iter().enumerate() {
        x.partial_cmp(&x)?;
        if x > row[best] {
            best = i;
        }
    }
    Some(best)
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
        Shader::new(source, size, spread_groups(self.rows.div_ceil(64)))
    }
}

impl Twin for Argmax {
    fn compute<F: Float>(&self, out: &mut [F], inputs: &[Input<'_, F>]) {
        let rows = inputs[0].float().chunks_exact(self.classes);
        for (out, row) in out.iter_mut().zip(rows).take(self.rows) {
            *out = F::of(argmax(row).unwrap_or(self.classes) as f64);
        }
    }
}
