//! What gradients are multiplied by before matrix units round them.

use serde::{Deserialize, Serialize};

/// Dynamic loss scaling (Micikevicius et al., "Mixed precision training", ICLR 2018): gradients are
/// brought into the range of f16 by a power of two, which doubles after so many steps without an
/// overflow and is halved by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossScale {
    /// The exponent of the power of two at step `since`.
    pub exponent: u32,
    /// The 0-based step from which on doublings are counted.
    pub since: u64,
    /// Whether it doubles: operands are f16.
    pub grows: bool,
}

impl LossScale {
    /// None, for products whose operands are f32.
    pub const ONE: LossScale = LossScale { exponent: 0, since: 0, grows: false };
    /// The start, as PyTorch's `GradScaler` has it.
    pub const HALF: LossScale = LossScale { exponent: 16, since: 0, grows: true };
    /// Steps after which it doubles.
    pub const INTERVAL: u64 = 2000;
    /// The largest one.
    pub const MOST: u32 = 24;

    /// The exponent at the 0-based step `t`.
    pub fn exponent_at(&self, t: u64) -> u32 {
        let doublings =
            if self.grows { t.saturating_sub(self.since) / LossScale::INTERVAL } else { 0 };
        (u64::from(self.exponent) + doublings).min(LossScale::MOST.into()) as u32
    }

    /// What it is after an overflow at the 0-based step `t`; `None` where it can't be less.
    pub fn after_overflow(&self, t: u64) -> Option<LossScale> {
        let exponent = self.exponent_at(t).checked_sub(1)?;
        Some(LossScale { exponent, since: t + 1, ..*self })
    }
}
