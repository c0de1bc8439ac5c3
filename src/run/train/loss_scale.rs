//! The scale of the gradients where matrix units round them to f16.

use serde::{Deserialize, Serialize};

/// Dynamic loss scaling (Micikevicius et al., "Mixed precision training", ICLR 2018): gradients are
/// multiplied by a power of two, which brings them into the range of f16. It doubles after every
/// [`LossScale::INTERVAL`] steps without an overflow, and an overflow halves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossScale {
    /// The exponent of the power of two at step `since`.
    pub exponent: u32,
    /// The 0-based step from which doublings are counted.
    pub since: u64,
    /// Whether it doubles, which is where operands are f16.
    pub grows: bool,
}

impl LossScale {
    /// A constant scale of 1, for products whose operands are f32.
    pub const ONE: LossScale = LossScale { exponent: 0, since: 0, grows: false };
    /// The scale at the start, which is that of PyTorch's `GradScaler`.
    pub const HALF: LossScale = LossScale { exponent: 16, since: 0, grows: true };
    /// Steps without an overflow after which the scale doubles.
    pub const INTERVAL: u64 = 2000;
    /// The largest exponent.
    pub const MOST: u32 = 24;

    /// The exponent at the 0-based step `t`.
    pub fn exponent_at(&self, t: u64) -> u32 {
        let doublings =
            if self.grows { t.saturating_sub(self.since) / LossScale::INTERVAL } else { 0 };
        (u64::from(self.exponent) + doublings).min(LossScale::MOST.into()) as u32
    }

    /// The scale after an overflow at the 0-based step `t`; `None` if it cannot be halved.
    pub fn after_overflow(&self, t: u64) -> Option<LossScale> {
        let exponent = self.exponent_at(t).checked_sub(1)?;
        Some(LossScale { exponent, since: t + 1, ..*self })
    }
}
