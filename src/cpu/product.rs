//! Products by the crate `gemm`, which takes the widest instructions that the processor has.

use gemm::{Parallelism, gemm};

use crate::reference::product::Matrix;

/// Adds a · b to `sums`, as [`Real::product`](crate::reference::real::Real::product) says.
///
/// # Panics
/// If an element of a or b would lie outside its slice.
pub(super) fn product(
    a: Matrix<f32>,
    b: Matrix<f32>,
    inner: usize,
    sums: &mut [f32],
    columns: usize,
) {
    let rows = sums.len() / columns.max(1);
    if rows == 0 || inner == 0 {
        return;
    }
    let holds = |m: &Matrix<f32>, rows: usize, columns: usize| {
        (rows - 1) * m.down + (columns - 1) * m.across < m.elements.len()
    };
    assert!(holds(&a, rows, inner) && holds(&b, inner, columns), "a product beyond its operands");
    // SAFETY: all elements of a and b lie in their slices, as was just asserted; those of `sums`
    // are its `rows · columns` first ones, and nothing else refers to them.
    #[allow(unsafe_code)]
    unsafe {
        gemm(
            rows,
            columns,
            inner,
            sums.as_mut_ptr(),
            1,
            columns as isize,
            true,
            a.elements.as_ptr(),
            a.across as isize,
            a.down as isize,
            b.elements.as_ptr(),
            b.across as isize,
            b.down as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}
