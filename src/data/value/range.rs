//! The numbers that a column had in the training part: what lies far outside of them is held near
//! them, by a smooth bend.

/// The numbers of a column in the training part.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Range {
    /// The smallest.
    pub low: f64,
    /// The largest.
    pub high: f64,
    /// Their standard deviation (population), above 0.
    pub deviation: f64,
    /// How many deviations beyond an end a number can come to lie; 0 = it stays where it is.
    pub clip: f64,
}

impl Range {
    /// The range of some numbers; `None` where it has no width, or one that no number can say.
    pub fn of(values: &[f64], clip: f64) -> Option<Range> {
        let mean = mean(values)?;
        let n = values.len() as f64;
        let deviation = values.iter().map(|x| (x - mean) * ((x - mean) / n)).sum::<f64>().sqrt();
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Some(Range { low, high, deviation, clip }).filter(|range| low < high && range.is_good())
    }

    /// Whether its numbers can be those of a range.
    pub fn is_good(&self) -> bool {
        let all = [self.low, self.high, self.deviation, self.clip];
        all.iter().all(|x| x.is_finite())
            && self.low <= self.high
            && self.deviation > 0.0
            && self.clip >= 0.0
    }

    /// How far beyond the nearer end a number lies, in standard deviations; 0 within the range.
    fn beyond(&self, x: f64) -> f64 {
        (x - self.high).max(self.low - x).max(0.0) / self.deviation
    }

    /// Whether a number lies more than one standard deviation beyond an end.
    pub fn is_far(&self, x: f64) -> bool {
        self.beyond(x) > 1.0
    }

    /// The number that stands for `x`: itself within the range; `d` deviations beyond an end, `c d
    /// / (c + d)` deviations beyond it, where `c` is `clip`. That leaves the end with slope 1 and
    /// never comes to `c`; it is rational, so its bits are the same everywhere.
    pub fn held(&self, x: f64) -> f64 {
        let d = self.beyond(x);
        if d <= 0.0 || self.clip == 0.0 {
            return x;
        }
        let by = self.deviation * (self.clip / (1.0 + self.clip / d));
        if x > self.high { self.high + by } else { self.low - by }
    }
}

/// The mean of some numbers, in a form that does not overflow; `None` without one.
pub fn mean(values: &[f64]) -> Option<f64> {
    let n = values.len() as f64;
    (!values.is_empty()).then(|| values.iter().map(|x| x / n).sum())
}
