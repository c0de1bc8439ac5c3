//! `init`, which drafts a configuration for a table or for images, and `inspect`, which shows these
//! or a model.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use serde_json::{Value, json};

use super::console::Console;
use super::drafted::{path_from, taken, write_draft};
use super::flags::Weights;
use super::sentences;
use crate::config::write::quote;
use crate::config::{Decimal, Sentences, Source, TaskKind, read};
use crate::data::load::door::load;
use crate::data::look::draft::{Draft, range};
use crate::data::look::pictures::{LABEL, Pictures, is_pictures};
use crate::data::look::survey::{
    ColumnSurvey, ProposedTask, Survey, SurveyOptions, overlap, propose_tasks,
};
use crate::data::read::read_source;
use crate::data::table::options::{Header, Options};
use crate::data::table::raw::Raw;
use crate::data::{Column, Input};
use crate::fault::{Exit, Fault};
use crate::model::file::Model;
use crate::model::layout::Block;
use crate::model::network::Head;
use crate::run::train::Plan;
use crate::schedule::drawing::{self, Sharing};
use crate::schedule::show::{self, aligned};

/// Flags that say how a table is read for which there is no configuration.
#[derive(Args)]
pub(super) struct TableArgs {
    /// A label column, optionally with its type: COLUMN, COLUMN:binary, A,B:multilabel (repeatable)
    #[arg(long, value_name = "COLUMN[:TYPE]")]
    target: Vec<String>,
    /// The file has no line of column names: columns are named 0, 1, …
    #[arg(long)]
    no_header: bool,
    /// Character between the cells of a line [default: detected from the first lines]
    #[arg(long, value_name = "CHARACTER")]
    delimiter: Option<String>,
    /// Decimal separator of numbers: . or , [default: detected]
    #[arg(long, value_name = "SIGN")]
    decimal: Option<DecimalSign>,
    /// A text that means "blank" (repeatable) [default: the empty text, and texts such as NA that
    /// are found]
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    missing: Vec<String>,
}

/// Decimal separator of numbers.
#[derive(Clone, Copy, clap::ValueEnum)]
enum DecimalSign {
    #[value(name = ".")]
    Point,
    #[value(name = ",")]
    Comma,
}

impl TableArgs {
    fn read(&self, path: &str) -> Result<Raw> {
        read_source(&Source::Table(vec![PathBuf::from(path)]), &self.options()?)
    }

    fn options(&self) -> Result<Options> {
        let header = if self.no_header { Header::None } else { Header::First };
        let delimiter = self.delimiter()?.and_then(|sign| u8::try_from(sign).ok());
        Ok(Options { delimiter, header, ..Options::default() })
    }

    /// The character between cells; `\t` stands for a tab, which is hard to type in a shell.
    fn delimiter(&self) -> Result<Option<char>> {
        let Some(text) = &self.delimiter else { return Ok(None) };
        let mut characters = text.chars();
        match (text.as_str(), characters.next(), characters.next()) {
            ("\\t", ..) => Ok(Some('\t')),
            (_, Some(sign), None)
                if sign.is_ascii()
                    && !sign.is_ascii_alphanumeric()
                    && !"\"\n\r\0.+-_".contains(sign) =>
            {
                Ok(Some(sign))
            }
            _ => {
                let fault = Fault::new(
                    Exit::Usage,
                    format!("--delimiter {}: expected one character", crate::fault::quoted(text)),
                );
                Err(fault.hint("such as \",\", \";\", \"|\" or \"\\t\"").into())
            }
        }
    }

    /// What the flags say about reading cells.
    fn given(&self) -> SurveyOptions {
        let decimal = match self.decimal {
            None => Decimal::Auto,
            Some(DecimalSign::Point) => Decimal::Point,
            Some(DecimalSign::Comma) => Decimal::Comma,
        };
        let mut missing = vec![String::new()];
        for text in self.missing.iter().map(|text| text.trim()) {
            if !missing.iter().any(|known| known == text) {
                missing.push(text.to_owned());
            }
        }
        SurveyOptions { missing: (!self.missing.is_empty()).then_some(missing), decimal }
    }

    /// Looks at the image files that a text names.
    fn pictures(&self, data: &str) -> Result<Pictures> {
        let names: Vec<&str> = self
            .target
            .iter()
            .map(|target| target.rsplit_once(':').map_or(target.as_str(), |(name, _)| name))
            .collect();
        Pictures::new(data, &names, &self.options()?)
    }

    /// The tasks that `--target` names; that of a folder of classes has a name in any case.
    fn targets(&self, pictures: &Pictures) -> Vec<String> {
        match (&self.target[..], &pictures.listed) {
            ([], None) => vec![LABEL.to_owned()],
            (targets, _) => targets.to_vec(),
        }
    }

    /// Reads a table: what its columns hold, and the tasks that `--target` names.
    fn survey(&self, path: &str) -> Result<(Survey, Vec<ProposedTask>)> {
        let raw = self.read(path)?;
        let survey = Survey::new(&raw, self.given());
        let tasks = propose_tasks(&raw, &survey, &self.target)?;
        Ok((survey, tasks))
    }

    /// Whether any of these flags is given.
    fn is_given(&self) -> bool {
        self.is_about_cells() || !self.target.is_empty()
    }

    /// Whether a flag says how the cells of a table are written.
    fn is_about_cells(&self) -> bool {
        let said = self.delimiter.is_some() || self.decimal.is_some() || !self.missing.is_empty();
        said || self.no_header
    }

    /// How a file is read if its name is that of a file of sentences.
    ///
    /// # Errors
    /// 2 with a flag that means nothing for it.
    fn sentences(&self, path: &str) -> Result<Option<Sentences>> {
        let known = Sentences::by_name(path);
        if known.is_some() && self.is_about_cells() {
            let flags = "--no-header, --delimiter, --decimal and --missing";
            let found = format!("{path}: {flags} are for tables, and this is a file of sentences");
            return Err(Fault::new(Exit::Usage, found).hint("leave them out").into());
        }
        Ok(known)
    }
}

/// Writes a configuration for a table, or for image files.
pub(super) fn init(
    data: &str,
    args: &TableArgs,
    out: Option<&Path>,
    console: &Console,
) -> Result<()> {
    let known = args.sentences(data)?;
    let pictures = is_pictures(data).then(|| args.pictures(data)).transpose()?;
    check_init(data, args, out, known.is_some() || of_folders(pictures.as_ref()))?;
    if let Some(known) = known {
        return sentences::init(data, (&known, &args.target), out, console);
    }
    let (survey, tasks, train) = match &pictures {
        None => {
            let (survey, tasks) = args.survey(data)?;
            (survey, tasks, quote(path_from(data, out)?))
        }
        Some(pictures) => {
            let survey = Survey::new(&pictures.table, args.given());
            let tasks = propose_tasks(&pictures.table, &survey, &args.targets(pictures))?;
            (survey, tasks, pictures_value(pictures, out)?)
        }
    };
    let (header, delimiter) = (!args.no_header, args.delimiter()?);
    let draft = Draft {
        train: &train,
        pictures: pictures.as_ref(),
        header,
        delimiter,
        survey: &survey,
        tasks: &tasks,
        notices: &[],
    };
    // The configuration has to train, so it is read and planned here as `train` would.
    let base = out.and_then(Path::parent).unwrap_or(Path::new("."));
    let config = read::from_text(&draft.text(), "the drafted configuration", base, &[])?;
    let parts = load(&config.data, &config.tasks)?;
    let notices = parts.notices.clone();
    Plan::new(config, parts)?;
    let text = Draft { notices: &notices, ..draft }.text();
    let tasks: Vec<Value> = tasks.iter().map(task_json).collect();
    let document = json!({
        "out": out,
        "rows": survey.rows,
        "tasks": tasks,
        "notices": notices,
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

/// Whether images have the names of their folders as labels.
fn of_folders(pictures: Option<&Pictures>) -> bool {
    pictures.is_some_and(|pictures| pictures.listed.is_none())
}

/// Refuses flags of `init` before anything is read.
///
/// # Errors
/// 2 without a target, where none is guessed; 73 if `out` exists.
fn check_init(data: &str, args: &TableArgs, out: Option<&Path>, guesses: bool) -> Result<()> {
    if args.target.is_empty() && !guesses {
        let fault = Fault::new(
            Exit::Usage,
            "--target is missing: a configuration needs something to learn",
        );
        let hint = format!(
            "name a label column: --target COLUMN; tandem inspect {data} lists the columns"
        );
        return Err(fault.hint(hint).into());
    }
    match out.filter(|out| out.exists()) {
        Some(out) => Err(taken(out, "exists already")),
        None => Ok(()),
    }
}

/// The value of `data.train` for image files, as TOML.
fn pictures_value(pictures: &Pictures, out: Option<&Path>) -> Result<String> {
    let path = |path: &Path| path_from(&path.to_string_lossy(), out).map(quote);
    let folder = path(&pictures.folder)?;
    Ok(match &pictures.listed {
        None => format!("{{ folder = {folder} }}"),
        Some((labels, column)) => {
            let (labels, column) = (path(labels)?, quote(column));
            format!("{{ images = {folder}, labels = {labels}, path = {column} }}")
        }
    })
}

/// Shows a table or a model, whichever `what` names.
pub(super) fn inspect(
    what: &str,
    args: &TableArgs,
    weights: Weights,
    as_dot: bool,
    console: &Console,
) -> Result<()> {
    let path = Path::new(what);
    let has_pictures = is_pictures(what);
    let is_table = !path.is_dir() && path.extension().is_none_or(|end| end != "safetensors");
    if is_table || has_pictures {
        if as_dot {
            let fault = Fault::new(Exit::Usage, format!("{what}: --dot is for models"));
            return Err(fault.hint("this is no model: leave it out").into());
        }
        return match has_pictures {
            true => inspect_pictures(what, args, console),
            false => inspect_table(what, args, console),
        };
    }
    if args.is_given() {
        let flags = "--target, --no-header, --delimiter, --decimal and --missing";
        let fault =
            Fault::new(Exit::Usage, format!("{what}: {flags} are for tables, and this is a model"));
        return Err(fault.hint("leave them out").into());
    }
    let model = weights.load(path, console)?;
    match as_dot {
        true => console.text("dot", &drawing::dot(&model.network, &model.layout)),
        false => inspect_model(&model, console),
    }
}

/// Shows image files with their labels.
fn inspect_pictures(what: &str, args: &TableArgs, console: &Console) -> Result<()> {
    let pictures = args.pictures(what)?;
    let survey = Survey::new(&pictures.table, args.given());
    let tasks = propose_tasks(&pictures.table, &survey, &args.targets(&pictures))?;
    if console.json {
        let mut document = table_json(&survey, &tasks);
        document["kind"] = json!("images");
        document["images"] = json!(pictures.phrase());
        document["notices"] = json!(pictures.notices);
        return console.result_json(&document);
    }
    pictures.notices.iter().for_each(|notice| console.note(notice));
    let columns = pictures.listed.as_ref().map_or(String::new(), |_| columns_text(&survey));
    let labels = labels_text(&tasks, survey.rows);
    let gap = if columns.is_empty() { "" } else { "\n" };
    console.result(&format!("{}: {}\n{gap}{columns}{labels}", survey.place, pictures.phrase()))
}

fn inspect_table(path: &str, args: &TableArgs, console: &Console) -> Result<()> {
    if let Some(known) = args.sentences(path)? {
        if !args.target.is_empty() {
            let found = format!("{path}: --target is for tables, and this is a file of sentences");
            let hint = "leave it out: every column is shown with what it is taken for";
            return Err(Fault::new(Exit::Usage, found).hint(hint).into());
        }
        return sentences::inspect(path, &known, console);
    }
    let (survey, tasks) = args.survey(path)?;
    if console.json {
        return console.result_json(&table_json(&survey, &tasks));
    }
    let blanks: Vec<String> =
        survey.missing.iter().map(|text| crate::fault::quoted(text)).collect();
    let text = format!(
        "{}: {} rows, {} columns; blank is {}\n\n",
        survey.place,
        survey.rows,
        survey.columns.len(),
        blanks.join(", ")
    );
    survey.notices.iter().for_each(|notice| console.note(notice));
    console.result(&(text + &columns_text(&survey) + &labels_text(&tasks, survey.rows)))
}

/// One line per column of a table.
fn columns_text(survey: &Survey) -> String {
    let head =
        ["column", "type", "blank", "values", "range or commonest", "example"].map(String::from);
    let line = |c: &ColumnSurvey| {
        let id = if c.is_id(survey.rows) { ", names rows" } else { "" };
        [
            c.name.clone(),
            format!("{}{id}", c.kind),
            c.blanks.to_string(),
            c.values.to_string(),
            range(c),
            c.example.chars().take(24).collect(),
        ]
        .map(|text| text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect())
    };
    let lines = std::iter::once(head).chain(survey.columns.iter().map(line)).collect();
    aligned(lines, [false, false, true, true, false, false])
}

/// One line per task with the shares of its labels, and how many rows two tasks share.
fn labels_text(tasks: &[ProposedTask], rows: usize) -> String {
    if tasks.is_empty() {
        return String::new();
    }
    let head = ["task", "type", "labelled", "labels"].map(String::from);
    let line = |t: &ProposedTask| {
        [t.name.clone(), t.kind.to_string(), format!("{} of {rows}", t.rows()), t.labels_phrase()]
    };
    let mut text = format!(
        "\n{}",
        aligned(
            std::iter::once(head).chain(tasks.iter().map(line)).collect(),
            [false, false, true, false]
        )
    );
    for (a, b, both) in overlap(tasks) {
        text += &format!(
            "labelled for both {} and {}: {both} of {rows}\n",
            tasks[a].name, tasks[b].name
        );
    }
    text
}

fn table_json(survey: &Survey, tasks: &[ProposedTask]) -> Value {
    let column = |column: &ColumnSurvey| column_json(column, survey.rows);
    let shared = |(a, b, rows): (usize, usize, usize)| {
        let names = [&tasks[a].name, &tasks[b].name];
        json!({"tasks": names, "rows": rows})
    };
    json!({
        "kind": "table",
        "place": survey.place,
        "rows": survey.rows,
        "missing": survey.missing,
        "notices": survey.notices,
        "columns": survey.columns.iter().map(column).collect::<Vec<_>>(),
        "tasks": tasks.iter().map(task_json).collect::<Vec<_>>(),
        "overlap": overlap(tasks).into_iter().map(shared).collect::<Vec<_>>(),
    })
}

/// Values and how many rows have each.
fn counts_json(counts: &[(String, usize)]) -> Vec<Value> {
    counts.iter().map(|(text, rows)| json!({"value": text, "rows": rows})).collect()
}

fn column_json(column: &ColumnSurvey, rows: usize) -> Value {
    json!({
        "name": column.name,
        "type": column.kind.to_string(),
        "blank": column.blanks,
        "values": column.values,
        "range": column.range,
        "commonest": counts_json(&column.commonest),
        "example": column.example,
        "names_rows": column.is_id(rows),
        "odd": column.odd,
        "maybe_blank": counts_json(&column.doubtful),
    })
}

fn task_json(task: &ProposedTask) -> Value {
    let range = |[low, mean, high]: &[f64; 3]| json!({"min": low, "mean": mean, "max": high});
    json!({
        "name": task.name,
        "type": task.kind,
        "columns": task.columns,
        "guessed": task.guessed,
        "labelled": task.rows(),
        "missing": task.missing,
        "positive": task.positive,
        "labels": counts_json(&task.balance),
        "range": task.spread.iter().map(range).collect::<Vec<_>>(),
    })
}

/// What a head predicts: its classes, or its columns.
fn outputs(head: &Head) -> String {
    match head.kind {
        TaskKind::Binary => format!(
            "{} from probability {:.4} on",
            head.classes.get(1).map_or("", String::as_str),
            head.threshold()
        ),
        TaskKind::Multiclass | TaskKind::Tags => format!("{} classes", head.classes.len()),
        TaskKind::Multilabel | TaskKind::Regression => head.columns.join(", "),
        TaskKind::Count => "a rate".into(),
    }
}

fn loss_name(head: &Head) -> String {
    json!(head.loss)["kind"].as_str().unwrap_or_default().to_owned()
}

fn model_json(model: &Model) -> Value {
    let (network, layout) = (&model.network, &model.layout);
    let block = |b: &Block| json!({"name": b.name, "shape": b.shape, "parameters": b.len});
    let task = |head: &Head| {
        let threshold = (head.kind == TaskKind::Binary).then(|| head.threshold());
        json!({
            "name": head.name,
            "type": head.kind,
            "loss": head.loss,
            "classes": head.classes,
            "columns": head.columns,
            "threshold": threshold,
        })
    };
    let mut json = json!({
        "kind": "model",
        "directory": model.directory,
        "inputs": network.inputs,
        "tasks": network.tasks.iter().map(task).collect::<Vec<_>>(),
        "blocks": layout.blocks.iter().map(block).collect::<Vec<_>>(),
        "parameters": layout.parameters(),
        "sharing": Sharing::of(network, layout).json(network),
        "bytes": 4 * layout.parameters(),
        "input": model.schema.input,
    });
    if let Some(branches) = drawing::chosen_branches(network, layout, &model.parameters) {
        json["branches"] = json!(branches);
    }
    json
}

fn inspect_model(model: &Model, console: &Console) -> Result<()> {
    let (network, layout) = (&model.network, &model.layout);
    let (parameters, bytes) = (layout.parameters(), 4 * layout.parameters());
    if console.json {
        return console.result_json(&model_json(model));
    }
    let head = ["task", "type", "loss", "predicts"].map(String::from);
    let line =
        |head: &Head| [head.name.clone(), head.kind.to_string(), loss_name(head), outputs(head)];
    let tasks =
        aligned(std::iter::once(head).chain(network.tasks.iter().map(line)).collect(), [false; 4]);
    let text = format!(
        "{}\n\n{}\n{}\n{parameters} parameters, {bytes} bytes\n\n{}\n{}\n{}{tasks}",
        model.directory.display(),
        inputs(&model.schema.input),
        show::network(network, layout),
        drawing::graph(network, layout),
        drawing::sharing(network, layout),
        drawing::learned(network, layout, &model.parameters)
    );
    console.result(&text)
}

/// One line per column with the number of inputs that are made from it.
fn inputs(input: &Input) -> String {
    match input {
        Input::Columns { columns } => {
            let head = ["column", "type", "inputs"].map(String::from);
            let kind = |c: &Column| match c.vectors() {
                0 => c.encoding.word().to_owned(),
                vectors => format!("{}, {vectors} vectors", c.encoding.word()),
            };
            let line = |c: &Column| [c.name.clone(), kind(c), c.width().to_string()];
            aligned(
                std::iter::once(head).chain(columns.iter().map(line)).collect(),
                [false, false, true],
            )
        }
        Input::Image { height, width, channels, .. } => {
            let colours = if *channels == 3 { " of red, green and blue" } else { "" };
            let inputs = input.width();
            format!("images of {height} × {width} pixels{colours}: {inputs} inputs\n")
        }
    }
}
