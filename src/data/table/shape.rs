//! Names and kinds of columns: files are one table if theirs agree.

use crate::data::table::wholes::Width;
use crate::fault::{Fault, quoted};

/// What the cells of a column are, by the word of its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// Numbers.
    Numbers,
    /// Whole numbers.
    Wholes(Width),
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Kind::Text => "text",
            Kind::Numbers | Kind::Wholes(_) => "numbers",
        }
    }

    /// What holds the cells of both; itself, if there is no such kind.
    pub(crate) fn wider(self, other: Kind) -> Kind {
        match (self, other) {
            (Kind::Wholes(a), Kind::Wholes(b)) => Kind::Wholes(a.max(b)),
            (Kind::Wholes(_), Kind::Numbers) => Kind::Numbers,
            (Kind::Wholes(Width::Nothing), Kind::Text) => Kind::Text,
            (kind, _) => kind,
        }
    }
}

/// Names and kinds of the columns of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// The file, for messages.
    pub place: String,
    /// Column names.
    pub names: Vec<String>,
    /// One per name.
    pub kinds: Vec<Kind>,
}

impl Shape {
    /// That files are of one table: their columns have the same names in the same order, and all
    /// are text or all are numbers.
    ///
    /// # Errors
    /// 65 with the first difference.
    pub(crate) fn check_same(&self, other: &Shape) -> anyhow::Result<()> {
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

    /// Takes the wider of both kinds for each column.
    pub(crate) fn widen(&mut self, other: &Shape) {
        self.kinds
            .iter_mut()
            .zip(&other.kinds)
            .for_each(|(kind, &other)| *kind = kind.wider(other));
    }
}
