//! What a user should know of the data before training.

use std::sync::Arc;

use crate::data::look::summary::{Labelled, label_summary, unseen_phrase};
use crate::data::{Column, Dataset, Input, Part, Parts};

/// Sentences about the columns of the data, what was noticed in them, and how many rows have a
/// label for each task.
pub(super) fn told_of(parts: &Parts) -> Vec<String> {
    let mut lines = match &parts.schema.input {
        Input::Columns { columns } => told_of_columns(columns, parts.schema.input.width()).into(),
        Input::Image { .. } => Vec::new(),
    };
    lines.extend(told_of_sentences(parts));
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
        let of = if labelled[0].of_sentences { " sentences" } else { "" };
        lines.push(format!("labelled for {}{column}: {}{of}", labelled[0].task, parts.join(", ")));
        lines.extend(told_of_unseen(labelled));
    }
    lines
}

/// How many sentences and tokens each part has, if rows are tokens.
fn told_of_sentences(parts: &Parts) -> Option<String> {
    let sentences = parts.schema.reading.sentences.as_ref()?;
    let what = match sentences.predicate {
        Some(_) => "predicates in their sentences",
        None => "sentences",
    };
    let of_part = |(part, data): (Part, &Arc<Dataset>)| {
        let count = data.tokens.as_ref().map_or(0, |tokens| tokens.sentences().count());
        format!("{} {count} of {} tokens", part.name(), data.rows)
    };
    let all: Vec<String> = parts.there().map(of_part).collect();
    Some(format!("{what}: {}", all.join(", ")))
}

/// How many labels of a column no training row has, if there are some.
fn told_of_unseen(labelled: &[Labelled]) -> Option<String> {
    let some = labelled.iter().filter(|l| l.unseen > 0);
    let some: Vec<String> =
        some.map(|l| format!("{} {} of {}", l.part.name(), l.unseen, l.labelled)).collect();
    (!some.is_empty()).then(|| unseen_phrase(&labelled[0].task) + &some.join(", "))
}

/// How many columns there are of each type, and how many inputs they make; the names of each type.
fn told_of_columns(columns: &[Column], inputs: usize) -> [String; 2] {
    let mut types: Vec<(&str, Vec<&str>)> = Vec::new();
    // The place of a token in its sentence says where its neighbours are, and is no input.
    let columns: Vec<&Column> = columns.iter().filter(|column| !column.is_span()).collect();
    for column in &columns {
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
    let vectors: usize = learned().map(|column| column.vectors()).sum();
    let from_vectors: usize = learned().map(|column| column.width()).sum();
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
