//! `README.md` beside a model: a model card in the manner of Hugging Face, from facts alone. Equal
//! runs write equal cards, so that neither times nor machines nor paths stand in it.

use crate::config::{Activation, TaskKind};
use crate::data::schema::columns::some;
use crate::data::{Column, Encoding, Input, Part, Target};
use crate::model::network::{Head, Network};
use crate::run::train::Plan;
use crate::run::train::point::{Point, TaskPoint};
use crate::text::short;

/// The name of the file.
pub(super) const FILE: &str = "README.md";
/// Most columns that are listed.
const MOST_COLUMNS: usize = 100;

/// The card of a model with the thresholds of `network`. `points` are its figures, as far as they
/// are known.
pub(super) fn card(plan: &Plan, network: &Network, points: &[Point]) -> String {
    let names: Vec<&str> = network.tasks.iter().map(|task| task.name.as_str()).collect();
    let measured: Vec<&Point> =
        points.iter().filter(|point| point.split != Part::Train.name()).collect();
    let parts = [
        front(plan, network, &measured),
        format!("# {}\n", names.join(", ")),
        format!(
            "A network that predicts {} from one row, trained with tandem {}.\n",
            count(names.len(), "task"),
            env!("CARGO_PKG_VERSION")
        ),
        tasks(plan, network),
        inputs(&plan.parts.schema.input),
        training(plan),
        figures(network, &measured),
        USE.to_owned(),
    ];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n")
}

/// How the model is used.
const USE: &str = "## Use

    tandem predict MODEL --data FILE
    tandem inspect MODEL
    tandem export MODEL --format onnx

`MODEL` is the directory of this file. `model.safetensors` has the weights, `config.json` the
network, `schema.json` what columns mean.
";

/// `1 task`, `2 tasks`
fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// The facts for machines, in YAML. A text in JSON is one in YAML too.
fn front(plan: &Plan, network: &Network, points: &[&Point]) -> String {
    let is_image = matches!(plan.parts.schema.input, Input::Image { .. });
    let mut tags = vec!["multi-task-learning"];
    let mut kinds: Vec<&str> = network.tasks.iter().map(|head| kind(head, is_image)).collect();
    kinds.sort_unstable();
    kinds.dedup();
    tags.extend(kinds);
    let list = |words: &[&str]| words.iter().map(|word| format!("- {word}\n")).collect::<String>();
    let mut metrics: Vec<&str> =
        points.iter().flat_map(|point| &point.tasks).flat_map(names).collect();
    metrics.sort_unstable();
    metrics.dedup();
    let mut text = format!("---\nlibrary_name: tandem\ntags:\n{}", list(&tags));
    if !metrics.is_empty() {
        text += &format!("metrics:\n{}{}", list(&metrics), index(network, points, is_image));
    }
    text + "---\n"
}

/// The names of the metrics of a task.
fn names(task: &TaskPoint) -> impl Iterator<Item = &'static str> {
    task.metrics.iter().map(|(name, _)| *name)
}

/// The kind of a task, as Hugging Face calls it.
fn kind(head: &Head, is_image: bool) -> &'static str {
    match (head.kind, is_image) {
        (TaskKind::Regression | TaskKind::Count, false) => "tabular-regression",
        (TaskKind::Regression | TaskKind::Count, true) => "image-regression",
        (_, false) => "tabular-classification",
        (_, true) => "image-classification",
    }
}

/// The figures for machines.
fn index(network: &Network, points: &[&Point], is_image: bool) -> String {
    let names: Vec<&str> = network.tasks.iter().map(|task| task.name.as_str()).collect();
    let mut text = format!("model-index:\n- name: \"{}\"\n  results:\n", names.join(", "));
    for point in points {
        for (head, task) in network.tasks.iter().zip(&point.tasks) {
            if task.metrics.is_empty() {
                continue;
            }
            let (kind, split) = (kind(head, is_image), &point.split);
            text += &format!(
                "  - task:\n      type: {kind}\n      name: \"{}\"\n    dataset:\n      type: \
                 {split}\n      name: {split} part\n      split: {split}\n    metrics:\n",
                head.name
            );
            for (name, value) in &task.metrics {
                text += &format!("    - type: {name}\n      value: {}\n", decimal(*value));
            }
        }
    }
    text
}

/// A number without an exponent, which not all readers of YAML take for a number.
fn decimal(number: f64) -> String {
    short(number).parse::<f64>().unwrap_or(number).to_string()
}

/// A text in a cell of a table.
fn cell(text: &str) -> String {
    let plain: String = text
        .chars()
        .flat_map(|c| if c.is_control() { c.escape_debug().collect() } else { vec![c] })
        .collect();
    plain.replace('\\', "\\\\").replace('|', "\\|").replace('<', "&lt;")
}

fn tasks(plan: &Plan, network: &Network) -> String {
    let mut text =
        "## Tasks\n\n| task | type | predicts | labels in training |\n|---|---|---|---|\n"
            .to_owned();
    for (head, target) in network.tasks.iter().zip(&plan.parts.schema.targets) {
        let labels: u64 = target.counts.iter().flatten().sum();
        text += &format!(
            "| {} | {} | {} | {labels} |\n",
            cell(&head.name),
            head.kind,
            cell(&predicts(head, target))
        );
    }
    text
}

/// What a task predicts.
fn predicts(head: &Head, target: &Target) -> String {
    let columns = some(&target.columns);
    match head.kind {
        TaskKind::Multiclass => {
            format!("one of {} classes of {columns}: {}", head.classes.len(), some(&head.classes))
        }
        TaskKind::Tags => {
            format!("one of {} tags {columns}: {}", head.classes.len(), some(&head.classes))
        }
        TaskKind::Binary => format!(
            "{columns}: {}, the second above a probability of {}",
            some(&head.classes),
            short(head.threshold())
        ),
        TaskKind::Multilabel => format!("yes or no for each of {columns}"),
        TaskKind::Regression => format!("{columns}, in the units of the data"),
        TaskKind::Count => format!("the mean of the count {columns}"),
    }
}

fn inputs(input: &Input) -> String {
    let columns = match input {
        Input::Image { height, width, channels, scale, overlay, .. } => {
            let laid = if overlay.is_some() { ", two laid over each other" } else { "" };
            let values = match channels {
                1 => "grey values",
                _ => "pixels, each with red, green and blue beside each other",
            };
            return format!(
                "## Inputs\n\nImages of {height} × {width} {values}, times {}{laid}.\n",
                short(f64::from(*scale))
            );
        }
        Input::Columns { columns } => columns,
    };
    let mut text = "## Inputs\n\n| column | type | becomes |\n|---|---|---|\n".to_owned();
    for column in columns.iter().take(MOST_COLUMNS) {
        let (name, word) = (cell(&column.name), column.encoding.word());
        text += &format!("| {name} | {word} | {} |\n", cell(&becomes(column)));
    }
    if columns.len() > MOST_COLUMNS {
        text += &format!("\nand {} more columns\n", columns.len() - MOST_COLUMNS);
    }
    text
}

/// What a column becomes.
fn becomes(column: &Column) -> String {
    let of_blanks = |has: &bool| if *has { "; an input of its own for blanks" } else { "" };
    match &column.encoding {
        Encoding::Numeric { scale, offset, factor, indicator, .. } => format!(
            "(x − {}) · {} ({scale}){}",
            short(*offset),
            short(*factor),
            of_blanks(indicator)
        ),
        Encoding::Category { values, embed, .. } => {
            let as_what = match embed {
                0 => "one input each".to_owned(),
                width => format!("a learned vector of {width} each"),
            };
            format!("{} values, {as_what}: {}", values.len(), some(values))
        }
        Encoding::Binary { values, indicator, .. } => {
            format!("0 or 1: {}{}", some(values), of_blanks(indicator))
        }
        Encoding::Date { indicator, .. } => {
            format!("years, and points on circles{}", of_blanks(indicator))
        }
        Encoding::Span => "the place of the token in its sentence, for windows".to_owned(),
        Encoding::Text { buckets, embed, words, .. } => {
            let what = match words.len() {
                0 => format!("words in {buckets} buckets"),
                known => format!("{known} known words"),
            };
            match embed {
                0 => format!("{what}, one input each"),
                width => format!("{what}, a learned vector of {width} each"),
            }
        }
    }
}

fn training(plan: &Plan) -> String {
    let rows = |part: Part| plan.data(part).map_or(0, |data| data.rows);
    let network = &plan.network;
    let layers = match &network.trunk.layers[..] {
        [] => "no trunk".to_owned(),
        widths => {
            let widths: Vec<String> = widths.iter().map(usize::to_string).collect();
            let activation: Activation = network.trunk.activation;
            format!("layers of {} ({activation})", widths.join(", "))
        }
    };
    format!(
        "## Training\n\n- rows: {} to train on, {} to validate, {} to test\n- architecture: {}, \
         {layers}, {} parameters\n- seed: {}\n",
        rows(Part::Train),
        rows(Part::Valid),
        rows(Part::Test),
        network.architecture.name(),
        plan.layout.parameters(),
        plan.config.train.seed
    )
}

fn figures(network: &Network, points: &[&Point]) -> String {
    if points.is_empty() {
        return String::new();
    }
    let mut text =
        "## Figures\n\n| part | task | labels | loss | metrics |\n|---|---|---|---|---|\n"
            .to_owned();
    for point in points {
        for (head, task) in network.tasks.iter().zip(&point.tasks) {
            let metrics: Vec<String> = task
                .metrics
                .iter()
                .map(|(name, value)| format!("{name} {}", short(*value)))
                .collect();
            let loss = task.loss.map(short).unwrap_or_default();
            let (name, labels) = (cell(&head.name), task.rows);
            let (split, metrics) = (&point.split, metrics.join(", "));
            text += &format!("| {split} | {name} | {labels} | {loss} | {metrics} |\n");
        }
    }
    text
}
