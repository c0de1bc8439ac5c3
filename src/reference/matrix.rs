//! Matrices, as twins ask for their products.

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

    /// The transposed matrix, over the same elements.
    pub(crate) fn transposed(self) -> Matrix<'a, T> {
        Matrix { down: self.across, across: self.down, ..self }
    }

    /// The matrix from a row and a column on.
    pub(crate) fn from(self, row: usize, column: usize) -> Matrix<'a, T> {
        Matrix { elements: &self.elements[row * self.down + column * self.across..], ..self }
    }
}
