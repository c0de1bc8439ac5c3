//! The result of a comparison: a table, sentences, JSON.

use serde_json::{Map, Value, json};

use crate::cli::summary::Moments;
use crate::config::TaskKind;
use crate::data::Part;
use crate::fault::quoted;
use crate::run::compare::interval::{Compared, Difference, Samples, compare};
use crate::run::compare::sample::measure;
use crate::run::train::point::higher_is_better;

/// Fewer seeds say little about the spread over seeds.
const FEW_SEEDS: usize = 3;

/// One way of training.
pub(in crate::cli) struct Arm {
    /// Its name: `separate`.
    pub(super) name: String,
    /// Its samples, by seed and task.
    pub(super) samples: Samples,
    /// Number of parameters of all its networks of a seed.
    pub(super) parameters: usize,
    /// Seconds of training of a seed, in the mean; `None` if that is not known.
    pub(super) seconds: Option<f64>,
}

/// A comparison of several ways of training.
pub(in crate::cli) struct Comparison {
    /// The part that all are measured on.
    pub(super) part: Part,
    /// Its number of rows.
    pub(super) rows: usize,
    /// The word for what is resampled, "rows" or "sentences", and the number of these.
    pub(super) units: (&'static str, usize),
    /// The seeds, in the order of the samples.
    pub(super) seeds: Vec<u64>,
    /// Names and types of the tasks.
    pub(super) tasks: Vec<(String, TaskKind)>,
    /// The ways of training; the one that the others are compared with is the `base`-th.
    pub(super) arms: Vec<Arm>,
    pub(super) base: usize,
    /// The column that groups rows, if there is one.
    pub(super) group: Option<String>,
}

/// The differences of all ways of training but the base.
pub(in crate::cli) struct Found<'c> {
    of: &'c Comparison,
    /// The number of the way, with its differences.
    differences: Vec<(usize, Compared)>,
}

impl Comparison {
    /// Compares all ways with the base; the first seed keys the resampling.
    pub(in crate::cli) fn found(&self) -> Found<'_> {
        let higher: Vec<bool> =
            self.tasks.iter().map(|(_, kind)| higher_is_better(measure(*kind))).collect();
        let seed = self.seeds.first().copied().unwrap_or(0);
        let base = &self.arms[self.base].samples;
        let of = |(number, arm): (usize, &Arm)| {
            (number, compare(base, &arm.samples, &higher, self.units.1, seed))
        };
        let others = self.arms.iter().enumerate().filter(|(number, _)| *number != self.base);
        Found { of: self, differences: others.map(of).collect() }
    }

    /// The values of a task, by seed.
    fn values(&self, arm: &Arm, task: usize) -> Vec<Option<f64>> {
        arm.samples.iter().map(|tasks| tasks[task].value(None)).collect()
    }
}

/// `+1.2 % [0.4, 2.0]`
fn shown(difference: &Difference) -> String {
    let Some(percent) = difference.percent else { return "not defined".to_owned() };
    let interval = difference.interval.map(|[low, high]| format!(" [{low:+.2}, {high:+.2}]"));
    format!("{percent:+.2} %{}", interval.unwrap_or_default())
}

impl Found<'_> {
    /// The table and the sentences.
    pub(in crate::cli) fn text(&self) -> String {
        let Comparison { part, units, seeds, tasks, arms, base, .. } = self.of;
        let names: Vec<&String> = arms.iter().map(|arm| &arm.name).collect();
        let mut head = vec!["task".to_owned(), "metric".to_owned()];
        head.extend(names.iter().map(|name| (*name).clone()));
        let beside = &names[*base];
        head.extend(self.differences.iter().map(|(arm, _)| format!("{} by {beside}", names[*arm])));
        let mut lines = vec![head];
        for (task, (name, kind)) in tasks.iter().enumerate() {
            let mut line = vec![name.clone(), measure(*kind).to_owned()];
            line.extend(arms.iter().map(|arm| {
                let Moments { mean, spread, .. } = Moments::of(&self.of.values(arm, task));
                let spread = spread.map(|spread| format!(" ± {spread:.4}")).unwrap_or_default();
                mean.map_or("not defined".to_owned(), |mean| format!("{mean:.4}{spread}"))
            }));
            line.extend(self.differences.iter().map(|(_, found)| shown(&found.tasks[task])));
            lines.push(line);
        }
        let blank = |n: usize| std::iter::repeat_n(String::new(), n);
        let mut mean: Vec<String> =
            ["mean".to_owned()].into_iter().chain(blank(1 + arms.len())).collect();
        mean.extend(self.differences.iter().map(|(_, found)| shown(&found.mean)));
        lines.push(mean);
        let mut more = |name: &str, value: &dyn Fn(&Arm) -> String| {
            let cells = [name.to_owned(), String::new()].into_iter().chain(arms.iter().map(value));
            lines.push(cells.collect());
        };
        more("parameters", &|arm| arm.parameters.to_string());
        if arms.iter().any(|arm| arm.seconds.is_some()) {
            more("seconds", &|arm| arm.seconds.map_or(String::new(), |s| format!("{s:.1}")));
        }
        let sentences = self.sentences().join("\n");
        let resamplings = self.differences.iter().map(|(_, found)| found.resamplings).max();
        format!(
            "{}\n{sentences}\nmeasured on the {} {unit} of the {} part; {}; differences in \
             percent, + is better, with 95 % intervals by {} resamplings of {unit} and seeds",
            columns(&lines),
            units.1,
            named(*part),
            if seeds.len() == 1 { "one seed".to_owned() } else { format!("{} seeds", seeds.len()) },
            resamplings.unwrap_or(0),
            unit = units.0,
        )
    }

    /// One sentence per difference, and sentences about how far they can be trusted.
    pub(in crate::cli) fn sentences(&self) -> Vec<String> {
        let Comparison { part, units, seeds, tasks, arms, base, group, .. } = self.of;
        let beside = &arms[*base].name;
        let mut all = Vec::new();
        for (arm, found) in &self.differences {
            let name = &arms[*arm].name;
            for ((task, _), difference) in tasks.iter().zip(&found.tasks) {
                all.push(sentence(name, beside, &quoted(task), difference));
            }
        }
        if seeds.len() < FEW_SEEDS {
            all.push(format!(
                "with {} there is little to say about the spread over seeds: intervals are too \
                 narrow, and more seeds would tell more",
                if seeds.len() == 1 { "one seed" } else { "two seeds" }
            ));
        }
        if let Some(group) = group {
            all.push(format!(
                "{} are resampled one by one, although those with the same {} belong together: \
                 intervals are too narrow",
                units.0,
                quoted(group)
            ));
        }
        if *part == Part::Valid {
            all.push(
                "measured is the validation part, which picked the models, so every figure is too \
                 good"
                    .to_owned(),
            );
        }
        all
    }

    /// The table and the sentences as JSON, with the value of each seed.
    pub(in crate::cli) fn json(&self) -> Value {
        let Comparison { part, rows, units, seeds, tasks, arms, base, .. } = self.of;
        let resamplings = self.differences.iter().map(|(_, found)| found.resamplings).max();
        let difference = |d: &Difference, seeds: usize| {
            json!({
                "percent": d.percent,
                "interval": d.interval,
                "interval_over_seeds": if seeds > 1 { json!(d.over_seeds) } else { Value::Null },
            })
        };
        let of_task = |(task, (name, kind)): (usize, &(String, TaskKind))| {
            let metric = measure(*kind);
            let values = arms.iter().map(|arm| {
                let values = self.of.values(arm, task);
                let Moments { mean, spread, .. } = Moments::of(&values);
                (arm.name.clone(), json!({"mean": mean, "spread": spread, "seeds": values}))
            });
            let found = self.differences.iter().map(|(arm, found)| {
                (arms[*arm].name.clone(), difference(&found.tasks[task], seeds.len()))
            });
            let entry = json!({
                "metric": metric,
                "higher_is_better": higher_is_better(metric),
                "labels": arms[*base].samples.first().map(|tasks| tasks[task].labels()),
                "values": values.collect::<Map<_, _>>(),
                "differences": found.collect::<Map<_, _>>(),
            });
            (name.clone(), entry)
        };
        let ways = arms.iter().map(|arm| {
            (arm.name.clone(), json!({"parameters": arm.parameters, "seconds": arm.seconds}))
        });
        let mean = self
            .differences
            .iter()
            .map(|(arm, found)| (arms[*arm].name.clone(), difference(&found.mean, seeds.len())));
        json!({
            "part": part.name(),
            "rows": rows,
            "resampled": {"of": units.0, "number": units.1},
            "seeds": seeds,
            "resamplings": resamplings,
            "beside": arms[*base].name,
            "ways": ways.collect::<Map<_, _>>(),
            "tasks": tasks.iter().enumerate().map(of_task).collect::<Map<_, _>>(),
            "mean": mean.collect::<Map<_, _>>(),
            "sentences": self.sentences(),
        })
    }
}

/// A difference in words; of separate networks it is about sharing.
fn sentence(name: &str, beside: &str, task: &str, difference: &Difference) -> String {
    let is_sharing = beside == "separate";
    let subject = match (is_sharing, name) {
        (true, "equal") => "plain sharing".to_owned(),
        (true, "configured") => "sharing as configured".to_owned(),
        _ => name.to_owned(),
    };
    let figures = shown(difference);
    let beside = if is_sharing { "separate networks" } else { beside };
    match (difference.percent, difference.sign()) {
        (None, _) => format!("{subject} and {beside} cannot be compared for {task}: not defined"),
        (_, 1) => format!("{subject} helps {task}: {figures} beside {beside}"),
        (_, -1) if is_sharing => {
            format!("{subject} hurts {task} (negative transfer): {figures} beside {beside}")
        }
        (_, -1) => format!("{subject} hurts {task}: {figures} beside {beside}"),
        _ => format!("whether {subject} helps {task} cannot be told: {figures} beside {beside}"),
    }
}

fn named(part: Part) -> &'static str {
    match part {
        Part::Valid => "validation",
        other => other.name(),
    }
}

/// Lines of cells as columns, the first two to the left, the others to the right.
fn columns(lines: &[Vec<String>]) -> String {
    let count = lines.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        lines
            .iter()
            .filter_map(|line| line.get(column))
            .map(|c| c.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..count).map(width).collect();
    let cell = |(column, text): (usize, &String)| match column {
        0 | 1 => format!("{text:<0$}", widths[column]),
        _ => format!("{text:>0$}", widths[column]),
    };
    let line = |line: &Vec<String>| {
        let cells: Vec<String> = line.iter().enumerate().map(cell).collect();
        cells.join("  ").trim_end().to_owned()
    };
    lines.iter().map(line).collect::<Vec<_>>().join("\n")
}
