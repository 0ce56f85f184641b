//! How many rows have their largest entry at their label.

use crate::argmax::argmax;
use crate::float::Float;
use crate::gpu::Traits;
use crate::kernel::{Cost, Describe, Input, Shader, Twin, levels};
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
        // Threads share rows where that is less work for each: where rows are long, and few.
        let iterations = |lanes: usize| {
            let turns = (self.rows * lanes).div_ceil(256);
            turns * (self.classes.div_ceil(lanes) + levels(lanes) + 1) + levels(256)
        };
        let lanes = if iterations(256) < iterations(1) { 256 } else { 1 };
        Shader {
            constants: vec![("LANES", lanes as f64)],
            iterations: iterations(lanes),
            ..Shader::new(source, vec![self.rows as u32, self.classes as u32], [1, 1])
        }
    }
}

impl Twin for CountCorrect {
    fn compute<F: Float>(&self, out: &mut [F], inputs: &[Input<'_, F>]) {
        let rows = inputs[0].float().chunks_exact(self.classes);
        let is_right = |(row, label): &(&[F], &u32)| {
            let best = argmax(row);
            best == **label as usize && !row[best].is_nan()
        };
        let right = rows.zip(inputs[1].index()).take(self.rows).filter(is_right);
        out[0] = F::of(right.count() as f64);
    }
}
