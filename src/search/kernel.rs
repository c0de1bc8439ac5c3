//! A density over the points of a space: a mean of kernels, one for each point that is known and
//! one that is flat.
//!
//! A kernel is a product over the dimensions (Falkner, Klein and Hutter, "BOHB", ICML 2018). In a
//! range it is a normal density that is cut off at the bounds; between values it is that of
//! Aitchison and Aitken (1976). Where a range stands beside other values, the choice between them
//! comes first: two numbers of the range are near or far, another value is neither.

use std::sync::atomic::{AtomicU64, Ordering};

use statrs::distribution::{Continuous, ContinuousCDF, Normal};

use super::draw::Draw;
use super::space::{Dimension, Place, Space};

pub static TUNE: [AtomicU64; 8] = [const { AtomicU64::new(0) }; 8];
pub fn tune(at: usize) -> u64 {
    TUNE[at].load(Ordering::Relaxed)
}

/// The kernels of one dimension.
struct Axis<'s> {
    dimension: &'s Dimension,
    /// The probability of each choice, the range first, in the flat kernel.
    shares: Vec<f64>,
    /// The part of a kernel that is flat over the choices.
    flat: f64,
    /// The width of a kernel in the range.
    width: f64,
}

/// The number of a choice: 0 is the range.
fn choice(place: Place) -> usize {
    match place {
        Place::Within(_) => 0,
        Place::Other(other) => other + 1,
    }
}

/// The density of a normal kernel between 0 and 1, cut off at both.
fn cut_density(center: f64, width: f64, at: f64) -> Option<f64> {
    let normal = Normal::new(center, width).ok()?;
    Some(normal.pdf(at) / (normal.cdf(1.0) - normal.cdf(0.0)))
}

/// The number of such a kernel below which a share u of its probability lies.
fn cut_quantile(center: f64, width: f64, u: f64) -> Option<f64> {
    let normal = Normal::new(center, width).ok()?;
    let [low, high] = [0.0, 1.0].map(|end| normal.cdf(end));
    let number = normal.inverse_cdf(low + u * (high - low));
    number.is_finite().then(|| number.clamp(0.0, 1.0 - f64::EPSILON))
}

impl Axis<'_> {
    /// The density of a kernel at a place; without a center it is flat.
    fn density(&self, center: Option<Place>, at: Place) -> f64 {
        let share = self.shares.get(choice(at)).copied().unwrap_or(0.0);
        let Some(center) = center else { return share };
        let is_same = choice(center) == choice(at);
        let chosen = self.flat * share + if is_same { 1.0 - self.flat } else { 0.0 };
        match (center, at) {
            (Place::Within(center), Place::Within(at)) => {
                chosen * cut_density(center, self.width, at).unwrap_or(1.0)
            }
            _ => chosen,
        }
    }

    /// A place drawn from a kernel.
    fn sample(&self, center: Option<Place>, draw: &mut Draw) -> Place {
        let [which, u, within] = [draw.uniform(), draw.uniform(), draw.uniform()];
        match center.filter(|_| which >= self.flat) {
            Some(Place::Within(center)) => {
                Place::Within(cut_quantile(center, self.width, within).unwrap_or(within))
            }
            Some(other) => other,
            None => match (self.dimension.place(u), center) {
                (Place::Within(_), Some(Place::Within(center))) => {
                    Place::Within(cut_quantile(center, self.width, within).unwrap_or(within))
                }
                (place, _) => place,
            },
        }
    }
}

/// A density over the points of a space.
pub(super) struct Density<'s> {
    axes: Vec<Axis<'s>>,
    centers: Vec<Vec<Place>>,
}

/// The places of a point.
pub(super) fn places(space: &Space, point: &[f64]) -> Vec<Place> {
    space.dimensions.iter().zip(point).map(|(dimension, u)| dimension.place(*u)).collect()
}

impl<'s> Density<'s> {
    /// The density around these points.
    pub(super) fn new(space: &'s Space, points: &[&[f64]]) -> Density<'s> {
        let kernels = points.len() as f64 + 1.0;
        let dims = space.dimensions.len() as f64;
        let axis = |dimension: &'s Dimension| {
            let shares = dimension.shares();
            let choices = shares.iter().filter(|share| **share > 0.0).count() as f64;
            let flat = if choices > 1.0 { choices / (choices + kernels) } else { 0.0 };
            let base = if tune(5) == 0 { 0.2 } else { tune(5) as f64 / 100.0 };
            let width = match tune(4) {
                0 => base * kernels.powf(-1.0 / (dims + 4.0)),
                1 => (base * kernels.powf(-1.0 / 5.0)).max(1.0 / (kernels + 1.0).min(100.0)),
                _ => {
                    (base * kernels.powf(-1.0 / (dims + 4.0))).max(1.0 / (kernels + 1.0).min(100.0))
                }
            };
            Axis { dimension, shares, flat, width }
        };
        Density {
            axes: space.dimensions.iter().map(axis).collect(),
            centers: points.iter().map(|point| places(space, point)).collect(),
        }
    }

    /// The logarithm of the density at places of a point.
    pub(super) fn log(&self, at: &[Place]) -> f64 {
        if tune(3) == 1 {
            // univariate
            return self
                .axes
                .iter()
                .enumerate()
                .map(|(d, axis)| {
                    let sum: f64 = self
                        .centers
                        .iter()
                        .map(|c| axis.density(c.get(d).copied(), at[d]))
                        .sum::<f64>()
                        + axis.density(None, at[d]);
                    (sum / (self.centers.len() as f64 + 1.0)).ln()
                })
                .sum();
        }
        let kernel = |center: Option<&Vec<Place>>| -> f64 {
            let axes = self.axes.iter().zip(at).enumerate();
            axes.map(|(d, (axis, at))| {
                axis.density(center.and_then(|center| center.get(d)).copied(), *at)
            })
            .product()
        };
        let sum: f64 = self.centers.iter().map(|center| kernel(Some(center))).sum();
        ((sum + kernel(None)) / (self.centers.len() as f64 + 1.0)).ln()
    }

    /// A point that is drawn, as places.
    pub(super) fn sample(&self, draw: &mut Draw) -> Vec<Place> {
        let mut number = draw.below(self.centers.len() + 1);
        let axes = self.axes.iter().enumerate();
        axes.map(|(d, axis)| {
            if tune(3) == 1 {
                number = draw.below(self.centers.len() + 1);
            }
            let center = self.centers.get(number);
            axis.sample(center.and_then(|center| center.get(d)).copied(), draw)
        })
        .collect()
    }
}
