//! Cross-entropy of logits and class numbers, one number a row.

use crate::float::Float;
use crate::gpu::Traits;
use crate::kernel::{Cost, Describe, Input, Shader, Twin, lanes, levels, spread_groups};
use crate::log_softmax::log_sum_exp;
use crate::view::View;

/// `out[r] = ln Σ_c exp(x[r, c]) - x[r, label[r]]`. Inputs: logits `[rows, classes]`, labels
/// `[rows]`. A row with NaN or ∞, or of −∞ alone, is NaN; where the label's entry alone is −∞, the
/// result is ∞.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CrossEntropy {
    /// Rows.
    pub rows: usize,
    /// Classes.
    pub classes: usize,
}

impl Describe for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross_entropy"
    }
    fn elements(&self) -> usize {
        self.rows
    }
    fn inputs(&self) -> usize {
        2
    }
    fn cost(&self) -> Cost {
        let elements = (self.rows * self.classes) as f64;
        Cost { flops: 4.0 * elements, bytes: 4.0 * (elements + 2.0 * self.rows as f64) }
    }
    fn shader(&self, _: &Traits, _: &[View]) -> Shader {
        let source = include_str!("../../shaders/cross_entropy.wgsl").into();
        let size = vec![self.rows as u32, self.classes as u32];
        let lanes = lanes(self.classes, 64);
        Shader {
            constants: vec![("LANES", lanes as f64)],
            iterations: 2 * self.classes.div_ceil(lanes) + 2 * levels(lanes),
            ..Shader::new(source, size, spread_groups((self.rows * lanes).div_ceil(64)))
        }
    }
}

impl Twin for CrossEntropy {
    fn compute<F: Float>(&self, out: &mut [F], inputs: &[Input<'_, F>]) {
        let (x, labels) = (inputs[0].float(), inputs[1].index());
        for ((out, x), &label) in out.iter_mut().zip(x.chunks_exact(self.classes)).zip(labels).take(self.rows) {
            let (largest, rest) = log_sum_exp(x);
            *out = rest - (x[label as usize] - largest);
        }
    }
}
