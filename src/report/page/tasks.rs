//! A close look at each task: figures, confusion, curves, calibration, residuals.

use serde_json::Value;

use super::html::{Table, number, text};
use super::{Draft, Words};
use crate::config::TaskKind;
use crate::report::draw::bars::{brief, histogram};
use crate::report::draw::matrix::Matrix;
use crate::report::draw::plot::{MOST, Plot, Series, Style};
use crate::report::draw::scale::Scale;
use crate::report::facts::classes::Classes;
use crate::report::facts::numbers::{self, NumbersOf};
use crate::report::facts::yes_no::YesNo;
use crate::report::facts::{Facts, Seen, TaskFacts};
use crate::report::files::RunFiles;
use crate::run::metrics::curves::Bin;
use crate::text::short;

/// Why a figure has no value.
pub(super) const UNDEFINED: &str = "not defined: too few labels, or a value that is not finite";

/// The figures of a task on each part: a row per loss and metric.
pub(super) fn figures(run: &RunFiles, name: &str, kind: TaskKind) -> Option<Table<'static>> {
    let figures = run.figures();
    let parts: Vec<(&String, &Value)> = figures.as_object()?.iter().collect();
    let row = |metric: &&str| {
        let of = |(_, part): &(&String, &Value)| part["tasks"][name][*metric].as_f64();
        let values: Vec<Option<f64>> = parts.iter().map(of).collect();
        let cell = |value: &Option<f64>| number(*value, UNDEFINED);
        let is_known = values.iter().any(Option::is_some);
        // `top_k` is no metric of a task with few classes.
        (is_known || *metric != "top_k")
            .then(|| ((*metric).to_owned(), values.iter().map(cell).collect()))
    };
    let metrics: Vec<&str> = ["loss"].into_iter().chain(kind.metrics().iter().copied()).collect();
    let head = ["figure".to_owned()].into_iter().chain(parts.iter().map(|(n, _)| (*n).clone()));
    let caption = if run.facts.is_some() {
        "Figures of the kept model"
    } else {
        "Figures of the last points"
    };
    Some(Table { caption, head: head.collect(), rows: metrics.iter().filter_map(row).collect() })
}

/// The section.
pub(super) fn section(draft: &mut Draft, run: &RunFiles) {
    draft.section("Tasks");
    if let Some(facts) = &run.facts {
        let weights = if facts.is_weighted { "; rows count by their weights" } else { "" };
        draft.say(&format!(
            "Pictures and tables of this section are of the {} rows of the {} part{weights}.",
            facts.rows, facts.part
        ));
    } else {
        draft.say(
            "There are no confusions, curves, calibrations and residuals: the kept model was not \
             measured. tandem report RUN does that where the data is there.",
        );
    }
    for task in &run.config.tasks {
        draft.part(&task.name);
        draft.say(&format!("Type {}, weight {} in the loss.", task.kind, task.weight));
        if let Some(table) = figures(run, &task.name, task.kind) {
            draft.table(&table);
        }
        let of_task = |facts: &Facts| facts.tasks.iter().find(|t| t.name == task.name).cloned();
        if let Some(task) = run.facts.as_ref().and_then(of_task) {
            look(draft, &task);
        }
    }
}

fn look(draft: &mut Draft, task: &TaskFacts) {
    if task.labelled == 0 {
        draft.say("No row of this part has a label, so there is nothing to compare with.");
        return;
    }
    match &task.seen {
        Seen::Classes(classes) => of_classes(draft, &task.name, classes),
        Seen::YesNo(columns) => of_yes_no(draft, &task.name, columns),
        Seen::Numbers(columns) => {
            columns.iter().for_each(|column| of_numbers(draft, task, column));
            if columns.len() > 1 {
                draft.table(&table_of_numbers(columns));
            }
        }
    }
}

/// A name of a task, with that of a column where it has several.
fn named(task: &str, column: &str, columns: usize) -> String {
    if columns == 1 { task.to_owned() } else { format!("{task}, {column}") }
}

fn of_classes(draft: &mut Draft, task: &str, classes: &Classes) {
    let rest = match classes.of - classes.names.len() {
        0 => String::new(),
        _ => format!(
            "The {} most frequent of {} classes are shown; sums count all.",
            classes.names.len(),
            classes.of
        ),
    };
    let share = |(row, sum): (&Vec<f64>, &f64)| -> Vec<Option<(f64, String)>> {
        row.iter().map(|n| Some((n / sum.max(f64::MIN_POSITIVE), brief(*n)))).collect()
    };
    let matrix = Matrix {
        down: "label".to_owned(),
        across: "prediction".to_owned(),
        rows: classes.names.clone(),
        columns: classes.names.clone(),
        cells: classes.confusion.iter().zip(&classes.labelled).map(share).collect(),
    };
    let right: f64 = (0..classes.names.len()).map(|k| classes.confusion[k][k]).sum();
    let about = format!(
        "A row per label and a column per prediction; {} of {} on the diagonal.",
        brief(right),
        brief(classes.labelled.iter().sum())
    );
    draft.plots(|draft| {
        let more = format!("The colour is the share of the row. {rest}");
        let title = format!("Confusion of {task}");
        let words = Words { title: &title, about: &about, more: more.trim() };
        draft.picture(&words, matrix.draw());
        let of = ["chosen class", "share of right choices"];
        calibration(draft, task, of, &classes.calibration, classes.calibration_error);
    });
    let row = |(k, name): (usize, &String)| {
        let (hits, labelled) = (classes.confusion[k][k], classes.labelled[k]);
        let predicted = classes.predicted[k];
        let share = |part: f64, all: f64, why: &str| number(Some(part / all), why);
        let cells = vec![
            number(Some(labelled), UNDEFINED),
            share(hits, predicted, "no row is predicted as this class"),
            share(hits, labelled, "no row has this class"),
            share(2.0 * hits, labelled + predicted, "no row has this class"),
        ];
        (name.clone(), cells)
    };
    draft.table(&Table {
        caption: "By class",
        head: ["class", "labels", "precision", "recall", "F1"].map(str::to_owned).into(),
        rows: classes.names.iter().enumerate().map(row).collect(),
    });
    let auc = number(classes.macro_auc, UNDEFINED);
    draft.body +=
        &format!("<p>Mean area under the ROC curve, each class against all others: {auc}.</p>\n");
}

/// The picture of a calibration.
fn calibration(draft: &mut Draft, task: &str, of: [&str; 2], bins: &[Bin], error: Option<f64>) {
    if bins.is_empty() {
        return;
    }
    let series = Series {
        name: "bins".to_owned(),
        colour: 0,
        style: Style::Line,
        points: bins.iter().map(|bin| [bin.predicted, bin.positive]).collect(),
    };
    let dots = Series { style: Style::Marks, ..series.clone() };
    let plot = square("mean predicted probability", of[1], vec![series, dots]);
    let plot = Plot { guide: Some([[0.0, 0.0], [1.0, 1.0]]), ..plot };
    let error = error.map_or(String::new(), |e| format!(" Calibration error {}.", short(e)));
    let about = format!("{} bins with rows, of 15 of equal width.{error}", bins.len());
    let more =
        format!("Probability of the {} beside the {} among these rows.{error}", of[0], of[1]);
    let title = format!("Calibration of {task}");
    draft.picture(&Words { title: &title, about: &about, more: &more }, plot.without_legend());
}

/// A plot whose axes both run from 0 to 1.
fn square(x: &str, y: &str, series: Vec<Series>) -> Plot {
    let axis = Scale::fixed(-0.02, 1.02);
    Plot {
        x: x.to_owned(),
        y: y.to_owned(),
        across: axis,
        up: axis,
        series,
        mark: None,
        guide: None,
    }
}

fn of_yes_no(draft: &mut Draft, task: &str, columns: &[YesNo]) {
    let shown = &columns[..columns.len().min(MOST)];
    let rest = match columns.len() - shown.len() {
        0 => String::new(),
        more => format!(" The first {MOST} columns are drawn, {more} more are in the table."),
    };
    type Curve = fn(&YesNo) -> &Vec<[f64; 2]>;
    type At = fn(&YesNo) -> Option<[f64; 2]>;
    let curves = |curve: Curve, at: At| {
        let mut series = Vec::new();
        for (colour, column) in shown.iter().enumerate() {
            let (name, points) = (column.column.clone(), curve(column).clone());
            series.push(Series { name, colour, style: Style::Line, points });
        }
        let marks = shown.iter().enumerate().filter_map(|(colour, column)| {
            let name = format!("threshold {}", short(column.threshold));
            Some(Series { name, colour, style: Style::Marks, points: vec![at(column)?] })
        });
        let marks: Vec<Series> = marks.collect();
        series.extend(marks);
        series.retain(|series| !series.points.is_empty());
        series
    };
    draft.plots(|draft| {
        let roc = curves(|c| &c.roc, YesNo::at_threshold);
        if roc.iter().any(|series| series.style == Style::Line) {
            let plot = square("share of false alarms", "share of hits", roc);
            let plot = Plot { guide: Some([[0.0, 0.0], [1.0, 1.0]]), ..plot };
            let about = each(shown, "area", |c| c.auc);
            let more = format!("Dots are at the threshold. {about}{rest}");
            let title = format!("ROC of {task}");
            draft.picture(&Words { title: &title, about: &about, more: &more }, plot.draw());
        }
        let curve = curves(|c| &c.precision_recall, YesNo::recall_and_precision);
        if curve.iter().any(|series| series.style == Style::Line) {
            let about = each(shown, "average precision", |c| c.average_precision);
            let more = format!("Dots are at the threshold. {about}{rest}");
            let title = format!("Precision and recall of {task}");
            let plot = square("recall", "precision", curve);
            draft.picture(&Words { title: &title, about: &about, more: &more }, plot.draw());
        }
        for column in shown {
            let name = named(task, &column.column, columns.len());
            let of = format!("class {}", column.classes[1]);
            let of = [of.as_str(), "share of positive rows"];
            calibration(draft, &name, of, &column.calibration, column.calibration_error);
        }
    });
    draft.table(&confusions(columns));
    if columns.len() > 1 {
        draft.table(&table_of_columns(columns));
    }
}

/// A figure of each column in words.
fn each(columns: &[YesNo], what: &str, figure: fn(&YesNo) -> Option<f64>) -> String {
    let of = |column: &YesNo| Some(format!("{} {}", column.column, short(figure(column)?)));
    match columns {
        [one] => figure(one).map_or(String::new(), |x| format!("The {what} is {}.", short(x))),
        _ => {
            let all: Vec<String> = columns.iter().filter_map(of).collect();
            format!("The {what} by column: {}.", all.join(", "))
        }
    }
}

/// The confusion of each column at its threshold.
fn confusions(columns: &[YesNo]) -> Table<'static> {
    let row = |column: &YesNo| {
        let [[no, alarms], [misses, hits]] = column.confusion;
        let cells = [column.threshold, hits, misses, alarms, no];
        let mut cells: Vec<String> = cells.iter().map(|x| number(Some(*x), UNDEFINED)).collect();
        cells.insert(0, text(&column.classes[1]));
        (column.column.clone(), cells)
    };
    let head = ["column", "positive", "threshold", "hits", "misses", "false alarms", "true no"];
    Table {
        caption: "Confusion at the threshold: above it a row is taken as positive",
        head: head.map(str::to_owned).into(),
        rows: columns.iter().map(row).collect(),
    }
}

fn table_of_columns(columns: &[YesNo]) -> Table<'static> {
    let row = |column: &YesNo| {
        let figures = [
            Some(column.labelled()),
            Some(column.positive()),
            column.auc,
            column.average_precision,
            column.f1,
            column.accuracy,
            column.log_loss,
            column.calibration_error,
        ];
        (column.column.clone(), figures.iter().map(|x| number(*x, UNDEFINED)).collect())
    };
    let head = [
        "column",
        "labels",
        "positive",
        "auc",
        "average_precision",
        "f1",
        "accuracy",
        "log_loss",
        "calibration_error",
    ];
    Table {
        caption: "By column",
        head: head.map(str::to_owned).into(),
        rows: columns.iter().map(row).collect(),
    }
}

fn of_numbers(draft: &mut Draft, task: &TaskFacts, column: &NumbersOf) {
    let columns = if let Seen::Numbers(columns) = &task.seen { columns.len() } else { 1 };
    let name = named(&task.name, &column.column, columns);
    let Some(residuals) = column.residuals else {
        draft.say(&format!("{name}: no label, or a prediction that is not finite."));
        return;
    };
    let is_count = task.kind == TaskKind::Count;
    let (predicted, label) =
        if is_count { ("predicted rate", "count") } else { ("prediction", "label") };
    let thinned = match column.rows > numbers::MOST {
        true => format!("{} of {} rows, evenly spread.", numbers::MOST, column.rows),
        false => String::new(),
    };
    let all = column.points.iter().flatten().copied();
    draft.plots(|draft| {
        if let Some(axis) = Scale::of(all, false) {
            let ends = column.points.iter().flatten().copied();
            let low = ends.clone().fold(f64::INFINITY, f64::min);
            let high = ends.fold(f64::NEG_INFINITY, f64::max);
            let mut points = column.points.clone();
            points.sort_by(|a, b| a[0].total_cmp(&b[0]));
            let plot = Plot {
                x: predicted.to_owned(),
                y: label.to_owned(),
                across: axis,
                up: axis,
                series: vec![Series { name: name.clone(), colour: 0, style: Style::Cloud, points }],
                mark: None,
                guide: Some([[low, low], [high, high]]),
            };
            let about = column.rmse.map_or(String::new(), |e| {
                format!(
                    "Dots along the line of equal values; root of the mean squared error {}.",
                    short(e)
                )
            });
            let title = format!("{label} against {predicted}, {name}");
            let more = format!("On the line both are equal. {thinned}");
            draft.picture(&Words { title: &title, about: &about, more: more.trim() }, plot.draw());
        }
        let x = format!("{label} − {predicted}");
        let bars = histogram(&x, "rows", residuals, &column.histogram);
        let bias = column.bias.map_or(String::new(), |b| format!(" mean {}.", short(b)));
        let [low, high] = residuals.map(short);
        let about = format!("Residuals from {low} to {high};{bias}");
        let quantile = column.quantile.map_or(String::new(), |[wanted, _, share]| {
            format!(
                " The quantile {} is learned; {} of the labels are at or below the prediction.",
                short(wanted),
                short(share)
            )
        });
        let title = format!("Residuals of {name}");
        let more = format!("{about}{quantile}");
        draft.picture(&Words { title: &title, about: &about, more: &more }, bars);
    });
}

fn table_of_numbers(columns: &[NumbersOf]) -> Table<'static> {
    let row = |column: &NumbersOf| {
        let figures =
            [Some(column.rows as f64), column.explained, column.rmse, column.mae, column.bias];
        (column.column.clone(), figures.iter().map(|x| number(*x, UNDEFINED)).collect())
    };
    let head = ["column", "labels", "r2", "rmse", "mae", "mean residual"];
    Table {
        caption: "By column",
        head: head.map(str::to_owned).into(),
        rows: columns.iter().map(row).collect(),
    }
}
