//! `bench step --sweep`: reads what to sweep over, prints the table, draws the picture.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::Path;

use anyhow::Result;
use serde_json::json;

use super::console::Console;
use super::flags::Progress;
use super::step_args::{StepArgs, size};
use crate::fault::{Exit, Fault, quoted};
use crate::measure::chart::{Chart, rounded};
use crate::measure::step::StepShape;
use crate::measure::sweep::{self, Axis, Sweep};
use crate::measure::times::REPEATS;
use crate::run::machine::Machine;
use crate::schedule::show::aligned;

/// The hint that shows how a sweep is written.
const FORM: &str =
    "give an axis and its values, such as batch=32,64,96 or batch=32..4096 (doubling)";

/// Largest number of heads; with more, building the schedule takes minutes.
const MOST_HEADS: usize = 10_000;

/// What `--sweep` asks for.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    axis: Axis,
    values: Vec<usize>,
}

fn fault(text: &str, what: impl std::fmt::Display, hint: impl Into<String>) -> Fault {
    Fault::new(Exit::Usage, format!("--sweep {text}: {what}")).hint(hint)
}

/// Reads `AXIS=V1,V2,…`, where each value may be a range `A..B`.
pub(super) fn wanted(text: &str) -> Result<Wanted> {
    let shown = text.escape_debug().to_string();
    let (name, list) = text.split_once('=').ok_or_else(|| fault(&shown, "no values", FORM))?;
    let axis = Axis::ALL.into_iter().find(|a| a.name() == name);
    let axis = axis.ok_or_else(|| {
        fault(&shown, format!("unknown axis {}", quoted(name)), "use one of batch, trunk, heads")
    })?;
    let values =
        list.split(',').map(|part| values(&shown, part)).collect::<Result<Vec<_>, _>>()?.concat();
    if let Some(pair) = values.windows(2).find(|pair| pair[0] >= pair[1]) {
        return Err(fault(
            &shown,
            format!("{} stands after {}", pair[1], pair[0]),
            "give ascending values, each once",
        )
        .into());
    }
    if values.len() < 2 {
        return Err(
            fault(&shown, "a sweep needs more than one value", "give at least two values").into()
        );
    }
    if axis == Axis::Heads && values.iter().any(|v| *v > MOST_HEADS) {
        return Err(fault(&shown, "too many heads", format!("give at most {MOST_HEADS}")).into());
    }
    Ok(Wanted { axis, values })
}

/// Reads a value, or the doublings from A to B.
fn values(shown: &str, part: &str) -> Result<Vec<usize>, Fault> {
    let one = |part: &str| {
        size(part.trim()).map_err(|e| fault(shown, format!("{}: {e}", quoted(part)), FORM))
    };
    let Some((first, last)) = part.split_once("..") else { return Ok(vec![one(part)?]) };
    let (first, last) = (one(first)?, one(last)?);
    if first > last {
        return Err(fault(
            shown,
            format!("{first}..{last} goes down"),
            format!("use {last}..{first}"),
        ));
    }
    let doublings: Vec<usize> =
        std::iter::successors(Some(first), |v| Some(2 * v)).take_while(|v| *v <= last).collect();
    let nearest = doublings.last().copied().unwrap_or(first);
    if nearest != last {
        let hint =
            format!("use {first}..{nearest} or {first}..{}, or list the values", 2 * nearest);
        return Err(fault(shown, format!("doubling {first} does not lead to {last}"), hint));
    }
    Ok(doublings)
}

/// Refuses flags that have no effect with this sweep.
pub(super) fn check(wanted: &Wanted, args: &StepArgs, shape: &StepShape) -> Result<(), Fault> {
    let name = wanted.axis.name();
    match wanted.axis {
        Axis::Batch if args.batch.is_some() => {
            Err(fault(name, "--batch has no effect with this sweep", "leave --batch out"))
        }
        Axis::Trunk if shape.trunk.is_empty() => {
            Err(fault(name, "there is no trunk", "--trunk 128,128 says how many layers it has"))
        }
        Axis::Heads if shape.coupling.is_some() && wanted.values[0] == 1 => Err(fault(
            "heads=1",
            "--coupling ties pairs of heads",
            "begin with 2 heads, or leave --coupling out",
        )),
        _ => Ok(()),
    }
}

pub(super) fn run(
    wanted: &Wanted,
    shape: &StepShape,
    svg: Option<&Path>,
    machine: &Machine,
    console: &Console,
) -> Result<()> {
    let tell = |point: &sweep::SweepPoint| {
        if console.progress() != Progress::None {
            console.note(&format!(
                "{} {}: {:.3} ms",
                wanted.axis.name(),
                point.value,
                point.report.ms_per_step.median
            ));
        }
    };
    let sweep = sweep::sweep(shape, wanted.axis, &wanted.values, machine, tell)?;
    sweep
        .points
        .iter()
        .take(1)
        .filter_map(|point| point.report.fallback.as_ref())
        .for_each(|line| console.note(line));
    if console.json {
        console.result_json(&json!({"sweep": sweep}))?;
    } else {
        console.result(&report(&sweep, shape))?;
    }
    let Some(path) = svg else { return Ok(()) };
    write(path, &chart(&sweep, shape).svg())?;
    console.note(&format!("picture written to {}", path.display()));
    Ok(())
}

/// Checks before the measurement that its picture can be written afterwards. An existing file is
/// not changed.
///
/// # Errors
/// 73 if it cannot.
pub(super) fn check_svg(path: &Path) -> Result<(), Fault> {
    let opened = match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(_) => fs::remove_file(path),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {
            OpenOptions::new().write(true).open(path).map(drop)
        }
        Err(e) => Err(e),
    };
    opened.map_err(|e| cannot_create(path, &e))
}

fn write(path: &Path, svg: &str) -> Result<(), Fault> {
    let mut file = File::create(path).map_err(|e| cannot_create(path, &e))?;
    let failed =
        |e| Fault::new(Exit::Io, format!("{}: {e}", path.display())).hint("is the disk full?");
    file.write_all(svg.as_bytes()).map_err(failed)
}

fn cannot_create(path: &Path, error: &std::io::Error) -> Fault {
    Fault::new(Exit::CantCreate, format!("{}: cannot be created: {error}", path.display()))
        .hint("choose another --svg")
}

/// The table, the cost of one more unit, and the picture, as text.
fn report(sweep: &Sweep, shape: &StepShape) -> String {
    let first = &sweep.points[0].report;
    let place = format!("{} ({})", first.adapter, first.driver);
    format!(
        "{place}\n{}\n\n{}{}\n\n{}",
        rest(sweep, shape),
        table(sweep),
        cost(sweep),
        chart(sweep, shape).text()
    )
}

/// The sizes that are the same for all points of a sweep, as text.
fn rest(sweep: &Sweep, shape: &StepShape) -> String {
    let list = |sizes: &[usize]| sizes.iter().map(usize::to_string).collect::<Vec<_>>().join(",");
    let mut parts = vec![format!("{} inputs", shape.inputs)];
    parts.push(match sweep.axis {
        Axis::Trunk => format!("{} trunk layers", shape.trunk.len()),
        _ if shape.trunk.is_empty() => "no trunk".into(),
        _ => format!("trunk {}", list(&shape.trunk)),
    });
    parts.push(match sweep.axis {
        Axis::Heads => format!("{} classes each", shape.classes[0]),
        _ => format!("classes {}", list(&shape.classes)),
    });
    if sweep.axis != Axis::Batch {
        parts.push(format!("batch {}", shape.batch));
    }
    parts.extend(shape.coupling.iter().map(|kind| format!("coupling {kind}")));
    format!("{}; {} steps in {REPEATS} runs", parts.join(", "), sweep.points[0].report.steps)
}

fn cost(sweep: &Sweep) -> String {
    let m = &sweep.marginal;
    let slope = rounded(1e3 * m.ms_per_unit, 4);
    format!(
        "least squares: {slope} µs per additional {}, intercept {} ms",
        sweep.axis.unit(),
        rounded(m.intercept_ms, 4)
    )
}

/// One line per point; the last column is the slope from the point before.
fn table(sweep: &Sweep) -> String {
    let last = format!("µs per {}", sweep.axis.unit());
    let head = [
        sweep.axis.name(),
        "ms: min",
        "median",
        "dispatches",
        "MFLOP",
        "GFLOP/s",
        "buffer bytes",
        &last,
    ]
    .map(String::from);
    let slopes = std::iter::once(String::new())
        .chain(sweep.neighbours().into_iter().map(|ms| rounded(1e3 * ms, 4).to_string()));
    let line = |(point, slope): (&sweep::SweepPoint, String)| {
        let r = &point.report;
        let [min, median] = [r.ms_per_step.min, r.ms_per_step.median].map(|ms| format!("{ms:.3}"));
        let [mflop, gflops] =
            [r.flop_per_step as f64 / 1e6, r.gflop_per_s].map(|v| format!("{v:.2}"));
        [
            point.value.to_string(),
            min,
            median,
            r.dispatches_per_step.to_string(),
            mflop,
            gflops,
            r.buffer_bytes.to_string(),
            slope,
        ]
    };
    let lines = std::iter::once(head).chain(sweep.points.iter().zip(slopes).map(line));
    aligned(lines.collect(), [true; 8])
}

fn chart(sweep: &Sweep, shape: &StepShape) -> Chart {
    let report = &sweep.points[0].report;
    Chart {
        title: format!("A training step on {}", report.adapter),
        notes: vec![report.driver.clone(), rest(sweep, shape)],
        x: sweep.axis.title().into(),
        y: "ms per step, median".into(),
        points: sweep.points.iter().map(sweep::SweepPoint::median).collect(),
        line: [sweep.marginal.intercept_ms, sweep.marginal.ms_per_unit],
        fitted: cost(sweep),
    }
}
