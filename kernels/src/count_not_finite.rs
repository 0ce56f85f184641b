//! How many numbers are NaN or infinite.

use crate::float::Float;
use crate::gpu::Traits;
use crate::kernel::{Cost, Describe, Input, Shader, Twin, spread_groups};
use crate::view::View;

/// `out[b]` = elements of block b of x that are NaN or infinite. Input: x `[elements]`, in blocks of [`BLOCK`](Self::BLOCK),
/// of which the last may be shorter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CountNotFinite {
    /// Elements of x.
    pub elements: usize,
}

impl CountNotFinite {
    /// Elements that one workgroup counts.
    pub const BLOCK: usize = 1 << 16;
}

impl Describe for CountNotFinite {
    fn name(&self) -> &'static str {
        "count_not_finite"
    }
    fn elements(&self) -> usize {
        self.elements.div_ceil(Self::BLOCK)
    }
    fn inputs(&self) -> usize {
        1
    }
    fn cost(&self) -> Cost {
        Cost { flops: 0.0, bytes: 4.0 * (self.elements + self.elements()) as f64 }
    }
    fn shader(&self, _: &Traits, _: &[View]) -> Shader {
        let source = include_str!("../../shaders/count_not_finite.wgsl").into();
        Shader::new(source, vec![self.elements as u32, Self::BLOCK as u32], spread_groups(self.elements()))
    }
}

impl Twin for CountNotFinite {
    fn compute<F: Float>(&self, out: &mut [F], inputs: &[Input<'_, F>]) {
        for (out, block) in out.iter_mut().zip(inputs[0].float()[..self.elements].chunks(Self::BLOCK)) {
            *out = F::of(block.iter().filter(|x| !x.is_finite()).count() as f64);
        }
    }
}
