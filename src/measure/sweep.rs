//! Measures a training step for growing batches, trunks or numbers of heads: the time of a step,
//! and of one more row, unit or head.

use anyhow::{Context, Result};
use serde::Serialize;

use crate::measure::step::{self, StepReport, StepShape};
use crate::run::machine::Machine;

/// The axis of a sweep: what grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Axis {
    /// The rows of a step.
    Batch,
    /// The width of every trunk layer; the shape gives their number.
    Trunk,
    /// The number of heads, each with as many classes as the first head of the shape.
    Heads,
}

impl Axis {
    /// All axes.
    pub const ALL: [Axis; 3] = [Axis::Batch, Axis::Trunk, Axis::Heads];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Axis::Batch => "batch",
            Axis::Trunk => "trunk",
            Axis::Heads => "heads",
        }
    }

    /// The unit of a value, in the singular.
    pub fn unit(self) -> &'static str {
        match self {
            Axis::Batch => "row",
            Axis::Trunk => "unit of width",
            Axis::Heads => "head",
        }
    }

    /// The title of the axis in pictures.
    pub fn title(self) -> &'static str {
        match self {
            Axis::Batch => "batch, rows of a step",
            Axis::Trunk => "trunk, units of each layer",
            Axis::Heads => "number of heads",
        }
    }

    /// The shape at a value of the sweep. All shapes have one data set, with at least as many rows
    /// as the largest batch.
    fn shape(self, base: &StepShape, values: &[usize], value: usize) -> StepShape {
        let mut shape = base.clone();
        match self {
            Axis::Batch => shape.batch = value,
            Axis::Trunk => shape.trunk.fill(value),
            Axis::Heads => shape.classes = vec![base.classes[0]; value],
        }
        let batches = if self == Axis::Batch { values } else { &[base.batch] };
        shape.rows = batches.iter().copied().fold(base.rows, usize::max);
        shape
    }
}

/// A step measured at one value of the axis.
#[derive(Clone, Debug, Serialize)]
pub struct SweepPoint {
    /// Number of rows, units or heads.
    pub value: usize,
    /// The measurement.
    #[serde(flatten)]
    pub report: StepReport,
}

impl SweepPoint {
    /// The value and the median of a step in milliseconds.
    pub fn median(&self) -> [f64; 2] {
        [self.value as f64, self.report.ms_per_step.median]
    }
}

/// The straight line through the points of a sweep by least squares, in milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Marginal {
    /// Milliseconds for one more row, unit or head.
    pub ms_per_unit: f64,
    /// Milliseconds where the line meets a value of 0.
    pub intercept_ms: f64,
}

impl Marginal {
    /// The line for at least two points (value, milliseconds) with different values.
    pub fn of(points: &[[f64; 2]]) -> Marginal {
        let mean = |i: usize| points.iter().map(|p| p[i]).sum::<f64>() / points.len() as f64;
        let (x, y) = (mean(0), mean(1));
        let covariance: f64 = points.iter().map(|p| (p[0] - x) * (p[1] - y)).sum();
        let variance: f64 = points.iter().map(|p| (p[0] - x).powi(2)).sum();
        let ms_per_unit = covariance / variance;
        Marginal { ms_per_unit, intercept_ms: y - ms_per_unit * x }
    }
}

/// The report that `bench step --sweep` prints.
#[derive(Clone, Debug, Serialize)]
pub struct Sweep {
    /// The axis: what grows.
    pub axis: Axis,
    /// The points, by ascending value.
    pub points: Vec<SweepPoint>,
    /// The line through the medians of all points.
    pub marginal: Marginal,
}

impl Sweep {
    /// Milliseconds for one more row, unit or head, between each two neighbouring points.
    pub fn neighbours(&self) -> Vec<f64> {
        let pairs = self.points.windows(2).map(|pair| [pair[0].median(), pair[1].median()]);
        pairs.map(|pair| Marginal::of(&pair).ms_per_unit).collect()
    }
}

/// Measures a step at each of at least two ascending values, and hands each point to `tell`. All
/// networks are checked before the first measurement.
///
/// # Errors
/// A network that the machine has no room for; a device that is lost or out of memory.
pub fn sweep(
    base: &StepShape,
    axis: Axis,
    values: &[usize],
    machine: &Machine,
    mut tell: impl FnMut(&SweepPoint),
) -> Result<Sweep> {
    let shapes: Vec<StepShape> =
        values.iter().map(|value| axis.shape(base, values, *value)).collect();
    let place = |value: &usize| format!("{}={value}", axis.name());
    for (value, shape) in values.iter().zip(&shapes) {
        step::check(shape, machine).with_context(|| place(value))?;
    }
    let mut points = Vec::new();
    for (value, shape) in values.iter().zip(&shapes) {
        let report = step::step(shape, machine.clone()).with_context(|| place(value))?;
        let point = SweepPoint { value: *value, report };
        tell(&point);
        points.push(point);
    }
    let marginal = Marginal::of(&points.iter().map(SweepPoint::median).collect::<Vec<_>>());
    Ok(Sweep { axis, points, marginal })
}
