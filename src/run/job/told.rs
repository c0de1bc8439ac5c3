//! What a user should know of the data before training.

use crate::data::look::summary::{Labelled, label_summary};
use crate::data::{Column, Input, Parts};

/// Sentences about the columns of the data, what was noticed in them, and how many rows have a
/// label for each task.
pub(super) fn told_of(parts: &Parts) -> Vec<String> {
    let mut lines = match &parts.schema.input {
        Input::Columns { columns } => told_of_columns(columns, parts.schema.input.width()).into(),
        Input::Image { .. } => Vec::new(),
    };
    lines.extend(parts.notices.iter().cloned());
    for labelled in
        label_summary(parts).chunk_by(|a, b| (&a.task, &a.column) == (&b.task, &b.column))
    {
        let of_part = |l: &Labelled| format!("{} {} of {}", l.part.name(), l.labelled, l.rows);
        let parts: Vec<String> = labelled.iter().map(of_part).collect();
        let column = if labelled[0].column == labelled[0].task {
            String::new()
        } else {
            format!(" (column {})", labelled[0].column)
        };
        lines.push(format!("labelled for {}{column}: {}", labelled[0].task, parts.join(", ")));
    }
    lines
}

/// How many columns there are of each type, and how many inputs they make; the names of each type.
fn told_of_columns(columns: &[Column], inputs: usize) -> [String; 2] {
    let mut types: Vec<(&str, Vec<&str>)> = Vec::new();
    for column in columns {
        let word = column.encoding.word();
        match types.iter_mut().find(|(known, _)| *known == word) {
            Some((_, names)) => names.push(&column.name),
            None => types.push((word, vec![&column.name])),
        }
    }
    let named: Vec<String> =
        types.iter().map(|(word, names)| format!("{word}: {}", some(names))).collect();
    let types: Vec<String> =
        types.iter().map(|(word, names)| format!("{} {word}", names.len())).collect();
    let learned = || columns.iter().filter(|column| column.vectors() > 0);
    let vectors: usize = learned().map(Column::vectors).sum();
    let from_vectors: usize = learned().map(Column::width).sum();
    let note = match vectors {
        0 => String::new(),
        _ => format!(", {from_vectors} of them from {vectors} learned vectors"),
    };
    let types = types.join(", ");
    let counts = format!("{} columns ({types}) make {inputs} inputs{note}", columns.len());
    [counts, format!("taken for {}", named.join("; "))]
}

/// Names on one line, at most the first few.
fn some(names: &[&str]) -> String {
    const FEW: usize = 12;
    let rest = if names.len() > FEW {
        format!(" and {} more (tandem inspect MODEL has all)", names.len() - FEW)
    } else {
        String::new()
    };
    names.iter().take(FEW).copied().collect::<Vec<_>>().join(", ") + &rest
}
