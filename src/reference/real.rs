//! The number types that twins are generic over: plain `f64`, and [`Bounded`], which carries a
//! rounding-error bound along. `cpu` adds `f32`.

use std::ops::{Add, AddAssign, Div, Mul, MulAssign, Neg, Sub, SubAssign};

use super::matrix::Matrix;
use crate::model::arena::Numbers;

/// A number as the twins use it.
pub trait Real:
    Copy
    + PartialOrd
    + From<f32>
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + SubAssign
    + MulAssign
    + std::fmt::Debug
    + Send
    + Sync
    + 'static
{
    /// The type in which sums of many terms are kept.
    type Wide: Real;
    /// The number as a term of such a sum.
    fn wide(self) -> Self::Wide;
    /// Such a sum as a number.
    fn narrow(sum: Self::Wide) -> Self;
    /// An exact constant, or a value that the device gets rounded.
    fn of(value: f64) -> Self;
    /// A value whose error is counted in units of this magnitude.
    fn within(value: f64, magnitude: f64) -> Self;
    /// Its value.
    fn value(self) -> f64;
    /// Whether the number is neither infinite nor NaN.
    fn is_finite(self) -> bool;
    /// Numbers as a checkpoint keeps them.
    fn saved(numbers: Vec<Self>) -> Numbers {
        Numbers::F64(numbers.into_iter().map(Self::value).collect())
    }
    /// The unit of its rounding errors: its own size, or the sum of the absolute terms that made
    /// it.
    fn magnitude(self) -> f64;
    /// e^x
    fn exp(self) -> Self;
    /// ln x
    fn ln(self) -> Self;
    /// √x
    fn sqrt(self) -> Self;
    /// tanh x
    fn tanh(self) -> Self;
    /// erf x
    fn erf(self) -> Self;
    /// 1 where x > 0, else 0.
    fn step(self) -> Self;

    /// Adds a · b to `sums`, which lies row by row with rows of `columns`; `inner` is the number of
    /// columns of a.
    fn product(a: Matrix<Self>, b: Matrix<Self>, inner: usize, sums: &mut [Self], columns: usize) {
        for (i, row) in sums.chunks_mut(columns).enumerate() {
            for (j, sum) in row.iter_mut().enumerate() {
                let (a, b) = (a.from(i, 0), b.from(0, j));
                for k in 0..inner {
                    *sum += a.elements[k * a.across] * b.elements[k * b.down];
                }
            }
        }
    }
}

impl Real for f64 {
    type Wide = f64;
    fn wide(self) -> f64 {
        self
    }
    fn narrow(sum: f64) -> f64 {
        sum
    }
    fn of(value: f64) -> f64 {
        value
    }
    fn within(value: f64, _magnitude: f64) -> f64 {
        value
    }
    fn value(self) -> f64 {
        self
    }
    fn is_finite(self) -> bool {
        f64::is_finite(self)
    }
    fn magnitude(self) -> f64 {
        self.abs()
    }
    fn exp(self) -> f64 {
        f64::exp(self)
    }
    fn ln(self) -> f64 {
        f64::ln(self)
    }
    fn sqrt(self) -> f64 {
        f64::sqrt(self)
    }
    fn tanh(self) -> f64 {
        f64::tanh(self)
    }
    fn erf(self) -> f64 {
        erf(self)
    }
    fn step(self) -> f64 {
        f64::from(u8::from(self > 0.0))
    }
}

/// erf x by the series of positive terms 2/√π · e^(−x²) · Σ 2^n x^(2n+1) / (2n+1)!! (Abramowitz and
/// Stegun, 7.1.6).
pub fn erf(x: f64) -> f64 {
    if x.abs() > 6.0 {
        return x.signum();
    }
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        term *= 2.0 * x * x / f64::from(2 * n + 1);
        sum += term;
        if term.abs() <= 1e-18 * sum.abs() {
            break;
        }
    }
    std::f64::consts::FRAC_2_SQRT_PI * (-x * x).exp() * sum
}

/// A value with its magnitude: times `C · eps` it bounds the error of the same computation in f32.
///
/// Two estimates are computed side by side, and the smaller one counts. `absolute` is the
/// computation on absolute values, as is usual for sums of products. `running` is the running error
/// analysis of Higham (*Accuracy and Stability of Numerical Algorithms*, section 3.3): inputs are
/// exact, and each operation adds its own rounding; it is the smaller one where few exact numbers
/// cancel. Functions multiply the error of their argument by their derivative and add their own
/// rounding.
#[derive(Clone, Copy, Debug)]
pub struct Bounded {
    value: f64,
    absolute: f64,
    running: f64,
}

impl Bounded {
    fn function(self, value: f64, slope: f64) -> Bounded {
        let magnitude = value.abs() + slope.abs() * self.magnitude();
        Bounded { value, absolute: magnitude, running: magnitude }
    }
}

impl PartialEq for Bounded {
    fn eq(&self, other: &Bounded) -> bool {
        self.value == other.value
    }
}

impl PartialOrd for Bounded {
    fn partial_cmp(&self, other: &Bounded) -> Option<std::cmp::Ordering> {
        self.value.partial_cmp(&other.value)
    }
}

impl From<f32> for Bounded {
    fn from(value: f32) -> Bounded {
        Bounded::of(f64::from(value))
    }
}

impl Add for Bounded {
    type Output = Bounded;
    fn add(self, o: Bounded) -> Bounded {
        let value = self.value + o.value;
        Bounded {
            value,
            absolute: self.absolute + o.absolute,
            running: self.running + o.running + value.abs(),
        }
    }
}

impl Sub for Bounded {
    type Output = Bounded;
    fn sub(self, o: Bounded) -> Bounded {
        self + -o
    }
}

impl Neg for Bounded {
    type Output = Bounded;
    fn neg(self) -> Bounded {
        Bounded { value: -self.value, ..self }
    }
}

impl Mul for Bounded {
    type Output = Bounded;
    fn mul(self, o: Bounded) -> Bounded {
        let (a, b, value) = (self.value.abs(), o.value.abs(), self.value * o.value);
        let running = self.running * b + a * o.running + value.abs();
        Bounded { value, absolute: self.absolute * b + a * (o.absolute - b), running }
    }
}

impl Div for Bounded {
    type Output = Bounded;
    fn div(self, o: Bounded) -> Bounded {
        let (a, b, value) = (self.value.abs(), o.value.abs(), self.value / o.value);
        let running = self.running / b + a / (b * b) * o.running + value.abs();
        Bounded { value, absolute: self.absolute / b + a / (b * b) * (o.absolute - b), running }
    }
}

impl AddAssign for Bounded {
    fn add_assign(&mut self, o: Bounded) {
        *self = *self + o;
    }
}

impl SubAssign for Bounded {
    fn sub_assign(&mut self, o: Bounded) {
        *self = *self - o;
    }
}

impl MulAssign for Bounded {
    fn mul_assign(&mut self, o: Bounded) {
        *self = *self * o;
    }
}

impl Real for Bounded {
    type Wide = Bounded;
    fn wide(self) -> Bounded {
        self
    }
    fn narrow(sum: Bounded) -> Bounded {
        sum
    }
    fn of(value: f64) -> Bounded {
        Bounded { value, absolute: value.abs(), running: 0.0 }
    }
    fn within(value: f64, magnitude: f64) -> Bounded {
        Bounded { value, absolute: magnitude, running: magnitude }
    }
    fn value(self) -> f64 {
        self.value
    }
    fn is_finite(self) -> bool {
        self.value.is_finite()
    }
    fn magnitude(self) -> f64 {
        self.absolute.min(self.running)
    }
    fn exp(self) -> Bounded {
        self.function(self.value.exp(), self.value.exp())
    }
    fn ln(self) -> Bounded {
        self.function(self.value.ln(), 1.0 / self.value)
    }
    fn sqrt(self) -> Bounded {
        if self.value == 0.0 {
            return self;
        }
        self.function(self.value.sqrt(), 0.5 / self.value.sqrt())
    }
    fn tanh(self) -> Bounded {
        let y = self.value.tanh();
        self.function(y, 1.0 - y * y)
    }
    fn erf(self) -> Bounded {
        self.function(
            erf(self.value),
            std::f64::consts::FRAC_2_SQRT_PI * (-self.value * self.value).exp(),
        )
    }
    /// Where rounding may change the sign of the argument, either result is right: the magnitude is
    /// such that an error of one is within `C · eps` of it as soon as the argument is.
    fn step(self) -> Bounded {
        let value = f64::from(u8::from(self.value > 0.0));
        let magnitude = if self.magnitude() > 0.0 {
            (self.magnitude() / self.value.abs()).min(1.0 / f64::from(f32::EPSILON))
        } else {
            0.0
        };
        Bounded { value, absolute: magnitude.max(value), running: magnitude }
    }
}
