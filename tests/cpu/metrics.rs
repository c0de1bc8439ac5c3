//! Metrics are compared with scikit-learn: `fixtures/metrics.json` holds its numbers, written by
//! `fixtures/metrics.py`. Other tests check properties for any numbers: definitions by brute force,
//! weights of zero, integer weights, the order of the rows; and undefined cases.

use serde_json::Value;
use tandem::rng::{Purpose, below, normal, permutation, uniform};
use tandem::run::metrics::{binary, count, mean, multiclass, multilabel, regression};

/// The largest deviation of a value, relative to the value or to 1.
const TOLERANCE: f64 = 1e-12;

/// Whether two values agree; undefined agrees only with undefined.
fn agree(found: Option<f64>, expected: Option<f64>) -> bool {
    match (found, expected) {
        (Some(found), Some(expected)) => {
            (found - expected).abs() <= TOLERANCE * expected.abs().max(1.0)
        }
        (found, expected) => found.is_none() && expected.is_none(),
    }
}

// ---- Recorded numbers

/// A list of numbers, or the numbers of nested lists; null is NaN.
fn numbers(value: &Value) -> Vec<f64> {
    value
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|v| if v.is_array() { numbers(v) } else { vec![v.as_f64().unwrap_or(f64::NAN)] })
        .collect()
}

/// A metric of a recorded case, by name.
fn value(case: &Value, metric: &str) -> Option<f64> {
    let weights = case["weights"].is_array().then(|| numbers(&case["weights"]));
    let weights = weights.as_deref();
    match case["kind"].as_str().unwrap() {
        "binary" => binary_value(case, metric, weights),
        "multiclass" => multiclass_value(case, metric, weights),
        "multilabel" => multilabel_value(case, metric, weights),
        "regression" => regression_value(case, metric, weights),
        "count" => count_value(case, metric, weights),
        kind => panic!("{kind}"),
    }
}

fn binary_value(case: &Value, metric: &str, weights: Option<&[f64]>) -> Option<f64> {
    let (scores, labels) = (numbers(&case["scores"]), numbers(&case["labels"]));
    let labels: Vec<bool> = labels.iter().map(|label| *label == 1.0).collect();
    match metric {
        "auc" => binary::auc(&scores, &labels, weights),
        "average_precision" => binary::average_precision(&scores, &labels, weights),
        "f1" => binary::f1(&scores, &labels, 0.0, weights),
        "f1_quarter" => binary::f1(&scores, &labels, 0.25, weights),
        "accuracy" => binary::accuracy_at(&scores, &labels, 0.0, weights),
        "best_accuracy" => binary::accuracy_at(
            &scores,
            &labels,
            binary::best_threshold(&scores, &labels, weights).unwrap(),
            weights,
        ),
        "log_loss" => binary::log_loss(&scores, &labels, weights),
        "calibration_error_10" => {
            binary::calibration_error(&numbers(&case["probabilities"]), &labels, weights, 10)
        }
        "calibration_error_15" => {
            binary::calibration_error(&numbers(&case["probabilities"]), &labels, weights, 15)
        }
        _ => panic!("{metric}"),
    }
}

fn multiclass_value(case: &Value, metric: &str, weights: Option<&[f64]>) -> Option<f64> {
    let (logits, labels) = (numbers(&case["logits"]), numbers(&case["labels"]));
    let classes = logits.len() / labels.len();
    let labels: Vec<u32> = labels.iter().map(|label| *label as u32).collect();
    match metric {
        "accuracy" => multiclass::accuracy(&logits, classes, &labels, weights),
        "log_loss" => multiclass::log_loss(&logits, classes, &labels, weights),
        "macro_f1" => multiclass::macro_f1(&logits, classes, &labels, weights),
        "macro_auc" => multiclass::macro_auc(&logits, classes, &labels, weights),
        "top_1" => multiclass::top_k(&logits, classes, &labels, 1, weights),
        "top_2" => multiclass::top_k(&logits, classes, &labels, 2, weights),
        "top_3" => multiclass::top_k(&logits, classes, &labels, 3, weights),
        _ => panic!("{metric}"),
    }
}

fn multilabel_value(case: &Value, metric: &str, weights: Option<&[f64]>) -> Option<f64> {
    let (logits, labels) = (numbers(&case["logits"]), numbers(&case["labels"]));
    let columns = case["logits"][0].as_array().unwrap().len();
    let labels: Vec<u8> = labels
        .iter()
        .map(|label| if label.is_nan() { multilabel::BLANK } else { *label as u8 })
        .collect();
    let function = match metric {
        "auc" => multilabel::auc,
        "average_precision" => multilabel::average_precision,
        "f1" => multilabel::f1,
        "accuracy" => multilabel::accuracy,
        "log_loss" => multilabel::log_loss,
        _ => panic!("{metric}"),
    };
    function(&logits, columns, &labels, weights)
}

fn regression_value(case: &Value, metric: &str, weights: Option<&[f64]>) -> Option<f64> {
    let (predictions, targets) = (numbers(&case["predictions"]), numbers(&case["targets"]));
    let columns = case["predictions"][0].as_array().unwrap().len();
    let pinball = |quantile: f64| {
        regression::over_columns(&predictions, columns, &targets, weights, |p, y, w| {
            regression::pinball(p, y, quantile, w)
        })
    };
    match metric {
        "r2" => regression::over_columns(&predictions, columns, &targets, weights, regression::r2),
        "rmse" => {
            regression::over_columns(&predictions, columns, &targets, weights, regression::rmse)
        }
        "mae" => {
            regression::over_columns(&predictions, columns, &targets, weights, regression::mae)
        }
        "pinball_0.5" => pinball(0.5),
        "pinball_0.9" => pinball(0.9),
        _ => panic!("{metric}"),
    }
}

fn count_value(case: &Value, metric: &str, weights: Option<&[f64]>) -> Option<f64> {
    let (log_rates, counts) = (numbers(&case["log_rates"]), numbers(&case["counts"]));
    let function = match metric {
        "deviance" => count::deviance,
        "d2" => count::d2,
        "mae" => count::mae,
        "rmse" => count::rmse,
        _ => panic!("{metric}"),
    };
    function(&log_rates, &counts, weights)
}

/// The confusion matrix of a recorded case, [label][chosen], in one list.
fn confusion(case: &Value) -> Vec<f64> {
    let (logits, labels) = (numbers(&case["logits"]), numbers(&case["labels"]));
    let weights = case["weights"].is_array().then(|| numbers(&case["weights"]));
    let classes = logits.len() / labels.len();
    let labels: Vec<u32> = labels.iter().map(|label| *label as u32).collect();
    multiclass::confusion(&logits, classes, &labels, weights.as_deref()).unwrap().concat()
}

/// Compares every recorded number for a type of task; asserts that there are at least `least`
/// numbers and at least `undefined` undefined ones.
fn compare(kind: &str, least: usize, undefined: usize) {
    let cases: Value = serde_json::from_str(include_str!("../fixtures/metrics.json")).unwrap();
    let (mut seen, mut without) = (0, 0);
    for case in cases.as_array().unwrap().iter().filter(|case| case["kind"] == kind) {
        for (metric, recorded) in case["expected"].as_object().unwrap() {
            let pairs = if metric == "confusion" {
                confusion(case)
                    .into_iter()
                    .map(Some)
                    .zip(numbers(recorded).into_iter().map(Some))
                    .collect()
            } else {
                vec![(value(case, metric), recorded.as_f64())]
            };
            for (found, expected) in pairs {
                assert!(
                    agree(found, expected),
                    "{kind}, {}: {metric} is {found:?}, scikit-learn's is {expected:?}",
                    case["name"]
                );
                seen += 1;
                without += usize::from(expected.is_none());
            }
        }
    }
    assert!(
        seen >= least && without >= undefined,
        "{kind}: {seen} numbers compared, {without} of them undefined"
    );
}

#[test]
fn yes_and_no_is_that_of_scikit_learn() {
    compare("binary", 160, 10);
}

#[test]
fn classes_are_those_of_scikit_learn() {
    compare("multiclass", 400, 2);
}

#[test]
fn columns_of_yes_and_no_are_those_of_scikit_learn() {
    compare("multilabel", 45, 8);
}

#[test]
fn numbers_are_those_of_scikit_learn() {
    compare("regression", 60, 3);
}

#[test]
fn counts_are_those_of_scikit_learn() {
    compare("count", 32, 3);
}

#[test]
fn a_comparison_can_fail() {
    assert!(agree(Some(2.0), Some(2.0 + 1e-12)) && !agree(Some(2.0), Some(2.0 + 1e-11)));
    assert!(agree(None, None) && !agree(None, Some(0.0)) && !agree(Some(0.0), None));
    assert!(!agree(Some(f64::NAN), Some(0.0)) && !agree(Some(f64::NAN), None));
}

// ---- What holds for any numbers

/// Random rows: scores with two digits, so that some are equal, labels that depend on them, integer
/// weights of which some are zero.
struct Sample {
    scores: Vec<f64>,
    labels: Vec<bool>,
    weights: Vec<f64>,
}

fn sample(seed: u64, rows: usize) -> Sample {
    let at = |stream: u64, row: usize| normal(seed, Purpose::Synthetic, stream, row as u64);
    let scores: Vec<f64> = (0..rows).map(|row| (10.0 * at(0, row)).round() / 10.0).collect();
    let labels = (0..rows).map(|row| scores[row] + at(1, row) > 0.3).collect();
    let weights =
        (0..rows).map(|row| below(4, seed, Purpose::Synthetic, 2, row as u64) as f64).collect();
    Sample { scores, labels, weights }
}

#[test]
fn auc_is_the_share_of_pairs_in_order() {
    for seed in 0..20 {
        let Sample { scores, labels, weights } = sample(seed, 80);
        let (mut won, mut all) = (0.0, 0.0);
        for yes in (0..80).filter(|row| labels[*row]) {
            for no in (0..80).filter(|row| !labels[*row]) {
                let pair = weights[yes] * weights[no];
                all += pair;
                won += if scores[yes] > scores[no] {
                    pair
                } else {
                    0.5 * pair * f64::from(scores[yes] == scores[no])
                };
            }
        }
        assert_eq!(binary::auc(&scores, &labels, Some(&weights)), Some(won / all));
    }
}

#[test]
fn the_best_threshold_is_the_lowest_of_the_best() {
    for seed in 0..50 {
        let Sample { scores, labels, weights } = sample(seed, 4 + seed as usize);
        let mut sorted: Vec<f64> =
            (0..scores.len()).filter(|row| weights[*row] > 0.0).map(|row| scores[row]).collect();
        sorted.sort_by(f64::total_cmp);
        sorted.dedup();
        let middles = sorted.windows(2).map(|pair| 0.5 * (pair[0] + pair[1]));
        let all: Vec<f64> = [sorted[0].next_down()]
            .into_iter()
            .chain(middles)
            .chain([sorted[sorted.len() - 1]])
            .collect();
        let right = |threshold: f64| -> f64 {
            (0..scores.len())
                .filter(|row| (scores[*row] > threshold) == labels[*row])
                .map(|row| weights[row])
                .sum()
        };
        let most = all.iter().map(|threshold| right(*threshold)).fold(0.0, f64::max);
        let lowest = all.into_iter().find(|threshold| right(*threshold) == most);
        assert!(
            agree(binary::best_threshold(&scores, &labels, Some(&weights)), lowest),
            "seed {seed}"
        );
    }
}

#[test]
fn the_best_threshold_in_words() {
    let best =
        |scores: &[f64], labels: &[bool]| binary::best_threshold(scores, labels, None).unwrap();
    assert_eq!(best(&[3.0, 1.0, 2.0, 5.0], &[true, false, false, true]), 2.5);
    // Two thresholds are equally good: 1.5 and 3.5.
    assert_eq!(best(&[1.0, 2.0, 3.0, 4.0], &[false, true, false, true]), 1.5);
    assert_eq!(best(&[1.0, 2.0], &[false, false]), 2.0);
    assert_eq!(best(&[1.0, 2.0], &[true, true]), 1f64.next_down());
    assert_eq!(best(&[1.0, 1.0], &[true, false]), 1f64.next_down());
    // No f64 lies between the two scores, and the threshold still separates them.
    for low in [1.0, 1f64.next_up(), -1.0, 0.0, f64::MIN_POSITIVE] {
        let (scores, labels) = ([low, low.next_up()], [false, true]);
        assert_eq!(
            binary::accuracy_at(&scores, &labels, best(&scores, &labels), None),
            Some(1.0),
            "{low}"
        );
    }
    // The middle between the largest and the smallest number is finite.
    assert_eq!(best(&[f64::MIN, f64::MAX], &[false, true]), 0.0);
    assert_eq!(best(&[0.5 * f64::MAX, f64::MAX], &[false, true]), 0.75 * f64::MAX);
}

/// A row with a label for every type of task.
#[derive(Clone, Copy)]
struct Row {
    weight: f64,
    yes: bool,
    class: u32,
    cells: [u8; 3],
    logits: [f64; 3],
    target: [f64; 3],
    count: f64,
}

fn row(seed: u64, index: usize) -> Row {
    let index = index as u64;
    let (at, up_to) = (
        |s| normal(seed, Purpose::Synthetic, s, index),
        |n, s| below(n, seed, Purpose::Synthetic, s, index),
    );
    let blank = |s| uniform(seed, Purpose::Synthetic, s, index) < 0.2;
    Row {
        weight: up_to(4, 0) as f64,
        yes: up_to(2, 1) == 1,
        class: up_to(3, 2) as u32,
        cells: [3, 4, 5].map(|s| if blank(s + 10) { multilabel::BLANK } else { up_to(2, s) as u8 }),
        // One digit only, so that some are equal.
        logits: [6, 7, 8].map(|s| (10.0 * at(s)).round() / 10.0),
        target: [20, 21, 22].map(|s| if blank(s + 10) { f64::NAN } else { at(s) }),
        count: up_to(5, 40) as f64,
    }
}

/// Every metric of some rows.
fn all(rows: &[Row], weighted: bool) -> Vec<(&'static str, Option<f64>)> {
    let weights: Option<Vec<f64>> = weighted.then(|| rows.iter().map(|row| row.weight).collect());
    let w = weights.as_deref();
    let table: Vec<f64> = rows.iter().flat_map(|row| row.logits).collect();
    let first: Vec<f64> = rows.iter().map(|row| row.logits[0]).collect();
    let yes: Vec<bool> = rows.iter().map(|row| row.yes).collect();
    let probabilities: Vec<f64> = first.iter().map(|z| 1.0 / (1.0 + (-z).exp())).collect();
    let classes: Vec<u32> = rows.iter().map(|row| row.class).collect();
    let cells: Vec<u8> = rows.iter().flat_map(|row| row.cells).collect();
    let targets: Vec<f64> = rows.iter().flat_map(|row| row.target).collect();
    let counts: Vec<f64> = rows.iter().map(|row| row.count).collect();
    let total = multiclass::confusion(&table, 3, &classes, w);
    vec![
        ("auc", binary::auc(&first, &yes, w)),
        ("average_precision", binary::average_precision(&first, &yes, w)),
        ("f1", binary::f1(&first, &yes, 0.2, w)),
        ("best_threshold", binary::best_threshold(&first, &yes, w)),
        ("accuracy_at", binary::accuracy_at(&first, &yes, 0.2, w)),
        ("binary log_loss", binary::log_loss(&first, &yes, w)),
        ("calibration_error", binary::calibration_error(&probabilities, &yes, w, 10)),
        ("accuracy", multiclass::accuracy(&table, 3, &classes, w)),
        ("top_k", multiclass::top_k(&table, 3, &classes, 2, w)),
        ("log_loss", multiclass::log_loss(&table, 3, &classes, w)),
        ("macro_f1", multiclass::macro_f1(&table, 3, &classes, w)),
        ("macro_auc", multiclass::macro_auc(&table, 3, &classes, w)),
        (
            "confusion",
            total.map(|table| {
                table.concat().iter().enumerate().map(|(i, cell)| (1 + i) as f64 * cell).sum()
            }),
        ),
        ("multilabel auc", multilabel::auc(&table, 3, &cells, w)),
        ("multilabel average_precision", multilabel::average_precision(&table, 3, &cells, w)),
        ("multilabel f1", multilabel::f1(&table, 3, &cells, w)),
        ("multilabel accuracy", multilabel::accuracy(&table, 3, &cells, w)),
        ("multilabel log_loss", multilabel::log_loss(&table, 3, &cells, w)),
        ("r2", regression::over_columns(&table, 3, &targets, w, regression::r2)),
        ("rmse", regression::over_columns(&table, 3, &targets, w, regression::rmse)),
        ("mae", regression::over_columns(&table, 3, &targets, w, regression::mae)),
        (
            "pinball",
            regression::over_columns(&table, 3, &targets, w, |p, y, w| {
                regression::pinball(p, y, 0.3, w)
            }),
        ),
        ("deviance", count::deviance(&first, &counts, w)),
        ("d2", count::d2(&first, &counts, w)),
        ("count mae", count::mae(&first, &counts, w)),
        ("count rmse", count::rmse(&first, &counts, w)),
    ]
}

fn assert_same(left: Vec<(&'static str, Option<f64>)>, right: Vec<(&'static str, Option<f64>)>) {
    for ((name, left), (_, right)) in left.into_iter().zip(right) {
        assert!(agree(left, right), "{name}: {left:?} and {right:?}");
    }
}

#[test]
fn a_row_of_weight_zero_is_absent() {
    for seed in 0..10 {
        let mut rows: Vec<Row> = (0..60).map(|index| row(seed, index)).collect();
        let rest: Vec<Row> = rows.iter().filter(|row| row.weight > 0.0).copied().collect();
        assert!(rest.len() < 60 && all(&rest, true).iter().all(|(_, value)| value.is_some()));
        assert_same(all(&rows, true), all(&rest, true));
        // Even if the row holds no valid value.
        for row in rows.iter_mut().filter(|row| row.weight == 0.0) {
            *row = Row {
                class: 7,
                cells: [7; 3],
                logits: [f64::NAN; 3],
                target: [f64::INFINITY; 3],
                count: -1.0,
                ..*row
            };
        }
        assert_same(all(&rows, true), all(&rest, true));
    }
}

#[test]
fn an_integer_weight_counts_as_so_many_rows() {
    for seed in 0..10 {
        let rows: Vec<Row> = (0..60).map(|index| row(seed, index)).collect();
        let times = |row: &Row| std::iter::repeat_n(*row, row.weight as usize);
        assert_same(all(&rows, true), all(&rows.iter().flat_map(times).collect::<Vec<_>>(), false));
    }
}

#[test]
fn only_ratios_of_weights_count() {
    let rows: Vec<Row> = (0..60).map(|index| row(3, index)).collect();
    let scaled: Vec<Row> =
        rows.iter().map(|row| Row { weight: 0.125 * row.weight, ..*row }).collect();
    let without = |rows: &[Row]| {
        all(rows, true).into_iter().filter(|(name, _)| *name != "confusion").collect()
    };
    assert_same(without(&rows), without(&scaled));
}

#[test]
fn the_order_of_rows_does_not_count() {
    let rows: Vec<Row> = (0..200).map(|index| row(5, index)).collect();
    for seed in 0..5 {
        let order = permutation(rows.len(), seed, Purpose::Synthetic, 0);
        let shuffled: Vec<Row> = order.iter().map(|index| rows[*index as usize]).collect();
        assert_same(all(&rows, true), all(&shuffled, true));
    }
}

#[test]
fn two_classes_are_yes_and_no() {
    let Sample { scores, labels, weights } = sample(9, 100);
    let logits: Vec<f64> = scores.iter().flat_map(|z| [0.0, *z]).collect();
    let classes: Vec<u32> = labels.iter().map(|label| u32::from(*label)).collect();
    let w = Some(weights.as_slice());
    assert!(agree(
        multiclass::accuracy(&logits, 2, &classes, w),
        binary::accuracy_at(&scores, &labels, 0.0, w)
    ));
    assert!(agree(
        multiclass::log_loss(&logits, 2, &classes, w),
        binary::log_loss(&scores, &labels, w)
    ));
}

#[test]
fn blank_columns_leave_the_others_as_they_are() {
    let (logits, labels) = ([1.0, -1.0, 0.5, 2.0], [1, multilabel::BLANK, 0, multilabel::BLANK]);
    assert_eq!(
        multilabel::per_column(&logits, 2, &labels, None, binary::auc),
        Some(vec![Some(1.0), None])
    );
    let targets = [1.0, f64::NAN, 0.0, f64::NAN];
    assert_eq!(
        regression::per_column(&logits, 2, &targets, None, regression::mae),
        Some(vec![Some(0.25), None])
    );
    assert_eq!(mean(&[Some(1.0), None, Some(2.0)]), Some(1.5));
}

#[test]
fn a_small_loss_is_not_lost() {
    // 1 − 1 / (1 + e^−50) rounds to 0 in f64; the loss is e^−50.
    let small = (-50f64).exp();
    let close = |found: Option<f64>| (found.unwrap() / small - 1.0).abs() < 1e-12;
    assert!(
        close(binary::log_loss(&[50.0], &[true], None))
            && close(binary::log_loss(&[-50.0], &[false], None))
    );
    assert!(close(multiclass::log_loss(&[-30.0, 20.0, -300.0], 3, &[1], None)));
    // A rate differs from a large count by a millionth: the deviance is y d² (1 + d / 3 + …).
    let d = 1e-6;
    let found = count::deviance(&[1e6f64.ln() + d], &[1e6], None).unwrap();
    assert!((found / (1e6 * d * d) - 1.0).abs() < 1e-6, "{found}");
}

#[test]
fn bins_are_closed_above_and_the_first_has_zero() {
    let error = |p: [f64; 2], labels: [bool; 2]| binary::calibration_error(&p, &labels, None, 10);
    // In two bins, 0.15 too low and 0.95 too high. In one bin the two errors would cancel.
    assert!(agree(error([0.85, 0.95], [true, false]), Some(0.5 * (0.15 + 0.95))));
    assert!(agree(error([0.9, 0.95], [true, false]), Some(0.5 * (0.1 + 0.95))));
    assert!(agree(error([0.91, 1.0], [true, false]), Some(0.5 * (1.0 - 0.09))));
    assert!(agree(error([0.0, 0.1], [true, false]), Some(0.5 * (1.0 - 0.1))));
}

// ---- What is not defined

#[test]
fn nothing_is_measured_where_there_is_nothing() {
    for (name, value) in all(&[], false).into_iter().chain(all(&[], true)) {
        assert_eq!(value, None, "{name} of no rows");
    }
    let weightless: Vec<Row> = (0..9).map(|index| Row { weight: 0.0, ..row(1, index) }).collect();
    assert_eq!(all(&weightless, true).iter().filter(|(_, value)| value.is_some()).count(), 0);
    assert_eq!(mean(&[None, None]), None);
}

#[test]
fn values_that_are_not_finite_give_no_metric() {
    for wrong in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let mut rows: Vec<Row> = (0..30).map(|index| row(2, index)).collect();
        // One bad number makes the metric undefined; it is not computed from the other columns.
        rows[11].logits[0] = wrong;
        for (name, value) in all(&rows, false) {
            // The probability of an infinite logit is one.
            assert!(
                value.is_none() || (name == "calibration_error" && wrong.is_infinite()),
                "{name} with {wrong}: {value:?}"
            );
        }
    }
    for wrong in [f64::NAN, f64::INFINITY, -1.0] {
        let mut rows: Vec<Row> = (0..30).map(|index| row(2, index)).collect();
        rows[11].weight = wrong;
        assert_eq!(
            all(&rows, true).iter().filter(|(_, value)| value.is_some()).count(),
            0,
            "weight {wrong}"
        );
    }
    // Infinite targets, negative counts.
    assert_eq!(regression::rmse(&[1.0, 2.0], &[1.0, f64::INFINITY], None), None);
    assert_eq!(
        regression::over_columns(&[1.0, 2.0], 2, &[1.0, f64::INFINITY], None, regression::rmse),
        None
    );
    assert_eq!(count::deviance(&[0.0, 0.0], &[1.0, -1.0], None), None);
    assert_eq!(count::mae(&[0.0, 0.0], &[1.0, -1.0], None), None);
    // A rate that is too large for f64.
    assert_eq!(count::deviance(&[800.0], &[1.0], None), None);
}

#[test]
fn slices_that_do_not_belong_together_are_no_rows() {
    let (two, yes) = ([1.0, 2.0], [true, false]);
    assert_eq!(binary::auc(&two, &yes[..1], None), None);
    assert_eq!(binary::auc(&two, &yes, Some(&two[..1])), None);
    assert_eq!(multiclass::accuracy(&two, 2, &[0, 1], None), None);
    assert_eq!(multiclass::accuracy(&two, 2, &[2], None), None);
    assert_eq!(multiclass::accuracy(&[], 0, &[0], None), None);
    assert_eq!(multiclass::confusion(&two, 2, &[2], None), None);
    assert_eq!(multiclass::accuracy(&two, usize::MAX, &[0, 1], None), None);
    assert_eq!(multilabel::accuracy(&two, 2, &[1], None), None);
    assert_eq!(multilabel::accuracy(&two, 0, &[1, 0], None), None);
    assert_eq!(multilabel::accuracy(&[1.0, 2.0, 3.0], 2, &[1, 0, 1], None), None);
    assert_eq!(multilabel::accuracy(&two, 2, &[1, 0, 1], None), None);
    assert_eq!(multilabel::accuracy(&two, 2, &[1, 2], None), None);
    assert_eq!(multilabel::average_precision(&two, 2, &[1, 2], None), None);
    assert_eq!(multilabel::auc(&two, usize::MAX, &[1, 0], None), None);
    assert_eq!(multilabel::accuracy(&two, 2, &[1, 0], Some(&two)), None);
    assert_eq!(regression::over_columns(&two, 2, &two[..1], None, regression::mae), None);
    assert_eq!(regression::over_columns(&two, 2, &two, Some(&two), regression::mae), None);
    assert_eq!(regression::over_columns(&two, 0, &two, None, regression::mae), None);
    assert_eq!(regression::mae(&two, &two[..1], None), None);
    assert_eq!(count::deviance(&two, &two[..1], None), None);
}

#[test]
fn settings_out_of_range_are_no_metric() {
    assert_eq!(binary::calibration_error(&[0.5], &[true], None, 0), None);
    assert_eq!(binary::calibration_error(&[1.5], &[true], None, 10), None);
    assert_eq!(binary::calibration_error(&[-0.1], &[true], None, 10), None);
    assert_eq!(binary::calibration_error(&[0.0, 1.0], &[false, true], None, 10), Some(0.0));
    assert_eq!(regression::pinball(&[1.0], &[1.0], 1.1, None), None);
    assert_eq!(regression::pinball(&[1.0], &[1.0], f64::NAN, None), None);
    assert_eq!(regression::pinball(&[1.0], &[3.0], 1.0, None), Some(2.0));
}

#[test]
fn a_target_that_never_changes_is_not_explained() {
    // Neither the mean of three times 0.1 nor the weighted mean of three times 3 equals that number
    // exactly in f64.
    assert_eq!(regression::r2(&[0.2, 0.1, 0.1], &[0.1; 3], None), None);
    assert_eq!(count::d2(&[0.2, 0.1, 0.1], &[3.0; 3], Some(&[0.1, 0.2, 0.3])), None);
}
