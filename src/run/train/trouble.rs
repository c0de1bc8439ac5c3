//! The reaction to a value that is not finite. The kernels see to it that neither the step that
//! made it nor any later step changes a parameter.

use anyhow::Result;

use super::{Ended, Observer};
use crate::config::{BatchSize, OnNan, TaskKind};
use crate::data::{Features, UNLABELLED};
use crate::fault::{Exit, Fault};
use crate::model::layout::Block;
use crate::model::network::Head;
use crate::run::train::loss_scale::LossScale;
use crate::run::train::outcome::Next;
use crate::run::train::step_loop::Run;
use crate::schedule::{Flag, FlagKind, NotFinite, Program};

/// The run ends at the step that would be the tenth skipped in a row.
const MOST_SKIPPED: u64 = 10;

/// How often a run goes back to a checkpoint before it ends.
const MOST_ROLLBACKS: u64 = 3;

/// Number of rows of a batch that a message names.
const NAMED: usize = 8;

impl Run<'_> {
    /// Does what the settings say if a value was not finite.
    pub(super) fn trouble(&mut self, observer: &mut dyn Observer) -> Result<Next> {
        let Some(found) = self.engine.not_finite() else { return Ok(Next::Continue) };
        self.take(true, observer)?;
        let is_step = found.step == (self.done + 1) as u32;
        if let Some(scale) = self.overflow(&found).filter(|_| is_step) {
            self.course.scale = scale;
            observer.rescaled(self.done + 1, f64::from(scale.exponent).exp2());
            return self.leave_out(observer).map(|()| Next::Continue);
        }
        let fault = self.explain(&found, is_step)?;
        match self.plan.config.train.on_nan {
            OnNan::Skip if is_step && self.skipped + 1 < MOST_SKIPPED => {
                observer.trouble(&fault, "the step is skipped");
                self.skip(observer).map(|()| Next::Continue)
            }
            OnNan::Rollback if self.rollbacks < MOST_ROLLBACKS => self.roll_back(&fault, observer),
            _ => Ok(Next::Stop(Ended::NotFinite(fault))),
        }
    }

    /// The next smaller scale, if only gradients were not finite and their scale may be the cause:
    /// it may have been too large for f16.
    fn overflow(&self, found: &NotFinite) -> Option<LossScale> {
        let flags = &self.built.program.flags;
        let of_gradients = [FlagKind::Gradient, FlagKind::BalancedGradient, FlagKind::GradientNorm];
        let is_gradient =
            |flag: &usize| flags.get(flag - 1).is_some_and(|f| of_gradients.contains(&f.kind));
        let scale = self.course.scale;
        scale
            .after_overflow(self.done)
            .filter(|_| scale.grows && found.flags.iter().all(is_gradient))
    }

    /// Skips the step that was not finite.
    fn skip(&mut self, observer: &mut dyn Observer) -> Result<()> {
        self.skipped += 1;
        self.leave_out(observer)
    }

    /// Counts the step as done; it changed no parameter.
    fn leave_out(&mut self, observer: &mut dyn Observer) -> Result<()> {
        self.engine.forgive()?;
        self.done += 1;
        self.submitted = self.done;
        self.log(observer)
    }

    /// Goes back to the last checkpoint, with half the learning rate.
    fn roll_back(&mut self, fault: &Fault, observer: &mut dyn Observer) -> Result<Next> {
        let Some(good) = self.good.clone() else {
            return Ok(Next::Stop(Ended::NotFinite(fault.clone())));
        };
        let (factor, rollbacks, before) =
            (self.course.factor / 2.0, self.rollbacks + 1, self.seconds_before);
        self.engine.forgive()?;
        self.restore(&good)?;
        (self.course.factor, self.rollbacks, self.seconds_before) = (factor, rollbacks, before);
        observer.trouble(
            fault,
            &format!("back to step {}, the learning rate times {factor}", good.steps),
        );
        observer.cut_back(&good)?;
        Ok(Next::RolledBack)
    }

    /// The fault, with gradient norm, rows and a possible cause if it happened in a training step.
    fn explain(&mut self, found: &NotFinite, is_step: bool) -> Result<Fault> {
        let learning_rate = self.course.learning_rate(u64::from(found.step.max(1)) - 1);
        let mut fault = not_finite(&self.built.program, found, learning_rate);
        if is_step {
            let rows = self.rows_of_next();
            fault.message +=
                &format!(", gradient norm {}, {}", self.gradient_norm()?, named(&rows));
            if let Some(cause) = self.cause(&rows) {
                fault.hint = fault.hint.map(|hint| format!("{cause}; {hint}"));
            }
        } else {
            fault.message = format!("in validation after {}", fault.message);
        }
        Ok(fault)
    }

    /// The rows of the training part in the batch of the next step.
    fn rows_of_next(&self) -> Vec<u32> {
        let places = self.places_of(self.done);
        match self.plan.config.train.batch_size {
            BatchSize::Full => places.map(|row| row as u32).collect(),
            BatchSize::Rows(_) => self.order[places].to_vec(),
        }
    }

    /// The norm of the gradient of the next step, for a message. Running that step once more
    /// changes no parameter.
    fn gradient_norm(&mut self) -> Result<String> {
        let submitted = std::mem::replace(&mut self.submitted, self.done);
        self.submit(1)?;
        self.submitted = submitted;
        self.engine.collect(true)?;
        let whole = self.engine.program().whole(self.built.buffers.gradients);
        let gradients = self.engine.download(whole)?;
        let bad = gradients.iter().filter(|g| !g.is_finite()).count();
        let squares: f64 =
            gradients.iter().filter(|g| g.is_finite()).map(|g| f64::from(*g).powi(2)).sum();
        let is_bad =
            |block: &&Block| gradients[block.offset..][..block.len].iter().any(|g| !g.is_finite());
        Ok(match self.plan.layout.blocks.iter().find(is_bad) {
            None => format!("{:.3e}", squares.sqrt()),
            Some(block) => {
                format!("not finite ({bad} of its numbers, the first in {})", block.name)
            }
        })
    }

    /// The largest input, label or weight of the rows, if it is larger than 10,000.
    fn cause(&self, rows: &[u32]) -> Option<String> {
        let all = [self.largest_input(rows), self.largest_label(rows), self.largest_weight(rows)];
        let (number, what) =
            all.into_iter().flatten().max_by(|a, b| size(a.0).total_cmp(&size(b.0)))?;
        (size(number) > 1e4).then(|| format!("{what} is {number:e}"))
    }

    /// The largest input of the rows, with a name for it.
    fn largest_input(&self, rows: &[u32]) -> Option<(f32, String)> {
        let data = &self.plan.parts.train;
        let Features::F32(numbers) = &data.features else { return None };
        let width = data.width();
        let input = |&(row, input): &(u32, usize)| numbers[row as usize * width + input];
        let all = rows.iter().flat_map(|&row| (0..width).map(move |input| (row, input)));
        let found = all.max_by(|a, b| size(input(a)).total_cmp(&size(input(b))))?;
        Some((input(&found), format!("input {} of row {}", found.1, found.0)))
    }

    /// The largest label of the rows for tasks whose labels are numbers, with a name for it.
    fn largest_label(&self, rows: &[u32]) -> Option<(f32, String)> {
        let (labels, network) = (&self.plan.parts.train.labels, &self.plan.network);
        let of_numbers = |(_, head): &(usize, &Head)| {
            matches!(head.kind, TaskKind::Regression | TaskKind::Count)
        };
        let columns =
            network.tasks.iter().enumerate().filter(of_numbers).flat_map(|(task, head)| {
                let first = network.first_cell(task);
                (first..first + head.cells()).map(move |column| (column, &head.name))
            });
        let cells = columns.flat_map(|(column, task)| {
            rows.iter().map(move |&row| (labels[column][row as usize], row, task))
        });
        let numbers = cells
            .filter(|(word, ..)| *word != UNLABELLED)
            .map(|(word, row, task)| (f32::from_bits(word), row, task));
        let (number, row, task) = numbers.max_by(|a, b| size(a.0).total_cmp(&size(b.0)))?;
        Some((number, format!("the label of row {row} for task \"{task}\"")))
    }

    /// The largest weight of the rows, with a name for it.
    fn largest_weight(&self, rows: &[u32]) -> Option<(f32, String)> {
        let weights = self.plan.parts.train.weights.as_ref()?;
        let weight = |row: &u32| weights[*row as usize];
        let row = *rows.iter().max_by(|a, b| size(weight(a)).total_cmp(&size(weight(b))))?;
        Some((weight(&row), format!("the weight of row {row}")))
    }
}

/// The absolute value of a number; infinity for NaN.
fn size(number: f32) -> f32 {
    if number.is_nan() { f32::INFINITY } else { number.abs() }
}

/// A list of rows for a message, such as `rows 3, 17 of the training part, from 0`.
fn named(rows: &[u32]) -> String {
    let some: Vec<String> = rows.iter().take(NAMED).map(u32::to_string).collect();
    let more =
        if rows.len() > NAMED { format!(", … ({} in all)", rows.len()) } else { String::new() };
    format!("rows {}{more} of the training part, from 0", some.join(", "))
}

/// The fault of a value that was not finite (3).
pub fn not_finite(program: &Program, found: &NotFinite, learning_rate: f64) -> Fault {
    let flags = found.flags.iter().filter_map(|i| Some((*i as i64, program.flags.get(i - 1)?)));
    // Within a step values are computed from the first layer to the last, and gradients from the
    // last to the first; the first of them is the cause.
    let order = |(i, flag): &(i64, &Flag)| {
        (flag.kind, if flag.kind == FlagKind::Gradient { -i } else { *i })
    };
    let flag = flags.min_by_key(order).map(|(_, flag)| flag);
    let what = match flag {
        Some(f) => match &f.task {
            Some(task) => format!("task \"{task}\": {f}"),
            None => format!("trunk: {f}"),
        },
        None => "a value".into(),
    };
    let message =
        format!("step {}: {what} is not finite (learning rate {learning_rate:e})", found.step);
    let hint = match flag.map(|flag| flag.kind) {
        Some(FlagKind::LossLogarithm) => {
            "a loss of 0 or below has no logarithm: choose a balance.method without one, such as \
             \"uncertainty\""
        }
        _ => {
            "lower optimizer.learning_rate, set optimizer.clip_norm, or look for extreme feature \
             values"
        }
    };
    Fault::new(Exit::NotFinite, message).hint(hint)
}
