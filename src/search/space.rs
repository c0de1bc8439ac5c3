//! The settings that are searched. Each key is a dimension, and a coordinate in [0, 1) says which
//! of its values is meant.

use super::range::BELOW_ONE;
pub use super::range::{Range, Scale};

/// The share of the unit interval that a range has beside other values, which have 1 each.
pub(super) const RANGE_SHARE: f64 = 4.0;

/// A key that is searched: a range of numbers, other values beside or instead of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Dimension {
    /// The key.
    pub key: String,
    /// The numbers.
    pub range: Option<Range>,
    /// The other values, as TOML: `0`, `[64]`, `"mmoe"`.
    pub others: Vec<String>,
}

/// The keys that are searched.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Space {
    /// One for each key.
    pub dimensions: Vec<Dimension>,
}

/// A value of a key.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    /// The value as TOML.
    pub text: String,
    /// The number that it is, if it is one.
    pub number: Option<f64>,
}

/// The place of a coordinate in its dimension.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Place {
    /// In the range, at this share of its width.
    Within(f64),
    /// One of the other values.
    Other(usize),
}

impl Dimension {
    /// The share of the unit interval that the range has.
    fn range_share(&self) -> f64 {
        let others = self.others.len() as f64;
        if self.range.is_some() { RANGE_SHARE / (RANGE_SHARE + others) } else { 0.0 }
    }

    /// The place of a coordinate.
    pub(super) fn place(&self, u: f64) -> Place {
        let u = u.clamp(0.0, BELOW_ONE);
        let range = self.range_share();
        if u < range {
            return Place::Within(u / range);
        }
        let count = self.others.len();
        let other = ((u - range) / (1.0 - range) * count as f64) as usize;
        Place::Other(other.min(count.saturating_sub(1)))
    }

    /// The coordinate of a place; of another value the middle of its share.
    pub(super) fn coordinate(&self, place: Place) -> f64 {
        let range = self.range_share();
        match place {
            // A share is below 1, so this is below the other values.
            Place::Within(share) => share * range,
            Place::Other(other) => {
                let share = (other as f64 + 0.5) / self.others.len().max(1) as f64;
                (range + share * (1.0 - range)).min(BELOW_ONE)
            }
        }
    }

    /// The probability of the range, and then of each other value, where all coordinates are alike
    /// probable.
    pub(super) fn shares(&self) -> Vec<f64> {
        let range = self.range_share();
        let count = self.others.len();
        let mut shares = vec![range];
        shares.extend((0..count).map(|_| (1.0 - range) / count as f64));
        shares
    }

    /// The value at a coordinate; `None` where the key has no value at all.
    fn value(&self, u: f64) -> Option<Value> {
        match (self.place(u), &self.range) {
            (Place::Within(share), Some(range)) => {
                let number = range.at(share);
                Some(Value { text: range.text(number), number: Some(number) })
            }
            (Place::Within(_), None) => None,
            (Place::Other(other), _) => {
                let text = self.others.get(other)?.clone();
                let number = text.replace('_', "").parse().ok();
                Some(Value { text, number: number.filter(|number: &f64| number.is_finite()) })
            }
        }
    }

    /// The coordinates of a grid: those of the range, then those of the other values.
    fn grid(&self) -> Vec<f64> {
        let numbers = self.range.iter().flat_map(|range| {
            range.grid().into_iter().map(|number| Place::Within(range.share(number)))
        });
        let others = (0..self.others.len()).map(Place::Other);
        numbers.chain(others).map(|place| self.coordinate(place)).collect()
    }
}

impl Space {
    /// The value of a dimension at a coordinate u in [0, 1). A range beside n other values has four
    /// shares of the unit interval and each other value one; without a range each value has one.
    /// Numbers are rounded to four significant digits, to more where these would leave fewer than a
    /// hundred values, and kept within the bounds. `None` where there is no such dimension, or it
    /// has no value.
    pub fn value(&self, dimension: usize, u: f64) -> Option<Value> {
        self.dimensions.get(dimension)?.value(u)
    }

    /// The values of a point, as TOML.
    pub fn texts(&self, point: &[f64]) -> Vec<String> {
        let text = |(at, u): (usize, &f64)| self.value(at, *u).map(|value| value.text);
        point.iter().enumerate().filter_map(text).collect()
    }

    /// The grid: every combination of values once, the last dimension counting fastest.
    pub fn grid(&self) -> Grid {
        Grid { axes: self.dimensions.iter().map(Dimension::grid).collect() }
    }

    /// Number of combinations of the grid; `None` where it overflows.
    pub fn combinations(&self) -> Option<usize> {
        self.grid().combinations()
    }
}

/// The combinations of a grid.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Grid {
    /// The coordinates of each dimension.
    axes: Vec<Vec<f64>>,
}

impl Grid {
    /// Number of combinations; `None` where it overflows.
    pub fn combinations(&self) -> Option<usize> {
        self.axes.iter().try_fold(1usize, |product, axis| product.checked_mul(axis.len()))
    }

    /// The point of a combination; `None` past the last one.
    pub fn point(&self, combination: usize) -> Option<Vec<f64>> {
        let mut rest = combination;
        let mut point = Vec::with_capacity(self.axes.len());
        for axis in self.axes.iter().rev() {
            point.push(*axis.get(rest.checked_rem(axis.len())?)?);
            rest /= axis.len();
        }
        point.reverse();
        (rest == 0).then_some(point)
    }
}
