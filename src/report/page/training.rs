//! How training went: losses, metrics and the learning rate over time.

use serde_json::Value;

use super::{Draft, Words};
use crate::report::draw::plot::{Plot, Series, Style};
use crate::report::draw::scale::Scale;
use crate::report::facts::thin;
use crate::report::files::RunFiles;

/// The largest number of points of a curve; of more, every k-th is drawn, and the last.
const MOST: usize = 500;
/// The parts, and how their curves look.
const PARTS: [(&str, usize, Style); 3] =
    [("train", 0, Style::Fine), ("valid", 1, Style::Line), ("test", 2, Style::Line)];

/// A horizontal axis of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time {
    /// Epochs, where no part has two points in one.
    Epochs,
    /// Steps.
    Steps,
}

impl Time {
    /// The axis for some runs.
    pub fn of(runs: &[&RunFiles]) -> Time {
        let is_dense = |run: &&RunFiles| {
            PARTS.iter().any(|(part, ..)| {
                let points = run.of(part);
                points.windows(2).any(|pair| pair[0]["epoch"] == pair[1]["epoch"])
            })
        };
        if runs.iter().any(is_dense) { Time::Steps } else { Time::Epochs }
    }

    fn key(self) -> &'static str {
        if self == Time::Epochs { "epoch" } else { "step" }
    }
}

/// The values of a figure over the points of a part; `read` finds it in a point. A value that is
/// missing breaks the curve.
pub fn curve(
    run: &RunFiles,
    part: &str,
    time: Time,
    read: &dyn Fn(&Value) -> Option<f64>,
) -> Vec<[f64; 2]> {
    let at = |point: &&Value| {
        let x = point[time.key()].as_f64().unwrap_or(f64::NAN);
        [x, read(point).unwrap_or(f64::NAN)]
    };
    let all: Vec<[f64; 2]> = run.of(part).iter().map(at).filter(|[x, _]| x.is_finite()).collect();
    let mut kept: Vec<[f64; 2]> = thin::spread(all.len(), MOST).map(|k| all[k]).collect();
    if kept.last() != all.last() {
        kept.extend(all.last());
    }
    kept
}

/// A plot over time; `None` if fewer than two values are finite: the tables have a single one.
pub fn over_time(y: &str, time: Time, series: Vec<Series>, may_be_log: bool) -> Option<Plot> {
    let known = |series: &Series| series.points.iter().filter(|[_, y]| y.is_finite()).count();
    let has_value = |series: &Series| known(series) > 0;
    if series.iter().map(known).sum::<usize>() < 2 {
        return None;
    }
    let series: Vec<Series> = series.into_iter().filter(has_value).collect();
    let all = || series.iter().flat_map(|series| &series.points);
    let up = Scale::of(all().map(|[_, y]| *y), may_be_log)?;
    let across = Scale::whole(all().map(|[x, _]| *x))?;
    Some(Plot {
        x: time.key().to_owned(),
        y: y.to_owned(),
        across,
        up,
        series,
        mark: None,
        guide: None,
    })
}

/// The curves of a figure on each part.
pub fn by_part(run: &RunFiles, time: Time, read: &dyn Fn(&Value) -> Option<f64>) -> Vec<Series> {
    let of_part = |(part, colour, style): &(&str, usize, Style)| {
        let points = curve(run, part, time, read);
        let style = if points.len() == 1 { Style::Marks } else { *style };
        Series { name: (*part).to_owned(), colour: *colour, style, points }
    };
    PARTS.iter().map(of_part).collect()
}

/// The end of a curve in words: `0.5 at the beginning, 0.1 at the end`.
fn ends(series: &[Series]) -> String {
    let of = |series: &Series| {
        let known = || series.points.iter().map(|[_, y]| *y).filter(|y| y.is_finite());
        let (first, last) = (known().next()?, known().next_back()?);
        let [first, last] = [first, last].map(crate::text::short);
        Some(format!("{}: {first} first, {last} last", series.name))
    };
    series.iter().filter_map(of).collect::<Vec<_>>().join("; ")
}

/// The section.
pub(super) fn section(draft: &mut Draft, run: &RunFiles) {
    draft.section("Training");
    if run.points.is_empty() {
        draft.say("The run has not logged a point yet.");
        return;
    }
    let time = Time::of(&[run]);
    let kept = run.facts.as_ref().and_then(|facts| facts.kept.as_ref());
    let mark = kept.map(|kept| if time == Time::Epochs { kept.epoch } else { kept.step } as f64);
    if let Some(mark) = mark {
        draft.say(&format!(
            "A vertical line marks the kept model, {} {mark}. Training losses are means over the \
             steps since the last point, each taken before its update and with dropout on.",
            time.key()
        ));
    }
    if run.points.len() > MOST {
        draft.say(&format!(
            "Of a curve with more than {MOST} points about {MOST} are drawn, evenly spread; \
             metrics.jsonl has all."
        ));
    }
    let plot = |draft: &mut Draft, title: &str, y: &str, series: Vec<Series>, log: bool| {
        let about = ends(&series);
        if let Some(plot) = over_time(y, time, series, log) {
            let plot = Plot { mark, ..plot };
            draft.picture(&Words { title, about: &about, more: "" }, plot.draw());
        }
    };
    draft.plots(|draft| {
        let combined = by_part(run, time, &|point| point["loss"].as_f64());
        plot(draft, "Combined loss", "loss", combined, true);
        for task in &run.config.tasks {
            let name = &task.name;
            let figure =
                |key: &'static str| by_part(run, time, &|point| point["tasks"][name][key].as_f64());
            plot(draft, &format!("Loss of {name}"), "loss", figure("loss"), true);
            // Of the primary metric where it was ever defined, else of the first that was.
            let metrics = task.kind.metrics().iter();
            let found = metrics.map(|metric| (*metric, figure(metric))).find(|(_, series)| {
                series.iter().any(|s| s.points.iter().any(|[_, y]| y.is_finite()))
            });
            if let Some((metric, series)) = found {
                plot(draft, &format!("{metric} of {name}"), metric, series, false);
            }
        }
        let rates = vec![Series {
            name: "learning rate".to_owned(),
            colour: 3,
            style: Style::Line,
            points: curve(run, "train", time, &|point| point["learning_rate"].as_f64()),
        }];
        plot(draft, "Learning rate", "learning rate", rates, false);
    });
}
