//! The Parzen estimators find better settings than Sobol points and plain random ones, on Branin's
//! function and on a space of a rate, a choice, a range beside 0 and whole numbers.

use std::f64::consts::PI;

use tandem::rng::{Purpose, uniform};
use tandem::search::course::{Course, Method, Settings};
use tandem::search::sobol;
use tandem::search::space::{Dimension, Range, Scale, Space};
use tandem::search::tpe::{Known, propose};

const SEEDS: u64 = 20;

fn dimension(range: Option<(f64, f64, Scale, bool)>, others: &[&str]) -> Dimension {
    let range = range.map(|(low, high, scale, whole)| Range { low, high, scale, whole, points: 5 });
    Dimension {
        key: "k".into(),
        range,
        others: others.iter().map(|other| String::from(*other)).collect(),
    }
}

fn number(space: &Space, point: &[f64], at: usize) -> f64 {
    space.value(at, point[at]).unwrap().number.unwrap()
}

/// A function to be made small, whose lowest value is 0.
struct Problem {
    space: Space,
    regret: fn(&Space, &[f64]) -> f64,
}

fn branin() -> Problem {
    let regret = |space: &Space, point: &[f64]| {
        let (x, y) = (number(space, point, 0), number(space, point, 1));
        let arc = y - 5.1 / (4.0 * PI * PI) * x * x + 5.0 / PI * x - 6.0;
        arc * arc + 10.0 * (1.0 - 1.0 / (8.0 * PI)) * x.cos() + 10.0 - 0.397_887
    };
    let x = dimension(Some((-5.0, 10.0, Scale::Linear, false)), &[]);
    let y = dimension(Some((0.0, 15.0, Scale::Linear, false)), &[]);
    Problem { space: Space { dimensions: vec![x, y] }, regret }
}

fn mixed() -> Problem {
    let regret = |space: &Space, point: &[f64]| {
        let rate = number(space, point, 0).log10();
        let (offset, best) = match space.value(1, point[1]).unwrap().text.as_str() {
            "\"shared\"" => (0.1, -3.0),
            "\"mmoe\"" => (0.0, -2.5),
            _ => (0.2, -3.0),
        };
        let dropout = match number(space, point, 2) {
            0.0 => 0.08,
            dropout => (dropout - 0.25).powi(2),
        };
        let width = number(space, point, 3).log2();
        offset + 0.15 * (rate - best).powi(2) + dropout + 0.02 * (width - 6.5).powi(2)
    };
    let dimensions = vec![
        dimension(Some((1e-5, 1.0, Scale::Log, false)), &[]),
        dimension(None, &["\"shared\"", "\"mmoe\"", "\"cross\""]),
        dimension(Some((0.05, 0.8, Scale::Linear, false)), &["0"]),
        dimension(Some((8.0, 512.0, Scale::Log, true)), &[]),
    ];
    Problem { space: Space { dimensions }, regret }
}

/// The lowest value that a method finds.
fn found(problem: &Problem, method: Method, trials: usize, workers: usize, seed: u64) -> f64 {
    let settings = Settings { method, trials, fixed: 0, workers, seed, eta: 3, shares: vec![1.0] };
    let mut course = Course::new(settings, problem.space.clone());
    let mut best = f64::INFINITY;
    while !course.is_over() {
        for job in course.ready() {
            let regret = (problem.regret)(&problem.space, course.point(job.trial).unwrap());
            best = best.min(regret);
            course.tell(job, Some(-regret));
        }
    }
    best
}

/// The lowest value of plain random points.
fn plain(problem: &Problem, trials: usize, seed: u64) -> f64 {
    let count = problem.space.dimensions.len();
    let draw = |index| uniform(seed, Purpose::Synthetic, 99, index as u64);
    let point = |trial| (0..count).map(|at| draw(trial * count + at)).collect::<Vec<f64>>();
    let regret = |trial| (problem.regret)(&problem.space, &point(trial));
    (0..trials).map(regret).fold(f64::INFINITY, f64::min)
}

fn is_better(problem: &Problem, trials: usize, workers: usize) {
    let of = |find: &dyn Fn(u64) -> f64| (0..SEEDS).map(find).collect::<Vec<f64>>();
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let tpe = of(&|seed| found(problem, Method::Tpe, trials, workers, seed));
    let others = [
        of(&|seed| found(problem, Method::Random, trials, workers, seed)),
        of(&|seed| plain(problem, trials, seed)),
    ];
    for other in others {
        let wins = tpe.iter().zip(&other).filter(|(a, b)| a < b).count();
        let (mean, of_other) = (mean(&tpe), mean(&other));
        assert!(mean < 0.6 * of_other && wins >= 14, "{mean}, {of_other}, {wins} wins");
    }
}

#[test]
fn estimators_beat_random_points_on_branin() {
    is_better(&branin(), 40, 1);
    is_better(&branin(), 64, 8);
}

#[test]
fn estimators_beat_random_points_on_a_mixed_space() {
    is_better(&mixed(), 40, 8);
    is_better(&mixed(), 64, 1);
}

/// Points of one range, on a grid, with a score each.
fn line(score: impl Fn(f64) -> Option<f64>) -> Vec<(Vec<f64>, Option<f64>)> {
    (0..20).map(|n| (f64::from(n) + 0.5) / 20.0).map(|u| (vec![u], score(u))).collect()
}

/// The points that are proposed for 100 trials.
fn proposed(known: &[(Vec<f64>, Option<f64>)], pending: &[&[f64]]) -> Vec<f64> {
    let space = Space { dimensions: vec![dimension(Some((0.0, 1.0, Scale::Linear, false)), &[])] };
    let scored: Vec<(&[f64], Option<f64>)> =
        known.iter().map(|(point, score)| (point.as_slice(), *score)).collect();
    let known = Known { scored: &scored, pending };
    (0..100).map(|trial| propose(&space, &known, |_| true, 1, trial).unwrap()[0]).collect()
}

fn share(points: &[f64], low: f64, high: f64) -> f64 {
    points.iter().filter(|u| (low..high).contains(*u)).count() as f64 / points.len() as f64
}

#[test]
fn proposals_lie_near_good_points_and_far_from_failed_ones() {
    let rising = proposed(&line(Some), &[]);
    assert!(share(&rising, 0.7, 1.0) > 0.9, "{rising:?}");
    // The same where every point above 0.5 has failed.
    let half = line(|u| (u < 0.5).then_some(u));
    let half = proposed(&half, &[]);
    assert!(share(&half, 0.25, 0.55) > 0.8, "{half:?}");
    assert!(rising.iter().chain(&half).all(|u| (0.0..1.0).contains(u)));
}

/// The share of 100 proposals whose value is good, where the points with such values were better.
fn chosen(dimension: Dimension, is_good: fn(&str) -> bool) -> f64 {
    let space = Space { dimensions: vec![dimension] };
    let good = |point: &[f64]| is_good(&space.texts(point).join(""));
    let points: Vec<Vec<f64>> = (0..40).map(|n| sobol::point(1, n, 1)).collect();
    let scored: Vec<(&[f64], Option<f64>)> =
        points.iter().map(|point| (point.as_slice(), Some(f64::from(good(point))))).collect();
    let known = Known { scored: &scored, pending: &[] };
    let propose = |trial: &usize| propose(&space, &known, |_| true, 1, *trial).unwrap();
    (0..100).filter(|trial| good(&propose(trial))).count() as f64 / 100.0
}

#[test]
fn proposals_choose_what_was_good() {
    let beside = || dimension(Some((0.5, 1.0, Scale::Linear, false)), &["0"]);
    let shares = [
        chosen(beside(), |text| text == "0"),
        chosen(beside(), |text| text != "0"),
        chosen(dimension(None, &["\"a\"", "\"b\"", "\"c\""]), |text| text == "\"b\""),
    ];
    assert!(shares.iter().all(|share| *share > 0.9), "{shares:?}");
}

#[test]
fn nothing_is_proposed_before_something_has_ended() {
    let of = |method| {
        let settings =
            Settings { method, trials: 30, fixed: 0, workers: 30, seed: 1, eta: 3, shares: vec![] };
        let course = Course::new(settings, mixed().space);
        (0..30).map(|trial| course.point(trial).unwrap().to_vec()).collect::<Vec<_>>()
    };
    assert_eq!(of(Method::Tpe), of(Method::Random));
}

#[test]
fn proposals_keep_away_from_points_that_run() {
    // Both ends are good.
    let ends = line(|u| Some((u - 0.5).abs()));
    let pending = [[0.96], [0.97], [0.98], [0.99]];
    let pending: Vec<&[f64]> = pending.iter().map(<[f64; 1]>::as_slice).collect();
    let (free, kept) = (proposed(&ends, &[]), proposed(&ends, &pending));
    assert!(share(&free, 0.85, 1.0) > 0.3, "{free:?}");
    assert!(share(&kept, 0.85, 1.0) < 0.5 * share(&free, 0.85, 1.0), "{kept:?}");
}

#[test]
fn proposals_are_new() {
    let space = Space { dimensions: vec![dimension(None, &["1", "2", "3"])] };
    let known: Vec<(&[f64], Option<f64>)> = vec![(&[0.1], Some(1.0)), (&[0.5], Some(0.0))];
    let known = Known { scored: &known, pending: &[] };
    let new = |allowed: &'static str| {
        let is_new = |point: &[f64]| space.texts(point) == [allowed];
        propose(&space, &known, is_new, 1, 0).map(|point| space.texts(&point).join(""))
    };
    assert_eq!([new("1"), new("3"), new("4")], [Some("1".into()), Some("3".into()), None]);
}
