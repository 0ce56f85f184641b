//! Which entries of a row are among its largest.

use crate::float::Float;
use crate::gpu::Traits;
use crate::kernel::{Cost, Describe, Input, Shader, Twin};
use crate::view::View;

/// `out[r, c]` = 1 where `x[r, c]` is one of the `count` largest entries of row r, else 0; of equal
/// entries the first come first, and NaN never does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Largest {
    /// Rows.
    pub rows: usize,
    /// Entries of a row.
    pub width: usize,
    /// Entries that are chosen.
    pub count: usize,
}

impl Describe for Largest {
    fn name(&self) -> &'static str {
        "largest"
    }
    fn elements(&self) -> usize {
        self.rows * self.width
    }
    fn inputs(&self) -> usize {
        1
    }
    fn cost(&self) -> Cost {
        let elements = self.elements() as f64;
        Cost { flops: elements * self.width as f64, bytes: 8.0 * elements }
    }
    fn shader(&self, _: &Traits, _: &[View]) -> Shader {
        let size = vec![self.rows as u32, self.width as u32, self.count as u32];
        let shader = Shader::per_element(include_str!("../../shaders/largest.wgsl"), size, self.elements());
        Shader { iterations: self.width, ..shader }
    }
}

impl Twin for Largest {
    fn compute<F: Float>(&self, out: &mut [F], inputs: &[Input<'_, F>]) {
        let rows = inputs[0].float().chunks_exact(self.width);
        for (out, row) in out.chunks_exact_mut(self.width).zip(rows) {
            let mut order: Vec<usize> = (0..self.width).filter(|&i| row[i].partial_cmp(&row[i]).is_some()).collect();
            // A stable sort leaves equal entries in order.
            order.sort_by(|&a, &b| row[b].partial_cmp(&row[a]).expect("no entry is NaN"));
            out.fill(F::ZERO);
            order.iter().take(self.count).for_each(|&i| out[i] = F::ONE);
        }
    }
}
