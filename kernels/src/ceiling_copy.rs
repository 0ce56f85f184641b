//! Nothing but a read and a write: what a device moves at most.

use crate::float::Float;
use crate::gpu::Traits;
use crate::kernel::{Cost, Describe, Input, Shader, Twin, spread_groups};
use crate::view::View;

/// `out[i] = x[i]`. Input: x `[elements]`. Takes no epilogue, and operands that begin where their
/// buffers do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CeilingCopy {
    /// Elements: a multiple of 2048, so that workgroups are whole and need not ask for the end.
    pub elements: usize,
}

impl Describe for CeilingCopy {
    fn name(&self) -> &'static str {
        "ceiling_copy"
    }
    fn elements(&self) -> usize {
        self.elements
    }
    fn inputs(&self) -> usize {
        1
    }
    fn cost(&self) -> Cost {
        Cost { flops: 0.0, bytes: 8.0 * self.elements as f64 }
    }
    fn shader(&self, adapter: &Traits, _: &[View]) -> Shader {
        let text = include_str!("../../shaders/ceiling_copy.wgsl");
        // A software adapter loads and stores word by word: the wider, the better.
        let wide = adapter.software && adapter.wide_integers;
        let (text, shift) = if wide { (text.replace("vec4<f32>", "vec4<u64>"), 3) } else { (text.into(), 2) };
        let of_a_group = 256 << shift;
        assert!(self.elements.is_multiple_of(of_a_group), "ceiling_copy: {} elements leave a rest", self.elements);
        Shader::new(text.into(), vec![shift], spread_groups(self.elements / of_a_group))
    }
}

impl Twin for CeilingCopy {
    fn compute<F: Float>(&self, out: &mut [F], inputs: &[Input<'_, F>]) {
        out.copy_from_slice(&inputs[0].float()[..self.elements]);
    }
}
