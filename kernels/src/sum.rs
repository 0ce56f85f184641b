//! Sum over the middle axis.

use crate::float::Float;
use crate::gpu::Traits;
use crate::kernel::{Cost, Describe, Input, Shader, Twin, levels, spread_groups};
use crate::summation::{sum, sum_rows};
use crate::view::View;
use std::ops::Range;

/// `out[outer, inner] = Σ_mid x[outer, mid, inner]`.
///
/// With u = 2^-24, a sum is off by at most 129 · u · Σ|x| on the CPU, and by (144 + mid / 128) · u
/// · Σ|x| on a GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sum {
    /// Elements before the axis.
    pub outer: usize,
    /// Length of the axis that goes.
    pub mid: usize,
    /// Elements behind the axis.
    pub inner: usize,
}

/// From this length on threads share a sum.
const WIDE: usize = 128;
/// From this length on 256 threads do.
const LONG: usize = 2048;
/// Sums that lie side by side and are shared by one workgroup: what a memory transaction brings at once.
const COLUMNS: usize = 4;
/// So many sums side by side keep a GPU busy with a thread each.
const MANY: usize = 1 << 15;

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
    fn rows(&self) -> usize {
        if self.outer == 1 { self.inner } else { self.outer }
    }
    fn cost(&self) -> Cost {
        let read = (self.outer * self.mid * self.inner) as f64;
        Cost { flops: read, bytes: 4.0 * (read + self.elements() as f64) }
    }
    fn shader(&self, adapter: &Traits, _: &[View]) -> Shader {
        let size = vec![self.outer as u32, self.mid as u32, self.inner as u32];
        if !self.is_wide(adapter) {
            let shader = Shader::per_element(include_str!("../../shaders/sum.wgsl"), size, self.elements());
            return Shader { iterations: self.mid, ..shader };
        }
        let (columns, threads) = (if self.inner == 1 { 1 } else { COLUMNS }, if self.mid < LONG { 64 } else { 256 });
        let groups = spread_groups(self.outer * self.inner.div_ceil(columns));
        let constants = vec![("COLUMNS", columns as f64), ("THREADS", threads as f64)];
        let iterations = self.mid.div_ceil(4 * threads / columns) + levels(threads);
        Shader {
            constants,
            iterations,
            ..Shader::new(include_str!("../../shaders/sum_wide.wgsl").into(), size, groups)
        }
    }
}

impl Sum {
    /// Whether threads share sums: a tree's barriers are dear on software Vulkan, where they must be long.
    fn is_wide(&self, adapter: &Traits) -> bool {
        let long = if adapter.software { LONG } else { WIDE };
        (self.inner == 1 && self.mid >= WIDE) || (self.elements() < MANY && self.mid >= long)
    }

    /// Some columns of the sums of a block `[mid, inner]`.
    fn block<F: Float>(&self, columns: Range<usize>, block: &[F], sums: &mut [F]) {
        match self.inner {
            1 => sums[0] = sum(block),
            _ => sum_rows(block.chunks_exact(self.inner).map(|row| &row[columns.clone()]), sums),
        }
    }
}

impl Twin for Sum {
    fn compute<F: Float>(&self, out: &mut [F], inputs: &[Input<'_, F>]) {
        self.compute_rows(0..self.rows(), out, inputs);
    }

    fn compute_rows<F: Float>(&self, rows: Range<usize>, out: &mut [F], inputs: &[Input<'_, F>]) {
        let x = inputs[0].float();
        if self.outer == 1 {
            return self.block(rows, &x[..self.mid * self.inner], out);
        }
        let blocks = x[rows.start * self.mid * self.inner..].chunks_exact(self.mid * self.inner);
        for (sums, block) in out.chunks_exact_mut(self.inner).zip(blocks) {
            self.block(0..self.inner, block, sums);
        }
    }
}
