//! Curves, calibration and associations, beside the numbers of scikit-learn 1.9 and scipy 1.17 on
//! the same lists; pictures of degenerate numbers.

use tandem::report::draw::bars::{Bar, histogram, horizontal};
use tandem::report::draw::plot::{Plot, Series, Style};
use tandem::report::draw::scale::Scale;
use tandem::report::facts::importance::Change;
use tandem::report::facts::thin;
use tandem::run::metrics::association::{correlation_ratio, cramers_v, pearson};
use tandem::run::metrics::curves::{calibration, precision_recall, roc};

/// Scores with ties, labels and weights.
const SCORES: [f64; 10] = [0.1, 0.4, 0.35, 0.8, 0.4, 0.7, 0.2, 0.9, 0.55, 0.4];
const LABELS: [u8; 10] = [0, 0, 1, 1, 1, 0, 0, 1, 0, 1];
const WEIGHTS: [f64; 10] = [1.0, 2.0, 1.0, 0.5, 1.0, 1.0, 3.0, 1.0, 2.0, 1.0];

fn labels() -> Vec<bool> {
    LABELS.iter().map(|label| *label == 1).collect()
}

#[track_caller]
fn same(found: &[[f64; 2]], expected: &[[f64; 2]]) {
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
        assert!((found - expected).abs() < 1e-12, "{found} and {expected}");
    }
}

#[test]
fn the_roc_curve_is_that_of_scikit_learn() {
    let third = 1.0 / 3.0;
    let expected = [
        [0.0, 0.0],
        [0.0, 0.2222222222222222],
        [0.0, third],
        [0.1111111111111111, third],
        [third, third],
        [0.5555555555555556, 0.7777777777777778],
        [0.5555555555555556, 1.0],
        [0.8888888888888888, 1.0],
        [1.0, 1.0],
    ];
    same(&roc(&SCORES, &labels(), Some(&WEIGHTS)).unwrap(), &expected);
    assert_eq!(roc(&SCORES, &[true; 10], None), None);
}

#[test]
fn the_precision_recall_curve_is_that_of_scikit_learn() {
    // scikit-learn adds the point (0, 1), at which nothing is taken.
    let expected = [
        [0.2222222222222222, 1.0],
        [0.3333333333333333, 1.0],
        [0.3333333333333333, 0.6],
        [0.3333333333333333, 0.3333333333333333],
        [0.7777777777777778, 0.4117647058823529],
        [1.0, 0.47368421052631576],
        [1.0, 0.36],
        [1.0, 0.3333333333333333],
    ];
    same(&precision_recall(&SCORES, &labels(), Some(&WEIGHTS)).unwrap(), &expected);
    assert_eq!(precision_recall(&SCORES, &[false; 10], None), None);
}

#[test]
fn the_calibration_curve_is_that_of_scikit_learn() {
    let bins = calibration(&SCORES, &labels(), None, 5).unwrap();
    let found: Vec<[f64; 2]> = bins.iter().map(|bin| [bin.predicted, bin.positive]).collect();
    let expected = [[0.15, 0.0], [0.3875, 0.75], [0.55, 0.0], [0.75, 0.5], [0.9, 1.0]];
    same(&found, &expected);
    assert_eq!(bins.iter().map(|bin| bin.weight).sum::<f64>(), 10.0);
    assert_eq!(calibration(&[1.5], &[true], None, 5), None);
}

#[test]
fn associations_are_those_of_scipy_and_scikit_learn() {
    let x = [0, 0, 1, 1, 2, 2, 0, 1, 2, 0, 1, 2];
    let z = [0, 1, 1, 1, 0, 0, 0, 1, 0, 1, 0, 0];
    let n = [1.5, 2.0, -0.5, 0.25, 4.0, 3.5, 1.0, 0.0, 5.0, 2.5, -1.0, 4.5];
    let m = [2.5, 1.0, -0.5, 1.25, 3.0, 3.5, 1.0, 0.5, 4.0, 2.0, -2.0, 4.25];
    let near = |found: Option<f64>, expected: f64| {
        assert!((found.unwrap() - expected).abs() < 1e-12, "{found:?} and {expected}");
    };
    near(cramers_v(&x, &z), 0.6324555320336759);
    near(pearson(&n, &m), 0.9295803640932531);
    near(correlation_ratio(&x, &n), 0.9613870862888668);
    assert_eq!(cramers_v(&x, &[1; 12]), None);
    assert_eq!(pearson(&n, &[2.0; 12]), None);
    assert_eq!(correlation_ratio(&x, &[2.0; 12]), None);
    assert_eq!((pearson(&[], &[]), cramers_v(&[], &[])), (None, None));
}

#[test]
fn changes_have_the_deviation_of_numpy() {
    let change = Change::of(&[Some(1.0), Some(2.0), Some(4.0)]).unwrap();
    assert!((change.mean - 7.0 / 3.0).abs() < 1e-15);
    assert!((change.sd - 1.247219128924647).abs() < 1e-15);
    assert_eq!(Change::of(&[Some(1.0), None]), None);
}

#[test]
fn a_thinned_curve_keeps_its_ends_and_its_shape() {
    let curve: Vec<[f64; 2]> = (0..=100_000).map(|k| f64::from(k) / 1e5).map(|x| [x, x]).collect();
    let thinned = thin::curve(&curve);
    assert!((400..=402).contains(&thinned.len()), "{}", thinned.len());
    assert_eq!((thinned[0], *thinned.last().unwrap()), ([0.0, 0.0], [1.0, 1.0]));
    assert_eq!(thin::curve(&[]), Vec::<[f64; 2]>::new());
    assert_eq!(thin::spread(7, 3).collect::<Vec<_>>(), [0, 2, 4]);
    assert_eq!(thin::spread(0, 3).count(), 0);
}

fn texts(scale: &Scale) -> Vec<String> {
    scale.ticks().into_iter().map(|(_, text)| text).collect()
}

#[test]
fn ticks_are_round_numbers() {
    let of = |low, high, log| Scale::of([low, high].into_iter(), log).unwrap();
    assert_eq!(texts(&Scale::fixed(-0.02, 1.02)), ["0", "0.2", "0.4", "0.6", "0.8", "1"]);
    assert_eq!(texts(&of(1e-4, 1.0, true)), ["0.0001", "0.001", "0.01", "0.1", "1"]);
    assert!(!of(0.02, 0.9, true).is_log, "less than a factor of 50");
    assert!(!of(0.0, 900.0, true).is_log, "not positive");
    let epochs = Scale::whole([1.0, 3.0].into_iter()).unwrap();
    assert_eq!(texts(&epochs), ["1", "2", "3"]);
}

/// No number is so large, small or close to another that ticks are endless or no numbers.
#[test]
fn axes_hold_small_large_and_near_numbers() {
    for [low, high] in [
        [0.0, 0.0],
        [1e17, 1e17 + 16.0],
        [-1e129, 1e129],
        [5e-324, 1e-320],
        [1e-129, 1e129],
        [3.0, 3.0 + 1e-15],
    ] {
        for log in [false, true] {
            let scale = Scale::of([low, high].into_iter(), log).unwrap();
            let ticks = scale.ticks();
            assert!(ticks.len() < 16, "{low} {high}: {ticks:?}");
            assert!(ticks.iter().all(|(place, _)| (0.0..=1.0).contains(place)), "{ticks:?}");
            let places = [scale.place(low), scale.place(high)];
            assert!(places.iter().all(|place| (0.0..=1.0).contains(place)), "{places:?}");
        }
    }
    assert!(Scale::of([f64::NAN, f64::INFINITY, 1e200].into_iter(), false).is_none());
}

#[test]
fn a_value_that_is_not_finite_breaks_a_curve() {
    let axis = Scale::fixed(0.0, 5.0);
    let points: Vec<[f64; 2]> =
        [1.0, 2.0, f64::NAN, 3.0, 4.0].iter().zip(0..).map(|(y, x)| [f64::from(x), *y]).collect();
    let series = Series { name: "a".into(), colour: 0, style: Style::Line, points };
    let plot = Plot {
        x: "x".into(),
        y: "<y>".into(),
        across: axis,
        up: axis,
        series: vec![series],
        mark: None,
        guide: None,
    };
    let (svg, _) = plot.draw();
    let lines = svg.lines().filter(|line| line.contains("#1F5FBF")).count();
    assert_eq!(lines, 2, "{svg}");
    assert!(svg.contains("&lt;y&gt;") && !svg.contains("NaN"), "{svg}");
}

#[test]
fn bars_of_nothing_are_pictures_too() {
    for (svg, [width, height]) in [
        horizontal("x", &[]),
        horizontal("x", &[Bar { name: "a".into(), value: 0.0, spread: 0.0 }]),
        histogram("x", "rows", [2.0, 2.0], &[5]),
        histogram("x", "rows", [0.0, 1.0], &[]),
    ] {
        assert!(width > 0 && height > 0 && !svg.contains("NaN"), "{svg}");
    }
}
