//! The safe face of the `gemm` crate, and the products that are better served without it.

use crate::bytes::Sparse;
use crate::float::Float;
use std::ops::Range;

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

/// `out[m, n] (row-major) = keep · out + a[m, k] · b[k, n]`, on this thread, in an order of summation
/// that depends on the shape alone.
pub fn gemm<F: Float>(size: [usize; 3], a: Matrix<'_, F>, b: Matrix<'_, F>, out: &mut [F], keep: bool) {
    let [m, n, k] = size;
    if m == 0 || n == 0 {
        return;
    }
    a.must_hold(m, k);
    b.must_hold(k, n);
    assert!(out.len() >= m * n, "gemm: {m}x{n} does not fit {} elements", out.len());
    call_gemm(size, a, b, out, keep);
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

/// Columns of the output that stay in registers while a row's pixels pass by.
const PANEL: usize = 64;

/// `out[rows, n] = images[rows] · w + bias`, reading only pixels that are not zero. `w` is `[width, n]`.
pub fn sparse_product<F: Float>(
    images: &Sparse,
    rows: Range<usize>,
    w: &[F],
    n: usize,
    bias: Option<&[F]>,
    out: &mut [F],
) {
    let level: Vec<F> = (0..256).map(|b| F::of(f64::from(b) / 255.0)).collect();
    let mut panel = vec![F::ZERO; w.len() / n * PANEL];
    let arch = pulp::Arch::new();
    // A fused multiply-add is a library call where the processor has none.
    let fused = !matches!(arch, pulp::Arch::Scalar);
    for start in (0..n).step_by(PANEL) {
        let columns = PANEL.min(n - start);
        for (p, w) in panel.chunks_exact_mut(PANEL).zip(w.chunks_exact(n)) {
            p[..columns].copy_from_slice(&w[start..start + columns]);
        }
        let mut initial = [F::ZERO; PANEL];
        if let Some(bias) = bias {
            initial[..columns].copy_from_slice(&bias[start..start + columns]);
        }
        for (r, image) in rows.clone().enumerate() {
            let pixels = images.row(image);
            let sums = if fused {
                arch.dispatch(
                    #[inline(always)]
                    || row_sums::<F, true>(pixels, &level, &panel, initial),
                )
            } else {
                row_sums::<F, false>(pixels, &level, &panel, initial)
            };
            out[r * n + start..r * n + start + columns].copy_from_slice(&sums[..columns]);
        }
    }
}

#[inline(always)]
fn row_sums<F: Float, const FUSED: bool>(
    pixels: &[(u16, u8)],
    level: &[F],
    panel: &[F],
    mut sums: [F; PANEL],
) -> [F; PANEL] {
    let (panel, _) = panel.as_chunks::<PANEL>();
    for &(column, byte) in pixels {
        let x = level[byte as usize];
        for (sum, &w) in sums.iter_mut().zip(&panel[column as usize]) {
            *sum = if FUSED { x.fused(w, *sum) } else { x * w + *sum };
        }
    }
    sums
}
