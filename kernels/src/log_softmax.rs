//! Logarithm of the softmax of each row.

use crate::float::Float;
use crate::gpu::Traits;
use crate::kernel::{Cost, Describe, Input, Shader, Twin, lanes, levels, spread_groups};
use crate::summation::sum_of;
use crate::view::View;

/// `out[r, c] = x[r, c] - ln Σ_c exp(x[r, c])`, computed around the row's maximum. A row with NaN
/// or ∞, or of −∞ alone, is NaN; −∞ beside finite entries is the logarithm of 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LogSoftmax {
    /// Rows.
    pub rows: usize,
    /// Classes.
    pub classes: usize,
}

/// `ln Σ exp(x)` of one row, in two parts: the largest entry, and what the sum adds to it. Added up, the second would
/// be rounded to the step of the first.
pub(crate) fn log_sum_exp<F: Float>(row: &[F]) -> (F, F) {
    let max = row.iter().fold(row[0], |m, &x| if x > m { x } else { m });
    (max, sum_of(row.iter().map(|&x| (x - max).exp())).ln())
}

impl Describe for LogSoftmax {
    fn name(&self) -> &'static str {
        "log_softmax"
    }
    fn elements(&self) -> usize {
        self.rows * self.classes
    }
    fn inputs(&self) -> usize {
        1
    }
    fn cost(&self) -> Cost {
        let elements = self.elements() as f64;
        Cost { flops: 4.0 * elements, bytes: 8.0 * elements }
    }
    fn shader(&self, _: &Traits, _: &[View]) -> Shader {
        let source = include_str!("../../shaders/log_softmax.wgsl").into();
        let size = vec![self.rows as u32, self.classes as u32];
        let lanes = lanes(self.classes, 64);
        Shader {
            constants: vec![("LANES", lanes as f64)],
            iterations: 3 * self.classes.div_ceil(lanes) + 2 * levels(lanes),
            ..Shader::new(source, size, spread_groups((self.rows * lanes).div_ceil(64)))
        }
    }
}

impl Twin for LogSoftmax {
    fn compute<F: Float>(&self, out: &mut [F], inputs: &[Input<'_, F>]) {
        let x = inputs[0].float();
        for (out, x) in out.chunks_exact_mut(self.classes).zip(x.chunks_exact(self.classes)) {
            let (largest, rest) = log_sum_exp(x);
            out.iter_mut().zip(x).for_each(|(o, &x)| *o = x - largest - rest);
        }
    }
}
