//! Whole numbers of a column as they stood in a file. Numbers that no float holds keep all digits.

use crate::data::table::texts::Texts;

/// Which whole numbers a column may hold, as its file states. Formats with types keep this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Width {
    /// No numbers: every cell is blank, so the column may be of any kind.
    Nothing,
    /// Numbers from −2^63 to 2^63 − 1.
    Signed,
    /// Numbers from 0 to 2^64 − 1.
    Unsigned,
    /// Numbers of up to 38 digits.
    Wide,
}

/// Whole numbers, or blanks.
#[derive(Clone, Debug, PartialEq)]
pub struct Wholes {
    /// Which numbers there may be.
    pub width: Width,
    cells: Digits,
}

/// The numbers, in eight bytes each as long as these suffice; the lowest number stands for a blank.
#[derive(Clone, Debug, PartialEq)]
enum Digits {
    Short(Vec<i64>),
    Long(Vec<i128>),
}

impl Wholes {
    /// A column without cells.
    pub fn new(width: Width) -> Wholes {
        Wholes { width, cells: Digits::Short(Vec::new()) }
    }

    /// A column of floats that are whole numbers; NaN stands for a blank.
    pub(crate) fn of(width: Width, numbers: &[f64]) -> Wholes {
        let mut wholes = Wholes::new(width);
        numbers.iter().for_each(|&x| wholes.push((!x.is_nan()).then_some(x as i128)));
        wholes
    }

    /// Number of cells.
    pub fn len(&self) -> usize {
        match &self.cells {
            Digits::Short(cells) => cells.len(),
            Digits::Long(cells) => cells.len(),
        }
    }

    /// Whether there are no cells.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of a row; `None` if it is blank or there is no such row.
    pub fn get(&self, row: usize) -> Option<i128> {
        match &self.cells {
            Digits::Short(cells) => cells.get(row).filter(|&&n| n != i64::MIN).map(|&n| n.into()),
            Digits::Long(cells) => cells.get(row).filter(|&&n| n != i128::MIN).copied(),
        }
    }

    /// Adds a number or a blank.
    pub fn push(&mut self, number: Option<i128>) {
        match (&mut self.cells, number.map(|n| i64::try_from(n).ok().filter(|&n| n != i64::MIN))) {
            (Digits::Short(cells), None) => cells.push(i64::MIN),
            (Digits::Short(cells), Some(Some(short))) => cells.push(short),
            (Digits::Short(_), Some(None)) => {
                self.cells = Digits::Long(
                    (0..self.len()).map(|row| self.get(row).unwrap_or(i128::MIN)).collect(),
                );
                self.push(number);
            }
            (Digits::Long(cells), _) => cells.push(number.unwrap_or(i128::MIN)),
        }
    }

    /// Adds all cells of another column.
    pub(crate) fn append(&mut self, below: &Wholes) {
        self.width = self.width.max(below.width);
        (0..below.len()).for_each(|row| self.push(below.get(row)));
    }

    /// The cells as texts; a blank is "".
    pub(crate) fn texts(&self) -> Texts {
        let mut texts = Texts::default();
        (0..self.len())
            .for_each(|row| texts.push(&self.get(row).map(|n| n.to_string()).unwrap_or_default()));
        texts
    }

    /// The cells of some rows.
    pub(crate) fn cut(&self, rows: &[u32]) -> Wholes {
        let mut cut = Wholes::new(self.width);
        rows.iter().for_each(|&row| cut.push(self.get(row as usize)));
        cut
    }

    /// The nearest float of each cell; a blank is NaN.
    pub(crate) fn floats(&self) -> Vec<f64> {
        (0..self.len()).map(|row| self.get(row).map_or(f64::NAN, |n| n as f64)).collect()
    }
}

/// The float that is equal to a whole number, if there is one.
pub(crate) fn exact(n: i128) -> Option<f64> {
    let x = n as f64;
    (x as i128 == n).then_some(x)
}
