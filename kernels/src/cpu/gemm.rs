//! The safe face of the `gemm` crate.

use crate::float::Float;
use crate::matmul::TERMS;

/// A matrix as a slice with a row and a column stride.
#[derive(Clone, Copy)]
pub struct Matrix<'a, F> {
    /// The elements; element (r, c) is at `r · row + c · column`.
    pub data: &'a [F],
    /// Elements between rows.
    pub row: usize,
    /// Elements between columns.
    pub column: usize,
}

impl<F> Matrix<'_, F> {
    fn must_hold(&self, rows: usize, columns: usize) {
        let last = (rows.max(1) - 1) * self.row + (columns.max(1) - 1) * self.column;
        assert!(last < self.data.len(), "gemm: {rows}x{columns} does not fit {} elements", self.data.len());
    }
}

/// `out[m, n] (row-major) = keep · out + a[m, k] · b[k, n]`, on this thread, in an order of
/// summation that depends on the shape alone. What [`TERMS`] of k add up to is set aside in double
/// precision.
pub fn gemm<F: Float>(size: [usize; 3], a: Matrix<'_, F>, b: Matrix<'_, F>, out: &mut [F], keep: bool) {
    let [m, n, k] = size;
    if m == 0 || n == 0 {
        return;
    }
    a.must_hold(m, k);
    b.must_hold(k, n);
    assert!(out.len() >= m * n, "gemm: {m}x{n} does not fit {} elements", out.len());
    let out = &mut out[..m * n];
    if k <= TERMS {
        return call_gemm(size, a, b, out, keep);
    }
    let mut totals: Vec<f64> = out.iter().map(|x| if keep { x.wide() } else { 0.0 }).collect();
    for start in (0..k).step_by(TERMS) {
        let size = [m, n, TERMS.min(k - start)];
        let a = Matrix { data: &a.data[start * a.column..], ..a };
        let b = Matrix { data: &b.data[start * b.row..], ..b };
        call_gemm(size, a, b, out, false);
        totals.iter_mut().zip(&*out).for_each(|(total, x)| *total += x.wide());
    }
    out.iter_mut().zip(totals).for_each(|(out, total)| *out = F::of(total));
}

// The gemm crate takes raw pointers. Sound: `gemm` above has asserted that each operand's last
// element lies in its slice, strides are not negative, and `out` is borrowed exclusively.
#[allow(unsafe_code)]
fn call_gemm<F: Float>([m, n, k]: [usize; 3], a: Matrix<'_, F>, b: Matrix<'_, F>, out: &mut [F], keep: bool) {
    unsafe {
        ::gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            n as isize,
            keep,
            a.data.as_ptr(),
            a.column as isize,
            a.row as isize,
            b.data.as_ptr(),
            b.column as isize,
            b.row as isize,
            F::ONE,
            F::ONE,
            false,
            false,
            false,
            ::gemm::Parallelism::None,
        );
    }
}
