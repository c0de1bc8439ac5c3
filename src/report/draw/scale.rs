//! An axis: how numbers become places from 0 to 1, and which numbers it names.

use crate::measure::chart::rounded;
use crate::text::short;

/// The factor beyond which positive numbers are shown on a logarithmic axis, where that is allowed.
const WIDE: f64 = 50.0;
/// The largest number of ticks.
const TICKS: f64 = 6.0;

/// How numbers become places.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    low: f64,
    high: f64,
    /// Whether it is logarithmic.
    pub is_log: bool,
    /// Whether only whole numbers have ticks.
    is_whole: bool,
}

impl Scale {
    /// An axis from `low` to `high`.
    pub fn fixed(low: f64, high: f64) -> Scale {
        Scale { low, high, is_log: false, is_whole: false }
    }

    /// An axis that holds all numbers of `values` below 1e130 with a little room, logarithmic where
    /// that is allowed and they are positive and span more than a factor of 50. `None` if there is
    /// none.
    pub fn of(values: impl Iterator<Item = f64>, may_be_log: bool) -> Option<Scale> {
        // Quotients of numbers within these bounds neither overflow nor vanish.
        let known =
            values.filter(|x| x.abs() < 1e130).map(|x| if x.abs() < 1e-130 { 0.0 } else { x });
        let range = known.fold(None, |range: Option<[f64; 2]>, x| {
            let [low, high] = range.unwrap_or([x, x]);
            Some([low.min(x), high.max(x)])
        });
        let [low, high] = range?;
        if may_be_log && low > 0.0 && high > WIDE * low {
            let room = (high / low).powf(0.04);
            return Some(Scale { is_log: true, ..Scale::fixed(low / room, high * room) });
        }
        let room = match high - low {
            span if span > 1e-9 * high.abs().max(low.abs()) => 0.05 * span,
            _ => 0.05 * high.abs().max(1e-3),
        };
        Some(Scale::fixed(low - room, high + room))
    }

    /// A logarithmic axis that holds all numbers of `values` between 1e-130 and 1e130 with a little
    /// room. `None` if there is none.
    pub fn log(values: impl Iterator<Item = f64>) -> Option<Scale> {
        let logs = values.filter(|x| (1e-130..1e130).contains(x)).map(f64::log10);
        let Scale { low, high, .. } = Scale::of(logs, false)?;
        // A single number has a factor of 1.5 on either side.
        let widen = (0.176 - (high - low) / 2.0).max(0.0);
        let [low, high] = [low - widen, high + widen].map(|x| 10f64.powf(x));
        Some(Scale { is_log: true, ..Scale::fixed(low, high) })
    }

    /// An axis of whole numbers, such as epochs.
    pub fn whole(values: impl Iterator<Item = f64>) -> Option<Scale> {
        Scale::of(values, false).map(|scale| Scale { is_whole: true, ..scale })
    }

    /// The place of a number.
    pub fn place(&self, value: f64) -> f64 {
        if self.is_log {
            (value / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        }
    }

    /// The places of round numbers, with their texts.
    pub fn ticks(&self) -> Vec<(f64, String)> {
        let powers = if self.is_log { self.powers() } else { Vec::new() };
        // Between two powers there may be none.
        let values = if powers.len() > 1 { powers } else { self.even() };
        values.into_iter().map(|value| (self.place(value), short(rounded(value, 6)))).collect()
    }

    fn holds(&self, value: f64) -> bool {
        (0.0..=1.0).contains(&self.place(value))
    }

    /// Powers of ten if there are at least three, thinned where they are many; else 1, 2 and 5
    /// times powers of ten.
    fn powers(&self) -> Vec<f64> {
        let decade = |x: f64| x.log10().floor() as i32;
        let decades = decade(self.low)..=decade(self.high) + 1;
        let of = |factors: &[f64], every: usize| -> Vec<f64> {
            let decades = decades.clone().step_by(every);
            let all = decades.flat_map(|e| factors.iter().map(move |f| f * 10f64.powi(e)));
            all.filter(|value| self.holds(*value)).collect()
        };
        let tens = of(&[1.0], 1);
        match tens.len() {
            0..3 => of(&[1.0, 2.0, 5.0], 1),
            count => of(&[1.0], count.div_ceil(TICKS as usize)),
        }
    }

    fn even(&self) -> Vec<f64> {
        let wish = (self.high - self.low) / TICKS;
        let unit = 10f64.powf(wish.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|f| f * unit).into_iter().find(|s| *s >= wish);
        let step = step.unwrap_or(wish).max(if self.is_whole { 1.0 } else { 0.0 });
        let first = (self.low / step).ceil();
        let tick = |k: u32| {
            let value = (first + f64::from(k)) * step;
            // 0.30000000000000004, and zeros that are not quite zero.
            if value.abs() < 1e-9 * step { 0.0 } else { rounded(value, 12) }
        };
        (0..=2 * TICKS as u32).map(tick).filter(|value| self.holds(*value)).collect()
    }
}
