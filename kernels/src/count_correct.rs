//! How many rows have their largest entry at their label.

use crate::argmax::argmax;
use crate::float::Float;
use crate::gpu::Traits;
use crate::kernel::{Cost, Describe, Input, Shader, Twin};
use crate::view::View;

/// `out[0]` = rows whose argmax is their label. Inputs: logits `[rows, classes]`, labels `[rows]`.
/// A row that holds a NaN is never right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CountCorrect {
    /// Rows.
    pub rows: usize,
    /// Classes.
    pub classes: usize,
}

impl Describe for CountCorrect {
    fn name(&self) -> &'static str {
        "count_correct"
    }
    fn elements(&self) -> usize {
        1
    }
    fn inputs(&self) -> usize {
        2
    }
    fn cost(&self) -> Cost {
        Cost { flops: 0.0, bytes: 4.0 * (self.rows * (self.classes + 1)) as f64 }
    }
    fn shader(&self, _: &Traits, _: &[View]) -> Shader {
        let source = include_str!("../../shaders/count_correct.wgsl").into();
        Shader::new(source, vec![self.rows as u32, self.classes as u32], [1, 1])
    }
}

impl Twin for CountCorrect {
    fn compute<F: Float>(&self, out: &mut [F], inputs: &[Input<'_, F>]) {
        let rows = inputs[0].float().chunks_exact(self.classes);
        let right =
            rows.zip(inputs[1].index()).take(self.rows).filter(|(row, label)| argmax(row) == Some(**label as usize));
        out[0] = F::of(right.count() as f64);
    }
}
