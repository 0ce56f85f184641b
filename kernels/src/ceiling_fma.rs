//! Nothing but multiply-adds: what a device computes at most.

use crate::cpu::vectors;
use crate::gpu::Traits;
use crate::kernel::{Cost, Describe, Input, Kernel, Shader};
use crate::view::View;
use pulp::{Simd, WithSimd};

/// `out[i] = Σ_j y_j` after `rounds` times `y_j = y_j · a + b`, from `y_j = x[i] + j`, over twelve chains j.
/// Inputs: x `[elements]`, and a, b. Takes no epilogue.
///
/// With a = b = 1 the result counts the rounds, so a device that skips one is found out. The oracle is the closed form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CeilingFma {
    /// Elements of the output.
    pub elements: usize,
    /// Multiply-adds of each chain: a multiple of 8.
    pub rounds: usize,
}

/// Chains of an element that do not wait for one another: a processor that begins two multiply-adds a cycle and
/// takes four cycles for each needs eight.
const CHAINS: usize = 12;

impl Describe for CeilingFma {
    fn name(&self) -> &'static str {
        "ceiling_fma"
    }
    fn elements(&self) -> usize {
        self.elements
    }
    fn inputs(&self) -> usize {
        2
    }
    fn cost(&self) -> Cost {
        let elements = self.elements as f64;
        Cost { flops: 2.0 * (CHAINS * self.rounds) as f64 * elements, bytes: 8.0 * elements }
    }
    fn shader(&self, _: &Traits, _: &[View]) -> Shader {
        assert!(self.rounds.is_multiple_of(8), "ceiling_fma: {} rounds, the shader does eight at a time", self.rounds);
        let size = vec![self.elements as u32, self.rounds as u32];
        Shader::per_element(include_str!("../../shaders/ceiling_fma.wgsl"), size, self.elements)
    }
}

impl Kernel for CeilingFma {
    fn describe(&self) -> &dyn Describe {
        self
    }

    fn twin_f32(&self, out: &mut [f32], inputs: &[Input<'_, f32>]) {
        let (x, factors) = (inputs[0].float(), inputs[1].float());
        vectors::fastest(Chains { out, x, a: factors[0], b: factors[1], rounds: self.rounds });
    }

    fn twin_f64(&self, out: &mut [f64], inputs: &[Input<'_, f64>]) {
        let (x, factors) = (inputs[0].float(), inputs[1].float());
        let (a, b, rounds) = (factors[0], factors[1], self.rounds as f64);
        let power = a.powf(rounds);
        let grown = if a == 1.0 { rounds * b } else { b * (1.0 - power) / (1.0 - a) };
        for (out, x) in out.iter_mut().zip(x) {
            *out = (0..CHAINS).map(|chain| power * (x + chain as f64) + grown).sum();
        }
    }
}

/// Each chain is one vector register, whatever its width.
pub(crate) struct Chains<'a> {
    pub out: &'a mut [f32],
    pub x: &'a [f32],
    pub a: f32,
    pub b: f32,
    pub rounds: usize,
}

impl WithSimd for Chains<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (a, b) = (simd.splat_f32s(self.a), simd.splat_f32s(self.b));
        for (out, x) in self.out.chunks_mut(S::F32_LANES).zip(self.x.chunks(S::F32_LANES)) {
            let x = simd.partial_load_f32s(x);
            let mut chains: [S::f32s; CHAINS] =
                std::array::from_fn(|chain| simd.add_f32s(x, simd.splat_f32s(chain as f32)));
            for _ in 0..self.rounds {
                for y in &mut chains {
                    *y = simd.mul_add_e_f32s(*y, a, b);
                }
            }
            let sum = chains.into_iter().reduce(|sum, y| simd.add_f32s(sum, y)).expect("there are chains");
            simd.partial_store_f32s(out, sum);
        }
    }
}
