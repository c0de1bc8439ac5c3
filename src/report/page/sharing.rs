//! What the tasks share: weights and couplings over time, conflict of gradients, gates.

use serde_json::{Map, Value};

use super::html::hundredths;
use super::training::{Time, by_part, curve, over_time};
use super::{Draft, Words};
use crate::report::draw::matrix::Matrix;
use crate::report::draw::plot::{MOST, Series, Style};
use crate::report::files::RunFiles;
use crate::text::short;

/// The section; it is left out where there is nothing to show.
pub(super) fn section(draft: &mut Draft, run: &RunFiles) {
    let time = Time::of(&[run]);
    let (before, pictures) = (draft.body.len(), draft.pictures.len());
    draft.section("Sharing");
    draft.plots(|draft| {
        couplings(draft, run, time);
        weights(draft, run, time);
        conflict(draft, run, time);
        gates(draft, run, time);
    });
    if draft.pictures.len() == pictures {
        draft.body.truncate(before);
        draft.sections.pop();
    }
}

/// The last point of a part that has something.
fn last<'a>(run: &'a RunFiles, part: &str, key: &str) -> Option<&'a Value> {
    run.of(part).into_iter().rev().find(|point| !point[key].is_null())
}

/// A sentence where some of the series are not drawn.
fn rest(all: usize) -> String {
    match all.saturating_sub(MOST) {
        0 => String::new(),
        _ => format!("The first {MOST} of {all} are drawn; metrics.csv has all."),
    }
}

/// One series per name, on one part.
fn series(
    run: &RunFiles,
    part: &str,
    time: Time,
    names: &[String],
    read: &dyn Fn(&Value, usize) -> Option<f64>,
) -> Vec<Series> {
    let one = |(number, name): (usize, &String)| Series {
        name: name.clone(),
        colour: number,
        style: Style::Line,
        points: curve(run, part, time, &|point| read(point, number)),
    };
    names.iter().take(MOST).enumerate().map(one).collect()
}

/// The last values of some series in words.
fn at_end(series: &[Series]) -> String {
    let of = |series: &Series| {
        let last = series.points.iter().rev().map(|[_, y]| *y).find(|y| y.is_finite())?;
        Some(format!("{} {}", series.name, short(last)))
    };
    let all: Vec<String> = series.iter().filter_map(of).collect();
    format!("At the end: {}.", all.join(", "))
}

fn picture(draft: &mut Draft, title: &str, y: &str, time: Time, series: Vec<Series>, more: &str) {
    let about = at_end(&series);
    if let Some(plot) = over_time(y, time, series, y == "value") {
        draft.picture(&Words { title, about: &about, more }, plot.draw());
    }
}

/// The value of each coupled pair on each part.
fn couplings(draft: &mut Draft, run: &RunFiles, time: Time) {
    let Some(point) = last(run, "train", "couplings") else { return };
    let all = point["couplings"].as_array().map_or(&[][..], Vec::as_slice);
    for (number, coupling) in all.iter().take(MOST).enumerate() {
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let [kind, a, b] =
            [&coupling["kind"], &coupling["pair"][0], &coupling["pair"][1]].map(word);
        let read = |point: &Value| point["couplings"][number]["value"].as_f64();
        let title = format!("Coupling {kind}, {a} and {b}");
        picture(draft, &title, "value", time, by_part(run, time, &read), &rest(all.len()));
    }
}

/// The weights that a balancer gives.
fn weights(draft: &mut Draft, run: &RunFiles, time: Time) {
    let Some(point) = last(run, "train", "balance") else { return };
    let names: Vec<String> =
        point["balance"]["weights"].as_object().into_iter().flat_map(Map::keys).cloned().collect();
    let read = |point: &Value, number: usize| point["balance"]["weights"][&names[number]].as_f64();
    let series = series(run, "train", time, &names, &read);
    picture(draft, "Weights of the tasks", "weight", time, series, &rest(names.len()));
}

/// The cosines of the gradients: at the end as a matrix, and over time.
fn conflict(draft: &mut Draft, run: &RunFiles, time: Time) {
    let Some(point) = last(run, "train", "conflict") else { return };
    let conflict = &point["conflict"];
    let tasks: Vec<String> =
        conflict["tasks"].as_object().into_iter().flat_map(Map::keys).cloned().collect();
    let pairs = conflict["pairs"].as_array().map_or(&[][..], Vec::as_slice);
    let cosine = |a: &str, b: &str| {
        let is_it = |pair: &&Value| {
            let [x, y] = [&pair["pair"][0], &pair["pair"][1]];
            (x == a && y == b) || (x == b && y == a)
        };
        if a == b { Some(1.0) } else { pairs.iter().find(is_it)?["cosine"].as_f64() }
    };
    let row = |a: &String| {
        let cell = |b: &String| cosine(a, b).map(|c| (c, hundredths(c)));
        tasks.iter().map(cell).collect()
    };
    let matrix = Matrix {
        down: "gradient".to_owned(),
        across: "gradient".to_owned(),
        rows: tasks.clone(),
        columns: tasks.clone(),
        cells: tasks.iter().map(row).collect(),
    };
    let mean = conflict["mean_cosine"].as_f64().map_or(String::new(), |mean| {
        format!("Mean cosine with the mean gradient {}.", short(mean))
    });
    let words = Words {
        title: "Cosines of the gradients at the end",
        about: &mean,
        more: "Over all shared layers; below 0 two tasks pull in opposite directions.",
    };
    draft.picture(&words, matrix.draw());
    let names: Vec<String> = pairs
        .iter()
        .map(|pair| {
            let [a, b] = [0, 1].map(|i| pair["pair"][i].as_str().unwrap_or_default());
            format!("{a} and {b}")
        })
        .collect();
    let read = |point: &Value, number: usize| point["conflict"]["pairs"][number]["cosine"].as_f64();
    let series = series(run, "train", time, &names, &read);
    picture(draft, "Cosines over time", "cosine", time, series, &rest(names.len()));
}

/// The mean weights that each gate gives its terms, on the first part that has them.
fn gates(draft: &mut Draft, run: &RunFiles, time: Time) {
    let found = ["valid", "test", "train"]
        .into_iter()
        .find_map(|part| Some((part, last(run, part, "gates")?)));
    let Some((part, point)) = found else { return };
    for (gate, terms) in point["gates"].as_object().into_iter().flatten() {
        let names: Vec<String> =
            terms.as_object().into_iter().flat_map(Map::keys).cloned().collect();
        let read = |point: &Value, number: usize| point["gates"][gate][&names[number]].as_f64();
        let series = series(run, part, time, &names, &read);
        let more = format!("Mean weights over the {part} rows. {}", rest(names.len()));
        picture(draft, &format!("Gate {gate}"), "mean weight", time, series, more.trim());
    }
}
