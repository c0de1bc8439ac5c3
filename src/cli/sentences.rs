//! `init` and `inspect` of files of sentences.

use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::{Value, json};

use super::console::Console;
use super::drafted::{path_from, write_draft};
use crate::config::{Sentences, Source, read};
use crate::data::load::door::load;
use crate::data::look::sentences::{SentenceSurvey, TokenColumn, with_names};
use crate::data::read::read_source;
use crate::data::table::options::Options;
use crate::fault::quoted;
use crate::run::train::Plan;
use crate::schedule::show::aligned;

/// Reads a file of sentences, whose columns get names if they have none.
fn survey(path: &str, sentences: &Sentences) -> Result<SentenceSurvey> {
    let source = Source::Table(vec![PathBuf::from(path)]);
    let plain = Options { sentences: Some(sentences.clone()), ..Options::default() };
    let raw = read_source(&source, &plain)?;
    let options = with_names(&plain, sentences, &raw);
    let Some(named) = options.sentences.as_ref().filter(|named| *named != sentences) else {
        return Ok(SentenceSurvey::new(&raw, sentences));
    };
    Ok(SentenceSurvey::new(&read_source(&source, &options)?, named))
}

/// Writes a configuration for a file of sentences.
pub(super) fn init(
    data: &str,
    (sentences, targets): (&Sentences, &[String]),
    out: Option<&Path>,
    console: &Console,
) -> Result<()> {
    let survey = survey(data, sentences)?;
    let learned = survey.learned(targets)?;
    let text = survey.draft(&path_from(data, out)?, &learned);
    // The configuration has to train, so it is read and planned here as `train` would.
    let base = out.and_then(Path::parent).unwrap_or(Path::new("."));
    let config = read::from_text(&text, "the drafted configuration", base, &[])?;
    let parts = load(&config.data, &config.tasks)?;
    Plan::new(config, parts)?;
    let document = json!({
        "out": out,
        "sentences": survey.count,
        "tokens": survey.tokens,
        "tasks": learned.iter().map(|column| column_json(column)).collect::<Vec<_>>(),
        "config": text,
    });
    if let Some(out) = out {
        write_draft(out, &text, console)?;
    }
    match (console.json, out) {
        (true, _) => console.result_json(&document),
        (false, None) => console.result(&text),
        (false, Some(_)) => Ok(()),
    }
}

/// Shows a file of sentences.
pub(super) fn inspect(path: &str, sentences: &Sentences, console: &Console) -> Result<()> {
    let survey = survey(path, sentences)?;
    if console.json {
        return console.result_json(&json!({
            "kind": "sentences",
            "place": survey.place,
            "sentences": survey.count,
            "tokens": survey.tokens,
            "columns": survey.columns.iter().map(column_json).collect::<Vec<_>>(),
        }));
    }
    let head = ["column", "labelled", "values", "commonest", "taken for"].map(String::from);
    let line = |column: &TokenColumn| {
        let common = column.commonest.iter();
        let common: Vec<String> = common.map(|(text, n)| format!("{} {n}", quoted(text))).collect();
        let (labelled, values) = (column.labelled.to_string(), column.values.to_string());
        let why = column.taken.why().to_owned();
        [column.name.clone(), labelled, values, common.join(", "), why]
            .map(|text| text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect())
    };
    let lines = std::iter::once(head).chain(survey.columns.iter().map(line)).collect();
    let table = aligned(lines, [false, true, true, false, false]);
    let (place, count, tokens) = (&survey.place, survey.count, survey.tokens);
    console.result(&format!("{place}: {count} sentences, {tokens} tokens\n\n{table}"))
}

fn column_json(column: &TokenColumn) -> Value {
    let count = |(text, tokens): &(String, usize)| json!({"value": text, "tokens": tokens});
    json!({
        "name": column.name,
        "taken_for": column.taken.why(),
        "labelled": column.labelled,
        "values": column.values,
        "commonest": column.commonest.iter().map(count).collect::<Vec<_>>(),
    })
}
