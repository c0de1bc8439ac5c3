//! `evaluate` and `predict`.

use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::json;

use super::console::Console;
use super::{Common, Weights};
use crate::data::chunks::Chunks;
use crate::data::load::{chunk_with, chunks_of, load_with};
use crate::data::{Dataset, Schema};
use crate::fault::{Exit, Fault, quoted};
use crate::model::file::Model;
use crate::model::network::Head;
use crate::objective::Objective;
use crate::run::apply::{Applied, apply, apply_to_pieces};
use crate::run::machine::Machine;
use crate::run::measure;
use crate::run::point::{shown, tasks_json};
use crate::run::predict::{self, Format, Sheet};

/// Most classes of a task whose confusion matrix is printed.
const MOST_CLASSES: usize = 12;

pub(super) fn evaluate(model: &Model, data: &str, common: &Common, console: &Console) -> Result<()> {
    let (dataset, _) = load_with(&model.schema, data, true)?;
    let machine = Machine::open(&common.wish())?;
    console.machine(&machine);
    let mut applied = apply(model, &dataset, machine)?;
    let labelled = labelled(model, &dataset, data, console)?;
    let measured = applied.evaluate(&model.network, &Objective::plain(&model.network))?;
    let points = measure::tasks(&model.network, &model.schema, &dataset, &measured);
    let confusions = measure::confusions(&model.network, &model.schema, &dataset, &measured);
    if console.json {
        let mut tasks = tasks_json(&model.network, &points, true);
        for ((head, labelled), confusion) in model.network.tasks.iter().zip(&labelled).zip(confusions) {
            match (labelled, tasks.as_object_mut()) {
                (false, Some(tasks)) => drop(tasks.shift_remove(&head.name)),
                _ => confusion.into_iter().for_each(|table| {
                    tasks[&head.name]["classes"] = json!(head.classes);
                    tasks[&head.name]["confusion"] = json!(table);
                }),
            }
        }
        return console.result_json(&json!({"rows": dataset.rows, "loss": measured.loss, "tasks": tasks}));
    }
    let width = model.network.tasks.iter().map(|t| t.name.len()).max().unwrap_or(4).max(8);
    let mut text = format!("{:width$} {:>8} {:>10}  metrics", "task", "rows", "loss");
    for ((head, task), _) in model.network.tasks.iter().zip(&points).zip(&labelled).filter(|(_, labelled)| **labelled) {
        let metrics: Vec<String> = task.metrics.iter().map(|(name, value)| format!("{name} {value:.4}")).collect();
        text += &format!("\n{:width$} {:>8} {:>10}  {}", head.name, task.rows, shown(task.loss), metrics.join(", "));
    }
    text += &format!("\n{:width$} {:>8} {:>10}", "sum", dataset.rows, shown(measured.loss));
    for ((head, _), table) in model.network.tasks.iter().zip(&labelled).zip(confusions).filter(|((_, labelled), _)| **labelled) {
        if let Some(table) = table.filter(|table| console.verbose && table.len() <= MOST_CLASSES) {
            text += &format!("\n\n{}, a line a label, a column a prediction\n{}", head.name, confusion(head, &table));
        }
    }
    console.result(&text)
}

/// Which tasks have a label in the data; those that have none are named.
fn labelled(model: &Model, dataset: &Dataset, data: &str, console: &Console) -> Result<Vec<bool>> {
    let (mut column, mut found, mut notes) = (0, Vec::new(), Vec::new());
    for (head, target) in model.network.tasks.iter().zip(&model.schema.targets) {
        let own = column..column + head.cells();
        column = own.end;
        let is_labelled = own.clone().any(|column| dataset.labelled(column) > 0);
        found.push(own.into_iter().any(|column| dataset.labels.get(column).is_some_and(|labels| dataset.weighs(labels))));
        if found.last() == Some(&false) && is_labelled {
            notes.push(format!("task {} is left out: all its labels are in rows of weight zero", head.name));
        } else if found.last() == Some(&false) {
            let is_there = |name: &&String| dataset.table.as_ref().is_none_or(|table| table.header.contains(name));
            let gone: Vec<String> = target.columns.iter().filter(|name| !is_there(name)).map(|name| quoted(name)).collect();
            let why = if gone.is_empty() { "no row is labelled".to_owned() } else { format!("there is no column {}", gone.join(", ")) };
            notes.push(format!("task {} is left out: {why}", head.name));
        }
    }
    if found.contains(&true) {
        notes.iter().for_each(|note| console.note(note));
        return Ok(found);
    }
    let is_bare = (0..column).all(|column| dataset.labelled(column) == 0);
    let why = if is_bare { "no row has a label for any task" } else { "every row that has a label weighs nothing" };
    Err(Fault::data(data, why).hint("give labelled data, or use tandem predict").into())
}

/// Weights of rows by label and by what was predicted.
fn confusion(head: &Head, table: &[Vec<f64>]) -> String {
    let mut lines = vec![std::iter::once(String::new()).chain(head.classes.iter().cloned()).collect::<Vec<_>>()];
    for (class, row) in head.classes.iter().zip(table) {
        lines.push(std::iter::once(class.clone()).chain(row.iter().map(f64::to_string)).collect());
    }
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..=head.classes.len()).map(width).collect();
    let cell = |(column, text): (usize, &String)| match column {
        0 => format!("{text:<0$}", widths[0]),
        _ => format!("{text:>0$}", widths[column]),
    };
    lines.iter().map(|line| line.iter().enumerate().map(cell).collect::<Vec<_>>().join("  ")).collect::<Vec<_>>().join("\n")
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
}

pub(super) fn predict(path: &Path, data: &str, wanted: &Wanted, common: &Common, console: &Console) -> Result<()> {
    let Wanted { out, format, logits: with_logits, weights } = wanted;
    if console.json && out.is_none() && format.is_some() {
        let fault = Fault::new(Exit::Usage, "--json and --format both say what is printed");
        return Err(fault.hint("leave one of the two out, or write to a file with --out").into());
    }
    if out.is_none() && *format == Some(Format::Parquet) {
        let fault = Fault::new(Exit::Usage, "--format parquet: stdout is for text");
        return Err(fault.hint("name a file with --out").into());
    }
    let same = |out: &Path| Some(out.canonicalize().ok()? == Path::new(data).canonicalize().ok()?);
    if let Some(out) = out.as_deref().filter(|out| same(out) == Some(true)) {
        let fault = Fault::new(Exit::CantCreate, format!("{}: is the data that is to be read", out.display()));
        return Err(fault.hint("choose another --out").into());
    }
    let model = weights.load(path, console)?;
    let mut pieces = Pieces::of(&model, data, !console.json || out.is_some())?;
    let first = pieces.next()?.ok_or_else(|| Fault::data(data, "there are no rows").hint("give at least one row"))?;
    let machine = Machine::open(&common.wish())?;
    console.machine(&machine);
    let mut applied = apply_to_pieces(&model, &first, machine)?;
    if console.json && out.is_none() {
        let logits = applied.evaluate_pieces(&model.network, &Objective::plain(&model.network), &first)?.logits;
        return console.result_json(&predict::json(&model, &first, &logits, *with_logits));
    }
    let format = format.unwrap_or_else(|| out.as_deref().map_or(Format::Csv, Format::of));
    let Some(out) = out else {
        let written = write((&model, &mut applied), first, &mut pieces, std::io::stdout().lock(), format, *with_logits)?;
        return match written {
            Err(e) if e.kind() != ErrorKind::BrokenPipe => Err(Fault::new(Exit::Io, format!("stdout: {e}")).into()),
            _ => Ok(()),
        };
    };
    let create = |e| Fault::new(Exit::CantCreate, format!("{}: cannot be created: {e}", out.display())).hint("choose another --out");
    let file = std::fs::File::create(out).map_err(create)?;
    let written = write((&model, &mut applied), first, &mut pieces, file, format, *with_logits);
    let failed = |e| Fault::new(Exit::Io, format!("{}: {e}", out.display())).hint("is the disk full?");
    let rows = written.and_then(|written| Ok(written.map_err(failed)?)).inspect_err(|_| {
        // Half of a table is worse than none; a device or a pipe is not ours to remove.
        if out.symlink_metadata().is_ok_and(|meta| meta.is_file()) {
            let _ = std::fs::remove_file(out);
        }
    })?;
    if console.json {
        return console.result_json(&json!({"rows": rows, "out": out}));
    }
    console.note(&format!("{rows} rows written to {}", out.display()));
    Ok(())
}

/// Data to predict: a table chunk by chunk, and whatever else as one piece.
enum Pieces<'m> {
    Whole(Option<Dataset>),
    Chunks(&'m Schema, Box<Chunks>),
}

impl Pieces<'_> {
    fn of<'m>(model: &'m Model, data: &str, in_chunks: bool) -> Result<Pieces<'m>> {
        let chunks = if in_chunks { chunks_of(&model.schema, data, predict::CHUNK)? } else { None };
        Ok(match chunks {
            Some(chunks) => Pieces::Chunks(&model.schema, Box::new(chunks)),
            None => Pieces::Whole(Some(load_with(&model.schema, data, false)?.0)),
        })
    }

    fn next(&mut self) -> Result<Option<Dataset>> {
        match self {
            Pieces::Whole(data) => Ok(data.take()),
            Pieces::Chunks(schema, chunks) => chunks.next().map(|chunk| chunk_with(schema, chunk?)).transpose(),
        }
    }
}

/// Predicts and writes piece by piece, in the order of the rows; how many they were, or what went wrong in writing.
fn write(
    (model, applied): (&Model, &mut Applied),
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
        let logits = applied.evaluate_pieces(&model.network, &Objective::plain(&model.network), &data)?.logits;
        if let Err(e) = sheet.add(&data, &logits) {
            return Ok(Err(e));
        }
        next = pieces.next()?;
    }
    let rows = sheet.rows;
    Ok(sheet.finish().map(|()| rows))
}
