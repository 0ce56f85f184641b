//! Rows added into a table of zeros, by number: the transpose of `gather_rows`.

use crate::float::Float;
use crate::gpu::Traits;
use crate::kernel::{Cost, Describe, Input, Shader, Twin};
use crate::view::View;

/// `out[t, :] = Σ_{b: index[b] = t} x[b, :]`. Inputs: x `[rows, width]`, index `[rows]`. Rows are added
/// in their order, so the sum is the same every time: no atomics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ScatterAddRows {
    /// Rows of x.
    pub rows: usize,
    /// Rows of the result.
    pub table: usize,
    /// Columns.
    pub width: usize,
}

impl Describe for ScatterAddRows {
    fn name(&self) -> &'static str {
        "scatter_add_rows"
    }
    fn elements(&self) -> usize {
        self.table * self.width
    }
    fn inputs(&self) -> usize {
        2
    }
    fn cost(&self) -> Cost {
        let read = (self.rows * self.width) as f64;
        Cost { flops: read, bytes: 4.0 * (read + (self.rows + self.elements()) as f64) }
    }
    fn shader(&self, _: &Traits, _: &[View]) -> Shader {
        let size = vec![self.rows as u32, self.table as u32, self.width as u32];
        Shader::per_element(include_str!("../../shaders/scatter_add_rows.wgsl"), size, self.elements())
    }
}

impl Twin for ScatterAddRows {
    fn compute<F: Float>(&self, out: &mut [F], inputs: &[Input<'_, F>]) {
        let (x, index) = (inputs[0].float(), inputs[1].index());
        out[..self.table * self.width].fill(F::ZERO);
        for (row, &i) in x.chunks_exact(self.width).zip(index).take(self.rows) {
            let target = &mut out[i as usize * self.width..][..self.width];
            target.iter_mut().zip(row).for_each(|(t, &v)| *t += v);
        }
    }
}
