//! Metrics of a network as it stands, and its logits.

use anyhow::Result;

use super::learning_rate::evaluation_step;
use super::point::{Sums, TaskPoint};
use crate::objective::Objective;
use crate::schedule::build::Built;
use crate::schedule::{Engine, SLOTS, Slice};

/// Metrics of one part: (L, tasks, couplings).
pub type Measured = (f64, Vec<TaskPoint>, Vec<f64>);

/// Evaluates a part. `number` is what its steps are called where a value is not finite; `per_submission` bounds the work in flight.
pub fn evaluate(
    engine: &mut dyn Engine,
    built: &Built,
    objective: &Objective,
    part: usize,
    number: u64,
    per_submission: usize,
) -> Result<Measured> {
    let (rows, batch) = (built.parts[part].shape.rows, built.evaluate_rows);
    let mut sums = Sums::new(built.logits.len(), objective.pairs.len());
    let batches: Vec<usize> = (0..rows).step_by(batch).collect();
    for group in batches.chunks(per_submission.clamp(1, SLOTS)) {
        let step = |(slot, &first): (usize, &usize)| evaluation_step(number, first, batch.min(rows - first), slot);
        engine.submit(built.evaluate[part], &group.iter().enumerate().map(step).collect::<Vec<_>>())?;
    }
    for result in engine.collect(true)? {
        sums.add(&built.program.metrics, &result, f64::from(result.rows));
    }
    Ok(sums.means(objective, true))
}

/// Logits of the rows of a part, batch by batch: `take` gets the first row and, per task, [rows, classes].
pub fn logits(engine: &mut dyn Engine, built: &Built, part: usize, mut take: impl FnMut(usize, Vec<Vec<f32>>) -> Result<()>) -> Result<()> {
    let (rows, batch) = (built.parts[part].shape.rows, built.evaluate_rows);
    for first in (0..rows).step_by(batch) {
        let count = batch.min(rows - first);
        engine.submit(built.evaluate[part], &[evaluation_step(1, first, count, 0)])?;
        engine.collect(true)?;
        let of_task = |&(offset, classes): &(usize, usize)| Slice { buffer: built.buffers.logits, first: offset, len: count * classes };
        let slices: Vec<Slice> = built.logits.iter().map(of_task).collect();
        take(first, slices.into_iter().map(|slice| engine.download(slice)).collect::<Result<_>>()?)?;
    }
    Ok(())
}
