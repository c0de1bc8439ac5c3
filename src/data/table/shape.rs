//! Names and kinds of columns. Several files are one table if these agree.

use crate::data::table::wholes::Width;
use crate::fault::{Fault, quoted};

/// The kind of the cells of a column, as its file states it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CellKind {
    /// Text.
    Text,
    /// Numbers.
    Numbers,
    /// Whole numbers.
    Wholes(Width),
}

impl CellKind {
    fn word(self) -> &'static str {
        match self {
            CellKind::Text => "text",
            CellKind::Numbers | CellKind::Wholes(_) => "numbers",
        }
    }

    /// The kind that holds the cells of both; `self` if there is no such kind.
    pub(crate) fn wider(self, other: CellKind) -> CellKind {
        match (self, other) {
            (CellKind::Wholes(a), CellKind::Wholes(b)) => CellKind::Wholes(a.max(b)),
            (CellKind::Wholes(_), CellKind::Numbers) => CellKind::Numbers,
            (CellKind::Wholes(Width::Nothing), CellKind::Text) => CellKind::Text,
            (kind, _) => kind,
        }
    }
}

/// Names and kinds of the columns of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableShape {
    /// The file, for messages.
    pub place: String,
    /// Column names.
    pub names: Vec<String>,
    /// The kind of each column.
    pub kinds: Vec<CellKind>,
}

impl TableShape {
    /// Checks that two files are of one table: their columns have the same names in the same order,
    /// and each column holds text in both files, or numbers in both.
    ///
    /// # Errors
    /// 65 with the first difference.
    pub(crate) fn check_same(&self, other: &TableShape) -> anyhow::Result<()> {
        let both = self.names.len().min(other.names.len());
        let is_other = |i: &usize| {
            self.kinds[*i].wider(other.kinds[*i]) != other.kinds[*i].wider(self.kinds[*i])
        };
        let found = if let Some(i) = (0..both).find(|&i| self.names[i] != other.names[i]) {
            format!(
                "column {} is {}, in {} it is {}",
                i + 1,
                quoted(&other.names[i]),
                self.place,
                quoted(&self.names[i])
            )
        } else if self.names.len() != other.names.len() {
            format!("{} columns, {} has {}", other.names.len(), self.place, self.names.len())
        } else if let Some(i) = (0..self.kinds.len()).find(is_other) {
            let (name, kind, expected) =
                (quoted(&self.names[i]), other.kinds[i].word(), self.kinds[i].word());
            format!("column {name} holds {kind}, in {} it holds {expected}", self.place)
        } else {
            return Ok(());
        };
        let hint = "files of one table need the same columns in the same order";
        Err(Fault::data(&other.place, found).hint(hint).into())
    }

    /// Gives each column the wider of its kinds in both files.
    pub(crate) fn widen(&mut self, other: &TableShape) {
        self.kinds
            .iter_mut()
            .zip(&other.kinds)
            .for_each(|(kind, &other)| *kind = kind.wider(other));
    }
}
