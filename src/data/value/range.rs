//! The range of the numbers of a column in the training part. A number far outside of it is moved
//! near it by a smooth bend.

/// The range of the numbers of a column in the training part.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Range {
    /// The smallest number.
    pub low: f64,
    /// The largest number.
    pub high: f64,
    /// The standard deviation of the numbers (population), above 0.
    pub deviation: f64,
    /// How many standard deviations beyond an end of the range a number can be at most after
    /// [`Range::held`]; 0 = it is not moved.
    pub clip: f64,
}

impl Range {
    /// The range of some numbers; `None` if it has no width, or a width that is not finite.
    pub fn of(values: &[f64], clip: f64) -> Option<Range> {
        let mean = mean(values)?;
        let n = values.len() as f64;
        let deviation = values.iter().map(|x| (x - mean) * ((x - mean) / n)).sum::<f64>().sqrt();
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Some(Range { low, high, deviation, clip }).filter(|range| low < high && range.is_good())
    }

    /// Whether this can be the range of some numbers.
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

    /// The number that stands for `x`. Within the range it is `x` itself. If `x` lies `d`
    /// deviations beyond an end, it is the number that lies `c d / (c + d)` deviations beyond it,
    /// where `c` is `clip`. This bend leaves the end with slope 1 and stays below `c`; it is a
    /// rational function, so its bits are the same on every machine.
    pub fn held(&self, x: f64) -> f64 {
        let d = self.beyond(x);
        if d <= 0.0 || self.clip == 0.0 {
            return x;
        }
        let by = self.deviation * (self.clip / (1.0 + self.clip / d));
        if x > self.high { self.high + by } else { self.low - by }
    }
}

/// The mean of some numbers, computed so that no sum overflows; `None` if there are no numbers.
pub fn mean(values: &[f64]) -> Option<f64> {
    let n = values.len() as f64;
    (!values.is_empty()).then(|| values.iter().map(|x| x / n).sum())
}
