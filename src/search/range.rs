//! A range of numbers: how they are spread, and how they read.

/// Digits that a number is rounded to.
const DIGITS: i32 = 4;
/// The largest number below 1.
pub(super) const BELOW_ONE: f64 = 1.0 - f64::EPSILON / 2.0;

/// How the numbers of a range are spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Evenly.
    Linear,
    /// Evenly in their logarithms; the bounds are above 0.
    Log,
}

/// Numbers between two bounds, both included.
#[derive(Clone, Debug, PartialEq)]
pub struct Range {
    /// The lowest number.
    pub low: f64,
    /// The highest number.
    pub high: f64,
    /// How the numbers are spread.
    pub scale: Scale,
    /// Whether only whole numbers are meant.
    pub whole: bool,
    /// Number of values in a grid.
    pub points: usize,
}

impl Range {
    /// The bounds between which a place is spread: with whole numbers half a step more on each
    /// side, so that every number has the same width; logarithms where the scale is so.
    fn spread(&self) -> [f64; 2] {
        let half = if self.whole { 0.5 } else { 0.0 };
        let ends = [self.low - half, self.high + half];
        match self.scale {
            Scale::Linear => ends,
            Scale::Log => ends.map(f64::ln),
        }
    }

    /// The number at a share of the width.
    pub(super) fn at(&self, share: f64) -> f64 {
        let [low, high] = self.spread();
        let place = low + share * (high - low);
        let number = match self.scale {
            Scale::Linear => place,
            Scale::Log => place.exp(),
        };
        self.neat(number)
    }

    /// The share of the width at which a number lies.
    pub(super) fn share(&self, number: f64) -> f64 {
        let [low, high] = self.spread();
        let place = match self.scale {
            Scale::Linear => number,
            Scale::Log => number.ln(),
        };
        let share = (place - low) / (high - low);
        if share.is_finite() { share.clamp(0.0, BELOW_ONE) } else { 0.0 }
    }

    /// The number rounded to [`DIGITS`] significant digits, or to as many as leave a hundred values
    /// between the bounds, and kept within these. A number next to a bound is that bound, and one
    /// next to 0 is 0.
    fn neat(&self, number: f64) -> f64 {
        let near = |mark: &f64| {
            let size = if self.scale == Scale::Log { *mark } else { self.high - self.low };
            (number - mark).abs() <= 1e-9 * size
        };
        let number = [self.low, self.high, 0.0].into_iter().find(near).unwrap_or(number);
        if number == self.low || number == self.high {
            return number;
        }
        let more = exponent(number) - exponent(self.high - self.low) + 3 - DIGITS;
        let rounded = round(number, (DIGITS + more.max(0)).min(17));
        let rounded = if self.whole { rounded.round() } else { rounded };
        // As `clamp`, which would panic where the bounds have changed places.
        rounded.max(self.low).min(self.high)
    }

    /// The numbers in a grid, from the lowest to the highest.
    pub(super) fn grid(&self) -> Vec<f64> {
        let last = self.points.saturating_sub(1);
        let number = |k: usize| match (k, self.scale) {
            (0, _) => self.low,
            (k, Scale::Linear) => self.low + k as f64 / last as f64 * (self.high - self.low),
            (k, Scale::Log) => self.low * (self.high / self.low).powf(k as f64 / last as f64),
        };
        let mut numbers: Vec<f64> = (0..self.points).map(|k| self.neat(number(k))).collect();
        // Few whole numbers may be fewer than the points.
        numbers.dedup();
        numbers
    }

    /// The number as TOML.
    pub(super) fn text(&self, number: f64) -> String {
        // Without a negative zero.
        let number = number + 0.0;
        if self.whole { format!("{number:.0}") } else { format!("{number:?}") }
    }
}

/// The exponent of ten of a number, 0 for 0.
fn exponent(number: f64) -> i32 {
    let text = format!("{number:e}");
    text.split_once('e').and_then(|(_, exponent)| exponent.parse().ok()).unwrap_or(0)
}

/// The number rounded to this many significant digits, by its decimal form: so every machine has
/// the same.
fn round(number: f64, digits: i32) -> f64 {
    let after = usize::try_from(digits - 1).unwrap_or(0);
    format!("{number:.after$e}").parse().unwrap_or(number)
}
