//! Shares of dimensions, of functions whose shares are known.

use tandem::search::importance::importance;
use tandem::search::sobol;

/// The importance of three dimensions over n Sobol points.
fn shares(n: u64, score: impl Fn(u64, &[f64]) -> Option<f64>) -> Option<Vec<f64>> {
    let points: Vec<Vec<f64>> = (0..n).map(|at| sobol::point(3, at, 3)).collect();
    let scored = |(at, point): (u64, &Vec<f64>)| score(at, point);
    let scores: Vec<Option<f64>> = (0..n).zip(&points).map(scored).collect();
    let pairs: Vec<(&[f64], Option<f64>)> = points.iter().map(Vec::as_slice).zip(scores).collect();
    importance(&pairs, 3, 1)
}

fn near(found: &[f64], expected: [f64; 3], within: f64) {
    let is_near = found.iter().zip(expected).all(|(a, b)| (a - b).abs() < within);
    assert!(found.len() == 3 && is_near, "{found:?}, expected {expected:?}");
}

#[test]
fn shares_of_a_sum_are_those_of_its_variances() {
    // The variance of a u is a^2 / 12: 4 to 1 to 0.
    let sum = |_, point: &[f64]| Some(2.0 * point[0] + point[1]);
    near(&shares(128, sum).unwrap(), [0.8, 0.2, 0.0], 0.06);
    near(&shares(64, sum).unwrap(), [0.8, 0.2, 0.0], 0.1);
    // The scale of the scores is no matter, nor is a sign.
    let scaled = |_, point: &[f64]| Some(7e6 - 2e-3 * point[0] - 1e-3 * point[1]);
    near(&shares(128, scaled).unwrap(), [0.8, 0.2, 0.0], 0.06);
}

#[test]
fn shares_of_steps_are_those_of_choices() {
    // Three choices with 0, 0 and 3: variance 2; two with 0 and 2: variance 1.
    let steps = |_, point: &[f64]| {
        let third = if point[2] < 2.0 / 3.0 { 0.0 } else { 3.0 };
        Some(third + if point[1] < 0.5 { 0.0 } else { 2.0 })
    };
    near(&shares(128, steps).unwrap(), [0.0, 1.0 / 3.0, 2.0 / 3.0], 0.06);
    // What two dimensions explain together is a share of neither.
    let either = |_, point: &[f64]| Some(f64::from((point[0] < 0.5) != (point[1] < 0.5)));
    assert!(shares(128, either).unwrap().iter().sum::<f64>() < 0.2);
}

#[test]
fn failed_points_are_left_out() {
    let sum = |at: u64, point: &[f64]| match at % 6 {
        0 => None,
        3 => Some(f64::NAN),
        _ => Some(2.0 * point[0] + point[1]),
    };
    near(&shares(256, sum).unwrap(), [0.8, 0.2, 0.0], 0.06);
}

#[test]
fn nothing_is_said_of_few_scores_or_of_equal_ones() {
    assert_eq!(shares(64, |_, _| Some(0.1)), None);
    assert_eq!(shares(64, |_, _| None), None);
    assert_eq!(shares(0, |_, _| Some(0.1)), None);
    assert_eq!(shares(7, |_, point| Some(point[0])), None);
    assert!(shares(8, |_, point| Some(point[0])).is_some());
    assert_eq!(shares(64, |at, _| (at < 7).then_some(at as f64)), None);
    // Scores that overflow where they are scaled.
    assert_eq!(shares(64, |at, _| Some(if at % 2 == 0 { 1.7e308 } else { -1.7e308 })), None);
}
