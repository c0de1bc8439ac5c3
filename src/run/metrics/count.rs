//! Metrics of counts, from logarithms of rates.

use super::{Rows, finite, regression};

/// The rows, if every count is finite and not negative.
fn counted<'a>(log_rates: &[f64], counts: &[f64], weights: Option<&'a [f64]>) -> Option<Rows<'a>> {
    Rows::new(log_rates, 1, counts.len(), weights)?;
    let rows = Rows::new(counts, 1, counts.len(), weights)?;
    rows.iter().all(|(row, _)| counts[row] >= 0.0).then_some(rows)
}

/// Poisson deviance of one row, 2 (y ln(y / μ) − y + μ) with 0 ln 0 = 0. With d = ln μ − ln y it is
/// 2 y (e^d − 1 − d), which does not take the difference of two large numbers.
fn row_deviance(log_rate: f64, count: f64) -> f64 {
    if count > 0.0 {
        let d = log_rate - count.ln();
        2.0 * count * (d.exp_m1() - d)
    } else {
        2.0 * log_rate.exp()
    }
}

/// Mean Poisson deviance (McCullagh and Nelder, 1989).
pub fn deviance(log_rates: &[f64], counts: &[f64], weights: Option<&[f64]>) -> Option<f64> {
    counted(log_rates, counts, weights)?.mean(|row| row_deviance(log_rates[row], counts[row]))
}

/// D² = 1 − deviance / deviance of the mean count: the share of the deviance that is explained, R²
/// for counts. `None` where all counts are equal.
pub fn d2(log_rates: &[f64], counts: &[f64], weights: Option<&[f64]>) -> Option<f64> {
    let rows = counted(log_rates, counts, weights)?;
    if rows.constant(counts) {
        return None;
    }
    let mean = rows.mean(|row| counts[row])?.ln();
    let unexplained = rows.mean(|row| row_deviance(mean, counts[row]))?;
    finite(1.0 - deviance(log_rates, counts, weights)? / unexplained)
}

/// The rates, e^z.
fn rates(log_rates: &[f64]) -> Vec<f64> {
    log_rates.iter().map(|z| z.exp()).collect()
}

/// Mean absolute error of the rates.
pub fn mae(log_rates: &[f64], counts: &[f64], weights: Option<&[f64]>) -> Option<f64> {
    counted(log_rates, counts, weights)?;
    regression::mae(&rates(log_rates), counts, weights)
}

/// Root of the mean squared error of the rates.
pub fn rmse(log_rates: &[f64], counts: &[f64], weights: Option<&[f64]>) -> Option<f64> {
    counted(log_rates, counts, weights)?;
    regression::rmse(&rates(log_rates), counts, weights)
}
