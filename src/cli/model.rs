//! `evaluate` and `predict`.

use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::{Map, Value, json};

use super::console::Console;
use super::flags::{Common, Weights};
use super::signals::Signals;
use crate::data::encode::applied::{ColumnCounts, MatchReport};
use crate::data::load::door::{chunk_with, chunks_of, load_with};
use crate::data::look::summary::unseen_phrase;
use crate::data::read::chunks::Chunks;
use crate::data::read::glob::expand;
use crate::data::{Column, Dataset, Schema, Target};
use crate::fault::{Exit, Fault, quoted};
use crate::model::file::Model;
use crate::model::network::Head;
use crate::objective::Objective;
use crate::run::apply::favourites;
use crate::run::apply::group::{self, Group};
use crate::run::apply::judge;
use crate::run::apply::output::{Form, Output};
use crate::run::apply::predict::{self, Format, Sheet};
use crate::run::apply::stored::apply;
use crate::run::apply::together::{Predictor, Union, spokesman};
use crate::run::machine::Machine;
use crate::run::train::point::{TaskPoint, shown, tasks_json};

/// Largest number of classes with which a confusion matrix is printed.
const MOST_CLASSES: usize = 12;

/// What `evaluate` shows; each list has one entry per task.
struct Evaluation<'m> {
    model: &'m Model,
    rows: usize,
    /// The sum of the tasks' losses by their weights; `None` if no task has a loss.
    loss: Option<f64>,
    /// Whether the data has labels for the task.
    labelled: Vec<bool>,
    /// Labels that training does not have, and all labels.
    unseen: Vec<[usize; 2]>,
    points: Vec<TaskPoint>,
    /// Confusion matrices, for tasks with classes.
    confusions: Vec<Option<Vec<Vec<f64>>>>,
    met: MatchReport,
}

pub(super) fn evaluate(
    model: &Model,
    data: &str,
    allow_unknown: bool,
    common: &Common,
    console: &Console,
) -> Result<()> {
    let (dataset, _) = load_with(&model.schema, data, true)?;
    let machine = Machine::open_to_apply(&common.wish())?;
    console.machine(&machine);
    let mut applied = apply(model, &dataset, machine)?;
    let labelled = labelled(model, &dataset, data, console)?;
    let met = met(&dataset);
    check_met(&met, &model.schema, data, allow_unknown)?;
    met.notices(&model.schema).iter().for_each(|notice| console.note(notice));
    let unseen = unseen(model, &dataset);
    for (head, [unseen, labels]) in
        model.network.tasks.iter().zip(&unseen).filter(|(_, n)| n[0] > 0)
    {
        console.note(&format!("{}{unseen} of {labels}", unseen_phrase(&head.name)));
    }
    let measured = applied.evaluate(&model.network, &Objective::plain(&model.network))?;
    let evaluation = Evaluation {
        model,
        rows: dataset.rows,
        loss: measured.loss,
        labelled,
        unseen,
        points: judge::task_points(&model.network, &model.schema, &dataset, &measured),
        confusions: judge::confusions(&model.network, &model.schema, &dataset, &measured),
        met,
    };
    if console.json {
        return console.result_json(&evaluation.json());
    }
    let matrices = if console.verbose { evaluation.matrices() } else { String::new() };
    console.result(&(evaluation.table() + &matrices))
}

impl Evaluation<'_> {
    fn json(&self) -> Value {
        let (network, schema) = (&self.model.network, &self.model.schema);
        let mut tasks = tasks_json(network, &self.points, true);
        for (number, head) in network.tasks.iter().enumerate() {
            let [unseen, _] = self.unseen[number];
            if unseen > 0 {
                tasks[&head.name]["unseen_labels"] = json!(unseen);
            }
            match (self.labelled[number], tasks.as_object_mut()) {
                (false, Some(tasks)) => drop(tasks.shift_remove(&head.name)),
                _ => self.confusions[number].iter().for_each(|table| {
                    tasks[&head.name]["classes"] = json!(head.classes);
                    tasks[&head.name]["confusion"] = json!(table);
                }),
            }
        }
        let result = json!({"rows": self.rows, "loss": self.loss, "tasks": tasks});
        let is_silent = self.met.notices(schema).is_empty();
        if is_silent { result } else { with_met(result, &self.met, schema) }
    }

    /// The numbers of the tasks that the data has labels for.
    fn labelled_tasks(&self) -> impl Iterator<Item = usize> {
        (0..self.labelled.len()).filter(|number| self.labelled[*number])
    }

    /// One line per task, and one with their sum.
    fn table(&self) -> String {
        let heads = &self.model.network.tasks;
        let width = heads.iter().map(|t| t.name.len()).max().unwrap_or(4).max(8);
        let mut text = format!("{:width$} {:>8} {:>10}  metrics", "task", "rows", "loss");
        for number in self.labelled_tasks() {
            let (name, task) = (&heads[number].name, &self.points[number]);
            let metrics: Vec<String> =
                task.metrics.iter().map(|(name, value)| format!("{name} {value:.4}")).collect();
            let (loss, metrics) = (shown(task.loss), metrics.join(", "));
            text += &format!("\n{name:width$} {:>8} {loss:>10}  {metrics}", task.rows);
        }
        text + &format!("\n{:width$} {:>8} {:>10}", "sum", self.rows, shown(self.loss))
    }

    /// The confusion matrices of tasks with few classes.
    fn matrices(&self) -> String {
        let mut text = String::new();
        for number in self.labelled_tasks() {
            let head = &self.model.network.tasks[number];
            let small = |table: &&Vec<Vec<f64>>| table.len() <= MOST_CLASSES;
            if let Some(table) = self.confusions[number].as_ref().filter(small) {
                let title = format!("{}: one line per label, one column per prediction", head.name);
                text += &format!("\n\n{title}\n{}", confusion(head, table));
            }
        }
        text
    }
}

/// What the schema met in the cells of a data set: unknown values, blanks, values out of range.
fn met(dataset: &Dataset) -> MatchReport {
    dataset.table.as_ref().map(|table| table.matched.clone()).unwrap_or_default()
}

/// Refuses a column in which the model knows no cell, unless that is allowed.
///
/// # Errors
/// 65 with the column.
fn check_met(met: &MatchReport, schema: &Schema, data: &str, allow_unknown: bool) -> Result<()> {
    if allow_unknown { Ok(()) } else { Ok(met.check(schema, data)?) }
}

/// Adds to a result what was met: the columns with something to report, and the columns of the data
/// that the model does not use.
fn with_met(mut result: Value, met: &MatchReport, schema: &Schema) -> Value {
    let count = |(column, count): (&Column, &ColumnCounts)| {
        let counts = json!({
            "unknown": count.unknown,
            "blank": count.reported_blanks(),
            "out_of_range": count.out_of_range,
            "cells": met.rows,
        });
        (column.name.clone(), counts)
    };
    result["columns"] = Value::Object(met.mismatched(schema).map(count).collect::<Map<_, _>>());
    result["passed_over"] = json!(met.passed_over);
    if !met.absent.is_empty() {
        result["absent"] = json!(met.absent);
    }
    result
}

/// Which tasks have a label in the data. A notice names each task that has none.
///
/// # Errors
/// 65 if no task has one.
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
        if found.last() == Some(&false) {
            let why = if is_labelled {
                "all its labels are in rows of weight zero".to_owned()
            } else {
                why_unlabelled(target, dataset)
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
        "every row that has a label has the weight zero"
    };
    Err(Fault::data(data, why).hint("give labelled data, or use tandem predict").into())
}

/// For each task the number of labels that training does not have, and that of all labels.
fn unseen(model: &Model, dataset: &Dataset) -> Vec<[usize; 2]> {
    let mut first = 0;
    let of = |head: &Head| {
        let columns = first..first + head.cells();
        first = columns.end;
        let sum = |count: &dyn Fn(usize) -> usize| columns.clone().map(count).sum();
        [sum(&|column| dataset.unseen(column)), sum(&|column| dataset.labelled(column))]
    };
    model.network.tasks.iter().map(of).collect()
}

/// Why a task has no label: its columns are missing, or blank in every row.
fn why_unlabelled(target: &Target, dataset: &Dataset) -> String {
    let is_there =
        |name: &&String| dataset.table.as_ref().is_none_or(|table| table.header.contains(name));
    let gone: Vec<String> =
        target.columns.iter().filter(|name| !is_there(name)).map(|name| quoted(name)).collect();
    if gone.is_empty() {
        "no row is labelled".to_owned()
    } else {
        format!("there is no column {}", gone.join(", "))
    }
}

/// The confusion matrix of a task as text: weights of rows by label and by prediction.
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

/// What `predict` is asked for.
pub(super) struct Wanted {
    /// File for the rows; stdout if absent.
    pub out: Option<PathBuf>,
    /// Format of the rows, if not given by the ending of `out`.
    pub format: Option<Format>,
    /// Whether logits are written too.
    pub logits: bool,
    /// Which weights the model may have.
    pub weights: Weights,
    /// Whether a column is accepted in which the model knows no value.
    pub allow_unknown: bool,
    /// Whether each task is predicted by the model that is best for it.
    pub best_per_task: bool,
}

/// The model of a path, those of a run of several, or those that are best for single tasks.
fn models(path: &Path, wanted: &Wanted, console: &Console) -> Result<(Vec<Model>, Union)> {
    let weights = wanted.weights;
    if wanted.best_per_task {
        let (models, notes) = favourites::models(path, |path| weights.load(path, console))?;
        notes.iter().for_each(|(_, note)| console.note(note));
        return Ok((models, Union::ByTask));
    }
    let Some((group, count)) = Group::of(path) else {
        return Ok((vec![weights.load(path, console)?], Union::Mean));
    };
    let models = group::models((group, count), path, |path| weights.load(path, console))?;
    console.note(&format!(
        "{}: the models of {count} {} predict together: their probabilities, numbers and rates are \
         averaged; to use one model, name RUN/{}-1",
        path.display(),
        group.words(),
        group.word()
    ));
    Ok((models, Union::Mean))
}

pub(super) fn predict(
    path: &Path,
    data: &str,
    wanted: &Wanted,
    common: &Common,
    console: &Console,
) -> Result<()> {
    let mut form = wanted.form(data, console)?;
    let (models, union) = models(path, wanted, console)?;
    let Some(model) = spokesman(&models, union) else { return Ok(()) };
    let has_tokens = model.schema.reading.sentences.is_some();
    if has_tokens && wanted.out.is_none() && wanted.format.is_none() {
        form.format = Format::Conll;
    }
    if form.format == Format::Conll && !has_tokens {
        let fault = Fault::new(Exit::Usage, "CoNLL is for models whose rows are tokens");
        return Err(fault.hint("choose --format csv, tsv, jsonl or parquet").into());
    }
    if form.format == Format::Conll && wanted.logits {
        let fault = Fault::new(Exit::Usage, "--logits: a file of sentences has no place for them");
        return Err(fault.hint("choose --format csv, tsv, jsonl or parquet").into());
    }
    let mut pieces =
        Pieces::new(&model, data, !console.json || wanted.out.is_some(), wanted.allow_unknown)?;
    let first = pieces
        .next()?
        .ok_or_else(|| Fault::data(data, "there are no rows").hint("give at least one row"))?;
    let machine = Machine::open_to_apply(&common.wish())?;
    console.machine(&machine);
    let predictor = Predictor::new(&models, union, &first, &machine)?;
    let with_logits = wanted.logits;
    let prediction = Prediction { model: &model, predictor, pieces, with_logits, console };
    match &wanted.out {
        Some(out) => prediction.write_file(first, form, out),
        None if console.json => prediction.print_json(&first),
        None => prediction.print(first, form.format),
    }
}

/// A prediction that is about to be written.
struct Prediction<'m> {
    /// The model whose columns and classes are written.
    model: &'m Model,
    predictor: Predictor<'m>,
    pieces: Pieces<'m>,
    with_logits: bool,
    console: &'m Console,
}

impl Prediction<'_> {
    /// Prints what was met in the cells.
    fn tell(&self) {
        let notices = self.pieces.met.notices(&self.model.schema);
        notices.iter().for_each(|notice| self.console.note(notice));
    }

    fn print_json(mut self, data: &Dataset) -> Result<()> {
        let logits = self.predictor.logits(data)?;
        self.tell();
        let result = predict::json(self.model, data, &logits, self.with_logits);
        self.console.result_json(&with_met(result, &self.pieces.met, &self.model.schema))
    }

    fn print(mut self, first: Dataset, format: Format) -> Result<()> {
        let written = self.write(first, std::io::stdout().lock(), format)?;
        self.tell();
        match written {
            Err(e) if e.kind() != ErrorKind::BrokenPipe => {
                Err(Fault::new(Exit::Io, format!("stdout: {e}")).into())
            }
            _ => Ok(()),
        }
    }

    fn write_file(mut self, first: Dataset, form: Form, out: &Path) -> Result<()> {
        let create = |e| {
            Fault::new(Exit::CantCreate, format!("{}: cannot be created: {e}", out.display()))
                .hint("choose another --out")
        };
        let failed =
            |e| Fault::new(Exit::Io, format!("{}: {e}", out.display())).hint("is the disk full?");
        let signals = Signals::install()?;
        let mut output = Output::create(out, form.is_packed).map_err(create)?;
        let temporary = output.temporary();
        temporary.into_iter().for_each(|file| signals.clone().remove_at_end(file.to_owned()));
        let rows = self.write(first, &mut output, form.format)?.map_err(failed)?;
        output.finish().map_err(failed)?;
        self.tell();
        if self.console.json {
            let result = json!({"rows": rows, "out": out});
            let result = with_met(result, &self.pieces.met, &self.model.schema);
            return self.console.result_json(&result);
        }
        self.console.note(&format!("{rows} rows written to {}", out.display()));
        Ok(())
    }

    /// Predicts and writes piece by piece, in the order of the rows. Returns the number of rows, or
    /// the error of a write.
    fn write(
        &mut self,
        first: Dataset,
        to: impl Write,
        format: Format,
    ) -> Result<std::io::Result<usize>> {
        let to = BufWriter::new(to);
        let mut sheet = match Sheet::new(to, self.model, &first, format, self.with_logits) {
            Ok(sheet) => sheet,
            Err(e) => return Ok(Err(e)),
        };
        let mut next = Some(first);
        while let Some(data) = next {
            let logits = self.predictor.logits(&data)?;
            if let Err(e) = sheet.add(&data, &logits) {
                return Ok(Err(e));
            }
            next = self.pieces.next()?;
        }
        let rows = sheet.rows;
        Ok(sheet.finish().map(|()| rows))
    }
}

impl Wanted {
    /// How rows are written. Wrong flags are refused here, before anything is read.
    ///
    /// # Errors
    /// 2 for flags that contradict each other; 73 if `out` is a file that is read.
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
                format!("{}: is one of the files that --data names", out.display()),
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

/// Data to predict: a table chunk by chunk, anything else as one piece.
enum Source<'m> {
    Whole(Box<Option<Dataset>>),
    Chunks(&'m Schema, Box<Chunks>),
}

/// The pieces of a source. One piece is read ahead, so that the end of the data, where its columns
/// are checked, is met before the last piece is handed out.
struct Pieces<'m> {
    source: Source<'m>,
    schema: &'m Schema,
    data: &'m str,
    allow_unknown: bool,
    ahead: Option<Dataset>,
    /// What was met in the pieces that were read so far.
    met: MatchReport,
}

impl<'m> Pieces<'m> {
    fn new(
        model: &'m Model,
        data: &'m str,
        in_chunks: bool,
        allow_unknown: bool,
    ) -> Result<Pieces<'m>> {
        let chunks = if in_chunks { chunks_of(&model.schema, data, predict::CHUNK)? } else { None };
        let source = match chunks {
            Some(chunks) => Source::Chunks(&model.schema, Box::new(chunks)),
            None => Source::Whole(Box::new(Some(load_with(&model.schema, data, false)?.0))),
        };
        let mut pieces = Pieces {
            source,
            schema: &model.schema,
            data,
            allow_unknown,
            ahead: None,
            met: MatchReport::default(),
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
