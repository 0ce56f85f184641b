//! Rows of a table, by number.

use crate::float::Float;
use crate::gpu::Traits;
use crate::kernel::{Cost, Describe, Input, Shader, Twin};
use crate::view::View;

/// `out[b, :] = table[index[b], :]`. Inputs: table `[any, width]`, index `[rows]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GatherRows {
    /// Rows of the result.
    pub rows: usize,
    /// Columns.
    pub width: usize,
}

impl Describe for GatherRows {
    fn name(&self) -> &'static str {
        "gather_rows"
    }
    fn elements(&self) -> usize {
        self.rows * self.width
    }
    fn inputs(&self) -> usize {
        2
    }
    fn cost(&self) -> Cost {
        Cost { flops: 0.0, bytes: 4.0 * (2 * self.elements() + self.rows) as f64 }
    }
    fn shader(&self, adapter: &Traits, views: &[View]) -> Shader {
        let size = vec![self.rows as u32, self.width as u32];
        if adapter.best_by_four(self.width, &[&views[0], &views[1]]) {
            let text = include_str!("../../shaders/gather_rows_by_four.wgsl");
            return Shader {
                constants: vec![("WIDTH", self.width as f64)],
                ..Shader::per_element(text, size, self.elements() / 4)
            };
        }
        Shader::per_element(include_str!("../../shaders/gather_rows.wgsl"), size, self.elements())
    }
}

impl Twin for GatherRows {
    fn compute<F: Float>(&self, out: &mut [F], inputs: &[Input<'_, F>]) {
        let (table, index) = (inputs[0].float(), inputs[1].index());
        for (row, &i) in out.chunks_exact_mut(self.width).zip(index) {
            row.copy_from_slice(&table[i as usize * self.width..][..self.width]);
        }
    }
}
