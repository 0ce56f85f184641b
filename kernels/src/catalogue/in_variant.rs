//! A product or convolution computed in one given way.

use crate::conv::Conv;
use crate::float::Float;
use crate::gpu::Traits;
use crate::kernel::{Cost, Describe, Input, Kernel, Shader, Twin};
use crate::matmul::{MatMul, Variant};
use crate::view::View;
use std::sync::Arc;

/// A product, or a convolution, which is one.
pub trait Product: Describe + Twin + 'static {
    /// The shader that computes it in one way, where output and operands lie as `views` say.
    fn shader_in(&self, variant: Variant, views: &[View]) -> Shader;
}

impl Product for MatMul {
    fn shader_in(&self, variant: Variant, views: &[View]) -> Shader {
        variant.shader(self, views)
    }
}

impl Product for Conv {
    fn shader_in(&self, variant: Variant, views: &[View]) -> Shader {
        Conv::shader_in(self, variant, views)
    }
}

/// A product computed in one way, whatever the adapter would choose.
#[derive(Debug)]
pub struct InVariant<P>(pub P, pub Variant);

/// The kernel in that variant, or as the adapter would have it.
pub(super) fn in_variant(product: impl Product, variant: Option<Variant>) -> Arc<dyn Kernel> {
    match variant {
        Some(variant) => Arc::new(InVariant(product, variant)),
        None => Arc::new(product),
    }
}

impl<P: Product> Describe for InVariant<P> {
    fn name(&self) -> &'static str {
        self.0.name()
    }
    fn elements(&self) -> usize {
        self.0.elements()
    }
    fn cost(&self) -> Cost {
        self.0.cost()
    }
    fn inputs(&self) -> usize {
        self.0.inputs()
    }
    fn shape(&self) -> String {
        self.0.shape()
    }
    fn shader(&self, _: &Traits, views: &[View]) -> Shader {
        self.0.shader_in(self.1, views)
    }
}

impl<P: Product> Twin for InVariant<P> {
    fn compute<F: Float>(&self, out: &mut [F], inputs: &[Input<'_, F>]) {
        self.0.compute(out, inputs);
    }
}
