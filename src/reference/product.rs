//! The product of two matrices, as twins ask for it.

use super::real::Real;
use super::widest::widest;

/// A matrix whose element (i, j) lies at `i · down + j · across`.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a, T> {
    /// The elements, from the first one on.
    pub elements: &'a [T],
    /// Elements from row to row.
    pub down: usize,
    /// Elements from column to column.
    pub across: usize,
}

impl<'a, T> Matrix<'a, T> {
    /// A matrix that lies row by row, from element `first` on, with rows of `columns`.
    pub(crate) fn by_rows(elements: &'a [T], first: usize, columns: usize) -> Matrix<'a, T> {
        Matrix { elements: &elements[first..], down: columns, across: 1 }
    }

    /// The same elements as rows that are columns.
    pub(crate) fn transposed(self) -> Matrix<'a, T> {
        Matrix { down: self.across, across: self.down, ..self }
    }

    /// The matrix from a row and a column on.
    pub(crate) fn from(self, row: usize, column: usize) -> Matrix<'a, T> {
        Matrix { elements: &self.elements[row * self.down + column * self.across..], ..self }
    }
}

/// Adds a · b to `sums`, which lies row by row with rows of `columns`; `inner` is the number of
/// columns of a. Products are added in ascending order.
pub(crate) fn plain<T: Real>(
    a: Matrix<T>,
    b: Matrix<T>,
    inner: usize,
    sums: &mut [T],
    columns: usize,
) {
    for (i, row) in sums.chunks_mut(columns).enumerate() {
        for (j, sum) in row.iter_mut().enumerate() {
            for k in 0..inner {
                *sum +=
                    a.elements[i * a.down + k * a.across] * b.elements[k * b.down + j * b.across];
            }
        }
    }
}

/// Sums side by side of [`dot`].
const LANES: usize = 16;

widest! {
    /// The sum of the products of two runs of equal length, in [`LANES`] sums side by side.
    pub fn dot<T: Real>(a: &[T], b: &[T]) -> T::Wide {
        let mut sums = [T::Wide::of(0.0); LANES];
        let (whole, rest) = a.as_chunks::<LANES>();
        for (a, b) in whole.iter().zip(b.as_chunks::<LANES>().0) {
            for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
                *sum += a.wide() * b.wide();
            }
        }
        let rest = rest.iter().zip(&b[LANES * whole.len()..]).map(|(a, b)| a.wide() * b.wide());
        rest.chain(sums).fold(T::Wide::of(0.0), |sum, term| sum + term)
    }
}
