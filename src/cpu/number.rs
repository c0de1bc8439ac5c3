//! f32 as the number type of twins. Its functions have no branches, so that loops over them become
//! vector instructions.

use crate::model::arena::Numbers;
use crate::reference::matrix::Matrix;
use crate::reference::real::Real;

impl Real for f32 {
    type Wide = f64;
    #[inline(always)]
    fn wide(self) -> f64 {
        f64::from(self)
    }
    #[inline(always)]
    fn narrow(sum: f64) -> f32 {
        sum as f32
    }
    #[inline(always)]
    fn of(value: f64) -> f32 {
        value as f32
    }
    #[inline(always)]
    fn within(value: f64, _magnitude: f64) -> f32 {
        value as f32
    }
    #[inline(always)]
    fn value(self) -> f64 {
        f64::from(self)
    }
    #[inline(always)]
    fn is_finite(self) -> bool {
        f32::is_finite(self)
    }
    fn saved(numbers: Vec<f32>) -> Numbers {
        Numbers::F32(numbers)
    }
    #[inline(always)]
    fn magnitude(self) -> f64 {
        f64::from(self.abs())
    }
    #[inline(always)]
    fn exp(self) -> f32 {
        exp(self)
    }
    fn ln(self) -> f32 {
        f32::ln(self)
    }
    #[inline(always)]
    fn sqrt(self) -> f32 {
        f32::sqrt(self)
    }
    #[inline(always)]
    fn tanh(self) -> f32 {
        tanh(self)
    }
    #[inline(always)]
    fn erf(self) -> f32 {
        erf(self)
    }
    #[inline(always)]
    fn step(self) -> f32 {
        if self > 0.0 { 1.0 } else { 0.0 }
    }
    fn product(a: Matrix<f32>, b: Matrix<f32>, inner: usize, sums: &mut [f32], columns: usize) {
        super::product::product(a, b, inner, sums, columns);
    }
}

/// The polynomial in x with these coefficients, that of the highest power first.
#[inline(always)]
fn polynomial<const N: usize>(x: f32, coefficients: [f32; N]) -> f32 {
    coefficients.into_iter().fold(0.0, |sum, c| sum * x + c)
}

/// 2^n by exponent bits, for −126 <= n <= 127.
#[inline(always)]
fn power_of_two(n: i32) -> f32 {
    f32::from_bits((n.wrapping_add(127) as u32) << 23)
}

/// e^x: range reduction by ln 2 in two parts, a polynomial of degree 7 (Cephes expf), and the
/// factor 2^n in two halves, which reach both ends of the range.
#[inline(always)]
fn exp(x: f32) -> f32 {
    // Added to a number below 2^22, its last bits are the nearest integer.
    const SHIFT: f32 = 12_582_912.0;
    let low = if x < -104.0 { -104.0 } else { x };
    let t = if low > 89.0 { 89.0 } else { low };
    let shifted = t * std::f32::consts::LOG2_E + SHIFT;
    let n = shifted - SHIFT;
    let r = (t - n * 0.693_359_4) + n * 2.121_944_4e-4;
    let p = polynomial(
        r,
        [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 5e-1],
    );
    let value = p * r * r + r + 1.0;
    let n = shifted.to_bits().wrapping_sub(SHIFT.to_bits()) as i32;
    let half = n >> 1;
    value * power_of_two(half) * power_of_two(n.wrapping_sub(half))
}

/// tanh x (Cephes tanhf): an odd polynomial near zero, through e^2|x| beyond.
#[inline(always)]
fn tanh(x: f32) -> f32 {
    let (a, s) = (x.abs(), x * x);
    let p = polynomial(
        s,
        [-5.704_988_7e-3, 2.063_908_8e-2, -5.373_971_6e-2, 1.333_144_2e-1, -3.333_328e-1],
    );
    let beyond = (1.0 - 2.0 / (exp(2.0 * a) + 1.0)).copysign(x);
    if a < 0.625 { p * s * x + x } else { beyond }
}

/// erf x (Cephes erff and erfcf): an odd polynomial below 1, the complement beyond.
#[inline(always)]
fn erf(x: f32) -> f32 {
    let (a, s) = (x.abs(), x * x);
    let near = x * polynomial(
        s,
        [
            7.853_861_4e-5,
            -8.010_193_6e-4,
            5.188_327_7e-3,
            -2.685_381_2e-2,
            1.128_358_5e-1,
            -3.761_262_6e-1,
            std::f32::consts::FRAC_2_SQRT_PI,
        ],
    );
    let b = if a > 6.0 { 6.0 } else { a };
    let q = 1.0 / b;
    let s = q * q;
    let low = polynomial(
        s,
        [
            2.326_82e-2,
            -1.387_039_4e-1,
            3.687_424_7e-1,
            -5.824_733e-1,
            6.210_004_6e-1,
            -4.944_515_3e-1,
            3.404_88e-1,
            -2.741_127e-1,
            5.638_259_4e-1,
        ],
    );
    let high = polynomial(
        s,
        [
            -1.047_766_4e1,
            1.297_719_9e1,
            -7.495_518_7,
            2.921_019,
            -1.015_265_3,
            4.218_463_4e-1,
            -2.820_767_4e-1,
            5.641_895e-1,
        ],
    );
    let beyond = (1.0 - exp(-b * b) * q * if b < 2.0 { low } else { high }).copysign(x);
    if a < 1.0 { near } else { beyond }
}
