//! An elementwise chain on its own: nothing but an epilogue.

use crate::float::Float;
use crate::gpu::Traits;
use crate::kernel::{Cost, Describe, Input, Shader, Twin};
use crate::view::View;
use std::ops::Range;

/// `out[i] = epilogue(i)` for `elements` elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Map {
    /// Elements.
    pub elements: usize,
}

impl Describe for Map {
    fn name(&self) -> &'static str {
        "map"
    }
    fn elements(&self) -> usize {
        self.elements
    }
    fn inputs(&self) -> usize {
        0
    }
    fn cost(&self) -> Cost {
        Cost { flops: 0.0, bytes: 4.0 * self.elements as f64 }
    }
    fn shader(&self, adapter: &Traits, views: &[View]) -> Shader {
        let size = vec![self.elements as u32];
        if adapter.best_by_four(self.elements, &[&views[0]]) {
            return Shader::per_element(include_str!("../../shaders/map_by_four.wgsl"), size, self.elements / 4);
        }
        Shader::per_element(include_str!("../../shaders/map.wgsl"), size, self.elements)
    }
    fn rows(&self) -> usize {
        self.elements
    }
    fn only_epilogue(&self) -> bool {
        true
    }
}

impl Twin for Map {
    fn compute<F: Float>(&self, _: &mut [F], _: &[Input<'_, F>]) {}
    fn compute_rows<F: Float>(&self, _: Range<usize>, _: &mut [F], _: &[Input<'_, F>]) {}
}
