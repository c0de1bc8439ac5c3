//! `[optimizer]`: the update rule and the course of the learning rate.

use super::interval::{Every, every};
use super::keys::form::{count, flag, number};
use super::keys::item::{BELOW_ONE, MOST, NOT_NEGATIVE, POSITIVE, Result};
use super::keys::{Keyed, Kind, Pass, names};

/// `[optimizer]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Optimizer {
    /// Update rule.
    pub kind: OptimizerKind,
    /// Base learning rate.
    pub learning_rate: f64,
    /// Weight decay: L2 in adam and sgd, decoupled in adamw.
    pub weight_decay: f64,
    /// Whether biases decay too.
    pub decay_biases: bool,
    /// Largest global gradient norm; 0 = off.
    pub clip_norm: f64,
    /// Course of the learning rate after the warm-up.
    pub schedule: Schedule,
    /// Steps over which the learning rate rises linearly from 0 (exclusive) to its base.
    pub warmup_steps: u64,
}

/// Update rule with its own constants.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OptimizerKind {
    /// Adam (Kingma and Ba, 2015); weight decay as L2.
    Adam {
        /// Decay of the first moment.
        beta1: f64,
        /// Decay of the second moment.
        beta2: f64,
        /// ε, added to the root of the second moment.
        eps: f64,
    },
    /// AdamW (Loshchilov and Hutter, 2019); weight decay decoupled.
    AdamW {
        /// Decay of the first moment.
        beta1: f64,
        /// Decay of the second moment.
        beta2: f64,
        /// ε, added to the root of the second moment.
        eps: f64,
    },
    /// Stochastic gradient descent, momentum as in PyTorch (no dampening).
    Sgd {
        /// Momentum; 0 = none.
        momentum: f64,
        /// Whether the momentum is Nesterov's.
        nesterov: bool,
    },
}

impl OptimizerKind {
    /// Number of arenas of moments that the rule keeps.
    pub fn moments(self) -> usize {
        match self {
            OptimizerKind::Adam { .. } | OptimizerKind::AdamW { .. } => 2,
            OptimizerKind::Sgd { .. } => 1,
        }
    }

    /// The rule for a number that is learned beside the parameters: whether it is gradient descent
    /// with momentum, else Adam's; then β1, or the momentum, β2 and ε.
    pub fn rule(self) -> (bool, [f64; 3]) {
        match self {
            OptimizerKind::Sgd { momentum, .. } => (true, [momentum, 0.0, 0.0]),
            OptimizerKind::Adam { beta1, beta2, eps }
            | OptimizerKind::AdamW { beta1, beta2, eps } => (false, [beta1, beta2, eps]),
        }
    }

    /// Divisors that remove the bias of the first and the second moment in update `t`, from 1 up:
    /// `1 − β₁^t` and `1 − β₂^t` (Kingma and Ba, 2015, algorithm 1); 1 for rules without a bias.
    pub fn corrections(self, t: u64) -> (f64, f64) {
        let t = t as f64;
        match self {
            OptimizerKind::Adam { beta1, beta2, .. }
            | OptimizerKind::AdamW { beta1, beta2, .. } => {
                (1.0 - beta1.powf(t), 1.0 - beta2.powf(t))
            }
            OptimizerKind::Sgd { .. } => (1.0, 1.0),
        }
    }
}

/// Course of the learning rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Schedule {
    /// The base rate throughout.
    Constant,
    /// ½ (1 + cos π t) per step, to 0 at the end (Loshchilov and Hutter, 2017, without restarts).
    Cosine,
    /// The rate is multiplied by `gamma` after every `step_size`.
    Step {
        /// How long each level lasts.
        step_size: Every,
        /// Factor.
        gamma: f64,
    },
}

impl Default for Optimizer {
    fn default() -> Optimizer {
        Optimizer {
            kind: KINDS[0].value,
            learning_rate: 1e-3,
            weight_decay: 0.0,
            decay_biases: true,
            clip_norm: 0.0,
            schedule: Schedule::Constant,
            warmup_steps: 0,
        }
    }
}

/// Update rules, the default first.
const KINDS: &[Kind<OptimizerKind>] = &[
    Kind { word: "adam", value: OptimizerKind::Adam { beta1: 0.9, beta2: 0.999, eps: 1e-8 } },
    Kind { word: "adamw", value: OptimizerKind::AdamW { beta1: 0.9, beta2: 0.999, eps: 1e-8 } },
    Kind { word: "sgd", value: OptimizerKind::Sgd { momentum: 0.0, nesterov: false } },
];

/// Courses of the learning rate, the default first.
const SCHEDULES: &[Kind<Schedule>] = &[
    Kind { word: "constant", value: Schedule::Constant },
    Kind { word: "cosine", value: Schedule::Cosine },
    Kind { word: "step", value: Schedule::Step { step_size: Every::Epochs(10), gamma: 0.1 } },
];

impl Keyed for Optimizer {
    fn keys(&mut self, pass: &mut Pass) -> Result<()> {
        pass.choice("kind", &mut self.kind, KINDS)?;
        pass.key("learning_rate").value(&mut self.learning_rate, &number(&POSITIVE))?;
        pass.own_keys(&mut self.kind, KINDS)?;
        pass.key("weight_decay").value(&mut self.weight_decay, &number(&NOT_NEGATIVE))?;
        pass.key("decay_biases").value(&mut self.decay_biases, &flag())?;
        pass.key("clip_norm").value(&mut self.clip_norm, &number(&NOT_NEGATIVE))?;
        pass.choice("schedule", &mut self.schedule, SCHEDULES)?;
        pass.own_keys(&mut self.schedule, SCHEDULES)?;
        pass.key("warmup_steps").value(&mut self.warmup_steps, &count(0..=MOST))
    }
}

impl Keyed for OptimizerKind {
    fn keys(&mut self, pass: &mut Pass) -> Result<()> {
        match self {
            OptimizerKind::Adam { beta1, beta2, eps }
            | OptimizerKind::AdamW { beta1, beta2, eps } => {
                pass.key("beta1").value(beta1, &number(&BELOW_ONE))?;
                pass.key("beta2").value(beta2, &number(&BELOW_ONE))?;
                pass.key("eps").value(eps, &number(&POSITIVE))
            }
            OptimizerKind::Sgd { momentum, nesterov } => {
                pass.key("momentum").value(momentum, &number(&BELOW_ONE))?;
                pass.key("nesterov").value(nesterov, &flag())?;
                match pass.reads() && *nesterov && *momentum == 0.0 {
                    true => Err(pass
                        .fault("nesterov", "has no effect without momentum")
                        .hint("set momentum, for example momentum = 0.9")),
                    false => Ok(()),
                }
            }
        }
    }
}

impl Keyed for Schedule {
    fn keys(&mut self, pass: &mut Pass) -> Result<()> {
        let Schedule::Step { step_size, gamma } = self else { return Ok(()) };
        pass.key("step_size").value(step_size, &every())?;
        pass.key("gamma").value(gamma, &number(&POSITIVE))
    }
}

pub(super) fn keys() -> Vec<&'static str> {
    names(&mut Optimizer::default())
}
