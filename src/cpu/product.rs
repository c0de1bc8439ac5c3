//! Products by the crate `gemm`, which takes the widest instructions that the processor has.

use gemm::{Parallelism, gemm};

use crate::reference::matrix::Matrix;
use crate::reference::sums::dot;

/// The most results of a product whose elements are sums of their own, where both operands lie
/// along the sums.
const SMALL: usize = 256;

/// The most products that are added without an intermediate sum: with longer chains errors grow
/// beyond the bounds of the kernels.
const DEPTH: usize = 64;

/// The sum of products in f64, where operands do not lie along it.
fn apart<'a>(a: impl Iterator<Item = &'a f32>, b: Matrix<f32>, inner: usize) -> f64 {
    let products = a.zip(b.elements.iter().step_by(b.down)).take(inner);
    products.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

/// Adds a · b to `sums`, as [`Real::product`](crate::reference::real::Real::product) says.
///
/// # Panics
/// If an element of a or b would lie outside its slice.
#[allow(unsafe_code)]
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
    // For few results the crate adds in another order, whose errors are larger.
    let along = a.across == 1 && b.down == 1;
    if columns == 1 || along && (sums.len() <= SMALL || rows == 1) {
        for (i, row) in sums.chunks_mut(columns).enumerate() {
            for (j, sum) in row.iter_mut().enumerate() {
                let (a, b) = (a.from(i, 0), b.from(0, j));
                let terms = match along {
                    true => dot(&a.elements[..inner], &b.elements[..inner]),
                    false => apart(a.elements.iter().step_by(a.across), b, inner),
                };
                *sum = (f64::from(*sum) + terms) as f32;
            }
        }
        return;
    }
    let depth = inner.div_ceil(inner.div_ceil(DEPTH));
    for first in (0..inner).step_by(depth) {
        let (a, b) = (a.from(0, first), b.from(first, 0));
        // SAFETY: all elements of a and b lie in their slices, as was just asserted; those of
        // `sums` are its `rows · columns` first ones, and nothing else refers to them.
        unsafe {
            gemm(
                rows,
                columns,
                depth.min(inner - first),
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
}
