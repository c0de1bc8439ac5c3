//! The course of the learning rate, and the other numbers that change from step to step, computed
//! on the host in f64.

use crate::config::{Every, Optimizer, Schedule};
use crate::kernels::params::Step;
use crate::rng::{Purpose, bits};
use crate::run::train::loss_scale::LossScale;

/// The numbers of each step of a run.
#[derive(Clone, Debug)]
pub struct Course {
    optimizer: Optimizer,
    seed: u64,
    steps_per_epoch: u64,
    total: u64,
    /// Factor of all learning rates; it is halved with each roll-back.
    pub factor: f64,
    /// Scale of the gradients before matrix units round them.
    pub scale: LossScale,
}

impl Course {
    /// A course over `total` steps.
    pub fn new(optimizer: &Optimizer, seed: u64, steps_per_epoch: u64, total: u64) -> Course {
        Course {
            optimizer: optimizer.clone(),
            seed,
            steps_per_epoch,
            total,
            factor: 1.0,
            scale: LossScale::ONE,
        }
    }

    /// Learning rate of the 0-based step `t`: linear warm-up over the first `warmup_steps`, then
    /// the schedule over the rest.
    pub fn learning_rate(&self, t: u64) -> f64 {
        let (base, warmup) =
            (self.factor * self.optimizer.learning_rate, self.optimizer.warmup_steps);
        if t < warmup {
            return base * (t + 1) as f64 / warmup as f64;
        }
        let after = (t - warmup) as f64;
        match self.optimizer.schedule {
            Schedule::Constant => base,
            Schedule::Cosine => {
                let length = self.total.saturating_sub(warmup).max(1) as f64;
                base * 0.5 * (1.0 + (std::f64::consts::PI * (after / length).min(1.0)).cos())
            }
            Schedule::Step { step_size, gamma } => {
                let length = match step_size {
                    Every::Steps(n) => n,
                    Every::Epochs(n) => n * self.steps_per_epoch,
                };
                base * gamma.powf((after / length.max(1) as f64).floor())
            }
        }
    }

    /// The table entry of the 0-based step `t` for a batch of `rows` that begins at `first`; `slot`
    /// is its place in the submission.
    pub fn step(&self, t: u64, first: usize, rows: usize, slot: usize) -> Step {
        let learning_rate = self.learning_rate(t);
        let (correction1, correction2) = self.optimizer.kind.corrections(t + 1);
        let key = bits(self.seed, Purpose::Dropout, t, 0);
        let scale = (1u64 << self.scale.exponent_at(t)) as f32;
        Step {
            number: (t + 1) as u32,
            first: first as u32,
            rows: rows as u32,
            slot: slot as u32,
            learning_rate: learning_rate as f32,
            inverse_rows: (1.0 / rows as f64) as f32,
            step_size: (learning_rate / correction1) as f32,
            root_correction: (1.0 / correction2.sqrt()) as f32,
            key_low: key as u32,
            key_high: (key >> 32) as u32,
            delta_scale: scale,
            inverse_scale: 1.0 / scale,
            progress: (t as f64 / self.total.max(1) as f64).min(1.0) as f32,
        }
    }
}

/// The table entry of an evaluation step, which changes no parameters.
pub fn evaluation_step(number: u64, first: usize, rows: usize, slot: usize) -> Step {
    Step {
        number: number as u32,
        first: first as u32,
        rows: rows as u32,
        slot: slot as u32,
        inverse_rows: (1.0 / rows as f64) as f32,
        ..Step::default()
    }
}
