//! A density over the points of a space: a mean of kernels, one for each point that is known and
//! one that is flat.
//!
//! A kernel is a product over the dimensions (Falkner, Klein and Hutter, "BOHB", ICML 2018). In a
//! range it is a normal density that is cut off at the bounds; between values it is that of
//! Aitchison and Aitken (1976). Where a range stands beside other values, the choice between them
//! comes first: two numbers of the range are near or far, another value is neither.

use statrs::distribution::{Continuous, ContinuousCDF, Normal};

use super::draw::Draw;
use super::space::{Dimension, Place, Space};

/// The width of a kernel, as a share of a range, where there is one kernel in one dimension.
const WIDTH: f64 = 0.15;

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

    /// A place drawn from a kernel; without a center it is flat.
    fn sample(&self, center: Option<&Place>, draw: &mut Draw) -> Place {
        let [which, choice, share] = [draw.uniform(), draw.uniform(), draw.uniform()];
        let place = match center {
            Some(center) if which >= self.flat => *center,
            _ => self.dimension.place(choice),
        };
        match (place, center) {
            (Place::Within(_), Some(Place::Within(center))) => {
                Place::Within(cut_quantile(*center, self.width, share).unwrap_or(share))
            }
            (Place::Within(_), _) => Place::Within(share),
            (other, _) => other,
        }
    }
}

/// A density over the points of a space.
pub(super) struct Density<'s> {
    axes: Vec<Axis<'s>>,
    centers: Vec<Vec<Place>>,
}

impl<'s> Density<'s> {
    /// The density around these points. The width of a kernel is proportional to n^(-1/(d+4))
    /// (Scott, "Multivariate density estimation", 1992, section 6.3).
    pub(super) fn new(space: &'s Space, points: &[&[f64]]) -> Density<'s> {
        let kernels = points.len() as f64 + 1.0;
        let width = WIDTH * kernels.powf(-1.0 / (space.dimensions.len() as f64 + 4.0));
        let axis = |dimension: &'s Dimension| {
            let shares = dimension.shares();
            let choices = shares.iter().filter(|share| **share > 0.0).count() as f64;
            let flat = if choices > 1.0 { choices / (choices + kernels) } else { 0.0 };
            Axis { dimension, shares, flat, width }
        };
        let places = |point: &&[f64]| {
            space.dimensions.iter().zip(*point).map(|(dimension, u)| dimension.place(*u)).collect()
        };
        Density {
            axes: space.dimensions.iter().map(axis).collect(),
            centers: points.iter().map(places).collect(),
        }
    }

    /// The logarithm of the density at a point, given by its places.
    pub(super) fn log(&self, at: &[Place]) -> f64 {
        let axes = || self.axes.iter().zip(at);
        let around = |center: &Vec<Place>| -> f64 {
            let pairs = axes().zip(center);
            pairs.map(|((axis, at), center)| axis.density(Some(*center), *at)).product()
        };
        let flat: f64 = axes().map(|(axis, at)| axis.density(None, *at)).product();
        let sum = flat + self.centers.iter().map(around).sum::<f64>();
        (sum / (self.centers.len() as f64 + 1.0)).ln()
    }

    /// The places of a point that is drawn.
    pub(super) fn sample(&self, draw: &mut Draw) -> Vec<Place> {
        let center = self.centers.get(draw.below(self.centers.len() + 1));
        let axes = self.axes.iter().enumerate();
        axes.map(|(at, axis)| axis.sample(center.and_then(|center| center.get(at)), draw)).collect()
    }
}
