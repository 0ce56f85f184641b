//! Rows added into a table of zeros, by number: the transpose of `gather_rows`.

use crate::float::Float;
use crate::gpu::Traits;
use crate::kernel::{Cost, Describe, Input, Shader, Twin, lanes, levels, spread_groups};
use crate::summation::BLOCK;
use crate::view::View;

/// `out[t, :] = Σ_{b: index[b] = t} x[b, :]`. Inputs: x `[rows, width]`, index `[rows]`. Rows are added
/// in an order that depends on the shape alone, so the sum is the same every time: no atomics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ScatterAddRows {
    /// Rows of x.
    pub rows: usize,
    /// Rows of the result.
    pub table: usize,
    /// Columns.
    pub width: usize,
}

impl Describe for ScatterAddRows {
    fn name(&self) -> &'static str {
        "scatter_add_rows"
    }
    fn elements(&self) -> usize {
        self.table * self.width
    }
    fn inputs(&self) -> usize {
        2
    }
    fn cost(&self) -> Cost {
        let read = (self.rows * self.width) as f64;
        Cost { flops: read, bytes: 4.0 * (read + (self.rows + self.elements()) as f64) }
    }
    fn shader(&self, _: &Traits, _: &[View]) -> Shader {
        let size = vec![self.rows as u32, self.table as u32, self.width as u32];
        let source = include_str!("../../shaders/scatter_add_rows.wgsl").into();
        let lanes = lanes(self.rows, 64);
        Shader {
            constants: vec![("LANES", lanes as f64)],
            iterations: self.rows.div_ceil(lanes) + levels(lanes),
            ..Shader::new(source, size, spread_groups((self.elements() * lanes).div_ceil(256)))
        }
    }
}

impl Twin for ScatterAddRows {
    fn compute<F: Float>(&self, out: &mut [F], inputs: &[Input<'_, F>]) {
        let (x, index) = (inputs[0].float(), inputs[1].index());
        let out = &mut out[..self.table * self.width];
        let rows = || x.chunks_exact(self.width).zip(index).take(self.rows);
        if self.rows > BLOCK {
            let mut totals = vec![0.0; out.len()];
            for (row, &i) in rows() {
                let target = &mut totals[i as usize * self.width..][..self.width];
                target.iter_mut().zip(row).for_each(|(t, &v)| *t += v.wide());
            }
            return out.iter_mut().zip(totals).for_each(|(out, total)| *out = F::of(total));
        }
        out.fill(F::ZERO);
        for (row, &i) in rows() {
            let target = &mut out[i as usize * self.width..][..self.width];
            target.iter_mut().zip(row).for_each(|(t, &v)| *t += v);
        }
    }
}
