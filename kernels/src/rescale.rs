//! Rows scaled to \[0, 1\].

use crate::float::Float;
use crate::gpu::Traits;
use crate::kernel::{Cost, Describe, Input, Shader, Twin, levels, spread_groups};
use crate::view::View;

/// `out[r, :] = (x[r, :] - min) / (max - min)`; 0 where a row is all the same, NaN where it holds
/// NaN or an infinity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rescale {
    /// Rows.
    pub rows: usize,
    /// Columns.
    pub width: usize,
}

impl Describe for Rescale {
    fn name(&self) -> &'static str {
        "rescale"
    }
    fn elements(&self) -> usize {
        self.rows * self.width
    }
    fn inputs(&self) -> usize {
        1
    }
    fn cost(&self) -> Cost {
        let elements = self.elements() as f64;
        Cost { flops: 4.0 * elements, bytes: 8.0 * elements }
    }
    fn shader(&self, _: &Traits, _: &[View]) -> Shader {
        let source = include_str!("../../shaders/rescale.wgsl").into();
        let shader = Shader::new(source, vec![self.rows as u32, self.width as u32], spread_groups(self.rows));
        Shader { iterations: 2 * self.width.div_ceil(64) + levels(64), ..shader }
    }
}

impl Twin for Rescale {
    fn compute<F: Float>(&self, out: &mut [F], inputs: &[Input<'_, F>]) {
        let x = inputs[0].float();
        for (out, x) in out.chunks_exact_mut(self.width).zip(x.chunks_exact(self.width)) {
            if !x.iter().all(|v| v.is_finite()) {
                out.fill(F::of(f64::NAN));
                continue;
            }
            let (low, high) =
                x.iter().fold((x[0], x[0]), |(l, h), &v| (if v < l { v } else { l }, if v > h { v } else { h }));
            let range = high - low;
            out.iter_mut().zip(x).for_each(|(o, &v)| *o = if range > F::ZERO { (v - low) / range } else { F::ZERO });
        }
    }
}
