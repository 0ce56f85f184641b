//! Sum over the middle axis.

use crate::float::Float;
use crate::gpu::Traits;
use crate::launch::{Cost, Describe, Input, Shader, Twin, View, spread_groups};

/// `out[outer, inner] = Σ_mid x[outer, mid, inner]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sum {
    /// Elements before the axis.
    pub outer: usize,
    /// Length of the axis that goes.
    pub mid: usize,
    /// Elements behind the axis.
    pub inner: usize,
}

/// From this length on a workgroup shares one sum, where its terms lie side by side.
const WIDE: usize = 128;

impl Describe for Sum {
    fn name(&self) -> &'static str {
        "sum"
    }
    fn elements(&self) -> usize {
        self.outer * self.inner
    }
    fn inputs(&self) -> usize {
        1
    }
    fn cost(&self) -> Cost {
        let read = (self.outer * self.mid * self.inner) as f64;
        Cost { flops: read, bytes: 4.0 * (read + self.elements() as f64) }
    }
    fn shader(&self, _: &Traits, _: &[View]) -> Shader {
        let size = vec![self.outer as u32, self.mid as u32, self.inner as u32];
        if self.inner == 1 && self.mid >= WIDE {
            let source = include_str!("../../shaders/sum_wide.wgsl").into();
            return Shader::new(source, size, spread_groups(self.outer));
        }
        Shader::per_element(include_str!("../../shaders/sum.wgsl"), size, self.elements())
    }
}

impl Twin for Sum {
    fn compute<F: Float>(&self, out: &mut [F], inputs: &[Input<'_, F>]) {
        let x = inputs[0].float();
        if self.inner == 1 {
            for (sum, row) in out.iter_mut().zip(x.chunks_exact(self.mid)) {
                *sum = row.iter().fold(F::ZERO, |s, &v| s + v);
            }
            return;
        }
        for (sums, block) in out.chunks_exact_mut(self.inner).zip(x.chunks_exact(self.mid * self.inner)) {
            sums.fill(F::ZERO);
            for row in block.chunks_exact(self.inner) {
                sums.iter_mut().zip(row).for_each(|(s, &v)| *s += v);
            }
        }
    }
}
