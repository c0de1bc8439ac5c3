//! `evaluate` and `predict`.

use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::{Map, Value, json};

use super::console::Console;
use super::flags::{Common, Weights};
use super::signals::Signals;
use crate::data::encode::applied::{Count, Met};
use crate::data::load::door::{chunk_with, chunks_of, load_with};
use crate::data::read::chunks::Chunks;
use crate::data::read::glob::expand;
use crate::data::{Column, Dataset, Schema};
use crate::fault::{Exit, Fault, quoted};
use crate::model::file::Model;
use crate::model::network::Head;
use crate::objective::Objective;
use crate::run::apply::stored::apply;

use crate::run::apply::folds::{self, Predictor};
use crate::run::apply::judge;
use crate::run::apply::output::{Form, Output};
use crate::run::machine::Machine;
use crate::run::train::point::{shown, tasks_json};

use crate::run::apply::predict::{self, Format, Sheet};

/// Most classes of a task whose confusion matrix is printed.
const MOST_CLASSES: usize = 12;

pub(super) fn evaluate(
    model: &Model,
    data: &str,
    allow_unknown: bool,
    common: &Common,
    console: &Console,
) -> Result<()> {
    let (dataset, _) = load_with(&model.schema, data, true)?;
    let machine = Machine::open(&common.wish())?;
    console.machine(&machine);
    let mut applied = apply(model, &dataset, machine)?;
    let labelled = labelled(model, &dataset, data, console)?;
    let met = met(&dataset);
    check_met(&met, &model.schema, data, allow_unknown)?;
    met.notices(&model.schema).iter().for_each(|notice| console.note(notice));
    let measured = applied.evaluate(&model.network, &Objective::plain(&model.network))?;
    let points = judge::task_points(&model.network, &model.schema, &dataset, &measured);
    let confusions = judge::confusions(&model.network, &model.schema, &dataset, &measured);
    if console.json {
        let mut tasks = tasks_json(&model.network, &points, true);
        for ((head, labelled), confusion) in
            model.network.tasks.iter().zip(&labelled).zip(confusions)
        {
            match (labelled, tasks.as_object_mut()) {
                (false, Some(tasks)) => drop(tasks.shift_remove(&head.name)),
                _ => confusion.into_iter().for_each(|table| {
                    tasks[&head.name]["classes"] = json!(head.classes);
                    tasks[&head.name]["confusion"] = json!(table);
                }),
            }
        }
        let result = json!({"rows": dataset.rows, "loss": measured.loss, "tasks": tasks});
        let is_silent = met.notices(&model.schema).is_empty();
        return console.result_json(&if is_silent {
            result
        } else {
            with_met(result, &met, &model.schema)
        });
    }
    let width = model.network.tasks.iter().map(|t| t.name.len()).max().unwrap_or(4).max(8);
    let mut text = format!("{:width$} {:>8} {:>10}  metrics", "task", "rows", "loss");
    for ((head, task), _) in
        model.network.tasks.iter().zip(&points).zip(&labelled).filter(|(_, labelled)| **labelled)
    {
        let metrics: Vec<String> =
            task.metrics.iter().map(|(name, value)| format!("{name} {value:.4}")).collect();
        text += &format!(
            "\n{:width$} {:>8} {:>10}  {}",
            head.name,
            task.rows,
            shown(task.loss),
            metrics.join(", ")
        );
    }
    text += &format!("\n{:width$} {:>8} {:>10}", "sum", dataset.rows, shown(measured.loss));
    for ((head, _), table) in model
        .network
        .tasks
        .iter()
        .zip(&labelled)
        .zip(confusions)
        .filter(|((_, labelled), _)| **labelled)
    {
        if let Some(table) = table.filter(|table| console.verbose && table.len() <= MOST_CLASSES) {
            text += &format!(
                "\n\n{}, a line a label, a column a prediction\n{}",
                head.name,
                confusion(head, &table)
            );
        }
    }
    console.result(&text)
}

/// What the schema met in the cells of some rows.
fn met(dataset: &Dataset) -> Met {
    dataset.table.as_ref().map(|table| table.met.clone()).unwrap_or_default()
}

/// A column of which the model knows no cell is refused, unless it is allowed.
fn check_met(met: &Met, schema: &Schema, data: &str, allow_unknown: bool) -> Result<()> {
    if allow_unknown { Ok(()) } else { Ok(met.check(schema, data)?) }
}

/// A result with what was met: columns with something to tell, and those that were passed over.
fn with_met(mut result: Value, met: &Met, schema: &Schema) -> Value {
    let count = |(column, count): (&Column, &Count)| {
        let counts = json!({
            "unknown": count.unknown, "blank": count.blanks(), "out_of_range": count.out_of_range, "cells": met.rows
        });
        (column.name.clone(), counts)
    };
    result["columns"] = Value::Object(met.told(schema).map(count).collect::<Map<_, _>>());
    result["passed_over"] = json!(met.passed_over);
    if !met.absent.is_empty() {
        result["absent"] = json!(met.absent);
    }
    result
}

/// Which tasks have a label in the data; those that have none are named.
fn labelled(model: &Model, dataset: &Dataset, data: &str, console: &Console) -> Result<Vec<bool>> {
    let (mut column, mut found, mut notes) = (0, Vec::new(), Vec::new());
    for (head, target) in model.network.tasks.iter().zip(&model.schema.targets) {
        let own = column..column + head.cells();
        column = own.end;
        let is_labelled = own.clone().any(|column| dataset.labelled(column) > 0);
        found.push(
            own.into_iter().any(|column| {
                dataset.labels.get(column).is_some_and(|labels| dataset.weighs(labels))
            }),
        );
        if found.last() == Some(&false) && is_labelled {
            notes.push(format!(
                "task {} is left out: all its labels are in rows of weight zero",
                head.name
            ));
        } else if found.last() == Some(&false) {
            let is_there = |name: &&String| {
                dataset.table.as_ref().is_none_or(|table| table.header.contains(name))
            };
            let gone: Vec<String> = target
                .columns
                .iter()
                .filter(|name| !is_there(name))
                .map(|name| quoted(name))
                .collect();
            let why = if gone.is_empty() {
                "no row is labelled".to_owned()
            } else {
                format!("there is no column {}", gone.join(", "))
            };
            notes.push(format!("task {} is left out: {why}", head.name));
        }
    }
    if found.contains(&true) {
        notes.iter().for_each(|note| console.note(note));
        return Ok(found);
    }
    let is_bare = (0..column).all(|column| dataset.labelled(column) == 0);
    let why = if is_bare {
        "no row has a label for any task"
    } else {
        "every row that has a label weighs nothing"
    };
    Err(Fault::data(data, why).hint("give labelled data, or use tandem predict").into())
}

/// Weights of rows by label and by what was predicted.
fn confusion(head: &Head, table: &[Vec<f64>]) -> String {
    let mut lines = vec![
        std::iter::once(String::new()).chain(head.classes.iter().cloned()).collect::<Vec<_>>(),
    ];
    for (class, row) in head.classes.iter().zip(table) {
        lines.push(std::iter::once(class.clone()).chain(row.iter().map(f64::to_string)).collect());
    }
    let width =
        |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..=head.classes.len()).map(width).collect();
    let cell = |(column, text): (usize, &String)| match column {
        0 => format!("{text:<0$}", widths[0]),
        _ => format!("{text:>0$}", widths[column]),
    };
    lines
        .iter()
        .map(|line| line.iter().enumerate().map(cell).collect::<Vec<_>>().join("  "))
        .collect::<Vec<_>>()
        .join("\n")
}

/// What is wanted of a prediction.
pub(super) struct Wanted {
    /// Where rows are written; stdout if absent.
    pub out: Option<PathBuf>,
    /// How, if not by the ending of `out`.
    pub format: Option<Format>,
    /// Logits too.
    pub logits: bool,
    /// What the model may hold.
    pub weights: Weights,
    /// Whether a column may hold nothing that the model knows.
    pub allow_unknown: bool,
}

/// The model of a path, or those of all folds of a run.
fn models(path: &Path, weights: Weights, console: &Console) -> Result<Vec<Model>> {
    let Some(count) = folds::count(path) else { return Ok(vec![weights.load(path, console)?]) };
    let models = folds::models(path, count, |path| weights.load(path, console))?;
    let what = "probabilities, numbers and rates are averaged; RUN/fold-1 predicts alone";
    console.note(&format!(
        "{}: the models of {count} folds predict together: their {what}",
        path.display()
    ));
    Ok(models)
}

pub(super) fn predict(
    path: &Path,
    data: &str,
    wanted: &Wanted,
    common: &Common,
    console: &Console,
) -> Result<()> {
    let form = wanted.form(data, console)?;
    let models = models(path, wanted.weights, console)?;
    let Some(model) = folds::spokesman(&models) else { return Ok(()) };
    let mut pieces =
        Pieces::of(&model, data, !console.json || wanted.out.is_some(), wanted.allow_unknown)?;
    let first = pieces
        .next()?
        .ok_or_else(|| Fault::data(data, "there are no rows").hint("give at least one row"))?;
    let machine = Machine::open(&common.wish())?;
    console.machine(&machine);
    let mut predictor = Predictor::new(&models, &first, &machine)?;
    let tell =
        |met: &Met| met.notices(&model.schema).iter().for_each(|notice| console.note(notice));
    let Some(out) = &wanted.out else {
        if console.json {
            let logits = predictor.logits(&first)?;
            tell(&pieces.met);
            let result = predict::json(&model, &first, &logits, wanted.logits);
            return console.result_json(&with_met(result, &pieces.met, &model.schema));
        }
        let written = write(
            (&model, &mut predictor),
            first,
            &mut pieces,
            std::io::stdout().lock(),
            form.format,
            wanted.logits,
        )?;
        tell(&pieces.met);
        return match written {
            Err(e) if e.kind() != ErrorKind::BrokenPipe => {
                Err(Fault::new(Exit::Io, format!("stdout: {e}")).into())
            }
            _ => Ok(()),
        };
    };
    let create = |e| {
        Fault::new(Exit::CantCreate, format!("{}: cannot be created: {e}", out.display()))
            .hint("choose another --out")
    };
    let failed =
        |e| Fault::new(Exit::Io, format!("{}: {e}", out.display())).hint("is the disk full?");
    let signals = Signals::install()?;
    let mut output = Output::create(out, form.is_packed).map_err(create)?;
    output.temporary().into_iter().for_each(|file| signals.clone().remove_at_end(file.to_owned()));
    let rows = write(
        (&model, &mut predictor),
        first,
        &mut pieces,
        &mut output,
        form.format,
        wanted.logits,
    )?
    .map_err(failed)?;
    output.finish().map_err(failed)?;
    tell(&pieces.met);
    if console.json {
        return console.result_json(&with_met(
            json!({"rows": rows, "out": out}),
            &pieces.met,
            &model.schema,
        ));
    }
    console.note(&format!("{rows} rows written to {}", out.display()));
    Ok(())
}

impl Wanted {
    /// How rows are written, which is known before anything is read.
    fn form(&self, data: &str, console: &Console) -> Result<Form> {
        let Some(out) = &self.out else {
            if console.json && self.format.is_some() {
                let fault = Fault::new(Exit::Usage, "--json and --format both say what is printed");
                return Err(fault
                    .hint("leave one of the two out, or write to a file with --out")
                    .into());
            }
            if self.format == Some(Format::Parquet) {
                let fault = Fault::new(Exit::Usage, "--format parquet: stdout is for text");
                return Err(fault.hint("name a file with --out").into());
            }
            return Ok(Form { format: self.format.unwrap_or(Format::Csv), is_packed: false });
        };
        let form = Form::of(out, self.format)?;
        if is_read(out, data) {
            let fault = Fault::new(
                Exit::CantCreate,
                format!("{}: is the data that is to be read", out.display()),
            );
            return Err(fault.hint("choose another --out").into());
        }
        Ok(form)
    }
}

/// Whether a file is among those that `--data` names.
fn is_read(out: &Path, data: &str) -> bool {
    let Ok(out) = out.canonicalize() else { return false };
    let files = std::iter::once(data)
        .chain(data.split(','))
        .flat_map(|file| expand(file).unwrap_or_default());
    files.into_iter().any(|file| file.canonicalize().is_ok_and(|file| file == out))
}

/// Data to predict: a table chunk by chunk, and whatever else as one piece.
enum Source<'m> {
    Whole(Option<Dataset>),
    Chunks(&'m Schema, Box<Chunks>),
}

/// The same with one piece in hand, so that it is known which is the last before it is used.
struct Pieces<'m> {
    source: Source<'m>,
    schema: &'m Schema,
    data: &'m str,
    allow_unknown: bool,
    ahead: Option<Dataset>,
    /// What was met in the pieces so far.
    met: Met,
}

impl<'m> Pieces<'m> {
    fn of(
        model: &'m Model,
        data: &'m str,
        in_chunks: bool,
        allow_unknown: bool,
    ) -> Result<Pieces<'m>> {
        let chunks = if in_chunks { chunks_of(&model.schema, data, predict::CHUNK)? } else { None };
        let source = match chunks {
            Some(chunks) => Source::Chunks(&model.schema, Box::new(chunks)),
            None => Source::Whole(Some(load_with(&model.schema, data, false)?.0)),
        };
        let mut pieces = Pieces {
            source,
            schema: &model.schema,
            data,
            allow_unknown,
            ahead: None,
            met: Met::default(),
        };
        pieces.ahead = pieces.read()?;
        Ok(pieces)
    }

    fn read(&mut self) -> Result<Option<Dataset>> {
        let piece = match &mut self.source {
            Source::Whole(data) => data.take(),
            Source::Chunks(schema, chunks) => {
                chunks.next().map(|chunk| chunk_with(schema, chunk?)).transpose()?
            }
        };
        match &piece {
            Some(piece) => self.met.add(met(piece)),
            None => check_met(&self.met, self.schema, self.data, self.allow_unknown)?,
        }
        Ok(piece)
    }

    fn next(&mut self) -> Result<Option<Dataset>> {
        let Some(piece) = self.ahead.take() else { return Ok(None) };
        self.ahead = self.read()?;
        Ok(Some(piece))
    }
}

/// Predicts and writes piece by piece, in the order of the rows; how many they were, or what went
/// wrong in writing.
fn write(
    (model, predictor): (&Model, &mut Predictor),
    first: Dataset,
    pieces: &mut Pieces,
    to: impl Write,
    format: Format,
    with_logits: bool,
) -> Result<std::io::Result<usize>> {
    let mut sheet = match Sheet::new(BufWriter::new(to), model, &first, format, with_logits) {
        Ok(sheet) => sheet,
        Err(e) => return Ok(Err(e)),
    };
    let mut next = Some(first);
    while let Some(data) = next {
        let logits = predictor.logits(&data)?;
        if let Err(e) = sheet.add(&data, &logits) {
            return Ok(Err(e));
        }
        next = pieces.next()?;
    }
    let rows = sheet.rows;
    Ok(sheet.finish().map(|()| rows))
}
