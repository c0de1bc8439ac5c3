//! The tables of several sources as one: it has the columns of all, and a cell is blank where a
//! source lacks the column, or does not label its task.

use std::collections::HashMap;

use crate::config::TaskSource;
use crate::data::part::Part;
use crate::data::read::pieces::{Piece, pieces};
use crate::data::schema::columns::some;
use crate::data::table::raw::Raw;
use crate::data::table::shape::{CellKind, TableShape};
use crate::data::table::wholes::Width;
use crate::fault::{Fault, quoted};

/// How the columns of each piece become those of the union.
#[derive(Debug)]
pub struct Union {
    names: Vec<String>,
    kinds: Vec<CellKind>,
    /// Per piece, the columns that its files have.
    shapes: Vec<TableShape>,
    /// Per piece, the position of each column of the union in its files; `None` = it is blank.
    picks: Vec<Vec<Option<usize>>>,
    /// Per piece, the columns whose labels are not read although they are there.
    unread: Vec<Vec<String>>,
}

impl Union {
    /// The union of sources whose pieces have these columns.
    ///
    /// # Errors
    /// 65 if a column holds text in one source and numbers in another.
    pub fn new(sources: &[TaskSource], shapes: Vec<TableShape>) -> anyhow::Result<Union> {
        let pieces = pieces(sources);
        let (mut names, mut kinds): (Vec<String>, Vec<CellKind>) = Default::default();
        let mut known: HashMap<String, usize> = HashMap::new();
        for shape in &shapes {
            for (name, &kind) in shape.names.iter().zip(&shape.kinds) {
                if let Some(&at) = known.get(name) {
                    if kinds[at].wider(kind) != kind.wider(kinds[at]) {
                        return Err(two_kinds(name, &shapes).into());
                    }
                    kinds[at] = kinds[at].wider(kind);
                } else {
                    known.insert(name.clone(), names.len());
                    names.push(name.clone());
                    kinds.push(kind);
                }
            }
        }
        let place = |piece: &Piece, shape: &TableShape| -> (Vec<Option<usize>>, Vec<String>) {
            let at: HashMap<&String, usize> = shape.names.iter().zip(0..).collect();
            let hidden = &piece.source.hidden;
            let pick = |name: &String| at.get(name).copied().filter(|_| !hidden.contains(name));
            let unread = hidden.iter().filter(|name| at.contains_key(name)).cloned().collect();
            (names.iter().map(pick).collect(), unread)
        };
        let (picks, unread) = pieces.iter().zip(&shapes).map(|(p, s)| place(p, s)).unzip();
        Ok(Union { names, kinds, shapes, picks, unread })
    }

    /// Gives the rows of a piece the columns of the union.
    ///
    /// # Errors
    /// 65 if its columns are not those that the heads of the files had.
    pub fn fit(&self, piece: usize, raw: Raw) -> anyhow::Result<Raw> {
        self.shapes[piece].check_same(&raw.shape())?;
        Ok(raw.arranged(&self.names, &self.kinds, &self.picks[piece]).of_piece(piece))
    }

    /// Columns of the union that a source lacks, each with that source. Label columns that a source
    /// does not label are among them.
    pub fn lacking<'u>(&'u self, sources: &'u [TaskSource]) -> Vec<(&'u str, &'u TaskSource)> {
        let mut lacking: Vec<(&str, &TaskSource)> = Vec::new();
        for (piece, picks) in pieces(sources).into_iter().zip(&self.picks) {
            let blank = self.names.iter().zip(picks).filter(|(_, pick)| pick.is_none());
            for (name, _) in blank {
                if !lacking.iter().any(|(known, _)| known == name) {
                    lacking.push((name, piece.source));
                }
            }
        }
        lacking
    }

    /// Checks that each source has the label columns of its tasks; `targets` are the label columns
    /// of a task, by its name.
    ///
    /// # Errors
    /// 78 with the first column that is missing.
    pub fn check_labels<'t>(
        &self,
        sources: &[TaskSource],
        targets: impl Fn(&str) -> &'t [String],
    ) -> anyhow::Result<()> {
        for (piece, shape) in pieces(sources).iter().zip(&self.shapes) {
            for task in &piece.source.tasks {
                let is_gone = |name: &&String| !shape.names.contains(name);
                let Some(name) = targets(task).iter().find(is_gone) else { continue };
                let found = format!(
                    "names task {}, whose column {} is not in {}",
                    quoted(task),
                    quoted(name),
                    shape.place
                );
                return Err(Fault::config(&format!("source.{}.tasks", piece.number), found)
                    .hint(format!("its columns are {}", some(&shape.names)))
                    .into());
            }
        }
        Ok(())
    }

    /// One notice per source that lacks columns of others, and one per source with labels that are
    /// not read.
    pub fn notices(&self, sources: &[TaskSource]) -> Vec<String> {
        let mut notices: Vec<String> = Vec::new();
        for (piece, picks) in pieces(sources).iter().zip(&self.picks) {
            let hidden = &piece.source.hidden;
            let is_gone =
                |(name, pick): &(&String, &Option<usize>)| pick.is_none() && !hidden.contains(name);
            let gone: Vec<String> = self
                .names
                .iter()
                .zip(picks)
                .filter(is_gone)
                .map(|(name, _)| name.clone())
                .collect();
            let also = |name: &String| {
                let small = name.to_lowercase();
                let alike = self
                    .names
                    .iter()
                    .find(|other| other.to_lowercase() == small && !gone.contains(other));
                alike.map(|other| format!("{} for {}", quoted(other), quoted(name)))
            };
            let alike: Vec<String> = gone.iter().filter_map(also).collect();
            let mend = match alike.is_empty() {
                true => String::new(),
                false => format!("; it has {}: give one value one name", alike.join(", ")),
            };
            let of = match piece.part {
                Part::Train => String::new(),
                part => format!(" of {}", part.name()),
            };
            let notice = format!(
                "source {}: its files{of} lack the columns {}, whose cells are blank there{mend}",
                quoted(&piece.source.name),
                some(&gone)
            );
            if !gone.is_empty() && !notices.contains(&notice) {
                notices.push(notice);
            }
        }
        for (piece, unread) in pieces(sources).iter().zip(&self.unread) {
            let notice = format!(
                "source {}: the labels in {} are not read, since its tasks do not name them",
                quoted(&piece.source.name),
                some(unread)
            );
            if !unread.is_empty() && !notices.contains(&notice) {
                notices.push(notice);
            }
        }
        notices
    }
}

/// The error for a column that holds text in one source and numbers in another.
fn two_kinds(name: &str, shapes: &[TableShape]) -> Fault {
    let of = |is_wanted: fn(CellKind) -> bool| {
        let has = |shape: &&TableShape| {
            shape.names.iter().zip(&shape.kinds).any(|(n, kind)| n == name && is_wanted(*kind))
        };
        shapes.iter().find(has).map_or("", |shape| &shape.place)
    };
    let texts = of(|kind| kind == CellKind::Text);
    let numbers = of(|kind| !matches!(kind, CellKind::Text | CellKind::Wholes(Width::Nothing)));
    let found = format!("column {} holds numbers, in {texts} it holds text", quoted(name));
    Fault::data(numbers, found).hint("give all sources in one format, or rename one of the columns")
}
