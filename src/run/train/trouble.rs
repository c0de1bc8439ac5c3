//! What is done when a value is not finite: the step that made it changed nothing, and neither did any after it.

use anyhow::Result;

use super::run::Run;
use super::{Ended, Observer};
use crate::config::{BatchSize, OnNan};
use crate::data::Features;
use crate::fault::{Exit, Fault};
use crate::schedule::{NotFinite, Program};

/// Steps in a row that are skipped before the run ends.
const MOST_SKIPPED: u64 = 10;

/// Times that a run goes back to a checkpoint before it ends.
const MOST_ROLLBACKS: u64 = 3;

/// Rows of a batch that are named.
const NAMED: usize = 8;

/// How a run goes on.
pub(super) enum Way {
    /// Forward.
    On,
    /// From an earlier step.
    Back,
    /// Not at all.
    End(Ended),
}

impl Way {
    /// The end, where there is no other reason for one.
    pub(super) fn or(self, ended: Ended) -> Way {
        if let Way::End(_) = self { self } else { Way::End(ended) }
    }
}

impl Run<'_> {
    /// Looks whether a value was not finite, and does what the settings say.
    pub(super) fn trouble(&mut self, observer: &mut dyn Observer) -> Result<Way> {
        let Some(found) = self.engine.not_finite() else { return Ok(Way::On) };
        self.take(true, observer)?;
        let is_step = found.step == (self.done + 1) as u32;
        let fault = self.explain(&found, is_step)?;
        match self.plan.config.train.on_nan {
            OnNan::Skip if is_step && self.skipped + 1 < MOST_SKIPPED => {
                observer.trouble(&fault, "the step is skipped");
                self.skip(observer).map(|()| Way::On)
            }
            OnNan::Rollback if self.rollbacks < MOST_ROLLBACKS => self.roll_back(&fault, observer),
            _ => Ok(Way::End(Ended::NotFinite(fault))),
        }
    }

    fn skip(&mut self, observer: &mut dyn Observer) -> Result<()> {
        self.engine.forgive()?;
        (self.done, self.skipped) = (self.done + 1, self.skipped + 1);
        self.submitted = self.done;
        self.log(observer)
    }

    fn roll_back(&mut self, fault: &Fault, observer: &mut dyn Observer) -> Result<Way> {
        let Some(good) = self.good.clone() else { return Ok(Way::End(Ended::NotFinite(fault.clone()))) };
        let (factor, rollbacks, before) = (self.course.factor / 2.0, self.rollbacks + 1, self.seconds_before);
        self.engine.forgive()?;
        self.restore(&good)?;
        (self.course.factor, self.rollbacks, self.seconds_before) = (factor, rollbacks, before);
        observer.trouble(fault, &format!("back to step {}, the learning rate times {factor}", good.steps));
        observer.cut_back(good.points, good.steps == good.validated)?;
        Ok(Way::Back)
    }

    /// The sentence, with what the step was made of.
    fn explain(&mut self, found: &NotFinite, is_step: bool) -> Result<Fault> {
        let learning_rate = self.course.learning_rate(u64::from(found.step.max(1)) - 1);
        let mut fault = not_finite(&self.built.program, found, learning_rate);
        if is_step {
            let rows = self.rows_of_next();
            fault.message += &format!(", gradient norm {}, {}", self.gradient_norm()?, named(&rows));
            if let Some(cause) = self.largest(&rows) {
                fault.hint = fault.hint.map(|hint| format!("{cause}; {hint}"));
            }
        }
        Ok(fault)
    }

    /// Rows of the training part in the batch of the first step that is not done.
    fn rows_of_next(&self) -> Vec<u32> {
        let (rows, batch) = (self.plan.parts.train.rows, self.plan.batch);
        let first = (self.done % self.plan.steps_per_epoch) as usize * batch;
        let places = first..(first + batch).min(rows);
        match self.plan.config.train.batch_size {
            BatchSize::Full => places.map(|row| row as u32).collect(),
            BatchSize::Rows(_) => self.order[places].to_vec(),
        }
    }

    /// The norm of that step's gradient; running it once more changes nothing.
    fn gradient_norm(&mut self) -> Result<String> {
        let submitted = std::mem::replace(&mut self.submitted, self.done);
        self.submit(1)?;
        self.submitted = submitted;
        self.engine.collect(true)?;
        let whole = self.engine.program().whole(self.built.buffers.gradients);
        let gradients = self.engine.download(whole)?;
        let bad = gradients.iter().filter(|g| !g.is_finite()).count();
        let squares: f64 = gradients.iter().filter(|g| g.is_finite()).map(|g| f64::from(*g).powi(2)).sum();
        Ok(if bad == 0 { format!("{:.3e}", squares.sqrt()) } else { format!("not finite ({bad} of its numbers)") })
    }

    /// The largest input of the rows, where it is large.
    fn largest(&self, rows: &[u32]) -> Option<String> {
        let data = &self.plan.parts.train;
        let Features::F32(numbers) = &data.features else { return None };
        let width = data.width();
        let cells = rows.iter().flat_map(|&row| (0..width).map(move |input| (row, input)));
        let size = |&(row, input): &(u32, usize)| {
            let number = numbers[row as usize * width + input];
            if number.is_nan() { f32::INFINITY } else { number.abs() }
        };
        let (row, input) = cells.max_by(|a, b| size(a).total_cmp(&size(b)))?;
        let number = numbers[row as usize * width + input];
        (size(&(row, input)) > 1e4).then(|| format!("input {input} of row {row} is {number:e}"))
    }
}

/// `rows 3, 17 of the training part`
fn named(rows: &[u32]) -> String {
    let some: Vec<String> = rows.iter().take(NAMED).map(u32::to_string).collect();
    let more = if rows.len() > NAMED { format!(", … ({} in all)", rows.len()) } else { String::new() };
    format!("rows {}{more} of the training part, from 0", some.join(", "))
}

/// The sentence for a value that was not finite.
pub fn not_finite(program: &Program, found: &NotFinite, learning_rate: f64) -> Fault {
    let flag = found.flags.iter().filter_map(|i| program.flags.get(i - 1)).min_by_key(|f| rank(&f.tensor));
    let what = match flag {
        Some(f) => match &f.task {
            Some(task) => format!("task \"{task}\": {}", f.tensor),
            None => format!("trunk: {}", f.tensor),
        },
        None => "a value".into(),
    };
    let message = format!("step {}: {what} is not finite (learning rate {learning_rate:e})", found.step);
    let hint = "lower optimizer.learning_rate, set optimizer.clip_norm, or look for extreme feature values";
    Fault::new(Exit::NotFinite, message).hint(hint)
}

/// Order in which values are made within a step: the first cause is named.
fn rank(tensor: &str) -> usize {
    ["pre-activation", "loss", "agreement", "gradient of", "soft_sharing", "gradient norm"]
        .iter()
        .position(|k| tensor.starts_with(k))
        .unwrap_or(6)
}
